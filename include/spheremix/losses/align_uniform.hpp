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
  const AlignUniformOptions& options;

  template <class T>
  LossResult operator()(const char* function, const Inputs<T, 2>& in, Workspace& workspace,
                        const Outputs<T, 2>& out) const {
    expects_options(function, in);
    const Index n = in[0].rows, d = in[0].cols;
    const bool gradients = out[0].data != nullptr;
    const int threads = metrics::detail::threads_for(n, n, d);
    Workspace::Frame frame =
        workspace.frame(core::bytes_of<AlignUniformArrays<T>>(n, d, gradients, threads));
    AlignUniformArrays<T> arrays(n, d, gradients, threads, frame);
    const MatrixView<T> even = arrays.even, *const to = gradients ? &even : nullptr;
    const double aligned = alignment(in, out, gradients);
    return {options.align_weight * aligned + uniform(out, even, 1, [&](std::size_t k) {
              return metrics::detail::uniformity<T>({in[k]}, options.t, arrays.pairs, to);
            })};
  }

  /// Over the ranks of a meeting: the alignment of this rank's pairs is a part of the mean, the
  /// uniformity of each batch is by ring.
  template <class T>
  LossResult by_ring(Meeting& meeting, const Inputs<T, 2>& in, Workspace& workspace,
                     const Outputs<T, 2>& out, bool gradients) const {
    const Index n = in[0].rows, d = in[0].cols, total = meeting.total(0);
    const MatrixView<const T> shape{nullptr, total, d, d};
    expects_options(meeting.function(), Inputs<T, 2>{shape, shape});
    Workspace::Frame frame =
        workspace.beside().frame(Workspace::bytes_for<T>(gradients ? std::size_t(n * d) : 0));
    const MatrixView<T> even = gradients ? take_rows<T>(frame, n, d) : MatrixView<T>{};
    const double part = double(n) / double(total),
                 aligned = n > 0 ? part * alignment(in, out, gradients) : 0;
    const double spread = uniform(out, even, part, [&](std::size_t k) {
      using namespace metrics::detail;
      return gradients ? uniformity_gradient_by_ring<T>(meeting, int(k), in[k], options.t, even,
                                                        workspace)
                       : uniformity_by_ring<T>(meeting, int(k), in[k], options.t, workspace);
    });
    meeting.mine.number[0] = aligned;
    meeting.agree();
    return {options.align_weight * meeting.sum(0) + spread};
  }

 private:
  template <class T>
  void expects_options(const char* function, const Inputs<T, 2>& in) const {
    expects_weight(function, "align_weight", options.align_weight);
    expects_weight(function, "uniform_weight", options.uniform_weight);
    metrics::detail::check_alignment(function, in[0], in[1], {.alpha = options.alpha});
    metrics::detail::check_uniformity(function, in[0].rows, options.t);
  }
  template <class T>
  double alignment(const Inputs<T, 2>& in, const Outputs<T, 2>& out, bool gradients) const {
    if (!gradients) return metrics::detail::alignment(in[0], in[1], options.alpha);
    return metrics::detail::alignment_with_gradient(in[0], in[1], options.alpha, out[0], out[1]);
  }
  /// The weighted uniformities, of batch k value(k), its gradient in `even`. To that of the
  /// alignment, of a part of all pairs, it is added in out[k].
  template <class T, class Value>
  double uniform(const Outputs<T, 2>& out, MatrixView<T> even, double part,
                 const Value& value) const {
    const T a = T(options.align_weight * part), u = T(options.uniform_weight / 2);
    double sum = 0;
    for (const std::size_t k : {std::size_t(0), std::size_t(1)}) {
      sum += value(k);
      for (Index i = 0; i < even.rows; ++i)
        for (Index c = 0; c < even.cols; ++c) out[k](i, c) = a * out[k](i, c) + u * even(i, c);
    }
    return options.uniform_weight / 2 * sum;
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
