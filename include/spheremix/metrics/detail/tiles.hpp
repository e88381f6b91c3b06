// What the metrics over all pairs share: tiles of inner products, each thread with its own memory,
// and batches moved to a common centre.
#pragma once

#include <algorithm>
#include <cmath>
#include <new>
#include <vector>

#include "spheremix/core/eigen.hpp"
#include "spheremix/core/workspace.hpp"
#include "spheremix/metrics/detail/sums.hpp"
#include "spheremix/pairwise/norms.hpp"
#include "spheremix/pairwise/product.hpp"

namespace spheremix::metrics::detail {

/// A tile is at most kTileRows x kTileCols pairs. kTileRows is a multiple of every register tile's
/// rows.
inline constexpr Index kTileRows = 252;
inline constexpr Index kTileCols = 2 * kTileRows;

inline Index parts(Index n, Index size) { return (n + size - 1) / size; }

/// Threads worth their start for a table of n x m pairs of rows of length d.
inline int threads_for(Index n, Index m, Index d) {
  return 2.0 * double(n) * double(m) * double(d) < 4e6 ? 1 : core::max_threads();
}

/// Packing buffers of each thread and, if wanted, a tile.
template <class T>
class TileMemory {
  struct Mine {
    pairwise::PackBuffers<T> pack;
    T* tile;

    Mine(bool with_tile, core::Workspace::Frame& frame)
        : pack(pairwise::take_pack<T>(frame)),
          tile(frame.take<T>(std::size_t(with_tile ? kTileRows * kTileCols : 0))) {}
  };

 public:
  TileMemory(int threads, bool with_tiles) {
    auto frame = workspace_.frame(std::size_t(threads) * core::bytes_of<Mine>(with_tiles));
    for (int thread = 0; thread < threads; ++thread) threads_.emplace_back(with_tiles, frame);
  }

  pairwise::PackBuffers<T>& pack(int thread) { return threads_[std::size_t(thread)].pack; }
  core::MatrixView<T> tile(int thread, Index rows, Index cols) {
    return {threads_[std::size_t(thread)].tile, rows, cols, kTileCols};
  }

 private:
  core::Workspace workspace_;
  std::vector<Mine> threads_;
};

/// Runs body(i, j, tile, thread) over the tiles of X Y^T, in any order: element (r, c) of a tile is
/// x_(i+r) . y_(j+c). With `upper`, only over tiles with pairs i < j.
template <class T, class Body>
void for_product_tiles(core::MatrixView<const T> x, core::MatrixView<const T> y, bool upper,
                       const Body& body) {
  const Index row_tiles = parts(x.rows, kTileRows), col_tiles = parts(y.rows, kTileCols);
  const int threads = threads_for(x.rows, y.rows, x.cols);
  TileMemory<T> memory(threads, true);
  core::parallel_for(row_tiles * col_tiles, threads, [&](Index task, int thread) {
    const Index i = task % row_tiles * kTileRows, j = task / row_tiles * kTileCols;
    const Index rows = (std::min)(kTileRows, x.rows - i), cols = (std::min)(kTileCols, y.rows - j);
    if (upper && j + cols - 1 <= i) return;
    const auto tile = memory.tile(thread, rows, cols);
    pairwise::times_transposed<T>(tile, x.middle_rows(i, rows), y.middle_rows(j, cols), false,
                                  memory.pack(thread));
    body(i, j, tile, thread);
  });
}

/// Runs body(i, j, tile) over the tiles of X Y^T: all tiles of one row of tiles by one thread, from
/// left to right.
template <class T, class Body>
void for_product_strips(core::MatrixView<const T> x, core::MatrixView<const T> y,
                        const Body& body) {
  const int threads = threads_for(x.rows, y.rows, x.cols);
  TileMemory<T> memory(threads, true);
  core::parallel_for(parts(x.rows, kTileRows), threads, [&](Index task, int thread) {
    const Index i = task * kTileRows, rows = (std::min)(kTileRows, x.rows - i);
    for (Index j = 0; j < y.rows; j += kTileCols) {
      const auto tile = memory.tile(thread, rows, (std::min)(kTileCols, y.rows - j));
      pairwise::times_transposed<T>(tile, x.middle_rows(i, rows), y.middle_rows(j, tile.cols),
                                    false, memory.pack(thread));
      body(i, j, tile);
    }
  });
}

/// x_i . y_i, with the very bits that they have in the tiles.
template <class T>
std::vector<T> paired_products(core::MatrixView<const T> x, core::MatrixView<const T> y) {
  constexpr Index block = 84;
  std::vector<T> products(std::size_t(x.rows));
  const int threads = threads_for(x.rows, block, x.cols);
  TileMemory<T> memory(threads, true);
  core::parallel_for(parts(x.rows, block), threads, [&](Index task, int thread) {
    const Index i = task * block, rows = (std::min)(block, x.rows - i);
    const auto tile = memory.tile(thread, rows, rows);
    pairwise::times_transposed<T>(tile, x.middle_rows(i, rows), y.middle_rows(i, rows), false,
                                  memory.pack(thread));
    for (Index r = 0; r < rows; ++r) products[std::size_t(i + r)] = tile(r, r);
  });
  return products;
}

/// Throws for a row with a NaN or infinite component, naming it: no order among its products means
/// anything.
template <class T>
double finite_norm(const char* function, const char* name, core::MatrixView<const T> x) {
  const double norm = pairwise::largest_norm(x);
  if (!std::isnan(norm)) return norm;
  for (Index i = 0; i < x.rows; ++i)
    for (Index k = 0; k < x.cols; ++k)
      core::expects(std::isfinite(x(i, k)), function, "row ", i, " of ", name, " has ", x(i, k),
                    " in column ", k);
  core::fail(function, ": ", name, " has a row whose length overflows");
}

/// Throws unless X and Y are pairs of `least` or more finite rows whose products T can hold.
/// Returns the bound |x| |y| of those.
template <class T>
double check_pairs(const char* function, core::MatrixView<const T> x, core::MatrixView<const T> y,
                   Index least) {
  core::expects_same_shape(function, "X", x.rows, x.cols, "Y", y.rows, y.cols);
  core::expects(x.rows >= least, function, "X has ", x.rows, " rows where at least ", least,
                " are needed");
  const double a = finite_norm(function, "X", x), b = finite_norm(function, "Y", y);
  core::expects(a * b < 0.25 * double(core::largest<T>), function,
                "products of rows of lengths up to ", a, " and ", b, " overflow");
  return a * b;
}

/// One batch or two stacked ones, as the rows of a single table.
template <class T>
struct StackedRows {
  core::MatrixView<const T> first, second{};

  Index rows() const { return first.rows + second.rows; }
  Index cols() const { return first.cols; }
  const T* row(Index i) const { return i < first.rows ? first.row(i) : second.row(i - first.rows); }
};

/// Rows minus a common centre, rounded to T, with their squared lengths.
template <class T>
struct CentredRows {
  StackedRows<T> original;
  std::vector<T> rows;    ///< of original's shape; std::vector: Eigen's allocator depends on -march
  std::vector<T> square;  ///< |row|^2, from double
  double mean_square = 0;
  double largest_square = 0;  ///< NaN when some component is not finite

  core::MatrixView<const T> view() const {
    return {rows.data(), original.rows(), original.cols(), original.cols()};
  }
};

/// The mean of all rows, but any vector near them would do.
template <class T>
std::vector<double> centre_of(const StackedRows<T>& x, const StackedRows<T>& y) {
  std::vector<double> centre(std::size_t(x.cols()));
  core::parallel_chunks(x.cols(), 64, [&](Index first, Index count) {
    double sums[64] = {}, *sum = sums;
    for (const StackedRows<T>* rows : {&x, &y})
      for (Index i = 0; i < rows->rows(); ++i) {
        const T* row = rows->row(i) + first;
        core::map_in_lanes(count, sum, [=](Index k) { return sum[k] + double(row[k]); });
      }
    for (Index k = 0; k < count; ++k)
      centre[std::size_t(first + k)] = sum[k] / double(x.rows() + y.rows());
  });
  return centre;
}

template <class T>
CentredRows<T> centred(const StackedRows<T>& x, const std::vector<double>& centre) {
  CentredRows<T> c{x, std::vector<T>(std::size_t(x.rows() * x.cols())),
                   std::vector<T>(std::size_t(x.rows())), 0, 0};
  std::vector<double> square(static_cast<std::size_t>(x.rows()));
  core::parallel_chunks(x.rows(), 64, [&](Index first, Index count) {
    for (Index i = first; i < first + count; ++i) {
      const T* from = x.row(i);
      T* to = c.rows.data() + i * x.cols();
      const double* middle = centre.data();
      core::map_in_lanes(x.cols(), to, [=](Index k) { return T(double(from[k]) - middle[k]); });
      square[std::size_t(i)] = core::row_product(to, to, x.cols());
      c.square[std::size_t(i)] = T(square[std::size_t(i)]);
    }
  });
  for (const double s : square) {
    if (!(s <= c.largest_square)) c.largest_square = std::isfinite(s) ? s : core::nan<double>;
    if (std::isnan(c.largest_square)) break;
    c.mean_square += s / double(x.rows());
  }
  return c;
}

}  // namespace spheremix::metrics::detail
