// HCL on the device, contrast with hard negatives: negatives are weighted by e^(beta s / tau), and
// the share of false ones, tau_plus, is taken off.
//
//   Z = [X; Y], anchor i with positive a = z_i.z_p(i)/tau and the M = 2 N - 2 other logits b_j:
//   R = M sum_j e^((1 + beta) b_j) / sum_j e^(beta b_j)
//   V = max( (R - tau_plus M e^a) / (1 - tau_plus),  M e^(-1/tau) )
//   L = (1/2N) sum_i log(1 + V_i e^-a_i)                                              (nats)
//
// Gradient, with k_i the pull of formula/hard_negative.hpp and p, q the two softmaxes:
//   dL/db_ij = k_i ((1 + beta) p_ij - beta q_ij) / 2N,   dL/da_i = -(k_i, or V / (V + e^a)) / 2N
// log2 k_i is folded into the two log-sum-exps that the weights are formed with. k_i is unbounded
// just above the false negatives' share, so G's power of two is chosen on the device.
//
// Cost     32 N^2 D flops (24 for beta = 0): two statistics, one sweep of weights and products.
// Memory   the stacked operand (4 N D bytes; 8 or 16 N D in f32 or f64), 53 N bytes and at most
//          33 MiB.
// Errors   as in clip.cuh, beta < 0, tau_plus outside [0, 1). L = 0 for N = 1.
// [Robinson et al. 2021, arXiv 2010.04592, equation 4; tau_plus: Chuang et al. 2020, arXiv
// 2007.00224]
#pragma once

#include "spheremix/gpu/losses/hard_negative_anchors.cuh"
#include "spheremix/gpu/losses/stacked.cuh"

namespace spheremix::gpu::losses {

struct HardNegativeOptions {
  double temperature = 0.5;
  double beta = 1;        ///< concentration on hard negatives
  double tau_plus = 0.1;  ///< probability of a false negative
  Precision precision = Precision::fast;
  Index block = 0;  ///< edge of the ranges kept at a time; 0: chosen
};

namespace detail {

template <class Tile, class T>
std::size_t hard_negative_bytes(const core::MatrixView<const T>& x, Index block) {
  using Sum = typename Tile::Sum;
  const std::size_t n = std::size_t(x.rows);
  return pairwise::operand_bytes<Tile>(2 * x.rows, x.cols) +
         2 * scratch_bytes<pairwise::RowPair<Sum>>(2 * n) + 2 * scratch_bytes<Sum>(2 * n) +
         scratch_bytes<Sum>(2) + 2 * scratch_bytes<double>(n / 64 + 1) +
         scratch_bytes<double>(n / 2 + 2) +
         pairwise::sweep_bytes<Tile>(pairwise::range_limits<Tile>(x.rows, 2 * x.rows, block), true,
                                     false, true);
}

template <class Tile, class T, class Products>
Status hard_negative(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                     const HardNegativeOptions& options, const ContrastiveGradient<T>& out,
                     Scratch scratch, cudaStream_t stream, const Products& products) {
  using Sum = typename Tile::Sum;
  using Operand = typename Tile::Input;
  using Pair = pairwise::RowPair<Sum>;
  if (const Status held = scratch_status(scratch, hard_negative_bytes<Tile>(x, options.block));
      !held)
    return held;
  const Index n = x.rows, cols = pairwise::round_up(x.cols, Tile::kAlign);
  const std::size_t size = std::size_t(n);
  ScratchFrame frame(scratch);
  const core::MatrixView<Operand> z{frame.take<Operand>(2 * size * std::size_t(cols)), 2 * n, cols,
                                    cols};
  Pair* const hard = frame.take<Pair>(2 * size);
  Pair* const soft = frame.take<Pair>(2 * size);
  Sum* const positives = frame.take<Sum>(2 * size);
  Sum* const bound = frame.take<Sum>(2 * size);
  Sum* const unit = frame.take<Sum>(2);
  double* const losses = frame.take<double>(size / 64 + 1);
  double* const floors = frame.take<double>(size / 64 + 1);
  double* const along = frame.take<double>(size / 2 + 2);
  Status status = stack(x, y, z, stream);

  const double base2 = 1 / (options.temperature * 0.693147180559945309417);
  const Sum hard_scale = Sum((1 + options.beta) * base2), soft_scale = Sum(options.beta * base2);
  const bool weighted = options.beta > 0;
  const pairwise::RangeLimits limits = pairwise::range_limits<Tile>(n, 2 * n, options.block);
  const pairwise::Excluded excluded{{0, n, 0}, 2};
  for (int side = 0; side < 2; ++side)
    for (int which = 0; which < (weighted ? 2 : 1) && status; ++which) {
      pairwise::Table<Tile, formula::SoftmaxPair<Sum, true, false>> t;
      t.x = z.middle_rows(side * n, n);
      t.y = z;
      t.policy = {which == 0 ? hard_scale : soft_scale, 0, 0};
      t.excluded = excluded;
      t.positive = side == 0 ? n : 0;
      t.positives = which == 0 ? positives + side * n : nullptr;
      t.rows = (which == 0 ? hard : soft) + side * n;
      status = pairwise::sweep_statistics(t, limits, frame.rest(), stream, products);
    }
  using Finish = HardNegativeFinishKernel<Sum>;
  const Index loss_blocks = pairwise::ceil_div(2 * n, Finish::kThreads);
  if (status)
    status = pairwise::start(
        Finish{2 * n, positives, options.temperature, options.beta, options.tau_plus, hard,
               weighted ? soft : nullptr, bound, losses, floors},
        loss_blocks, stream);
  if (!status) return status;
  pairwise::ReduceKernel reduce{};
  reduce.sum[0] = {losses, loss_blocks, 1, out.loss};
  if (!out.x.data) return pairwise::start(reduce, 1, stream);

  status = pairwise::start(HardNegativeUnitKernel<Sum>{bound, 2 * n, Tile::kWeightScale, unit}, 1,
                           stream);
  const double slope = 0.5 / double(n) / options.temperature;
  for (int side = 0; side < 2 && status; ++side) {
    pairwise::Table<Tile, HardNegativePair<Sum>> t;
    t.x = z.middle_rows(side * n, n);
    t.y = z;
    t.policy = {hard_scale,
                soft_scale,
                Sum(1 + options.beta),
                Sum(options.beta),
                weighted ? soft + side * n : nullptr,
                soft,
                unit};
    t.excluded = excluded;
    t.rows = hard + side * n;
    t.cols = hard;
    status = pairwise::sweep_gradients(t, {side == 0 ? out.x : out.y, {}},
                                       Sum(slope / double(Tile::kWeightScale)), limits,
                                       frame.rest(), stream, products);
  }
  using Positives = pairwise::PositivesKernel<T>;
  using Along = pairwise::AlongKernel<T>;
  const Index blocks = pairwise::ceil_div(n, Positives::kRowsEach);
  if (status)
    status = pairwise::start(
        Positives{x, y, hard, hard + n, slope, slope, out.x, out.y, along, unit + 1}, blocks,
        stream);
  if (status) status = pairwise::start(Along{y, out.y, along + blocks}, blocks, stream);
  if (!status) return status;
  if (!out.log_temperature) return pairwise::start(reduce, 1, stream);
  reduce.sum[1] = {along, 2 * blocks, -0.5, out.log_temperature};
  status = pairwise::start(reduce, 2, stream);
  if (!status) return status;
  reduce.sum[0] = {floors, loss_blocks, 1, out.log_temperature, true};
  return pairwise::start(reduce, 1, stream);
}

template <class T, class Products>
Status hard_negative_checked(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                             const HardNegativeOptions& options, const ContrastiveGradient<T>& out,
                             Scratch scratch, cudaStream_t stream, const Products& products) {
  if (const char* wrong = pair_error(x, y)) return invalid(wrong);
  if (const char* wrong = place_error(x, y, options.temperature, out.loss, out.x, out.y))
    return invalid(wrong);
  if (!(options.beta >= 0) || !(options.beta <= core::largest<double>))
    return invalid("beta is not a finite number >= 0");
  if (!(options.tau_plus >= 0 && options.tau_plus < 1))
    return invalid("tau_plus lies outside [0, 1)");
  return pairwise::with_tile<T, Products>(options.precision, [&]<class Tile>() {
    return hard_negative<Tile>(x, y, options, out, scratch, stream, products);
  });
}

}  // namespace detail

/// Scratch of hard_negative and hard_negative_with_gradient in bytes, for these very views.
template <class T, class Products = pairwise::KernelProducts>
std::size_t hard_negative_bytes(core::MatrixView<const T> x, core::MatrixView<const T>,
                                const HardNegativeOptions& asked = {},
                                const Products& products = {}) {
  const HardNegativeOptions options = pairwise::with_block<T>(asked, products);
  return pairwise::with_tile<T, Products>(options.precision, [&]<class Tile>() {
    return detail::hard_negative_bytes<Tile>(x, options.block);
  });
}

/// *loss (device memory).
template <class T>
Status hard_negative(core::MatrixView<const T> x, core::MatrixView<const T> y,
                     const HardNegativeOptions& options, double* loss, Scratch scratch,
                     cudaStream_t stream = nullptr) {
  return detail::hard_negative_checked(x, y, options, ContrastiveGradient<T>{loss, {}, {}, nullptr},
                                       scratch, stream, pairwise::KernelProducts{});
}

/// Loss, gradients and dL/d log tau, all overwritten. out.log_temperature may be null.
template <class T, class Products = pairwise::KernelProducts>
Status hard_negative_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                                   const HardNegativeOptions& asked,
                                   const ContrastiveGradient<T>& out, Scratch scratch,
                                   cudaStream_t stream = nullptr, const Products& products = {}) {
  const HardNegativeOptions options = pairwise::with_block<T>(asked, products);
  if (!out.x.data || !out.y.data) return invalid("no place for the gradients");
  return detail::hard_negative_checked(x, y, options, out, scratch, stream, products);
}

}  // namespace spheremix::gpu::losses
