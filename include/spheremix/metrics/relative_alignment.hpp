// How much closer the own partner is than the nearest other one.
//
//   relative_alignment(X, Y) = mean_i ( |x_i - y_i|^2 - min_{k != i} |x_i - y_k|^2 )
//
// For unit rows 2 mean_i ( max_{k != i} x_i . y_k - x_i . y_i ). Negative: on average the own
// partner is nearest. The nearest is looked for among products of centred rows in T; the two
// distances are then taken in double.
//
// Shapes  X, Y: N x d, row i of one belongs to row i of the other, N >= 2.
// Errors  shapes that differ, N < 2, a row with NaN or infinity (named): std::invalid_argument.
// [Oh et al. 2022, "Geodesic multi-modal mixup for robust fine-tuning", arXiv 2203.03897,
// section 3]
#pragma once

#include <vector>

#include "spheremix/core/compiled.hpp"
#include "spheremix/metrics/detail/tiles.hpp"
#include "spheremix/pairwise/shares.hpp"

namespace spheremix::metrics {

namespace detail {

/// For each row of X (of a share: each of its own) the nearest row of Y but its own, the first of
/// equals.
template <class T>
std::vector<Index> nearest_others(const CentredRows<T>& x, const CentredRows<T>& y,
                                  const core::Share* share) {
  const Index n = x.original().rows();
  std::vector<Index> nearest(std::size_t(n), -1);
  std::vector<T> best(std::size_t(n), -core::infinity<T>);  // of 2 x.y - |y|^2 = |x|^2 - |x - y|^2
  for_product_strips(
      x.view(), y.view(),
      [&](Index i, Index j, core::MatrixView<T> tile) {
        const T* const square = y.square() + j;
        for (Index r = 0; r < tile.rows; ++r) {
          T* const s = tile.row(r);
          if (i + r >= j && i + r < j + tile.cols) s[i + r - j] = -core::infinity<T>;
          T& top = best[std::size_t(i + r)];
          constexpr Index chunk = 64;
          for (Index c = 0; c < tile.cols; c += chunk) {
            const Index count = (std::min)(chunk, tile.cols - c);
            const T *const a = s + c, *const b = square + c;
            int better = 0;
            if (count == chunk) {
              for (Index l = 0; l < chunk; ++l) better |= 2 * a[l] - b[l] > top;
            } else {
              better = 1;
            }
            for (Index l = 0; better != 0 && l < count; ++l) {
              if (!(2 * a[l] - b[l] > top)) continue;
              top = 2 * a[l] - b[l];
              nearest[std::size_t(i + r)] = j + c + l;
            }
          }
        }
      },
      share);
  return nearest;
}

template <class T>
double relative_alignment(core::MatrixView<const T> x, core::MatrixView<const T> y,
                          const core::Share* share) {
  const StackedRows<T> xs{x}, ys{y};
  core::Owned<CentredPair<T>> memory(x.rows, y.rows, x.cols);
  CentredPair<T>& rows = *memory;
  rows.fill(xs, ys, share);
  core::expects(rows.x.largest_square() + rows.y.largest_square() < 0.25 * double(core::largest<T>),
                "relative_alignment", "squared distances of the rows overflow");
  const std::vector<Index> nearest = nearest_others(rows.x, rows.y, share);
  const core::OwnRows own(share, x.rows);
  double sum = sum_over_rows(own.count(), [&](Index k) {
    const Index i = own.from + k;
    return squared_distance(x.row(i), y.row(i), x.cols) -
           squared_distance(x.row(i), y.row(nearest[std::size_t(i)]), x.cols);
  });
  if (share) share->add(&sum, 1);
  return sum / double(x.rows);
}

}  // namespace detail

/// mean_i ( |x_i - y_i|^2 - min_{k != i} |x_i - y_k|^2 ).
template <class X, class Y>
[[nodiscard]] double relative_alignment(const Eigen::MatrixBase<X>& x,
                                        const Eigen::MatrixBase<Y>& y) {
  using T = core::Real<X>;
  const core::InputRows<T> xs(x), ys(y);
  detail::check_pairs("relative_alignment", xs.view(), ys.view(), 2);
  return detail::relative_alignment<T>(xs.view(), ys.view(), nullptr);
}

/// Over several processes: of the rows of all ranks, the same on every rank.
template <class X, class Y, core::Communicator World>
[[nodiscard]] double relative_alignment(const Eigen::MatrixBase<X>& x,
                                        const Eigen::MatrixBase<Y>& y, World& world) {
  using T = core::Real<X>;
  return pairwise::value_of_shares(
      "relative_alignment", world, core::NoOptions{},
      [&](const core::Share* share, const RowMatrix<T>& all_x, const RowMatrix<T>& all_y) {
        const auto xs = core::rows_of(all_x), ys = core::rows_of(all_y);
        detail::check_pairs("relative_alignment", xs, ys, 2);
        return detail::relative_alignment<T>(xs, ys, share);
      },
      x, core::paired(y));
}

}  // namespace spheremix::metrics

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::metrics::detail {
#define SPHEREMIX_RELATIVE_ALIGNMENT(T)                                           \
  double relative_alignment(core::MatrixView<const T>, core::MatrixView<const T>, \
                            const core::Share*)
SPHEREMIX_ELSEWHERE(SPHEREMIX_RELATIVE_ALIGNMENT)
}  // namespace spheremix::metrics::detail
