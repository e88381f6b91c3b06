// The accuracy table: for every function and precision the largest error over all recorded cases,
// counted in eps of the working type times the scale of the function's promise, beside the promise.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "reference/reference.hpp"

namespace accuracy {

using reference::Case;
using reference::Index;
using spheremix::RowMatrix;
using spheremix::Vector;

class Table {
 public:
  explicit Table(const char* caption) : caption_(caption) {}

  /// One result: `error` absolute, `scale` what the promise multiplies eps by, besides its number.
  template <class T>
  void add(const std::string& what, double promise, const Case& c, double error, double scale) {
    Row& row = rows_[{what, sizeof(T)}];
    if (row.cases == 0) order_.push_back({what, sizeof(T)});
    row.promise = promise;
    ++row.cases;
    double eps = error == 0 ? 0 : error / (scale * double(std::numeric_limits<T>::epsilon()));
    if (std::isnan(eps)) eps = std::numeric_limits<double>::infinity();
    if (row.cases == 1 || eps > row.worst) {
      row.worst = eps;
      row.at = c.title;
    }
  }

  /// Prints the table; a broken promise fails the test.
  void finish() const {
    std::printf("\n%s\n%-32s %-4s %6s %9s %8s  %-4s  %s\n", caption_, "function", "", "cases",
                "worst eps", "promised", "", "at");
    for (const auto& name : order_) {
      const Row& row = rows_.at(name);
      const bool holds = row.worst <= row.promise;
      std::printf("%-32s %-4s %6d %9.3g %8g  %-4s  %s\n", name.first.c_str(),
                  name.second == 4 ? "f32" : "f64", row.cases, row.worst, row.promise,
                  holds ? "ok" : "FAIL", row.at.c_str());
      CHECK_MESSAGE(holds, name.first, ": ", row.worst, " eps at ", row.at);
    }
    std::fflush(stdout);
  }

 private:
  struct Row {
    int cases = 0;
    double worst = 0, promise = 0;
    std::string at;
  };
  const char* caption_;
  std::map<std::pair<std::string, std::size_t>, Row> rows_;
  std::vector<std::pair<std::string, std::size_t>> order_;
};

/// max(1, d / 64): what every promise allows for plain sums.
inline double sums(Index d) { return std::max(1.0, double(d) / 64); }

/// The largest error over a signature whose promise is one a component: a sum of d components with
/// random signs may be off by sqrt(d) as much.
template <class Derived>
double component_error(const Eigen::MatrixBase<Derived>& got, const std::vector<double>& want,
                       std::uint64_t seed) {
  const std::vector<long double> g = reference::signature(got, seed);
  if (got.size() <= reference::full) return reference::largest_difference(g, want);
  const auto cut = std::ptrdiff_t(reference::samples);
  const double entries = reference::largest_difference({g.begin(), g.begin() + cut},
                                                       {want.begin(), want.begin() + cut});
  const double totals =
      reference::largest_difference({g.begin() + cut, g.end()}, {want.begin() + cut, want.end()});
  return std::max(entries, totals / std::sqrt(double(got.cols())));
}

/// The largest error over a signature whose promise is one for the length of a row's error.
template <class Derived>
double row_error(const Eigen::MatrixBase<Derived>& got, const std::vector<double>& want,
                 std::uint64_t seed) {
  return reference::largest_difference(reference::signature(got, seed), want);
}

inline double scalar_error(double got, double want) {
  return reference::largest_difference({got}, {want});
}

/// Calls f.template operator()<T>(case) with the case's precision.
template <class F>
void for_each_case(const char* file, const F& f) {
  for (const Case& c : reference::load(file)) {
    if (c.precision == "f32")
      f.template operator()<float>(c);
    else
      f.template operator()<double>(c);
  }
}

}  // namespace accuracy
