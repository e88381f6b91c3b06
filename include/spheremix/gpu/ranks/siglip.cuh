// siglip over ranks (communicator.cuh): formula, gradient and options in formula/siglip.hpp.
//
// Shapes   X, Y: this rank's n x D, as the layout says, n = 0 too.
// Sends    a N D s + 4 a N D bytes a rank (strip.cuh); value: a N D s.
// Cost     6 n N D flops.
// Memory   strip.cuh.
// Errors   as clip.cuh, and a bias that is not finite.
#pragma once

#include "spheremix/gpu/losses/siglip.cuh"
#include "spheremix/gpu/ranks/pairs.cuh"

namespace spheremix::gpu::losses {

namespace detail {

template <class T, Communicator World, class Products>
Status siglip_strip(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                    const SiglipOptions& options, const SiglipGradient<T>& out, Scratch scratch,
                    const Layout& layout, World& world, const Products& how, bool gradient) {
  if (const char* wrong = target_error(options)) return invalid(wrong);
  if (const char* wrong = blocks_error(layout, world, x, y, options.temperature, out, gradient))
    return invalid(wrong);
  if (!(options.bias - options.bias == 0)) return invalid("the bias is not finite");
  return enqueue_strip<T>(layout, world, how, scratch, gradient,
                          [&]<class Tile>(Work& work, Index block, const Strip<World>& strip) {
                            siglip<Tile>(work, x, y, options, block, out, how, strip);
                          });
}

}  // namespace detail

/// *loss (device memory), the same bits on every rank.
template <class T, Communicator World, class Products = pairwise::KernelProducts>
Status siglip(core::MatrixView<const T> x, core::MatrixView<const T> y,
              const SiglipOptions& options, double* loss, Scratch scratch, const Layout& layout,
              World& world, const Products& how = {}) {
  return detail::siglip_strip(x, y, options, SiglipGradient<T>{loss, {}, {}, nullptr, nullptr},
                              scratch, layout, world, how, false);
}
/// Loss, gradients by this rank's rows and those of log tau and the bias (both may be null), all
/// overwritten.
template <class T, Communicator World, class Products = pairwise::KernelProducts>
Status siglip_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                            const SiglipOptions& options, const SiglipGradient<T>& out,
                            Scratch scratch, const Layout& layout, World& world,
                            const Products& how = {}) {
  return detail::siglip_strip(x, y, options, out, scratch, layout, world, how, true);
}

}  // namespace spheremix::gpu::losses
