// m2_mix over ranks (communicator.cuh): formula, gradient and options in formula/m2_mix.hpp.
//
// Shapes   X, Y: this rank's n x D, as the layout says, n = 0 too; lambda one number, the same on
//          every rank, or one for each of the rank's own rows.
// Sends    a N D s + 4 a N D bytes a rank (strip.cuh): a rank mixes its own rows and sends the keys;
//          value: a N D s. With Negatives::append twice that, and 16 a N.
// Cost     16 n N D flops (append: 24).
// Memory   strip.cuh, and the keys of all with their gradients.
// Errors   as losses/m2_mix.cuh and clip.cuh.
#pragma once

#include "spheremix/gpu/losses/m2_mix.cuh"
#include "spheremix/gpu/ranks/pairs.cuh"

namespace spheremix::gpu::losses {

namespace detail {

template <class T, Communicator World, class Products>
Status m2_mix_strip(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                    const RowScalar<Arithmetic<T>>& lambda, const M2MixOptions& options,
                    const MixGradient<T>& out, Scratch scratch, const Layout& layout, World& world,
                    const Products& how, bool gradient) {
  if (const char* wrong = target_error(options)) return invalid(wrong);
  if (const char* wrong = blocks_error(layout, world, x, y, options.temperature, out, gradient))
    return invalid(wrong);
  if (const char* wrong = lambda_error<T>(lambda)) return invalid(wrong);
  const M2Call call{options.temperature, options.reduction == Reduction::sum ? 1.0 : 0.5,
                    options.negatives, false};
  return enqueue_strip<T>(layout, world, how, scratch, gradient,
                          [&]<class Tile>(Work& work, Index block, const Strip<World>& strip) {
                            m2_tables<Tile>(work, x, y, lambda, call, block, out, how, strip);
                          });
}

}  // namespace detail

/// *loss (device memory), the same bits on every rank.
template <class T, Communicator World, class Products = pairwise::KernelProducts>
Status m2_mix(core::MatrixView<const T> x, core::MatrixView<const T> y,
              RowScalar<Arithmetic<T>> lambda, const M2MixOptions& options, double* loss,
              Scratch scratch, const Layout& layout, World& world, const Products& how = {}) {
  return detail::m2_mix_strip(x, y, lambda, options, MixGradient<T>{loss, {}, {}, nullptr, nullptr},
                              scratch, layout, world, how, false);
}
/// Loss and gradients, all overwritten: those of rows and of a lambda a row are this rank's, those of
/// one lambda and of log tau the whole batch's.
template <class T, Communicator World, class Products = pairwise::KernelProducts>
Status m2_mix_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                            RowScalar<Arithmetic<T>> lambda, const M2MixOptions& options,
                            const MixGradient<T>& out, Scratch scratch, const Layout& layout,
                            World& world, const Products& how = {}) {
  return detail::m2_mix_strip(x, y, lambda, options, out, scratch, layout, world, how, true);
}

}  // namespace spheremix::gpu::losses
