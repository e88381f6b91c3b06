// What the device losses of logits with mixed labels share: a row's labels, its softmax with the
// labels apart from the rest, and the launch.
//
// With S the labels of a row and top the largest logit outside S,
//
//   E = sum over c outside S of e^(z_c - top),   log sum outside S = top + log E
//
// is the only work a class: everything that touches a label follows from top, E and the labels'
// own logits, once a row and in double. The terms at the largest logit are counted and never added
// to the others, so a dominant class keeps all the digits of the loss.
//
// Rows of up to 16384 classes are read once into registers (core/row_group.cuh); longer ones are
// read by a block three times.
#pragma once

#include <cmath>

#include "spheremix/formula/results.hpp"
#include "spheremix/gpu/core/device_sum.cuh"
#include "spheremix/gpu/core/rows.cuh"

namespace spheremix::gpu::losses {

/// In device memory, gradients in the type of the rows; any number but the loss may be null.
template <class T>
using MixedLabelGradient = spheremix::losses::MixedLabelGradient<View<T>>;

template <class T>
using LogitGradient = spheremix::losses::LogitGradient<View<T>>;

namespace detail {

/// Labels a, b with weights lambda, 1 - lambda; a alone with weight 1 where they are equal. A label
/// of weight 0 is not in the set: neither the first of its kind nor held.
struct TwoLabelRow {
  Index a, b;
  double lambda;

  __device__ int count() const { return a == b ? 1 : 2; }
  __device__ bool first(int c) const { return weight(c) > 0; }
  __device__ Index label(int c) const { return c == 0 ? a : b; }
  __device__ double weight(int c) const { return a == b ? 1 : c == 0 ? lambda : 1 - lambda; }
  __device__ bool holds(Index j) const {
    return (j == a && weight(0) > 0) || (j == b && weight(1) > 0);
  }
  __device__ bool sound(Index classes) const {
    return a >= 0 && a < classes && b >= 0 && b < classes && lambda >= 0 && lambda <= 1;
  }
};

template <class A>
struct TwoLabels {
  const Index* a;
  const Index* b;
  RowScalar<A> lambda;
  __device__ TwoLabelRow operator()(Index i) const { return {a[i], b[i], double(lambda(i))}; }
};

/// k labels with weights; those of equal labels are added up at the first of them.
template <class A>
struct KLabelRow {
  const Index* labels;
  const A* weights;
  int k;

  __device__ int count() const { return k; }
  __device__ Index label(int c) const { return labels[c]; }
  __device__ bool first(int c) const {
    for (int e = 0; e < c; ++e)
      if (labels[e] == labels[c]) return false;
    return weight(c) > 0;
  }
  __device__ double weight(int c) const {
    double sum = 0;
    for (int e = c; e < k; ++e)
      if (labels[e] == labels[c]) sum += double(weights[e]);
    return sum;
  }
  __device__ bool holds(Index j) const {
    for (int c = 0; c < k; ++c)
      if (labels[c] == j && weights[c] > 0) return true;
    return false;
  }
  __device__ bool sound(Index classes) const {
    for (int c = 0; c < k; ++c)
      if (!(labels[c] >= 0 && labels[c] < classes && weights[c] >= 0 &&
            weights[c] <= core::largest<A>))
        return false;
    return true;
  }
};

template <class A>
struct KLabels {
  View<const Index> labels;
  View<const A> weights;
  __device__ KLabelRow<A> operator()(Index i) const {
    return {labels.row(i), weights.row(i), int(labels.cols)};
  }
};

/// A row of logits in the registers of its group.
template <class T, class Group>
class LogitRow {
 public:
  using A = Arithmetic<T>;
  static constexpr bool kHeld = Group::slots > 1;

  __device__ LogitRow(const Group& group, View<const T> z, Index row, View<T> out)
      : group_(group), z_(z), out_(out), row_(row) {
    if constexpr (kHeld) group.load(z, row, values_);
  }

  /// f(j, v) for every class of this thread; what f leaves in v is there for the next call, held
  /// rows only.
  template <class F>
  __device__ void each(F f) {
    if constexpr (kHeld) {
      SPHEREMIX_UNROLL
      for (int k = 0; k < Group::slots; ++k)
        if (group_.column(k) < group_.cols()) f(Index(group_.column(k)), values_[k]);
    } else {
      for (Index j = group_.column(0); j < z_.cols; j += blockDim.x) {
        A v = widen(z_(row_, j));
        f(j, v);
      }
    }
  }

  /// The result of class j, by the thread that each() gave it to.
  __device__ void keep(Index j, A v) {
    if constexpr (!kHeld) out_(row_, j) = narrow<T>(v);
  }

  /// The result of class j by whoever owns it, after its keep().
  __device__ void set(Index j, A v) {
    if constexpr (kHeld) {
      SPHEREMIX_UNROLL
      for (int k = 0; k < Group::slots; ++k)
        if (group_.column(k) == j) values_[k] = v;
    } else if (j % Index(blockDim.x) == group_.column(0)) {
      out_(row_, j) = narrow<T>(v);
    }
  }

  /// Ends the row: what each() and set() left is stored.
  __device__ void store() {
    if constexpr (kHeld) group_.store(out_, row_, values_);
  }

 private:
  const Group& group_;
  View<const T> z_;
  View<T> out_;
  Index row_;
  A values_[Group::slots];
};

/// Where a loss of logits finds its rows and leaves its results.
template <class T>
struct LogitPlaces {
  View<const T> z;
  View<T> dz;       ///< data null: value only
  double* shares;   ///< each row's part of the loss
  double* dlambda;  ///< each row's dL/dlambda

  /// The row has no loss: NaN in all that is its own.
  template <class Row>
  __device__ void undefined(Row& row, Index i, bool leads) const {
    if (leads) {
      shares[i] = core::nan<double>;
      if (dz.data) dlambda[i] = core::nan<double>;
    }
    if (!dz.data) return;
    row.each([&](Index j, Arithmetic<T>& v) {
      v = core::nan<Arithmetic<T>>;
      row.keep(j, v);
    });
    row.store();
  }
};

/// Checks the rows, then enqueues body for each and the sums. `one_lambda`: where the sum of
/// dL/dlambda goes, or null; `each_lambda`: where those of the rows go, or null.
template <class T, class Body>
Status over_logits(gpu::detail::RowTexts texts, Body body, View<const T> z, View<T> dz,
                   bool gradient, double* loss, double* one_lambda, double* each_lambda,
                   Scratch scratch, cudaStream_t stream) {
  if (gradient && !dz.data) return invalid("no place for the gradient");
  gpu::detail::RowCheck check(texts, z.rows, z.cols);
  check.input(z).vector(loss);
  if (gradient) check.output(dz, z).apart(dz, z);
  if (!check.status().ok()) return check.status();
  if (z.rows < 1 || z.cols < 1) return invalid("there are no logits");
  return enqueue(scratch, stream, [&](Work& work) {
    double* const shares = work.take<double>(z.rows);
    double* const own = work.take<double>(z.rows);
    body.at = {z, gradient ? dz : View<T>{}, shares, each_lambda ? each_lambda : own};
    if (z.cols <= kMostColumns) {
      work.then(
          [&](cudaStream_t on) { return for_each_row<T>(body, z.rows, z.cols, check.wide(), on); });
    } else {
      using Long = RowShape<512, 1, false>;
      work.launch(gpu::detail::row_kernel<T, Long, Body>, blocks_for(z.rows, 1), Long::block,
                  Long::shared_bytes, body, z.rows, z.cols);
    }
    device_sum(work, shares, z.rows, loss);
    if (one_lambda) device_sum(work, body.at.dlambda, z.rows, one_lambda);
  });
}

/// What is wrong with two labels a row, or null.
template <class A>
const char* two_labels_error(const TwoLabels<A>& labels) {
  if (!labels.a || !labels.b) return "the labels are a null pointer";
  if (!labels.lambda.each && !(labels.lambda.all >= 0 && labels.lambda.all <= 1))
    return "lambda lies outside [0, 1]";
  return nullptr;
}

/// What is wrong with k labels for n rows, or null.
template <class A>
const char* k_labels_error(const KLabels<A>& s, Index n) {
  if (s.labels.rows != n || s.labels.cols < 1 || !gpu::detail::same_shape(s.labels, s.weights))
    return "the labels or the weights have another shape than rows x k";
  if (!s.labels.data || !s.weights.data || !gpu::detail::sound(s.labels) ||
      !gpu::detail::sound(s.weights))
    return "the labels or the weights are a null pointer, or a stride is less than k";
  return nullptr;
}

}  // namespace detail
}  // namespace spheremix::gpu::losses
