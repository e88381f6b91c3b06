// How many mixed negatives are at least as hard as the ones they stand for.
//
//   hardness(X, Y, M) = share of pairs i != j with x_i . m_j >= x_i . y_j
//
// M: row j is a mixture of x_j and y_j, the geodesic one m_lambda(x_j, y_j) when lambda is given
// (weight lambda on x_j). For the other anchors: hardness(Y, X, M). For unit rows and the geodesic
// mixture the pair is harder exactly when
//
//   x_i . x_j >= kappa x_i . y_j,   kappa = cos((1 - lambda/2) theta_j) / cos(lambda theta_j / 2)
//
// One product: the sign of x_i . (m_j - y_j), with the difference taken first.
//
// Shapes  X, Y, M: N x d, N >= 2.
// Errors  shapes that differ, N < 2, a row with NaN or infinity (named): std::invalid_argument.
// [Oh et al. 2023, arXiv 2203.03897]
#pragma once

#include <atomic>

#include "spheremix/metrics/detail/row_checks.hpp"
#include "spheremix/metrics/detail/tiles.hpp"
#include "spheremix/mixup/geodesic.hpp"
#include "spheremix/pairwise/shares.hpp"

namespace spheremix::metrics {

namespace detail {

template <class T>
double count_harder(core::MatrixView<const T> x, core::MatrixView<const T> step,
                    const core::Share* share) {
  std::atomic<Index> harder{0};
  for_product_tiles(
      x, step, false,
      [&](Index i, Index j, core::MatrixView<T> tile, int) {
        Index count = 0;
        for (Index r = 0; r < tile.rows; ++r) {
          const T* s = tile.row(r);
          count += SPHEREMIX_DISPATCH(count_at_least<T>)(s, tile.cols, T(0), nullptr, nullptr);
          if (i + r >= j && i + r < j + tile.cols) count -= s[i + r - j] >= 0;
        }
        harder += count;
      },
      share);
  double all = double(harder.load());
  if (share) share->add(&all, 1);
  const double n = double(x.rows);
  return all / (n * (n - 1));
}

template <class T>
double hardness(core::MatrixView<const T> x, core::MatrixView<const T> y,
                core::MatrixView<const T> m, const core::Share* share) {
  check_pairs("hardness", x, y, 2);
  check_pairs("hardness", x, m, 2);
  RowMatrix<T> step(x.rows, x.cols);
  for (Index i = 0; i < step.rows(); ++i)
    for (Index k = 0; k < step.cols(); ++k) step(i, k) = m(i, k) - y(i, k);
  return count_harder<T>(x, core::rows_of(step), share);
}

}  // namespace detail

/// Share of i != j with x_i . m_j >= x_i . y_j, for mixtures M of any kind.
template <class X, class Y, class M>
[[nodiscard]] double hardness(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                              const Eigen::MatrixBase<M>& m) {
  using T = core::Real<X>;
  const core::InputRows<T> xs(x), ys(y), ms(m);
  return detail::hardness<T>(xs.view(), ys.view(), ms.view(), nullptr);
}

/// The same for geodesic mixtures of the pairs with weight lambda in [0, 1] on X.
template <class X, class Y>
[[nodiscard]] double hardness(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                              double lambda) {
  return hardness(x, y, mixup::geodesic(x, y, lambda));
}

/// Over several processes: of the rows of all ranks, the same on every rank.
template <class X, class Y, class M, core::Communicator World>
[[nodiscard]] double hardness(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                              const Eigen::MatrixBase<M>& m, World& world) {
  using T = core::Real<X>;
  return pairwise::value_of_shares(
      "hardness", world, core::NoOptions{},
      [&](const core::Share* share, const RowMatrix<T>& all_x, const RowMatrix<T>& all_y,
          const RowMatrix<T>& all_m) {
        return detail::hardness(core::rows_of(all_x), core::rows_of(all_y), core::rows_of(all_m),
                                share);
      },
      x, core::paired(y), core::paired(m));
}

template <class X, class Y, core::Communicator World>
[[nodiscard]] double hardness(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                              double lambda, World& world) {
  using T = core::Real<X>;
  return pairwise::value_of_shares(
      "hardness", world, core::NoOptions{},
      [&](const core::Share* share, const RowMatrix<T>& all_x, const RowMatrix<T>& all_y,
          double one) {
        const RowMatrix<T> mixed = mixup::geodesic(all_x, all_y, one);
        return detail::hardness(core::rows_of(all_x), core::rows_of(all_y), core::rows_of(mixed),
                                share);
      },
      x, core::paired(y), core::per_row(lambda));
}

}  // namespace spheremix::metrics
