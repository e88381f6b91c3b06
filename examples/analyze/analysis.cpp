// The order of the work: open and check everything, measure, name what is shown, judge.
#include "analysis.hpp"

#include <set>

#include "analyse_rows.hpp"
#include "curves.hpp"
#include "findings.hpp"
#include "judge.hpp"
#include "provenance.hpp"
#include "spheremix/core/version.hpp"
#include "spheremix/pairwise/isa.hpp"

namespace analyze {
namespace {

constexpr double kNarrow = 0.9;  ///< mean cosine above which the arithmetic is double

std::vector<Source> open_sources(const Request& r) {
  std::vector<Source> sources;
  std::size_t piped = 0;
  for (const auto& [name, pattern] : r.modalities)
    piped += pattern[0] == '-' || pattern.rfind("/dev/stdin", 0) == 0;
  if (piped > 1) wrong("standard input can be read once, and ", piped, " modalities name it");
  if (r.augmented) {
    if (r.modalities.size() != 1)
      wrong("--augmented takes one modality, and there are ", r.modalities.size());
    for (const Index half : {0, 1}) {
      sources.emplace_back(half == 0 ? "first" : "second", r.modalities[0].second);
      if (sources.back().rows() % 2 != 0)
        wrong(r.modalities[0].second, ": ", sources.back().rows(), " rows, which are not pairs");
      sources.back().keep_every(2, half);
    }
    return sources;
  }
  for (const auto& [name, pattern] : r.modalities) sources.emplace_back(name, pattern);
  const Source& first = sources.front();
  for (const Source& s : sources) {
    if (s.rows() != first.rows() && r.index.empty() && r.qrels.empty())
      wrong(first.pattern(), " is ", first.rows(), " x ", first.cols(), " but ", s.pattern(),
            " is ", s.rows(), " x ", s.cols(), ": pairs need as many rows, or --index");
  }
  return sources;
}

/// Throws where another process reads other files under the same names, or another --index.
void expect_same_files(const std::vector<Source>& sources, const Request& r,
                       const std::vector<Index>& index, const Share* share) {
  std::vector<double> facts;
  std::vector<std::string> names;
  for (const Source& s : sources)
    for (std::size_t p = 0; p < s.parts().size(); ++p) {
      const Bytes& bytes = s.parts()[p].bytes();
      facts.insert(facts.end(), {double(s.rows()), double(s.cols()), double(bytes.size()),
                                 double(s.parts().size())});
      names.push_back(s.files()[p]);
    }
  // Other numbers of shards would be other numbers of facts.
  double count = double(facts.size());
  from_others(share, std::vector<double>{count}.data(), 1, 1, [&](Index, const double* other) {
    if (*other != count)
      wrong(sources[0].pattern(), " and the rest are not as many files for every process");
  });
  from_others(share, std::vector<double>(facts).data(), Index(names.size()), 4,
              [&](Index i, const double* other) {
                if (!std::equal(other, other + 4, facts.data() + 4 * i))
                  wrong(names[at(i)], ": is not the same file for every process");
              });
  from_others(share, std::vector<Index>(index).data(), Index(index.size()), 1,
              [&](Index j, const Index* other) {
                if (*other != index[at(j)])
                  wrong(r.index, ": is not the same file for every process");
              });
}

/// Throws where 64 rows, spread over the file, are others than the process read whose they are.
void expect_same_rows(const Source& source, const Health& health, const Share* share) {
  if (!share) return;
  std::vector<Index> ids;
  for (Index k = 0; k < 64; ++k)
    if (const Index i = k * (source.rows() - 1) / 63; ids.empty() || ids.back() < i)
      ids.push_back(i);
  const RowMatrix<double> rows = source.gather<double>(ids);
  std::vector<double> unit(at(source.cols()));
  for (std::size_t k = 0; k < ids.size(); ++k) {
    const double* row = rows.row(Index(k)).data();
    const bool good = detail::unit_row(row, source.cols(), unit.data()) > 0;
    if (good != health.good[at(ids[k])] ||
        (good && detail::hash_row(row, source.cols()) != health.hashes[at(ids[k])]))
      wrong(source.pattern(), ": row ", ids[k], " is not the same for every process");
  }
}

/// Date, command and files.
Json provenance_of(const Request& r, const std::vector<Source>& sources,
                   const std::vector<NeighbourFiles>& given) {
  std::set<std::string> seen;
  std::vector<std::string> paths;
  const auto add = [&](const std::string& path) {
    if (seen.insert(path).second) paths.push_back(path);
  };
  for (const Source& s : sources)
    for (std::size_t p = 0; p < s.files().size(); ++p)
      if (!s.parts()[p].bytes().in_memory() || s.files()[p] != s.name()) add(s.files()[p]);
  for (const NeighbourFiles& files : given)
    for (const Source* s : {&files.ids(), &files.cosines()})
      for (const std::string& file : s->files()) add(file);
  for (const std::string& spec :
       {r.labels, r.names, r.pictures, r.index, r.qrels, r.query_ids, r.document_ids})
    if (!spec.empty()) add(column_file(spec));
  std::vector<Json> files(paths.size());
  spheremix::core::parallel_for(Index(paths.size()), spheremix::core::max_threads(),
                                [&](Index i, int) { files[at(i)] = described_file(paths[at(i)]); });
  return {{"date", now_utc()}, {"command", shared_command(r.command)}, {"files", files}};
}

std::string how_to_turn(const std::string& pattern) {
  const Spec spec = split_spec(pattern);
  const std::string name = std::filesystem::path(spec.path).filename().string(),
                    given = name + (spec.what.empty() ? "" : ":" + spec.what);
  if (ends_with(spec.path, ".fbin"))
    return "give the file as " + name + ":T; where the header has its two numbers the wrong way " +
           "round, as " + name + ":swapped.";
  if (ends_with(spec.path, ".npy") || ends_with(spec.path, ".npz"))
    return "give the file as " + given + ":T.";
  return "save " + given + " the other way round.";
}

/// Fewer rows than numbers in each: a sentence that asks whether the embeddings are the columns.
void ask_about_shapes(const std::vector<Source>& sources, Json& document) {
  for (const Source& s : sources)
    if (s.rows() < s.cols())
      document["readings"].push_back(
          {{"level", "look"},
           {"scope", s.name()},
           {"key", "shape"},
           {"text", s.name() + ": " + counted(s.rows(), "row") + " of " + with_commas(s.cols()) +
                        " numbers, fewer rows than numbers in each; where the embeddings are the "
                        "columns, " +
                        how_to_turn(s.pattern())}});
}

/// Names and labels of every row that the document mentions.
void collect_ids(const Json& json, std::set<Index>& ids) {
  if (json.is_object())
    for (const auto& [key, value] : json.items()) {
      if ((key == "id" || key == "query" || key == "answer") && value.is_number_integer())
        ids.insert(value.get<Index>());
      if ((key == "ids" || key == "first") && value.is_array())
        for (const Json& id : value)
          if (id.is_number_integer() && id >= 0) ids.insert(id.get<Index>());
      collect_ids(value, ids);
    }
  else if (json.is_array())
    for (const Json& value : json) collect_ids(value, ids);
}

}  // namespace

Analysis analyse(const Request& r, Progress& progress) {
  return analyse_rows(r, open_sources(r), progress);
}

Analysis analyse_rows(const Request& r, std::vector<Source> sources, Progress& progress) {
  Analysis analysis;
  Json& document = analysis.document;
  const Index rows = sources.front().rows();
  std::vector<Index> index;
  if (!r.index.empty()) {
    if (sources.size() != 2 || r.augmented)
      wrong("--index takes two modalities, and there are ", sources.size());
    index = read_index(r.index, rows, sources[1].rows());
  }
  Judgements judgements;
  if (!r.qrels.empty()) {
    if (sources.size() != 2 || r.augmented)
      wrong("--qrels takes two modalities, and there are ", sources.size());
    if (sources[0].cols() != sources[1].cols())
      wrong(sources[0].pattern(), ": rows of ", sources[0].cols(), " numbers where ",
            sources[1].pattern(), " has ", sources[1].cols(), ": no cosine joins what is judged");
    const auto ids = [](const std::string& spec, Index count) {
      return spec.empty() ? std::vector<std::string>() : read_column(spec, count);
    };
    judgements = read_qrels(r.qrels, ids(r.query_ids, rows), rows,
                            ids(r.document_ids, sources[1].rows()), sources[1].rows());
  }
  const std::vector<NeighbourFiles> given = open_neighbours(r.neighbours, sources);
  if (r.opened) r.opened(sources);
  std::vector<Source> read = sources;
  for (const NeighbourFiles& files : given) read.insert(read.end(), {files.ids(), files.cosines()});
  expect_same_files(read, r, index, progress.share());
  const Index named = r.augmented ? 2 * rows : rows;
  std::vector<std::string> labels, names;
  if (!r.labels.empty()) labels = read_column(r.labels, named);
  if (!r.names.empty()) names = read_column(r.names, named);
  if (r.augmented)
    for (auto* list : {&labels, &names})
      for (std::size_t i = 0; 2 * i < list->size(); ++i) (*list)[i] = (*list)[2 * i];
  if (!r.pictures.empty()) analysis.atlas = read_atlas(r.pictures, rows);

  std::vector<Health> healths;
  for (const Source& source : sources) {
    healths.push_back(inspect(source, progress));
    expect_same_rows(source, healths.back(), progress.share());
  }
  bool twice = r.precision == "double";
  if (r.precision == "auto") {
    bool few = true, narrow = false;  // differences of cosines in a narrow cone are small
    for (const Source& s : sources) few &= s.rows() <= 8192;
    for (const Health& h : healths) narrow |= h.mean.squaredNorm() > kNarrow;
    twice = few || narrow;
  }
  document["tool"] = "spheremix-analyze";
  document["version"] = SPHEREMIX_VERSION;
  document["settings"] = {{"precision", twice ? "double" : "single"},
                          {"exact_rows", r.exact_rows},
                          {"sample", r.sample},
                          {"curve_rows", kCurveRows},
                          {"curve_sample", kCurveSample},
                          {"seed", r.seed},
                          {"temperature", r.temperature},
                          {"threads", spheremix::core::max_threads()},
                          {"instructions", spheremix::pairwise::isa_name()},
                          {"given", r.given}};
  if (progress.share()) document["settings"]["processes"] = progress.share()->size();
  if (leads(progress.share())) document["run"] = provenance_of(r, sources, given);
  document["readings"] = Json::array();
  document["modalities"] = Json::array();
  document["metrics"] = Json::array();
  if (twice)
    run<double>(r, sources, healths, index, labels, given, judgements, document, progress);
  else
    run<float>(r, sources, healths, index, labels, given, judgements, document, progress);
  if (!leads(progress.share())) return analysis;  // of another process: its part is done

  std::set<Index> ids;
  collect_ids(document, ids);
  document["items"] = Json::object();
  // Whether rows of the two modalities are different things.
  const bool own_names = !index.empty() || unpaired(sources, index);
  for (const Index i : ids) {
    if (i >= rows) continue;
    Json item = Json::object();
    if (!names.empty()) item["name"] = names[at(i)].substr(0, 200);
    if (!labels.empty()) item["label"] = labels[at(i)].substr(0, 100);
    if (!item.empty()) document["items"][std::to_string(i)] = item;
  }
  for (Json& m : document["modalities"])
    for (Json& file : m["files"]) file = shared_name(file);
  document["named_modality"] = own_names ? Json(sources[0].name()) : Json();
  document["settings"]["seconds"] = std::round(progress.seconds() * 10) / 10;
  ask_about_shapes(sources, document);
  judge(document);
  gather_findings(document);
  if (r.extras != nullptr) r.extras->names = std::move(names), r.extras->labels = std::move(labels);
  return analysis;
}

}  // namespace analyze
