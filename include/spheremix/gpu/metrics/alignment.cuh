// alignment on the device: formula and options in formula/alignment.hpp.
//
// Distances are summed from differences in double, so near-duplicates keep all digits.
//
// Shapes   X, Y, gradients: N x d of one storage type, d <= 16384. The value is one double in device
//          memory.
// Errors   shapes, N = 0, alpha not positive and finite. NaN in a row gives a NaN value and a NaN
//          gradient row.
#pragma once

#include <cmath>

#include "spheremix/formula/alignment.hpp"
#include "spheremix/gpu/core/device_sum.cuh"
#include "spheremix/gpu/core/rows.cuh"

namespace spheremix::gpu::metrics {

using spheremix::metrics::AlignmentOptions;

/// In device memory, gradients in the type of the rows.
template <class T>
using AlignmentGradient = spheremix::metrics::AlignmentGradient<View<T>>;

namespace detail {

/// |x - y|^alpha and d/dx of it, outer (x - y) / by, from the square of the distance. For alpha = 2
/// the distance cancels.
struct PairPower {
  double value, outer, by;
  __device__ PairPower(double square, double alpha) {
    const double r = std::sqrt(square);
    value = alpha == 2 ? square : formula::alignment_power(alpha, r);
    outer = formula::alignment_slope(alpha, 1, r);
    by = alpha == 2 || r == 0 ? 1 : r;
  }
};

/// The share of one pair, and its gradient where wanted.
template <class T, bool Gradient>
struct AlignmentRow {
  View<const T> x, y;
  View<T> dx, dy;
  double alpha, n;
  double* shares;

  template <class Group>
  __device__ void operator()(const Group& group, Index row) const {
    using A = Arithmetic<T>;
    typename Group::Values a, b;
    group.load(x, row, a);
    group.load(y, row, b);
    double squares[1] = {0};
    SPHEREMIX_UNROLL
    for (int k = 0; k < Group::slots; ++k) {
      const double d = double(a[k]) - double(b[k]);
      squares[0] += d * d;
    }
    group.sum(squares);
    const PairPower power(squares[0], alpha);
    if (group.leads()) shares[row] = power.value / n;
    if constexpr (Gradient) {
      SPHEREMIX_UNROLL
      for (int k = 0; k < Group::slots; ++k) {
        a[k] = A(power.outer / n * ((double(a[k]) - double(b[k])) / power.by));
        b[k] = -a[k];
      }
      group.store(dx, row, a);
      group.store(dy, row, b);
    }
  }
};

inline Status check_alignment(Index n, AlignmentOptions options) {
  if (n <= 0) return invalid("alignment: the mean over no rows is undefined");
  if (!(options.alpha > 0 && options.alpha <= core::largest<double>))
    return invalid("alignment: alpha must be positive and finite");
  return {};
}

template <bool Gradient, class T>
Status alignment(View<const T> x, View<const T> y, AlignmentOptions options, double* value,
                 View<T> dx, View<T> dy, Scratch scratch, cudaStream_t stream) {
  if (const Status bad = check_alignment(x.rows, options); !bad.ok()) return bad;
  gpu::detail::RowCheck check(SPHEREMIX_ROW_TEXTS("alignment"), x.rows, x.cols);
  check.input(x).input(y).vector(value);
  if constexpr (Gradient) check.output(dx, x, y).output(dy, x, y).apart(dx, dy);
  if (!check.status()) return check.status();
  return enqueue(
      scratch, stream,
      [&](Work& work) {
        double* const shares = work.take<double>(x.rows);
        work.then([&](cudaStream_t on) {
          return check.template run<T>(
              AlignmentRow<T, Gradient>{x, y, dx, dy, options.alpha, double(x.rows), shares}, on);
        });
        device_sum(work, shares, x.rows, value);
      },
      "alignment: the scratch is too small");
}

}  // namespace detail

/// Enqueues *value = alignment(X, Y).
template <class E>
Status alignment(View<E> x, Input<std::remove_const_t<E>> y, AlignmentOptions options,
                 double* value, Scratch scratch, cudaStream_t stream = nullptr) {
  using T = std::remove_const_t<E>;
  return detail::alignment<false, T>(x, y, options, value, {}, {}, scratch, stream);
}

/// Enqueues value and ambient gradients in one pass over the rows.
template <class T>
Status alignment_with_gradient(Input<T> x, Input<T> y, AlignmentOptions options,
                               AlignmentGradient<T> out, Scratch scratch,
                               cudaStream_t stream = nullptr) {
  return detail::alignment<true, T>(x, y, options, out.value, out.x, out.y, scratch, stream);
}

}  // namespace spheremix::gpu::metrics
