// The rotation that brings one batch onto another.
//
//   Q = U V^T where Y^T X = U S V^T: of all orthogonal Q, |Y Q - X| is least
//
// Rows are pairs. Fitted on half of them and tried on the other half, it tells whether one space is
// a rotation of the other: a fit on d or fewer pairs is perfect and proves nothing.
// [Schoenemann 1966, "A generalized solution of the orthogonal Procrustes problem"]
#pragma once

#include <array>

#include "bootstrap.hpp"

namespace analyze {

/// Q for rows of y onto rows of x.
Eigen::MatrixXd procrustes(const RowMatrix<double>& y, const RowMatrix<double>& x);

/// Each half of the rows turned by the rotation fitted on the other half, in the rows' order.
struct HeldOut {
  RowMatrix<double> turned;
  std::array<std::vector<Index>, 2> halves;

  HeldOut(const RowMatrix<double>& y, const RowMatrix<double>& x, std::uint64_t seed);

  /// R@1 of x asking the turned rows, each half among itself, and what chance would find.
  std::pair<double, double> recall(const RowMatrix<double>& x) const;
};

}  // namespace analyze
