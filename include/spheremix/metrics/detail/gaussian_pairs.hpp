// log sum over pairs of e^(-t |x_i - y_j|^2), tile by tile: the sweep under uniformity.
//
// Squared distances come from products of centred rows (formula/gaussian_pair.hpp); pairs much closer to
// each other than to the centre are taken out of the tile and their difference is taken in double.
// Sums that end near the number of pairs, where log(mean) cancels, are done again as sums of expm1
// in double. So the value keeps a few eps of its own size from near-duplicates to points all over
// the sphere.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <memory>

#include "spheremix/formula/gaussian_pair.hpp"
#include "spheremix/metrics/detail/tiles.hpp"

namespace spheremix::metrics::detail {

/// The pairs that were taken out of a tile, a bit each.
class TakenPairs {
  static constexpr Index kMost = kTileRows * ((kTileCols + 63) / 64);
  static_assert(kMost >= kTileCols * ((kTileRows + 63) / 64));

 public:
  /// Of a tile of `rows` x `cols`, at most kTileRows x kTileCols or the other way round.
  void start(Index rows, Index cols) {
    rows_ = rows;
    words_ = (cols + 63) / 64;
    any_ = false;
  }
  /// Columns [64 word, 64 word + 64) of a row: all are put, or none in the whole tile.
  void put(Index row, Index word, std::uint64_t taken) {
    bits_[row * words_ + word] = taken;
    any_ = any_ || taken != 0;
  }
  /// body(row, col), row after row.
  template <class Body>
  void for_each(const Body& body) const {
    for (Index k = 0; any_ && k < rows_ * words_; ++k)
      for (std::uint64_t left = bits_[k]; left != 0; left &= left - 1)
        body(k / words_, k % words_ * 64 + std::countr_zero(left));
  }

 private:
  Index rows_ = 0, words_ = 0;
  bool any_ = false;
  std::uint64_t bits_[kMost];
};

/// Which pairs are taken out of a tile.
enum class Take { none, close, all };

/// All pairs of X and Y, or with `upper` the pairs i < j of X = Y (which may be met as (j, i)).
template <class T>
struct GaussianTable {
  const CentredRows<T>& x;
  const CentredRows<T>& y;
  bool upper;
  double t;

  double pairs() const {
    const double n = double(x.total()), m = double(y.total());
    return upper ? n * (n - 1) / 2 : n * m;
  }
  formula::GaussianPair<T> policy() const { return {T(t), x.square(), y.square()}; }

  /// No logit is below minus this.
  double bound() const { return 2 * t * (x.largest_square() + y.largest_square()); }
  /// The products or logits would overflow in T: every pair is taken by its difference.
  bool out_of_range() const {
    const double squares = x.largest_square() + y.largest_square();
    return 4 * squares * (std::max)(1.0, t) > double(core::largest<T>) ||
           t > double(core::largest<T>);
  }

  /// The value is at least minus this: by Jensen, minus t times the mean squared distance.
  double jensen_bound() const {
    const double squares = x.mean_square() + y.mean_square(), n = double(x.total());
    return t * squares * (upper ? n / (n - 1) : 2);
  }
  /// What a sum in T leaves out of its tiles. Where no t (|x|^2 + |y|^2) exceeds 4, logits are
  /// right to a few eps without that, and the value itself is larger than that where sums in T are
  /// used (kNearZero).
  Take taken_from_sums() const {
    if (out_of_range()) return Take::all;
    return t * (x.largest_square() + y.largest_square()) > 4 ? Take::close : Take::none;
  }

  double exact_logit(Index i, Index j) const {
    return -t * squared_distance(x.original().row(i), y.original().row(j), x.original().cols());
  }

  /// Takes what does not count (with `upper` j <= i, or `mirrored` i <= j) and the close pairs, or
  /// all, out of a tile: -infinity stands in their place.
  void take_out(Index i0, Index j0, core::MatrixView<T> tile, Take take, TakenPairs& taken,
                bool mirrored = false) const {
    taken.start(tile.rows, tile.cols);
    for (Index r = 0; r < tile.rows; ++r) {
      T* const s = tile.row(r);
      const Index i = i0 + r;
      const Index skip = upper && !mirrored ? std::clamp<Index>(i + 1 - j0, 0, tile.cols) : 0;
      const Index stop = mirrored ? std::clamp<Index>(i - j0, 0, tile.cols) : tile.cols;
      std::fill_n(s, skip, -core::infinity<T>);
      std::fill_n(s + stop, tile.cols - stop, -core::infinity<T>);
      if (take == Take::none) continue;
      const bool all = take == Take::all;
      const T xx = x.square()[i];
      const T* yy = y.square() + j0;
      constexpr Index chunk = 64;
      for (Index c = 0; c < tile.cols; c += chunk) {
        const Index end = (std::min)(c + chunk, tile.cols);
        int found = all;
        if (end == c + chunk) {
          for (Index l = 0; l < chunk; ++l)
            found |= formula::gaussian_close(s[c + l], xx + yy[c + l]);
        } else {
          for (Index l = c; l < end; ++l) found |= formula::gaussian_close(s[l], xx + yy[l]);
        }
        std::uint64_t bits = 0;
        for (Index l = (std::max)(c, skip); found != 0 && l < (std::min)(end, stop); ++l) {
          if (!all && !formula::gaussian_close(s[l], xx + yy[l])) continue;
          bits |= std::uint64_t(1) << (l - c);
          s[l] = -core::infinity<T>;
        }
        taken.put(r, c / chunk, bits);
      }
    }
  }
};

/// A sum of exponentials, sum * e^top.
struct LogSum {
  double top = -core::infinity<double>, sum = 0;

  void add(double other_top, double other_sum) {
    if (!(other_top > -core::infinity<double>)) return;
    if (other_top > top) {
      sum *= std::exp(top - other_top);
      top = other_top;
      sum += other_sum;
    } else {
      sum += other_sum * std::exp(other_top - top);
    }
  }
};

/// What the sums over a table of n x m pairs work on.
template <class T>
struct GaussianSums {
  TileMemory<T> tiles;
  Index row_tiles, count;
  LogSum* sums;  ///< one a tile

  GaussianSums(Index n, Index m, int threads, core::Workspace::Frame& frame)
      : tiles(threads, true, frame),
        row_tiles(parts(n, kTileRows)),
        count(row_tiles * parts(m, kTileCols)),
        sums(frame.take<LogSum>(std::size_t(count))) {}

  void start() { std::uninitialized_fill_n(sums, count, LogSum{}); }
  LogSum& of_tile(Index i, Index j) { return sums[j / kTileCols * row_tiles + i / kTileRows]; }
};

/// sum of e^logit over all pairs.
template <class T>
LogSum gaussian_sum(const GaussianTable<T>& table, GaussianSums<T>& memory) {
  memory.start();
  const auto policy = table.policy();
  const Take take = table.taken_from_sums();
  const auto add_tile = [&](Index i, Index j, core::MatrixView<T> tile, int) {
    TakenPairs taken;
    table.take_out(i, j, tile, take, taken);
    LogSum& sum = memory.of_tile(i, j);
    if (take != Take::all) {
      T row_max[kTileRows], row_sum[kTileRows];
      SPHEREMIX_DISPATCH(softmax_statistics<T, formula::GaussianPair<T>>)
      (policy, tile, i, j, row_max, row_sum, nullptr, nullptr);
      for (Index r = 0; r < tile.rows; ++r) sum.add(double(row_max[r]), double(row_sum[r]));
    }
    taken.for_each([&](Index r, Index c) { sum.add(table.exact_logit(i + r, j + c), 1); });
  };
  for_product_tiles(table.x.view(), table.y.view(), table.upper, memory.tiles, add_tile);
  LogSum all_pairs;
  for (Index k = 0; k < memory.count; ++k) all_pairs.add(memory.sums[k].top, memory.sums[k].sum);
  return all_pairs;
}

/// sum of e^logit - 1 over all pairs, every term in double.
template <class T>
double gaussian_expm1_sum(const GaussianTable<T>& table, GaussianSums<T>& memory) {
  memory.start();
  const Take take = table.out_of_range() ? Take::all : Take::close;
  const auto add_tile = [&](Index i, Index j, core::MatrixView<T> tile, int) {
    TakenPairs taken;
    table.take_out(i, j, tile, take, taken);
    CompensatedSum sum;
    for (Index r = 0; take != Take::all && r < tile.rows; ++r) {
      const double xx = double(table.x.square()[i + r]);
      double row = 0;
      for (Index c = 0; c < tile.cols; ++c) {
        const double s = double(tile(r, c));
        if (!(s > -core::infinity<double>)) continue;
        row += std::expm1(table.t *
                          formula::gaussian_logit(2.0, s, xx + double(table.y.square()[j + c])));
      }
      sum.add(row);
    }
    taken.for_each([&](Index r, Index c) { sum.add(std::expm1(table.exact_logit(i + r, j + c))); });
    memory.of_tile(i, j).sum = sum.value();
  };
  for_product_tiles(table.x.view(), table.y.view(), table.upper, memory.tiles, add_tile);
  CompensatedSum all_pairs;
  for (Index k = 0; k < memory.count; ++k) all_pairs.add(memory.sums[k].sum);
  return all_pairs.value();
}

/// |log mean| below which the logarithm's argument is too near 1 for sums in T.
inline constexpr double kNearZero = 0.5;

/// log mean over all pairs from log_sum(), a LogSum of e^logit, or where that ends near 0 from
/// expm1_sum().
template <class T, class OfLogs, class OfExpm1>
double log_mean_of(const GaussianTable<T>& table, const OfLogs& log_sum, const OfExpm1& expm1_sum,
                   const double* fast = nullptr) {
  if (std::isnan(table.x.largest_square() + table.y.largest_square())) return core::nan<double>;
  const double pairs = table.pairs();
  const auto value_of = [&](const LogSum& z) {
    return formula::GaussianMean{z.sum, pairs, z.top}.value();
  };
  if (table.jensen_bound() > kNearZero) {
    const double value = fast ? *fast : value_of(log_sum());
    if (!(value > -kNearZero)) return value;
  }
  return std::log1p(expm1_sum() / pairs);
}

/// log mean over all pairs. `fast` is a value from gradient weights, if there is one.
template <class T>
double gaussian_log_mean(const GaussianTable<T>& table, GaussianSums<T>& memory,
                         const double* fast = nullptr) {
  return log_mean_of(
      table, [&] { return gaussian_sum(table, memory); },
      [&] { return gaussian_expm1_sum(table, memory); }, fast);
}

}  // namespace spheremix::metrics::detail
