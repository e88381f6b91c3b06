// Labels of several dimensions, by how far apart they are: a table of distances that sup_remix and
// rank_n_contrast take in place of labels.
//
//   sup_remix(X, label_distances(Y, [](const auto& a, const auto& b) { return (a - b).norm(); }), ...)
//
// Shapes     Y: n x p, any scalars; distance(row, row): a number. Or an n x n table of the caller's.
// Errors     a table that is not square; a distance that is negative or not finite.
#pragma once

#include <utility>

#include "spheremix/core/eigen.hpp"
#include "spheremix/core/numbers.hpp"

namespace spheremix::losses {

/// Distances of n labels, row i those from label i.
class LabelDistances {
 public:
  explicit LabelDistances(RowMatrix<double> table) : table_(std::move(table)) {
    core::expects(table_.rows() == table_.cols(), "label_distances", "the table is ", table_.rows(),
                  " x ", table_.cols(), ", not square");
    for (Index i = 0; i < table_.rows(); ++i)
      for (Index k = 0; k < table_.cols(); ++k)
        core::expects(table_(i, k) >= 0 && table_(i, k) <= core::largest<double>, "label_distances",
                      "the distance of labels ", i, " and ", k, " is ", table_(i, k),
                      ", not a finite number >= 0");
  }
  Index size() const { return table_.rows(); }
  core::MatrixView<const double> view() const { return core::rows_of(table_); }

 private:
  RowMatrix<double> table_;
};

namespace detail {

/// What labels are taken for: a table of distances, or numbers.
template <class Y>
using GivenLabels =
    std::conditional_t<std::is_same_v<Y, LabelDistances> || std::is_same_v<Y, core::Numbers>,
                       const Y&, const core::Numbers>;

}  // namespace detail

/// By a function of two labels, rows of Y.
template <class Y, class Distance>
[[nodiscard]] LabelDistances label_distances(const Eigen::MatrixBase<Y>& labels,
                                             const Distance& distance) {
  const typename Y::PlainObject y = labels;
  RowMatrix<double> table(y.rows(), y.rows());
  for (Index i = 0; i < y.rows(); ++i)
    for (Index k = 0; k < y.rows(); ++k) table(i, k) = double(distance(y.row(i), y.row(k)));
  return LabelDistances(std::move(table));
}

/// The caller's own table, n x n.
template <class D>
[[nodiscard]] LabelDistances label_distances(const Eigen::MatrixBase<D>& table) {
  return LabelDistances(table.template cast<double>());
}

}  // namespace spheremix::losses
