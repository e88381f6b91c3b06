// NT-Xent and DCL on the device: anchors and keys are the 2 N rows Z = [X; Y], row i's positive is
// its other view.
//
// Two tables against the keys Z: anchors X (pairs j - i = 0 and N left out: itself and its
// positive) and anchors Y (the same two differences). Z Z^T is symmetric, so G + G^T has weights
// p_ij + p_ji and one product gives all of dZ:
//
//   dX = (P + P^T) Z over X's rows, and the positives in f32
//   dL/d log tau = -(1/2) sum_i z_i . dZ_i
//
// Cost     24 N^2 D flops.
// Memory   the stacked operand (4 N D bytes; 8 or 16 N D in f32 or f64), 28 N bytes and at most
//          33 MiB.
#pragma once

#include "spheremix/formula/decoupled_contrastive.hpp"
#include "spheremix/gpu/losses/detail/contrastive.cuh"

namespace spheremix::gpu::losses::detail {

/// Z = [X; Y] as an operand of the tiles.
template <class Tile, class T>
core::MatrixView<const typename Tile::Input> stack(Work& work, const core::MatrixView<const T>& x,
                                                   const core::MatrixView<const T>& y) {
  const auto z = pairwise::take_operand<Tile>(work, x.rows + y.rows, x.cols);
  pairwise::copy_rows(work, x, z.middle_rows(0, x.rows));
  pairwise::copy_rows(work, y, z.middle_rows(x.rows, y.rows));
  return z;
}

struct StackedCall {
  double temperature;
  bool decoupled;
  double sigma = 0;  ///< > 0: positives weigh 2 - N softmax(x_i.y_i / sigma)
};

/// DCL's weights (formula/decoupled_contrastive.hpp). q is the softmax of c / sigma, m = sum q c:
///
///   (1/N tau) sum (1 - w_i) c_i = (m - mean c) / tau   is added to the loss,
///   N tau dL/dc_i                                      goes to rows[i].b and rows[N + i].b,
///   sum q_i (c_i - m)^2 / (sigma tau)                  is what dL/d log tau lacks:
///                                                      -sum c_i dL/dc_i holds it, tau does not.
/// One block.
template <class T>
struct DclWeightsKernel {
  static constexpr unsigned kThreads = 512, kResident = 2, kWarps = kThreads / kWarp;
  static constexpr std::size_t kShared = 5 * kWarps * sizeof(double);

  Index n;
  const T* cosines;
  double temperature, sigma;
  pairwise::RowPair<T>* rows;  ///< 2 N of them
  double* loss;                ///< what is added to the loss
  double* along;               ///< added to sum z . dZ, nullptr without gradients

  __device__ void operator()() const {
    double* const shared = reinterpret_cast<double*>(shared_memory());
    double top = -core::infinity<double>;
    for (Index i = threadIdx.x; i < n; i += kThreads)
      top = pairwise::larger(top, double(cosines[i]));
    top = pairwise::block_max<kThreads>(top, shared);
    double sums[3] = {0, 0, 0};  // of e, e (c - top) and c - top
    for (Index i = threadIdx.x; i < n; i += kThreads) {
      const double c = double(cosines[i]) - top, e = std::exp(c / sigma);
      sums[0] += e;
      sums[1] += e * c;
      sums[2] += c;
    }
    pairwise::block_sums<kThreads>(sums, 3, shared + kWarps);
    const formula::DclWeights weights{double(n), sigma, sums[0], sums[1]};
    const double mean = weights.mean();
    double spread[1] = {0};
    for (Index i = threadIdx.x; i < n; i += kThreads) {
      const double c = double(cosines[i]) - top, q = weights.share(std::exp(c / sigma));
      rows[i].b = rows[n + i].b = T(weights.slope(q, c - mean));
      spread[0] += q * (c - mean) * (c - mean);
    }
    pairwise::block_sums<kThreads>(spread, 1, shared + 4 * kWarps);
    if (threadIdx.x > 0) return;
    *loss = (mean - sums[2] / double(n)) / temperature;
    if (along) *along = -2 * spread[0] / sigma / temperature;
  }
};

template <class Tile, class T, class Products>
void stacked(Work& work, const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
             const StackedCall& call, Index block, const ContrastiveGradient<T>& out,
             const Products& how) {
  using Sum = typename Tile::Sum;
  using Finish = pairwise::FinishKernel<Sum>;
  using Positives = pairwise::PositivesKernel<T>;
  using Along = pairwise::AlongKernel<T>;
  const Index n = x.rows, loss_blocks = pairwise::ceil_div(2 * n, Finish::kThreads),
              blocks = pairwise::ceil_div(n, Positives::kRowsEach);
  const bool weighted = call.sigma > 0;
  const auto z = stack<Tile>(work, x, y);
  auto* const statistics = work.take<pairwise::RowPair<Sum>>(2 * n);
  Sum* const positives = work.take<Sum>(2 * n);
  double* const losses = work.take<double>(loss_blocks + weighted);
  double* const along = work.take<double>(2 * blocks + weighted);

  const double scale = 1 / (call.temperature * 0.693147180559945309417), each = 0.5 / double(n);
  const Sum unit = Sum(double(Tile::kWeightScale) / scale);
  const pairwise::RangeLimits limits = pairwise::range_limits<Tile>(n, 2 * n, block);
  const formula::OtherView views(n);
  for (int side = 0; side < 2; ++side) {
    pairwise::Table<Tile, formula::SoftmaxPair<Sum, true, false>> t;
    t.x = z.middle_rows(side * n, n);
    t.y = z;
    t.policy = {Sum(scale), unit, 0};
    t.excluded = pairwise::set_apart(views, side * n);
    t.positive = views.column(side * n, 0);
    t.positives = positives + side * n;
    t.rows = statistics + side * n;
    pairwise::sweep_statistics(work, t, limits, how);
  }
  pairwise::start(
      work,
      Finish{2 * n, positives, Sum(scale), statistics, nullptr, each, 0, losses, call.decoupled},
      loss_blocks);
  if (weighted)
    pairwise::start(
        work,
        DclWeightsKernel<Sum>{n, positives, call.temperature, call.sigma, statistics,
                              losses + loss_blocks, out.x.data ? along + 2 * blocks : nullptr},
        1);
  pairwise::ReduceKernel reduce{};
  reduce.sum[0] = {losses, loss_blocks + weighted, 1, out.loss};
  if (!out.x.data) return pairwise::start(work, reduce, 1);

  const double slope = each / call.temperature;
  for (int side = 0; side < 2; ++side) {
    pairwise::Table<Tile, formula::SoftmaxPair<Sum, true, true>> t;
    t.x = z.middle_rows(side * n, n);
    t.y = z;
    t.policy = {Sum(scale), unit, unit};
    t.excluded = pairwise::set_apart(views, side * n);
    t.rows = statistics + side * n;
    t.cols = statistics;
    pairwise::sweep_gradients(work, t, {side == 0 ? out.x : out.y, {}},
                              Sum(slope / double(Tile::kWeightScale)), limits, how);
  }
  pairwise::start(work,
                  Positives{x, y, statistics, statistics + n, slope, slope, out.x, out.y, along,
                            nullptr, pairwise::pieces_fit(x, y, out.x, out.y)},
                  blocks);
  pairwise::start(work, Along{y, out.y, along + blocks}, blocks);
  reduce.sum[1] = {along, 2 * blocks + weighted, -0.5, out.log_temperature};
  pairwise::start(work, reduce, out.log_temperature ? 2 : 1);
}

template <class T, class Products>
Status stacked_checked(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                       const StackedCall& call, const ContrastiveGradient<T>& out, Scratch scratch,
                       cudaStream_t stream, const Products& how) {
  if (const char* wrong = pair_error(x, y)) return invalid(wrong);
  if (const char* wrong = place_error(x, y, call.temperature, out.loss, out.x, out.y))
    return invalid(wrong);
  if (call.decoupled && x.rows < 2) return invalid("one pair alone has no negatives");
  return pairwise::enqueue_tiles<T>(how, scratch, stream, [&]<class Tile>(Work& work, Index block) {
    stacked<Tile>(work, x, y, call, block, out, how);
  });
}

}  // namespace spheremix::gpu::losses::detail
