// clip and info_nce over ranks (communicator.cuh): formulas in formula/clip.hpp, formula/info_nce.hpp.
//
// Shapes   X, Y: this rank's n x D, as the layout says, n = 0 too; otherwise as losses/clip.cuh.
// Sends    a N D s + 4 a N D and, of clip alone, 16 a N bytes a rank (strip.cuh); value: no 4 a N D.
// Cost     8 n N D flops.
// Memory   strip.cuh.
// Errors   as losses/clip.cuh, and blocks that are not the layout's. Options, types and which places
//          are null must be those of the other ranks: one that is refused alone lets the others wait.
#pragma once

#include "spheremix/gpu/losses/clip.cuh"
#include "spheremix/gpu/losses/info_nce.cuh"
#include "spheremix/gpu/ranks/pairs.cuh"

namespace spheremix::gpu::losses {

namespace detail {

template <bool Cols, class T, class Options, Communicator World, class Products>
Status contrastive_strip(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                         const Options& options, const ContrastiveGradient<T>& out, Scratch scratch,
                         const Layout& layout, World& world, const Products& how, bool gradient) {
  if (const char* wrong = target_error(options)) return invalid(wrong);
  if (const char* wrong = blocks_error(layout, world, x, y, options.temperature, out, gradient))
    return invalid(wrong);
  const double each = (Cols ? 0.5 : 1.0) / double(layout.total());
  const ContrastiveWeights weights{options.temperature, each, Cols ? each : 0};
  return enqueue_strip<T>(layout, world, how, scratch, gradient,
                          [&]<class Tile>(Work& work, Index block, const Strip<World>& strip) {
                            contrastive<Tile, true, Cols>(work, x, y, weights, block, out, how,
                                                          nullptr, strip);
                          });
}

}  // namespace detail

/// *loss (device memory), the same bits on every rank.
template <class T, Communicator World, class Products = pairwise::KernelProducts>
Status clip(core::MatrixView<const T> x, core::MatrixView<const T> y, const ClipOptions& options,
            double* loss, Scratch scratch, const Layout& layout, World& world,
            const Products& how = {}) {
  return detail::contrastive_strip<true>(x, y, options,
                                         ContrastiveGradient<T>{loss, {}, {}, nullptr}, scratch,
                                         layout, world, how, false);
}
/// Loss, gradients by this rank's rows and dL/d log tau, all overwritten. out.log_temperature may be
/// null.
template <class T, Communicator World, class Products = pairwise::KernelProducts>
Status clip_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                          const ClipOptions& options, const ContrastiveGradient<T>& out,
                          Scratch scratch, const Layout& layout, World& world,
                          const Products& how = {}) {
  return detail::contrastive_strip<true>(x, y, options, out, scratch, layout, world, how, true);
}

/// As clip.
template <class T, Communicator World, class Products = pairwise::KernelProducts>
Status info_nce(core::MatrixView<const T> x, core::MatrixView<const T> y,
                const InfoNceOptions& options, double* loss, Scratch scratch, const Layout& layout,
                World& world, const Products& how = {}) {
  return detail::contrastive_strip<false>(x, y, options,
                                          ContrastiveGradient<T>{loss, {}, {}, nullptr}, scratch,
                                          layout, world, how, false);
}
/// As clip_with_gradient.
template <class T, Communicator World, class Products = pairwise::KernelProducts>
Status info_nce_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                              const InfoNceOptions& options, const ContrastiveGradient<T>& out,
                              Scratch scratch, const Layout& layout, World& world,
                              const Products& how = {}) {
  return detail::contrastive_strip<false>(x, y, options, out, scratch, layout, world, how, true);
}

}  // namespace spheremix::gpu::losses
