// Matryoshka: one loss over several widths of the same embeddings, each the first columns of the rows,
// normalised.
//
//   L = sum_k w_k loss(n(X_k), n(Y_k)),   X_k the first widths[k] columns of X, n(x) = x / |x|
//
// The batch is shared: X and Y are encoded once, every width reads them in place, and the gradients
// of all widths add up in one dX and one dY. The temperature is one, too.
//
// Shapes     X, Y: n x d; widths in [1, d], each once. Also of X alone: loss(n(X_k)).
// Gradient   dX[:, :widths[k]] += w_k times what the normalisation takes back of loss's gradient:
//            tangent, so rows of any length may come in.
// Cost       one loss a width, and two batches of the largest width.
// Errors     no widths, a width outside [1, d] or there twice, weights of another number, negative or
//            not finite; a row whose first columns are all 0.
// Source     Kusupati et al. 2022, "Matryoshka Representation Learning", arXiv 2205.13147.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "spheremix/core/eigen.hpp"
#include "spheremix/losses/detail/entry.hpp"
#include "spheremix/sphere/normalize.hpp"

namespace spheremix::losses {

struct MatryoshkaOptions {
  std::vector<Index> widths = {};    ///< columns of each, in [1, d]; empty is an error
  std::vector<double> weights = {};  ///< one a width; empty: all 1
};

/// Loss and gradients. Of one batch y is empty.
template <class Matrix>
struct MatryoshkaGradient {
  double loss;
  Matrix x, y;
  double log_temperature;      ///< sum of the losses' own, where they have one
  std::vector<double> losses;  ///< of each width, without its weight
};

namespace detail {

inline double matryoshka_weight(const MatryoshkaOptions& o, std::size_t k) {
  return o.weights.empty() ? 1 : o.weights[k];
}

inline void expects_matryoshka(const char* function, const MatryoshkaOptions& o, Index d) {
  core::expects(!o.widths.empty(), function, "there are no widths");
  for (std::size_t k = 0; k < o.widths.size(); ++k) {
    core::expects(o.widths[k] >= 1 && o.widths[k] <= d, function, "widths[", k, "] is ",
                  o.widths[k], ", outside [1, ", d, "]");
    const auto first = std::find(o.widths.begin(), o.widths.end(), o.widths[k]) - o.widths.begin();
    core::expects(std::size_t(first) == k, function, "widths[", k, "] is ", o.widths[k],
                  " as widths[", first, "] is");
  }
  if (o.weights.empty()) return;
  core::expects_size(function, "weights", Index(o.weights.size()), Index(o.widths.size()));
  for (std::size_t k = 0; k < o.weights.size(); ++k)
    core::expects(o.weights[k] >= 0 && std::isfinite(o.weights[k]), function, "weights[", k,
                  "] is ", o.weights[k], ", not a finite number >= 0");
}

/// The first columns of the rows, normalised.
template <class X>
RowMatrix<core::Real<X>> unit_columns(const char* function, const char* name,
                                      const Eigen::MatrixBase<X>& x, Index width) {
  RowMatrix<core::Real<X>> out(x.rows(), width);
  const core::InputRows<core::Real<X>> in(x.leftCols(width));
  const core::MatrixView<core::Real<X>> to{out.data(), out.rows(), width, width};
  const Index zero = sphere::detail::normalize_rows(in.view(), sphere::ZeroPolicy::error, to);
  core::expects(zero < 0, function, "row ", zero, " of ", name, " is zero in its first ", width,
                " columns: it has no direction");
  return out;
}

/// d += weight times g through the normalisation of x's first columns.
template <class T>
void add_through_normalize(const core::BorrowedRows<T>& x, const RowMatrix<T>& g, double weight,
                           RowMatrix<T>& d) {
  d.leftCols(g.cols()) += T(weight) * sphere::normalize_rows_vjp(x.leftCols(g.cols()), g);
}

/// run(rows of each batch) for every width; each(k, result) takes what it returns.
template <class Run, class Each, class X, class... Y>
void over_widths(const char* function, const MatryoshkaOptions& o, const Run& run, const Each& each,
                 const X& x, const Y&... y) {
  for (std::size_t k = 0; k < o.widths.size(); ++k)
    each(k, run(unit_columns(function, "X", x, o.widths[k]),
                unit_columns(function, "Y", y, o.widths[k])...));
}

template <class T, class Loss, class... Rows>
auto matryoshka_gradient(const MatryoshkaOptions& o, const Loss& loss,
                         const core::BorrowedRows<T>& first, const Rows&... more) {
  constexpr auto* function = "matryoshka_with_gradient";
  expects_matryoshka(function, o, first.cols());
  (core::expects_same_shape(function, "X", first.rows(), first.cols(), "Y", more.rows(),
                            more.cols()),
   ...);
  MatryoshkaGradient<RowMatrix<T>> out{
      0, RowMatrix<T>::Zero(first.rows(), first.cols()), {}, 0, {}};
  if constexpr (sizeof...(more) > 0) out.y = out.x;
  over_widths(
      function, o, loss,
      [&](std::size_t k, const auto& g) {
        const double weight = matryoshka_weight(o, k);
        out.loss += weight * g.loss;
        out.losses.push_back(g.loss);
        if constexpr (requires { g.log_temperature; })
          out.log_temperature += weight * g.log_temperature;
        add_through_normalize<T>(first, g.x, weight, out.x);
        if constexpr (sizeof...(more) > 0)
          (add_through_normalize<T>(more, g.y, weight, out.y), ...);
      },
      first, more...);
  return out;
}

}  // namespace detail

/// L of two batches: loss(X_k, Y_k) is a number.
template <class X, class Y, class Loss>
[[nodiscard]] double matryoshka(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                const MatryoshkaOptions& options, const Loss& loss) {
  detail::expects_matryoshka("matryoshka", options, x.cols());
  core::expects_same_shape("matryoshka", "X", x.rows(), x.cols(), "Y", y.rows(), y.cols());
  double sum = 0;
  detail::over_widths(
      "matryoshka", options, loss,
      [&](std::size_t k, double value) { sum += detail::matryoshka_weight(options, k) * value; },
      core::BorrowedRows<core::Real<X>>(detail::widened_rows(x)),
      core::BorrowedRows<core::Real<Y>>(detail::widened_rows(y)));
  return sum;
}

/// L of one batch: loss(X_k) is a number.
template <class X, class Loss>
[[nodiscard]] double matryoshka(const Eigen::MatrixBase<X>& x, const MatryoshkaOptions& options,
                                const Loss& loss) {
  detail::expects_matryoshka("matryoshka", options, x.cols());
  double sum = 0;
  detail::over_widths(
      "matryoshka", options, loss,
      [&](std::size_t k, double value) { sum += detail::matryoshka_weight(options, k) * value; },
      core::BorrowedRows<core::Real<X>>(detail::widened_rows(x)));
  return sum;
}

/// Loss and gradients of two batches: loss(X_k, Y_k) is a struct with loss, x and y, such as any
/// f_with_gradient of this library returns.
template <class X, class Y, class Loss>
[[nodiscard]] auto matryoshka_with_gradient(const Eigen::MatrixBase<X>& x,
                                            const Eigen::MatrixBase<Y>& y,
                                            const MatryoshkaOptions& options, const Loss& loss) {
  using T = core::Real<X>;
  return detail::matryoshka_gradient<T>(options, loss,
                                        core::BorrowedRows<T>(detail::widened_rows(x)),
                                        core::BorrowedRows<T>(detail::widened_rows(y)));
}

/// Of one batch: loss(X_k) is a struct with loss and x.
template <class X, class Loss>
[[nodiscard]] auto matryoshka_with_gradient(const Eigen::MatrixBase<X>& x,
                                            const MatryoshkaOptions& options, const Loss& loss) {
  using T = core::Real<X>;
  return detail::matryoshka_gradient<T>(options, loss,
                                        core::BorrowedRows<T>(detail::widened_rows(x)));
}

}  // namespace spheremix::losses
