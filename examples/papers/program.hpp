// What the papers' programs share: the command line, the exit status, and where the JSON goes.
//
//   spheremix-papers-NAME [--data DIR] [--out DIR] [--seeds N] [--epochs N] [--threads N]
//                         [--texts feat,minilm]
//
// Exit status: 0 done, 1 failed on the way, 2 a wrong option or path (one sentence, nothing
// written).
#pragma once

#include <CLI/CLI.hpp>
#include <iostream>

#include "spheremix/core/version.hpp"
#include "table.hpp"
#include "texts.hpp"

namespace papers {

struct Options {
  std::string data = SPHEREMIX_EXAMPLES_DIR "/data", out = "out";
  int seeds = 8, epochs = 0, threads = spheremix::core::max_threads();
  std::vector<std::string> texts;  ///< encoders of the texts, by name
};

/// Prints the sentences, one a line, and returns them for the JSON.
inline Json conclude(const std::vector<std::string>& sentences) {
  std::printf("\n");
  for (const std::string& s : sentences) std::printf("%s\n", s.c_str());
  return sentences;
}

/// study(task, options) -> Reading for the tasks of the chosen texts: their tables and sentences,
/// where two were chosen how they agree, then `last`, added to the JSON.
template <class Task, class Study>
Json of_texts(const std::vector<Task>& tasks, const Options& o, const Study& study, Json json,
              const std::vector<std::string>& last = {}) {
  std::vector<std::string> names, sentences;
  std::vector<Reading> readings;
  json["tables"] = Json::array();
  for (const Task& task : tasks) {
    if (std::find(o.texts.begin(), o.texts.end(), task.texts) == o.texts.end()) continue;
    names.push_back(task.texts);
    readings.push_back(study(task, o));
    for (const Json& table : readings.back().tables) json["tables"].push_back(table);
    for (const std::string& s : readings.back().sentences)
      sentences.push_back(task.texts + ": " + s);
  }
  if (readings.size() == 2)
    sentences.push_back(agreement(names[0], readings[0].told, names[1], readings[1].told));
  sentences.insert(sentences.end(), last.begin(), last.end());
  json["texts"] = names;
  json["findings"] = conclude(sentences);
  return json;
}

/// The whole program `name`: run(load(data folder), options) -> JSON, written to out/name.json.
/// What load throws is a wrong path (2), what run throws a failure (1). `epochs` is the default of
/// --epochs, which is not offered for 0; --texts is offered where `texts` says that there are two.
template <class Load, class Run>
int program(int argc, char** argv, const std::string& name, const std::string& summary,
            const Load& load, const Run& run, int epochs = 0, bool texts = false) {
  namespace fs = std::filesystem;
  Options o;
  o.epochs = epochs;
  CLI::App app(summary);
  app.add_option("--data", o.data, "folder with the arrays")->capture_default_str();
  app.add_option("--out", o.out, "folder for " + name + ".json")->capture_default_str();
  app.add_option("--seeds", o.seeds, "random splits, first weights and batches")
      ->check(CLI::Range(2, 1000))
      ->capture_default_str();
  if (epochs > 0)
    app.add_option("--epochs", o.epochs, "epochs a run")
        ->check(CLI::Range(1, 100000))
        ->capture_default_str();
  if (texts) {
    for (const TextEncoder& encoder : text_encoders) o.texts.push_back(encoder.name);
    app.add_option("--texts", o.texts, "encoders of the texts")
        ->delimiter(',')
        ->check(CLI::IsMember(o.texts))
        ->capture_default_str();
  }
  app.add_option("--threads", o.threads, "runs at the same time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  const auto complain = [&](const std::exception& error, int status) {
    std::cerr << "spheremix-papers-" << name << ": " << error.what() << '\n';
    return status;
  };
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return error.get_exit_code() == 0 ? app.exit(error) : complain(error, 2);
  }
  const fs::path path = fs::path(o.out) / (name + ".json");
  const auto start = [&] {
    auto data = load(fs::path(o.data));
    fs::create_directories(o.out);
    demo::write_file(fs::path(o.out) / "writable", "");  // or it fails now, not after the training
    fs::remove(fs::path(o.out) / "writable");
    return data;
  };
  decltype(load(fs::path())) data;
  try {
    data = start();
  } catch (const std::exception& error) {
    return complain(error, 2);
  }
  try {
    const demo::Progress clock(0, "");
    Json json = run(data, o);
    json["version"] = SPHEREMIX_VERSION;
    json["seeds"] = o.seeds;
    json["seconds"] = std::round(clock.seconds() * 10) / 10;
    demo::write_file(path, demo::lines(json));
    std::printf("\n%.0f s. %s\n", clock.seconds(), path.c_str());
  } catch (const std::exception& error) {
    return complain(error, 1);
  }
  return 0;
}

}  // namespace papers
