// One pass over the table of cosines of two batches of unit rows, tile by tile, for everything that
// needs all pairs: both directions of retrieval, the k nearest of every row and column, the
// Gaussian potential of uniformity, a histogram.
//
//   2 N M d flops for two batches, N^2 d for one with itself; memory O((N + M) k) and a tile a
//   thread
//
// A tile goes through spheremix::pairwise::times_transposed, whose elements have the same bits in
// whatever tile they lie: so the own partner's cosine, computed apart, compares exactly.
#pragma once

#include <array>
#include <cmath>

#include "progress.hpp"
#include "spheremix/core/parallel.hpp"
#include "spheremix/core/workspace.hpp"
#include "spheremix/pairwise/product.hpp"

namespace analyze {

inline constexpr int kBins = 100;  ///< equal bins of the cosine over [-1, 1]

inline int bin_of(double cosine) {
  const int bin = int((cosine + 1) / 2 * kBins);
  return bin < 0 ? 0 : bin >= kBins ? kBins - 1 : bin;
}

/// The k greatest values seen for each of n rows, greatest first; of equal ones the first id.
template <class T>
class TopList {
 public:
  TopList(Index n, Index k) : k_(k), value_(at(n * k), -2), id_(at(n * k), -1) {}

  Index k() const { return k_; }
  T least(Index i) const { return value_[at(i * k_ + k_ - 1)]; }
  T value(Index i, Index place) const { return value_[at(i * k_ + place)]; }
  Index id(Index i, Index place) const { return id_[at(i * k_ + place)]; }

  void add(Index i, T value, Index id) {
    T* const v = value_.data() + i * k_;
    std::int32_t* const who = id_.data() + i * k_;
    Index place = k_;
    while (place > 0 && (value > v[place - 1] || (value == v[place - 1] && id < who[place - 1])))
      --place;
    if (place == k_) return;
    for (Index p = k_ - 1; p > place; --p) v[p] = v[p - 1], who[p] = who[p - 1];
    v[place] = value, who[place] = std::int32_t(id);
  }

  void add(const TopList& other) {
    const Index n = Index(id_.size()) / k_;
    for (Index i = 0; i < n; ++i)
      for (Index p = 0; p < k_ && other.id(i, p) >= 0; ++p)
        add(i, other.value(i, p), other.id(i, p));
  }

 private:
  Index k_;
  std::vector<T> value_;
  std::vector<std::int32_t> id_;
};

template <class T>
struct AllPairs {
  std::vector<double> potentials;      ///< of row i: sum_j e^(-t |x_i - y_j|^2)
  std::vector<double> col_potentials;  ///< of column j; empty for a batch with itself
  double potential = 0;                ///< over all pairs; i < j for a batch with itself
  std::vector<std::int32_t> row_count, col_count;  ///< cosines at least the own one
  TopList<T> row_top, col_top;                     ///< col_top is empty for a batch with itself
  std::array<std::int64_t, kBins> histogram{};
  Index histogram_step = 1;  ///< rows 0, step, 2 step, ... are in the histogram
};

/// What to compare with: the cosine of each row's (column's) own partner. Null for a batch with
/// itself.
template <class T>
struct OwnCosines {
  const std::vector<T>* rows = nullptr;
  const std::vector<T>* cols = nullptr;
};

namespace detail {

/// Tiles and packing buffers, one set a thread.
template <class T>
class SweepMemory {
 public:
  static constexpr Index kRows = spheremix::pairwise::kPackRows, kCols = 2 * kRows;

  explicit SweepMemory(int threads) {
    using spheremix::core::Workspace;
    const auto a = std::size_t(spheremix::pairwise::kPackA<T>),
               b = std::size_t(spheremix::pairwise::kPackB<T>), c = std::size_t(kRows * kCols);
    auto frame = workspace_.frame(
        std::size_t(threads) *
        (Workspace::bytes_for<T>(a) + Workspace::bytes_for<T>(b) + Workspace::bytes_for<T>(c)));
    for (int t = 0; t < threads; ++t) {
      T* const pack_a = frame.template take<T>(a);
      T* const pack_b = frame.template take<T>(b);
      pack_.push_back({pack_a, pack_b});
      tile_.push_back(frame.template take<T>(c));
    }
  }
  spheremix::pairwise::PackBuffers<T>& pack(int thread) { return pack_[std::size_t(thread)]; }
  T* tile(int thread) { return tile_[std::size_t(thread)]; }

 private:
  spheremix::core::Workspace workspace_;
  std::vector<spheremix::pairwise::PackBuffers<T>> pack_;
  std::vector<T*> tile_;
};

template <class T>
spheremix::core::MatrixView<const T> rows_of(const RowMatrix<T>& x, Index first, Index count) {
  return {x.data() + first * x.cols(), count, x.cols(), x.cols()};
}

}  // namespace detail

/// x_owner[j] . y_j, with the bits it has in the sweep's tiles.
template <class T>
std::vector<T> own_cosines(const RowMatrix<T>& x, const RowMatrix<T>& y,
                           const std::vector<Index>& owner) {
  constexpr Index block = 84;
  std::vector<T> own(at(y.rows()));
  const int threads = spheremix::core::max_threads();
  detail::SweepMemory<T> memory(threads);
  spheremix::core::parallel_for(
      (y.rows() + block - 1) / block, threads, [&](Index task, int thread) {
        const Index first = task * block, count = std::min(block, y.rows() - first);
        RowMatrix<T> mine(count, x.cols());
        for (Index r = 0; r < count; ++r) mine.row(r) = x.row(owner[at(first + r)]);
        const spheremix::core::MatrixView<T> tile{memory.tile(thread), count, count, count};
        memory.pack(thread).packed = nullptr;
        spheremix::pairwise::times_transposed<T>(tile, detail::rows_of(mine, 0, count),
                                                 detail::rows_of(y, first, count), false,
                                                 memory.pack(thread));
        for (Index r = 0; r < count; ++r) own[at(first + r)] = tile(r, r);
      });
  return own;
}

/// x y^T; equal rows have equal bits in it.
template <class T>
RowMatrix<T> cosine_table(const RowMatrix<T>& x, const RowMatrix<T>& y) {
  using Memory = detail::SweepMemory<T>;
  RowMatrix<T> s(x.rows(), y.rows());
  const int threads = spheremix::core::max_threads();
  Memory memory(threads);
  spheremix::core::parallel_for(
      (y.rows() + Memory::kCols - 1) / Memory::kCols, threads, [&](Index task, int thread) {
        const Index j = task * Memory::kCols, cols = std::min(Memory::kCols, y.rows() - j);
        for (Index i = 0; i < x.rows(); i += Memory::kRows) {
          const Index rows = std::min(Memory::kRows, x.rows() - i);
          spheremix::pairwise::times_transposed<T>(
              {s.data() + i * s.cols() + j, rows, cols, s.cols()}, detail::rows_of(x, i, rows),
              detail::rows_of(y, j, cols), false, memory.pack(thread));
        }
      });
  return s;
}

/// The sweep. `same`: x and y are one batch, and each pair counts once.
template <class T>
AllPairs<T> all_pairs(const RowMatrix<T>& x, const RowMatrix<T>& y, bool same, Index k, double t,
                      const OwnCosines<T>& own, Progress& progress) {
  using Memory = detail::SweepMemory<T>;
  using Numbers = Eigen::Array<T, Eigen::Dynamic, 1>;
  const Index n = x.rows(), m = y.rows(), d = x.cols();
  const int threads = spheremix::core::max_threads();
  const Index col_tiles = (m + Memory::kCols - 1) / Memory::kCols;
  const bool ranks = own.rows != nullptr;
  const Index skip =
      std::max<Index>(1, n * m / 40'000'000);  // rows of the histogram: every skip-th

  AllPairs<T> all{std::vector<double>(at(n)), std::vector<double>(at(same ? 0 : m)), 0,  {},  {},
                  TopList<T>(n, k),           TopList<T>(same ? 0 : m, k),           {}, skip};
  if (ranks) all.col_count.resize(at(m));
  struct PerThread {
    std::vector<double> potentials;
    std::vector<std::int32_t> row_count;
    TopList<T> row_top;
    std::array<std::int64_t, kBins> histogram{};
  };
  std::vector<PerThread> mine;
  for (int i = 0; i < threads; ++i)
    mine.push_back({std::vector<double>(at(n)),
                    std::vector<std::int32_t>(at(ranks ? n : 0)),
                    TopList<T>(n, k),
                    {}});
  std::vector<double> tile_potential(at(col_tiles));
  Memory memory(threads);

  spheremix::core::parallel_for(col_tiles, threads, [&](Index task, int thread) {
    // The tall tiles of a triangle first, so that no thread ends with one.
    const Index j = (same ? col_tiles - 1 - task : task) * Memory::kCols;
    const Index cols = std::min(Memory::kCols, m - j);
    PerThread& my = mine[std::size_t(thread)];
    TopList<T>& col_top = same ? my.row_top : all.col_top;
    Numbers weight(cols), least(cols);
    Eigen::ArrayXd column_sum = Eigen::ArrayXd::Zero(cols);
    std::vector<std::int32_t> in_column(at(cols));
    double potential = 0;
    for (Index c = 0; c < cols; ++c) least[c] = col_top.least(j + c);
    for (Index i = 0; i < (same ? std::min(n, j + cols) : n); i += Memory::kRows) {
      const Index rows = std::min(Memory::kRows, n - i);
      const spheremix::core::MatrixView<T> tile{memory.tile(thread), rows, cols, Memory::kCols};
      spheremix::pairwise::times_transposed<T>(tile, detail::rows_of(x, i, rows),
                                               detail::rows_of(y, j, cols), false,
                                               memory.pack(thread));
      for (Index r = 0; r < rows; ++r) {
        const T* const s = tile.row(r);
        const Index from = same ? std::max<Index>(0, i + r + 1 - j) : 0;
        if (from >= cols) break;
        const Eigen::Map<const Numbers> cosines(s + from, cols - from);
        weight.tail(cols - from) = (T(2 * t) * (cosines - 1)).exp();
        const double row_sum = double(weight.tail(cols - from).sum());
        potential += row_sum;
        my.potentials[at(i + r)] += row_sum;
        column_sum.tail(cols - from) += weight.tail(cols - from).template cast<double>();
        if (ranks) {
          const T mark = (*own.rows)[at(i + r)];
          const T* const marks = own.cols->data() + j;
          std::int32_t in_row = 0;
          for (Index c = 0; c < cols; ++c) in_row += s[c] >= mark;
          for (Index c = 0; c < cols; ++c) in_column[at(c)] += s[c] >= marks[c];
          my.row_count[at(i + r)] += in_row;
        }
        if ((i + r) % skip == 0)
          for (Index c = from; c < cols; ++c) ++my.histogram[std::size_t(bin_of(double(s[c])))];
        constexpr Index chunk = 64;
        T row_least = my.row_top.least(i + r);
        for (Index c = from; c < cols; c += chunk) {
          const Index end = std::min(c + chunk, cols);
          int found = 0;
          for (Index l = c; l < end; ++l) found |= int(s[l] >= row_least) | int(s[l] >= least[l]);
          if (found == 0) continue;
          for (Index l = c; l < end; ++l) {
            if (s[l] >= row_least) {
              my.row_top.add(i + r, s[l], j + l);
              row_least = my.row_top.least(i + r);
            }
            if (s[l] >= least[l]) {
              col_top.add(j + l, s[l], i + r);
              least[l] = col_top.least(j + l);
            }
          }
        }
      }
      progress.add(2 * double(rows) * double(cols) * double(d) * 1e-9);
    }
    tile_potential[at(j / Memory::kCols)] = potential;
    for (Index c = 0; c < cols; ++c)
      (same ? my.potentials : all.col_potentials)[at(j + c)] += column_sum[c];
    for (Index c = 0; ranks && c < cols; ++c) all.col_count[at(j + c)] = in_column[at(c)];
  });
  for (const double p : tile_potential) all.potential += p;
  if (ranks) all.row_count.resize(at(n));
  for (const PerThread& one : mine) {
    all.row_top.add(one.row_top);
    for (Index i = 0; i < n; ++i) {
      all.potentials[at(i)] += one.potentials[at(i)];
      if (ranks) all.row_count[at(i)] += one.row_count[at(i)];
    }
    for (std::size_t b = 0; b < kBins; ++b) all.histogram[b] += one.histogram[b];
  }
  return all;
}

/// The flops of a sweep, in billions, for the progress line.
inline double sweep_work(Index n, Index m, Index d, bool same) {
  const double tile = detail::SweepMemory<float>::kCols;
  return 2e-9 * double(d) * (same ? double(n) * (double(n) + tile) / 2 : double(n) * double(m));
}

}  // namespace analyze
