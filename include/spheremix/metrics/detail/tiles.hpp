// What the metrics over all pairs share: tiles of inner products, each thread with its own memory,
// and batches moved to a common centre.
#pragma once

#include <algorithm>
#include <cmath>
#include <new>
#include <vector>

#include "spheremix/core/eigen.hpp"
#include "spheremix/core/share.hpp"
#include "spheremix/core/workspace.hpp"
#include "spheremix/metrics/detail/sums.hpp"
#include "spheremix/pairwise/product.hpp"

namespace spheremix::metrics::detail {

/// A tile is at most kTileRows x kTileCols pairs.
inline constexpr Index kTileRows = 3 * pairwise::kRowUnit;
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
  TileMemory(int threads, bool with_tiles, core::Workspace::Frame& frame)
      : threads_(threads), mine_(frame.take<Mine>(std::size_t(threads))) {
    for (int thread = 0; thread < threads; ++thread) {
      const Mine mine(with_tiles, frame);
      if (!frame.counts()) new (mine_ + thread) Mine(mine);
    }
  }

  /// Before other rows are multiplied than the last: nothing is packed.
  void start(bool keep_rows = false) {
    for (int thread = 0; thread < threads_; ++thread) {
      pack(thread).packed = nullptr;
      pack(thread).keep_rows = keep_rows;
    }
  }

  int threads() const { return threads_; }
  pairwise::PackBuffers<T>& pack(int thread) { return mine_[thread].pack; }
  core::MatrixView<T> tile(int thread, Index rows, Index cols) {
    return {mine_[thread].tile, rows, cols, kTileCols};
  }

 private:
  int threads_;
  Mine* mine_;
};

/// Runs body(i, j, tile, thread) over the tiles of X Y^T, in any order: element (r, c) of a tile is
/// x_(i+r) . y_(j+c). With `upper`, only over tiles with pairs i < j. Of a share, only over its tiles.
template <class T, class Body>
void for_product_tiles(core::MatrixView<const T> x, core::MatrixView<const T> y, bool upper,
                       TileMemory<T>& memory, const Body& body,
                       const core::Share* share = nullptr) {
  const Index row_tiles = parts(x.rows, kTileRows), col_tiles = parts(y.rows, kTileCols);
  memory.start();
  core::parallel_for(row_tiles * col_tiles, memory.threads(), [&](Index task, int thread) {
    const Index i = task % row_tiles * kTileRows, j = task / row_tiles * kTileCols;
    const Index rows = (std::min)(kTileRows, x.rows - i), cols = (std::min)(kTileCols, y.rows - j);
    if (upper && j + cols - 1 <= i) return;
    if (share && (task % row_tiles + task / row_tiles) % share->size() != share->rank()) return;
    const auto tile = memory.tile(thread, rows, cols);
    pairwise::times_transposed<T>(tile, x.middle_rows(i, rows), y.middle_rows(j, cols), false,
                                  memory.pack(thread));
    body(i, j, tile, thread);
  });
}

/// The same with memory of its own.
template <class T, class Body>
void for_product_tiles(core::MatrixView<const T> x, core::MatrixView<const T> y, bool upper,
                       const Body& body, const core::Share* share = nullptr) {
  core::Owned<TileMemory<T>> memory(threads_for(x.rows, y.rows, x.cols), true);
  for_product_tiles(x, y, upper, *memory, body, share);
}

/// Runs body(i, j, tile) over the tiles of X Y^T: all tiles of one row of tiles by one thread, from
/// left to right. Of a share, over its rows of X.
template <class T, class Body>
void for_product_strips(core::MatrixView<const T> x, core::MatrixView<const T> y,
                        TileMemory<T>& memory, const Body& body,
                        const core::Share* share = nullptr) {
  const core::OwnRows own_rows(share, x.rows);
  memory.start();
  core::parallel_for(
      parts(own_rows.count(), kTileRows), memory.threads(), [&](Index task, int thread) {
        const Index i = own_rows.from + task * kTileRows,
                    rows = (std::min)(kTileRows, own_rows.to - i);
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
  constexpr Index block = pairwise::kRowUnit;
  std::vector<T> products(std::size_t(x.rows));
  core::Owned<TileMemory<T>> own(threads_for(x.rows, block, x.cols), true);
  TileMemory<T>& memory = *own;
  core::parallel_for(parts(x.rows, block), memory.threads(), [&](Index task, int thread) {
    const Index i = task * block, rows = (std::min)(block, x.rows - i);
    const auto tile = memory.tile(thread, rows, rows);
    pairwise::times_transposed<T>(tile, x.middle_rows(i, rows), y.middle_rows(i, rows), false,
                                  memory.pack(thread));
    for (Index r = 0; r < rows; ++r) products[std::size_t(i + r)] = tile(r, r);
  });
  return products;
}

/// One batch or two stacked ones, as the rows of a single table.
template <class T>
struct StackedRows {
  core::MatrixView<const T> first{}, second{};

  Index rows() const { return first.rows + second.rows; }
  Index cols() const { return first.cols; }
  const T* row(Index i) const { return i < first.rows ? first.row(i) : second.row(i - first.rows); }
};

/// The mean of all rows to `centre`, but any vector near them would do.
template <class T>
void centre_of(const StackedRows<T>& x, const StackedRows<T>& y, double* centre) {
  core::parallel_chunks(x.cols(), 64, [&](Index first, Index count) {
    double sums[64] = {}, *sum = sums;
    for (const StackedRows<T>* rows : {&x, &y}) {
      for (Index i = 0; i < rows->rows(); ++i) {
        const T* row = rows->row(i) + first;
        core::map_in_lanes(count, sum, [=](Index k) { return sum[k] + double(row[k]); });
      }
    }
    for (Index k = 0; k < count; ++k) centre[first + k] = sum[k] / double(x.rows() + y.rows());
  });
}

/// Rows minus a common centre, rounded to T, with their squared lengths.
template <class T>
class CentredRows {
 public:
  CentredRows(Index n, Index d, core::Workspace::Frame& frame)
      : rows_(frame.take<T>(std::size_t(n * d))),
        square_(frame.take<T>(std::size_t(n))),
        exact_(frame.take<double>(std::size_t(n))) {}

  void fill(const StackedRows<T>& x, const double* centre) {
    original_ = x;
    total_ = x.rows();
    mean_square_ = largest_square_ = 0;
    core::parallel_chunks(x.rows(), 64, [&](Index first, Index count) {
      for (Index i = first; i < first + count; ++i) {
        const T* from = x.row(i);
        T* to = rows_ + i * x.cols();
        core::map_in_lanes(x.cols(), to, [=](Index k) { return T(double(from[k]) - centre[k]); });
        exact_[i] = core::row_product(to, to, x.cols());
        square_[i] = T(exact_[i]);
      }
    });
    for (Index i = 0; i < x.rows(); ++i) {
      const double s = exact_[i];
      if (!(s <= largest_square_)) largest_square_ = std::isfinite(s) ? s : core::nan<double>;
      if (std::isnan(largest_square_)) break;
      mean_square_ += s / double(x.rows());
    }
  }

  /// These are some of `total` rows, whose squares those are.
  void set_among(Index total, double mean_square, double largest_square) {
    total_ = total;
    mean_square_ = mean_square;
    largest_square_ = largest_square;
  }
  /// Rows [first, first + count) of a single batch, and nothing else is different.
  CentredRows part(Index first, Index count) const {
    CentredRows some = *this;
    some.original_.first = original_.first.middle_rows(first, count);
    some.rows_ += first * original_.cols();
    some.square_ += first;
    some.exact_ += first;
    return some;
  }

  const StackedRows<T>& original() const { return original_; }
  Index total() const { return total_; }  ///< as many rows are in the tables of all ranks
  core::MatrixView<const T> view() const {
    return {rows_, original_.rows(), original_.cols(), original_.cols()};
  }
  const T* square() const { return square_; }  ///< |row|^2, from double
  double mean_square() const { return mean_square_; }
  double largest_square() const { return largest_square_; }  ///< NaN: some component is not finite

 private:
  StackedRows<T> original_{};
  T *rows_, *square_;
  double* exact_;  ///< |row|^2
  Index total_ = 0;
  double mean_square_ = 0, largest_square_ = 0;
};

/// Two batches moved to their common centre.
template <class T>
struct CentredPair {
  double* centre;
  CentredRows<T> x, y;

  CentredPair(Index n, Index m, Index d, core::Workspace::Frame& frame)
      : centre(frame.take<double>(std::size_t(d))), x(n, d, frame), y(m, d, frame) {}
  void fill(const StackedRows<T>& xs, const StackedRows<T>& ys) {
    centre_of(xs, ys, centre);
    x.fill(xs, centre);
    y.fill(ys, centre);
  }
};

}  // namespace spheremix::metrics::detail
