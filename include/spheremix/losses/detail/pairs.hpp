// info_nce, margin_nce and clip from views: row i of X belongs to row i of Y, in one direction or in
// both; other targets in target_sweep.hpp.
#pragma once

#include "spheremix/losses/detail/mix_table.hpp"
#include "spheremix/losses/detail/pair_strip.hpp"
#include "spheremix/losses/detail/target_sweep.hpp"
#include "spheremix/losses/targets.hpp"

namespace spheremix::losses::detail {

template <class T>
struct PairArrays {
  Index* diagonal;
  ContrastArrays<T> contrast;
  std::optional<MixTable<T>> table;

  PairArrays(Index n, Index m, bool both, bool gradients, const MixExtras* extras,
             Workspace::Frame& frame)
      : diagonal(frame.take<Index>(std::size_t(n))), contrast(n, m, 1, both, gradients, frame) {
    if (extras) table.emplace(*extras, frame);
  }
};

/// Plan, memory and run of the table X Y^T with its diagonal as targets, m >= n. Both: columns as
/// well as rows, m = n. The margin lies off the diagonal; *margin_slope is -sum_i dL/dS_ii, the
/// loss's derivative by it. extras: of a loss that mixes besides. ring: X and Y are one rank's of
/// several, and so is the result.
template <bool Both, class T, class Products = pairwise::PlainProducts>
ContrastResult pair_loss_on_views(const char* function, const Inputs<T, 2>& in, double temperature,
                                  std::size_t budget, Workspace& workspace,
                                  const pairwise::PairGradients<T>& out, T margin = 0,
                                  double* margin_slope = nullptr, const MixExtras* extras = nullptr,
                                  const ContrastRing<T>* ring = nullptr) {
  expects_temperature<T>(function, "temperature", temperature);
  if (in.strip)
    return static_cast<const PairStripOf<T>*>(in.strip)->run(function, in, temperature, budget,
                                                             workspace, out, margin, margin_slope);
  const MatrixView<const T> x = in[0], y = in[1];
  const bool gradients = ring ? ring->gradients : out.wanted();
  const Index n = x.rows, m = y.rows;
  const auto plan = make_plan_on<formula::SoftmaxPair<T, true, Both>>(
      ring, function, n, m, x.cols, gradients, budget,
      core::bytes_of<PairArrays<T>>(n, m, Both, gradients, extras));
  if (!computable(x, y, temperature, ring)) {
    fill_nan(out.dx);
    fill_nan(out.dy);
    if (margin_slope) *margin_slope = core::nan<double>;
    return {core::nan<double>, core::nan<double>, nullptr};
  }
  Workspace::Frame frame = workspace.frame(plan.bytes);
  const PairArrays<T> arrays(n, m, Both, gradients, extras, frame);
  put_apart(formula::Diagonal(), n, arrays.diagonal);
  Contrast<T> contrast{.x = x,
                       .y = y,
                       .temperature = temperature,
                       .weight = Both ? 0.5 : 1.0,
                       .special = arrays.diagonal,
                       .margin = margin,
                       .ring = ring};
  if (ring) contrast.lines = ring->lines;
  pairwise::TileSteps<T> steps;
  if (extras) arrays.table->put(contrast, false, steps);
  const auto result = run_contrast<T, Both, Products>(contrast, arrays.contrast, plan, frame, out);
  if (margin_slope && gradients) {
    *margin_slope = 0;
    for (Index i = 0; i < n; ++i) *margin_slope -= result.special[i];
  }
  return result;
}

}  // namespace spheremix::losses::detail

#include "spheremix/losses/detail/pair_ring.hpp"  // calls it

namespace spheremix::losses::detail {

/// A loss of X and Y that is one call of pair_loss_on_views.
template <bool Both, class Products = pairwise::PlainProducts>
struct OfPairs : OfTwoBatches {
  template <class T>
  using StripType = PairStrip<T, Both, Products>;
};

/// clip (Both) or info_nce, by the matrix products of Products.
template <bool Both, class Products = pairwise::PlainProducts>
struct PairLoss : OfTargets<PairLoss<Both, Products>, !Both, OfPairs<Both, Products>> {
  static constexpr bool kShared = true;  // with targets
  double temperature;
  std::size_t budget;

  template <class Options>
  explicit PairLoss(const Options& options, const Targets* of = nullptr)
      : PairLoss::OfTargets(options, of),
        temperature(options.temperature),
        budget(options.memory_budget) {}

  template <class T>
  ContrastResult operator()(const char* function, const Inputs<T, 2>& in, Workspace& workspace,
                            const Outputs<T, 2>& out) const {
    if (!this->targets.plain())
      return target_loss_on_views<Both, T, Products>(function, in[0], in[1], temperature, budget,
                                                     this->targets, workspace, {out[0], out[1]});
    return pair_loss_on_views<Both, T, Products>(function, in, temperature, budget, workspace,
                                                 {out[0], out[1]});
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
