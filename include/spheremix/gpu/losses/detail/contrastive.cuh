// What InfoNCE, with a margin or without, and CLIP share: rows i of X and Y are a pair, every other
// row of Y (and of X) is a negative.
//
//   loss = row_weight sum_i softplus(lse_{j != i} L_ij - L_ii)
//          + col_weight sum_j softplus(lse_{i != j} L_ij - L_jj),   L = X Y^T / tau
//
// A margin m is taken off the cosines of L_ii: dL/dm = -(1/tau) sum of dL/dL_ii, and dL/d log tau
// loses m dL/dm.
//
// Memory   for any N: the operands (4 N D bytes unless X and Y are fp16 rows on 16-byte
//          boundaries), 23 N bytes and at most 33 MiB (with products by cuBLASLt as it says).
// Kernels  1 conversion, 2 a range of sweep 1, 2 a range of sweep 2, and 3; 1 more with a margin.
#pragma once

#include <cmath>

#include "spheremix/formula/softmax_pair.hpp"
#include "spheremix/gpu/pairwise/engine.cuh"
#include "spheremix/gpu/pairwise/operand.cuh"
#include "spheremix/gpu/pairwise/precision.cuh"

namespace spheremix::gpu::losses {

/// Where a contrastive loss puts its results, all in device memory. Gradients are ambient, f32 (f64
/// for double rows).
template <class T>
struct ContrastiveGradient {
  double* loss = nullptr;
  core::MatrixView<Arithmetic<T>> x, y;
  double* log_temperature = nullptr;  ///< dL/d log tau
};

namespace detail {

struct ContrastiveWeights {
  double temperature, row, col;
  double margin = 0;  ///< off the positives' cosines
};

template <class T>
const char* pair_error(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y) {
  if (x.rows != y.rows || x.cols != y.cols) return "X and Y have different shapes";
  if (x.rows <= 0 || x.cols <= 0) return "X and Y are empty";
  if (!x.data || !y.data) return "X or Y is a null pointer";
  if (x.stride < x.cols || y.stride < y.cols) return "a stride is less than the columns";
  return nullptr;
}

/// Options that the device does not know yet: refused, never left aside.
template <class Options>
const char* target_error(const Options& options) {
  bool any = options.exclude.has_value() || !options.row_weights.empty();
  if constexpr (requires { options.label_smoothing; }) any = any || options.label_smoothing != 0;
  return any ? "label_smoothing, exclude and row_weights are the CPU's" : nullptr;
}

/// What is wrong with the shapes of gradients.
template <class T, class G>
const char* shape_error(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                        const core::MatrixView<G>& dx, const core::MatrixView<G>& dy) {
  if (dx.data && (!dy.data || dx.rows != x.rows || dx.cols != x.cols || dy.rows != y.rows ||
                  dy.cols != y.cols || dx.stride < dx.cols || dy.stride < dy.cols))
    return "the gradients have another shape than X and Y";
  return nullptr;
}

inline constexpr const char *kOverlapsBatch = "a gradient overlaps a batch",
                            *kOverlapsGradient = "two gradients overlap";

/// What is wrong with a temperature or the places for the results.
template <class T, class G>
const char* place_error(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                        double temperature, const double* loss, const core::MatrixView<G>& dx,
                        const core::MatrixView<G>& dy) {
  if (!(temperature > 0) || !(temperature <= core::largest<double>))
    return "the temperature is not a positive finite number";
  if (!loss) return "no place for the loss";
  if (const char* wrong = shape_error(x, y, dx, dy)) return wrong;
  if (!dx.data) return nullptr;
  for (const auto& batch : {x, y})
    if (core::overlap(dx, batch) || core::overlap(dy, batch)) return kOverlapsBatch;
  return core::overlap(dx, dy) ? kOverlapsGradient : nullptr;
}

/// What is wrong with batches of one shape and the places for their results.
template <class T, class G, std::size_t Count>
const char* batches_error(const core::MatrixView<const T> (&in)[Count], bool gradient,
                          const core::MatrixView<G> (&out)[Count], const double* loss) {
  for (const auto& m : in)
    if (const char* wrong = pair_error(in[0], m)) return wrong;
  if (!loss) return "no place for the loss";
  for (std::size_t a = 0; gradient && a < Count; ++a) {
    if (!out[a].data) return "no place for the gradients";
    if (const char* wrong = shape_error(in[0], in[0], out[a], out[a])) return wrong;
    for (const auto& m : in)
      if (core::overlap(out[a], m)) return kOverlapsBatch;
    for (std::size_t b = 0; b < a; ++b)
      if (core::overlap(out[a], out[b])) return kOverlapsGradient;
  }
  return nullptr;
}

template <class Tile, bool Rows, bool Cols, class T, class Products>
void contrastive(Work& work, const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                 const ContrastiveWeights& weights, Index block, const ContrastiveGradient<T>& out,
                 const Products& how, double* margin_slope = nullptr) {
  using Sum = typename Tile::Sum;
  using Pair = pairwise::RowPair<Sum>;
  using Finish = pairwise::FinishKernel<Sum>;
  using Positives = pairwise::PositivesKernel<T>;
  const Work::Part part(work);
  const Index n = x.rows;
  const double scale = 1 / (weights.temperature * 0.693147180559945309417);  // logits in base 2
  const double largest = std::fmax(weights.row, weights.col);
  const double unit = double(Tile::kWeightScale) / scale / largest;
  pairwise::Table<Tile, formula::SoftmaxPair<Sum, Rows, Cols>> table;
  table.policy = {Sum(scale), Sum(weights.row * unit), Sum(weights.col * unit)};
  table.excluded = {{0, 0, 0}, 1};
  const auto operands = pairwise::make_operands<Tile>(work, x, y);
  table.x = operands.x;
  table.y = operands.y;
  if (Rows) table.rows = work.take<Pair>(n);
  if (Cols) table.cols = work.take<Pair>(n);
  table.positives = work.take<Sum>(n);
  const Index loss_blocks = pairwise::ceil_div(n, Finish::kThreads),
              row_blocks = pairwise::ceil_div(n, Positives::kRowsEach);
  double* const losses = work.take<double>(loss_blocks);
  double* const along = work.take<double>(row_blocks);
  const bool moved = weights.margin != 0 && out.log_temperature;
  double* const slopes =
      out.x.data && (moved || margin_slope) ? work.take<double>(loss_blocks) : nullptr;

  const pairwise::RangeLimits limits = pairwise::range_limits<Tile>(n, n, block);
  pairwise::sweep_statistics(work, table, limits, how);
  pairwise::start(work,
                  Finish{n, table.positives, Sum(scale), table.rows, table.cols, weights.row,
                         weights.col, losses, false, Sum(weights.margin), slopes},
                  loss_blocks);
  pairwise::ReduceKernel reduce{};
  reduce.sum[0] = {losses, loss_blocks, 1, out.loss};
  if (!out.x.data) return pairwise::start(work, reduce, 1);

  const double slope = largest / weights.temperature;
  pairwise::sweep_gradients(work, table, {out.x, out.y}, Sum(slope / double(Tile::kWeightScale)),
                            limits, how);
  pairwise::start(work,
                  Positives{x, y, table.rows, table.cols, weights.row / weights.temperature,
                            weights.col / weights.temperature, out.x, out.y, along, nullptr,
                            pairwise::pieces_fit(x, y, out.x, out.y)},
                  row_blocks);
  unsigned sums = 1;
  if (out.log_temperature) reduce.sum[sums++] = {along, row_blocks, -1, out.log_temperature};
  if (margin_slope)
    reduce.sum[sums++] = {slopes, loss_blocks, -1 / weights.temperature, margin_slope};
  pairwise::start(work, reduce, sums);
  if (!moved) return;
  reduce.sum[0] = {slopes, loss_blocks, double(Sum(weights.margin)) / weights.temperature,
                   out.log_temperature, true};
  pairwise::start(work, reduce, 1);
}

/// Checks, then contrastive(). margin_slope: null, or where dL/dm goes.
template <bool Rows, bool Cols, class T, class Products>
Status contrastive_checked(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                           const ContrastiveWeights& weights, const ContrastiveGradient<T>& out,
                           Scratch scratch, cudaStream_t stream, const Products& how,
                           double* margin_slope = nullptr) {
  if (const char* wrong = pair_error(x, y)) return invalid(wrong);
  if (const char* wrong = place_error(x, y, weights.temperature, out.loss, out.x, out.y))
    return invalid(wrong);
  return pairwise::enqueue_tiles<T>(how, scratch, stream, [&]<class Tile>(Work& work, Index block) {
    contrastive<Tile, Rows, Cols>(work, x, y, weights, block, out, how, margin_slope);
  });
}

/// Whether there are places for the gradients of X and Y.
template <class Gradient>
bool has_places(const Gradient& out) {
  return out.x.data && out.y.data;
}
inline constexpr const char* kNoPlaces = "no place for the gradients";

}  // namespace detail
}  // namespace spheremix::gpu::losses
