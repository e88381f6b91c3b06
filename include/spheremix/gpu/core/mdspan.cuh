// Views from libcu++'s mdspan:
//
//   slerp_rows(view(u), view(v), 0.3, view(out))
//
// with u, v, out of type ::cuda::std::mdspan<T, extents of rank 2, layout_right or layout_stride>.
#pragma once

#include <cuda/std/mdspan>

#include "spheremix/gpu/core/view.cuh"

namespace spheremix::gpu {

/// The mdspan as a view. One whose columns are not next to each other has no view: every function
/// refuses the result with a status.
template <class T, class Extents, class Layout, class Accessor>
View<T> view(::cuda::std::mdspan<T, Extents, Layout, Accessor> m) {
  static_assert(Extents::rank() == 2, "spheremix: a batch has rows and columns");
  const bool contiguous = m.extent(1) <= 1 || m.stride(1) == 1;
  return {m.data_handle(), Index(m.extent(0)), Index(m.extent(1)),
          contiguous ? Index(m.stride(0)) : Index(-1)};
}

}  // namespace spheremix::gpu
