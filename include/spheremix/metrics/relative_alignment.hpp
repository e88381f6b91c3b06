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
// Memory  O(N d), over W processes O(N d / W).
// [Oh et al. 2022, "Geodesic multi-modal mixup for robust fine-tuning", arXiv 2203.03897,
// section 3]
#pragma once

#include <vector>

#include "spheremix/core/compiled.hpp"
#include "spheremix/metrics/detail/gaussian_ring.hpp"
#include "spheremix/metrics/detail/row_checks.hpp"

namespace spheremix::metrics {

namespace detail {

/// For each row of X the nearest row of Y, the first of equals; of a paired one another than its
/// own. best: 2 x.y - |y|^2 = |x|^2 - |x - y|^2 of those.
template <class T>
void nearest_others(const CentredRows<T>& x, const CentredRows<T>& y, bool paired,
                    TileMemory<T>& memory, Index* nearest, T* best) {
  const Index n = x.view().rows;
  std::fill_n(nearest, n, Index(-1));
  std::fill_n(best, n, -core::infinity<T>);
  for_product_strips(x.view(), y.view(), memory, [&](Index i, Index j, core::MatrixView<T> tile) {
    const T* const square = y.square() + j;
    for (Index r = 0; r < tile.rows; ++r) {
      T* const s = tile.row(r);
      if (paired && i + r >= j && i + r < j + tile.cols) s[i + r - j] = -core::infinity<T>;
      T& top = best[i + r];
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
          nearest[i + r] = j + c + l;
        }
      }
    }
  });
}

template <class T>
void expects_squares(const CentredRows<T>& x, const CentredRows<T>& y) {
  core::expects(x.largest_square() + y.largest_square() < 0.25 * double(core::largest<T>),
                "relative_alignment", "squared distances of the rows overflow");
}

template <class T>
double relative_alignment(core::MatrixView<const T> x, core::MatrixView<const T> y) {
  const StackedRows<T> xs{x}, ys{y};
  core::Owned<CentredPair<T>> memory(x.rows, y.rows, x.cols);
  CentredPair<T>& rows = *memory;
  rows.fill(xs, ys);
  expects_squares(rows.x, rows.y);
  std::vector<Index> nearest(static_cast<std::size_t>(x.rows));
  std::vector<T> best(static_cast<std::size_t>(x.rows));
  core::Owned<TileMemory<T>> tiles(threads_for(x.rows, y.rows, x.cols), true);
  nearest_others(rows.x, rows.y, true, *tiles, nearest.data(), best.data());
  const double sum = sum_over_rows(x.rows, [&](Index i) {
    return squared_distance(x.row(i), y.row(i), x.cols) -
           squared_distance(x.row(i), y.row(nearest[std::size_t(i)]), x.cols);
  });
  return sum / double(x.rows);
}

/// Of the rows of all ranks, batches 0 and 1: Y's blocks pass by, centred as uniformity's are.
template <class T>
double relative_alignment_by_ring(core::Meeting& meeting, core::MatrixView<const T> x,
                                  core::MatrixView<const T> y) {
  const char* const function = meeting.function();
  const Index n = x.rows;
  core::expects_same_shape(function, "X", n, x.cols, "Y", y.rows, y.cols);
  core::expects(meeting.total(0) >= 2, function, "X has ", meeting.total(0),
                " rows where at least 2 are needed");
  agree_on_products(meeting, x, y);
  struct Best {
    T score = -core::infinity<T>;
    Index row = 0;  ///< of the whole batch
    double distance = 0;
  };
  std::vector<Best> best(static_cast<std::size_t>(n));
  std::vector<Index> nearest(static_cast<std::size_t>(n));
  std::vector<T> score(static_cast<std::size_t>(n));
  core::Workspace workspace;
  GaussianRing<T> ring(meeting, 0, x, 1, y, 1, workspace);  // all ranks are here
  const GaussianTable<T> all = ring.all();
  expects_squares(all.x, all.y);
  ring.for_tables([&](const GaussianTable<T>& table, const core::RingBlock<T>& block, Index) {
    nearest_others(table.x, table.y, block.step == 0, ring.memory().sums.tiles, nearest.data(),
                   score.data());
    for (Index i = 0; i < n; ++i) {
      const Index at = nearest[std::size_t(i)], row = block.first + at;
      const T here = score[std::size_t(i)];
      Best& so_far = best[std::size_t(i)];
      if (at < 0 || here < so_far.score || (here == so_far.score && row > so_far.row)) continue;
      so_far = {here, row, squared_distance(x.row(i), block.y.row(at), x.cols)};
    }
  });
  double sum = sum_over_rows(n, [&](Index i) {
    return squared_distance(x.row(i), y.row(i), x.cols) - best[std::size_t(i)].distance;
  });
  ring.share().add(&sum, 1);
  return sum / double(meeting.total(0));
}

}  // namespace detail

/// mean_i ( |x_i - y_i|^2 - min_{k != i} |x_i - y_k|^2 ).
template <class X, class Y>
[[nodiscard]] double relative_alignment(const Eigen::MatrixBase<X>& x,
                                        const Eigen::MatrixBase<Y>& y) {
  using T = core::Real<X>;
  const core::InputRows<T> xs(x), ys(y);
  detail::check_pairs("relative_alignment", xs.view(), ys.view(), 2);
  return detail::relative_alignment<T>(xs.view(), ys.view());
}

/// Over several processes: of the rows of all ranks, the same on every rank.
template <class X, class Y, core::Communicator World>
[[nodiscard]] double relative_alignment(const Eigen::MatrixBase<X>& x,
                                        const Eigen::MatrixBase<Y>& y, World& world) {
  using T = core::Real<X>;
  return pairwise::over_blocks<T>("relative_alignment", world, core::NoOptions{},
                                  detail::relative_alignment_by_ring<T>, x, y);
}

}  // namespace spheremix::metrics

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::metrics::detail {
#define SPHEREMIX_RELATIVE_ALIGNMENT(T) \
  double relative_alignment(core::MatrixView<const T>, core::MatrixView<const T>)
SPHEREMIX_ELSEWHERE(SPHEREMIX_RELATIVE_ALIGNMENT)
}  // namespace spheremix::metrics::detail
