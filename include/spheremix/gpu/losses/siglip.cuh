// siglip on the device: formula, gradient and options in formula/siglip.hpp. One sweep.
//
// Shapes   X, Y: N x D, float, double, Half or Bfloat16.
// Cost     6 N^2 D flops.
// Memory   the operands (as clip.cuh), 2 N bytes and at most 33 MiB.
// Errors   as in clip.cuh, and a bias that is not finite.
#pragma once

#include "spheremix/formula/logistic.hpp"
#include "spheremix/formula/siglip.hpp"
#include "spheremix/gpu/losses/detail/pair_results.cuh"
#include "spheremix/gpu/pairwise/one_sweep.cuh"
#include "spheremix/gpu/pairwise/operand.cuh"
#include "spheremix/gpu/pairwise/precision.cuh"
#include "spheremix/gpu/ranks/alone.cuh"

namespace spheremix::gpu::losses {

using spheremix::losses::SiglipOptions;

/// In device memory; gradients f32 (f64 for double rows); any number but the loss may be null.
template <class T>
using SiglipGradient = spheremix::losses::SiglipGradient<Places<T>>;

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

/// Logits in base 2. value in units of ln 2, gradient = weight * dsoftplus: of pairs i != j; positives
/// apart.
template <class T>
struct SiglipPair {
  static constexpr bool kLineSums = false, kLongPairs = true;
  formula::SiglipPair<T> question;
  T reciprocal_weight;  ///< a power of two

  /// softplus(u) and weight * sigmoid(u).
  __device__ __forceinline__ pairwise::PairTerm<T> softplus(T u) const {
    const T e = pairwise::pair_exp2(-std::abs(u));
    pairwise::PairTerm<T> term;
    formula::logistic(u, e, log2p1_unit(e),
                      fast_reciprocal(e * reciprocal_weight + reciprocal_weight), term.value,
                      term.gradient);
    return term;
  }
  __device__ __forceinline__ pairwise::PairTerm<T> pair(T s, pairwise::Nothing,
                                                        pairwise::Nothing) const {
    return softplus(question.logit(s));
  }
  /// NaN for a cosine that is not finite: its row holds an infinity.
  __device__ __forceinline__ pairwise::PairTerm<T> positive(T s) const {
    const pairwise::PairTerm<T> term = softplus(-question.logit(s) + (s - s));
    return {term.value, -term.gradient};
  }
};

/// x and y: of this rank (ranks/alone.cuh), as are the gradients.
template <class Tile, class T, class Products, class Ranks = Alone>
void siglip(Work& work, const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
            const SiglipOptions& options, Index block, const SiglipGradient<T>& out,
            const Products& how, const Ranks& ranks = {}) {
  using Sum = typename Tile::Sum;
  using Along = pairwise::AlongKernel<T>;
  constexpr Index kEdge = Tile::kEdge;
  const bool gradient = ranks.gradient(out.x.data);
  const Index total = ranks.total(x.rows);
  const double n = double(total), log2e = 1.4426950408889634074;
  const auto operands = ranks.template operands<Tile>(work, x, y);
  const auto a = operands.x, b = operands.y;
  const pairwise::RangeLimits limits = pairwise::range_limits<Tile>(x.rows, total, block);
  const Index tiles = pairwise::range_tiles<Tile>(limits), stride = limits.weights_cols,
              row_blocks = pairwise::ceil_div(x.rows, Along::kRowsEach);
  double* const values = work.take<double>(tiles);
  double* const gradients = work.take<double>(tiles);
  double* const along = work.take<double>(row_blocks);
  auto* const weights = work.take<typename Tile::Weight>(limits.weights_rows * stride);
  const SiglipPair<Sum> policy{formula::SiglipPair<Sum>::of(options, log2e),
                               1 / Tile::kWeightScale};
  const Sum alpha = Sum(1 / (n * options.temperature * double(Tile::kWeightScale)));

  const core::MatrixView<Sum> dy = gradient ? ranks.parts(work, out.y) : out.y;
  pairwise::for_ranges(
      x.rows, 0, total, limits.weights_rows, limits.weights_cols, [&](const pairwise::Range& r) {
        pairwise::OneSweepKernel<Tile, SiglipPair<Sum>> kernel{};
        pairwise::operands<Tile>(work, a, b, 0, r, weights, stride, how, &kernel.x, &kernel.y);
        kernel.range = r;
        kernel.policy = policy;
        kernel.excluded = pairwise::set_apart(formula::Diagonal(ranks.first()));
        kernel.positive = ranks.first();
        kernel.weights = gradient ? weights : nullptr;
        kernel.stride = stride;
        kernel.values = values;
        kernel.gradients = gradients;
        kernel.first = r.i0 == 0 && r.j0 == 0;
        pairwise::start(work, kernel,
                        pairwise::ceil_div(r.rows, kEdge) * pairwise::ceil_div(r.cols, kEdge));
        if (!gradient) return;
        const pairwise::ProductSide<Tile> to_x{
            weights, stride,  false, b.middle_rows(r.j0, r.cols), out.x.middle_rows(r.i0, r.rows),
            alpha,   r.j0 > 0};
        const pairwise::ProductSide<Tile> to_y{
            weights, stride,  true, a.middle_rows(r.i0, r.rows), dy.middle_rows(r.j0, r.cols),
            alpha,   r.i0 > 0};
        pairwise::multiply(work, how, to_x, to_y);
      });
  if (gradient) ranks.add_parts(work, dy, out.y, false);
  pairwise::ReduceKernel reduce{};
  Index sums = 0;
  reduce.sum[sums++] = {values, tiles, 1 / (n * log2e), out.loss};
  if (gradient && out.bias)
    reduce.sum[sums++] = {gradients, tiles, 1 / (n * double(Tile::kWeightScale)), out.bias};
  if (gradient && out.log_temperature) {
    pairwise::start(work, Along{x, out.x, along}, row_blocks);
    reduce.sum[sums++] = {along, row_blocks, -1, out.log_temperature};
  }
  ranks.sums(work, reduce, sums);
}

template <class T, class Products>
Status siglip_checked(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                      const SiglipOptions& options, const SiglipGradient<T>& out, Scratch scratch,
                      cudaStream_t stream, const Products& how) {
  if (const char* wrong = target_error(options)) return invalid(wrong);
  if (const char* wrong = pair_error(x, y)) return invalid(wrong);
  if (const char* wrong = place_error(x, y, options.temperature, out.loss, out.x, out.y))
    return invalid(wrong);
  if (!(options.bias - options.bias == 0)) return invalid("the bias is not finite");
  return pairwise::enqueue_tiles<T>(how, scratch, stream, [&]<class Tile>(Work& work, Index block) {
    siglip<Tile>(work, x, y, options, block, out, how);
  });
}

}  // namespace detail

/// *loss (device memory).
template <class T, class Products = pairwise::KernelProducts>
Status siglip(core::MatrixView<const T> x, core::MatrixView<const T> y,
              const SiglipOptions& options, double* loss, Scratch scratch,
              cudaStream_t stream = nullptr, const Products& how = {}) {
  return detail::siglip_checked(x, y, options, SiglipGradient<T>{loss, {}, {}, nullptr, nullptr},
                                scratch, stream, how);
}

/// Loss and gradients, all overwritten.
template <class T, class Products = pairwise::KernelProducts>
Status siglip_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                            const SiglipOptions& options, const SiglipGradient<T>& out,
                            Scratch scratch, cudaStream_t stream = nullptr,
                            const Products& how = {}) {
  if (!detail::has_places(out)) return invalid(detail::kNoPlaces);
  return detail::siglip_checked(x, y, options, out, scratch, stream, how);
}

}  // namespace spheremix::gpu::losses
