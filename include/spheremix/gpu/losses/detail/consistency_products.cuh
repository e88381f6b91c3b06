// The N x N sums of geometric consistency by the D x D products of formula::ConsistencyParts, linear in
// N; E for its D.
//
// Products in f32 (f64 for double rows) without tensor cores, traces in double; never the expanded
// form, which cancels.
//
// Memory   scratch: 16 N D and 16 D^2 bytes (twice that for double rows).
#pragma once

#include "spheremix/formula/geometric_consistency.hpp"
#include "spheremix/gpu/core/scratch.cuh"
#include "spheremix/gpu/core/view.cuh"
#include "spheremix/gpu/pairwise/products.cuh"
#include "spheremix/gpu/pairwise/rows.cuh"

namespace spheremix::gpu::losses::detail {

/// sum = x + y, difference = x - y.
template <class T>
struct SumDifferenceKernel {
  using A = Arithmetic<T>;
  static constexpr unsigned kThreads = 256, kResident = 8;
  static constexpr std::size_t kShared = 0;
  core::MatrixView<const T> x, y;
  A* sum;
  A* difference;
  __device__ void operator()() const {
    const Index k = Index(blockIdx.x) * kThreads + threadIdx.x;
    if (k >= x.rows * x.cols) return;
    const A a = widen(x(k / x.cols, k % x.cols)), b = widen(y(k / x.cols, k % x.cols));
    sum[k] = a + b;
    difference[k] = a - b;
  }
};

/// dx = ds + de, dy = ds - de, or that added.
template <class A>
struct CombineKernel {
  static constexpr unsigned kThreads = 256, kResident = 8;
  static constexpr std::size_t kShared = 0;
  const A* ds;
  const A* de;
  core::MatrixView<A> dx, dy;
  bool add;
  __device__ void operator()() const {
    const Index k = Index(blockIdx.x) * kThreads + threadIdx.x;
    if (k >= dx.rows * dx.cols) return;
    A &to_x = dx(k / dx.cols, k % dx.cols), &to_y = dy(k / dx.cols, k % dx.cols);
    to_x = (add ? to_x : A(0)) + (ds[k] + de[k]);
    to_y = (add ? to_y : A(0)) + (ds[k] - de[k]);
  }
};

/// partial[block] = sum of a[k] b[k].
template <class A>
struct DotKernel {
  static constexpr unsigned kThreads = 256, kResident = 8;
  static constexpr std::size_t kShared = kThreads / kWarp * sizeof(double);
  const A* a;
  const A* b;
  Index count;
  double* partial;
  __device__ void operator()() const {
    const Index k = Index(blockIdx.x) * kThreads + threadIdx.x;
    const double v = k < count ? double(a[k]) * double(b[k]) : 0;
    const double sum = pairwise::block_sum<kThreads>(v, reinterpret_cast<double*>(shared_memory()));
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
  }
};

/// *loss = F of `parts`, gradients of it; added where `add_*` says so.
template <class T>
void consistency(Work& work, const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                 const formula::ConsistencyParts& parts, double* loss, bool add_loss,
                 const core::MatrixView<Arithmetic<T>>& dx,
                 const core::MatrixView<Arithmetic<T>>& dy, bool add_gradients) {
  using A = Arithmetic<T>;
  using Tile = pairwise::ExactTile<A>;
  using Side = pairwise::ProductSide<Tile>;
  using Dot = DotKernel<A>;
  const Work::Part part(work);
  const Index n = x.rows, d = x.cols, blocks = pairwise::ceil_div(d * d, Dot::kThreads);
  const auto batch = [&] { return core::MatrixView<A>{work.take<A>(n * d), n, d, d}; };
  const auto table = [&] { return core::MatrixView<A>{work.take<A>(d * d), d, d, d}; };
  const core::MatrixView<A> s = batch(), e = batch(), ds = batch(), de = batch();
  const core::MatrixView<A> p = table(), q = table(), r = table(), rt = table();
  double* const first = work.take<double>(blocks);
  double* const second = work.take<double>(blocks);
  const auto product = [&](const Side& one, const Side& other) {
    pairwise::multiply(work, pairwise::KernelProducts{}, one, other);
  };

  using Split = SumDifferenceKernel<T>;
  pairwise::start(work, Split{x, y, s.data, e.data}, pairwise::ceil_div(n * d, Split::kThreads));
  product({s.data, d, true, s, p, 1, false}, {e.data, d, true, e, q, 1, false});
  if (parts.crosses())
    product({s.data, d, true, e, r, 1, false}, {e.data, d, true, s, rt, 1, false});
  pairwise::start(work, Dot{p.data, q.data, d * d, first}, blocks);
  if (parts.crosses()) pairwise::start(work, Dot{r.data, rt.data, d * d, second}, blocks);
  pairwise::ReduceKernel reduce{}, more{};
  reduce.sum[0] = {first, blocks, parts.alpha * parts.each, loss, add_loss};
  more.sum[0] = {second, blocks, parts.beta * parts.each, loss, true};
  pairwise::start(work, reduce, 1);
  if (parts.crosses()) pairwise::start(work, more, 1);
  if (!dx.data) return;
  const A a = A(parts.straight()), b = A(parts.crossed());
  product({s.data, d, false, q, ds, a, false}, {e.data, d, false, p, de, a, false});
  if (parts.crosses())
    product({e.data, d, false, r, ds, b, true}, {s.data, d, false, rt, de, b, true});
  using Combine = CombineKernel<A>;
  pairwise::start(work, Combine{ds.data, de.data, dx, dy, add_gradients},
                  pairwise::ceil_div(n * d, Combine::kThreads));
}

}  // namespace spheremix::gpu::losses::detail
