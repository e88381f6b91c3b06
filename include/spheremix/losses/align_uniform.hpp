// Alignment plus uniformity as a loss.
//
//   L = align_weight alignment_alpha(X, Y)
//       + uniform_weight ( uniformity_t(X) + uniformity_t(Y) ) / 2
//
// Shapes     X, Y: n x d, n >= 2; rows as they are. Gradient, accuracy and cost are those of
//            metrics::alignment and metrics::uniformity.
// Errors     as theirs; weights negative or not finite.
// Source     Wang and Isola 2020, arXiv 2005.10242, section 5.1.
#pragma once

#include "spheremix/losses/geometric_consistency.hpp"
#include "spheremix/metrics/alignment.hpp"
#include "spheremix/metrics/uniformity.hpp"

namespace spheremix::losses {

struct AlignUniformOptions {
  double alpha = 2;
  double t = 2;
  double align_weight = 1;
  double uniform_weight = 1;
};

namespace detail {

inline void expects_align_uniform(const char* function, const AlignUniformOptions& o) {
  expects_weight(function, "align_weight", o.align_weight);
  expects_weight(function, "uniform_weight", o.uniform_weight);
}

}  // namespace detail

/// The loss.
template <class X, class Y>
[[nodiscard]] double align_uniform(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                   const AlignUniformOptions& options = {}) {
  detail::expects_align_uniform("align_uniform", options);
  return options.align_weight * metrics::alignment(x, y, {.alpha = options.alpha}) +
         options.uniform_weight / 2 *
             (metrics::uniformity(x, {.t = options.t}) + metrics::uniformity(y, {.t = options.t}));
}

/// Loss and gradients into `out` (any struct with the fields of PairGradient). The parts' gradients
/// are matrices of their own, made in each call.
template <class X, class Y, class Out>
void align_uniform_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                 const AlignUniformOptions& options, core::Workspace&, Out& out) {
  using T = typename X::Scalar;
  constexpr auto* name = "align_uniform_with_gradient";
  detail::expects_align_uniform(name, options);
  const auto aligned = metrics::alignment_with_gradient(x, y, {.alpha = options.alpha});
  const auto even_x = metrics::uniformity_with_gradient(x, {.t = options.t});
  const auto even_y = metrics::uniformity_with_gradient(y, {.t = options.t});
  core::OutputRows dx(name, "out.x", out.x, x.rows(), x.cols());
  core::OutputRows dy(name, "out.y", out.y, y.rows(), y.cols());
  const T a = T(options.align_weight), u = T(options.uniform_weight / 2);
  const auto put = [&](detail::MatrixView<T> to, const auto& first, const auto& second) {
    for (Index i = 0; i < to.rows; ++i)
      for (Index k = 0; k < to.cols; ++k) to(i, k) = a * first(i, k) + u * second(i, k);
  };
  put(dx.view(), aligned.x, even_x.x);
  put(dy.view(), aligned.y, even_y.x);
  dx.commit();
  dy.commit();
  out.loss = options.align_weight * aligned.value +
             options.uniform_weight / 2 * (even_x.value + even_y.value);
}

template <class X, class Y>
[[nodiscard]] auto align_uniform_with_gradient(const Eigen::MatrixBase<X>& x,
                                               const Eigen::MatrixBase<Y>& y,
                                               const AlignUniformOptions& options = {}) {
  return detail::by_value<PairGradient<RowMatrix<typename X::Scalar>>>(
      [&](auto& workspace, auto& out) {
        align_uniform_with_gradient(x, y, options, workspace, out);
      });
}

}  // namespace spheremix::losses
