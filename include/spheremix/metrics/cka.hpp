// Linear centred kernel alignment: how alike two representations of the same items are, whatever
// rotation and scale.
//
//   linear_cka(X, Y) = |Yc^T Xc|_F^2 / ( |Xc^T Xc|_F |Yc^T Yc|_F ),  Xc = X less its mean row
//
// In [0, 1]; 1 for Y = a X Q + 1 b^T with Q orthogonal.
//
// Shapes   X: N x d, Y: N x e, N >= 2: row i of both is item i.
// Errors   numbers of rows that differ, N < 2, all rows equal, a row with NaN or infinity (named).
// Cost     2 N (d^2 + d e + e^2) flops in double, or 4 N^2 (d + e) where N < max(d, e).
// Source   Kornblith et al. 2019, "Similarity of Neural Network Representations Revisited", arXiv
//          1905.00414, section 3.
#pragma once

#include "spheremix/metrics/detail/row_checks.hpp"
#include "spheremix/metrics/spectrum.hpp"
#include "spheremix/pairwise/shares.hpp"

namespace spheremix::metrics {

namespace detail {

template <class T>
double linear_cka(core::MatrixView<const T> x, core::MatrixView<const T> y,
                  const core::Share* share) {
  constexpr auto* name = "linear_cka";
  core::expects(x.rows == y.rows && x.rows >= 2, name, "X has ", x.rows, " rows and Y ", y.rows,
                ": the same number, at least two, is needed");
  finite_norm(name, "X", x);
  finite_norm(name, "Y", y);
  const RowMatrix<double> a = wide_rows(x, true), b = wide_rows(y, true);
  double cross, own_x, own_y;
  if (x.rows >= (std::max)(x.cols, y.cols)) {
    cross = wide_product(b, a, true, share).squaredNorm();
    own_x = wide_product(a, a, true, share).norm();
    own_y = wide_product(b, b, true, share).norm();
  } else {
    const RowMatrix<double> k = wide_product(a, a, false, share),
                            l = wide_product(b, b, false, share);
    cross = k.cwiseProduct(l).sum();
    own_x = k.norm();
    own_y = l.norm();
  }
  core::expects(own_x > 0 && own_y > 0, name, own_x > 0 ? "Y" : "X", " has equal rows only");
  return cross / (own_x * own_y);
}

}  // namespace detail

template <class X, class Y>
[[nodiscard]] double linear_cka(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y) {
  using T = core::Real<X>;
  const core::InputRows<T> rows_x(x), rows_y(y);
  return detail::linear_cka(rows_x.view(), rows_y.view(), nullptr);
}

/// Over several processes: of the rows of all ranks, the same on every rank.
template <class X, class Y, core::Communicator World>
[[nodiscard]] double linear_cka(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                World& world) {
  using T = core::Real<X>;
  return pairwise::value_of_shares(
      "linear_cka", world, core::NoOptions{},
      [&](const core::Share* share, const RowMatrix<T>& all_x, const RowMatrix<T>& all_y) {
        return detail::linear_cka(core::rows_of(all_x), core::rows_of(all_y), share);
      },
      x, core::paired(y));
}

}  // namespace spheremix::metrics
