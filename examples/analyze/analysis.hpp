// What the user asked for, and the whole analysis of it as one JSON document.
#pragma once

#include <memory>

#include "extras.hpp"
#include "health.hpp"
#include "input.hpp"
#include "progress.hpp"
#include "tables.hpp"

namespace analyze {

struct Request {
  std::vector<std::pair<std::string, std::string>> modalities;  ///< name, file or pattern
  std::string labels, names, pictures, index;
  bool augmented = false;  ///< one file: rows 2i and 2i + 1 are a pair
  Index exact_rows = 100000, sample = 20000;
  std::uint64_t seed = 1;
  double temperature = 0.07;
  std::string precision = "auto";
  std::shared_ptr<Extras> extras;           ///< filled where given
  std::vector<std::string> command, given;  ///< for the report: command line, options not default
};

struct Analysis {
  Json document;
  Atlas atlas;
};

/// Everything measured goes into `document`. T is the working precision.
template <class T>
void run(const Request& request, const std::vector<Source>& sources,
         const std::vector<Health>& healths, const std::vector<Index>& index,
         const std::vector<std::string>& labels, Json& document, Progress& progress);
extern template void run<float>(const Request&, const std::vector<Source>&,
                                const std::vector<Health>&, const std::vector<Index>&,
                                const std::vector<std::string>&, Json&, Progress&);
extern template void run<double>(const Request&, const std::vector<Source>&,
                                 const std::vector<Health>&, const std::vector<Index>&,
                                 const std::vector<std::string>&, Json&, Progress&);

Analysis analyse(const Request& request, Progress& progress);

}  // namespace analyze
