// Mixed rows m_j = geodesic mix of x_j and y_j with weight lambda_j on x_j, as keys of a table, and
// the way back of their gradient. One warp a row; math/arc.hpp's passes over rows that stay in the
// caches.
//
//   m = slerp(x, y, 1 - lambda)
//   dx += slerp's pullback of dm at x, dy likewise, dlambda = -theta k
//
// lambda 0 and 1 and x = y give the input's own bits; antipodal rows and lambda outside [0, 1] give
// NaN. Rows of 16 bits are made unit in f32 first.
#pragma once

#include "spheremix/gpu/core/view.cuh"
#include "spheremix/gpu/pairwise/pair_dot.cuh"
#include "spheremix/gpu/pairwise/rows.cuh"
#include "spheremix/math/arc_maps.hpp"

namespace spheremix::gpu::pairwise {

/// A pair of rows under one warp: unit components and the arc between them.
template <class Input>
struct MixedPair {
  using T = Arithmetic<Input>;
  const Input* x;
  const Input* y;
  Index cols;
  T x_scale = 1, y_scale = 1;

  __device__ T a(Index k) const { return x_scale * T(widen(x[k])); }
  __device__ T b(Index k) const { return y_scale * T(widen(y[k])); }

  __device__ math::Arc<T> arc() {
    const unsigned lane = threadIdx.x % kWarp;
    if constexpr (sizeof(Input) == 2) {
      T xx = 0, yy = 0;
      for (Index k = lane; k < cols; k += kWarp) {
        const T u = widen(x[k]), v = widen(y[k]);
        xx += u * u;
        yy += v * v;
      }
      x_scale = 1 / std::sqrt(warp_sum(xx));
      y_scale = 1 / std::sqrt(warp_sum(yy));
    }
    T dd = 0, ss = 0, ds = 0;
    for (Index k = lane; k < cols; k += kWarp) {
      const T d = b(k) - a(k), s = a(k) + b(k);
      dd += d * d;
      ss += s * s;
      ds += d * s;
    }
    math::ArcSums<T> sums(warp_sum(dd), warp_sum(ss), warp_sum(ds));
    while (sums.unsettled()) {  // the same in every lane
      sums.prepare();
      T hh = 0, hl = 0;
      for (Index k = lane; k < cols; k += kWarp) {
        const T d = b(k) - a(k), s = a(k) + b(k);
        const T shorter = sums.difference_is_shorter ? d : s,
                longer = sums.difference_is_shorter ? s : d;
        const T h = sums.scale * (shorter - sums.shift * longer);
        hh += h * h;
        hl += h * longer;
      }
      sums.refine(warp_sum(hh), warp_sum(hl));
    }
    return math::Arc<T>(sums);
  }
};

/// to[j - first] = the mix of row j of x with row pairing.to(j) of y, zeros after the last column.
template <class Input, class Operand, class Pairing = SameRow>
struct MixRowsKernel {
  using T = Arithmetic<Input>;
  static constexpr unsigned kThreads = 128, kResident = 4, kRowsEach = kThreads / kWarp;
  static constexpr std::size_t kShared = 0;

  core::MatrixView<const Input> x, y;
  RowScalar<T> lambda;
  Index first;
  core::MatrixView<Operand> to;
  Pairing pairing = {};

  __device__ void operator()() const {
    const Index at = Index(blockIdx.x) * kRowsEach + threadIdx.x / kWarp, j = first + at;
    if (at >= to.rows) return;
    MixedPair<Input> pair{x.row(j), y.row(pairing.to(j)), x.cols};
    const math::Arc<T> arc = pair.arc();
    const T weight = lambda(j);
    const bool sound = weight >= 0 && weight <= 1;
    math::ArcVector<T> m = math::arc_slerp(arc, 1 - weight);
    const bool is_x = weight == 1 || (sound && arc.coincident), is_y = weight == 0;
    for (Index k = threadIdx.x % kWarp; k < to.cols; k += kWarp) {
      T v = 0;
      if (k < x.cols) {
        const T a = pair.a(k), b = pair.b(k);
        v = is_x ? a : is_y ? b : sound ? m.s * (a + b) + m.d * (b - a) : core::nan<T>;
      }
      to(at, k) = narrow<Operand>(v);
    }
  }
};

/// For rows j of a strip of keys: dx_j += g_j y_j + pullback, dy_j += g_j x_j + pullback,
/// dlambda_j, and along = m_j . dm_j + g_j x_j . y_j; g_j the weight of the positive in both
/// directions together.
template <class Input, class Operand>
struct MixPullKernel {
  using T = Arithmetic<Input>;
  static constexpr unsigned kThreads = 128, kResident = 4, kRowsEach = kThreads / kWarp;
  static constexpr std::size_t kShared = kRowsEach * sizeof(double);

  core::MatrixView<const Input> x, y;
  RowScalar<T> lambda;
  Index first;
  core::MatrixView<const Operand> m;
  core::MatrixView<const T> dm;
  const RowPair<T>* rows;  ///< .b: weights of the positives
  const RowPair<T>* cols;
  double weight;
  core::MatrixView<T> dx, dy;
  double* dlambda;  ///< by row
  double* partial;  ///< along, by block of the whole table

  __device__ void operator()() const {
    const Index at = Index(blockIdx.x) * kRowsEach + threadIdx.x / kWarp, j = first + at;
    double along = 0;
    if (at < m.rows) {
      MixedPair<Input> pair{x.row(j), y.row(j), x.cols};
      const math::Arc<T> arc = pair.arc();
      const T g = T(weight) * (rows[j].b + cols[j].b);
      T gs = 0, gd = 0;
      for (Index k = threadIdx.x % kWarp; k < x.cols; k += kWarp) {
        const T a = pair.a(k), b = pair.b(k), v = dm(at, k);
        gs += v * (a + b);
        gd += v * (b - a);
        along += double(T(widen(m(at, k)))) * double(v) +
                 double(g) * double(widen(x(j, k))) * double(widen(y(j, k)));
      }
      gs = warp_sum(gs);
      gd = warp_sum(gd);
      const math::ArcGradient<T> pull = math::arc_slerp_vjp(arc, 1 - lambda(j), gs, gd);
      for (Index k = threadIdx.x % kWarp; k < x.cols; k += kWarp) {
        const T a = pair.a(k), b = pair.b(k), v = dm(at, k), s = a + b, d = b - a;
        dx(j, k) += g * T(widen(y(j, k))) + pull.g_a * v + pull.s_a * s + pull.d_a * d;
        dy(j, k) += g * T(widen(x(j, k))) + pull.g_b * v + pull.s_b * s + pull.d_b * d;
      }
      if (threadIdx.x % kWarp == 0) dlambda[j] = -double(pull.t);
    }
    along = block_sum<kThreads>(along, reinterpret_cast<double*>(shared_memory()));
    if (threadIdx.x == 0) partial[first / kRowsEach + blockIdx.x] = along;
  }
};

}  // namespace spheremix::gpu::pairwise
