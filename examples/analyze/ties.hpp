// Which cosines are equal, and how often a row is among the k nearest where ties stand at the edge.
//
//   equal          |a - b| <= tie_width(d) = eps (8 + 2 sqrt d): what sums of d products round by
//   occurrences    a query whose k-th nearest shares its cosine with others gives its last places
//                  to all of them in equal parts: (k - nearer) / (as near) each
//
// Cosines of whole numbers that are equal differ by rounding alone, and those that are not differ
// by far more.
#pragma once

#include <cmath>
#include <limits>

#include "input.hpp"
#include "spheremix/core/lanes.hpp"

namespace analyze {

template <class T>
double tie_width(Index d) {
  return double(std::numeric_limits<T>::epsilon()) * (8 + 2 * std::sqrt(double(d)));
}

/// Rows of a file, and the same rows of length 1 in single precision.
struct HeldRows {
  const Source& source;
  const std::vector<Index>& ids;
  const RowMatrix<float>& unit;
};

/// Cosines in double of rows a_i and b_j as the files hold them.
class FileCosine {
 public:
  FileCosine(const HeldRows& a, const HeldRows& b)
      : unit_a_(a.unit),
        unit_b_(b.unit),
        a_(a.source),
        b_(b.source),
        rows_a_(a.ids),
        rows_b_(b.ids),
        width_(tie_width<double>(a.source.cols())) {}

  double cosine(Index i, Index j) const {
    thread_local std::vector<double> x, y;
    thread_local const Source* held = nullptr;
    thread_local Index row = -1;
    const Index d = a_.cols();
    y.resize(at(d));
    if (held != &a_ || row != rows_a_[at(i)] || Index(x.size()) != d) {
      x.resize(at(d));
      load(a_, rows_a_[at(i)], x.data());
      held = &a_, row = rows_a_[at(i)];
    }
    load(b_, rows_b_[at(j)], y.data());
    using spheremix::core::row_product;
    return row_product(x.data(), y.data(), d) / std::sqrt(row_product(x.data(), x.data(), d)) /
           std::sqrt(row_product(y.data(), y.data(), d));
  }

  /// 1 where pair (i, j) is nearer than pair (p, q), 0 where it is as near, -1 where farther. The
  /// rows in memory settle most: each of their numbers is off by two roundings, a cosine by eight
  /// (two rows, and their lengths), the difference of two by sixteen.
  int compare(Index i, Index j, Index p, Index q) const {
    const double seen = of_unit(i, j) - of_unit(p, q);
    constexpr double off = 8 * double(std::numeric_limits<float>::epsilon());
    if (std::fabs(seen) > off + width_) return seen > 0 ? 1 : -1;
    const double difference = cosine(i, j) - cosine(p, q);
    return difference > width_ ? 1 : difference < -width_ ? -1 : 0;
  }

 private:
  double of_unit(Index i, Index j) const {
    const float *const x = unit_a_.row(i).data(), *const y = unit_b_.row(j).data();
    constexpr Index lanes = 8;
    double xy[lanes] = {}, xx[lanes] = {}, yy[lanes] = {};
    const Index d = unit_a_.cols();
    for (Index k = 0; k < d; k += lanes)
      for (Index l = 0; l < std::min(lanes, d - k); ++l) {
        const double u = double(x[k + l]), v = double(y[k + l]);
        xy[l] += u * v, xx[l] += u * u, yy[l] += v * v;
      }
    const auto total = [](const double* s) {
      return ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]));
    };
    return total(xy) / std::sqrt(total(xx) * total(yy));
  }

  /// A power of two keeps squares within range and changes no bit of a number.
  static void load(const Source& source, Index row, double* to) {
    source.read(row, 1, to);
    double largest = 0;
    for (Index k = 0; k < source.cols(); ++k) largest = std::max(largest, std::fabs(to[k]));
    if (largest > 1e-100 && largest < 1e100) return;
    const int power = -std::ilogb(largest);
    for (Index k = 0; k < source.cols(); ++k) to[k] = std::ldexp(to[k], power);
  }

  const RowMatrix<float>&unit_a_, &unit_b_;
  const Source &a_, &b_;
  const std::vector<Index>&rows_a_, &rows_b_;
  const double width_;
};

}  // namespace analyze
