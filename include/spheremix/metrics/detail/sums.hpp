// Sums over rows in double, with the rounding error of every addition carried along: the result is
// right to about one eps whatever the number of rows. The rows are cut into at most 64 pieces by
// their number alone and the pieces merged in order, so the bits do not depend on the number of
// threads.
// [Neumaier 1974, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen"]
#pragma once

#include <algorithm>
#include <cmath>

#include "spheremix/core/compiled.hpp"
#include "spheremix/core/lanes.hpp"
#include "spheremix/core/parallel.hpp"
#include "spheremix/core/rounded.hpp"
#include "spheremix/core/view.hpp"

namespace spheremix::metrics::detail {

/// A running sum and what its additions have lost so far.
class CompensatedSum {
 public:
  void add(double x) {
    SPHEREMIX_SUMS_IN_ORDER
    const double next = core::formed(sum_ + x);
    lost_ += std::abs(sum_) >= std::abs(x) ? core::formed(sum_ - next) + x
                                           : core::formed(x - next) + sum_;
    sum_ = next;
  }
  void add(const CompensatedSum& other) {
    add(other.sum_);
    lost_ += other.lost_;
  }
  /// NaN and infinity come out as such, whatever the correction has become.
  double value() const { return std::isfinite(sum_) ? sum_ + lost_ : sum_; }

 private:
  double sum_ = 0, lost_ = 0;
};

inline constexpr Index kMostPieces = 64;

/// Rows in each piece of n rows.
inline Index piece_rows(Index n) {
  return std::max<Index>(128, (n + kMostPieces - 1) / kMostPieces);
}

/// Sum of term(i) over [0, n).
template <class Term>
double sum_over_rows(Index n, const Term& term) {
  const Index rows = piece_rows(n);
  CompensatedSum pieces[kMostPieces];
  core::parallel_chunks(n, rows, [&](Index first, Index count) {
    CompensatedSum sum;
    for (Index i = first; i < first + count; ++i) sum.add(term(i));
    pieces[first / rows] = sum;
  });
  CompensatedSum all;
  for (Index first = 0; first < n; first += rows) all.add(pieces[first / rows]);
  return all.value();
}

/// The mean of every column. What rounding left of the rows is taken off, too: a column of one number
/// has that number, wherever it lies.
template <class T>
void column_means(core::MatrixView<const T> x, double* mean) {
  SPHEREMIX_SUMS_IN_ORDER
  const Index n = x.rows, d = x.cols;
  std::fill_n(mean, d, 0.0);
  for (Index i = 0; i < n; ++i)
    for (Index k = 0; k < d; ++k) mean[k] += double(x(i, k));
  for (Index k = 0; k < d; ++k) mean[k] /= double(n);
  constexpr Index width = 64;
  for (Index first = 0; first < d; first += width) {
    const Index count = (std::min)(width, d - first);
    double left[width] = {};
    for (Index i = 0; i < n; ++i)
      for (Index k = 0; k < count; ++k) left[k] += double(x(i, first + k)) - mean[first + k];
    for (Index k = 0; k < count; ++k) mean[first + k] += left[k] / double(n);
  }
}

/// The columns less their means.
template <class T>
void centre_columns(core::MatrixView<const T> x, double* mean, core::MatrixView<double> to) {
  column_means(x, mean);
  for (Index i = 0; i < x.rows; ++i)
    for (Index k = 0; k < x.cols; ++k) to(i, k) = double(x(i, k)) - mean[k];
}

/// |x - y|^2 of two rows of length d, the differences taken in double.
template <class T>
double squared_distance(const T* x, const T* y, Index d) {
  return core::sum_in_lanes(d, [=](Index k) {
    const double difference = double(x[k]) - double(y[k]);
    return difference * difference;
  });
}

/// |x - y|, also where its square leaves the range of double.
template <class T>
double row_distance(const T* x, const T* y, Index d) {
  const double squared = squared_distance(x, y, d);
  if (squared > 0x1p-960 && squared < 0x1p1000) return std::sqrt(squared);
  double largest = 0;
  for (Index k = 0; k < d; ++k) {
    const double difference = std::abs(double(x[k]) - double(y[k]));
    if (difference != difference) return difference;
    largest = (std::max)(largest, difference);
  }
  if (!(largest > 0) || !std::isfinite(largest)) return largest;
  int exponent = 0;
  std::frexp(largest, &exponent);
  const double scaled = core::sum_in_lanes(d, [=](Index k) {
    const double difference = std::ldexp(double(x[k]) - double(y[k]), -exponent);
    return difference * difference;
  });
  return std::ldexp(std::sqrt(scaled), exponent);
}

}  // namespace spheremix::metrics::detail
