// spheremix-analyze: from files of embeddings to a report.
//
//   spheremix-analyze --image img.npy --text txt.npy [--labels items.tsv:column] [--names ...]
//                     [--pictures atlas.png:48x48] [--report out.html] [--json out.json]
//                     [--csv dir] [--neighbours image=ids.npy,cosines.npy]
//   spheremix-analyze --compare before.json after.json [--report out.html] [--json out.json]
//   spheremix-analyze --drift old.npy new.npy [--names ...] [--json out.json]
//   spheremix-analyze slerp-path --image img.npy --text txt.npy --from image:3 --to text:7
//   spheremix-analyze fix --input x.npy --output y.npy --repair centre
//
// Exit status: 0 done, 1 failed on the way (nothing written), 2 wrong input (one sentence, nothing
// written), 3 a --fail-if condition is met. Ctrl-C ends the program by its signal, 130 in a shell.
//
// Compiled with SPHEREMIX_ANALYZE_MPI it is spheremix-analyze-mpi: one analysis by all processes of an
// mpirun, with one exit status; the first process alone prints and writes (mpi_main.hpp).
#include <CLI/CLI.hpp>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "analysis.hpp"
#include "compare.hpp"
#include "console.hpp"
#include "drift.hpp"
#include "fail_if.hpp"
#include "findings.hpp"
#include "lists.hpp"
#include "map.hpp"
#include "provenance.hpp"
#include "render.hpp"
#include "spheremix/core/parallel.hpp"
#include "spheremix/core/version.hpp"
#include "spheremix/io/error.hpp"
#include "spheremix/pairwise/isa.hpp"
#include "tools.hpp"

namespace {

using namespace analyze;

#if defined(SPHEREMIX_ANALYZE_MPI)
constexpr const char* kProgram = "spheremix-analyze-mpi";
#else
constexpr const char* kProgram = "spheremix-analyze";
#endif
constexpr int kTimeout = 3600;  ///< seconds; the first process's own work is waited for too

struct Options {
  Request request;
  PathRequest path;
  FixRequest fix;
  std::string image, text, report, json, csv, lists, neighbours_out;
  std::vector<std::string> modalities, fail_if, compare, drift;
  int threads = 0, timeout = kTimeout;
  bool walk = false, repair = false, map = false;
};

const std::vector<std::string> kRepairs = {"drop-bad", "drop-duplicates", "normalise", "centre",
                                           "whiten",   "align",           "csls"};

/// An option that would have no effect is an error, not a silence.
void refuse_dropped(const CLI::App& app, const std::string& with,
                    const std::vector<std::string>& taken) {
  for (const CLI::Option* option : app.get_options()) {
    const std::string name = option->get_name();
    if (option->count() > 0 && std::find(taken.begin(), taken.end(), name) == taken.end())
      wrong(name, " has no effect with ", with);
  }
}

/// The sentences on standard error; exit status 3 where there is one.
int failed(const std::vector<std::string>& sentences) {
  for (const std::string& sentence : sentences) complain(sentence);
  return sentences.empty() ? 0 : 3;
}

/// --help and --version: what is to be printed.
struct Asked {
  std::string text;
};

/// Reads the command line.
Options parse(int argc, char** argv) {
  Options o;
  CLI::App app("Health, geometry and retrieval of embeddings, as a report.");
  app.set_version_flag("--version", SPHEREMIX_VERSION);
  const auto inputs = [&o](CLI::App& to) {
    to.add_option("--image", o.image,
                  "embeddings: .npy, .npz, .safetensors, .fvecs, .fbin, .parquet, .arrow; - reads "
                  "standard input; shards as 'img_*.npy'; an array, tensor or column as FILE:NAME");
    to.add_option("--text", o.text, "embeddings whose row i belongs to row i of --image");
    to.add_option("--modality", o.modalities, "NAME=FILE, once for each modality");
  };
  inputs(app);
  app.add_option("--labels", o.request.labels,
                 "FILE:COLUMN of a .tsv, .csv or .jsonl, a class for every row");
  app.add_option("--names", o.request.names, "FILE:COLUMN, a name for every row");
  app.add_option("--pictures", o.request.pictures,
                 "FILE.png:WIDTHxHEIGHT, an atlas with a cell for every row");
  app.add_option("--index", o.request.index,
                 "for every row of the second modality, the row of the first it belongs to");
  CLI::Option* const qrels = app.add_option(
      "--qrels", o.request.qrels,
      "relevance judgements, lines \"query 0 document grade\": rows of the first modality and the "
      "second, which need not be pairs");
  app.add_option("--query-ids", o.request.query_ids, "FILE:COLUMN, what --qrels calls the queries")
      ->needs(qrels);
  app.add_option("--document-ids", o.request.document_ids,
                 "FILE:COLUMN, what --qrels calls the documents")
      ->needs(qrels);
  app.add_flag("--augmented", o.request.augmented, "one file, rows 2i and 2i + 1 are a pair");
  app.add_option("--report", o.report, "the report, one HTML file");
  app.add_option("--json", o.json, "every figure");
  app.add_option("--csv", o.csv, "folder for metrics.csv, spectrum.csv and hubs.csv");
  app.add_option("--lists", o.lists,
                 "folder for full lists: bad rows, groups of duplicates, neighbours, ranks");
  app.add_option(
      "--neighbours", o.request.neighbours,
      "NAME=IDS.npy,COSINES.npy, once for each set: the nearest rows that faiss found within it "
      "(D, I = index.search(x, 12)), for hubness, hubs, outliers and figures of labels, of all "
      "rows whatever --sample is; uniformity, near duplicates and pairs of sets still need the "
      "sweep; every pair given is checked against its rows");
  app.add_option("--neighbours-out", o.neighbours_out,
                 "folder for NAME_ids.npy and NAME_cosines.npy, the 11 nearest others of every row "
                 "in the same form");
  app.add_flag("--map", o.map, "a map of all rows in the report, by UMAP and PCA");
  app.add_option("--fail-if", o.fail_if,
                 "condition such as \"gap>0.5\": exit status 3 where it is met");
  app.add_option("--compare", o.compare, "JSON reports, each of the others beside the first");
  app.add_option("--drift", o.drift, "two versions of one set: OLD NEW")->expected(2);
  app.add_option("--temperature", o.request.temperature, "of calibration and push")
      ->check(CLI::Range(1e-4, 100.0))
      ->capture_default_str();
  app.add_option("--exact-rows", o.request.exact_rows, "rows up to which all pairs are taken")
      ->check(CLI::Range(2, 2000000000))
      ->capture_default_str();
  app.add_option("--sample", o.request.sample, "rows of the sample beyond")
      ->check(CLI::Range(100, 1000000))
      ->capture_default_str();
  app.add_option("--seed", o.request.seed, "of samples")->capture_default_str();
  app.add_option("--precision", o.request.precision, "auto, single or double")
      ->check(CLI::IsMember({"auto", "single", "double"}))
      ->capture_default_str();
  app.add_option("--threads", o.threads, "threads; all by default")->check(CLI::Range(1, 1024));
#if defined(SPHEREMIX_ANALYZE_MPI)
  app.add_option("--timeout", o.timeout,
                 "seconds that a process waits for another, the first one's own work included")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
#endif

  CLI::App* path =
      app.add_subcommand("slerp-path", "the nearest items along the geodesic between two rows");
  inputs(*path);
  path->add_option("--from", o.path.from, "NAME:ROW")->required();
  path->add_option("--to", o.path.to, "NAME:ROW")->required();
  path->add_option("--names", o.path.names, "FILE:COLUMN, a name for every row");
  path->add_option("--steps", o.path.steps, "points, ends included")
      ->check(CLI::Range(2, 1000))
      ->capture_default_str();
  path->add_option("--nearest", o.path.nearest, "items a point")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  path->add_option("--json", o.json, "the path as a file");

  CLI::App* fix = app.add_subcommand("fix", "writes a repaired copy");
  fix->add_option("--input", o.fix.input, "embeddings")->required();
  fix->add_option("--output", o.fix.output, ".npy")->required();
  fix->add_option("--repair", o.fix.repairs,
                  "drop-bad, drop-duplicates, normalise, centre, whiten, align, csls; in order")
      ->required()
      ->check(CLI::IsMember(kRepairs));
  fix->add_option("--to", o.fix.to, "of align and csls: the other file, row by row");
  fix->add_option("--pairs", o.fix.pairs,
                  "of align: file of lines 'row of input, row of the other'");
  fix->add_option("--output-to", o.fix.output_to, "of csls: .npy for rows of the other file");
  fix->add_option("--kept", o.fix.kept, "text file for the numbers of the rows that stay");
  fix->add_option("--json", o.json, "before and after as a file");
  app.require_subcommand(0, 1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {  // --help and --version
      std::ostringstream out;
      app.exit(error, out, out);
      throw Asked{out.str()};
    }
    std::string text = error.what();
    for (char& c : text)
      if (c == '\n') c = ' ';
    const std::vector<std::string> rest = app.remaining();
    if (!rest.empty() && rest.front().rfind("-", 0) != 0)
      text += "; files of rows are given as --image FILE, --text FILE or --modality NAME=FILE";
    wrong(text);
  }
  o.walk = path->parsed(), o.repair = fix->parsed();
  o.request.command.emplace_back(kProgram);
  o.request.command.insert(o.request.command.end(), argv + 1, argv + argc);
  for (const CLI::Option* option : app.get_options())
    if (option->count() > 0) o.request.given.push_back(option->get_name().substr(2));
  using Names = std::vector<std::string>;
  if (o.walk)
    refuse_dropped(app, "slerp-path",
                   Names{"--image", "--text", "--modality", "--json", "--threads"});
  else if (o.repair)
    refuse_dropped(app, "fix", Names{"--json", "--threads"});
  else if (!o.drift.empty())
    refuse_dropped(
        app, "--drift",
        Names{"--drift", "--names", "--report", "--json", "--fail-if", "--seed", "--threads"});
  else if (!o.compare.empty())
    refuse_dropped(app, "--compare",
                   Names{"--compare", "--report", "--json", "--lists", "--fail-if", "--threads"});
  return o;
}

std::vector<std::pair<std::string, std::string>> modalities_of(const Options& o) {
  std::vector<std::pair<std::string, std::string>> all;
  if (!o.image.empty()) all.emplace_back("image", o.image);
  if (!o.text.empty()) all.emplace_back("text", o.text);
  for (const std::string& m : o.modalities) {
    const std::size_t mark = m.find('=');
    if (mark == std::string::npos || mark == 0 || mark + 1 == m.size())
      wrong("--modality ", m, ": NAME=FILE is expected");
    all.emplace_back(m.substr(0, mark), m.substr(mark + 1));
  }
  if (all.empty()) wrong("no embeddings given: --image FILE, --text FILE or --modality NAME=FILE");
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (all[i].first == all[j].first) wrong("two modalities are called ", all[i].first);
  return all;
}

/// No output may be one of these files, given as patterns and with a column or tensor behind a colon.
void protect_inputs(OutputFiles& files, const std::vector<std::string>& specs) {
  for (const std::string& spec : specs)
    if (!spec.empty())
      for (const std::string& file : files_of(spec)) files.protect(file);
}

void write_tables(OutputFiles& files, const std::string& folder, const Tables& tables) {
  files.folder(folder);
  for (const auto& [name, text] : tables) files.write(folder + "/" + name, text);
}

int run_compare(const Options& o) {
  if (o.compare.size() < 2) wrong("--compare takes two JSON reports or more");
  std::vector<Condition> conditions;
  for (const std::string& text : o.fail_if) conditions.push_back(parse_condition(text));
  std::vector<Json> all;
  for (const std::string& path : o.compare) {
    all.push_back(read_run(path));
    scopes_of(all.back()).expect(conditions);
  }
  OutputFiles files;
  for (const std::string& run : o.compare) files.protect(run);
  files.plan(o.json);
  files.plan(o.report);
  if (!o.lists.empty()) files.plan_folder(o.lists, change_names(all));
  Json result = compare_runs(o.compare, std::move(all));
  for (Json& file : result["files"]) file = shared_name(file);
  result["run"] = {{"date", now_utc()}, {"command", shared_command(o.request.command)}};
  if (!o.json.empty()) {
    Json brief = result;
    brief.erase("runs");
    files.write(o.json, json_text(brief));
  }
  if (!o.lists.empty()) write_tables(files, o.lists, change_tables(result));
  for (Json& run : result["runs"]) run.erase("per_row");  // the page draws none of it
  if (!o.report.empty())
    files.write(o.report, render_page("compare.js", "Runs compared", result, {}));
  const int spoken_to = files.takes_standard_output() ? 2 : 1;
  files.commit();
  print(comparison_text(result), spoken_to);
  return failed(failures_of_differences(result, conditions));
}

int run_drift(const Options& o) {
  std::vector<Condition> conditions;
  Scopes scopes;
  scopes.modalities = {"old", "new"}, scopes.versions = true;
  for (const std::string& text : o.fail_if) conditions.push_back(parse_condition(text));
  scopes.expect(conditions);
  OutputFiles files;
  protect_inputs(files, o.drift);
  protect_inputs(files, {o.request.names});
  files.plan(o.json);
  files.plan(o.report);
  ProgressLine line;
  Progress progress(line.watch());
  Json document = drift({o.drift[0], o.drift[1], o.request.names, o.request.seed}, progress);
  line.clear();
  for (const char* version : {"old", "new"})
    document[version]["file"] = shared_name(document[version]["file"]);
  document["version"] = SPHEREMIX_VERSION;
  document["settings"] = {{"seed", o.request.seed},
                          {"given", o.request.given},
                          {"threads", spheremix::core::max_threads()},
                          {"instructions", spheremix::pairwise::isa_name()},
                          {"seconds", std::round(progress.seconds() * 10) / 10}};
  document["run"] = {{"date", now_utc()},
                     {"command", shared_command(o.request.command)},
                     {"files", Json::array()}};
  std::vector<std::string> read = files_of(o.drift[0]);
  for (const std::string& file : files_of(o.drift[1])) read.push_back(file);
  if (!o.request.names.empty()) read.push_back(column_file(o.request.names));
  for (const std::string& file : read) document["run"]["files"].push_back(described_file(file));
  if (!o.json.empty()) files.write(o.json, json_text(document));
  if (!o.report.empty())
    files.write(o.report, render_page("drift.js", "Old and new version", document, {}));
  const int spoken_to = files.takes_standard_output() ? 2 : 1;
  files.commit();
  std::string text = spoken(document);
  for (const Json& row : document["moved"]) {
    text += "moved: row " + dumped(row["row"]);
    if (row.contains("name")) text += " " + one_line(row["name"]);
    for (const char* key : {"degrees", "neighbours_lost"})
      if (row.contains(key)) text += ", " + std::string(key) + " " + fixed(row[key], 2);
    text += "\n";
  }
  print(text, spoken_to);
  return failed(failures(document, conditions));
}

int run_path(Options& o) {
  o.path.modalities = modalities_of(o);
  OutputFiles files;
  for (const auto& [name, pattern] : o.path.modalities) protect_inputs(files, {pattern});
  protect_inputs(files, {o.path.names});
  files.plan(o.json);
  ProgressLine line;
  Progress progress(line.watch());
  const Json path = slerp_path(o.path, progress);
  line.clear();
  if (!o.json.empty()) files.write(o.json, dumped(path, 1) + "\n");
  const int spoken_to = files.takes_standard_output() ? 2 : 1;
  files.commit();
  std::string text =
      o.path.from + " to " + o.path.to + ": " + fixed(path["degrees"], 1) + " degrees\n";
  for (const Json& step : path["steps"]) {
    text += "t " + fixed(step["t"], 3);
    for (const Json& n : step["nearest"]) {
      text += "  " + n["modality"].get<std::string>() + ":" + dumped(n["row"]);
      if (n.contains("name")) text += " " + one_line(n["name"]);
      text += " (" + fixed(n["cosine"], 3) + ")";
    }
    text += "\n";
  }
  print(text, spoken_to);
  return 0;
}

int run_fix(const Options& o) {
  OutputFiles files;
  protect_inputs(files, {o.fix.input, o.fix.to, o.fix.pairs});
  files.plan(o.fix.output);
  files.plan(o.fix.output_to);
  files.plan(o.fix.kept);
  files.plan(o.json);
  ProgressLine line;
  Progress progress(line.watch());
  const Json done = fix_file(o.fix, files, progress);
  line.clear();
  if (!o.json.empty()) files.write(o.json, dumped(done, 1) + "\n");
  const int spoken_to = files.takes_standard_output() ? 2 : 1;
  files.commit();
  std::string text;
  for (const auto& [key, before] : done["before"].items()) {
    const Json after = done["after"].value(key, Json());
    const auto shown = [](const Json& v) {
      return v.is_number_float() ? fixed(v.get<double>(), 4) : v.is_null() ? "none" : dumped(v);
    };
    if (!before.is_object()) text += key + ": " + shown(before) + " -> " + shown(after) + "\n";
  }
  if (done["after"].contains("pairs"))
    for (const auto& [key, after] : done["after"]["pairs"].items()) {
      const Json before = done["before"]["pairs"].value(key, Json());
      text += "pairs, " + key + ": " +
              (before.is_null() ? "" : fixed(before.get<double>(), 4) + " -> ") +
              fixed(after.get<double>(), 4) + "\n";
    }
  print(text, spoken_to);
  return 0;
}

int run_analysis(Options& o, const Share* share) {
  o.request.modalities = modalities_of(o);
  if (share)
    for (const auto& [name, pattern] : o.request.modalities)
      if (pattern[0] == '-' || pattern.rfind("/dev/stdin", 0) == 0)
        wrong("standard input reaches one process alone: give --", name, " as a file");
  std::vector<Condition> conditions;
  for (const std::string& text : o.fail_if) conditions.push_back(parse_condition(text));
  Scopes scopes;
  for (const auto& [name, pattern] : o.request.modalities) scopes.modalities.push_back(name);
  if (o.request.augmented) scopes.modalities = {"first", "second"};
  scopes.labels = !o.request.labels.empty(), scopes.index = !o.request.index.empty();
  scopes.judgements = !o.request.qrels.empty();
  scopes.expect_distinct();
  scopes.expect(conditions);
  o.request.opened = [&](const std::vector<Source>& sources) {
    for (const Source& s : sources) scopes.widths.push_back(s.cols());
    scopes.unpaired =
        sources.size() == 2 && sources[0].rows() != sources[1].rows() && !scopes.index;
    scopes.expect(conditions);
  };
  OutputFiles files;
  for (const auto& [name, pattern] : o.request.modalities) protect_inputs(files, {pattern});
  if (leads(share)) {
    protect_inputs(files, {o.request.labels, o.request.names, o.request.pictures, o.request.index,
                           o.request.qrels, o.request.query_ids, o.request.document_ids});
    for (const std::string& text : o.request.neighbours) {
      const NeighbourOption given = parse_neighbours(text);
      protect_inputs(files, {given.ids, given.cosines});
    }
    files.plan(o.json);
    files.plan(o.report);
    if (!o.csv.empty()) files.plan_folder(o.csv, {"metrics.csv", "spectrum.csv", "hubs.csv"});
    if (!o.lists.empty()) files.plan_folder(o.lists, list_names(scopes.modalities));
    if (!o.neighbours_out.empty())
      files.plan_folder(o.neighbours_out, neighbour_file_names(scopes.modalities));
  }
  if (o.map && o.report.empty()) wrong("--map is drawn in the report: give --report too");
  if (o.map || !o.lists.empty() || !o.neighbours_out.empty())
    o.request.extras = std::make_shared<Extras>();
  if (!o.neighbours_out.empty()) o.request.extras->every_row_wanted = true;
  if (o.map) o.request.extras->rows_wanted = true;
  ProgressLine line;
  Progress progress(leads(share) ? line.watch() : Progress::Watch(), share);
  Analysis analysis = analyse(o.request, progress);
  Json& document = analysis.document;
  if (!o.json.empty() && leads(share)) files.write(o.json, json_text(document));
  if (o.map) add_map(document, *o.request.extras, o.request.seed, progress);  // of the page alone
  line.clear();
  if (!leads(share)) return 0;
  if (!o.report.empty()) {
    std::string title;
    const Json& all = document["modalities"];
    for (std::size_t m = 0; m < all.size(); ++m)
      title += (m == 0                ? ""
                : m + 1 == all.size() ? " and "
                                      : ", ") +
               all[m]["name"].get<std::string>();
    Json page = document;
    page.erase("per_row");  // the page draws none of it
    files.write(o.report, render_page("report.js", "Embeddings of " + title, page, analysis.atlas));
  }
  if (!o.csv.empty()) {
    files.folder(o.csv);
    files.write(o.csv + "/metrics.csv", metrics_csv(document));
    files.write(o.csv + "/spectrum.csv", spectrum_csv(document));
    files.write(o.csv + "/hubs.csv", hubs_csv(document));
  }
  if (!o.lists.empty()) write_tables(files, o.lists, list_tables(document, *o.request.extras));
  if (!o.neighbours_out.empty())
    write_tables(files, o.neighbours_out, neighbour_files(*o.request.extras));
  const int spoken_to = files.takes_standard_output() ? 2 : 1;
  files.commit();
  print(spoken(document), spoken_to);
  std::fprintf(stderr, "%.1f s\n", progress.seconds());
  return failed(failures(document, conditions));
}

/// The exit status. `share` is null where there is one process.
int run(int argc, char** argv, const Share* share) try {
  Options o = parse(argc, argv);
#if defined(_OPENMP)
  if (o.threads > 0) omp_set_num_threads(o.threads);
#endif
  if (share && (o.walk || o.repair || !o.drift.empty() || !o.compare.empty()))
    wrong(o.walk             ? "slerp-path"
          : o.repair         ? "fix"
          : !o.drift.empty() ? "--drift"
                             : "--compare",
          " is the work of one process: call spheremix-analyze");
  if (share && leads(share))
    std::fprintf(stderr, "%s, %s each\n", counted(share->size(), "rank").c_str(),
                 counted(spheremix::core::max_threads(), "thread").c_str());
  if (o.walk) return run_path(o);
  if (o.repair) return run_fix(o);
  if (!o.drift.empty()) return run_drift(o);
  if (!o.compare.empty()) return run_compare(o);
  return run_analysis(o, share);
} catch (const Asked& asked) {
  if (leads(share)) print(asked.text);
  return 0;
}

constexpr const char* kNoMemory = "not enough memory; --sample takes fewer rows at once";

}  // namespace

#if defined(SPHEREMIX_ANALYZE_MPI)
#include "mpi_main.hpp"
#else
int main(int argc, char** argv) {
#if defined(__GLIBC__)
  mallopt(M_MMAP_THRESHOLD, 4 << 20);  // large blocks go back when they are freed
#endif
  take_signals();
  try {
    return run(argc, argv, nullptr);
  } catch (const WrongInput& error) {
    complain(error.what());
    return 2;
  } catch (const spheremix::io::Error& error) {
    complain(error.what());
    return 2;
  } catch (const Interrupted&) {
    complain("interrupted, nothing written");
    end_by(interrupt_asked);
  } catch (const std::bad_alloc&) {
    complain(kNoMemory);
    return 1;
  } catch (const std::exception& error) {
    complain(error.what());
    return 1;
  }
}
#endif
