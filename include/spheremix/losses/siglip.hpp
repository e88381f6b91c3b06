// siglip on the CPU: formula, gradient and options in formula/siglip.hpp.
//
// Shapes     X, Y: n x d, n >= 1. The learned scale of the paper is e^a = 1/tau.
// Cost       6 n^2 d flops in O(strip x n) memory, one sweep: no statistics.
// Accuracy   softplus(u) = max(u, 0) + log1p(e^-|u|): finite and exact to a few eps everywhere.
// Errors     shapes, no rows, tau, bias not finite, memory_budget too small. NaN gives NaN.
#pragma once

#include "spheremix/formula/siglip.hpp"
#include "spheremix/losses/stacked.hpp"
#include "spheremix/pairwise/row_sweep.hpp"

namespace spheremix::losses {

/// Loss and gradients of siglip.
template <class Matrix>
struct SiglipGradient {
  double loss;
  Matrix x;                ///< dL/dX
  Matrix y;                ///< dL/dY
  double log_temperature;  ///< dL/d ln(tau) = -dL/da
  double bias;             ///< dL/dbias
};

namespace detail {

struct SiglipResult {
  double loss, log_temperature, bias;

  template <class Out>
  void put(Out& out) const {
    out.loss = loss;
    out.log_temperature = log_temperature;
    out.bias = bias;
  }
};

struct SiglipArrays {
  LineResults lines;
  double* shift;  ///< of each row, its part of dL/dbias

  SiglipArrays(Index n, Workspace::Frame& frame)
      : lines(n, frame), shift(frame.take<double>(std::size_t(n))) {}
};

struct SiglipLoss : OfTwoBatches {
  const SiglipOptions& options;

  template <class T>
  SiglipResult operator()(const char* function, const Inputs<T, 2>& in, Workspace& workspace,
                          const Outputs<T, 2>& to) const {
    const MatrixView<const T> x = in[0], y = in[1];
    const pairwise::PairGradients<T> out{to[0], to[1]};
    expects_temperature<T>(function, "temperature", options.temperature);
    core::expects(std::isfinite(T(options.bias)), function, "bias is ", options.bias);
    const bool gradients = out.dx.data != nullptr;
    const Index n = x.rows;
    const auto plan = pairwise::make_row_plan<T>(
        function, n, n, x.cols, 1, false, options.memory_budget, core::bytes_of<SiglipArrays>(n));
    if (!computable(x, y, options.temperature)) {
      const ContrastResult bad = nan_result(out);
      return {bad.loss, bad.loss, bad.loss};
    }
    Workspace::Frame frame = workspace.frame(plan.bytes);
    const SiglipArrays arrays(n, frame);
    double *const loss = arrays.lines.loss, *const moment = arrays.lines.moment;
    double* const shift = arrays.shift;
    const T scale = T(1 / options.temperature), bias = T(options.bias);
    const T factor = T(1 / (double(n) * options.temperature));
    pairwise::row_sweep<T>(
        x, y, plan, frame,
        [&](const pairwise::PairRow<T>& row) {
          T *const s = row.s, *const u = row.scratch;
          for (Index j = 0; j < n; ++j) u[j] = scale * s[j] + bias;
          u[row.i] = -u[row.i];
          loss[row.i] = SPHEREMIX_DISPATCH(row_softplus<T>)(u, n);
          if (!gradients) return;
          u[row.i] = -u[row.i];
          shift[row.i] = SPHEREMIX_DISPATCH(row_sum<T>)(u, n);
          moment[row.i] = SPHEREMIX_DISPATCH(row_weights<T>)(row.s, u, factor, n);
        },
        out);
    SiglipResult result{0, 0, 0};
    for (Index i = 0; i < n; ++i) {
      result.loss += loss[i] / double(n);
      if (!gradients) continue;
      result.log_temperature -= moment[i];
      result.bias += shift[i] / double(n);
    }
    return result;
  }
};

}  // namespace detail

/// The loss, in nats.
template <class X, class Y>
[[nodiscard]] double siglip(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                            const SiglipOptions& options = {}) {
  return detail::value("siglip", detail::SiglipLoss{{}, options}, x, y).loss;
}

/// Loss and gradients into `out` (any struct with the fields of SiglipGradient), without an
/// allocation once `workspace` and `out` have their sizes.
template <class X, class Y, class Out>
void siglip_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                          const SiglipOptions& options, core::Workspace& workspace, Out& out) {
  detail::into("siglip_with_gradient", detail::SiglipLoss{{}, options}, workspace, out, x, y);
}

template <class X, class Y>
[[nodiscard]] auto siglip_with_gradient(const Eigen::MatrixBase<X>& x,
                                        const Eigen::MatrixBase<Y>& y,
                                        const SiglipOptions& options = {}) {
  return detail::by_value<SiglipGradient<RowMatrix<typename X::Scalar>>>(
      [&](auto& workspace, auto& out) { siglip_with_gradient(x, y, options, workspace, out); });
}

}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_SIGLIP(T)                                                         \
  SiglipResult run(const SiglipLoss&, const char*, const Inputs<T, 2>&, Workspace&, \
                   const Outputs<T, 2>&)
SPHEREMIX_ELSEWHERE(SPHEREMIX_SIGLIP)
}  // namespace spheremix::losses::detail
