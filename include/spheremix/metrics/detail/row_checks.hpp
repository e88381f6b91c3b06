// What metrics that rank ask of rows: finite, of one width, with products that T can hold. NaN and
// infinity have no order. Over several processes it is asked of the rows of all ranks.
#pragma once

#include <cmath>
#include <vector>

#include "spheremix/core/meeting.hpp"
#include "spheremix/core/view.hpp"
#include "spheremix/pairwise/norms.hpp"

namespace spheremix::metrics::detail {

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

/// Throws where products of rows of lengths up to a and b might leave the range of T.
template <class T>
void expects_products(const char* function, double a, double b) {
  core::expects(a * b < 0.25 * double(core::largest<T>), function,
                "products of rows of lengths up to ", a, " and ", b, " overflow");
}

/// Throws unless every k is at least 1.
inline void expects_counts(const char* function, const std::vector<Index>& k) {
  for (const Index most : k)
    core::expects(most >= 1, function, "k is ", most, ", which must be at least 1");
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
  expects_products<T>(function, a, b);
  return a * b;
}

/// Throws unless widths agree, rows are finite and products do not overflow.
template <class T>
void check_query(const char* function, core::MatrixView<const T> x, core::MatrixView<const T> y) {
  core::expects_same_width(function, "X", x.rows, x.cols, "Y", y.rows, y.cols);
  core::expects(x.rows >= 1 && y.rows >= 1, function, "X has ", x.rows, " rows and Y ", y.rows);
  const double a = finite_norm(function, "X", x), b = finite_norm(function, "Y", y);
  expects_products<T>(function, a, b);
}

/// Throws on all ranks where a row of one is not finite, or products of the rows of all overflow: an
/// agreement. within: Y is X.
template <class T>
void agree_on_products(core::Meeting& meeting, core::MatrixView<const T> x,
                       core::MatrixView<const T> y, bool within = false) {
  const char* const function = meeting.function();
  meeting.mine.number[0] = finite_norm(function, "X", x);
  meeting.mine.number[1] = within ? meeting.mine.number[0] : finite_norm(function, "Y", y);
  meeting.agree();
  expects_products<T>(function, meeting.largest(0), meeting.largest(1));
}

}  // namespace spheremix::metrics::detail
