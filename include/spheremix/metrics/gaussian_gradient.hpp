// Value and gradient of log mean_{i<j} K_ij, K_ij = e^(-t |x_i - x_j|^2), in one sweep over the
// upper triangle.
//
//   dx_i = -(2 t / Z) sum_j K_ij (x_i - x_j),  Z = sum_{i<j} K_ij
//        = -(2 t / Z) (r_i x_i - (K X)_i),     r_i = sum_j K_ij
//
// Strips of 252 rows: tiles of K side by side in memory, their sums by row and by column, then K X
// for the strip's rows and K^T X for the columns. Every number is added up in an order that the
// threads have no part in.
#pragma once

#include "spheremix/metrics/gaussian_pairs.hpp"

namespace spheremix::metrics::detail {

/// K in place of the products of one tile; sums by row, and by column into `line`.
template <class T>
void gaussian_weights(const GaussianTable<T>& table, double shift, Index i, Index j,
                      core::MatrixView<T> tile, Take take, std::vector<ClosePair>& close,
                      double* row_sums, double* line) {
  table.take_out(i, j, tile, take, close);
  T shifts[kTileRows], ones[kTileRows];
  std::fill_n(shifts, tile.rows, T(shift));
  std::fill_n(ones, tile.rows, T(1));
  if (take == Take::all) {
    for (Index r = 0; r < tile.rows; ++r) std::fill_n(tile.row(r), tile.cols, T(0));
  } else {
    SPHEREMIX_DISPATCH(softmax_gradient<T, math::GaussianPair<T>>)
    (table.policy(), tile, i, j, shifts, ones, nullptr, nullptr);
  }
  for (const ClosePair& pair : close) tile(pair.row, pair.col) = T(std::exp(pair.logit - shift));
  T sums[kTileCols] = {};
  for (Index r = 0; r < tile.rows; ++r) {
    const T* k = tile.row(r);
    for (Index c = 0; c < tile.cols; ++c) sums[c] += k[c];
    row_sums[r] = sum_in_lanes(tile.cols, [k](Index c) { return double(k[c]); });
  }
  for (Index c = 0; c < tile.cols; ++c) line[j + c] += double(sums[c]);
}

/// dX of the strip's own rows, and what the strip adds to the rows of its columns.
template <class T>
void gaussian_products(core::MatrixView<const T> x, core::MatrixView<const T> weights, Index first,
                       core::MatrixView<T> dx, TileMemory<T>& memory, int threads) {
  constexpr Index piece = 84;  // divides kTileRows; a multiple of every register tile's rows
  const Index own = parts(weights.rows, piece);
  const Index after = first + weights.rows, others = parts(x.rows - after, kTileRows);
  core::parallel_for(own + others, threads, [&](Index task, int thread) {
    auto& pack = memory.pack(thread);
    const core::MatrixView<const T> strip = x.middle_rows(first, weights.rows);
    const bool is_own = task < own;
    const Index begin = is_own ? first + task * piece : after + (task - own) * kTileRows;
    const Index count = std::min(is_own ? piece : kTileRows, (is_own ? after : x.rows) - begin);
    if (is_own)
      pairwise::times<T>(dx.middle_rows(begin, count), weights.middle_rows(begin - first, count),
                         x.middle_rows(first, x.rows - first), true, pack);
    const core::MatrixView<const T> block{weights.data + (begin - first), weights.rows, count,
                                          weights.stride};
    pairwise::transposed_times<T>(dx.middle_rows(begin, count), block, strip, true, pack);
  });
}

/// The value; the gradient goes to dx, apart from X.
template <class T>
double gaussian_gradient(const GaussianTable<T>& table, core::MatrixView<T> dx) {
  const auto x = table.x.view();
  const Index n = x.rows, d = x.cols;
  if (std::isnan(table.x.largest_square)) {
    for (Index i = 0; i < n; ++i) std::fill_n(dx.row(i), d, core::nan<T>);
    return core::nan<double>;
  }
  // K as it is where none can vanish, else relative to the largest.
  const double shift = table.bound() < (sizeof(T) == 4 ? 60 : 600) ? 0 : gaussian_sum(table).top;
  const Take take = table.taken_from_sums();
  const int threads = threads_for(n, n, d);
  TileMemory<T> memory(threads, false);
  std::vector<T> strip(std::size_t(std::min(kTileRows, n) * n));
  std::vector<double> line(static_cast<std::size_t>(n));  // r_i
  std::vector<double> row_sums(std::size_t(kTileRows * parts(n, kTileCols)));
  for (Index i = 0; i < n; ++i) std::fill_n(dx.row(i), d, T(0));

  for (Index first = 0; first < n; first += kTileRows) {
    const Index rows = std::min(kTileRows, n - first), cols = n - first;
    const core::MatrixView<T> weights{strip.data(), rows, cols, n};
    const Index tiles = parts(cols, kTileCols);
    core::parallel_for(tiles, threads, [&](Index task, int thread) {
      const Index c = task * kTileCols, count = std::min(kTileCols, cols - c);
      const core::MatrixView<T> tile{weights.data + c, rows, count, n};
      pairwise::times_transposed<T>(tile, x.middle_rows(first, rows),
                                    x.middle_rows(first + c, count), false, memory.pack(thread));
      std::vector<ClosePair> close;
      gaussian_weights(table, shift, first, first + c, tile, take, close,
                       row_sums.data() + task * kTileRows, line.data());
    });
    for (Index r = 0; r < rows; ++r)
      for (Index task = 0; task < tiles; ++task)
        line[std::size_t(first + r)] += row_sums[std::size_t(task * kTileRows + r)];
    gaussian_products<T>(x, weights, first, dx, memory, threads);
  }

  CompensatedSum twice;
  for (const double r : line) twice.add(r);
  const double z = twice.value() / 2;
  for (Index i = 0; i < n; ++i)
    for (Index k = 0; k < d; ++k)
      dx(i, k) = T(-2 * table.t / z * (line[std::size_t(i)] * double(x(i, k)) - double(dx(i, k))));
  const double value = shift + std::log(z) - std::log(table.pairs());
  return gaussian_log_mean(table, &value);
}

}  // namespace spheremix::metrics::detail
