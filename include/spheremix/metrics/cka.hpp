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

#include "spheremix/core/whole.hpp"
#include "spheremix/metrics/spectrum.hpp"

namespace spheremix::metrics {

template <class X, class Y>
[[nodiscard]] double linear_cka(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y) {
  using T = core::Real<X>;
  constexpr auto* name = "linear_cka";
  const core::InputRows<T> rows_x(x), rows_y(y);
  core::expects(x.rows() == y.rows() && x.rows() >= 2, name, "X has ", x.rows(), " rows and Y ",
                y.rows(), ": the same number, at least two, is needed");
  detail::finite_norm(name, "X", rows_x.view());
  detail::finite_norm(name, "Y", rows_y.view());
  const RowMatrix<double> a = detail::wide_rows(rows_x.view(), true),
                          b = detail::wide_rows(rows_y.view(), true);
  double cross, own_x, own_y;
  if (x.rows() >= (std::max)(x.cols(), y.cols())) {
    cross = detail::wide_product(b, a, true).squaredNorm();
    own_x = detail::wide_product(a, a, true).norm();
    own_y = detail::wide_product(b, b, true).norm();
  } else {
    const RowMatrix<double> k = detail::wide_product(a, a, false),
                            l = detail::wide_product(b, b, false);
    cross = k.cwiseProduct(l).sum();
    own_x = k.norm();
    own_y = l.norm();
  }
  core::expects(own_x > 0 && own_y > 0, name, own_x > 0 ? "Y" : "X", " has equal rows only");
  return cross / (own_x * own_y);
}

/// Over several processes: of the rows of all ranks, the same on every rank.
template <class X, class Y, core::Communicator World>
[[nodiscard]] double linear_cka(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                World& world) {
  return core::value_of_whole(
      "linear_cka", world, core::NoOptions{},
      [&](const auto&... all) { return linear_cka(all...); }, x, core::paired(y));
}

}  // namespace spheremix::metrics
