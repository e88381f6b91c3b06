// The threads that work on one row together, and for_each_row, which gives every row of a batch its
// group.
//
// A group reads a row once, into registers: each thread owns `slots` columns, in pieces of 16 bytes
// where the rows are aligned. Sums over the row come back to every thread with the same bits, added
// in an order that depends on nothing but the shape. Short rows go to a warp each (no barrier, four
// rows a block), long ones to a block.
//
//   columns   <= 256   <= 512   <= 1024   <= 2048   <= 8192   <= 16384
//   threads     32        32        64       128       512       1024     slots 8, then 16
//                                            double 2049 .. 4096: 512 threads, 8 slots
//   rows off 16-byte boundaries: 32, 128, 512 and 1024 threads, 16 slots
//
// A body is a small struct of views with
//
//   template <class Group> __device__ void operator()(Group&, Index row) const
//
// What a body stores may be what it loaded from the same columns: in place is right.
#pragma once

#include <cstring>

#include "spheremix/gpu/core/intrinsics.cuh"
#include "spheremix/gpu/core/launch.cuh"
#include "spheremix/gpu/core/view.cuh"

namespace spheremix::gpu {

/// Rows longer than this are refused with a status: a row lives in the registers of one block.
inline constexpr Index kMostColumns = 16384;

inline constexpr const char* kTooManyColumns = "spheremix::gpu: rows of more than 16384 columns";

template <int Threads, int Slots, bool Wide>
struct RowShape {
  static constexpr int threads = Threads;  ///< in a group
  static constexpr int slots = Slots;      ///< columns a thread owns
  static constexpr bool wide = Wide;       ///< moves 16 bytes at a time
  static constexpr int block = Threads == 32 ? 128 : Threads;
  static constexpr int groups = block / Threads;  ///< in a block
  static constexpr std::size_t shared_bytes = Threads > 32 ? 8 * 8 * (Threads / 32) : 0;
  static constexpr int resident = block >= 512 ? 1 : 0;  ///< blocks an SM; 0: the compiler's choice
};

template <class T, class Shape>
class RowGroup {
 public:
  using A = Arithmetic<T>;
  static constexpr int slots = Shape::slots;
  static constexpr int width = Shape::wide ? int(16 / sizeof(T)) : 1;
  static constexpr int pieces = slots / width;
  using Values = A[slots];  ///< a row's share of one thread; slots past the end hold 0

  __device__ explicit RowGroup(Index cols)
      : cols_(int(cols)), rank_(int(threadIdx.x) % Shape::threads) {}

  __device__ Index first_row() const {
    return Index(blockIdx.x) * Shape::groups + int(threadIdx.x) / Shape::threads;
  }
  __device__ Index row_step() const { return Index(gridDim.x) * Shape::groups; }

  /// True in the one thread that writes a row's scalars.
  __device__ bool leads() const { return rank_ == 0; }

  __device__ int cols() const { return cols_; }

  /// The column that slot k stands for; past the end where it is not less than cols().
  __device__ int column(int k) const {
    return (k / width * Shape::threads + rank_) * width + k % width;
  }

  __device__ void load(View<const T> m, Index row, Values& x) const {
    const T* const from = m.row(row);
    T raw[slots];
    SPHEREMIX_UNROLL
    for (int p = 0; p < pieces; ++p) {
      const int j = column(p * width);
      if constexpr (Shape::wide) {
        if (j + width <= cols_) {
          const Bytes16 bytes = load16(from + j);
          memcpy(&raw[p * width], &bytes, 16);
          continue;
        }
      }
      SPHEREMIX_UNROLL
      for (int e = 0; e < width; ++e)
        raw[p * width + e] = j + e < cols_ ? from[j + e] : narrow<T>(0);
    }
    SPHEREMIX_UNROLL
    for (int k = 0; k < slots; ++k) x[k] = widen(raw[k]);
  }

  __device__ void store(View<T> m, Index row, const Values& x) const {
    T* const to = m.row(row);
    SPHEREMIX_UNROLL
    for (int p = 0; p < pieces; ++p) {
      const int j = column(p * width);
      T raw[width];
      SPHEREMIX_UNROLL
      for (int e = 0; e < width; ++e) raw[e] = narrow<T>(x[p * width + e]);
      if constexpr (Shape::wide) {
        if (j + width <= cols_) {
          Bytes16 bytes;
          memcpy(&bytes, raw, 16);
          store16(to + j, bytes);
          continue;
        }
      }
      SPHEREMIX_UNROLL
      for (int e = 0; e < width; ++e)
        if (j + e < cols_) to[j + e] = raw[e];
    }
  }

  /// One row of numbers of another type, element by element (means, frames: small and in cache).
  template <class U>
  __device__ void load_vector(const U* from, Values& x) const {
    SPHEREMIX_UNROLL
    for (int k = 0; k < slots; ++k) x[k] = column(k) < cols_ ? A(from[column(k)]) : A(0);
  }

  /// Replaces each value by its sum over the group, in every thread. At most 8 values.
  template <class S, int N>
  __device__ void sum(S (&values)[N]) const {
    static_assert(N <= 8);
    SPHEREMIX_UNROLL
    for (int n = 0; n < N; ++n) values[n] = warp_sum(values[n]);
    across_warps(values, [](S a, S b) { return a + b; });
  }

  /// The largest over the group, in every thread. A NaN is passed over unless all are.
  __device__ A largest(A value) const {
    A values[1] = {warp_max(value)};
    across_warps(values, [](A a, A b) { return a < b || a != a ? b : a; });
    return values[0];
  }

 private:
  /// Joins what the warps of a block hold, warp by warp in their order.
  template <class S, int N, class Join>
  __device__ void across_warps(S (&values)[N], Join join) const {
    if constexpr (Shape::threads > 32) {
      constexpr int warps = Shape::threads / 32;
      S* const shared = reinterpret_cast<S*>(shared_memory());
      if (threadIdx.x % 32 == 0)
        for (int n = 0; n < N; ++n) shared[n * warps + int(threadIdx.x) / 32] = values[n];
      block_barrier();  // all have written
      SPHEREMIX_UNROLL
      for (int n = 0; n < N; ++n) {
        S total = shared[n * warps];
        for (int w = 1; w < warps; ++w) total = join(total, shared[n * warps + w]);
        values[n] = total;
      }
      block_barrier();  // all have read: the next call may write
    }
  }

  int cols_, rank_;
};

namespace detail {

template <class T, class Shape, class Body>
__global__ void __launch_bounds__(Shape::block, Shape::resident)
    row_kernel(Body body, Index rows, Index cols) {
  RowGroup<T, Shape> group(cols);
  for (Index row = group.first_row(); row < rows; row += group.row_step()) body(group, row);
}

}  // namespace detail

/// Calls enqueue.template operator()<Shape>() with the shape for rows of `cols` columns. `wide`:
/// every matrix touched has rows on 16 bytes. A double takes two registers, so long rows of them are
/// split finer where they can be.
template <class T, class Enqueue>
Status with_row_shape(Index cols, bool wide, Enqueue enqueue) {
  if (cols > kMostColumns) return invalid(kTooManyColumns);
  if (cols > 8192) return enqueue.template operator()<RowShape<1024, 16, false>>();
  if (!wide) {
    if (cols <= 512) return enqueue.template operator()<RowShape<32, 16, false>>();
    if (cols <= 2048) return enqueue.template operator()<RowShape<128, 16, false>>();
    return enqueue.template operator()<RowShape<512, 16, false>>();
  }
  if (cols <= 256) return enqueue.template operator()<RowShape<32, 8, true>>();
  if (cols <= 512) return enqueue.template operator()<RowShape<32, 16, true>>();
  if (cols <= 1024) return enqueue.template operator()<RowShape<64, 16, true>>();
  if (cols <= 2048) return enqueue.template operator()<RowShape<128, 16, true>>();
  if constexpr (sizeof(T) == 8)
    if (cols <= 4096) return enqueue.template operator()<RowShape<512, 8, true>>();
  return enqueue.template operator()<RowShape<512, 16, true>>();
}

/// Enqueues body(group, row) for every row.
template <class T, class Body>
Status for_each_row(Body body, Index rows, Index cols, bool wide, cudaStream_t stream) {
  if (rows == 0) return {};
  return with_row_shape<T>(cols, wide, [&]<class Shape>() {
    return launch(detail::row_kernel<T, Shape, Body>, blocks_for(rows, Shape::groups), Shape::block,
                  Shape::shared_bytes, stream, body, rows, cols);
  });
}

}  // namespace spheremix::gpu
