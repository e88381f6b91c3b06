// One pass over the table of cosines of two batches of unit rows, tile by tile, for everything that
// needs all pairs: both directions of retrieval, the k nearest of every row and column, the
// Gaussian potential of uniformity, near-duplicates, a histogram.
//
// Of several processes each takes every W-th column of tiles; what they find is put together.
//
//   2 N M d flops for two batches, N^2 d for one with itself; memory O((N + M) k) and a tile a
//   thread
//
// Ties: two cosines within `tie_width` of each other are equal, the rounding of their sums being
// what tells them apart. In single precision that width only picks pairs to look at again: these
// are compared in double, from the rows as the file holds them (ties.hpp).
#pragma once

#include <array>
#include <bit>
#include <cmath>

#include "groups.hpp"
#include "progress.hpp"
#include "spheremix/core/parallel.hpp"
#include "spheremix/core/workspace.hpp"
#include "spheremix/pairwise/product.hpp"
#include "ties.hpp"

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

  /// What each process has found for its own rows (OwnRows), to all.
  void gather(const Share* share) {
    if (!share || k_ == 0) return;
    share->gather(value_.data(), Index(id_.size()) / k_, k_);
    share->gather(id_.data(), Index(id_.size()) / k_, k_);
  }

  /// What the other processes have found for the same rows.
  void add(const Share* share) {
    if (!share) return;
    std::vector<std::pair<T, std::int32_t>> mine;
    for (std::size_t e = 0; e < id_.size(); ++e) mine.emplace_back(value_[e], id_[e]);
    from_others(share, mine.data(), k_ > 0 ? Index(id_.size()) / k_ : 0, k_,
                [&](Index i, const std::pair<T, std::int32_t>* row) {
                  for (Index p = 0; p < k_ && row[p].second >= 0; ++p)
                    add(i, row[p].first, row[p].second);
                });
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

/// Of each query, the other candidates nearer than its own answer, and as near.
struct Rivals {
  std::vector<std::int32_t> nearer, equal;
};

inline constexpr double kNearCosine = 0.999;  ///< cosine from which rows count as near-duplicates

template <class T>
struct AllPairs {
  std::vector<double> potentials;      ///< of row i: sum_j e^(-t |x_i - y_j|^2)
  std::vector<double> col_potentials;  ///< of column j; empty for a batch with itself
  double potential = 0;                ///< over all pairs; i < j for a batch with itself
  TopList<T> row_top, col_top;         ///< col_top is empty for a batch with itself
  Rivals of_rows, of_cols;
  std::vector<char> near;  ///< of a batch with itself: has another row at kNearCosine, not equal
  std::vector<Index> near_group;  ///< where groups are wanted: the first row of each one's group
  std::array<std::int64_t, kBins> histogram{};
  Index histogram_step = 1;  ///< rows 0, step, 2 step, ... are in the histogram
};

/// What to compare with. Of two batches: the cosine of each row's (column's) own partner, each
/// row's best answer, each column's owner. Of one batch: what tells equal rows. `exact` is null
/// where T is double.
template <class T>
struct Marks {
  const std::vector<T>* rows = nullptr;
  const std::vector<T>* cols = nullptr;
  const std::vector<Index>* answer = nullptr;
  const std::vector<Index>* owner = nullptr;
  const std::vector<std::uint64_t>* hashes = nullptr;
  const FileCosine* exact = nullptr;
  bool groups = false;  ///< of near-duplicates
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

/// x_owner[j] . y_j.
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

/// x y^T.
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
                      const Marks<T>& own, Progress& progress) {
  using Memory = detail::SweepMemory<T>;
  using Numbers = Eigen::Array<T, Eigen::Dynamic, 1>;
  const Index n = x.rows(), m = y.rows(), d = x.cols();
  const int threads = spheremix::core::max_threads();
  const Index col_tiles = (m + Memory::kCols - 1) / Memory::kCols;
  const bool ranks = own.rows != nullptr;
  const Index skip =
      std::max<Index>(1, n * m / 40'000'000);  // rows of the histogram: every skip-th

  const T width = T(tie_width<T>(d));
  const auto empty = [](Index rows) {
    return Rivals{std::vector<std::int32_t>(at(rows)), std::vector<std::int32_t>(at(rows))};
  };
  AllPairs<T> all{std::vector<double>(at(n)),
                  std::vector<double>(at(same ? 0 : m)),
                  0,
                  TopList<T>(n, k),
                  TopList<T>(same ? 0 : m, k),
                  empty(ranks ? n : 0),
                  empty(ranks ? m : 0),
                  std::vector<char>(at(same ? n : 0)),
                  {},
                  {},
                  skip};
  struct PerThread {
    std::vector<std::int64_t> potentials;  // in units, so that their order does not show
    Rivals of_rows;
    TopList<T> row_top;
    std::vector<char> near;
    std::optional<Groups> groups;
    std::array<std::int64_t, kBins> histogram{};
  };
  std::vector<PerThread> mine;
  for (int i = 0; i < threads; ++i) {
    mine.push_back({std::vector<std::int64_t>(at(n)),
                    empty(ranks ? n : 0),
                    TopList<T>(n, k),
                    std::vector<char>(at(same ? n : 0)),
                    {},
                    {}});
    if (own.groups) mine.back().groups.emplace(at(n));
  }
  // A potential is a sum of at most max(n, m) numbers up to 1 and some rounding.
  const double unit = std::ldexp(1, 61 - std::ilogb(double(std::max(n, m))));
  const auto in_units = [unit](double p) { return std::int64_t(std::llround(p * unit)); };
  std::vector<double> tile_potential(at(col_tiles));
  const auto exponentials = SPHEREMIX_DISPATCH(row_exponential<T>);
  const auto next_above = SPHEREMIX_DISPATCH(next_above<T, true>);
  Memory memory(threads);

  const Share* const share = progress.share();
  const Index team = team_size(share), own_first = share ? share->rank() : 0,
              own_tiles = own_first < col_tiles ? (col_tiles - own_first - 1) / team + 1 : 0;
  spheremix::core::parallel_for(own_tiles, threads, [&](Index turn, int thread) {
    const Index task = own_first + turn * team;
    // The tall tiles of a triangle first, so that no thread ends with one.
    const Index j = (same ? col_tiles - 1 - task : task) * Memory::kCols;
    const Index cols = std::min(Memory::kCols, m - j);
    PerThread& my = mine[std::size_t(thread)];
    TopList<T>& col_top = same ? my.row_top : all.col_top;
    Numbers weight(cols), least(cols);
    Eigen::ArrayXd column_sum = Eigen::ArrayXd::Zero(cols);
    std::vector<std::int32_t> nearer(at(cols));
    std::vector<T> low(at(cols)), high(at(cols));
    for (Index c = 0; ranks && c < cols; ++c)
      low[at(c)] = (*own.cols)[at(j + c)] - width, high[at(c)] = (*own.cols)[at(j + c)] + width;
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
        const Eigen::Map<const Numbers> cosines(s, cols);
        weight.head(from).setZero();  // pairs that count in their other order
        const double row_sum =
            exponentials(s + from, T(2 * t), T(2 * t), weight.data() + from, cols - from);
        potential += row_sum;
        my.potentials[at(i + r)] += in_units(row_sum);
        column_sum += weight.template cast<double>();
        if (ranks) {
          const T mark = (*own.rows)[at(i + r)], least_mark = mark - width, most = mark + width;
          const T *const from_low = low.data(), *const from_high = high.data();
          std::int32_t* const count = nearer.data();
          std::int32_t in_row = 0, doubtful = 0;
          for (Index c = 0; c < cols; ++c) {
            in_row += s[c] > most;
            count[c] += s[c] > from_high[c];
            doubtful += std::int32_t(s[c] >= least_mark) + std::int32_t(s[c] >= from_low[c]) -
                        std::int32_t(s[c] > most) - std::int32_t(s[c] > from_high[c]);
          }
          my.of_rows.nearer[at(i + r)] += in_row;
          for (Index c = 0; doubtful > 0 && c < cols; ++c) {
            const bool for_row = s[c] >= least_mark && s[c] <= most,
                       for_col = s[c] >= low[at(c)] && s[c] <= high[at(c)];
            if ((!for_row && !for_col) || (*own.owner)[at(j + c)] == i + r) continue;
            if (for_row) {
              const int order = own.exact == nullptr ? 0
                                                     : own.exact->compare(i + r, j + c, i + r,
                                                                          (*own.answer)[at(i + r)]);
              my.of_rows.nearer[at(i + r)] += order > 0;
              my.of_rows.equal[at(i + r)] += order == 0;
            }
            if (for_col) {
              const int order =
                  own.exact == nullptr
                      ? 0
                      : own.exact->compare(i + r, j + c, (*own.owner)[at(j + c)], j + c);
              nearer[at(c)] += order > 0;
              all.of_cols.equal[at(j + c)] += order == 0;
            }
          }
        }
        if (own.hashes != nullptr && cosines.tail(cols - from).maxCoeff() >= T(kNearCosine) - width)
          for (Index c = from; c < cols; ++c) {
            if (s[c] < T(kNearCosine) - width) continue;
            char &one = my.near[at(i + r)], &other = my.near[at(j + c)];
            if ((one && other && (!my.groups || my.groups->top(i + r) == my.groups->top(j + c))) ||
                (*own.hashes)[at(i + r)] == (*own.hashes)[at(j + c)])
              continue;
            if (own.exact == nullptr ? double(s[c]) >= kNearCosine
                                     : s[c] > T(kNearCosine) + width ||
                                           own.exact->cosine(i + r, j + c) >= kNearCosine) {
              one = other = 1;
              if (my.groups) my.groups->join(i + r, j + c);
            }
          }
        if ((i + r) % skip == 0)
          for (Index c = from; c < cols; ++c) ++my.histogram[std::size_t(bin_of(double(s[c])))];
        T row_least = my.row_top.least(i + r);
        std::uint64_t which;
        for (Index c = from; (c = next_above(s, c, cols, row_least, least.data(), which)) < cols;
             c += spheremix::pairwise::kChunk)
          for (; which != 0; which &= which - 1) {
            const Index l = c + std::countr_zero(which);
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
      progress.add(2 * double(rows) * double(cols) * double(d) * 1e-9 * double(team));
    }
    tile_potential[at(j / Memory::kCols)] = potential;
    for (Index c = 0; c < cols; ++c) {
      if (same)
        my.potentials[at(j + c)] += in_units(column_sum[c]);
      else
        all.col_potentials[at(j + c)] += column_sum[c];
    }
    for (Index c = 0; ranks && c < cols; ++c) all.of_cols.nearer[at(j + c)] = nearer[at(c)];
  });
  if (own.groups) {
    Groups groups(at(n));
    for (PerThread& one : mine)
      for (Index i = 0; i < n; ++i) groups.join(i, one.groups->top(i));
    for (Index i = 0; i < n; ++i) all.near_group.push_back(groups.top(i));
    from_others(share, std::vector<Index>(all.near_group).data(), n, 1,
                [&](Index i, const Index* top) { groups.join(i, *top); });
    for (Index i = 0; i < n; ++i) all.near_group[at(i)] = groups.top(i);
  }
  add_up(share, tile_potential);
  for (const double p : tile_potential) all.potential += p;
  std::vector<std::int64_t> potentials(at(n));
  for (const PerThread& one : mine) {
    all.row_top.add(one.row_top);
    for (Index i = 0; i < n; ++i) {
      potentials[at(i)] += one.potentials[at(i)];
      if (same) all.near[at(i)] |= one.near[at(i)];
      if (!ranks) continue;
      all.of_rows.nearer[at(i)] += one.of_rows.nearer[at(i)];
      all.of_rows.equal[at(i)] += one.of_rows.equal[at(i)];
    }
    for (std::size_t b = 0; b < kBins; ++b) all.histogram[b] += one.histogram[b];
  }
  from_others(share, std::vector<std::int64_t>(potentials).data(), n, 1,
              [&](Index i, const std::int64_t* sum) { potentials[at(i)] += *sum; });
  for (Index i = 0; i < n; ++i) all.potentials[at(i)] = double(potentials[at(i)]) / unit;
  add_up(share, all.col_potentials);
  for (Rivals* rivals : {&all.of_rows, &all.of_cols})
    for (auto* count : {&rivals->nearer, &rivals->equal}) add_up(share, *count);
  add_up(share, all.histogram.data(), kBins);
  all.row_top.add(share);
  all.col_top.add(share);
  from_others(share, std::vector<char>(all.near).data(), Index(all.near.size()), 1,
              [&](Index i, const char* near) { all.near[at(i)] |= *near; });
  return all;
}

/// The flops of a sweep, in billions, for the progress line.
inline double sweep_work(Index n, Index m, Index d, bool same) {
  const double tile = detail::SweepMemory<float>::kCols;
  return 2e-9 * double(d) * (same ? double(n) * (double(n) + tile) / 2 : double(n) * double(m));
}

}  // namespace analyze
