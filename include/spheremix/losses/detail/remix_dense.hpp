// SupReMix's options and rows, and its route for renormalised mixtures and for labels with distances
// of the caller's: S = X X^T whole, in double.
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
// One thread and 2 or 3 n^2 doubles: for batches, not for data sets. A share takes its anchors; S and
// dL/dS are gathered and added up.
#pragma once

#include "spheremix/formula/sup_remix.hpp"
#include "spheremix/losses/detail/remix_lambda.hpp"
#include "spheremix/losses/detail/supervised.hpp"
#include "spheremix/losses/label_distances.hpp"

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

  RemixRows(const Numbers& labels, const SupRemixOptions& o, Workspace::Frame& frame)
      : order(labels, o.label_tolerance, frame),
        lefts(frame.take<Index>(std::size_t(order.n))),
        ends(frame.take<Index>(std::size_t(order.n))) {
    if (frame.counts()) return;
    const ExactNumber* const label = order.label;
    const auto inside = [&](ExactNumber a, ExactNumber b) {
      return order.distance.inside(a, b, o.window, o.label_tolerance);
    };
    for (Index i = 0; i < order.n; ++i) {
      lefts[i] = order.first[i], ends[i] = order.last[i];
      if (!o.mix_positives) continue;
      lefts[i] = std::partition_point(label, label + order.first[i],
                                      [&](ExactNumber y) { return !inside(y, label[i]); }) -
                 label;
      ends[i] = std::partition_point(label + order.last[i], label + order.n,
                                     [&](ExactNumber y) { return inside(label[i], y); }) -
                label;
    }
  }
  Index left(Index i) const { return lefts[i]; }
  Index right_end(Index i) const { return ends[i]; }
  /// |P_i|.
  double positives(Index i) const {
    return double(order.last[i] - order.first[i] - 1) +
           double(order.first[i] - lefts[i]) * double(ends[i] - order.last[i]);
  }

  Index place(Index i) const { return order.place[i]; }
  bool equal(Index i, Index k) const { return k >= order.first[i] && k < order.last[i]; }
  double away(Index i, Index k) const { return order.label[k] - order.label[i]; }
  /// each(j, k, l) of the Mix-pos of anchor i.
  template <class Each>
  void mixed_positives(Index i, const Each& each) const {
    for (Index j = lefts[i]; j < order.first[i]; ++j)
      for (Index k = order.last[i]; k < ends[i]; ++k) {
        const double to_left = -away(i, j), to_right = away(i, k);
        each(j, k, to_right / (to_left + to_right));
      }
  }
};

/// The same by a table of distances, in the order of the rows: y_i lies between y_j and y_k where
/// the way over y_i is no longer than the straight one.
struct RemixTable {
  MatrixView<const double> table;
  double tolerance, window;
  bool mixes;
  double* count;   ///< |P_i|
  Index* parents;  ///< of the anchor that is looked at, in ascending order

  RemixTable(const LabelDistances& labels, const SupRemixOptions& o, Workspace::Frame& frame)
      : table(labels.view()),
        tolerance(o.label_tolerance),
        window(o.window),
        mixes(o.mix_positives),
        count(frame.take<double>(std::size_t(table.rows))),
        parents(frame.take<Index>(std::size_t(table.rows))) {
    if (frame.counts()) return;
    for (Index i = 0; i < table.rows; ++i) {
      double found = 0;
      for (Index k = 0; k < table.rows; ++k) found += k != i && equal(i, k);
      mixed_positives(i, [&](Index, Index, double) { ++found; });
      count[i] = found;
    }
  }
  double positives(Index i) const { return count[i]; }
  Index place(Index i) const { return i; }
  /// A distance is a label beside one at 0.
  static constexpr LabelDistance kRounded{core::epsilon<double>};
  bool equal(Index i, Index k) const {
    return i == k || kRounded.equal({}, core::exact_number(away(i, k)), tolerance);
  }
  double away(Index i, Index k) const { return table(i, k); }
  bool parent(Index i, Index k) const {
    return !equal(i, k) && kRounded.inside({}, core::exact_number(away(i, k)), window, tolerance);
  }
  template <class Each>
  void mixed_positives(Index i, const Each& each) const {
    if (!mixes) return;
    constexpr double slack = 64 * core::epsilon<double>;
    Index found = 0;
    for (Index k = 0; k < table.rows; ++k)
      if (parent(i, k)) parents[found++] = k;
    for (Index a = 0; a < found; ++a)
      for (Index b = a + 1; b < found; ++b) {
        const Index j = parents[a], k = parents[b];
        const double over = away(i, j) + away(i, k);
        if (over <= table(j, k) * (1 + slack) + tolerance) each(j, k, away(i, k) / over);
      }
  }
};

/// S, the rows' order and, with gradients, dL/dS as the anchor's and as the keys'.
template <class Rows>
struct DenseRemixArrays {
  MatrixView<double> s;
  Rows rows;
  MatrixView<double> to_anchor{}, to_key{};

  template <class Labels>
  DenseRemixArrays(Index n, const Labels& labels, const SupRemixOptions& o, bool gradients,
                   Workspace::Frame& frame)
      : s(take_rows<double>(frame, n, n)), rows(labels, o, frame) {
    if (!gradients) return;
    for (MatrixView<double>* const g : {&to_anchor, &to_key}) {
      *g = take_rows<double>(frame, n, n);
      if (!frame.counts()) std::fill_n(g->data, n * n, 0.0);
    }
  }
};

/// Rows: RemixRows of Numbers or RemixTable of LabelDistances.
template <class Rows, class T, class Labels>
SupervisedResult remix_dense(const char* function, MatrixView<const T> x, const Labels& labels,
                             const RemixLambda<T>& lambda, const SupRemixOptions& o,
                             Workspace& workspace, MatrixView<T> dx) {
  const Index n = x.rows, d = x.cols;
  const bool gradients = dx.data != nullptr;
  const std::size_t needed = core::bytes_of<DenseRemixArrays<Rows>>(n, labels, o, gradients);
  core::expects(needed <= o.memory_budget, function, "memory_budget is ", o.memory_budget,
                " bytes, but the whole table of ", n, " rows needs ", needed);
  if (!computable(x, x, o.temperature)) {
    if (gradients) fill_nan(dx);
    return {core::nan<double>, core::nan<double>, 0};
  }
  Workspace::Frame frame = workspace.frame(needed);
  const DenseRemixArrays<Rows> arrays(n, labels, o, gradients, frame);
  const MatrixView<double> s = arrays.s, to_anchor = arrays.to_anchor, to_key = arrays.to_key;
  const Rows& rows = arrays.rows;
  const auto row = [&](Index i) { return x.row(rows.place(i)); };
  const core::Share* const share = frame.share();
  const core::OwnRows own(share, n);
  for (Index i = own.from; i < own.to; ++i)
    for (Index k = 0; k < n; ++k)
      s(i, k) = k < i && k >= own.from ? s(k, i) : row_product(row(i), row(k), d);
  if (share) share->gather(s.data, n, n);
  SupervisedResult result;
  for (Index i = 0; i < n; ++i) result.skipped += rows.positives(i) == 0;
  const double line = 1 / double(n - result.skipped);

  for (Index i = own.from; i < own.to; ++i) {
    const double count = rows.positives(i);
    if (count == 0) continue;
    // term(z, w, positive, l, j, k, |m|): j = -1 for a real key k.
    const auto each_term = [&](const auto& term) {
      const auto mixture = [&](double w, bool positive, double l, Index j, Index k) {
        const double length = !o.renormalise
                                  ? 1
                                  : std::sqrt(l * l * s(j, j) + (1 - l) * (1 - l) * s(k, k) +
                                              2 * l * (1 - l) * s(j, k));
        core::expects(length != 0, function, "a mixture of rows ", rows.place(j), " and ",
                      rows.place(k), " is 0 and cannot be renormalised");
        term((l * s(i, j) + (1 - l) * s(i, k)) / (length * o.temperature), w, positive, l, j, k,
             length);
      };
      for (Index k = 0; k < n; ++k) {
        const bool equal = rows.equal(i, k);
        if (k != i)
          term(s(i, k) / o.temperature, equal ? 1 : o.weigh(rows.away(i, k)), equal, 0.0, Index(-1),
               k, 1.0);
        if (equal || !o.mix_negatives) continue;
        const double l = lambda(rows.place(i), rows.place(k));
        mixture(o.weigh((1 - l) * rows.away(i, k)), false, l, i, k);
      }
      rows.mixed_positives(i, [&](Index j, Index k, double l) { mixture(1, true, l, j, k); });
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
      if (!o.renormalise) return;
      for (const auto& to : {to_anchor, to_key}) {
        to(j, k) += h * l * (1 - l);
        to(j, j) += h * l * l / 2;
        to(k, k) += h * (1 - l) * (1 - l) / 2;
      }
    });
  }
  if (!gradients) return result;
  if (share) {  // anchors of all ranks; dX has this one's rows
    share->add(to_anchor.data, n * n);
    share->add(to_key.data, n * n);
  }
  for (Index i = 0; i < n; ++i) {
    if (i < own.from || i >= own.to) {
      std::fill_n(dx.row(rows.place(i)), d, T(0));
      continue;
    }
    for (Index a = 0; a < d; ++a) {
      double sum = 0;
      for (Index k = 0; k < n; ++k) sum += (to_anchor(i, k) + to_key(k, i)) * double(row(k)[a]);
      dx(rows.place(i), a) = T(sum);
    }
  }
  return result;
}

}  // namespace detail
}  // namespace spheremix::losses
