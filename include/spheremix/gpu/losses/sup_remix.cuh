// SupReMix on the device: supervised contrast for regression, with mixtures as harder negatives and
// positives.
//
//   real      every q != i: weight w(y_i - y_q); positives, |y_q - y_i| <= tolerance: weight 1
//   Mix-neg   every k of another label: m = lambda x_i + (1 - lambda) x_k,
//             weight w((1 - lambda)(y_i - y_k))
//   Mix-pos   every (j, k), y_i - g < y_j < y_i < y_k < y_i + g:
//             m = l x_j + (1 - l) x_k, l = (y_k - y_i)/(y_k - y_j): its label is y_i, weight 1
//   P_i = real positives and Mix-pos of i,  n_a = anchors that have any
//   L = (1/n_a) sum_i -(1/|P_i|) sum_{p in P_i} log e^(s_p) / sum_q w_q e^(s_q),   s = x_i.m / tau
//
// w(d) is 1 + |d|, 1 + d^2 or 1 (RemixWeighting). Mixtures are not renormalised, and detached
// unless told otherwise. Only S = X X^T is needed: a mixture's logit is the mixture of logits. S
// is made in strips of rows; an anchor's row becomes its row of G (remix_anchor.cuh), then
//
//   dX += G'^T X of the strip's rows,   dX of the strip += G X     (G' = G of the keys, if detached)
//
// Shapes   X: N x D, float, double, Half or Bfloat16; labels: N numbers. Anchors without a positive
//          are left out and counted. lambda: RemixLambda.
// Cost     6 N^2 D flops, and sum_i |L_i| |R_i| exponentials (three times that with the gradient).
// Memory   the operand (2 N D bytes unless fp16 and aligned), 60 N bytes, and strips of 64 MiB or of
//          one tile's edge of rows, whichever is more.
// Errors   as in clip.cuh, label_tolerance < 0, window not positive, one lambda outside [0, 1].
//          renormalise is not on the device: refused. NaN, as sup_con.cuh.
// [Wu et al. 2023, arXiv 2309.16633]
#pragma once

#include "spheremix/gpu/losses/remix_anchor.cuh"

namespace spheremix::gpu::losses {

struct SupRemixOptions {
  double temperature = 0.1;
  double window = 1;           ///< g: parents of Mix-pos lie this close to the anchor's label
  double label_tolerance = 0;  ///< labels this close count as equal
  double beta_a = 2;           ///< Mix-neg: lambda of the anchor ~ Beta(beta_a, beta_b)
  double beta_b = 8;
  RemixWeighting weighting = RemixWeighting::absolute;
  bool mix_negatives = true;
  bool mix_positives = true;
  bool detach = true;        ///< mixtures pass no gradient to their parents
  bool renormalise = false;  ///< refused
  Precision precision = Precision::fast;
  Index block = 0;  ///< rows of a strip; 0: chosen
};

namespace detail {

/// Rows of a strip, a multiple of the tile's edge, and its columns.
template <class Tile>
struct RemixPlan {
  Index rows, width;
  bool shares, gradient, keys;

  RemixPlan(Index n, const SupRemixOptions& o, bool with_gradient)
      : width(pairwise::round_up(n, Tile::kEdge)),
        shares(o.mix_negatives),
        gradient(with_gradient),
        keys(with_gradient && o.detach) {
    constexpr Index kEdge = Tile::kEdge;
    const Index each = width * (Index(sizeof(typename Tile::Sum)) * (1 + shares) +
                                Index(sizeof(typename Tile::Weight)) * (Index(gradient) + keys));
    const Index fit = (Index(64) << 20) / each / kEdge * kEdge,
                asked = o.block > 0 ? pairwise::round_up(o.block, kEdge)
                        : fit > 0   ? fit
                                    : kEdge;
    rows = width < asked ? width : asked;
  }
  std::size_t size() const { return std::size_t(rows * width); }
  std::size_t bytes() const {
    using Sum = typename Tile::Sum;
    using Weight = typename Tile::Weight;
    return std::size_t(1 + shares) * scratch_bytes<Sum>(size()) +
           std::size_t(Index(gradient) + keys) * scratch_bytes<Weight>(size());
  }
};

template <class Tile, class T>
std::size_t sup_remix_bytes(const core::MatrixView<const T>& x, const SupRemixOptions& options,
                            bool gradient) {
  const std::size_t n = std::size_t(x.rows);
  return pairwise::operand_bytes<Tile>(x) + 5 * scratch_bytes<double>(n) + scratch_bytes<int>(n) +
         scratch_bytes<RemixWindow>(n) + scratch_bytes<typename Tile::Sum>(1) +
         RemixPlan<Tile>(x.rows, options, gradient).bytes();
}

template <class Tile, class T, class Products>
Status sup_remix(const core::MatrixView<const T>& x, const Labels& from,
                 const RemixLambda<Arithmetic<T>>& lambda, const SupRemixOptions& options,
                 const SupervisedGradient<T>& out, Scratch scratch, cudaStream_t stream,
                 const Products& products) {
  using Sum = typename Tile::Sum;
  using Weight = typename Tile::Weight;
  const bool gradient = out.x.data != nullptr;
  if (const Status held = scratch_status(scratch, sup_remix_bytes<Tile>(x, options, gradient));
      !held)
    return held;
  const Index n = x.rows;
  const std::size_t size = std::size_t(n);
  const RemixPlan<Tile> plan(n, options, gradient);
  ScratchFrame frame(scratch);
  core::MatrixView<const typename Tile::Input> rows;
  Status status = pairwise::make_operand<Tile>(x, frame, stream, &rows);
  double* const labels = frame.take<double>(size);
  double* const sorted = frame.take<double>(size);
  double* const losses = frame.take<double>(size);
  double* const moments = frame.take<double>(size);
  double* const anchors = frame.take<double>(size);
  int* const place = frame.take<int>(size);
  RemixWindow* const windows = frame.take<RemixWindow>(size);
  Sum* const line = frame.take<Sum>(1);
  Sum* const cosines = frame.take<Sum>(plan.size());
  Sum* const shares = plan.shares ? frame.take<Sum>(plan.size()) : nullptr;
  Weight* const to_anchors = gradient ? frame.take<Weight>(plan.size()) : nullptr;
  Weight* const to_keys = plan.keys ? frame.take<Weight>(plan.size()) : nullptr;
  using pairwise::ceil_div;
  using pairwise::start;
  if (status)
    status = start(LabelsKernel{from, n, labels}, ceil_div(n, LabelsKernel::kThreads), stream);
  if (status)
    status =
        start(OrderKernel{labels, n, place, sorted}, ceil_div(n, OrderKernel::kRowsEach), stream);
  if (status)
    status = start(WindowsKernel{place, sorted, n, options.label_tolerance, options.window,
                                 options.mix_positives, windows},
                   ceil_div(n, WindowsKernel::kThreads), stream);

  const Sum scale = Sum(1 / (options.temperature * 0.693147180559945309417));
  const Sum alpha = Sum(1 / (options.temperature * double(Tile::kWeightScale)));
  for (Index first = 0; first < n && status; first += plan.rows) {
    const Index height = n - first < plan.rows ? n - first : plan.rows;
    status = start(StripKernel<Tile>{rows, first, height, cosines, plan.width},
                   ceil_div(height, Tile::kEdge) * ceil_div(n, Tile::kEdge), stream);
    using Share = RemixShareKernel<Sum>;
    if (status && shares)
      status =
          start(Share{lambda, options.beta_a, options.beta_b, first, height, n, shares, plan.width},
                ceil_div(height * n, Share::kThreads), stream);
    const RemixTask<Sum> task{
        n, labels, sorted, place, windows, options.label_tolerance, options.weighting, scale};
    if (status)
      status = start(RemixAnchorKernel<Tile>{task, first, height, plan.width, cosines, shares,
                                             losses, moments, anchors, to_anchors, to_keys},
                     gradient ? pairwise::round_up(height, Tile::kEdge) : height, stream);
    if (!status || !gradient) continue;
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
    status = products(keys, none, stream);  // one after the other: they add to the same rows
    if (status) status = products(own, none, stream);
  }
  if (status)
    status = start(AnchorsKernel<Sum>{losses, anchors, n, n, out.loss, out.skipped, line, moments,
                                      out.log_temperature},
                   1, stream);
  if (!status || !gradient) return status;
  using Line = LineKernel<T>;
  return start(Line{x, line, out.x, nullptr}, ceil_div(n, Line::kRowsEach), stream);
}

template <class T, class Products>
Status sup_remix_checked(const core::MatrixView<const T>& x, const Labels& labels,
                         const RemixLambda<Arithmetic<T>>& lambda, const SupRemixOptions& options,
                         const SupervisedGradient<T>& out, Scratch scratch, cudaStream_t stream,
                         const Products& products) {
  if (const char* wrong =
          supervised_error(x, labels, options.temperature, options.label_tolerance, out))
    return invalid(wrong);
  if (!(options.window > 0)) return invalid("the window is not positive");
  if (options.renormalise) return invalid("renormalised mixtures are not on the device");
  if (const char* wrong = lambda.error(x.rows, options.beta_a, options.beta_b))
    return invalid(wrong);
  return pairwise::with_tile<T, Products>(options.precision, [&]<class Tile>() {
    return sup_remix<pairwise::FormingTile<Tile>>(x, labels, lambda, options, out, scratch, stream,
                                                  products);
  });
}

}  // namespace detail

/// Scratch of sup_remix and sup_remix_with_gradient in bytes, for this very view.
template <class T, class Products = pairwise::KernelProducts>
std::size_t sup_remix_bytes(core::MatrixView<const T> x, const SupRemixOptions& options = {},
                            const Products& = {}) {
  return pairwise::with_tile<T, Products>(options.precision, [&]<class Tile>() {
    using Forming = pairwise::FormingTile<Tile>;
    const std::size_t value = detail::sup_remix_bytes<Forming>(x, options, false),
                      gradient = detail::sup_remix_bytes<Forming>(x, options, true);
    return value > gradient ? value : gradient;
  });
}

/// *loss (device memory).
template <class T>
Status sup_remix(core::MatrixView<const T> x, Labels labels, RemixLambda<Arithmetic<T>> lambda,
                 const SupRemixOptions& options, double* loss, Scratch scratch,
                 cudaStream_t stream = nullptr) {
  return detail::sup_remix_checked(x, labels, lambda, options,
                                   SupervisedGradient<T>{loss, {}, nullptr, nullptr}, scratch,
                                   stream, pairwise::KernelProducts{});
}

/// Loss, gradient and dL/d log tau, all overwritten.
template <class T, class Products = pairwise::KernelProducts>
Status sup_remix_with_gradient(core::MatrixView<const T> x, Labels labels,
                               RemixLambda<Arithmetic<T>> lambda, const SupRemixOptions& options,
                               const SupervisedGradient<T>& out, Scratch scratch,
                               cudaStream_t stream = nullptr, const Products& products = {}) {
  if (!out.x.data) return invalid("no place for the gradient");
  return detail::sup_remix_checked(x, labels, lambda, options, out, scratch, stream, products);
}

}  // namespace spheremix::gpu::losses
