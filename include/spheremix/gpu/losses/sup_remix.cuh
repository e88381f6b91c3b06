// sup_remix on the device: formula and options in formula/sup_remix.hpp.
//
// S is made in strips of rows; an anchor's row becomes its row of G (remix_anchor.cuh), then
//
//   dX += G'^T X of the strip's rows,   dX of the strip += G X     (G' = G of the keys, if detached)
//
// Shapes   X: N x D, float, double, Half or Bfloat16; labels: N numbers. Anchors without a positive
//          are left out and counted. lambda: RemixLambda.
// Cost     6 N^2 D flops, and sum_i |L_i| |R_i| exponentials (three times that with the gradient).
// Memory   the operand (2 N D bytes unless fp16 and aligned), 76 N bytes, and strips of 64 MiB or of
//          one tile's edge of rows, whichever is more; `block`: rows of a strip.
// Errors   as in clip.cuh, label_tolerance < 0, window not positive, one lambda outside [0, 1].
//          renormalise is not on the device: refused. NaN, as sup_con.cuh.
#pragma once

#include "spheremix/gpu/losses/detail/remix_anchor.cuh"

namespace spheremix::gpu::losses {

namespace detail {

/// Rows of a strip, a multiple of the tile's edge, and its columns.
template <class Tile>
struct RemixPlan {
  Index rows, width;
  bool shares, gradient, keys;

  RemixPlan(Index n, const SupRemixOptions& o, Index block, bool with_gradient)
      : width(pairwise::round_up(n, Tile::kEdge)),
        shares(o.mix_negatives),
        gradient(with_gradient),
        keys(with_gradient && o.detach) {
    constexpr Index kEdge = Tile::kEdge;
    const Index each = width * (Index(sizeof(typename Tile::Sum)) * (1 + shares) +
                                Index(sizeof(typename Tile::Weight)) * (Index(gradient) + keys));
    const Index fit = (Index(64) << 20) / each / kEdge * kEdge,
                asked = block > 0 ? pairwise::round_up(block, kEdge)
                        : fit > 0 ? fit
                                  : kEdge;
    rows = width < asked ? width : asked;
  }
  Index size() const { return rows * width; }
};

template <class Tile, class T, class Products>
void sup_remix(Work& work, const core::MatrixView<const T>& x, const Labels& from,
               const RemixLambda<Arithmetic<T>>& lambda, const SupRemixOptions& options,
               Index block, const SupervisedGradient<T>& out, const Products& how) {
  using Sum = typename Tile::Sum;
  using Weight = typename Tile::Weight;
  using pairwise::ceil_div;
  using pairwise::start;
  const bool gradient = out.x.data != nullptr;
  const Index n = x.rows;
  const RemixPlan<Tile> plan(n, options, block, gradient);
  const auto rows = pairwise::make_operand<Tile>(work, x);
  auto* const labels = work.take<core::ExactNumber>(n);
  auto* const sorted = work.take<core::ExactNumber>(n);
  double* const losses = work.take<double>(n);
  double* const moments = work.take<double>(n);
  double* const anchors = work.take<double>(n);
  int* const place = work.take<int>(n);
  RemixWindow* const windows = work.take<RemixWindow>(n);
  Sum* const line = work.take<Sum>(1);
  Sum* const cosines = work.take<Sum>(plan.size());
  Sum* const shares = plan.shares ? work.take<Sum>(plan.size()) : nullptr;
  Weight* const to_anchors = gradient ? work.take<Weight>(plan.size()) : nullptr;
  Weight* const to_keys = plan.keys ? work.take<Weight>(plan.size()) : nullptr;
  const LabelDistance distance{from.resolution()};
  start(work, LabelsKernel{from, n, labels}, ceil_div(n, LabelsKernel::kThreads));
  start(work, OrderKernel{labels, n, place, sorted}, ceil_div(n, OrderKernel::kRowsEach));
  start(work,
        WindowsKernel{place, sorted, n, options.label_tolerance, options.window, distance,
                      options.mix_positives, windows},
        ceil_div(n, WindowsKernel::kThreads));

  const Sum scale = Sum(1 / (options.temperature * 0.693147180559945309417));
  const Sum alpha = Sum(1 / (options.temperature * double(Tile::kWeightScale)));
  for (Index first = 0; first < n; first += plan.rows) {
    const Index height = n - first < plan.rows ? n - first : plan.rows;
    start(work, StripKernel<Tile>{rows, first, height, cosines, plan.width},
          ceil_div(height, Tile::kEdge) * ceil_div(n, Tile::kEdge));
    using Share = RemixShareKernel<Sum>;
    if (shares)
      start(work,
            Share{lambda, options.beta_a, options.beta_b, first, height, n, shares, plan.width},
            ceil_div(height * n, Share::kThreads));
    const RemixTask<Sum> task{
        n,    labels, sorted, place, windows, options.label_tolerance, distance, options.weighting,
        scale};
    start(work,
          RemixAnchorKernel<Tile>{task, first, height, plan.width, cosines, shares, losses, moments,
                                  anchors, to_anchors, to_keys},
          gradient ? pairwise::round_up(height, Tile::kEdge) : height);
    if (!gradient) continue;
    const pairwise::ProductSide<Tile> none{};
    const pairwise::ProductSide<Tile> keys{to_keys ? to_keys : to_anchors,
                                           plan.width,
                                           true,
                                           rows.middle_rows(first, height),
                                           out.x,
                                           alpha,
                                           first > 0};
    const pairwise::ProductSide<Tile> own{
        to_anchors, plan.width, false, rows, out.x.middle_rows(first, height), alpha, true};
    pairwise::multiply(work, how, keys, none);  // one after the other: they add to the same rows
    pairwise::multiply(work, how, own, none);
  }
  start(work,
        AnchorsKernel<Sum>{losses, anchors, n, n, out.loss, out.skipped, line, moments,
                           out.log_temperature},
        1);
  using Line = LineKernel<T>;
  if (gradient) start(work, Line{x, line, out.x, nullptr}, ceil_div(n, Line::kRowsEach));
}

template <class T, class Products>
Status sup_remix_checked(const core::MatrixView<const T>& x, const Labels& labels,
                         const RemixLambda<Arithmetic<T>>& lambda, const SupRemixOptions& options,
                         const SupervisedGradient<T>& out, Scratch scratch, cudaStream_t stream,
                         const Products& how) {
  if (const char* wrong =
          supervised_error(x, labels, options.temperature, options.label_tolerance, out))
    return invalid(wrong);
  if (!(options.window > 0)) return invalid("the window is not positive");
  if (options.renormalise) return invalid("renormalised mixtures are not on the device");
  if (const char* wrong = lambda.error(x.rows, options.beta_a, options.beta_b))
    return invalid(wrong);
  return pairwise::enqueue_tiles<T>(how, scratch, stream, [&]<class Tile>(Work& work, Index) {
    sup_remix<pairwise::FormingTile<Tile>>(work, x, labels, lambda, options,
                                           pairwise::asked_block(how), out, how);
  });
}

}  // namespace detail

/// *loss (device memory).
template <class T, class Products = pairwise::KernelProducts>
Status sup_remix(core::MatrixView<const T> x, Labels labels, RemixLambda<Arithmetic<T>> lambda,
                 const SupRemixOptions& options, double* loss, Scratch scratch,
                 cudaStream_t stream = nullptr, const Products& how = {}) {
  return detail::sup_remix_checked(x, labels, lambda, options,
                                   SupervisedGradient<T>{loss, {}, nullptr, nullptr}, scratch,
                                   stream, how);
}

/// Loss, gradient and dL/d log tau, all overwritten.
template <class T, class Products = pairwise::KernelProducts>
Status sup_remix_with_gradient(core::MatrixView<const T> x, Labels labels,
                               RemixLambda<Arithmetic<T>> lambda, const SupRemixOptions& options,
                               const SupervisedGradient<T>& out, Scratch scratch,
                               cudaStream_t stream = nullptr, const Products& how = {}) {
  if (!out.x.data) return invalid("no place for the gradient");
  return detail::sup_remix_checked(x, labels, lambda, options, out, scratch, stream, how);
}

}  // namespace spheremix::gpu::losses
