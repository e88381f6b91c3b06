// What the user asked for, and the whole analysis of it as one JSON document.
#pragma once

#include <functional>
#include <memory>

#include "extras.hpp"
#include "health.hpp"
#include "input.hpp"
#include "judged.hpp"
#include "neighbour_files.hpp"
#include "progress.hpp"
#include "tables.hpp"

namespace analyze {

struct Request {
  std::vector<std::pair<std::string, std::string>> modalities;  ///< name, file or pattern
  std::string labels, names, pictures, index;
  std::string qrels, query_ids, document_ids;  ///< judgements: rows need not be pairs then
  std::vector<std::string> neighbours;         ///< NAME=IDS,COSINES
  bool augmented = false;                      ///< one file: rows 2i and 2i + 1 are a pair
  Index exact_rows = 100000, sample = 20000;
  std::uint64_t seed = 1;
  double temperature = 0.07;
  std::string precision = "auto";
  std::shared_ptr<Extras> extras;           ///< filled where given
  std::vector<std::string> command, given;  ///< for the report: command line, options not default
  std::function<void(const std::vector<Source>&)> opened;  ///< called before the work; may throw
};

struct Analysis {
  Json document;
  Atlas atlas;
};

/// Whether the rows of two modalities are not pairs: numbers of rows that differ, with judgements.
inline bool unpaired(const std::vector<Source>& sources, const std::vector<Index>& index) {
  return index.empty() && sources.size() == 2 && sources[0].rows() != sources[1].rows();
}

/// Everything measured goes into `document`. T is the working precision.
template <class T>
void run(const Request& request, const std::vector<Source>& sources,
         const std::vector<Health>& healths, const std::vector<Index>& index,
         const std::vector<std::string>& labels, const std::vector<NeighbourFiles>& given,
         const Judgements& judgements, Json& document, Progress& progress);
extern template void run<float>(const Request&, const std::vector<Source>&,
                                const std::vector<Health>&, const std::vector<Index>&,
                                const std::vector<std::string>&, const std::vector<NeighbourFiles>&,
                                const Judgements&, Json&, Progress&);
extern template void run<double>(const Request&, const std::vector<Source>&,
                                 const std::vector<Health>&, const std::vector<Index>&,
                                 const std::vector<std::string>&,
                                 const std::vector<NeighbourFiles>&, const Judgements&, Json&,
                                 Progress&);

Analysis analyse(const Request& request, Progress& progress);

}  // namespace analyze
