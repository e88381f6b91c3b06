// The random parts of a mixup batch on the device: lambda ~ Beta(a, b), partner maps, and rows by
// partner.
//
//   flip_partners     i -> n - 1 - i
//   random_partners   a uniform permutation, the order of Philox keys (equal keys by index), sorted
//                     by CUB: the same integers as the CPU's
//   gather_rows       out_i = x_{partner_i}
//
// Draw i depends on (seed, step, i) only; each random call takes one step of `rng` on the host, so
// a captured graph draws the same numbers at every replay. Beta's random integers are the CPU's;
// its value differs from the CPU's by the rounding of log, exp, sin and cos in double, at most
// 450 ulp (1e-13 of it) by the tests, and is then rounded to A: at most one ulp of float.
// Partners without fixed points: derangement.cuh.
//
// Errors   a, b not positive and finite, null pointers, scratch too small.
#pragma once

#include <cmath>

#include "spheremix/core/philox.hpp"
#include "spheremix/gpu/core/rows.cuh"
#include "spheremix/gpu/core/work.cuh"
#include "spheremix/math/beta.hpp"
#include "spheremix/math/permutation.hpp"
#if !defined(SPHEREMIX_EMULATOR)
#include <cub/device/device_radix_sort.cuh>
#endif

namespace spheremix::gpu::mixup {

namespace detail {

inline constexpr int kThreads = 128;

template <class A>
__global__ void __launch_bounds__(kThreads)
    beta_kernel(double a, double b, std::uint64_t seed, std::uint32_t step, A* out, Index n) {
  for (Index i = Index(blockIdx.x) * kThreads + threadIdx.x; i < n;
       i += Index(gridDim.x) * kThreads) {
    core::PhiloxStream stream(seed, step, std::uint64_t(i));
    out[i] = A(math::beta_draw(a, b, stream));
  }
}

template <int>
__global__ void __launch_bounds__(kThreads)
    key_kernel(std::uint64_t seed, std::uint32_t step, std::uint64_t* keys, Index* items, Index n) {
  for (Index i = Index(blockIdx.x) * kThreads + threadIdx.x; i < n;
       i += Index(gridDim.x) * kThreads) {
    keys[i] = math::permutation_key(seed, step, std::uint64_t(i));
    items[i] = i;
  }
}

template <int>
__global__ void __launch_bounds__(kThreads) flip_kernel(Index* partners, Index n) {
  for (Index i = Index(blockIdx.x) * kThreads + threadIdx.x; i < n;
       i += Index(gridDim.x) * kThreads)
    partners[i] = n - 1 - i;
}

template <class T>
struct GatherRow {
  View<const T> x;
  const Index* partners;
  View<T> out;

  template <class Group>
  __device__ void operator()(const Group& group, Index row) const {
    typename Group::Values a;
    group.load(x, partners[row], a);
    group.store(out, row, a);
  }
};

}  // namespace detail

/// Enqueues n draws of Beta(a, b), a float or double each.
template <class A>
Status beta(double a, double b, core::Philox& rng, A* out, Index n, cudaStream_t stream = nullptr) {
  static_assert(std::is_same_v<A, float> || std::is_same_v<A, double>);
  if (!(a > 0 && a <= core::largest<double> && b > 0 && b <= core::largest<double>))
    return invalid("beta: a and b must be positive and finite");
  if (n < 0 || (n > 0 && !out)) return invalid("beta: n is negative or the pointer null");
  const std::uint32_t step = rng.take_step();
  if (n == 0) return {};
  return launch(detail::beta_kernel<A>, blocks_for(n, detail::kThreads), detail::kThreads, 0,
                stream, a, b, rng.seed(), step, out, n);
}

/// Enqueues partners[i] = n - 1 - i.
inline Status flip_partners(Index* partners, Index n, cudaStream_t stream = nullptr) {
  if (n < 0 || (n > 0 && !partners))
    return invalid("flip_partners: n is negative or the pointer null");
  if (n == 0) return {};
  return launch(detail::flip_kernel<0>, blocks_for(n, detail::kThreads), detail::kThreads, 0,
                stream, partners, n);
}

/// Enqueues a uniform random permutation of 0 .. n - 1.
inline Status random_partners(core::Philox& rng, Index* partners, Index n, Scratch scratch,
                              cudaStream_t stream = nullptr) {
  if (n < 0 || (n > 0 && !partners))
    return invalid("random_partners: n is negative or the pointer null");
  const std::uint32_t step = scratch.needed ? 0 : rng.take_step();  // counting draws nothing
  if (n == 0) return {};
  return enqueue(
      scratch, stream,
      [&](Work& work) {
        auto* const keys = work.take<std::uint64_t>(n);
        auto* const sorted = work.take<std::uint64_t>(n);
        auto* const items = work.take<Index>(n);
        const std::uint64_t* const from_keys = keys;
        const Index* const from_items = items;
        work.launch(detail::key_kernel<0>, blocks_for(n, detail::kThreads), detail::kThreads, 0,
                    rng.seed(), step, keys, items, n);
        work.library([&](void* storage, std::size_t& bytes, cudaStream_t on) {
          return cub::DeviceRadixSort::SortPairs(storage, bytes, from_keys, sorted, from_items,
                                                 partners, n, 0, 64, on);
        });
      },
      "random_partners: the scratch is too small");
}

/// Enqueues out_i = x_{partners[i]}. partners: out.rows indices of rows of X, in device memory. Not
/// in place.
template <class T>
Status gather_rows(Input<T> x, const Index* partners, View<T> out, cudaStream_t stream = nullptr) {
  if (x.cols != out.cols) return invalid("gather_rows: the matrices differ in columns");
  if (core::overlap(x, out)) return invalid("gather_rows: the output overlaps the input");
  if (!gpu::detail::sound(x))
    return invalid("gather_rows: a null pointer or a leading dimension below the columns");
  gpu::detail::RowCheck check(SPHEREMIX_ROW_TEXTS("gather_rows"), out.rows, out.cols);
  if (const Status bad = check.output(out).vector(partners).status(); !bad.ok()) return bad;
  return for_each_row<T>(detail::GatherRow<T>{x, partners, out}, out.rows, out.cols,
                         check.wide() && gpu::detail::rows_on_16_bytes(x), stream);
}

}  // namespace spheremix::gpu::mixup
