// Nearest rows in files, in the form that faiss has for them: D, I = index.search(x, k).
//
//   ids       N x k of i8 or i4   row numbers of the same set, -1 where there is none
//   cosines   N x k, f4 mostly    x_i . x_j of rows of length 1, each row's in decreasing order
//
// A row may stand among its own nearest, at any place, and is left out. What is written has neither
// the row itself nor rows that cannot be used; rows that were not analysed have -1 throughout.
#pragma once

#include "extras.hpp"
#include "input.hpp"

namespace analyze {

/// --neighbours NAME=IDS,COSINES.
struct NeighbourOption {
  std::string name, ids, cosines;
};
NeighbourOption parse_neighbours(const std::string& text);

/// The files of one set, opened; their numbers are not read yet.
class NeighbourFiles {
 public:
  /// Throws where the set is none of `sources`, or the files are not two tables of its rows.
  NeighbourFiles(const NeighbourOption& option, const std::vector<Source>& sources);

  const std::string& name() const { return ids_.name(); }
  const Source& ids() const { return ids_; }
  const Source& cosines() const { return cosines_; }

  /// One sentence about one of the two files.
  template <class... Parts>
  [[noreturn]] void refuse(const Source& file, const Parts&... parts) const {
    wrong("--neighbours ", name(), ": ", file.pattern(), ": ", parts...);
  }

 private:
  Source ids_, cosines_;
};

/// Throws where a set is named twice.
std::vector<NeighbourFiles> open_neighbours(const std::vector<std::string>& options,
                                            const std::vector<Source>& sources);

/// Names of files and their bytes: NAME_ids.npy (i8) and NAME_cosines.npy (f4).
std::vector<std::string> neighbour_file_names(const std::vector<std::string>& modalities);
std::vector<std::pair<std::string, std::string>> neighbour_files(const Extras& extras);

}  // namespace analyze
