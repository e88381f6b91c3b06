// mixup_cross_entropy on the device: formula and gradient in formula/mixup_cross_entropy.hpp;
// dL/dlambda_i is 0 where a_i = b_i.
//
// Shapes    Z (logits), dZ: n x classes of one storage type, any number of classes; a, b: n labels
//           in device memory; lambda: one number, or n in device memory. c: n x k labels, w: n x k
//           weights >= 0 used as they are (f32; f64 for double rows).
// Cost      one pass, 2 n classes numbers with gradient (above 16384 classes: 3 more reads); one
//           exponential a class, in f32 (f64 for double rows); labels and sums in double.
// Errors    shapes, no rows, one lambda outside [0, 1], overlapping gradient, too small a scratch:
//           a Status. NaN or +infinity in a row, and labels, weights or a lambda in device memory
//           that are out of range, give NaN in that row and in the loss.
#pragma once

#include "spheremix/formula/mixup_cross_entropy.hpp"
#include "spheremix/formula/softmax_line.hpp"
#include "spheremix/gpu/losses/detail/mixed_labels.cuh"

namespace spheremix::gpu::losses {

namespace detail {

/// The whole softmax of a row from that of the rest and the labels' logits.
struct LabelSoftmax {
  double rest_top = 0, rest_others = 0;  ///< of the classes outside the labels
  bool rest = false;                     ///< there are some
  double top = 0, others = 0;            ///< of all
  int best = -1;                         ///< label at top, or -1

  /// z(c): the logit of label c.
  template <class Labels, class Logit>
  __device__ void join(const Labels& labels, Logit z) {
    top = rest ? rest_top : -core::infinity<double>;
    for (int c = 0; c < labels.count(); ++c)
      if (labels.first(c) && z(c) > top) top = z(c), best = c;
    others = best < 0 ? rest_others : rest ? (1 + rest_others) * std::exp(rest_top - top) : 0;
    for (int c = 0; c < labels.count(); ++c)
      if (c != best && labels.first(c)) others += std::exp(z(c) - top);
  }
  __device__ formula::SoftmaxLine<double> line() const { return {others, true}; }
  /// -log p of a label with logit z.
  __device__ double surprise(double z) const { return line().surprise(top - z); }
  /// dL/dz of label c of weight w, r the sum of the weights.
  __device__ double slope(int c, double z, double w, double r) const {
    return line().slope(c == best, c == best ? 1 : std::exp(z - top), w, r);
  }
  /// p of a class outside the labels over its e^(z - rest_top).
  __device__ double outside() const { return std::exp(rest_top - top) / (1 + others); }
};

/// One row of the cross entropy. `Extra` is added to it (decoupled_mixup.cuh):
///   begin(labels, softmax, z, each)     its loss; remembers what follows
///   label(labels, c, softmax, z, each)  its dL/dz of label c
///   weight(labels, c, softmax, z, each) its dL/dw of label c
///   pull()                              its dL/dz of another class over that class's share of rest
template <class T, class Source, class Extra>
struct CrossEntropyRow {
  Source source;
  Extra extra;
  LogitPlaces<T> at;

  template <class Group>
  __device__ void operator()(const Group& group, Index i) const {
    using A = Arithmetic<T>;
    constexpr A kNone = -core::infinity<A>;
    const auto labels = source(i);
    LogitRow<T, Group> row(group, at.z, i, at.dz);
    double sums[3] = {0, 0, 0};  // below the top, at the top, NaN or +infinity
    A top = kNone;
    row.each([&](Index j, A& v) {
      if (!(v <= core::largest<A>)) sums[2] += 1;
      if (labels.holds(j)) v = kNone;
      if (v > top) top = v;
    });
    top = group.largest(top);
    const A base = top > kNone ? top : A(0);
    const auto exponential = [&](Index j, A v) {
      return LogitRow<T, Group>::kHeld || !labels.holds(j) ? std::exp(v - base) : A(0);
    };
    row.each([&](Index j, A& v) {
      const bool highest = v == top && top > kNone && !labels.holds(j);
      const A e = highest ? A(1) : exponential(j, v);
      sums[0] += highest ? 0 : double(e);
      sums[1] += highest ? 1 : 0;
      v = e;
    });
    group.sum(sums);
    if (sums[2] > 0 || !labels.sound(at.z.cols)) return at.undefined(row, i, group.leads());

    const double each = 1 / double(at.z.rows);
    const auto z = [&](int c) { return double(widen(at.z(i, labels.label(c)))); };
    LabelSoftmax softmax;
    softmax.rest = sums[1] > 0;
    softmax.rest_top = double(base);
    softmax.rest_others = softmax.rest ? sums[0] + (sums[1] - 1) : 0;
    softmax.join(labels, z);
    double loss = 0, r = 0;
    for (int c = 0; c < labels.count(); ++c) {
      if (!labels.first(c)) continue;
      const double w = labels.weight(c);
      r += w;
      if (w != 0) loss += w * softmax.surprise(z(c));
    }
    Extra more = extra;
    loss += more.begin(labels, softmax, z, each);
    if (group.leads()) at.shares[i] = each * loss;
    if (!at.dz.data) return;

    const A factor = A(each * r * softmax.outside() + more.pull() / (1 + softmax.rest_others));
    row.each([&](Index j, A& v) {
      v = factor * (LogitRow<T, Group>::kHeld ? v : exponential(j, v));
      row.keep(j, v);
    });
    for (int c = 0; c < labels.count(); ++c)
      if (labels.first(c))
        row.set(labels.label(c), A(each * softmax.slope(c, z(c), labels.weight(c), r) +
                                   more.label(labels, c, softmax, z, each)));
    row.store();
    if (group.leads())
      at.dlambda[i] = labels.count() < 2
                          ? 0
                          : each * (softmax.surprise(z(0)) - softmax.surprise(z(1))) +
                                more.weight(labels, 0, softmax, z, each) -
                                more.weight(labels, 1, softmax, z, each);
  }
};

/// Nothing is added to the cross entropy.
struct NothingMore {
  template <class... Arguments>
  __device__ double begin(const Arguments&...) const {
    return 0;
  }
  template <class... Arguments>
  __device__ double label(const Arguments&...) const {
    return 0;
  }
  template <class... Arguments>
  __device__ double weight(const Arguments&...) const {
    return 0;
  }
  __device__ double pull() const { return 0; }
};

template <class T, class A>
Status mixup_cross_entropy(View<const T> z, const TwoLabels<A>& labels,
                           const MixedLabelGradient<T>& out, bool gradient, Scratch scratch,
                           cudaStream_t stream) {
  if (const char* wrong = two_labels_error(labels)) return invalid(wrong);
  return over_logits<T>(SPHEREMIX_ROW_TEXTS("mixup_cross_entropy"),
                        CrossEntropyRow<T, TwoLabels<A>, NothingMore>{labels, {}, {}}, z,
                        out.logits, gradient, out.loss, labels.lambda.each ? nullptr : out.lambda,
                        labels.lambda.each ? out.lambda : nullptr, scratch, stream);
}

template <class T, class A>
Status mixup_cross_entropy_k(View<const T> z, const KLabels<A>& labels, const LogitGradient<T>& out,
                             bool gradient, Scratch scratch, cudaStream_t stream) {
  if (const char* wrong = k_labels_error(labels, z.rows)) return invalid(wrong);
  return over_logits<T>(SPHEREMIX_ROW_TEXTS("mixup_cross_entropy_k"),
                        CrossEntropyRow<T, KLabels<A>, NothingMore>{labels, {}, {}}, z, out.logits,
                        gradient, out.loss, nullptr, nullptr, scratch, stream);
}

}  // namespace detail

/// *loss (device memory) against two labels a row.
template <class T>
Status mixup_cross_entropy(core::MatrixView<const T> logits, const Index* a, const Index* b,
                           RowScalar<Arithmetic<T>> lambda, double* loss, Scratch scratch,
                           cudaStream_t stream = nullptr) {
  return detail::mixup_cross_entropy<T, Arithmetic<T>>(logits, {a, b, lambda}, {loss, {}, nullptr},
                                                       false, scratch, stream);
}

/// Loss and gradients, all overwritten. out.lambda may be null.
template <class T>
Status mixup_cross_entropy_with_gradient(core::MatrixView<const T> logits, const Index* a,
                                         const Index* b, RowScalar<Arithmetic<T>> lambda,
                                         const MixedLabelGradient<T>& out, Scratch scratch,
                                         cudaStream_t stream = nullptr) {
  return detail::mixup_cross_entropy<T, Arithmetic<T>>(logits, {a, b, lambda}, out, true, scratch,
                                                       stream);
}

/// *loss (device memory) against k labels a row.
template <class T>
Status mixup_cross_entropy_k(core::MatrixView<const T> logits, core::MatrixView<const Index> labels,
                             core::MatrixView<const Arithmetic<T>> weights, double* loss,
                             Scratch scratch, cudaStream_t stream = nullptr) {
  return detail::mixup_cross_entropy_k<T, Arithmetic<T>>(logits, {labels, weights}, {loss, {}},
                                                         false, scratch, stream);
}

/// Loss and dL/dlogits, overwritten.
template <class T>
Status mixup_cross_entropy_k_with_gradient(core::MatrixView<const T> logits,
                                           core::MatrixView<const Index> labels,
                                           core::MatrixView<const Arithmetic<T>> weights,
                                           const LogitGradient<T>& out, Scratch scratch,
                                           cudaStream_t stream = nullptr) {
  return detail::mixup_cross_entropy_k<T, Arithmetic<T>>(logits, {labels, weights}, out, true,
                                                         scratch, stream);
}

}  // namespace spheremix::gpu::losses
