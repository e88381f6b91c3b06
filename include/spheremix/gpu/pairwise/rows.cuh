// What is done once a row, before, between and after the sweeps. All sums in a fixed order.
//
//   FinishKernel      statistics -> log-sum-exps, weights of the positives, the loss
//   PositivesKernel   adds the positives' part to the gradients;
//                     sum_i x_i . dX_i = -dL/d log temperature
//   ReduceKernel      adds up partial sums
//
// With u_i = lse_{others of i} - z_i, z_i the positive's logit,
//
//   loss of the row          softplus(u_i)
//   log-sum-exp              z_i + softplus(u_i)
//   weight of the positive   -(sum of the others' weights) = -sigmoid(u_i)
//
// Nothing cancels however small the loss.
#pragma once

#include <cmath>

#include "spheremix/core/view.hpp"
#include "spheremix/formula/softmax_line.hpp"
#include "spheremix/gpu/core/view.cuh"
#include "spheremix/gpu/pairwise/block_sums.cuh"

namespace spheremix::gpu::pairwise {

/// One direction of one row: from (maximum, sum) of the others and the positive's logit, all
/// base 2.
template <class T>
struct RowOutcome {
  T loss;  ///< nats
  RowPair<T> kept;

  /// `decoupled`: the positive is no part of the denominator.
  __device__ RowOutcome(RowPair<T> others, T z, bool decoupled = false) {
    constexpr T kLn2 = T(0.693147180559945309417L);
    const T lse = others.a + std::log2(others.b);
    // z - z: a row with an infinity must not pass, whatever sign its cosines have.
    if (decoupled) {
      loss = (lse - z + (z - z)) * kLn2;
      kept = {lse, T(-1)};
      return;
    }
    const T top = larger(others.b == 0 ? z : others.a, z), e = std::exp2(z - top);
    const T rest = others.b == 0 ? T(0) : others.b * std::exp2(others.a - top);
    const bool best = z == top;
    const formula::SoftmaxLine<T> line{best ? rest : rest + e, best};
    loss = line.surprise(kLn2 * (top - z)) + (z - z);
    kept = {z + loss / kLn2, line.slope(best, e, 1, 1)};
  }
};

template <class T>
struct FinishKernel {
  static constexpr unsigned kThreads = 128, kResident = 8, kWarps = kThreads / kWarp;
  static constexpr std::size_t kShared = 2 * kWarps * sizeof(double);

  Index count;
  const T* positives;  ///< cosines
  T scale;             ///< logit (base 2) of cosine 1
  RowPair<T>* rows;    ///< nullptr: none
  RowPair<T>* cols;
  double row_weight, col_weight;
  double* partial;  ///< one a block
  bool decoupled = false;
  T margin = 0;              ///< off the positives' cosines
  double* slopes = nullptr;  ///< sum of dL/dz of the positives in nats, one a block; nullptr: none

  __device__ void operator()() const {
    const Index i = Index(blockIdx.x) * kThreads + threadIdx.x;
    double loss = 0, slope = 0;
    if (i < count) {
      const T z = scale * (positives[i] - margin);
      if (rows) {
        const RowOutcome<T> outcome(rows[i], z, decoupled);
        loss += row_weight * double(outcome.loss);
        slope += row_weight * double(outcome.kept.b);
        rows[i] = outcome.kept;
      }
      if (cols) {
        const RowOutcome<T> outcome(cols[i], z, decoupled);
        loss += col_weight * double(outcome.loss);
        slope += col_weight * double(outcome.kept.b);
        cols[i] = outcome.kept;
      }
    }
    double* const shared = reinterpret_cast<double*>(shared_memory());
    loss = block_sum<kThreads>(loss, shared);
    if (threadIdx.x == 0) partial[blockIdx.x] = loss;
    if (!slopes) return;
    slope = block_sum<kThreads>(slope, shared + kWarps);
    if (threadIdx.x == 0) slopes[blockIdx.x] = slope;
  }
};

/// dX_i = factor dX_i + g_i y_i, dY_i = factor dY_i + g_i x_i with
/// g_i = row_weight rows[i].b + col_weight cols[i].b; one warp a row.
template <class Input>
struct PositivesKernel {
  using T = Arithmetic<Input>;
  static constexpr unsigned kThreads = 128, kResident = 8, kRowsEach = kThreads / kWarp;
  static constexpr std::size_t kShared = kRowsEach * sizeof(double);

  core::MatrixView<const Input> x, y;
  const RowPair<T>* rows;
  const RowPair<T>* cols;
  double row_weight, col_weight;  ///< scale of the logits included
  core::MatrixView<T> dx, dy;
  double* partial;            ///< sum of x_i . dX_i, one a block
  const T* factor = nullptr;  ///< of what dX and dY hold; none: 1
  bool wide = false;          ///< every row of the four on 16 bytes, columns a multiple of 4
  static constexpr int kPiece = 4;

  __device__ void operator()() const {
    const Index i = Index(blockIdx.x) * kRowsEach + threadIdx.x / kWarp;
    double along = 0;
    if (i < x.rows) {
      T g = 0;
      if (rows) g += T(row_weight) * rows[i].b;
      if (cols) g += T(col_weight) * cols[i].b;
      const T keep = factor ? *factor : T(1);
      const Index lane = threadIdx.x % kWarp;
      if (wide) {
        for (Index k = lane * kPiece; k < x.cols; k += kWarp * kPiece) {
          Input a[kPiece], b[kPiece];
          T to_x[kPiece], to_y[kPiece];
          load_piece(x.row(i) + k, a);
          load_piece(y.row(i) + k, b);
          load_piece<kPiece, T>(dx.row(i) + k, to_x);
          load_piece<kPiece, T>(dy.row(i) + k, to_y);
          SPHEREMIX_UNROLL
          for (int e = 0; e < kPiece; ++e)
            along += add(keep, g, widen(a[e]), widen(b[e]), to_x[e], to_y[e]);
          store_piece(dx.row(i) + k, to_x);
          store_piece(dy.row(i) + k, to_y);
        }
      } else {
        for (Index k = lane; k < x.cols; k += kWarp)
          along += add(keep, g, widen(x(i, k)), widen(y(i, k)), dx(i, k), dy(i, k));
      }
    }
    along = block_sum<kThreads>(along, reinterpret_cast<double*>(shared_memory()));
    if (threadIdx.x == 0) partial[blockIdx.x] = along;
  }

 private:
  /// One component of both gradients; its part of x_i . dX_i.
  __device__ static double add(T keep, T g, T a, T b, T& to_x, T& to_y) {
    to_x = keep * to_x + g * b;
    to_y = keep * to_y + g * a;
    return double(a) * double(to_x);
  }
};

/// Whether PositivesKernel may move pieces.
template <class Input, class T>
bool pieces_fit(const core::MatrixView<const Input>& x, const core::MatrixView<const Input>& y,
                const core::MatrixView<T>& dx, const core::MatrixView<T>& dy) {
  using gpu::detail::rows_on_16_bytes;
  return x.cols % 4 == 0 && rows_on_16_bytes(x) && rows_on_16_bytes(y) && rows_on_16_bytes(dx) &&
         rows_on_16_bytes(dy);
}

/// sum of x_i . dX_i, one a block; one warp a row.
template <class Input>
struct AlongKernel {
  using T = Arithmetic<Input>;
  static constexpr unsigned kThreads = 128, kResident = 8, kRowsEach = kThreads / kWarp;
  static constexpr std::size_t kShared = kRowsEach * sizeof(double);

  core::MatrixView<const Input> x;
  core::MatrixView<const T> dx;
  double* partial;

  __device__ void operator()() const {
    const Index i = Index(blockIdx.x) * kRowsEach + threadIdx.x / kWarp;
    double along = 0;
    if (i < x.rows)
      for (Index k = threadIdx.x % kWarp; k < x.cols; k += kWarp)
        along += double(widen(x(i, k))) * double(dx(i, k));
    along = block_sum<kThreads>(along, reinterpret_cast<double*>(shared_memory()));
    if (threadIdx.x == 0) partial[blockIdx.x] = along;
  }
};

/// *out = factor * (sum of partial), or that added to *out. One block a sum.
struct ReduceKernel {
  static constexpr unsigned kThreads = 256, kResident = 4;
  static constexpr std::size_t kShared = kThreads / kWarp * sizeof(double);

  struct Sum {
    const double* partial;
    Index count;
    double factor;
    double* out;
    bool accumulate = false;
  };
  Sum sum[3];

  __device__ void operator()() const {
    const Sum s = sum[blockIdx.x];
    double v = 0;
    for (Index k = threadIdx.x; k < s.count; k += kThreads) v += s.partial[k];
    v = block_sum<kThreads>(v, reinterpret_cast<double*>(shared_memory())) * s.factor;
    if (threadIdx.x == 0) *s.out = s.accumulate ? *s.out + v : v;
  }
};

}  // namespace spheremix::gpu::pairwise
