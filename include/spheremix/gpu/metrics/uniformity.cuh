// Uniformity on the device: how evenly rows cover the sphere.
//
//   uniformity = log mean_{i < j} exp(-t |x_i - x_j|^2)                               (t = 2)
//   dx_i = -4 t sum_j w_ij (x_i - x_j),   w_ij = K_ij / sum_{a != b} K_ab,
//                                         K_ij = exp(-t |x_i - x_j|^2)
//
// Shapes   X: N x D, float, double, Half or Bfloat16, rows as they are (unit rows are meant).
// Accuracy squares of distances come from |x_i|^2 + |x_j|^2 - 2 x_i . x_j: an absolute error of
//          about 1e-6 t in the value at the least, so near-duplicates are seen as equal.
// Cost     ranges above the diagonal only: about 3 N^2 D flops with gradient. For t > 3 the kernel
//          may underflow: then a first sweep (2 N^2 D) finds its maximum.
// Memory   the operand (2 N D bytes unless X is fp16 rows on 16-byte boundaries), 24 N bytes and at
//          most 38 MiB.
// Errors   fewer than two rows, t not positive and finite, too small a scratch.
// [Wang, Isola 2020]
#pragma once

#include "spheremix/gpu/metrics/gaussian_pairs.cuh"

namespace spheremix::gpu::metrics {

struct UniformityOptions {
  double t = 2;
  Precision precision = Precision::fast;
  Index block = 0;  ///< edge of the ranges kept at a time; 0: chosen
};

/// Results in device memory, f32 gradient (f64 for double rows).
template <class T>
struct UniformityGradient {
  double* value = nullptr;
  core::MatrixView<Arithmetic<T>> x;
};

namespace detail {

template <class Tile, class T>
std::size_t uniformity_bytes(const core::MatrixView<const T>& x, Index block) {
  using Sum = typename Tile::Sum;
  const pairwise::RangeLimits limits = pairwise::range_limits<Tile>(x.rows, x.rows, block);
  const std::size_t n = std::size_t(x.rows),
                    second = 2 * scratch_bytes<Sum>(partial_count<Tile>(limits)) +
                             pairwise::sweep_bytes<Tile>(limits, false, false, true);
  const std::size_t first = pairwise::sweep_bytes<Tile>(limits, true, false, false);
  return pairwise::operand_bytes<Tile>(x) + 2 * scratch_bytes<Sum>(n) + scratch_bytes<Sum>(1) +
         scratch_bytes<double>(1) + scratch_bytes<pairwise::RowPair<Sum>>(n) +
         scratch_bytes<double>(std::size_t(pairwise::range_tiles<Tile>(limits))) +
         (first > second ? first : second);
}

template <class Tile, class T, class Products>
Status uniformity(const core::MatrixView<const T>& x, const UniformityOptions& options,
                  const UniformityGradient<T>& out, Scratch scratch, cudaStream_t stream,
                  const Products& products) {
  using Sum = typename Tile::Sum;
  using Input = typename Tile::Input;
  constexpr Index kEdge = Tile::kEdge;
  if (const Status held = scratch_status(scratch, uniformity_bytes<Tile>(x, options.block)); !held)
    return held;
  const bool gradient = out.x.data != nullptr;
  const Index n = x.rows;
  const pairwise::RangeLimits limits = pairwise::range_limits<Tile>(n, n, options.block);
  ScratchFrame frame(scratch);
  core::MatrixView<const Input> a;
  Status status = pairwise::make_operand<Tile>(x, frame, stream, &a);
  if (!status) return status;
  Sum* const norms = frame.take<Sum>(std::size_t(n));
  Sum* const sums = frame.take<Sum>(std::size_t(n));
  Sum* const shift = frame.take<Sum>(1);
  double* const slope = frame.take<double>(1);
  auto* const rows = frame.take<pairwise::RowPair<Sum>>(std::size_t(n));
  const Index tiles = pairwise::range_tiles<Tile>(limits);
  double* const values = frame.take<double>(std::size_t(tiles));

  const double c = options.t * 1.4426950408889634074;
  using Norms = NormsKernel<Input, Sum>;
  status =
      pairwise::start(Norms{a, Sum(c), norms}, pairwise::ceil_div(n, Norms::kRowsEach), stream);
  if (!status) return status;
  const UniformityPair<Sum> policy{Sum(2 * c), norms, norms, shift, Tile::kWeightScale};
  const pairwise::Excluded diagonal{{0, 0, 0}, 1};
  const bool shifted = options.t > 3;
  if (shifted) {
    pairwise::Table<Tile, UniformityPair<Sum>> table;
    table.x = table.y = a;
    table.policy = policy;
    table.policy.shift = nullptr;  // not known yet
    table.excluded = diagonal;
    table.rows = rows;
    status = pairwise::sweep_statistics(table, limits, frame.rest(), stream, products);
    if (!status) return status;
  }
  status = pairwise::start(LargestKernel<Sum>{rows, shifted ? n : 0, shift}, 1, stream);
  if (status && gradient) status = pairwise::fill(out.x, Sum(0), stream);
  if (status && gradient)
    status = pairwise::fill(core::MatrixView<Sum>{sums, 1, n, n}, Sum(0), stream);
  if (!status) return status;

  Sum* const by_row = frame.take<Sum>(partial_count<Tile>(limits));
  Sum* const by_col = frame.take<Sum>(partial_count<Tile>(limits));
  const Index edge = limits.weights_rows,
              stride = limits.weights_cols;  // equal: the table is square
  auto* const weights = frame.take<typename Tile::Weight>(std::size_t(edge * stride));
  const Sum alpha = 1 / Tile::kWeightScale;
  status = pairwise::for_ranges(n, 0, n, edge, stride, [&](const pairwise::Range& r) -> Status {
    if (r.i0 > r.j0) return {};
    const bool both = r.i0 < r.j0;  // stands for its mirror image as well
    const Index tile_rows = pairwise::ceil_div(r.rows, kEdge),
                tile_cols = pairwise::ceil_div(r.cols, kEdge);
    pairwise::OneSweepKernel<Tile, UniformityPair<Sum>> kernel{};
    const Status formed = pairwise::operands<Tile>(a, a, 0, r, weights, stride, products, stream,
                                                   &kernel.x, &kernel.y);
    if (!formed) return formed;
    kernel.range = r;
    kernel.policy = policy;
    kernel.excluded = diagonal;
    kernel.values = values;
    kernel.first = r.j0 == 0;
    kernel.value_weight = both ? 2 : 1;
    if (gradient) {
      kernel.weights = weights;
      kernel.stride = stride;
      kernel.row_partial = by_row;
      kernel.col_partial = both ? by_col : nullptr;
    }
    const Status started = pairwise::start(kernel, tile_rows * tile_cols, stream);
    if (!started || !gradient) return started;
    pairwise::MergeSumsKernel<Sum> merge{};
    merge.side[0] = {by_row, r.rows, tile_cols, sums + r.i0};
    if (both) merge.side[1] = {by_col, r.cols, tile_rows, sums + r.j0};
    const Status merged = pairwise::start(merge, merge.blocks(), stream);
    if (!merged) return merged;
    pairwise::ProductSide<Tile> mirror{weights, stride, true, a.middle_rows(r.i0, r.rows),
                                       {},      alpha,  true};
    if (both) mirror.out = out.x.middle_rows(r.j0, r.cols);
    const pairwise::ProductSide<Tile> direct{
        weights, stride, false, a.middle_rows(r.j0, r.cols), out.x.middle_rows(r.i0, r.rows),
        alpha,   true};
    return products(direct, mirror, stream);
  });
  if (!status) return status;
  status = pairwise::start(ValueKernel<Sum>{values, tiles, double(n) * double(n - 1), 4 * options.t,
                                            shift, out.value, slope},
                           1, stream);
  if (!status || !gradient) return status;
  using Centre = CentreKernel<Input, Sum>;
  return pairwise::start(Centre{a, sums, slope, Tile::kWeightScale, out.x},
                         pairwise::ceil_div(n, Centre::kRowsEach), stream);
}

template <class T, class Products>
Status uniformity_checked(const core::MatrixView<const T>& x, const UniformityOptions& options,
                          const UniformityGradient<T>& out, Scratch scratch, cudaStream_t stream,
                          const Products& products) {
  if (x.rows < 2 || x.cols < 1) return invalid("uniformity needs two rows at least");
  if (!x.data || x.stride < x.cols || !out.value)
    return invalid("uniformity: a null pointer or a stride below the columns");
  if (!(options.t > 0) || !(options.t <= core::largest<double>))
    return invalid("uniformity: t is not positive and finite");
  if (out.x.data && (out.x.rows != x.rows || out.x.cols != x.cols || out.x.stride < x.cols))
    return invalid("uniformity: the gradient has another shape than X");
  return pairwise::with_tile<T, Products>(options.precision, [&]<class Tile>() {
    return uniformity<Tile>(x, options, out, scratch, stream, products);
  });
}

}  // namespace detail

/// Scratch of uniformity and uniformity_with_gradient in bytes, for this very view.
template <class T, class Products = pairwise::KernelProducts>
std::size_t uniformity_bytes(core::MatrixView<const T> x, const UniformityOptions& asked = {},
                             const Products& products = {}) {
  const UniformityOptions options = pairwise::with_block<T>(asked, products);
  return pairwise::with_tile<T, Products>(options.precision, [&]<class Tile>() {
    return detail::uniformity_bytes<Tile>(x, options.block);
  });
}

/// *value (device memory).
template <class T>
Status uniformity(core::MatrixView<const T> x, const UniformityOptions& options, double* value,
                  Scratch scratch, cudaStream_t stream = nullptr) {
  return detail::uniformity_checked(x, options, UniformityGradient<T>{value, {}}, scratch, stream,
                                    pairwise::KernelProducts{});
}

/// Value and gradient, overwritten.
template <class T, class Products = pairwise::KernelProducts>
Status uniformity_with_gradient(core::MatrixView<const T> x, const UniformityOptions& asked,
                                const UniformityGradient<T>& out, Scratch scratch,
                                cudaStream_t stream = nullptr, const Products& products = {}) {
  const UniformityOptions options = pairwise::with_block<T>(asked, products);
  if (!out.x.data) return invalid("uniformity: no place for the gradient");
  return detail::uniformity_checked(x, options, out, scratch, stream, products);
}

}  // namespace spheremix::gpu::metrics
