// cyclip on the device: formula and options in formula/cyclip.hpp. Types, memory and errors as
// clip.cuh and geometric_consistency.cuh.
#pragma once

#include "spheremix/formula/cyclip.hpp"
#include "spheremix/gpu/losses/clip.cuh"
#include "spheremix/gpu/losses/geometric_consistency.cuh"

namespace spheremix::gpu::losses {

using spheremix::losses::CyclipOptions;

/// Loss and gradients, all overwritten; dL/d log tau is clip's.
template <class T, class Products = pairwise::KernelProducts>
Status cyclip_with_gradient(core::MatrixView<const T> x, core::MatrixView<const T> y,
                            const CyclipOptions& options, const ContrastiveGradient<T>& out,
                            Scratch scratch, cudaStream_t stream = nullptr,
                            const Products& how = {}) {
  if (!detail::has_places(out)) return invalid(detail::kNoPlaces);
  if (const char* wrong = detail::pair_error(x, y)) return invalid(wrong);
  if (const char* wrong = detail::place_error(x, y, options.temperature, out.loss, out.x, out.y))
    return invalid(wrong);
  if (const char* wrong = detail::weights_error({options.cross_weight, options.in_modal_weight}))
    return invalid(wrong);
  const double half = 0.5 / double(x.rows);
  return pairwise::enqueue_tiles<T>(how, scratch, stream, [&]<class Tile>(Work& work, Index block) {
    detail::contrastive<Tile, true, true>(work, x, y, {options.temperature, half, half}, block, out,
                                          how);
    detail::consistency(work, x, y,
                        formula::ConsistencyParts::of(options.cross_weight, options.in_modal_weight,
                                                      1 / double(x.rows)),
                        out.loss, true, out.x, out.y, true);
  });
}

}  // namespace spheremix::gpu::losses
