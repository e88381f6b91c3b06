// Fine-tunes two heads on 1,870 emoji pictures and their names: before / CLIP / CLIP + m2-Mix /
// CLIP + m3-Mix / a control without mixing, at three temperatures over random splits. Prints a
// table and what it says, and writes results.json and report.html.
//
//   spheremix-demo [--data DIR] [--out DIR] [--splits N] [--epochs N] [--seed N] [--threads N]
//
// Exit status: 0 done, 1 failed on the way, 2 a wrong option or path (one sentence, nothing
// written).
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <memory>

#include "progress.hpp"
#include "report.hpp"
#include "spheremix/core/parallel.hpp"

namespace {

using namespace demo;
namespace fs = std::filesystem;

struct Options {
  std::string data = SPHEREMIX_EXAMPLES_DIR "/data", out = "out";
  int threads = spheremix::core::max_threads();
  Plan plan;
};

/// Reads the command line. Exits with 0 after --help, with 2 and one sentence when it is wrong.
Options parse(int argc, char** argv) {
  Options o;
  CLI::App app(
      "Fine-tunes two heads on emoji pictures and their names, with and without mixing on the "
      "sphere.");
  app.add_option("--data", o.data, "folder with the arrays")->capture_default_str();
  app.add_option("--out", o.out, "folder for results.json and report.html")->capture_default_str();
  app.add_option("--splits", o.plan.splits, "random splits")
      ->check(CLI::Range(2, 1000))
      ->capture_default_str();
  app.add_option("--epochs", o.plan.epochs, "epochs a run")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_option("--seed", o.plan.seed, "what everything random follows from")
      ->capture_default_str();
  app.add_option("--m3-weight", o.plan.m3_weight, "weight of V-, L- and VL-Mix in m3-Mix")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--threads", o.threads, "runs at the same time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) std::exit(app.exit(error));
    std::cerr << "spheremix-demo: " << error.what() << '\n';
    std::exit(2);
  }
  return o;
}

/// All runs, several at a time; a line for every loss and temperature once its splits are done.
Results run_all(const Pairs& pairs, const Plan& plan, int threads) {
  Results results{plan, {}, {}, pairs.size(), threads, 0};
  for (const double tau : plan.temperatures)
    for (const LossName& l : losses) {
      Row row{l.loss, tau, {}, {}, {}, {}, {}};
      row.scores.resize(std::size_t(plan.splits));
      row.curves.resize(std::size_t(plan.splits));
      results.rows.push_back(std::move(row));
    }
  const auto trained = long(plan.temperatures.size() * (losses.size() - 1));
  Progress progress(trained * plan.splits * plan.epochs, "epochs");
  std::vector<int> left(results.rows.size(), plan.splits);
  std::mutex mutex;
  spheremix::core::parallel_for(
      Index(results.rows.size()) * plan.splits, threads, [&](Index task, int) {
        const auto which = std::size_t(task / plan.splits), split = std::size_t(task % plan.splits);
        Row& row = results.rows[which];
        Run done =
            run(pairs, plan, row.loss, row.temperature, int(split), [&] { progress.step(); });
        const Cosines cosines = cosines_of(done.image, done.text);
        const std::lock_guard lock(mutex);
        row.scores[split] = done.scores;
        row.curves[split] = std::move(done.curve);
        row.cosines.add(cosines);
        if (split == 0) {
          row.sphere = project(done.image, done.text);
          for (Index i = 0; i < done.image.rows(); ++i)
            row.pair_cosines.push_back(done.image.row(i).dot(done.text.row(i)));
          if (which == 0) results.held_out = std::move(done.held_out);
        }
        if (--left[which] > 0) return;
        progress.line("tau " + figure(row.temperature, 2) + "  " +
                      losses[std::size_t(row.loss)].name + ": R@1 " +
                      figure(estimate(recall1(row)), 3) + ", gap " +
                      figure(estimate(row.values(metric_index("gap"))), 2));
      });
  results.seconds = progress.seconds();
  return results;
}

void print_table(const Results& results) {
  std::printf("\n%-28s", "mean ± standard error");
  for (const char* column : {"R@1 i>t", "R@1 t>i", "R@10 i>t", "R@10 t>i", "gap", "align",
                             "rel.align", "unif.img", "unif.txt", "unif.joint", "ECE"})
    std::printf("%13s", column);
  for (const Row& row : results.rows) {
    if (row.loss == Loss::before) std::printf("\ntau = %s", figure(row.temperature, 2).c_str());
    const std::string name = losses[std::size_t(row.loss)].key == std::string("control")
                                 ? "control: CLIP + CLIP(.07)"
                                 : losses[std::size_t(row.loss)].name;
    std::printf("\n  %-26s", name.c_str());
    for (std::size_t m = 0; m < metrics.size(); ++m) {
      const std::string cell = figure(estimate(row.values(m)), metrics[m].digits);
      std::printf("%14s", cell.c_str());  // one byte more than wide: "±" has two
    }
  }
  std::printf("\n\n");
  for (const Finding& f : findings(results))
    std::printf("tau = %s  %s\n           %s\n", figure(f.temperature, 2).c_str(), f.shape.c_str(),
                f.recall.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  const fs::path out = options.out, data = options.data, atlas = data / "atlas_48px_55x34.png";
  Pairs pairs;
  try {
    pairs = load_pairs(data);
    if (!fs::is_regular_file(atlas)) throw std::runtime_error("no file " + atlas.string());
    if (pairs.size() - pairs.size() / 4 < options.plan.batch)
      throw std::runtime_error(data.string() + " holds too few pairs for a batch of " +
                               std::to_string(options.plan.batch));
    fs::create_directories(out);
    write_file(out / "writable", "");  // or it fails now, not after the training
    fs::remove(out / "writable");
  } catch (const std::exception& error) {
    std::cerr << "spheremix-demo: " << error.what() << '\n';
    return 2;
  }
  try {
    const Results results = run_all(pairs, options.plan, options.threads);
    print_table(results);
    const Json json = to_json(results, pairs);
    write_file(out / "results.json", lines(json));
    write_file(out / "report.html", render(SPHEREMIX_EXAMPLES_DIR "/demo", atlas, json.dump()));
    std::printf("\n%.0f s. %s and %s\n", results.seconds, (out / "results.json").c_str(),
                (out / "report.html").c_str());
  } catch (const std::exception& error) {
    std::cerr << "spheremix-demo: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
