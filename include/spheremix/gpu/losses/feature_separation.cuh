// Deep feature separation on the device: each modality has a second, independent feature,
// orthogonal to the shared one, told apart by contrast and spread over the sphere.
//
//   ortho       (1/N) sum_j (x_j.xi_j)^2 + (y_j.yi_j)^2
//   contrast    -(1/N) sum_j log e^(xi_j.xa_j/tau) / sum_k e^(xi_j.key_k/tau), and the same for y:
//               Denominator::printed    keys are xi itself, k = j included (the text's formula)
//               Denominator::augmented  keys are xa: InfoNCE of xi against xa
//   uniformity  joint:    log (1/N) sum_jk ( e^(-2 |xi_j - xi_k|^2) + e^(-2 |yi_j - yi_k|^2) )
//               separate: the sum of two logarithms; k = j is included, and 1/N is not 1/N^2
//   L = ortho_weight ortho + contrast_weight contrast + uniformity_weight uniformity
//
// Gradients  ortho: 2 (x.xi) xi / N. Printed contrast: (P + P^T) Xi / (N tau) over all pairs in one
//            sweep, less 1 / (N tau) of each positive; sum_jk G_jk s_jk of dL/d log tau is half of
//            sum_j xi_j . ((P + P^T) Xi)_j / (N tau). Uniformity from metrics/uniformity.cuh u:
//            sum_jk = N + N (N - 1) e^u.
// Shapes     X, Y shared features, Xi, Yi independent ones, Xa, Ya independent ones of the augmented
//            views: N x D each, float, double, Half or Bfloat16 (unit rows are meant).
// Cost       a modality: contrast 8 N^2 D flops, printed 6 N^2 D; uniformity 3 N^2 D.
// Memory     as info_nce.cuh, or with uniformity and gradients 8 N D bytes and as uniformity.cuh.
// Errors     shapes, no rows, temperature, weights, overlapping results, too small a scratch. NaN
//            gives a NaN loss.
// [Jiang et al. 2023, arXiv 2303.05952, section 4.1]
#pragma once

#include "spheremix/gpu/losses/geometric_consistency.cuh"
#include "spheremix/gpu/losses/separation_rows.cuh"
#include "spheremix/gpu/metrics/uniformity.cuh"

namespace spheremix::gpu::losses {

enum class Denominator { printed, augmented };
enum class UniformityReading { joint, separate };

struct FeatureSeparationOptions {
  double temperature = 0.07;
  double ortho_weight = 1;
  double contrast_weight = 1;
  double uniformity_weight = 1;
  Denominator denominator = Denominator::printed;
  UniformityReading uniformity = UniformityReading::joint;
  Precision precision = Precision::fast;
  Index block = 0;  ///< edge of the ranges kept at a time; 0: chosen
};

/// Results in device memory, f32 gradients (f64 for double rows).
template <class T>
struct FeatureSeparationGradient {
  double* loss = nullptr;
  core::MatrixView<Arithmetic<T>> x, y;                          ///< of the shared features
  core::MatrixView<Arithmetic<T>> x_independent, y_independent;  ///< of the independent features
  core::MatrixView<Arithmetic<T>> x_augmented, y_augmented;  ///< of those of the augmented views
  double* log_temperature = nullptr;                         ///< dL/d log tau; may be null
};

namespace detail {

template <class Tile, class T>
std::size_t printed_bytes(const core::MatrixView<const T>& x, Index block) {
  using Sum = typename Tile::Sum;
  const std::size_t n = std::size_t(x.rows);
  return pairwise::operand_bytes<Tile>(x) + scratch_bytes<pairwise::RowPair<Sum>>(n) +
         scratch_bytes<double>(n / 128 + 1) + scratch_bytes<double>(n / 4 + 1) +
         pairwise::sweep_bytes<Tile>(pairwise::range_limits<Tile>(x.rows, x.rows, block), true,
                                     false, true);
}

/// *loss = (weight / n) sum_j lse_k x_j.x_k/tau - positives_j/tau; dx = its gradient through the
/// denominators and *slope = their dL/d log tau. dx without data: value only.
template <class Tile, class T, class Products>
Status printed_contrast(const core::MatrixView<const T>& x, const typename Tile::Sum* positives,
                        const FeatureSeparationOptions& o, double* loss, double* slope,
                        const core::MatrixView<Arithmetic<T>>& dx, Scratch scratch,
                        cudaStream_t stream, const Products& products) {
  using Sum = typename Tile::Sum;
  using Finish = pairwise::FinishKernel<Sum>;
  using Along = pairwise::AlongKernel<T>;
  const Index n = x.rows;
  const std::size_t size = std::size_t(n);
  ScratchFrame frame(scratch);
  pairwise::Table<Tile, formula::SoftmaxPair<Sum, true, false>> values;
  Status status = pairwise::make_operand<Tile>(x, frame, stream, &values.x);
  if (!status) return status;
  const double scale = 1 / (o.temperature * 0.693147180559945309417);  // logits in base 2
  const Sum unit = Sum(double(Tile::kWeightScale) / scale);
  values.y = values.x;
  values.policy = {Sum(scale), unit, 0};
  values.rows = frame.take<pairwise::RowPair<Sum>>(size);
  double* const losses = frame.take<double>(size / 128 + 1);
  double* const along = frame.take<double>(size / 4 + 1);
  const pairwise::RangeLimits limits = pairwise::range_limits<Tile>(n, n, o.block);
  status = pairwise::sweep_statistics(values, limits, frame.rest(), stream, products);
  if (!status) return status;
  const double line = o.contrast_weight / double(n);
  const Index blocks = pairwise::ceil_div(n, Finish::kThreads);
  // The positive is no key: its logit is subtracted alone.
  status =
      pairwise::start(Finish{n, positives, Sum(scale), values.rows, nullptr, line, 0, losses, true},
                      blocks, stream);
  if (!status) return status;
  pairwise::ReduceKernel reduce{};
  reduce.sum[0] = {losses, blocks, 1, loss};
  if (!dx.data) return pairwise::start(reduce, 1, stream);
  pairwise::Table<Tile, formula::SoftmaxPair<Sum, true, true>> weights;
  weights.x = weights.y = values.x;
  weights.policy = {Sum(scale), unit, unit};
  weights.rows = weights.cols = values.rows;
  status = pairwise::sweep_gradients(weights, {dx, {}},
                                     Sum(line / o.temperature / double(Tile::kWeightScale)), limits,
                                     frame.rest(), stream, products);
  const Index row_blocks = pairwise::ceil_div(n, Along::kRowsEach);
  if (status) status = pairwise::start(Along{x, dx, along}, row_blocks, stream);
  if (!status) return status;
  reduce.sum[1] = {along, row_blocks, -0.5, slope};
  return pairwise::start(reduce, 2, stream);
}

/// Scratch of the parts, one after the other, wherever the batches lie.
template <class Tile, class T>
std::size_t separation_bytes(Index rows, Index cols, const FeatureSeparationOptions& o) {
  using A = Arithmetic<T>;
  const core::MatrixView<const T> x{nullptr, rows, cols, cols | 1};  // no operand as it lies
  const std::size_t n = std::size_t(x.rows), all = n * std::size_t(x.cols);
  const std::size_t contrast = o.denominator == Denominator::printed
                                   ? printed_bytes<Tile>(x, o.block)
                                   : contrastive_bytes<Tile>(x, x, o.block, true, false, true);
  const std::size_t spread =
      o.uniformity_weight > 0
          ? 2 * scratch_bytes<A>(all) + metrics::detail::uniformity_bytes<Tile>(x, o.block)
          : 0;
  return scratch_bytes<SeparationNumbers>(1) + scratch_bytes<A>(n) +
         2 * scratch_bytes<double>(n / 4 + 1) + (contrast > spread ? contrast : spread);
}

template <class Tile, class T, class Products>
Status separation(const core::MatrixView<const T> (&in)[6], const FeatureSeparationOptions& o,
                  const core::MatrixView<Arithmetic<T>> (&out)[6], bool gradient, double* loss,
                  double* log_temperature, Scratch scratch, cudaStream_t stream,
                  const Products& products) {
  using A = Arithmetic<T>;
  using Rows = SeparationRowsKernel<T>;
  const Index n = in[0].rows, d = in[0].cols, blocks = pairwise::ceil_div(n, Rows::kRowsEach);
  if (const Status held = scratch_status(scratch, separation_bytes<Tile, T>(n, d, o)); !held)
    return held;
  const bool printed = o.denominator == Denominator::printed, contrast = o.contrast_weight > 0;
  ScratchFrame frame(scratch);
  auto* const numbers = frame.take<SeparationNumbers>(1);
  A* const positives = frame.take<A>(std::size_t(n));
  double* const ortho = frame.take<double>(std::size_t(n) / 4 + 1);
  double* const along = frame.take<double>(std::size_t(n) / 4 + 1);
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
    Status status = pairwise::start(rows, blocks, stream);
    pairwise::ReduceKernel reduce{};
    reduce.sum[0] = {ortho, blocks, o.ortho_weight / double(n), &numbers->ortho[s]};
    reduce.sum[1] = {along, blocks, line, &numbers->positives[s]};
    if (status) status = pairwise::start(reduce, 2, stream);
    if (status && contrast && printed)
      status =
          printed_contrast<Tile>(in[s + 2], positives, o, &numbers->contrast[s], &numbers->slope[s],
                                 gradient ? out[s + 2] : none, frame.rest(), stream, products);
    else if (status && contrast)
      status = losses::detail::contrastive<Tile, true, false>(
          in[s + 2], in[s + 4], {o.temperature, o.contrast_weight / double(n), 0}, o.block,
          ContrastiveGradient<T>{&numbers->contrast[s], gradient ? out[s + 2] : none,
                                 gradient ? out[s + 4] : none, &numbers->slope[s]},
          frame.rest(), stream, products);
    if (!status) return status;
    if (!gradient) continue;
    rows.positives = nullptr;
    rows.dx = out[s], rows.down = out[s + 2], rows.daugmented = out[s + 4];
    status = pairwise::start(rows, blocks, stream);
    if (!status) return status;
  }
  const bool spread = o.uniformity_weight > 0 && n > 1;
  A* du[2] = {nullptr, nullptr};
  if (spread && gradient)
    for (A*& to : du) to = frame.take<A>(std::size_t(n * d));
  for (int s = 0; spread && s < 2; ++s) {
    const core::MatrixView<A> to =
        gradient ? core::MatrixView<A>{du[s], n, d, d} : core::MatrixView<A>{};
    const Status status = metrics::detail::uniformity_checked(
        in[s + 2], {2, o.precision, o.block},
        metrics::UniformityGradient<T>{&numbers->uniformity[s], to}, frame.rest(), stream,
        products);
    if (!status) return status;
  }
  Status status =
      pairwise::start(SeparationJoinKernel{numbers, o.contrast_weight, o.uniformity_weight,
                                           double(n) - 1, o.uniformity == UniformityReading::joint,
                                           printed, loss, gradient ? log_temperature : nullptr},
                      1, stream);
  using Add = AddScaledKernel<A>;
  for (int s = 0; spread && gradient && s < 2 && status; ++s)
    status = pairwise::start(Add{out[s + 2], du[s], &numbers->factor[s]},
                             pairwise::ceil_div(n * d, Add::kThreads), stream);
  return status;
}

template <class T, class Products>
Status separation_checked(const core::MatrixView<const T> (&in)[6],
                          const FeatureSeparationOptions& o, const FeatureSeparationGradient<T>& to,
                          bool gradient, Scratch scratch, cudaStream_t stream,
                          const Products& products) {
  const core::MatrixView<Arithmetic<T>> out[6] = {
      to.x, to.y, to.x_independent, to.y_independent, to.x_augmented, to.y_augmented};
  if (const char* wrong = batches_error(in, gradient, out, to.loss)) return invalid(wrong);
  if (const char* wrong = place_error(in[0], in[0], o.temperature, to.loss, {}, out[0]))
    return invalid(wrong);
  if (const char* wrong = weights_error(o.ortho_weight, o.contrast_weight)) return invalid(wrong);
  if (const char* wrong = weights_error(o.uniformity_weight, 0)) return invalid(wrong);
  return pairwise::with_tile<T, Products>(o.precision, [&]<class Tile>() {
    return separation<Tile>(in, o, out, gradient, to.loss, to.log_temperature, scratch, stream,
                            products);
  });
}

}  // namespace detail

/// Scratch of both functions in bytes, for batches of x's shape wherever they lie.
template <class T, class Products = pairwise::KernelProducts>
std::size_t feature_separation_bytes(core::MatrixView<const T> x,
                                     const FeatureSeparationOptions& asked = {},
                                     const Products& products = {}) {
  const FeatureSeparationOptions options = pairwise::with_block<T>(asked, products);
  return pairwise::with_tile<T, Products>(options.precision, [&]<class Tile>() {
    return detail::separation_bytes<Tile, T>(x.rows, x.cols, options);
  });
}

/// *loss (device memory).
template <class T>
Status feature_separation(core::MatrixView<const T> x, core::MatrixView<const T> y,
                          core::MatrixView<const T> x_independent,
                          core::MatrixView<const T> y_independent,
                          core::MatrixView<const T> x_augmented,
                          core::MatrixView<const T> y_augmented,
                          const FeatureSeparationOptions& options, double* loss, Scratch scratch,
                          cudaStream_t stream = nullptr) {
  return detail::separation_checked<T>(
      {x, y, x_independent, y_independent, x_augmented, y_augmented}, options,
      {loss, {}, {}, {}, {}, {}, {}, nullptr}, false, scratch, stream, pairwise::KernelProducts{});
}

/// Loss, gradients and dL/d log tau, all overwritten. `products`: how the products of the sweeps are
/// done (pairwise/cublaslt.cuh has the other way).
template <class T, class Products = pairwise::KernelProducts>
Status feature_separation_with_gradient(
    core::MatrixView<const T> x, core::MatrixView<const T> y,
    core::MatrixView<const T> x_independent, core::MatrixView<const T> y_independent,
    core::MatrixView<const T> x_augmented, core::MatrixView<const T> y_augmented,
    const FeatureSeparationOptions& asked, const FeatureSeparationGradient<T>& out, Scratch scratch,
    cudaStream_t stream = nullptr, const Products& products = {}) {
  const FeatureSeparationOptions options = pairwise::with_block<T>(asked, products);
  return detail::separation_checked<T>(
      {x, y, x_independent, y_independent, x_augmented, y_augmented}, options, out, true, scratch,
      stream, products);
}

}  // namespace spheremix::gpu::losses
