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

template <class T>
std::size_t consistency_bytes(Index n, Index d) {
  using A = Arithmetic<T>;
  return 4 * scratch_bytes<A>(std::size_t(n * d)) + 4 * scratch_bytes<A>(std::size_t(d * d)) +
         2 * scratch_bytes<double>(std::size_t(pairwise::ceil_div(d * d, 256)));
}

/// *loss = (1/n) of the sum above, gradients of it; added where `add_*` says so.
template <class T>
Status consistency(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                   const ConsistencyWeights& weights, double* loss, bool add_loss,
                   const core::MatrixView<Arithmetic<T>>& dx,
                   const core::MatrixView<Arithmetic<T>>& dy, bool add_gradients, Scratch scratch,
                   cudaStream_t stream) {
  using A = Arithmetic<T>;
  using Tile = pairwise::ExactTile<A>;
  using Side = pairwise::ProductSide<Tile>;
  if (const Status held = scratch_status(scratch, consistency_bytes<T>(x.rows, x.cols)); !held)
    return held;
  const Index n = x.rows, d = x.cols, blocks = pairwise::ceil_div(d * d, 256);
  const std::size_t all = std::size_t(n * d), square = std::size_t(d * d);
  const double plus = weights.cross + weights.in_modal, minus = weights.in_modal - weights.cross;
  ScratchFrame frame(scratch);
  A *const s = frame.take<A>(all), *const e = frame.take<A>(all);
  A *const ds = frame.take<A>(all), *const de = frame.take<A>(all);
  A *const p = frame.take<A>(square), *const q = frame.take<A>(square);
  A *const r = frame.take<A>(square), *const rt = frame.take<A>(square);
  double *const first = frame.take<double>(std::size_t(blocks)), *const second = frame.take<double>(
                                                                     std::size_t(blocks));
  const core::MatrixView<const A> rows_s{s, n, d, d}, rows_e{e, n, d, d};
  const auto table = [&](A* m) { return core::MatrixView<A>{m, d, d, d}; };
  const auto whole = [&](A* m) { return core::MatrixView<A>{m, n, d, d}; };
  const pairwise::KernelProducts products;

  using Split = SumDifferenceKernel<T>;
  Status status =
      pairwise::start(Split{x, y, s, e}, pairwise::ceil_div(n * d, Split::kThreads), stream);
  if (status)
    status = products(Side{s, d, true, rows_s, table(p), 1, false},
                      Side{e, d, true, rows_e, table(q), 1, false}, stream);
  if (status && minus != 0)
    status = products(Side{s, d, true, rows_e, table(r), 1, false},
                      Side{e, d, true, rows_s, table(rt), 1, false}, stream);
  using Dot = DotKernel<A>;
  if (status) status = pairwise::start(Dot{p, q, d * d, first}, blocks, stream);
  if (status && minus != 0) status = pairwise::start(Dot{r, rt, d * d, second}, blocks, stream);
  pairwise::ReduceKernel reduce{}, more{};
  reduce.sum[0] = {first, blocks, plus / (2 * double(n)), loss, add_loss};
  more.sum[0] = {second, blocks, minus / (2 * double(n)), loss, true};
  if (status) status = pairwise::start(reduce, 1, stream);
  if (status && minus != 0) status = pairwise::start(more, 1, stream);
  if (!status || !dx.data) return status;
  const A a = A(plus / double(n)), b = A(minus / double(n));
  status = products(Side{s, d, false, table(q), whole(ds), a, false},
                    Side{e, d, false, table(p), whole(de), a, false}, stream);
  if (status && minus != 0)
    status = products(Side{e, d, false, table(r), whole(ds), b, true},
                      Side{s, d, false, table(rt), whole(de), b, true}, stream);
  using Combine = CombineKernel<A>;
  if (!status) return status;
  return pairwise::start(Combine{ds, de, dx, dy, add_gradients},
                         pairwise::ceil_div(n * d, Combine::kThreads), stream);
}

}  // namespace spheremix::gpu::losses::detail
