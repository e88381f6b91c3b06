// align_uniform on the CPU: formula and options in formula/align_uniform.hpp.
//
// Shapes     X, Y: n x d, n >= 2; rows as they are. Gradient, accuracy and cost are those of
//            metrics::alignment and metrics::uniformity.
// Errors     as theirs; weights negative or not finite.
#pragma once

#include "spheremix/core/compiled.hpp"
#include "spheremix/formula/align_uniform.hpp"
#include "spheremix/losses/geometric_consistency.hpp"
#include "spheremix/metrics/alignment.hpp"
#include "spheremix/metrics/uniformity.hpp"

namespace spheremix::losses {

namespace detail {

template <class T>
struct AlignUniformArrays {
  metrics::detail::UniformityArrays<T> pairs;
  MatrixView<T> even{};  ///< dL/d of one uniformity

  AlignUniformArrays(Index n, Index d, bool gradients, int threads, Workspace::Frame& frame)
      : pairs(n, d, gradients, threads, frame) {
    if (gradients) even = take_rows<T>(frame, n, d);
  }
};

struct AlignUniformLoss : OfTwoViews {
  static constexpr bool kShared = true;
  const AlignUniformOptions& options;

  template <class T>
  LossResult operator()(const char* function, const Inputs<T, 2>& in, Workspace& workspace,
                        const Outputs<T, 2>& out) const {
    const AlignUniformOptions& o = options;
    expects_weight(function, "align_weight", o.align_weight);
    expects_weight(function, "uniform_weight", o.uniform_weight);
    metrics::detail::check_alignment(function, in[0], in[1], {.alpha = o.alpha});
    metrics::detail::check_uniformity(function, in[0].rows, o.t);
    const Index n = in[0].rows, d = in[0].cols;
    const bool gradients = out[0].data != nullptr;
    const int threads = metrics::detail::threads_for(n, n, d);
    Workspace::Frame frame =
        workspace.frame(core::bytes_of<AlignUniformArrays<T>>(n, d, gradients, threads));
    AlignUniformArrays<T> arrays(n, d, gradients, threads, frame);
    const bool leads = core::leads(frame.share());
    const auto counted = [&](double loss) { return LossResult{leads ? loss : 0}; };
    if (!gradients)
      return counted(o.align_weight * metrics::detail::alignment(in[0], in[1], o.alpha) +
                     o.uniform_weight / 2 *
                         (metrics::detail::uniformity<T>({in[0]}, o.t, arrays.pairs, nullptr) +
                          metrics::detail::uniformity<T>({in[1]}, o.t, arrays.pairs, nullptr)));
    const double aligned =
        metrics::detail::alignment_with_gradient(in[0], in[1], o.alpha, out[0], out[1]);
    const MatrixView<T> to = arrays.even;
    const T a = T(leads ? o.align_weight : 0), u = T(o.uniform_weight / 2);
    double uniform = 0;
    for (const std::size_t k : {std::size_t(0), std::size_t(1)}) {
      uniform += metrics::detail::uniformity<T>({in[k]}, o.t, arrays.pairs, &to);
      for (Index i = 0; i < to.rows; ++i)
        for (Index c = 0; c < to.cols; ++c) out[k](i, c) = a * out[k](i, c) + u * to(i, c);
    }
    return counted(o.align_weight * aligned + o.uniform_weight / 2 * uniform);
  }
};

}  // namespace detail

/// The loss.
template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] double align_uniform(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                   const AlignUniformOptions& options = {}, World&... world) {
  return detail::value("align_uniform", detail::AlignUniformLoss{{}, options},
                       detail::over(options, world...), x, y)
      .loss;
}

/// Loss and gradients into `out` (any struct with the fields of PairGradient).
template <class X, class Y, class Out, class... World>
requires core::Worlds<World...>
void align_uniform_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                 const AlignUniformOptions& options, core::Workspace& workspace,
                                 Out& out, World&... world) {
  detail::into("align_uniform_with_gradient", detail::AlignUniformLoss{{}, options},
               detail::over(options, world...), workspace, out, x, y);
}

template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto align_uniform_with_gradient(const Eigen::MatrixBase<X>& x,
                                               const Eigen::MatrixBase<Y>& y,
                                               const AlignUniformOptions& options = {},
                                               World&... world) {
  return detail::by_value<PairGradient<RowMatrix<core::Real<X>>>>([&](auto& workspace, auto& out) {
    align_uniform_with_gradient(x, y, options, workspace, out, world...);
  });
}

}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_ALIGN_UNIFORM(T)                                                      \
  LossResult run(const AlignUniformLoss&, const char*, const Inputs<T, 2>&, Workspace&, \
                 const Outputs<T, 2>&)
SPHEREMIX_ELSEWHERE(SPHEREMIX_ALIGN_UNIFORM)
}  // namespace spheremix::losses::detail
