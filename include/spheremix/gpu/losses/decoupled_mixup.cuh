// decoupled_mixup on the device: formula, gradient and options in formula/decoupled_mixup.hpp.
//
// Shapes, cost, errors as mixup_cross_entropy.cuh; eta, power >= 0, threshold > 0. The binary form
// takes one exponential and one logarithm a class.
#pragma once

#include "spheremix/formula/decoupled_mixup.hpp"
#include "spheremix/formula/logistic.hpp"
#include "spheremix/gpu/losses/mixup_cross_entropy.cuh"

namespace spheremix::gpu::losses {

using spheremix::losses::DecoupledDirection;
using spheremix::losses::DecoupledForm;
using spheremix::losses::DecoupledMixupOptions;
using spheremix::losses::DecoupledWeighting;

namespace detail {

using formula::sigmoid;
using formula::softplus;

/// The weight of label c, 0 where it is dropped.
template <class Labels>
__device__ formula::DecoupledWeight decoupled_weight(const DecoupledMixupOptions& o,
                                                     const Labels& labels, int c) {
  if (!labels.first(c) || !formula::decoupled_keeps(o, labels, c)) return {0, 0};
  return formula::decoupled_weight(o, labels.weight(c));
}

/// The regulariser, as CrossEntropyRow adds it.
struct DecoupledTerm {
  DecoupledMixupOptions options;
  double pulled = 0;
  bool active = false;

  __device__ static double below(const LabelSoftmax& s, double z) {  // R - z
    return s.rest_top + std::log1p(s.rest_others) - z;
  }
  template <class Labels, class Logit>
  __device__ double begin(const Labels& labels, const LabelSoftmax& s, Logit z, double each) {
    int different = 0;
    for (int c = 0; c < labels.count(); ++c) different += labels.first(c);
    active = different > 1 && s.rest;
    double loss = 0;
    for (int c = 0; active && c < labels.count(); ++c) {
      if (!labels.first(c)) continue;
      const double w = options.weight * decoupled_weight(options, labels, c).value;
      loss += w * softplus(below(s, z(c)));
      pulled += each * w * sigmoid(below(s, z(c)));
    }
    return loss;
  }
  template <class Labels, class Logit>
  __device__ double label(const Labels& labels, int c, const LabelSoftmax& s, Logit z,
                          double each) const {
    if (!active) return 0;
    return -each * options.weight * decoupled_weight(options, labels, c).value *
           sigmoid(below(s, z(c)));
  }
  template <class Labels, class Logit>
  __device__ double weight(const Labels& labels, int c, const LabelSoftmax& s, Logit z,
                           double each) const {
    if (!active) return 0;
    return each * options.weight * decoupled_weight(options, labels, c).slope *
           softplus(below(s, z(c)));
  }
  __device__ double pull() const { return pulled; }
};

/// One row of the binary form.
template <class T, class Source>
struct BinaryRow {
  Source source;
  DecoupledMixupOptions options;
  LogitPlaces<T> at;

  template <class Group>
  __device__ void operator()(const Group& group, Index i) const {
    using A = Arithmetic<T>;
    const auto labels = source(i);
    const double each = 1 / double(at.z.rows);
    LogitRow<T, Group> row(group, at.z, i, at.dz);
    double sums[2] = {0, 0};  // of softplus, not finite
    row.each([&](Index j, A& v) {
      if (!(v <= core::largest<A>)) sums[1] += 1;
      if (!labels.holds(j)) sums[0] += double(softplus(v));
      v = A(each) * sigmoid(v);
      if (at.dz.data) row.keep(j, v);
    });
    group.sum(sums);
    if (sums[1] > 0 || !labels.sound(at.z.cols)) return at.undefined(row, i, group.leads());
    double slope[2] = {0, 0};
    for (int c = 0; c < labels.count(); ++c) {
      if (!labels.first(c)) continue;
      const double z = double(widen(at.z(i, labels.label(c))));
      const formula::DecoupledWeight w = decoupled_weight(options, labels, c);
      // Both parts keep their digits at +-800.
      if (w.value != 0) sums[0] += w.value * softplus(-z);
      sums[0] += (1 - w.value) * softplus(z);
      if (c < 2 && w.slope != 0) slope[c] = -each * w.slope * z;
      if (at.dz.data)
        row.set(labels.label(c), A(each * ((1 - w.value) * sigmoid(z) - w.value * sigmoid(-z))));
    }
    if (at.dz.data) row.store();
    if (!group.leads()) return;
    at.shares[i] = each * sums[0];
    if (at.dz.data) at.dlambda[i] = labels.count() < 2 ? 0 : slope[0] - slope[1];
  }
};

inline const char* decoupled_error(const DecoupledMixupOptions& o) {
  constexpr double most = core::largest<double>;
  if (!(o.weight >= 0 && o.weight <= most)) return "the weight is not a finite number >= 0";
  if (!(o.threshold > 0 && o.threshold <= most)) return "the threshold is not positive and finite";
  if (!(o.power >= 0 && o.power <= most)) return "the power is not a finite number >= 0";
  return nullptr;
}

/// Either form over labels of either kind.
template <class T, class Source>
Status decoupled_mixup(gpu::detail::RowTexts texts, View<const T> z, const Source& labels,
                       const DecoupledMixupOptions& options, double* loss, View<T> dz,
                       bool gradient, double* one_lambda, double* each_lambda, Scratch scratch,
                       cudaStream_t stream) {
  if (const char* wrong = decoupled_error(options)) return invalid(wrong);
  if (options.form == DecoupledForm::binary)
    return over_logits<T>(texts, BinaryRow<T, Source>{labels, options, {}}, z, dz, gradient, loss,
                          one_lambda, each_lambda, scratch, stream);
  return over_logits<T>(texts, CrossEntropyRow<T, Source, DecoupledTerm>{labels, {options}, {}}, z,
                        dz, gradient, loss, one_lambda, each_lambda, scratch, stream);
}

template <class T, class A>
Status decoupled_two(View<const T> z, const TwoLabels<A>& labels,
                     const DecoupledMixupOptions& options, const MixedLabelGradient<T>& out,
                     bool gradient, Scratch scratch, cudaStream_t stream) {
  if (const char* wrong = two_labels_error(labels)) return invalid(wrong);
  const bool one = !labels.lambda.each;
  return decoupled_mixup<T>(SPHEREMIX_ROW_TEXTS("decoupled_mixup"), z, labels, options, out.loss,
                            out.logits, gradient, one ? out.lambda : nullptr,
                            one ? nullptr : out.lambda, scratch, stream);
}

template <class T, class A>
Status decoupled_k(View<const T> z, const KLabels<A>& labels, const DecoupledMixupOptions& options,
                   const LogitGradient<T>& out, bool gradient, Scratch scratch,
                   cudaStream_t stream) {
  if (const char* wrong = k_labels_error(labels, z.rows)) return invalid(wrong);
  return decoupled_mixup<T>(SPHEREMIX_ROW_TEXTS("decoupled_mixup_k"), z, labels, options, out.loss,
                            out.logits, gradient, nullptr, nullptr, scratch, stream);
}

}  // namespace detail

/// *loss (device memory) against two labels a row.
template <class T>
Status decoupled_mixup(core::MatrixView<const T> logits, const Index* a, const Index* b,
                       RowScalar<Arithmetic<T>> lambda, const DecoupledMixupOptions& options,
                       double* loss, Scratch scratch, cudaStream_t stream = nullptr) {
  return detail::decoupled_two<T, Arithmetic<T>>(logits, {a, b, lambda}, options,
                                                 {loss, {}, nullptr}, false, scratch, stream);
}

/// Loss and gradients, all overwritten. out.lambda may be null.
template <class T>
Status decoupled_mixup_with_gradient(core::MatrixView<const T> logits, const Index* a,
                                     const Index* b, RowScalar<Arithmetic<T>> lambda,
                                     const DecoupledMixupOptions& options,
                                     const MixedLabelGradient<T>& out, Scratch scratch,
                                     cudaStream_t stream = nullptr) {
  return detail::decoupled_two<T, Arithmetic<T>>(logits, {a, b, lambda}, options, out, true,
                                                 scratch, stream);
}

/// *loss (device memory) against k labels a row.
template <class T>
Status decoupled_mixup_k(core::MatrixView<const T> logits, core::MatrixView<const Index> labels,
                         core::MatrixView<const Arithmetic<T>> weights,
                         const DecoupledMixupOptions& options, double* loss, Scratch scratch,
                         cudaStream_t stream = nullptr) {
  return detail::decoupled_k<T, Arithmetic<T>>(logits, {labels, weights}, options, {loss, {}},
                                               false, scratch, stream);
}

/// Loss and dL/dlogits, overwritten.
template <class T>
Status decoupled_mixup_k_with_gradient(core::MatrixView<const T> logits,
                                       core::MatrixView<const Index> labels,
                                       core::MatrixView<const Arithmetic<T>> weights,
                                       const DecoupledMixupOptions& options,
                                       const LogitGradient<T>& out, Scratch scratch,
                                       cudaStream_t stream = nullptr) {
  return detail::decoupled_k<T, Arithmetic<T>>(logits, {labels, weights}, options, out, true,
                                               scratch, stream);
}

}  // namespace spheremix::gpu::losses
