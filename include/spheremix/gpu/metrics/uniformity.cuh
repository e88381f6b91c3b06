// uniformity on the device: formula and options in formula/uniformity.hpp.
//
// Shapes   X: N x D, float, double, Half or Bfloat16, rows as they are (unit rows are meant).
// Accuracy squares of distances come from |x_i|^2 + |x_j|^2 - 2 x_i . x_j: an absolute error of
//          about 1e-6 t in the value at the least, so near-duplicates are seen as equal.
// Cost     ranges above the diagonal only: about 3 N^2 D flops with gradient. For t > 3 the kernel
//          may underflow: then a first sweep (2 N^2 D) finds its maximum.
// Memory   the operand (2 N D bytes unless X is fp16 rows on 16-byte boundaries), 24 N bytes and at
//          most 38 MiB.
// Errors   fewer than two rows, t not positive and finite, too small a scratch.
#pragma once

#include "spheremix/formula/uniformity.hpp"
#include "spheremix/gpu/metrics/detail/gaussian_pairs.cuh"
#include "spheremix/gpu/ranks/alone.cuh"

namespace spheremix::gpu::metrics {

using spheremix::metrics::UniformityOptions;

/// In device memory; the gradient f32 (f64 for double rows).
template <class T>
using UniformityGradient = spheremix::metrics::UniformityGradient<Places<T>>;

namespace detail {

/// x: of this rank (ranks/alone.cuh), as is the gradient. Several ranks walk whole rows of pairs.
template <class Tile, class T, class Products, class Ranks = Alone>
void uniformity(Work& work, const core::MatrixView<const T>& x, const UniformityOptions& options,
                Index block, const UniformityGradient<T>& out, const Products& how,
                const Ranks& ranks = {}) {
  using Sum = typename Tile::Sum;
  using Input = typename Tile::Input;
  constexpr Index kEdge = Tile::kEdge;
  const Work::Part part(work);
  const bool gradient = ranks.gradient(out.x.data);
  const Index n = x.rows, total = ranks.total(n), first = ranks.first();
  const pairwise::RangeLimits limits = pairwise::range_limits<Tile>(n, total, block);
  const auto all = ranks.template keys<Tile>(work, x), a = ranks.own(all, n);
  Sum* const norms = work.take<Sum>(total);
  Sum* const sums = work.take<Sum>(n);
  Sum* const shift = work.take<Sum>(1);
  double* const slope = work.take<double>(1);
  auto* const rows = work.take<pairwise::RowPair<Sum>>(total);
  const Index tiles = pairwise::range_tiles<Tile>(limits);
  double* const values = work.take<double>(tiles);

  const double c = options.t * 1.4426950408889634074;
  using Norms = NormsKernel<Input, Sum>;
  pairwise::start(work, Norms{all, Sum(c), norms}, pairwise::ceil_div(total, Norms::kRowsEach));
  const UniformityPair<Sum> policy{Sum(2 * c), norms + first, norms, shift, Tile::kWeightScale};
  const pairwise::Excluded diagonal = pairwise::set_apart(formula::Diagonal(first));
  const bool shifted = options.t > 3;
  if (shifted) {
    pairwise::Table<Tile, UniformityPair<Sum>> table;
    table.x = a;
    table.y = all;
    table.policy = policy;
    table.policy.shift = nullptr;  // not known yet
    table.excluded = diagonal;
    table.rows = rows + first;
    pairwise::sweep_statistics(work, table, limits, how);
    ranks.share(work, table.rows, rows);
  }
  pairwise::start(work, LargestKernel<Sum>{rows, shifted ? total : 0, shift}, 1);
  if (gradient) pairwise::fill(work, out.x, Sum(0));
  if (gradient) pairwise::fill(work, core::MatrixView<Sum>{sums, 1, n, n}, Sum(0));

  Sum* const by_row = work.take<Sum>(Index(partial_count<Tile>(limits)));
  Sum* const by_col = work.take<Sum>(Index(partial_count<Tile>(limits)));
  const Index edge = limits.weights_rows,
              stride = limits.weights_cols;  // equal where the table is square
  auto* const weights = work.take<typename Tile::Weight>(edge * stride);
  const Sum alpha = 1 / Tile::kWeightScale;
  pairwise::for_ranges(n, 0, total, edge, stride, [&](const pairwise::Range& r) {
    if (Ranks::kAlone && r.i0 > r.j0) return;
    const bool both = Ranks::kAlone && r.i0 < r.j0;  // stands for its mirror image as well
    const Index tile_rows = pairwise::ceil_div(r.rows, kEdge),
                tile_cols = pairwise::ceil_div(r.cols, kEdge);
    pairwise::OneSweepKernel<Tile, UniformityPair<Sum>> kernel{};
    pairwise::operands<Tile>(work, a, all, 0, r, weights, stride, how, &kernel.x, &kernel.y);
    kernel.range = r;
    kernel.policy = policy;
    kernel.excluded = diagonal;
    kernel.values = values;
    kernel.first = r.i0 == 0 && r.j0 == 0;
    kernel.value_weight = both ? 2 : 1;
    if (gradient) {
      kernel.weights = weights;
      kernel.stride = stride;
      kernel.row_partial = by_row;
      kernel.col_partial = both ? by_col : nullptr;
    }
    pairwise::start(work, kernel, tile_rows * tile_cols);
    if (!gradient) return;
    pairwise::MergeSumsKernel<Sum> merge{};
    merge.side[0] = {by_row, r.rows, tile_cols, sums + r.i0};
    if (both) merge.side[1] = {by_col, r.cols, tile_rows, sums + r.j0};
    pairwise::start(work, merge, merge.blocks());
    pairwise::ProductSide<Tile> mirror{weights, stride, true, a.middle_rows(r.i0, r.rows),
                                       {},      alpha,  true};
    if (both) mirror.out = out.x.middle_rows(r.j0, r.cols);
    const pairwise::ProductSide<Tile> direct{
        weights, stride, false, all.middle_rows(r.j0, r.cols), out.x.middle_rows(r.i0, r.rows),
        alpha,   true};
    pairwise::multiply(work, how, direct, mirror);
  });
  const auto sum = ranks.partials(work, values, tiles);
  pairwise::start(work,
                  ValueKernel<Sum>{sum.data, sum.count, double(total) * double(total - 1),
                                   options.t, 2, shift, out.value, slope},
                  1);
  using Centre = CentreKernel<Input, Sum>;
  if (gradient)
    pairwise::start(work, Centre{a, sums, slope, Tile::kWeightScale, out.x},
                    pairwise::ceil_div(n, Centre::kRowsEach));
}

inline Status check_uniformity(Index n, double t) {
  if (n < 2) return invalid("uniformity needs two rows at least");
  if (!(t > 0) || !(t <= core::largest<double>))
    return invalid("uniformity: t is not positive and finite");
  return {};
}

template <class T, class Products>
Status uniformity_checked(const core::MatrixView<const T>& x, const UniformityOptions& options,
                          const UniformityGradient<T>& out, Scratch scratch, cudaStream_t stream,
                          const Products& how) {
  if (x.cols < 1) return invalid("uniformity: X has no columns");
  if (const Status bad = check_uniformity(x.rows, options.t); !bad) return bad;
  if (!x.data || x.stride < x.cols || !out.value)
    return invalid("uniformity: a null pointer or a stride below the columns");
  if (out.x.data && (out.x.rows != x.rows || out.x.cols != x.cols || out.x.stride < x.cols))
    return invalid("uniformity: the gradient has another shape than X");
  return pairwise::enqueue_tiles<T>(how, scratch, stream, [&]<class Tile>(Work& work, Index block) {
    uniformity<Tile>(work, x, options, block, out, how);
  });
}

}  // namespace detail

/// *value (device memory).
template <class T, class Products = pairwise::KernelProducts>
Status uniformity(core::MatrixView<const T> x, const UniformityOptions& options, double* value,
                  Scratch scratch, cudaStream_t stream = nullptr, const Products& how = {}) {
  return detail::uniformity_checked(x, options, UniformityGradient<T>{value, {}}, scratch, stream,
                                    how);
}

/// Value and gradient, overwritten.
template <class T, class Products = pairwise::KernelProducts>
Status uniformity_with_gradient(core::MatrixView<const T> x, const UniformityOptions& options,
                                const UniformityGradient<T>& out, Scratch scratch,
                                cudaStream_t stream = nullptr, const Products& how = {}) {
  if (!out.x.data) return invalid("uniformity: no place for the gradient");
  return detail::uniformity_checked(x, options, out, scratch, stream, how);
}

}  // namespace spheremix::gpu::metrics
