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

template <class Tile, class T>
std::size_t cross_bytes(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                        Index block) {
  using Sum = typename Tile::Sum;
  const pairwise::RangeLimits limits = pairwise::range_limits<Tile>(x.rows, y.rows, block);
  const std::size_t n = std::size_t(x.rows), m = std::size_t(y.rows);
  const std::size_t second = 2 * scratch_bytes<Sum>(partial_count<Tile>(limits)) +
                             pairwise::sweep_bytes<Tile>(limits, false, false, true);
  const std::size_t first = pairwise::sweep_bytes<Tile>(limits, true, false, false);
  return pairwise::operand_bytes<Tile>(x) + pairwise::operand_bytes<Tile>(y) +
         2 * scratch_bytes<Sum>(n) + 2 * scratch_bytes<Sum>(m) + scratch_bytes<Sum>(1) +
         scratch_bytes<double>(1) + scratch_bytes<pairwise::RowPair<Sum>>(n) +
         scratch_bytes<double>(std::size_t(pairwise::range_tiles<Tile>(limits))) +
         (first > second ? first : second);
}

template <class Tile, class T, class Products>
Status cross_uniformity(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                        const UniformityOptions& options, const PairUniformityGradient<T>& out,
                        Scratch scratch, cudaStream_t stream, const Products& products) {
  using Sum = typename Tile::Sum;
  using Operand = typename Tile::Input;
  constexpr Index kEdge = Tile::kEdge;
  if (const Status held = scratch_status(scratch, cross_bytes<Tile>(x, y, options.block)); !held)
    return held;
  const bool gradient = out.x.data != nullptr;
  const Index n = x.rows, m = y.rows;
  const pairwise::RangeLimits limits = pairwise::range_limits<Tile>(n, m, options.block);
  ScratchFrame frame(scratch);
  core::MatrixView<const Operand> a, b;
  Status status = pairwise::make_operand<Tile>(x, frame, stream, &a);
  if (status) status = pairwise::make_operand<Tile>(y, frame, stream, &b);
  if (!status) return status;
  Sum *const x_norms = frame.take<Sum>(std::size_t(n)), *const x_sums =
                                                            frame.take<Sum>(std::size_t(n));
  Sum *const y_norms = frame.take<Sum>(std::size_t(m)), *const y_sums =
                                                            frame.take<Sum>(std::size_t(m));
  Sum* const shift = frame.take<Sum>(1);
  double* const slope = frame.take<double>(1);
  auto* const rows = frame.take<pairwise::RowPair<Sum>>(std::size_t(n));
  const Index tiles = pairwise::range_tiles<Tile>(limits);
  double* const values = frame.take<double>(std::size_t(tiles));

  const double c = options.t * 1.4426950408889634074;
  using Norms = NormsKernel<Operand, Sum>;
  status =
      pairwise::start(Norms{a, Sum(c), x_norms}, pairwise::ceil_div(n, Norms::kRowsEach), stream);
  if (status)
    status =
        pairwise::start(Norms{b, Sum(c), y_norms}, pairwise::ceil_div(m, Norms::kRowsEach), stream);
  if (!status) return status;
  const UniformityPair<Sum> policy{Sum(2 * c), x_norms, y_norms, shift, Tile::kWeightScale};
  const bool shifted = options.t > 3;
  if (shifted) {
    pairwise::Table<Tile, UniformityPair<Sum>> table;
    table.x = a;
    table.y = b;
    table.policy = policy;
    table.policy.shift = nullptr;  // not known yet
    table.rows = rows;
    status = pairwise::sweep_statistics(table, limits, frame.rest(), stream, products);
    if (!status) return status;
  }
  status = pairwise::start(LargestKernel<Sum>{rows, shifted ? n : 0, shift}, 1, stream);
  if (status && gradient)
    status = pairwise::fill(core::MatrixView<Sum>{x_sums, 1, n, n}, Sum(0), stream);
  if (status && gradient)
    status = pairwise::fill(core::MatrixView<Sum>{y_sums, 1, m, m}, Sum(0), stream);
  if (!status) return status;

  Sum* const by_row = frame.take<Sum>(partial_count<Tile>(limits));
  Sum* const by_col = frame.take<Sum>(partial_count<Tile>(limits));
  const Index stride = limits.weights_cols;
  auto* const weights =
      frame.take<typename Tile::Weight>(std::size_t(limits.weights_rows * stride));
  const Sum alpha = 1 / Tile::kWeightScale;
  status = pairwise::for_ranges(
      n, 0, m, limits.weights_rows, limits.weights_cols, [&](const pairwise::Range& r) -> Status {
        const Index tile_rows = pairwise::ceil_div(r.rows, kEdge),
                    tile_cols = pairwise::ceil_div(r.cols, kEdge);
        pairwise::OneSweepKernel<Tile, UniformityPair<Sum>> kernel{};
        const Status formed = pairwise::operands<Tile>(a, b, 0, r, weights, stride, products,
                                                       stream, &kernel.x, &kernel.y);
        if (!formed) return formed;
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
        const Status started = pairwise::start(kernel, tile_rows * tile_cols, stream);
        if (!started || !gradient) return started;
        const pairwise::MergeSumsKernel<Sum> merge{{{by_row, r.rows, tile_cols, x_sums + r.i0},
                                                    {by_col, r.cols, tile_rows, y_sums + r.j0}}};
        const Status merged = pairwise::start(merge, merge.blocks(), stream);
        if (!merged) return merged;
        const pairwise::ProductSide<Tile> to_x{
            weights, stride,  false, b.middle_rows(r.j0, r.cols), out.x.middle_rows(r.i0, r.rows),
            alpha,   r.j0 > 0};
        const pairwise::ProductSide<Tile> to_y{
            weights, stride,  true, a.middle_rows(r.i0, r.rows), out.y.middle_rows(r.j0, r.cols),
            alpha,   r.i0 > 0};
        return products(to_x, to_y, stream);
      });
  if (!status) return status;
  status = pairwise::start(ValueKernel<Sum>{values, tiles, double(n) * double(m), 2 * options.t,
                                            shift, out.value, slope},
                           1, stream);
  if (!status || !gradient) return status;
  using Centre = CentreKernel<Operand, Sum>;
  status = pairwise::start(Centre{a, x_sums, slope, Tile::kWeightScale, out.x},
                           pairwise::ceil_div(n, Centre::kRowsEach), stream);
  if (!status) return status;
  return pairwise::start(Centre{b, y_sums, slope, Tile::kWeightScale, out.y},
                         pairwise::ceil_div(m, Centre::kRowsEach), stream);
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

/// Scratch of cross_uniformity_with_gradient in bytes, for these very views.
template <class T, class Products = pairwise::KernelProducts>
std::size_t cross_uniformity_bytes(core::MatrixView<const T> x, core::MatrixView<const T> y,
                                   const UniformityOptions& asked = {},
                                   const Products& products = {}) {
  const UniformityOptions options = pairwise::with_block<T>(asked, products);
  return pairwise::with_tile<T, Products>(options.precision, [&]<class Tile>() {
    return detail::cross_bytes<Tile>(x, y, options.block);
  });
}

/// Value and, where out.x has data, both gradients; all overwritten.
template <class T, class Products = pairwise::KernelProducts>
Status cross_uniformity_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                                      const UniformityOptions& asked,
                                      const PairUniformityGradient<T>& out, Scratch scratch,
                                      cudaStream_t stream = nullptr,
                                      const Products& products = {}) {
  const UniformityOptions options = pairwise::with_block<T>(asked, products);
  const Status status = detail::pair_uniformity_error(x, y, options, out);
  if (!status) return status;
  return pairwise::with_tile<T, Products>(options.precision, [&]<class Tile>() {
    return detail::cross_uniformity<Tile>(x, y, options, out, scratch, stream, products);
  });
}

/// *value (device memory).
template <class T>
Status cross_uniformity(core::MatrixView<const T> x, core::MatrixView<const T> y,
                        const UniformityOptions& options, double* value, Scratch scratch,
                        cudaStream_t stream = nullptr) {
  return cross_uniformity_with_gradient<T>(x, y, options, {value, {}, {}}, scratch, stream);
}

}  // namespace spheremix::gpu::metrics
