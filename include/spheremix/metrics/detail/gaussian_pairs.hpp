// log sum over pairs of e^(-t |x_i - y_j|^2), tile by tile: the sweep under uniformity.
//
// Squared distances come from products of centred rows (formula/gaussian_pair.hpp); pairs much closer to
// each other than to the centre are taken out of the tile and their difference is taken in double.
// Sums that end near the number of pairs, where log(mean) cancels, are done again as sums of expm1
// in double. So the value keeps a few eps of its own size from near-duplicates to points all over
// the sphere.
#pragma once

#include <cmath>
#include <vector>

#include "spheremix/formula/gaussian_pair.hpp"
#include "spheremix/metrics/detail/tiles.hpp"

namespace spheremix::metrics::detail {

/// A pair that was taken out of its tile: place in the tile and logit.
struct ClosePair {
  Index row, col;
  double logit;
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
    const double n = double(x.original.rows()), m = double(y.original.rows());
    return upper ? n * (n - 1) / 2 : n * m;
  }
  formula::GaussianPair<T> policy() const { return {T(t), x.square.data(), y.square.data()}; }

  /// No logit is below minus this.
  double bound() const { return 2 * t * (x.largest_square + y.largest_square); }
  /// The products or logits would overflow in T: every pair is taken by its difference.
  bool out_of_range() const {
    const double squares = x.largest_square + y.largest_square;
    return 4 * squares * (std::max)(1.0, t) > double(core::largest<T>) ||
           t > double(core::largest<T>);
  }

  /// The value is at least minus this: by Jensen, minus t times the mean squared distance.
  double jensen_bound() const {
    const double squares = x.mean_square + y.mean_square, n = double(x.original.rows());
    return t * squares * (upper ? n / (n - 1) : 2);
  }
  /// What a sum in T leaves out of its tiles. Where no t (|x|^2 + |y|^2) exceeds 4, logits are
  /// right to a few eps without that, and the value itself is larger than that where sums in T are
  /// used (kNearZero).
  Take taken_from_sums() const {
    if (out_of_range()) return Take::all;
    return t * (x.largest_square + y.largest_square) > 4 ? Take::close : Take::none;
  }

  double exact_logit(Index i, Index j) const {
    return -t * squared_distance(x.original.row(i), y.original.row(j), x.original.cols());
  }

  /// Takes what does not count (with `upper` j <= i, or `mirrored` i <= j) and the close pairs, or
  /// all, out of a tile: -infinity stands in their place.
  void take_out(Index i0, Index j0, core::MatrixView<T> tile, Take take,
                std::vector<ClosePair>& close, bool mirrored = false) const {
    close.clear();
    for (Index r = 0; r < tile.rows; ++r) {
      T* const s = tile.row(r);
      const Index i = i0 + r;
      const Index skip = upper && !mirrored ? std::clamp<Index>(i + 1 - j0, 0, tile.cols) : 0;
      const Index stop = mirrored ? std::clamp<Index>(i - j0, 0, tile.cols) : tile.cols;
      std::fill_n(s, skip, -core::infinity<T>);
      std::fill_n(s + stop, tile.cols - stop, -core::infinity<T>);
      if (take == Take::none) continue;
      const bool all = take == Take::all;
      const T xx = x.square[std::size_t(i)];
      const T* yy = y.square.data() + j0;
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
        if (found == 0) continue;
        for (Index l = (std::max)(c, skip); l < (std::min)(end, stop); ++l) {
          if (!all && !formula::gaussian_close(s[l], xx + yy[l])) continue;
          close.push_back({r, l, exact_logit(i, j0 + l)});
          s[l] = -core::infinity<T>;
        }
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
  double log() const { return top + std::log(sum); }
};

/// sum of e^logit over all pairs.
template <class T>
LogSum gaussian_sum(const GaussianTable<T>& table) {
  const auto x = table.x.view(), y = table.y.view();
  const Index row_tiles = parts(x.rows, kTileRows);
  std::vector<LogSum> sums(std::size_t(row_tiles * parts(y.rows, kTileCols)));
  const auto policy = table.policy();
  const Take take = table.taken_from_sums();
  for_product_tiles(x, y, table.upper, [&](Index i, Index j, core::MatrixView<T> tile, int) {
    std::vector<ClosePair> close;
    table.take_out(i, j, tile, take, close);
    LogSum& sum = sums[std::size_t(j / kTileCols * row_tiles + i / kTileRows)];
    if (take != Take::all) {
      T row_max[kTileRows], row_sum[kTileRows];
      SPHEREMIX_DISPATCH(softmax_statistics<T, formula::GaussianPair<T>>)
      (policy, tile, i, j, row_max, row_sum, nullptr, nullptr);
      for (Index r = 0; r < tile.rows; ++r) sum.add(double(row_max[r]), double(row_sum[r]));
    }
    for (const ClosePair& pair : close) sum.add(pair.logit, 1);
  });
  LogSum all_pairs;
  for (const LogSum& sum : sums) all_pairs.add(sum.top, sum.sum);
  return all_pairs;
}

/// sum of e^logit - 1 over all pairs, every term in double.
template <class T>
double gaussian_expm1_sum(const GaussianTable<T>& table) {
  const auto x = table.x.view(), y = table.y.view();
  const Index row_tiles = parts(x.rows, kTileRows);
  std::vector<double> sums(std::size_t(row_tiles * parts(y.rows, kTileCols)));
  const Take take = table.out_of_range() ? Take::all : Take::close;
  for_product_tiles(x, y, table.upper, [&](Index i, Index j, core::MatrixView<T> tile, int) {
    std::vector<ClosePair> close;
    table.take_out(i, j, tile, take, close);
    CompensatedSum sum;
    for (Index r = 0; take != Take::all && r < tile.rows; ++r) {
      const double xx = double(table.x.square[std::size_t(i + r)]);
      double row = 0;
      for (Index c = 0; c < tile.cols; ++c) {
        const double s = double(tile(r, c));
        if (!(s > -core::infinity<double>)) continue;
        row += std::expm1(table.t * (2 * s - (xx + double(table.y.square[std::size_t(j + c)]))));
      }
      sum.add(row);
    }
    for (const ClosePair& pair : close) sum.add(std::expm1(pair.logit));
    sums[std::size_t(j / kTileCols * row_tiles + i / kTileRows)] = sum.value();
  });
  CompensatedSum all_pairs;
  for (const double sum : sums) all_pairs.add(sum);
  return all_pairs.value();
}

/// |log mean| below which the logarithm's argument is too near 1 for sums in T.
inline constexpr double kNearZero = 0.5;

/// log mean over all pairs. `fast` is a value from gradient weights, if there is one.
template <class T>
double gaussian_log_mean(const GaussianTable<T>& table, const double* fast = nullptr) {
  if (std::isnan(table.x.largest_square + table.y.largest_square)) return core::nan<double>;
  const double pairs = table.pairs();
  if (table.jensen_bound() > kNearZero) {
    const double value = fast ? *fast : gaussian_sum(table).log() - std::log(pairs);
    if (!(value > -kNearZero)) return value;
  }
  return std::log1p(gaussian_expm1_sum(table) / pairs);
}

}  // namespace spheremix::metrics::detail
