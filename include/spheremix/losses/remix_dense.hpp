// SupReMix's options and rows, and its route for renormalised mixtures: S = X X^T whole, in double.
//
// A renormalised mixture of rows j and k has the logit
//
//   u / |m| / tau,   u = l S_ij + (1 - l) S_ik,
//                    |m|^2 = l^2 S_jj + (1 - l)^2 S_kk + 2 l (1 - l) S_jk
//
// still a function of S alone. Attached, c = dL/dlogit reaches
//
//   S_jk with -c u l (1 - l) / (|m|^3 tau),   S_jj with -c u l^2 / (2 |m|^3 tau)
//
// One thread and 2 or 3 n^2 doubles: for batches, not for data sets.
#pragma once

#include "spheremix/formula/sup_remix.hpp"
#include "spheremix/losses/remix_lambda.hpp"
#include "spheremix/losses/supervised.hpp"

namespace spheremix::losses {

namespace detail {

template <class T>
void expects_remix(const char* function, const SupRemixOptions& o) {
  expects_temperature<T>(function, "temperature", o.temperature);
  expects_tolerance(function, o.label_tolerance);
  core::expects(o.window > 0, function, "window is ", o.window, ", which must be positive");
}

/// Rows in the order of their labels, with each row's parents of Mix-pos: places [left, first) and
/// [last, right_end).
struct RemixRows {
  LabelOrder order;
  Index *lefts, *ends;

  RemixRows(const LabelView& labels, const SupRemixOptions& o, Workspace::Frame& frame)
      : order(labels, o.label_tolerance, frame),
        lefts(frame.take<Index>(std::size_t(order.n))),
        ends(frame.take<Index>(std::size_t(order.n))) {
    if (frame.counts()) return;
    Index low = 0, high = 0;
    for (Index i = 0; i < order.n; ++i) {
      while (!(order.label[low] > order.label[i] - o.window)) ++low;
      while (high < order.n && order.label[high] < order.label[i] + o.window) ++high;
      lefts[i] = o.mix_positives ? (std::min)(low, order.first[i]) : order.first[i];
      ends[i] = o.mix_positives ? (std::max)(high, order.last[i]) : order.last[i];
    }
  }
  Index left(Index i) const { return lefts[i]; }
  Index right_end(Index i) const { return ends[i]; }
  /// |P_i|.
  double positives(Index i) const {
    return double(order.last[i] - order.first[i] - 1) +
           double(order.first[i] - lefts[i]) * double(ends[i] - order.last[i]);
  }
};

/// S, the rows' order and, with gradients, dL/dS as the anchor's and as the keys'.
struct DenseRemixArrays {
  MatrixView<double> s;
  RemixRows rows;
  MatrixView<double> to_anchor{}, to_key{};

  DenseRemixArrays(const LabelView& labels, const SupRemixOptions& o, bool gradients,
                   Workspace::Frame& frame)
      : s(take_rows<double>(frame, labels.size, labels.size)), rows(labels, o, frame) {
    if (!gradients) return;
    for (MatrixView<double>* const g : {&to_anchor, &to_key}) {
      *g = take_rows<double>(frame, labels.size, labels.size);
      if (!frame.counts()) std::fill_n(g->data, labels.size * labels.size, 0.0);
    }
  }
};

template <class T>
SupervisedResult remix_dense(const char* function, MatrixView<const T> x, const LabelView& labels,
                             const RemixLambda<T>& lambda, const SupRemixOptions& o,
                             Workspace& workspace, MatrixView<T> dx) {
  const Index n = x.rows, d = x.cols;
  const bool gradients = dx.data != nullptr;
  const std::size_t needed = core::bytes_of<DenseRemixArrays>(labels, o, gradients);
  core::expects(needed <= o.memory_budget, function, "memory_budget is ", o.memory_budget,
                " bytes, but renormalised mixtures of ", n, " rows need ", needed);
  if (!computable(x, x, o.temperature)) {
    if (gradients) fill_nan(dx);
    return {core::nan<double>, core::nan<double>, 0};
  }
  Workspace::Frame frame = workspace.frame(needed);
  const DenseRemixArrays arrays(labels, o, gradients, frame);
  const MatrixView<double> s = arrays.s, to_anchor = arrays.to_anchor, to_key = arrays.to_key;
  const RemixRows& rows = arrays.rows;
  const Index* const place = rows.order.place;
  const double* const label = rows.order.label;
  const auto row = [&](Index i) { return x.row(place[i]); };
  for (Index i = 0; i < n; ++i)
    for (Index k = 0; k <= i; ++k) s(i, k) = s(k, i) = row_product(row(i), row(k), d);
  SupervisedResult result;
  for (Index i = 0; i < n; ++i) result.skipped += rows.positives(i) == 0;
  const double line = 1 / double(n - result.skipped);

  for (Index i = 0; i < n; ++i) {
    const double count = rows.positives(i), y = label[i];
    if (count == 0) continue;
    const Index low = rows.order.first[i], high = rows.order.last[i];
    // term(z, w, positive, l, j, k, |m|): j = -1 for a real key k.
    const auto each_term = [&](const auto& term) {
      const auto mixture = [&](double w, bool positive, double l, Index j, Index k) {
        const double length =
            std::sqrt(l * l * s(j, j) + (1 - l) * (1 - l) * s(k, k) + 2 * l * (1 - l) * s(j, k));
        core::expects(length != 0, function, "a mixture of rows ", place[j], " and ", place[k],
                      " is 0 and cannot be renormalised");
        term((l * s(i, j) + (1 - l) * s(i, k)) / (length * o.temperature), w, positive, l, j, k,
             length);
      };
      for (Index k = 0; k < n; ++k) {
        const bool equal = k >= low && k < high;
        if (k != i)
          term(s(i, k) / o.temperature, equal ? 1 : o.weigh(y - label[k]), equal, 0.0, Index(-1), k,
               1.0);
        if (equal || !o.mix_negatives) continue;
        const double l = lambda(place[i], place[k]);
        mixture(o.weigh((1 - l) * (y - label[k])), false, l, i, k);
      }
      for (Index j = rows.left(i); j < low; ++j)
        for (Index k = high; k < rows.right_end(i); ++k)
          mixture(1, true, (label[k] - y) / (label[k] - label[j]), j, k);
    };
    double top = -core::infinity<double>, sum = 0, wanted = 0, mean = 0;
    each_term(
        [&](double z, double, bool, double, Index, Index, double) { top = (std::max)(top, z); });
    each_term([&](double z, double w, bool positive, double, Index, Index, double) {
      const double e = w * std::exp(z - top);
      sum += e;
      mean += e * z;
      if (positive) wanted += z;
    });
    result.loss += line * (top + std::log(sum) - wanted / count);
    result.log_temperature -= line * (mean / sum - wanted / count);
    if (!gradients) continue;
    each_term([&](double z, double w, bool positive, double l, Index j, Index k, double length) {
      const double c = line * (w * std::exp(z - top) / sum - (positive ? 1 / count : 0));
      if (j < 0) {
        to_anchor(i, k) += c / o.temperature;
        to_key(i, k) += c / o.temperature;
        return;
      }
      const double g = c / (length * o.temperature), h = -c * z / (length * length);
      to_anchor(i, j) += g * l;
      to_anchor(i, k) += g * (1 - l);
      if (o.detach) return;
      to_key(i, j) += g * l;
      to_key(i, k) += g * (1 - l);
      for (const auto& to : {to_anchor, to_key}) {
        to(j, k) += h * l * (1 - l);
        to(j, j) += h * l * l / 2;
        to(k, k) += h * (1 - l) * (1 - l) / 2;
      }
    });
  }
  if (gradients)
    for (Index i = 0; i < n; ++i)
      for (Index a = 0; a < d; ++a) {
        double sum = 0;
        for (Index k = 0; k < n; ++k) sum += (to_anchor(i, k) + to_key(k, i)) * double(row(k)[a]);
        dx(place[i], a) = T(sum);
      }
  return result;
}

}  // namespace detail
}  // namespace spheremix::losses
