// What goes beside the document where it is asked for: the rows of the full lists and of a map.
#pragma once

#include "common.hpp"

namespace analyze {

/// One modality. Row numbers are those of the file.
struct RowLists {
  std::string modality;
  std::vector<Index> not_finite, zero;
  std::vector<std::uint64_t> hashes;  ///< of every row's numbers
  std::vector<bool> good;             ///< rows that can be used
  std::vector<Index> ids;             ///< analysed rows
  Index k = 0;                        ///< nearest others known of each of the rows `asked`
  std::vector<Index> asked, nearest;  ///< ids, or all; k numbers a row, -1 where there are fewer
  std::vector<float> cosines;
  std::vector<Index> near;  ///< of each analysed row, the first row of its near-duplicates' group
  std::vector<std::pair<Index, double>> outliers, representative;  ///< rows with their scores
  Json suspects;
};

struct Extras {
  bool rows_wanted = false;       ///< for a map
  bool every_row_wanted = false;  ///< nearest rows of a sample will not do
  std::vector<RowLists> modalities;
  std::vector<RowMatrix<float>> rows;  ///< unit, where wanted
  std::vector<std::string> names, labels;
};

/// `all`: the modalities after their sweeps.
template <class Modalities>
void take_extras(const Modalities& all, Extras& extras) {
  for (const auto& m : all) {
    const auto& health = *m.health;
    RowLists list;
    list.modality = m.name(), list.ids = m.ids, list.hashes = health.hashes,
    list.good = health.good;
    RowMatrix<double> row(1, m.source->cols());
    for (Index i = 0; i < m.source->rows(); ++i) {
      if (health.good[at(i)]) continue;
      m.source->read(i, 1, row.data());
      (row.allFinite() ? list.zero : list.not_finite).push_back(i);
    }
    for (const Index top : m.near_group) list.near.push_back(m.ids[at(top)]);
    list.outliers = m.outliers, list.representative = m.representative, list.suspects = m.suspects;
    if (m.top) {
      list.k = m.top->k(), list.asked = m.asked;
      for (Index i = 0; i < Index(m.asked.size()); ++i)
        for (Index p = 0; p < list.k; ++p) {
          const Index j = m.top->id(i, p);
          list.nearest.push_back(j < 0 ? -1 : m.asked[at(j)]);
          list.cosines.push_back(j < 0 ? 0 : float(m.top->value(i, p)));
        }
    }
    extras.modalities.push_back(std::move(list));
    if (extras.rows_wanted) extras.rows.push_back(m.rows.template cast<float>());
  }
}

}  // namespace analyze
