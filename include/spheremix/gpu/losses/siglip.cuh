// SigLIP on the device: every pair of rows a binary decision, one sweep.
//
//   loss = (1 / N) sum_ij softplus(-z_ij (s_ij / tau + bias)),   z_ii = 1, else z_ij = -1    (nats)
//   dL/ds_ij = -z_ij sigmoid(-z_ij (s_ij / tau + bias)) / (N tau),  dX = G Y,  dY = G^T X
//   dL/d log tau = -sum_i x_i . dX_i,   dL/d bias = tau sum_ij dL/ds_ij
//
// Shapes   X, Y: N x D, float, double, Half or Bfloat16.
// Cost     6 N^2 D flops.
// Memory   the operands (as clip.cuh), 2 N bytes and at most 33 MiB.
// Errors   as in clip.cuh, and a bias that is not finite.
// [Zhai et al. 2023, arXiv 2303.15343]
#pragma once

#include "spheremix/gpu/losses/contrastive.cuh"
#include "spheremix/gpu/pairwise/one_sweep.cuh"

namespace spheremix::gpu::losses {

struct SiglipOptions {
  double temperature = 0.1;
  double bias = -10;
  Precision precision = Precision::fast;
  Index block = 0;  ///< edge of the ranges kept at a time; 0: chosen
};

/// Results in device memory, f32 gradients (f64 for double rows).
template <class T>
struct SiglipGradient {
  double* loss = nullptr;
  core::MatrixView<Arithmetic<T>> x, y;
  double* log_temperature = nullptr;  ///< may be null, as bias
  double* bias = nullptr;
};

namespace detail {

/// log2(1 + e) for e in [0, 1], every digit of a small e kept: e times a polynomial, off by at most
/// 2.0e-7 of itself before rounding (minimax, by Remez' exchange in 40 digits).
__device__ __forceinline__ float log2p1_unit(float e) {
  float p = -0.01231952581f;
  p = p * e + 0.06360806863f;
  p = p * e - 0.1553521078f;
  p = p * e + 0.2560098796f;
  p = p * e - 0.353394891f;
  p = p * e + 0.4800637115f;
  p = p * e - 0.72131009f;
  p = p * e + 1.442694761f;
  return e * p;
}
__device__ __forceinline__ double log2p1_unit(double e) {
  return 1.4426950408889634074 * std::log1p(e);
}

/// Logits in base 2: u = log2(e) (s / tau + bias). value in units of ln 2,
/// gradient = weight * dsoftplus: of pairs i != j; positives apart.
template <class T>
struct SiglipPair {
  static constexpr bool kLineSums = false, kLongPairs = true;
  T scale, bias;        ///< base 2
  T reciprocal_weight;  ///< a power of two

  /// softplus(u) and weight * sigmoid(u).
  __device__ __forceinline__ pairwise::PairTerm<T> softplus(T u) const {
    const T e = pairwise::pair_exp2(-std::abs(u));
    const T r = fast_reciprocal(e * reciprocal_weight + reciprocal_weight);
    return {log2p1_unit(e) + pairwise::greater(u, T(0)), (u < 0 ? e : T(1)) * r};
  }
  __device__ __forceinline__ pairwise::PairTerm<T> pair(T s, pairwise::Nothing,
                                                        pairwise::Nothing) const {
    return softplus(scale * s + bias);
  }
  /// NaN for a cosine that is not finite: its row holds an infinity.
  __device__ __forceinline__ pairwise::PairTerm<T> positive(T s) const {
    const pairwise::PairTerm<T> term = softplus(-(scale * s + bias) + (s - s));
    return {term.value, -term.gradient};
  }
};

template <class Tile, class T>
std::size_t siglip_bytes(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                         Index block) {
  const pairwise::RangeLimits limits = pairwise::range_limits<Tile>(x.rows, y.rows, block);
  return pairwise::operand_bytes<Tile>(x) + pairwise::operand_bytes<Tile>(y) +
         2 * scratch_bytes<double>(std::size_t(pairwise::range_tiles<Tile>(limits))) +
         scratch_bytes<double>(std::size_t(x.rows) / 4 + 1) +
         scratch_bytes<typename Tile::Weight>(
             std::size_t(limits.weights_rows * limits.weights_cols));
}

template <class Tile, class T, class Products>
Status siglip(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
              const SiglipOptions& options, const SiglipGradient<T>& out, Scratch scratch,
              cudaStream_t stream, const Products& products) {
  using Sum = typename Tile::Sum;
  constexpr Index kEdge = Tile::kEdge;
  if (const Status held = scratch_status(scratch, siglip_bytes<Tile>(x, y, options.block)); !held)
    return held;
  const bool gradient = out.x.data != nullptr;
  const double n = double(x.rows), log2e = 1.4426950408889634074;
  ScratchFrame frame(scratch);
  core::MatrixView<const typename Tile::Input> a, b;
  Status status = pairwise::make_operand<Tile>(x, frame, stream, &a);
  if (status) status = pairwise::make_operand<Tile>(y, frame, stream, &b);
  if (!status) return status;
  const pairwise::RangeLimits limits = pairwise::range_limits<Tile>(x.rows, y.rows, options.block);
  const Index tiles = pairwise::range_tiles<Tile>(limits);
  double* const values = frame.take<double>(std::size_t(tiles));
  double* const gradients = frame.take<double>(std::size_t(tiles));
  double* const along = frame.take<double>(std::size_t(x.rows) / 4 + 1);
  const Index stride = limits.weights_cols;
  auto* const weights =
      frame.take<typename Tile::Weight>(std::size_t(limits.weights_rows * stride));
  const SiglipPair<Sum> policy{Sum(log2e / options.temperature), Sum(log2e * options.bias),
                               1 / Tile::kWeightScale};
  const Sum alpha = Sum(1 / (n * options.temperature * double(Tile::kWeightScale)));

  status = pairwise::for_ranges(
      x.rows, 0, y.rows, limits.weights_rows, limits.weights_cols,
      [&](const pairwise::Range& r) -> Status {
        pairwise::OneSweepKernel<Tile, SiglipPair<Sum>> kernel{};
        const Status formed = pairwise::operands<Tile>(a, b, 0, r, weights, stride, products,
                                                       stream, &kernel.x, &kernel.y);
        if (!formed) return formed;
        kernel.range = r;
        kernel.policy = policy;
        kernel.excluded = {{0, 0, 0}, 1};
        kernel.weights = gradient ? weights : nullptr;
        kernel.stride = stride;
        kernel.values = values;
        kernel.gradients = gradients;
        kernel.first = r.i0 == 0 && r.j0 == 0;
        const Status started = pairwise::start(
            kernel, pairwise::ceil_div(r.rows, kEdge) * pairwise::ceil_div(r.cols, kEdge), stream);
        if (!started || !gradient) return started;
        const pairwise::ProductSide<Tile> to_x{
            weights, stride,  false, b.middle_rows(r.j0, r.cols), out.x.middle_rows(r.i0, r.rows),
            alpha,   r.j0 > 0};
        const pairwise::ProductSide<Tile> to_y{
            weights, stride,  true, a.middle_rows(r.i0, r.rows), out.y.middle_rows(r.j0, r.cols),
            alpha,   r.i0 > 0};
        return products(to_x, to_y, stream);
      });
  if (!status) return status;
  pairwise::ReduceKernel reduce{};
  Index sums = 0;
  reduce.sum[sums++] = {values, tiles, 1 / (n * log2e), out.loss};
  if (gradient && out.bias)
    reduce.sum[sums++] = {gradients, tiles, 1 / (n * double(Tile::kWeightScale)), out.bias};
  if (gradient && out.log_temperature) {
    using Kernel = pairwise::AlongKernel<T>;
    const Index blocks = pairwise::ceil_div(x.rows, Kernel::kRowsEach);
    status = pairwise::start(Kernel{x, out.x, along}, blocks, stream);
    if (!status) return status;
    reduce.sum[sums++] = {along, blocks, -1, out.log_temperature};
  }
  return pairwise::start(reduce, sums, stream);
}

template <class T, class Products>
Status siglip_checked(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                      const SiglipOptions& options, const SiglipGradient<T>& out, Scratch scratch,
                      cudaStream_t stream, const Products& products) {
  if (const char* wrong = pair_error(x, y)) return invalid(wrong);
  if (const char* wrong = place_error(x, y, options.temperature, out.loss, out.x, out.y))
    return invalid(wrong);
  if (!(options.bias - options.bias == 0)) return invalid("the bias is not finite");
  return pairwise::with_tile<T, Products>(options.precision, [&]<class Tile>() {
    return siglip<Tile>(x, y, options, out, scratch, stream, products);
  });
}

}  // namespace detail

/// Scratch of siglip and siglip_with_gradient in bytes, for these very views.
template <class T, class Products = pairwise::KernelProducts>
std::size_t siglip_bytes(core::MatrixView<const T> x, core::MatrixView<const T> y,
                         const SiglipOptions& asked = {}, const Products& products = {}) {
  const SiglipOptions options = pairwise::with_block<T>(asked, products);
  return pairwise::with_tile<T, Products>(options.precision, [&]<class Tile>() {
    return detail::siglip_bytes<Tile>(x, y, options.block);
  });
}

/// *loss (device memory).
template <class T>
Status siglip(core::MatrixView<const T> x, core::MatrixView<const T> y,
              const SiglipOptions& options, double* loss, Scratch scratch,
              cudaStream_t stream = nullptr) {
  return detail::siglip_checked(x, y, options, SiglipGradient<T>{loss, {}, {}, nullptr, nullptr},
                                scratch, stream, pairwise::KernelProducts{});
}

/// Loss and gradients, all overwritten.
template <class T, class Products = pairwise::KernelProducts>
Status siglip_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                            const SiglipOptions& asked, const SiglipGradient<T>& out,
                            Scratch scratch, cudaStream_t stream = nullptr,
                            const Products& products = {}) {
  const SiglipOptions options = pairwise::with_block<T>(asked, products);
  if (!out.x.data || !out.y.data) return invalid("no place for the gradients");
  return detail::siglip_checked(x, y, options, out, scratch, stream, products);
}

}  // namespace spheremix::gpu::losses
