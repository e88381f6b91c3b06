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

/// K in place of the products of rows [i, ...) with the strip's rows [j, ...), pairs i > j alone;
/// sums by row are added to `line`, those by column set.
template <class T>
void gaussian_weights(const GaussianTable<T>& table, double shift, Index i, Index j,
                      core::MatrixView<T> tile, Take take, double* line, double* col_sums) {
  TakenPairs taken;
  table.take_out(i, j, tile, take, taken, true);
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

/// What one strip of K gives to dx, in tasks that may run side by side: K^T X for the strip's own
/// rows, cut by columns of X so that each packs its own part of X, and K X for the rows after it.
template <class T>
class StripProducts {
 public:
  /// weights: K of rows [first, n) and columns [first, first + weights.cols), its diagonal mirrored.
  StripProducts(core::MatrixView<const T> x, core::MatrixView<const T> weights, Index first,
                core::MatrixView<T> dx, int threads)
      : x_(x), dx_(dx), weights_(weights), first_(first), after_(first + weights.cols) {
    width_ = (parts(x.cols, threads) + 63) / 64 * 64;
    own_ = parts(x.cols, width_);
  }
  StripProducts() = default;

  Index tasks() const { return own_ + parts(x_.rows - after_, kTileCols); }

  void run(Index task, pairwise::PackBuffers<T>& pack) const {
    if (task < own_) {
      const Index k = task * width_, width = (std::min)(width_, x_.cols - k);
      const auto dx = columns(dx_.middle_rows(first_, weights_.cols), k, width);
      pairwise::transposed_times<T>(
          dx, weights_, columns<const T>(x_.middle_rows(first_, weights_.rows), k, width), true,
          pack);
    } else {
      const Index begin = after_ + (task - own_) * kTileCols;
      const Index count = (std::min)(kTileCols, x_.rows - begin);
      pairwise::times<T>(dx_.middle_rows(begin, count), weights_.middle_rows(begin - first_, count),
                         x_.middle_rows(first_, weights_.cols), true, pack);
    }
  }

 private:
  template <class U>
  static core::MatrixView<U> columns(core::MatrixView<U> m, Index first, Index count) {
    return {m.data + first, m.rows, count, m.stride};
  }

  core::MatrixView<const T> x_{};
  core::MatrixView<T> dx_{};
  core::MatrixView<const T> weights_{};
  Index first_ = 0, after_ = 0, width_ = 1, own_ = 0;
};

/// What the gradient for n rows works on besides GaussianSums.
template <class T>
struct GaussianStrips {
  std::size_t size;
  T* strips;  ///< two: the products of one and the tiles of the next are a single loop
  double *line, *col_sums;  ///< r_i; partial sums of a strip's columns, tile after tile

  GaussianStrips(Index n, core::Workspace::Frame& frame)
      : size(std::size_t((std::min)(kTileRows, n) * n)),
        strips(frame.take<T>(2 * size)),
        line(frame.take<double>(std::size_t(n))),
        col_sums(frame.take<double>(std::size_t(kTileRows * parts(n, kTileCols)))) {}
};

/// Which strips of columns are computed: all, or every other few of a share, so that the triangle is cut
/// evenly.
struct GaussianCut {
  Index n, width = kTileRows;
  int rank = 0, size = 1;

  GaussianCut(Index rows, const core::Share* share) : n(rows) {
    if (!share) return;
    rank = share->rank();
    size = share->size();
    width = std::clamp<Index>(parts(n, 2 * size), pairwise::kRowUnit / 3, kTileRows);
  }
  bool mine(Index s) const {
    const Index turn = s % (2 * size);
    return size == 1 || turn == rank || turn == 2 * size - 1 - rank;
  }
  /// The first strip from s on.
  Index next(Index s) const {
    while (s * width < n && !mine(s)) ++s;
    return s;
  }
};

/// The value; the gradient goes to dx, apart from X: of a share its part, with the value of all.
template <class T>
double gaussian_gradient(const GaussianTable<T>& table, GaussianSums<T>& sums,
                         const GaussianStrips<T>& strips, core::MatrixView<T> dx) {
  const auto x = table.x.view();
  const Index n = x.rows, d = x.cols;
  if (std::isnan(table.x.largest_square())) {
    dx.fill(core::nan<T>);
    return core::nan<double>;
  }
  // K as it is where none can vanish, else relative to the largest.
  const double shift =
      table.bound() < (sizeof(T) == 4 ? 60 : 600) ? 0 : gaussian_sum(table, sums).top;
  const Take take = table.taken_from_sums();
  TileMemory<T>& memory = sums.tiles;
  const int threads = memory.threads();
  memory.start(true);
  double *const line = strips.line, *const col_sums = strips.col_sums;
  std::fill_n(line, n, 0.0);
  dx.fill(T(0));

  StripProducts<T> before;
  const GaussianCut cut(n, table.share);
  bool more = true;
  for (Index s = cut.next(0), turn = 0; more; s = cut.next(s + 1), ++turn) {
    const Index first = (std::min)(n, s * cut.width), cols = (std::min)(cut.width, n - first);
    const core::MatrixView<T> weights{strips.strips + std::size_t(turn % 2) * strips.size,
                                      n - first, cols, cols};
    more = cols > 0;
    const Index ready = before.tasks(), tiles = parts(weights.rows, kTileCols);
    core::parallel_for(ready + tiles, threads, [&](Index task, int thread) {
      auto& pack = memory.pack(thread);
      if (task < ready) return before.run(task, pack);
      const Index place = task - ready, r = place * kTileCols;
      const auto tile = weights.middle_rows(r, (std::min)(kTileCols, weights.rows - r));
      pairwise::times_transposed<T>(tile, x.middle_rows(first + r, tile.rows),
                                    x.middle_rows(first, cols), false, pack);
      gaussian_weights(table, shift, first + r, first, tile, take, line,
                       col_sums + place * kTileRows);
      if (place == 0) mirror_diagonal(tile);
    });
    for (Index c = 0; c < cols; ++c)
      for (Index k = 0; k < tiles; ++k) line[first + c] += col_sums[k * kTileRows + c];
    before = cols > 0 ? StripProducts<T>(x, weights, first, dx, threads) : StripProducts<T>();
  }

  CompensatedSum twice;
  for (Index i = 0; i < n; ++i) twice.add(line[i]);
  double z = twice.value() / 2;
  if (table.share) table.share->add(&z, 1);
  const formula::GaussianMean mean{z, table.pairs(), shift};
  const double factor = mean.slope(table.t, 1);
  core::parallel_chunks(n, 64, [&](Index first, Index count) {
    for (Index i = first; i < first + count; ++i) {
      const T* from = x.row(i);
      T* to = dx.row(i);
      const double r = line[i];
      core::map_in_lanes(
          d, to, [=](Index k) { return T(factor * mean.pull(r, double(from[k]), double(to[k]))); });
    }
  });
  const double value = mean.value();
  return gaussian_log_mean(table, sums, &value);
}

}  // namespace spheremix::metrics::detail
