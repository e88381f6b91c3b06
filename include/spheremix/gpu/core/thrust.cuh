// Thrust over views, for programs that check, fill, convert, compare or order batches on the device.
// Part of the convenience above the core (with matrix.cuh): what returns a value waits for it, and
// errors are thrown. What only writes is enqueued by par_nosync and does not wait.
//
//   gpu::ThrustMemory memory;                        // kept: nothing is allocated from the second call on
//   gpu::expect_finite("train", x.view(), memory);   // "train: row 17 holds NaN or infinity"
//   gpu::copy_rows(x.view(), half.view(), memory);   // rounds to the nearest
//
// The same code runs on Thrust's host back end: -DTHRUST_DEVICE_SYSTEM=THRUST_DEVICE_SYSTEM_CPP.
#pragma once

#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/sequence.h>
#include <thrust/sort.h>
#include <thrust/transform_reduce.h>

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "spheremix/gpu/core/matrix.cuh"

#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA
#include <thrust/system/cuda/execution_policy.h>
#else
#include <thrust/system/cpp/execution_policy.h>
#endif

namespace spheremix::gpu {

/// The workspace of Thrust's calls on one stream, as an allocator: pieces of one block that grows to
/// what a call needs and is then reused.
class ThrustMemory {
 public:
  using value_type = char;

  char* allocate(std::ptrdiff_t bytes) {
    const std::size_t need = scratch_rounded(std::size_t(bytes > 0 ? bytes : 1));
    ++live_;
    if (used_ + need <= memory_.bytes()) {
      char* const here = static_cast<char*>(memory_.data()) + used_;
      used_ += need;
      return here;
    }
    more_.emplace_back(need);
    wanted_ += need;
    return static_cast<char*>(more_.back().data());
  }

  /// Room is given back once the last piece is: then one block replaces several.
  void deallocate(char*, std::size_t) {
    if (--live_ > 0) return;
    const std::size_t all = used_ + wanted_;
    used_ = wanted_ = 0;
    if (more_.empty()) return;
    more_.clear();  // cudaFree waits for what still uses them
    memory_.reserve(all);
  }

  std::size_t bytes() const { return memory_.bytes(); }

 private:
  Memory memory_;
  std::vector<Memory> more_;
  std::size_t used_ = 0, wanted_ = 0, live_ = 0;
};

namespace detail {

/// Where Thrust runs: on the stream without waiting, or on the host.
inline auto thrust_policy(ThrustMemory& memory, [[maybe_unused]] cudaStream_t stream) {
#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA
  return thrust::cuda::par_nosync(memory).on(stream);
#else
  return thrust::cpp::par(memory);
#endif
}

/// Element k of the rows one after another.
template <class T>
__host__ __device__ T& element(View<T> m, Index k) {
  return m(k / m.cols, k % m.cols);
}

template <class T>
struct FillElement {
  View<T> m;
  T value;
  __host__ __device__ void operator()(Index k) const { element(m, k) = value; }
};

template <class From, class To>
struct CopyElement {
  View<const From> from;
  View<To> to;
  __host__ __device__ void operator()(Index k) const {
    element(to, k) = narrow<To>(Arithmetic<To>(widen(element(from, k))));
  }
};

/// The row of element k where it is not finite, else `none`.
template <class T>
struct UnusableRow {
  View<const T> m;
  Index none;
  __host__ __device__ Index operator()(Index k) const {
    const auto x = widen(element(m, k));
    return x - x == 0 ? none : k / m.cols;
  }
};
struct Least {
  __host__ __device__ Index operator()(Index a, Index b) const { return a < b ? a : b; }
};

template <class A, class B>
struct Difference {
  View<const A> a;
  View<const B> b;
  __host__ __device__ double operator()(Index k) const {
    return std::abs(double(widen(element(a, k))) - double(widen(element(b, k))));
  }
};
/// The larger; a NaN wins.
struct Largest {
  __host__ __device__ double operator()(double a, double b) const {
    return a > b || a != a ? a : b;
  }
};

inline thrust::counting_iterator<Index> counted(Index k) {
  return thrust::counting_iterator<Index>(k);
}

template <class... M>
void expect_views(const char* function, Index rows, Index cols, View<M>... views) {
  if (((views.rows != rows || views.cols != cols) || ...))
    throw std::invalid_argument(std::string(function) + ": the matrices differ in shape");
  if ((!sound(views) || ...))
    throw std::invalid_argument(std::string(function) +
                                ": a null pointer or a leading dimension below the columns");
}

}  // namespace detail

/// Enqueues m(i, j) = value.
template <class T>
void fill(View<T> m, double value, ThrustMemory& memory, cudaStream_t stream = nullptr) {
  detail::expect_views("fill", m.rows, m.cols, m);
  thrust::for_each(detail::thrust_policy(memory, stream), detail::counted(0),
                   detail::counted(m.rows * m.cols),
                   detail::FillElement<T>{m, narrow<T>(Arithmetic<T>(value))});
}

/// Enqueues to(i, j) = from(i, j), rounded to the storage type of `to`.
template <class From, class To>
void copy_rows(View<From> from, View<To> to, ThrustMemory& memory, cudaStream_t stream = nullptr) {
  detail::expect_views("copy_rows", to.rows, to.cols, from, to);
  thrust::for_each(detail::thrust_policy(memory, stream), detail::counted(0),
                   detail::counted(to.rows * to.cols),
                   detail::CopyElement<std::remove_const_t<From>, To>{from, to});
}

/// The first row with NaN or infinity; the number of rows where there is none. Waits.
template <class T>
[[nodiscard]] Index first_unusable_row(View<T> m, ThrustMemory& memory,
                                       cudaStream_t stream = nullptr) {
  detail::expect_views("first_unusable_row", m.rows, m.cols, m);
  return thrust::transform_reduce(
      detail::thrust_policy(memory, stream), detail::counted(0), detail::counted(m.rows * m.cols),
      detail::UnusableRow<std::remove_const_t<T>>{m, m.rows}, m.rows, detail::Least{});
}

/// Throws std::invalid_argument "name: row 3 holds NaN or infinity". Waits.
template <class T>
void expect_finite(const char* name, View<T> m, ThrustMemory& memory,
                   cudaStream_t stream = nullptr) {
  const Index row = first_unusable_row(m, memory, stream);
  if (row < m.rows)
    throw std::invalid_argument(std::string(name) + ": row " + std::to_string(row) +
                                " holds NaN or infinity");
}

/// The largest |a(i, j) - b(i, j)|, 0 for none; NaN where a difference is. Waits.
template <class A, class B>
[[nodiscard]] double largest_difference(View<A> a, View<B> b, ThrustMemory& memory,
                                        cudaStream_t stream = nullptr) {
  detail::expect_views("largest_difference", a.rows, a.cols, a, b);
  using Body = detail::Difference<std::remove_const_t<A>, std::remove_const_t<B>>;
  return thrust::transform_reduce(detail::thrust_policy(memory, stream), detail::counted(0),
                                  detail::counted(a.rows * a.cols), Body{a, b}, 0.0,
                                  detail::Largest{});
}

/// Enqueues the order of n numbers, smallest first, equal ones by index; `values` is sorted as well.
template <class A>
void sort_with_order(A* values, Index* order, Index n, ThrustMemory& memory,
                     cudaStream_t stream = nullptr) {
  if (n < 0 || (n > 0 && (!values || !order)))
    throw std::invalid_argument("sort_with_order: n is negative or a pointer null");
  const auto policy = detail::thrust_policy(memory, stream);
  thrust::sequence(policy, order, order + n);
  thrust::stable_sort_by_key(policy, values, values + n, order);
}

}  // namespace spheremix::gpu
