// Losses of two batches over ranks: their checks, and the start of a strip.
#pragma once

#include "spheremix/gpu/losses/detail/pair_results.cuh"
#include "spheremix/gpu/pairwise/precision.cuh"
#include "spheremix/gpu/ranks/strip.cuh"

namespace spheremix::gpu::losses::detail {

/// What is wrong with this rank's blocks, a temperature or the places for the results; without rows
/// there need be no places for gradients.
template <class T, class Out, Communicator World>
const char* blocks_error(const Layout& layout, const World& world,
                         const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                         double temperature, const Out& out, bool gradient) {
  for (const auto& batch : {x, y})
    if (const char* wrong = block_error(layout, world, batch)) return wrong;
  using View = decltype(out.x);
  if (x.rows == 0) return place_error(x, y, temperature, out.loss, View{}, View{});
  if (gradient && !has_places(out)) return kNoPlaces;
  return place_error(x, y, temperature, out.loss, out.x, out.y);
}

/// steps.template operator()<Tile>(work, block, strip), enqueued on the stream of `world`.
template <class T, Communicator World, class Products, class Steps>
Status enqueue_strip(const Layout& layout, World& world, const Products& how, Scratch scratch,
                     bool gradient, const Steps& steps) {
  const Strip<World> strip(layout, world, gradient);
  return pairwise::enqueue_tiles<T>(how, scratch, world.stream(),
                                    [&]<class Tile>(Work& work, Index block) {
                                      steps.template operator()<Tile>(work, block, strip);
                                    });
}

}  // namespace spheremix::gpu::losses::detail
