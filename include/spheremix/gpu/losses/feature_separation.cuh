// feature_separation on the device: formula and options in formula/feature_separation.hpp.
//
// Printed contrast: (P + P^T) Xi / (N tau) over all pairs in one sweep, less 1 / (N tau) of each
// positive; sum_jk G_jk s_jk of dL/d log tau is half of sum_j xi_j . ((P + P^T) Xi)_j / (N tau).
//
// Shapes     X, Y shared features, Xi, Yi independent ones, Xa, Ya independent ones of the augmented
//            views: N x D each, float, double, Half or Bfloat16 (unit rows are meant).
// Cost       a modality: contrast 8 N^2 D flops, printed 6 N^2 D; uniformity 3 N^2 D.
// Memory     as info_nce.cuh, or with uniformity and gradients 8 N D bytes and as uniformity.cuh.
// Errors     shapes, no rows, temperature, weights, overlapping results, too small a scratch. NaN
//            gives a NaN loss.
#pragma once

#include "spheremix/formula/feature_separation.hpp"
#include "spheremix/gpu/losses/detail/contrastive.cuh"
#include "spheremix/gpu/losses/detail/separation_rows.cuh"
#include "spheremix/gpu/metrics/uniformity.cuh"

namespace spheremix::gpu::losses {

using spheremix::losses::Denominator;
using spheremix::losses::FeatureSeparationOptions;
using spheremix::losses::UniformityReading;

/// In device memory; gradients f32 (f64 for double rows); any number but the loss may be null.
template <class T>
using FeatureSeparationGradient = spheremix::losses::FeatureSeparationGradient<Places<T>>;

namespace detail {

/// *loss = (weight / n) sum_j lse_k x_j.x_k/tau - positives_j/tau; dx = its gradient through the
/// denominators and *slope = their dL/d log tau. dx without data: value only.
template <class Tile, class T, class Products>
void printed_contrast(Work& work, const core::MatrixView<const T>& x,
                      const typename Tile::Sum* positives, const FeatureSeparationOptions& o,
                      Index block, double* loss, double* slope,
                      const core::MatrixView<Arithmetic<T>>& dx, const Products& how) {
  using Sum = typename Tile::Sum;
  using Finish = pairwise::FinishKernel<Sum>;
  using Along = pairwise::AlongKernel<T>;
  const Work::Part part(work);
  const Index n = x.rows, blocks = pairwise::ceil_div(n, Finish::kThreads),
              row_blocks = pairwise::ceil_div(n, Along::kRowsEach);
  const double scale = 1 / (o.temperature * 0.693147180559945309417);  // logits in base 2
  const Sum unit = Sum(double(Tile::kWeightScale) / scale);
  pairwise::Table<Tile, formula::SoftmaxPair<Sum, true, false>> values;
  values.x = values.y = pairwise::make_operand<Tile>(work, x);
  values.policy = {Sum(scale), unit, 0};
  values.rows = work.take<pairwise::RowPair<Sum>>(n);
  double* const losses = work.take<double>(blocks);
  double* const along = work.take<double>(row_blocks);
  const pairwise::RangeLimits limits = pairwise::range_limits<Tile>(n, n, block);
  pairwise::sweep_statistics(work, values, limits, how);
  const double line = o.contrast_weight / double(n);
  // The positive is no key: its logit is subtracted alone.
  pairwise::start(
      work, Finish{n, positives, Sum(scale), values.rows, nullptr, line, 0, losses, true}, blocks);
  pairwise::ReduceKernel reduce{};
  reduce.sum[0] = {losses, blocks, 1, loss};
  if (!dx.data) return pairwise::start(work, reduce, 1);
  pairwise::Table<Tile, formula::SoftmaxPair<Sum, true, true>> weights;
  weights.x = weights.y = values.x;
  weights.policy = {Sum(scale), unit, unit};
  weights.rows = weights.cols = values.rows;
  pairwise::sweep_gradients(work, weights, {dx, {}},
                            Sum(line / o.temperature / double(Tile::kWeightScale)), limits, how);
  pairwise::start(work, Along{x, dx, along}, row_blocks);
  reduce.sum[1] = {along, row_blocks, -0.5, slope};
  pairwise::start(work, reduce, 2);
}

template <class Tile, class T, class Products>
void separation(Work& work, const core::MatrixView<const T> (&in)[6],
                const FeatureSeparationOptions& o, Index block,
                const core::MatrixView<Arithmetic<T>> (&out)[6], bool gradient, double* loss,
                double* log_temperature, const Products& how) {
  using A = Arithmetic<T>;
  using Rows = SeparationRowsKernel<T>;
  const Index n = in[0].rows, d = in[0].cols, blocks = pairwise::ceil_div(n, Rows::kRowsEach);
  const bool printed = o.denominator == Denominator::printed, contrast = o.contrast_weight > 0;
  auto* const numbers = work.take<SeparationNumbers>(1);
  A* const positives = work.take<A>(n);
  double* const ortho = work.take<double>(blocks);
  double* const along = work.take<double>(blocks);
  const core::MatrixView<A> none{};
  const double line = contrast && printed ? o.contrast_weight / (double(n) * o.temperature) : 0;
  for (int s = 0; s < 2; ++s) {
    Rows rows{in[s],
              in[s + 2],
              in[s + 4],
              positives,
              ortho,
              along,
              none,
              none,
              none,
              2 * o.ortho_weight / double(n),
              line,
              contrast,
              contrast && !printed};
    pairwise::start(work, rows, blocks);
    pairwise::ReduceKernel reduce{};
    reduce.sum[0] = {ortho, blocks, o.ortho_weight / double(n), &numbers->ortho[s]};
    reduce.sum[1] = {along, blocks, line, &numbers->positives[s]};
    pairwise::start(work, reduce, 2);
    if (contrast && printed)
      printed_contrast<Tile>(work, in[s + 2], positives, o, block, &numbers->contrast[s],
                             &numbers->slope[s], gradient ? out[s + 2] : none, how);
    else if (contrast)
      losses::detail::contrastive<Tile, true, false>(
          work, in[s + 2], in[s + 4], {o.temperature, o.contrast_weight / double(n), 0}, block,
          ContrastiveGradient<T>{&numbers->contrast[s], gradient ? out[s + 2] : none,
                                 gradient ? out[s + 4] : none, &numbers->slope[s]},
          how);
    if (!gradient) continue;
    rows.positives = nullptr;
    rows.dx = out[s], rows.down = out[s + 2], rows.daugmented = out[s + 4];
    pairwise::start(work, rows, blocks);
  }
  const bool spread = o.uniformity_weight > 0 && n > 1;
  A* du[2] = {nullptr, nullptr};
  for (int s = 0; spread && s < 2; ++s) {
    if (gradient) du[s] = work.take<A>(n * d);
    const core::MatrixView<A> to = gradient ? core::MatrixView<A>{du[s], n, d, d} : none;
    metrics::detail::uniformity<Tile>(work, in[s + 2], {}, block,
                                      metrics::UniformityGradient<T>{&numbers->uniformity[s], to},
                                      how);
  }
  pairwise::start(work,
                  SeparationJoinKernel{numbers, o.contrast_weight, o.uniformity_weight, double(n),
                                       o.uniformity == UniformityReading::joint, printed, loss,
                                       gradient ? log_temperature : nullptr},
                  1);
  using Add = AddScaledKernel<A>;
  for (int s = 0; spread && gradient && s < 2; ++s)
    pairwise::start(work, Add{out[s + 2], du[s], &numbers->factor[s]},
                    pairwise::ceil_div(n * d, Add::kThreads));
}

template <class T, class Products>
Status separation_checked(const core::MatrixView<const T> (&in)[6],
                          const FeatureSeparationOptions& o, const FeatureSeparationGradient<T>& to,
                          bool gradient, Scratch scratch, cudaStream_t stream,
                          const Products& how) {
  const core::MatrixView<Arithmetic<T>> out[6] = {
      to.x, to.y, to.x_independent, to.y_independent, to.x_augmented, to.y_augmented};
  if (const char* wrong = batches_error(in, gradient, out, to.loss)) return invalid(wrong);
  if (const char* wrong = place_error(in[0], in[0], o.temperature, to.loss, {}, out[0]))
    return invalid(wrong);
  if (const char* wrong = weights_error({o.ortho_weight, o.contrast_weight, o.uniformity_weight}))
    return invalid(wrong);
  return pairwise::enqueue_tiles<T>(how, scratch, stream, [&]<class Tile>(Work& work, Index block) {
    separation<Tile>(work, in, o, block, out, gradient, to.loss, to.log_temperature, how);
  });
}

}  // namespace detail

/// *loss (device memory).
template <class T, class Products = pairwise::KernelProducts>
Status feature_separation(core::MatrixView<const T> x, core::MatrixView<const T> y,
                          core::MatrixView<const T> x_independent,
                          core::MatrixView<const T> y_independent,
                          core::MatrixView<const T> x_augmented,
                          core::MatrixView<const T> y_augmented,
                          const FeatureSeparationOptions& options, double* loss, Scratch scratch,
                          cudaStream_t stream = nullptr, const Products& how = {}) {
  return detail::separation_checked<T>(
      {x, y, x_independent, y_independent, x_augmented, y_augmented}, options,
      {loss, {}, {}, {}, {}, {}, {}, nullptr}, false, scratch, stream, how);
}

/// Loss, gradients and dL/d log tau, all overwritten.
template <class T, class Products = pairwise::KernelProducts>
Status feature_separation_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                                        core::MatrixView<const T> x_independent,
                                        core::MatrixView<const T> y_independent,
                                        core::MatrixView<const T> x_augmented,
                                        core::MatrixView<const T> y_augmented,
                                        const FeatureSeparationOptions& options,
                                        const FeatureSeparationGradient<T>& out, Scratch scratch,
                                        cudaStream_t stream = nullptr, const Products& how = {}) {
  return detail::separation_checked<T>(
      {x, y, x_independent, y_independent, x_augmented, y_augmented}, options, out, true, scratch,
      stream, how);
}

}  // namespace spheremix::gpu::losses
