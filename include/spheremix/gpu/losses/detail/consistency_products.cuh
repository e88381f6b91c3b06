// The N x N sums of geometric consistency by D x D products, linear in N. With S = X + Y and
// E = X - Y:
//
//   P = S^T S,  Q = E^T E,  R = S^T E
//   sum_jk  c (x_j.y_k - x_k.y_j)^2 + w (x_j.x_k - y_j.y_k)^2
//           = ((c + w) tr PQ + (w - c) tr RR) / 2
//   dS = (c + w) S Q + (w - c) E R,   dE = (c + w) E P + (w - c) S R^T
//   dX = dS + dE,  dY = dS - dE
//
// Products in f32 (f64 for double rows) without tensor cores, traces in double; never the expanded
// form, which cancels.
//
// Memory   scratch: 16 N D and 16 D^2 bytes (twice that for double rows).
#pragma once

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

struct ConsistencyWeights {
  double cross, in_modal;
};

/// *loss = (1/n) of the sum above, gradients of it; added where `add_*` says so.
template <class T>
void consistency(Work& work, const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                 const ConsistencyWeights& weights, double* loss, bool add_loss,
                 const core::MatrixView<Arithmetic<T>>& dx,
                 const core::MatrixView<Arithmetic<T>>& dy, bool add_gradients) {
  using A = Arithmetic<T>;
  using Tile = pairwise::ExactTile<A>;
  using Side = pairwise::ProductSide<Tile>;
  using Dot = DotKernel<A>;
  const Work::Part part(work);
  const Index n = x.rows, d = x.cols, blocks = pairwise::ceil_div(d * d, Dot::kThreads);
  const double plus = weights.cross + weights.in_modal, minus = weights.in_modal - weights.cross;
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
  if (minus != 0) product({s.data, d, true, e, r, 1, false}, {e.data, d, true, s, rt, 1, false});
  pairwise::start(work, Dot{p.data, q.data, d * d, first}, blocks);
  if (minus != 0) pairwise::start(work, Dot{r.data, rt.data, d * d, second}, blocks);
  pairwise::ReduceKernel reduce{}, more{};
  reduce.sum[0] = {first, blocks, plus / (2 * double(n)), loss, add_loss};
  more.sum[0] = {second, blocks, minus / (2 * double(n)), loss, true};
  pairwise::start(work, reduce, 1);
  if (minus != 0) pairwise::start(work, more, 1);
  if (!dx.data) return;
  const A a = A(plus / double(n)), b = A(minus / double(n));
  product({s.data, d, false, q, ds, a, false}, {e.data, d, false, p, de, a, false});
  if (minus != 0) product({e.data, d, false, r, ds, b, true}, {s.data, d, false, rt, de, b, true});
  using Combine = CombineKernel<A>;
  pairwise::start(work, Combine{ds.data, de.data, dx, dy, add_gradients},
                  pairwise::ceil_div(n * d, Combine::kThreads));
}

}  // namespace spheremix::gpu::losses::detail
