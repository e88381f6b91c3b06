// info_nce, margin_nce and clip from views: row i of X belongs to row i of Y, in one direction or in
// both.
#pragma once

#include "spheremix/losses/detail/contrastive.hpp"

namespace spheremix::losses::detail {

template <class T>
struct PairArrays {
  Index* diagonal;
  ContrastArrays<T> contrast;

  PairArrays(Index n, bool both, bool gradients, Workspace::Frame& frame)
      : diagonal(frame.take<Index>(std::size_t(n))), contrast(n, n, 1, both, gradients, frame) {}
};

/// Plan, memory and run of the table X Y^T with its diagonal as targets. Both: columns as well as
/// rows. The margin lies off the diagonal; *margin_slope is -sum_i dL/dS_ii, the loss's derivative by
/// it.
template <bool Both, class T, class Products = pairwise::PlainProducts>
ContrastResult pair_loss_on_views(const char* function, MatrixView<const T> x,
                                  MatrixView<const T> y, double temperature, std::size_t budget,
                                  Workspace& workspace, const pairwise::PairGradients<T>& out,
                                  T margin = 0, double* margin_slope = nullptr) {
  expects_temperature<T>(function, "temperature", temperature);
  const bool gradients = out.dx.data != nullptr;
  const Index n = x.rows;
  const auto plan = pairwise::make_plan<T>(
      function, n, n, x.cols, pairwise::keep_for<formula::SoftmaxPair<T, true, Both>>(gradients),
      budget, core::bytes_of<PairArrays<T>>(n, Both, gradients));
  if (!computable(x, y, temperature)) {
    if (gradients) fill_nan(out.dx), fill_nan(out.dy);
    if (margin_slope) *margin_slope = core::nan<double>;
    return {core::nan<double>, core::nan<double>, nullptr};
  }
  Workspace::Frame frame = workspace.frame(plan.bytes);
  const PairArrays<T> arrays(n, Both, gradients, frame);
  for (Index i = 0; i < n; ++i) arrays.diagonal[i] = i;
  Contrast<T> contrast{x, y, temperature, Both ? 0.5 : 1.0, 1, arrays.diagonal};
  contrast.margin = margin;
  const auto result = run_contrast<T, Both, Products>(contrast, arrays.contrast, plan, frame, out);
  if (margin_slope && gradients) {
    *margin_slope = 0;
    for (Index i = 0; i < n; ++i) *margin_slope -= result.special[i];
  }
  return result;
}

/// clip (Both) or info_nce, by the matrix products of Products.
template <bool Both, class Products = pairwise::PlainProducts>
struct PairLoss : OfTwoBatches {
  double temperature;
  std::size_t budget;

  template <class Options>
  explicit PairLoss(const Options& options)
      : temperature(options.temperature), budget(options.memory_budget) {}

  template <class T>
  ContrastResult operator()(const char* function, const Inputs<T, 2>& in, Workspace& workspace,
                            const Outputs<T, 2>& out) const {
    return pair_loss_on_views<Both, T, Products>(function, in[0], in[1], temperature, budget,
                                                 workspace, {out[0], out[1]});
  }
};

}  // namespace spheremix::losses::detail

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_CLIP(T)                                                                 \
  ContrastResult run(const PairLoss<true>&, const char*, const Inputs<T, 2>&, Workspace&, \
                     const Outputs<T, 2>&)
SPHEREMIX_ELSEWHERE(SPHEREMIX_CLIP)
#define SPHEREMIX_INFO_NCE(T)                                                              \
  ContrastResult run(const PairLoss<false>&, const char*, const Inputs<T, 2>&, Workspace&, \
                     const Outputs<T, 2>&)
SPHEREMIX_ELSEWHERE(SPHEREMIX_INFO_NCE)
}  // namespace spheremix::losses::detail
