// Unit vectors from any non-zero ones, and the gradient through that.
//
//   normalize(x) = x / |x|,     vjp: (g - (g.y) y) / |x|  with y = x / |x|
//
// Right for every finite non-zero row: where squares would underflow or overflow the row is first
// scaled by a power of two (denormal and huge components keep their digits).
//
// Shapes   x: d numbers, row or column; the result is shaped as x. X, G: n x d.
// Accuracy 4 eps per component, times max(1, d/64).
// Errors   no components (d = 0) and n > 0; a zero vector is std::invalid_argument naming the row, or with ZeroPolicy::zero stays
//          zero and has zero gradient. A NaN or infinite row gives a row of NaN.
//          In place is right, any other overlap of out and inputs an error.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "spheremix/sphere/detail/arguments.hpp"
#include "spheremix/sphere/row_kernels.hpp"

namespace spheremix::sphere {

/// What normalising a zero vector gives: an error, or zero with zero gradient.
enum class ZeroPolicy { error, zero };

struct NormalizeOptions {
  ZeroPolicy zero = ZeroPolicy::error;  ///< what a zero vector gives
};

namespace detail {

/// A power of two that brings numbers of size `top` (the largest of a row) near 1, as far as T
/// allows.
template <class T>
T rescue_scale(T top) {
  constexpr int most = std::numeric_limits<T>::max_exponent - 2;
  const int exponent = std::ilogb(top);
  return std::ldexp(T(1), exponent < -most ? most : exponent > most ? -most : -exponent);
}

/// True when a sum of squares has all its digits: neither near underflow nor overflowed nor NaN.
template <class T>
bool has_all_digits(T squares) {
  return squares >= core::smallest_normal<T> / (core::epsilon<T> * core::epsilon<T>)&&squares <=
         core::rounded(core::largest<T>);  // rounded: or -ffinite-math-only takes it for granted
}

/// |x| = norm / scale. norm is 0 for a zero row and NaN for a row that is not finite.
template <class T>
struct ScaledNorm {
  T norm, scale;
};

template <class T>
ScaledNorm<T> rescued_norm(const T* x, Index d) {
  T top = 0;
  for (Index k = 0; k < d; ++k) {
    if (!std::isfinite(x[k])) return {core::nan<T>, T(1)};
    top = (std::max)(top, std::abs(x[k]));
  }
  if (top == 0) return {T(0), T(1)};
  const T scale = rescue_scale(top);
  const auto [squares] = row_sums<1, T>(d, [=](auto at, auto* sum) {
    typename decltype(at)::Value y;
    at.get(x, y);
    y *= scale;
    sum[0] += y * y;
  });
  return {std::sqrt(squares), scale};
}

template <class T>
ScaledNorm<T> scaled_norm(const T* x, Index d) {
  const auto [squares] = row_sums<1, T>(d, [=](auto at, auto* sum) {
    typename decltype(at)::Value y;
    at.get(x, y);
    sum[0] += y * y;
  });
  if (has_all_digits(squares)) [[likely]]
    return {std::sqrt(squares), T(1)};
  return rescued_norm(x, d);
}

/// out_i = x_i / |x_i|. Returns the first zero row, or -1 (always -1 under ZeroPolicy::zero).
template <class T>
[[nodiscard]] Index normalize_rows(core::MatrixView<const T> x, ZeroPolicy zero,
                                   core::MatrixView<T> out) {
  const Index d = x.cols;
  return first_undefined(x.rows, d, [=](Index i) {
    const auto [norm, scale] = scaled_norm(x.row(i), d);
    if (norm == 0 && zero == ZeroPolicy::error) return false;
    const T inverse = norm == 0 ? T(0) : 1 / norm;
    const T* from = x.row(i);
    T *to = out.row(i), by = scale;
    over_row<T>(d, [=](auto at) {
      using V = typename decltype(at)::Value;
      V y;
      at.get(from, y);
      at.put(to, V((by * y) * inverse));
    });
    return true;
  });
}

/// out_i = (g_i - (g_i.y_i) y_i) / |x_i|, y_i = x_i/|x_i|. Returns as above.
template <class T>
[[nodiscard]] Index normalize_rows_vjp(core::MatrixView<const T> x, core::MatrixView<const T> g,
                                       ZeroPolicy zero, core::MatrixView<T> out) {
  const Index d = x.cols;
  return first_undefined(x.rows, d, [=](Index i) {
    const T *xi = x.row(i), *gi = g.row(i);
    T* to = out.row(i);
    auto [squares, along] = row_sums<2, T>(d, [=](auto at, auto* sum) {
      using V = typename decltype(at)::Value;
      V y, z;
      at.get(xi, y);
      at.get(gi, z);
      sum[0] += y * y;
      sum[1] += y * z;
    });
    T norm = std::sqrt(squares), scale = 1;
    if (!has_all_digits(squares)) [[unlikely]] {
      const ScaledNorm<T> rescued = rescued_norm(xi, d);
      norm = rescued.norm;
      scale = rescued.scale;
      along = row_sums<1, T>(d, [=](auto at, auto* sum) {
        using V = typename decltype(at)::Value;
        V y, z;
        at.get(xi, y);
        at.get(gi, z);
        y *= scale;
        sum[0] += y * z;
      })[0];
    }
    if (norm == 0) {
      if (zero == ZeroPolicy::error) return false;
      std::fill_n(to, d, T(0));
      return true;
    }
    const T inverse = 1 / norm, c = along * inverse * inverse;
    over_row<T>(d, [=](auto at) {
      using V = typename decltype(at)::Value;
      V y, z;
      at.get(xi, y);
      at.get(gi, z);
      y *= scale;
      at.put(to, V((z - c * y) * inverse * scale));  // scale / norm alone may overflow
    });
    return true;
  });
}

/// Rows without components have no direction; a batch without rows is empty, whatever its width.
inline void expects_columns(const char* function, Index rows, Index cols) {
  core::expects(cols > 0 || rows == 0, function, "X is ", rows, " x 0: its rows have no direction");
}

inline void expects_no_zero_row(const char* function, Index row) {
  core::expects(row < 0, function, "row ", row, " of X is zero: it has no direction");
}

}  // namespace detail

/// x / |x|.
template <class X, class Out>
requires detail::Writable<Out>
void normalize(const Eigen::MatrixBase<X>& x, const NormalizeOptions& options, Out&& out) {
  using T = core::Real<X>;
  const core::InputVector<T> in(x, "normalize", "x");
  core::expects(in.size() > 0, "normalize", "x has no components");
  detail::OutputVector y("normalize", "out", out, x.rows(), x.cols());
  core::expects_in_place_or_apart("normalize", y.row(), detail::as_row(in));
  const Index zero = detail::normalize_rows(detail::as_row(in), options.zero, y.row());
  core::expects(zero < 0, "normalize", "x is zero: it has no direction");
  y.commit();
}

template <class X>
[[nodiscard]] auto normalize(const Eigen::MatrixBase<X>& x, const NormalizeOptions& options = {})
    -> core::RealPlain<X> {
  core::RealPlain<X> out;
  normalize(x, options, out);
  return out;
}

template <class X, class Out>
requires detail::Writable<Out>
void normalize(const Eigen::MatrixBase<X>& x, Out&& out) { normalize(x, NormalizeOptions{}, out); }

/// Every row over its length.
template <class X, class Out>
requires detail::Writable<Out>
void normalize_rows(const Eigen::MatrixBase<X>& x, const NormalizeOptions& options, Out&& out) {
  const core::InputRows<core::Real<X>> in(x);
  detail::expects_columns("normalize_rows", x.rows(), x.cols());
  core::OutputRows y("normalize_rows", "out", out, x.rows(), x.cols());
  core::expects_in_place_or_apart("normalize_rows", y.view(), in.view());
  detail::expects_no_zero_row("normalize_rows",
                              detail::normalize_rows(in.view(), options.zero, y.view()));
  y.commit();
}

template <class X>
[[nodiscard]] RowMatrix<core::Real<X>> normalize_rows(const Eigen::MatrixBase<X>& x,
                                                      const NormalizeOptions& options = {}) {
  RowMatrix<core::Real<X>> out;
  normalize_rows(x, options, out);
  return out;
}

template <class X, class Out>
requires detail::Writable<Out>
void normalize_rows(const Eigen::MatrixBase<X>& x, Out&& out) {
  normalize_rows(x, NormalizeOptions{}, out);
}

/// dL/dX for G = dL/d normalize_rows(X): the tangent part of each g_i at the unit row, over |x_i|.
template <class X, class G, class Out>
requires detail::Writable<Out>
void normalize_rows_vjp(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<G>& g,
                        const NormalizeOptions& options, Out&& out) {
  using T = core::Real<X>;
  constexpr auto* name = "normalize_rows_vjp";
  const core::InputRows<T> in(x), cotangent(g);
  detail::expects_same_shape(name, "X", in.view(), "G", cotangent.view());
  detail::expects_columns(name, x.rows(), x.cols());
  core::OutputRows y(name, "out", out, x.rows(), x.cols());
  core::expects_in_place_or_apart(name, y.view(), in.view());
  core::expects_in_place_or_apart(name, y.view(), cotangent.view());
  detail::expects_no_zero_row(
      name, detail::normalize_rows_vjp(in.view(), cotangent.view(), options.zero, y.view()));
  y.commit();
}

template <class X, class G>
[[nodiscard]] RowMatrix<core::Real<X>> normalize_rows_vjp(const Eigen::MatrixBase<X>& x,
                                                          const Eigen::MatrixBase<G>& g,
                                                          const NormalizeOptions& options = {}) {
  RowMatrix<core::Real<X>> out;
  normalize_rows_vjp(x, g, options, out);
  return out;
}

template <class X, class G, class Out>
requires detail::Writable<Out>
void normalize_rows_vjp(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<G>& g, Out&& out) {
  normalize_rows_vjp(x, g, NormalizeOptions{}, out);
}

}  // namespace spheremix::sphere

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::sphere::detail {
#define SPHEREMIX_NORMALIZE_ROWS(T) \
  Index normalize_rows(core::MatrixView<const T>, ZeroPolicy, core::MatrixView<T>)
SPHEREMIX_ELSEWHERE(SPHEREMIX_NORMALIZE_ROWS)
#define SPHEREMIX_NORMALIZE_ROWS_VJP(T)                                                      \
  Index normalize_rows_vjp(core::MatrixView<const T>, core::MatrixView<const T>, ZeroPolicy, \
                           core::MatrixView<T>)
SPHEREMIX_ELSEWHERE(SPHEREMIX_NORMALIZE_ROWS_VJP)
}  // namespace spheremix::sphere::detail
