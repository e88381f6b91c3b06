// Sums over the rows of a batch, column by column, in double and in an order that depends on the
// shape alone.
//
//   phase 1   group g adds the contributions of rows g, g + G, g + 2 G, ... in registers:
//             G x cols partials
//   phase 2   a block adds the partials of 32 columns, slice by slice: cols sums
//
// A body gives a row's contribution, and says whether there is work (false leaves the sums as they
// are):
//
//   template <class Group>
//   __device__ void operator()(const Group&, Index row, typename Group::Values& out) const
//   __device__ bool active() const
#pragma once

#include "spheremix/gpu/core/row_group.cuh"
#include "spheremix/gpu/core/work.cuh"

namespace spheremix::gpu {

/// Groups of phase 1: as many as rows, at most 2048.
inline Index column_sum_groups(Index rows) { return rows < 2048 ? rows : 2048; }

namespace detail {

template <class T, class Shape, class Body>
__global__ void __launch_bounds__(Shape::block)
    column_partials(Body body, Index rows, Index cols, Index groups, double* partials) {
  if (!body.active()) return;
  using Group = RowGroup<T, Shape>;
  const Group group(cols);
  const Index mine = group.first_row();
  if (mine >= groups) return;  // whole groups leave together
  double sums[Group::slots];
  SPHEREMIX_UNROLL
  for (int k = 0; k < Group::slots; ++k) sums[k] = 0;
  for (Index row = mine; row < rows; row += groups) {
    typename Group::Values x;
    body(group, row, x);
    SPHEREMIX_UNROLL
    for (int k = 0; k < Group::slots; ++k) sums[k] += double(x[k]);
  }
  SPHEREMIX_UNROLL
  for (int k = 0; k < Group::slots; ++k)
    if (group.column(k) < group.cols()) partials[mine * cols + group.column(k)] = sums[k];
}

inline constexpr unsigned kSlices = 16;

template <class Body>
__global__ void __launch_bounds__(32 * kSlices)
    column_totals(Body body, const double* partials, Index groups, Index cols, double scale,
                  double* out) {
  if (!body.active()) return;
  double* const slices = reinterpret_cast<double*>(shared_memory());  // kSlices x 32
  const unsigned lane = threadIdx.x % kWarp, slice = threadIdx.x / kWarp;
  const Index column = Index(blockIdx.x) * kWarp + lane;
  double sum = 0;
  if (column < cols)
    for (Index g = slice; g < groups; g += kSlices) sum += partials[g * cols + column];
  slices[slice * kWarp + lane] = sum;
  block_barrier();  // every slice is there
  if (slice == 0 && column < cols) {
    for (unsigned s = 1; s < kSlices; ++s) sum += slices[s * kWarp + lane];
    out[column] = scale * sum;
  }
}

}  // namespace detail

/// Enqueues out[j] = scale sum_i contribution_i[j]. rows > 0.
template <class T, class Body>
void column_sums(Work& work, Body body, Index rows, Index cols, bool wide, double scale,
                 double* out) {
  if (cols == 0) return;
  const Work::Part part(work);
  const Index groups = column_sum_groups(rows);
  double* const partials = work.take<double>(groups * cols);
  work.then([&](cudaStream_t stream) {
    return with_row_shape<T>(cols, wide, [&]<class Shape>() {
      return launch(detail::column_partials<T, Shape, Body>, blocks_for(groups, Shape::groups),
                    Shape::block, Shape::shared_bytes, stream, body, rows, cols, groups, partials);
    });
  });
  work.launch(detail::column_totals<Body>, blocks_for(cols, kWarp), 32 * detail::kSlices,
              32 * detail::kSlices * sizeof(double), body, partials, groups, cols, scale, out);
}

/// The rows themselves.
template <class T>
struct RowsThemselves {
  View<const T> x;
  __device__ bool active() const { return true; }
  template <class Group>
  __device__ void operator()(const Group& group, Index row, typename Group::Values& out) const {
    group.load(x, row, out);
  }
};

/// Enqueues mean[j] = the mean of column j; x has rows. `wide`: they lie on 16 bytes.
template <class E>
void column_means(Work& work, const View<E>& x, bool wide, double* mean) {
  using T = std::remove_const_t<E>;
  column_sums<T>(work, RowsThemselves<T>{x}, x.rows, x.cols, wide, 1 / double(x.rows), mean);
}

}  // namespace spheremix::gpu
