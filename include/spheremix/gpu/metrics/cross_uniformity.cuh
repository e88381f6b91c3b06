// Cross uniformity on the device: how far the rows of X lie from those of Y.
//
//   cross_uniformity(X, Y) = log mean_{i, j} exp(-t |x_i - y_j|^2)           N rows of X, M of Y
//   dx_i = -2 t sum_j w_ij (x_i - y_j),  dy_j = 2 t sum_i w_ij (x_i - y_j),  w = K / sum K
//
// Types, accuracy and errors as uniformity.cuh.
// Cost     6 N M D flops (t > 3: 8).
// Memory   2 (N + M) D bytes at most for operands, 24 bytes a row and 38 MiB.
#pragma once

#include "spheremix/gpu/metrics/uniformity.cuh"

namespace spheremix::gpu::metrics {

/// Results in device memory, f32 gradients (f64 for double rows).
template <class T>
struct PairUniformityGradient {
  double* value = nullptr;
  core::MatrixView<Arithmetic<T>> x, y;
};

namespace detail {

template <class Tile, class T, class Products>
void cross_uniformity(Work& work, const core::MatrixView<const T>& x,
                      const core::MatrixView<const T>& y, const UniformityOptions& options,
                      Index block, const PairUniformityGradient<T>& out, const Products& how) {
  using Sum = typename Tile::Sum;
  using Operand = typename Tile::Input;
  constexpr Index kEdge = Tile::kEdge;
  const bool gradient = out.x.data != nullptr;
  const Index n = x.rows, m = y.rows;
  const pairwise::RangeLimits limits = pairwise::range_limits<Tile>(n, m, block);
  const auto operands = pairwise::make_operands<Tile>(work, x, y);
  const auto a = operands.x, b = operands.y;
  Sum* const x_norms = work.take<Sum>(n);
  Sum* const x_sums = work.take<Sum>(n);
  Sum* const y_norms = work.take<Sum>(m);
  Sum* const y_sums = work.take<Sum>(m);
  Sum* const shift = work.take<Sum>(1);
  double* const slope = work.take<double>(1);
  auto* const rows = work.take<pairwise::RowPair<Sum>>(n);
  const Index tiles = pairwise::range_tiles<Tile>(limits);
  double* const values = work.take<double>(tiles);

  const double c = options.t * 1.4426950408889634074;
  using Norms = NormsKernel<Operand, Sum>;
  pairwise::start(work, Norms{a, Sum(c), x_norms}, pairwise::ceil_div(n, Norms::kRowsEach));
  pairwise::start(work, Norms{b, Sum(c), y_norms}, pairwise::ceil_div(m, Norms::kRowsEach));
  const UniformityPair<Sum> policy{Sum(2 * c), x_norms, y_norms, shift, Tile::kWeightScale};
  const bool shifted = options.t > 3;
  if (shifted) {
    pairwise::Table<Tile, UniformityPair<Sum>> table;
    table.x = a;
    table.y = b;
    table.policy = policy;
    table.policy.shift = nullptr;  // not known yet
    table.rows = rows;
    pairwise::sweep_statistics(work, table, limits, how);
  }
  pairwise::start(work, LargestKernel<Sum>{rows, shifted ? n : 0, shift}, 1);
  if (gradient) pairwise::fill(work, core::MatrixView<Sum>{x_sums, 1, n, n}, Sum(0));
  if (gradient) pairwise::fill(work, core::MatrixView<Sum>{y_sums, 1, m, m}, Sum(0));

  Sum* const by_row = work.take<Sum>(Index(partial_count<Tile>(limits)));
  Sum* const by_col = work.take<Sum>(Index(partial_count<Tile>(limits)));
  const Index stride = limits.weights_cols;
  auto* const weights = work.take<typename Tile::Weight>(limits.weights_rows * stride);
  const Sum alpha = 1 / Tile::kWeightScale;
  pairwise::for_ranges(
      n, 0, m, limits.weights_rows, limits.weights_cols, [&](const pairwise::Range& r) {
        const Index tile_rows = pairwise::ceil_div(r.rows, kEdge),
                    tile_cols = pairwise::ceil_div(r.cols, kEdge);
        pairwise::OneSweepKernel<Tile, UniformityPair<Sum>> kernel{};
        pairwise::operands<Tile>(work, a, b, 0, r, weights, stride, how, &kernel.x, &kernel.y);
        kernel.range = r;
        kernel.policy = policy;
        kernel.values = values;
        kernel.first = r.i0 == 0 && r.j0 == 0;
        if (gradient) {
          kernel.weights = weights;
          kernel.stride = stride;
          kernel.row_partial = by_row;
          kernel.col_partial = by_col;
        }
        pairwise::start(work, kernel, tile_rows * tile_cols);
        if (!gradient) return;
        const pairwise::MergeSumsKernel<Sum> merge{{{by_row, r.rows, tile_cols, x_sums + r.i0},
                                                    {by_col, r.cols, tile_rows, y_sums + r.j0}}};
        pairwise::start(work, merge, merge.blocks());
        const pairwise::ProductSide<Tile> to_x{
            weights, stride,  false, b.middle_rows(r.j0, r.cols), out.x.middle_rows(r.i0, r.rows),
            alpha,   r.j0 > 0};
        const pairwise::ProductSide<Tile> to_y{
            weights, stride,  true, a.middle_rows(r.i0, r.rows), out.y.middle_rows(r.j0, r.cols),
            alpha,   r.i0 > 0};
        pairwise::multiply(work, how, to_x, to_y);
      });
  pairwise::start(
      work,
      ValueKernel<Sum>{values, tiles, double(n) * double(m), options.t, 1, shift, out.value, slope},
      1);
  if (!gradient) return;
  using Centre = CentreKernel<Operand, Sum>;
  pairwise::start(work, Centre{a, x_sums, slope, Tile::kWeightScale, out.x},
                  pairwise::ceil_div(n, Centre::kRowsEach));
  pairwise::start(work, Centre{b, y_sums, slope, Tile::kWeightScale, out.y},
                  pairwise::ceil_div(m, Centre::kRowsEach));
}

template <class T>
Status pair_uniformity_error(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                             const UniformityOptions& options,
                             const PairUniformityGradient<T>& out) {
  if (x.cols != y.cols || x.cols < 1 || x.rows < 1 || y.rows < 1)
    return invalid("X and Y are empty or differ in width");
  if (!x.data || !y.data || !out.value || x.stride < x.cols || y.stride < y.cols)
    return invalid("a null pointer or a stride below the columns");
  if (!(options.t > 0) || !(options.t <= core::largest<double>))
    return invalid("t is not positive and finite");
  if (out.x.data &&
      (!out.y.data || out.x.rows != x.rows || out.x.cols != x.cols || out.y.rows != y.rows ||
       out.y.cols != y.cols || out.x.stride < x.cols || out.y.stride < y.cols))
    return invalid("the gradients have another shape than X and Y");
  return {};
}

}  // namespace detail

/// Value and, where out.x has data, both gradients; all overwritten.
template <class T, class Products = pairwise::KernelProducts>
Status cross_uniformity_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                                      const UniformityOptions& options,
                                      const PairUniformityGradient<T>& out, Scratch scratch,
                                      cudaStream_t stream = nullptr, const Products& how = {}) {
  if (const Status wrong = detail::pair_uniformity_error(x, y, options, out); !wrong) return wrong;
  return pairwise::enqueue_tiles<T>(how, scratch, stream, [&]<class Tile>(Work& work, Index block) {
    detail::cross_uniformity<Tile>(work, x, y, options, block, out, how);
  });
}

/// *value (device memory).
template <class T, class Products = pairwise::KernelProducts>
Status cross_uniformity(core::MatrixView<const T> x, core::MatrixView<const T> y,
                        const UniformityOptions& options, double* value, Scratch scratch,
                        cudaStream_t stream = nullptr, const Products& how = {}) {
  return cross_uniformity_with_gradient<T>(x, y, options, {value, {}, {}}, scratch, stream, how);
}

}  // namespace spheremix::gpu::metrics
