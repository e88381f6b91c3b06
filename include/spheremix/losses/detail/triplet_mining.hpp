// Which triplets of a labelled batch count: mining by distances that are right to a few eps of the
// distance, however close together the rows are and however far from the origin.
//
// Squared distances |x_i|^2 + |x_j|^2 - 2 x_i.x_j come from the table of products, with a bound on
// their rounding. Two that the bound cannot tell apart are compared by differences in double, and
// where those are as close as their rounding, by differences and sums that carry their errors along:
// equal distances are found equal whatever the order of the coordinates, and go to the lower row.
#pragma once

#include <algorithm>
#include <cmath>

#include "spheremix/core/rounded.hpp"
#include "spheremix/formula/triplet.hpp"
#include "spheremix/losses/detail/supervised.hpp"
#include "spheremix/metrics/detail/sums.hpp"

namespace spheremix::losses {

namespace detail {

struct Triplet {
  Index positive, negative;  ///< of an anchor
};

/// |x - y| to one eps: nothing is lost before the last rounding. `about`: the same to many.
template <class T>
double exact_distance(const T* x, const T* y, Index d, double about) {
  SPHEREMIX_SUMS_IN_ORDER
  if (!(about > 0) || !std::isfinite(about)) return about;
  int exponent = 0;
  if (about < 0x1p-300 || about > 0x1p300) std::frexp(about, &exponent);
  double sum = 0, lost = 0;
  for (Index k = 0; k < d; ++k) {
    const double a = double(x[k]), b = double(y[k]), h = core::rounded(a - b);
    const double back = core::rounded(a - h);
    const double left =
        core::rounded(core::rounded(a - core::rounded(h + back)) + core::rounded(back - b));
    const double high = std::ldexp(h, -exponent), low = std::ldexp(left, -exponent);
    const double square = core::rounded(high * high);
    const double error = std::fma(high, high, -square) + 2 * high * low;
    const double next = core::rounded(sum + square), part = core::rounded(next - sum);
    lost += core::rounded(core::rounded(sum - core::rounded(next - part)) +
                          core::rounded(square - part)) +
            error;
    sum = next;
  }
  return std::ldexp(std::sqrt(sum + lost), exponent);
}

/// The distances of row i from all others, told apart by no more work than it takes.
template <class T>
class DistanceOrder {
 public:
  /// square: products of row i with all rows; coarse, exact: room for n numbers each.
  DistanceOrder(MatrixView<const T> x, Index i, const T* norm, T* square, double* coarse,
                double* exact)
      : x_(x),
        i_(i),
        norm_(norm),
        square_(square),
        coarse_(coarse),
        exact_(exact),
        share_(double(x.cols + 8) * 0.5 * double(core::epsilon<T>)),
        floor_(double(x.cols + 8) * double(core::smallest_normal<T>)),
        relative_((double(x.cols) / 16 + 16) * core::epsilon<double>) {
    T largest = 0;
    for (Index j = 0; j < x.rows; ++j) {
      square[j] = norm[i] + norm[j] - 2 * square[j];
      largest = (std::max)(largest, norm[j]);
    }
    most_ = 2 * (share_ * (double(norm[i]) + double(largest)) + floor_);
    std::fill_n(coarse, x.rows, -1.0);
    std::fill_n(exact, x.rows, -1.0);
  }

  /// Below 0 where row a is nearer than row b, above 0 where it is farther.
  int compare(Index a, Index b) const {
    const double to_a = double(square_[a]), to_b = double(square_[b]),
                 apart = std::abs(to_a - to_b);
    if (apart > most_ || apart > bound(a) + bound(b)) return to_a < to_b ? -1 : 1;
    const double coarse_a = coarse(a), coarse_b = coarse(b);
    if (std::abs(coarse_a - coarse_b) > relative_ * (coarse_a + coarse_b))
      return coarse_a < coarse_b ? -1 : 1;
    const double exact_a = exact(a), exact_b = exact(b);
    return exact_a < exact_b ? -1 : exact_a > exact_b;
  }
  /// By distance, then by row.
  bool operator()(Index a, Index b) const {
    const int sign = compare(a, b);
    return sign < 0 || (sign == 0 && a < b);
  }

 private:
  double bound(Index j) const { return share_ * (double(norm_[i_]) + double(norm_[j])) + floor_; }
  double coarse(Index j) const {
    if (coarse_[j] < 0) coarse_[j] = metrics::detail::row_distance(x_.row(i_), x_.row(j), x_.cols);
    return coarse_[j];
  }
  double exact(Index j) const {
    if (exact_[j] < 0) exact_[j] = exact_distance(x_.row(i_), x_.row(j), x_.cols, coarse(j));
    return exact_[j];
  }

  MatrixView<const T> x_;
  Index i_;
  const T* norm_;
  const T* square_;
  double *coarse_, *exact_;
  double share_, floor_, relative_;
  double most_;  ///< no two bounds add up to more
};

/// Triplets of anchor i, one or one a positive; returns how many. `others`: room for n numbers.
template <class T>
Index mine_triplets(TripletMining mining, const Index* label, Index n, Index i,
                    const DistanceOrder<T>& order, Index* others, Triplet* out) {
  const auto same = [&](Index j) { return label[j] == label[i]; };
  if (mining == TripletMining::batch_hard) {
    Triplet t{-1, -1};
    for (Index j = 0; j < n; ++j) {
      if (j == i) continue;
      Index& best = same(j) ? t.positive : t.negative;
      if (best < 0 || (same(j) ? order.compare(j, best) > 0 : order.compare(j, best) < 0)) best = j;
    }
    if (t.positive < 0 || t.negative < 0) return 0;
    *out = t;
    return 1;
  }
  Index* end = others;
  for (Index j = 0; j < n; ++j)
    if (!same(j)) *end++ = j;
  if (end == others) return 0;
  std::sort(others, end, order);
  // Of the farthest, the lowest row.
  const Index farthest = *std::lower_bound(
      others, end, end[-1], [&](Index a, Index b) { return order.compare(a, b) < 0; });
  Index count = 0;
  for (Index p = 0; p < n; ++p) {
    if (p == i || !same(p)) continue;
    const Index* const next =
        std::upper_bound(others, end, p, [&](Index a, Index b) { return order.compare(a, b) < 0; });
    out[count++] = {p, next == end ? farthest : *next};
  }
  return count;
}

}  // namespace detail
}  // namespace spheremix::losses
