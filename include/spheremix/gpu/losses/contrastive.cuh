// What InfoNCE and CLIP share: rows i of X and Y are a pair, every other row of Y (and of X) is a
// negative.
//
//   loss = row_weight sum_i softplus(lse_{j != i} L_ij - L_ii)
//          + col_weight sum_j softplus(lse_{i != j} L_ij - L_jj),   L = X Y^T / tau
//
// Memory   for any N: the operands (4 N D bytes unless X and Y are fp16 rows on 16-byte
//          boundaries), 23 N bytes and at most 33 MiB (with products by cuBLASLt as it says).
// Kernels  2 conversions, 2 a range of sweep 1, 2 a range of sweep 2, and 3.
#pragma once

#include <cmath>

#include "spheremix/gpu/pairwise/engine.cuh"
#include "spheremix/gpu/pairwise/operand.cuh"
#include "spheremix/gpu/pairwise/precision.cuh"
#include "spheremix/formula/softmax_pair.hpp"

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
};

template <class T>
const char* pair_error(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y) {
  if (x.rows != y.rows || x.cols != y.cols) return "X and Y have different shapes";
  if (x.rows <= 0 || x.cols <= 0) return "X and Y are empty";
  if (!x.data || !y.data) return "X or Y is a null pointer";
  if (x.stride < x.cols || y.stride < y.cols) return "a stride is less than the columns";
  return nullptr;
}

/// What is wrong with a temperature or the places for the results.
template <class T, class G>
const char* place_error(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                        double temperature, const double* loss, const core::MatrixView<G>& dx,
                        const core::MatrixView<G>& dy) {
  if (!(temperature > 0) || !(temperature <= core::largest<double>))
    return "the temperature is not a positive finite number";
  if (!loss) return "no place for the loss";
  if (dx.data && (!dy.data || dx.rows != x.rows || dx.cols != x.cols || dy.rows != y.rows ||
                  dy.cols != y.cols || dx.stride < dx.cols || dy.stride < dy.cols))
    return "the gradients have another shape than X and Y";
  return nullptr;
}

template <class Tile, class T>
std::size_t contrastive_bytes(const core::MatrixView<const T>& x,
                              const core::MatrixView<const T>& y, Index block, bool by_row,
                              bool by_col, bool gradient) {
  using Sum = typename Tile::Sum;
  const std::size_t n = std::size_t(x.rows);
  return pairwise::operand_bytes<Tile>(x) + pairwise::operand_bytes<Tile>(y) +
         (by_row ? scratch_bytes<pairwise::RowPair<Sum>>(n) : 0) +
         (by_col ? scratch_bytes<pairwise::RowPair<Sum>>(n) : 0) + scratch_bytes<Sum>(n) +
         scratch_bytes<double>(n / 128 + 1) + scratch_bytes<double>(n / 4 + 1) +
         pairwise::sweep_bytes<Tile>(pairwise::range_limits<Tile>(x.rows, x.rows, block), by_row,
                                     by_col, gradient);
}

template <class Tile, bool Rows, bool Cols, class T, class Products>
Status contrastive(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                   const ContrastiveWeights& weights, Index block,
                   const ContrastiveGradient<T>& out, Scratch scratch, cudaStream_t stream,
                   const Products& products) {
  using Sum = typename Tile::Sum;
  using Pair = pairwise::RowPair<Sum>;
  const bool gradient = out.x.data != nullptr;
  const Index n = x.rows;
  if (const Status held =
          scratch_status(scratch, contrastive_bytes<Tile>(x, y, block, Rows, Cols, gradient));
      !held)
    return held;
  ScratchFrame frame(scratch);

  const double scale = 1 / (weights.temperature * 0.693147180559945309417);  // logits in base 2
  const double largest = std::fmax(weights.row, weights.col);
  const double unit = double(Tile::kWeightScale) / scale / largest;
  pairwise::Table<Tile, formula::SoftmaxPair<Sum, Rows, Cols>> table;
  table.policy = {Sum(scale), Sum(weights.row * unit), Sum(weights.col * unit)};
  table.excluded = {{0, 0, 0}, 1};
  Status status = pairwise::make_operand<Tile>(x, frame, stream, &table.x);
  if (status) status = pairwise::make_operand<Tile>(y, frame, stream, &table.y);
  if (!status) return status;
  if (Rows) table.rows = frame.take<Pair>(std::size_t(n));
  if (Cols) table.cols = frame.take<Pair>(std::size_t(n));
  table.positives = frame.take<Sum>(std::size_t(n));
  const Index loss_blocks = pairwise::ceil_div(n, pairwise::FinishKernel<Sum>::kThreads);
  const Index row_blocks = pairwise::ceil_div(n, pairwise::PositivesKernel<T>::kRowsEach);
  double* const losses = frame.take<double>(std::size_t(n) / 128 + 1);
  double* const along = frame.take<double>(std::size_t(n) / 4 + 1);

  const pairwise::RangeLimits limits = pairwise::range_limits<Tile>(n, n, block);
  status = pairwise::sweep_statistics(table, limits, frame.rest(), stream, products);
  if (!status) return status;
  status =
      pairwise::start(pairwise::FinishKernel<Sum>{n, table.positives, Sum(scale), table.rows,
                                                  table.cols, weights.row, weights.col, losses},
                      loss_blocks, stream);
  if (!status) return status;
  pairwise::ReduceKernel reduce{};
  reduce.sum[0] = {losses, loss_blocks, 1, out.loss};
  if (!gradient) return pairwise::start(reduce, 1, stream);

  const double slope = largest / weights.temperature;
  status = pairwise::sweep_gradients(table, {out.x, out.y}, Sum(slope / double(Tile::kWeightScale)),
                                     limits, frame.rest(), stream, products);
  if (!status) return status;
  status = pairwise::start(
      pairwise::PositivesKernel<T>{x, y, table.rows, table.cols, weights.row / weights.temperature,
                                   weights.col / weights.temperature, out.x, out.y, along},
      row_blocks, stream);
  if (!status) return status;
  reduce.sum[1] = {along, row_blocks, -1, out.log_temperature};
  return pairwise::start(reduce, out.log_temperature ? 2 : 1, stream);
}

/// Checks, then contrastive() at the precision asked for.
template <bool Rows, bool Cols, class T, class Products>
Status contrastive_checked(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                           const ContrastiveWeights& weights, Precision precision, Index block,
                           const ContrastiveGradient<T>& out, Scratch scratch, cudaStream_t stream,
                           const Products& products) {
  if (const char* wrong = pair_error(x, y)) return invalid(wrong);
  if (const char* wrong = place_error(x, y, weights.temperature, out.loss, out.x, out.y))
    return invalid(wrong);
  return pairwise::with_tile<T, Products>(precision, [&]<class Tile>() {
    return contrastive<Tile, Rows, Cols>(x, y, weights, block, out, scratch, stream, products);
  });
}

}  // namespace detail
}  // namespace spheremix::gpu::losses
