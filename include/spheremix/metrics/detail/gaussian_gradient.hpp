// Value and gradient of log mean_{i<j} K_ij, K_ij = e^(-t |x_i - x_j|^2), in one sweep over the
// upper triangle.
//
// Strips of kTileRows columns of the lower triangle: tiles of K below one another in memory, their sums by
// row and by column, then K X for the rows and K^T X for the strip's own, while the next strip is
// filled. The strip is the packed operand of nearly all products. Every number is added up in an
// order that the threads have no part in.
#pragma once

#include "spheremix/metrics/detail/gaussian_pairs.hpp"

namespace spheremix::metrics::detail {

/// K in place of the products of rows [i, ...) with the strip's rows [j, ...), of an upper table
/// pairs i > j alone; sums by row are added to `line`, those by column set.
template <class T>
void gaussian_weights(const GaussianTable<T>& table, double shift, Index i, Index j,
                      core::MatrixView<T> tile, Take take, double* line, double* col_sums) {
  TakenPairs taken;
  table.take_out(i, j, tile, take, taken, table.upper);
  T shifts[kTileCols], ones[kTileCols];
  std::fill_n(shifts, tile.rows, T(shift));
  std::fill_n(ones, tile.rows, T(1));
  if (take == Take::all) {
    tile.fill(T(0));
  } else {
    SPHEREMIX_DISPATCH(softmax_gradient<T, formula::GaussianPair<T>>)
    (table.policy(), tile, i, j, shifts, ones, nullptr, nullptr);
  }
  taken.for_each(
      [&](Index r, Index c) { tile(r, c) = T(std::exp(table.exact_logit(i + r, j + c) - shift)); });
  std::fill_n(col_sums, tile.cols, 0.0);
  constexpr Index chunk = kTileRows / 2;  // rows whose sums in T are exact enough
  for (Index first = 0; first < tile.rows; first += chunk) {
    T sums[kTileRows] = {};
    for (Index r = first; r < (std::min)(tile.rows, first + chunk); ++r) {
      const T* k = tile.row(r);
      for (Index c = 0; c < tile.cols; ++c) sums[c] += k[c];
      line[i + r] += core::sum_in_lanes(tile.cols, [k](Index c) { return double(k[c]); });
    }
    for (Index c = 0; c < tile.cols; ++c) col_sums[c] += double(sums[c]);
  }
}

/// The block on the diagonal, of pairs i > j, becomes that of all pairs: K^T X of the strip gives its
/// own rows everything then.
template <class T>
void mirror_diagonal(core::MatrixView<T> block) {
  constexpr Index side = 16;
  for (Index r0 = 0; r0 < block.cols; r0 += side)
    for (Index c0 = 0; c0 <= r0; c0 += side)
      for (Index r = r0; r < (std::min)(r0 + side, block.cols); ++r)
        for (Index c = c0; c < (std::min)(c0 + side, r); ++c) block(c, r) = block(r, c);
}

/// What one strip of K gives, in tasks that may run side by side: K^T X to the strip's own rows of
/// Y, cut by columns of X so that each packs its own part of X, and K Y to rows of X.
template <class T>
class StripProducts {
 public:
  /// weights: K of rows x and columns y. Adds to dy, and to rows [after, ...) of dx.
  StripProducts(core::MatrixView<const T> x, core::MatrixView<const T> weights,
                core::MatrixView<const T> y, core::MatrixView<T> dx, core::MatrixView<T> dy,
                Index after, int threads)
      : x_(x), y_(y), weights_(weights), dx_(dx), dy_(dy), after_(after) {
    width_ = (parts(x.cols, threads) + 63) / 64 * 64;
    own_ = parts(x.cols, width_);
  }
  StripProducts() = default;

  Index tasks() const { return own_ + parts(x_.rows - after_, kTileCols); }

  void run(Index task, pairwise::PackBuffers<T>& pack) const {
    if (task < own_) {
      const Index k = task * width_, width = (std::min)(width_, x_.cols - k);
      pairwise::transposed_times<T>(columns(dy_, k, width), weights_,
                                    columns<const T>(x_, k, width), true, pack);
    } else {
      const Index begin = after_ + (task - own_) * kTileCols;
      const Index count = (std::min)(kTileCols, x_.rows - begin);
      pairwise::times<T>(dx_.middle_rows(begin, count), weights_.middle_rows(begin, count), y_,
                         true, pack);
    }
  }

 private:
  template <class U>
  static core::MatrixView<U> columns(core::MatrixView<U> m, Index first, Index count) {
    return {m.data + first, m.rows, count, m.stride};
  }

  core::MatrixView<const T> x_{}, y_{}, weights_{};
  core::MatrixView<T> dx_{}, dy_{};
  Index after_ = 0, width_ = 1, own_ = 0;
};

/// What the gradient for n rows works on besides GaussianSums, against m rows.
template <class T>
struct GaussianStrips {
  std::size_t size;
  T* strips;  ///< two: the products of one and the tiles of the next are a single loop
  double *line, *col_sums;  ///< r_i; partial sums of a strip's columns, tile after tile

  GaussianStrips(Index n, core::Workspace::Frame& frame) : GaussianStrips(n, n, frame) {}
  GaussianStrips(Index n, Index m, core::Workspace::Frame& frame)
      : size(std::size_t((std::min)(kTileRows, m) * n)),
        strips(frame.take<T>(2 * size)),
        line(frame.take<double>(std::size_t(n))),
        col_sums(frame.take<double>(std::size_t(kTileRows * parts(n, kTileCols)))) {}
};

/// Adds K Y to dx and K^T X to dy, sums of K by row to `line` and by column to `cols`: of an upper
/// table all to dx and `line`, which dy and `cols` are then.
template <class T>
void gaussian_pulls(const GaussianTable<T>& table, double shift, TileMemory<T>& memory,
                    const GaussianStrips<T>& strips, core::MatrixView<T> dx, double* line,
                    core::MatrixView<T> dy, double* cols_line) {
  const auto x = table.x.view(), y = table.y.view();
  const Take take = table.taken_from_sums();
  const int threads = memory.threads();
  memory.start(true);
  double* const col_sums = strips.col_sums;

  StripProducts<T> before;
  bool more = true;
  for (Index s = 0; more; ++s) {
    const Index first = (std::min)(y.rows, s * kTileRows);
    const Index cols = (std::min)(kTileRows, y.rows - first), top = table.upper ? first : 0;
    const core::MatrixView<T> weights{strips.strips + std::size_t(s % 2) * strips.size,
                                      x.rows - top, cols, cols};
    more = cols > 0;
    const Index ready = before.tasks(), tiles = more ? parts(weights.rows, kTileCols) : 0;
    const auto own = y.middle_rows(first, cols);
    core::parallel_for(ready + tiles, threads, [&](Index task, int thread) {
      auto& pack = memory.pack(thread);
      if (task < ready) return before.run(task, pack);
      const Index place = task - ready, r = place * kTileCols;
      const auto tile = weights.middle_rows(r, (std::min)(kTileCols, weights.rows - r));
      pairwise::times_transposed<T>(tile, x.middle_rows(top + r, tile.rows), own, false, pack);
      gaussian_weights(table, shift, top + r, first, tile, take, line,
                       col_sums + place * kTileRows);
      if (table.upper && place == 0) mirror_diagonal(tile);
    });
    for (Index c = 0; c < cols; ++c)
      for (Index k = 0; k < tiles; ++k) cols_line[first + c] += col_sums[k * kTileRows + c];
    before = cols > 0
                 ? StripProducts<T>(x.middle_rows(top, weights.rows), weights, own,
                                    dx.middle_rows(top, weights.rows), dy.middle_rows(first, cols),
                                    table.upper ? cols : 0, threads)
                 : StripProducts<T>();
  }
}

/// Relative to which K is taken: as it is where none can vanish, else to the largest,
/// log_sum().top.
template <class T, class OfLogs>
double gaussian_shift(const GaussianTable<T>& table, const OfLogs& log_sum) {
  return table.bound() < (sizeof(T) == 4 ? 60 : 600) ? 0 : log_sum().top;
}

/// dx = factor (r x - K X) in place of K X.
template <class T>
void finish_pulls(const formula::GaussianMean& mean, double t, core::MatrixView<const T> x,
                  const double* line, core::MatrixView<T> dx) {
  const double factor = mean.slope(t, 1);
  core::parallel_chunks(x.rows, 64, [&](Index first, Index count) {
    for (Index i = first; i < first + count; ++i) {
      const T* from = x.row(i);
      T* to = dx.row(i);
      const double r = line[i];
      core::map_in_lanes(x.cols, to, [=](Index k) {
        return T(factor * mean.pull(r, double(from[k]), double(to[k])));
      });
    }
  });
}

/// Half the sum of n numbers: of sums by row each pair is in two.
inline double half_sum(const double* line, Index n) {
  CompensatedSum twice;
  for (Index i = 0; i < n; ++i) twice.add(line[i]);
  return twice.value() / 2;
}

/// The value; the gradient goes to dx, apart from X.
template <class T>
double gaussian_gradient(const GaussianTable<T>& table, GaussianSums<T>& sums,
                         const GaussianStrips<T>& strips, core::MatrixView<T> dx) {
  const auto x = table.x.view();
  if (std::isnan(table.x.largest_square())) {
    dx.fill(core::nan<T>);
    return core::nan<double>;
  }
  const double shift = gaussian_shift(table, [&] { return gaussian_sum(table, sums); });
  std::fill_n(strips.line, x.rows, 0.0);
  dx.fill(T(0));
  gaussian_pulls(table, shift, sums.tiles, strips, dx, strips.line, dx, strips.line);
  const double z = half_sum(strips.line, x.rows);
  const formula::GaussianMean mean{z, table.pairs(), shift};
  finish_pulls<T>(mean, table.t, x, strips.line, dx);
  const double value = mean.value();
  return gaussian_log_mean(table, sums, &value);
}

}  // namespace spheremix::metrics::detail
