// The CLIP loss from bf16 products with f32 sums: for speed, where three digits are enough.
//
//   L = ( info_nce(X, Y) + info_nce(Y, X) ) / 2,   S = bf16(X) bf16(Y)^T
//   dX = bf16(G) bf16(Y),  dY = bf16(G)^T bf16(X),  dL/d ln(tau) = -sum_ij G_ij S_ij
//
// as clip.hpp in all else: cosines kept, statistics, exponentials and results in f32, sums over rows
// in double. Positives are cosines of this table and rounded as it is. float only.
//
// Accuracy   a cosine is off by e <= (2^-7 + 2^-16) |x| |y|, about 2^-8 / sqrt(d) for rows in random
//            directions, L by at most 2 max e / tau, a weight of G by a factor of e^(2 e / tau) at
//            most and, in the products of the gradients, by 2^-8 as is the row that it meets.
//            Measured errors beside the speed: docs/benchmarks.md.
// Speed      with AVX512-BF16 up to 1.8 times clip's; without it the same meaning, no faster than
//            clip (pairwise/product_bf16.hpp).
// Memory     clip's; the same bits for any number of threads, not for any processor.
// Errors     as clip. A component above 3.39e38 rounds to infinity: then NaN.
#pragma once

#include "spheremix/core/compiled.hpp"
#include "spheremix/losses/clip.hpp"
#include "spheremix/pairwise/product_bf16.hpp"

namespace spheremix::losses {

/// The loss, in nats.
template <class X, class Y>
[[nodiscard]] double clip_bf16(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                               const ClipOptions& options = {}) {
  static_assert(std::is_same_v<core::Real<X>, float>, "spheremix: bf16 is for float rows");
  return detail::value("clip_bf16", detail::PairLoss<true, pairwise::Bf16Products>(options), x, y)
      .loss;
}

/// The loss with `targets` (losses/targets.hpp) in place of the diagonal. X: n x d, Y: m x d.
template <class X, class Y>
[[nodiscard]] double clip_bf16(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                               const Targets& targets, const ClipOptions& options = {}) {
  static_assert(std::is_same_v<core::Real<X>, float>, "spheremix: bf16 is for float rows");
  return detail::value("clip_bf16",
                       detail::PairLoss<true, pairwise::Bf16Products>(options, &targets), x, y)
      .loss;
}

/// Loss and gradients into `out` (any struct with the fields of ContrastiveGradient), without an
/// allocation once `workspace` and `out` have their sizes. An `out` without the field x or y gets no
/// such gradient, which then costs no product.
template <class X, class Y, class Out>
void clip_bf16_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                             const ClipOptions& options, core::Workspace& workspace, Out& out) {
  static_assert(std::is_same_v<core::Real<X>, float>, "spheremix: bf16 is for float rows");
  constexpr auto* name = "clip_bf16_with_gradient";
  detail::into(name, detail::PairLoss<true, pairwise::Bf16Products>(options), workspace, out, x, y);
}

template <class X, class Y>
[[nodiscard]] auto clip_bf16_with_gradient(const Eigen::MatrixBase<X>& x,
                                           const Eigen::MatrixBase<Y>& y,
                                           const ClipOptions& options = {}) {
  return detail::by_value<ContrastiveGradient<RowMatrix<core::Real<X>>>>(
      [&](auto& workspace, auto& out) { clip_bf16_with_gradient(x, y, options, workspace, out); });
}

/// The same with `targets` in place of the diagonal.
template <class X, class Y, class Out>
void clip_bf16_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                             const Targets& targets, const ClipOptions& options,
                             core::Workspace& workspace, Out& out) {
  static_assert(std::is_same_v<core::Real<X>, float>, "spheremix: bf16 is for float rows");
  constexpr auto* name = "clip_bf16_with_gradient";
  detail::into(name, detail::PairLoss<true, pairwise::Bf16Products>(options, &targets), workspace,
               out, x, y);
}

template <class X, class Y>
[[nodiscard]] auto clip_bf16_with_gradient(const Eigen::MatrixBase<X>& x,
                                           const Eigen::MatrixBase<Y>& y, const Targets& targets,
                                           const ClipOptions& options = {}) {
  return detail::by_value<ContrastiveGradient<RowMatrix<core::Real<X>>>>(
      [&](auto& workspace, auto& out) {
        clip_bf16_with_gradient(x, y, targets, options, workspace, out);
      });
}

}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_CLIP_BF16(T)                                                   \
  ContrastResult run(const PairLoss<true, pairwise::Bf16Products>&, const char*, \
                     const Inputs<T, 2>&, Workspace&, const Outputs<T, 2>&)
SPHEREMIX_ELSEWHERE_FLOAT(SPHEREMIX_CLIP_BF16)
}  // namespace spheremix::losses::detail
