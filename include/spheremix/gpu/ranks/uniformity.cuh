// uniformity over ranks (communicator.cuh): formula and options in formula/uniformity.hpp.
//
// Shapes   X: this rank's n x D, as the layout says, n = 0 too.
// Sends    a N D s bytes a rank and 8 (W - 1) for the value (strip.cuh): a rank has whole rows of
//          pairs, so its gradient is complete; for t > 3 also 8 a N.
// Cost     4 n N D flops: without the symmetry that halves one GPU's. For t > 3: 6.
// Memory   strip.cuh, without gradients of all rows.
// Errors   as metrics/uniformity.cuh, and a block that is not the layout's.
#pragma once

#include "spheremix/gpu/metrics/uniformity.cuh"
#include "spheremix/gpu/ranks/pairs.cuh"

namespace spheremix::gpu::metrics {

namespace detail {

template <class T, Communicator World, class Products>
Status uniformity_strip(const core::MatrixView<const T>& x, const UniformityOptions& options,
                        const UniformityGradient<T>& out, Scratch scratch, const Layout& layout,
                        World& world, const Products& how, bool gradient) {
  if (const char* wrong = block_error(layout, world, x)) return invalid(wrong);
  if (const Status bad = check_uniformity(layout.total(), options.t); !bad) return bad;
  if (!out.value) return invalid("uniformity: no place for the value");
  if (gradient && x.rows > 0 &&
      (!out.x.data || out.x.rows != x.rows || out.x.cols != x.cols || out.x.stride < x.cols))
    return invalid("uniformity: no place for the gradient, or one of another shape than X");
  return losses::detail::enqueue_strip<T>(
      layout, world, how, scratch, gradient,
      [&]<class Tile>(Work& work, Index block, const Strip<World>& strip) {
        uniformity<Tile>(work, x, options, block, out, how, strip);
      });
}

}  // namespace detail

/// *value (device memory), the same bits on every rank.
template <class T, Communicator World, class Products = pairwise::KernelProducts>
Status uniformity(core::MatrixView<const T> x, const UniformityOptions& options, double* value,
                  Scratch scratch, const Layout& layout, World& world, const Products& how = {}) {
  return detail::uniformity_strip(x, options, UniformityGradient<T>{value, {}}, scratch, layout,
                                  world, how, false);
}
/// Value, and gradient by this rank's rows, overwritten.
template <class T, Communicator World, class Products = pairwise::KernelProducts>
Status uniformity_with_gradient(core::MatrixView<const T> x, const UniformityOptions& options,
                                const UniformityGradient<T>& out, Scratch scratch,
                                const Layout& layout, World& world, const Products& how = {}) {
  return detail::uniformity_strip(x, options, out, scratch, layout, world, how, true);
}

}  // namespace spheremix::gpu::metrics
