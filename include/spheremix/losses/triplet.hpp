// The triplet loss with mining inside the batch.
//
//   batch_hard   per anchor: the farthest row of its label p, the nearest of another one n:
//                max(0, margin + d(a, p) - d(a, n)), mean over anchors that have both
//   semi_hard    per anchor and each p: the nearest n with d(a, n) > d(a, p), or the farthest n
//                where none is; mean over those pairs
//
// d is the distance |x - y| (TripletDistance::euclidean) or its square. Mining goes by products
// (ties to the lower row), the chosen distances are taken from differences in double.
//
// Shapes     X: n x d; labels: n numbers, equal or not. Anchors without a positive or without a
//            negative are left out and counted (skipped); none left: loss 0.
// Gradient   of an active triplet: d(a, p)' - d(a, n)' with d' = (x - y)/d, 0 at d = 0.
//            Differences, not products: near-duplicates keep their digits.
// Cost       2 n^2 d flops and the triplets.
// Errors     shapes, no rows, margin negative, labels not finite, memory_budget. NaN gives NaN.
// Source     Hermans et al. 2017, "In Defense of the Triplet Loss", arXiv 1703.07737, equation 5;
//            Schroff et al. 2015, "FaceNet", arXiv 1503.03832, section 3.2.
#pragma once

#include "spheremix/losses/detail/supervised.hpp"
#include "spheremix/metrics/detail/sums.hpp"

namespace spheremix::losses {

enum class TripletMining { batch_hard, semi_hard };
enum class TripletDistance { euclidean, squared };

struct TripletOptions {
  double margin = 0.2;
  TripletMining mining = TripletMining::batch_hard;
  TripletDistance distance = TripletDistance::euclidean;
  std::size_t memory_budget = std::size_t(1) << 30;  ///< bytes of temporary memory
};

/// Loss and gradient of triplet.
template <class Matrix>
struct TripletGradient {
  double loss;
  Matrix x;       ///< dL/dX
  Index active;   ///< triplets with a positive loss
  Index skipped;  ///< anchors without a positive or a negative
};

namespace detail {

struct Triplet {
  Index positive, negative;  ///< of an anchor
};

struct TripletResult {
  double loss = 0;
  Index active = 0, skipped = 0;

  template <class Out>
  void put(Out& out) const {
    out.loss = loss;
    out.active = active;
    out.skipped = skipped;
  }
};

/// Triplets of anchor i from its squared distances, one or one a positive; returns how many.
/// `others`: room for n numbers.
template <class T>
Index mine_triplets(TripletMining mining, const Index* label, Index n, Index i, const T* square,
                    Index* others, Triplet* out) {
  const auto same = [&](Index j) { return label[j] == label[i]; };
  if (mining == TripletMining::batch_hard) {
    Triplet t{-1, -1};
    for (Index j = 0; j < n; ++j) {
      if (j == i) continue;
      Index& best = same(j) ? t.positive : t.negative;
      if (best < 0 || (same(j) ? square[j] > square[best] : square[j] < square[best])) best = j;
    }
    if (t.positive < 0 || t.negative < 0) return 0;
    *out = t;
    return 1;
  }
  Index* end = others;
  for (Index j = 0; j < n; ++j)
    if (!same(j)) *end++ = j;
  if (end == others) return 0;
  std::sort(others, end, [&](Index a, Index b) {
    return square[a] < square[b] || (square[a] == square[b] && a < b);
  });
  Index count = 0;
  for (Index p = 0; p < n; ++p) {
    if (p == i || !same(p)) continue;
    const Index* const next = std::upper_bound(others, end, square[p],
                                               [&](T limit, Index j) { return limit < square[j]; });
    out[count++] = {p, next == end ? end[-1] : *next};
  }
  return count;
}

/// Everything but the sweep's own memory.
template <class T>
struct TripletArrays {
  LabelOrder order;
  T* norm;       ///< |x_i|^2
  Index* label;  ///< equal where the labels are
  Index* start;  ///< of each anchor's triplets
  Index* mined;  ///< how many
  Triplet* triplets;
  double* gradient;  ///< n x d, or null

  TripletArrays(const LabelView& labels, Index most, Index d, bool gradients,
                Workspace::Frame& frame)
      : order(labels, 0, frame),
        norm(frame.take<T>(std::size_t(order.n))),
        label(frame.take<Index>(std::size_t(order.n))),
        start(frame.take<Index>(std::size_t(order.n))),
        mined(frame.take<Index>(std::size_t(order.n))),
        triplets(frame.take<Triplet>(std::size_t(most))),
        gradient(gradients ? frame.take<double>(std::size_t(order.n * d)) : nullptr) {}
};

/// Triplets there may be at most.
inline Index most_triplets(TripletMining mining, const LabelView& labels, Workspace& workspace) {
  if (mining == TripletMining::batch_hard) return labels.size;
  Workspace::Frame frame = workspace.frame(core::bytes_of<LabelOrder>(labels, 0.0));
  const LabelOrder order(labels, 0, frame);
  Index count = 0;
  for (Index i = 0; i < order.n; ++i) count += order.last[i] - order.first[i] - 1;
  return count;
}

template <class T>
TripletResult triplet_on_views(const char* function, MatrixView<const T> x, const LabelView& labels,
                               const TripletOptions& o, Workspace& workspace, MatrixView<T> dx) {
  core::expects(o.margin >= 0 && std::isfinite(o.margin), function, "margin is ", o.margin,
                ", not a finite number >= 0");
  const Index n = x.rows, d = x.cols;
  const Index most = most_triplets(o.mining, labels, workspace);
  const auto plan = pairwise::make_row_plan<T>(
      function, n, n, d, Index(sizeof(Index) / sizeof(T)), false, o.memory_budget,
      core::bytes_of<TripletArrays<T>>(labels, most, d, dx.data != nullptr));
  if (!computable(x, x, 1.0)) {
    if (dx.data) fill_nan(dx);
    return {core::nan<double>, 0, 0};
  }
  Workspace::Frame frame = workspace.frame(plan.bytes);
  const TripletArrays<T> arrays(labels, most, d, dx.data != nullptr, frame);
  const LabelOrder& order = arrays.order;
  T* const norm = arrays.norm;
  Index *const label = arrays.label, *const start = arrays.start, *const mined = arrays.mined;
  Triplet* const triplets = arrays.triplets;
  double* const gradient = arrays.gradient;
  for (Index k = 0, next = 0; k < n; ++k) {
    const Index i = order.place[k];
    norm[i] = T(row_product(x.row(i), x.row(i), d));
    label[i] = order.first[k];
    start[i] = next;
    next += o.mining == TripletMining::batch_hard ? 1 : order.last[k] - order.first[k] - 1;
  }
  pairwise::row_sweep<T>(x, x, plan, frame,
                         [&](const pairwise::PairRow<T>& row) {
                           for (Index j = 0; j < n; ++j)
                             row.s[j] = norm[row.i] + norm[j] - 2 * row.s[j];
                           mined[row.i] = mine_triplets(o.mining, label, n, row.i, row.s,
                                                        reinterpret_cast<Index*>(row.scratch),
                                                        triplets + start[row.i]);
                         },
                         {});
  TripletResult result;
  Index count = 0;
  for (Index i = 0; i < n; ++i) {
    result.skipped += mined[i] == 0;
    count += mined[i];
  }
  if (gradient) std::fill_n(gradient, n * d, 0.0);
  const auto distance = [&](Index a, Index b) {
    return o.distance == TripletDistance::squared
               ? metrics::detail::squared_distance(x.row(a), x.row(b), d)
               : metrics::detail::row_distance(x.row(a), x.row(b), d);
  };
  const auto pull = [&](Index a, Index b, double value, double weight) {
    if (!dx.data || value == 0) return;
    const double factor = weight * (o.distance == TripletDistance::squared ? 2 : 1 / value);
    for (Index k = 0; k < d; ++k) {
      const double g = factor * (double(x(a, k)) - double(x(b, k)));
      gradient[a * d + k] += g;
      gradient[b * d + k] -= g;
    }
  };
  const double line = count > 0 ? 1 / double(count) : 0;
  for (Index i = 0; i < n; ++i)
    for (Index k = 0; k < mined[i]; ++k) {
      const Triplet t = triplets[start[i] + k];
      const double to_positive = distance(i, t.positive), to_negative = distance(i, t.negative);
      const double lack = o.margin + to_positive - to_negative;
      if (!(lack > 0)) continue;
      ++result.active;
      result.loss += line * lack;
      pull(i, t.positive, to_positive, line);
      pull(i, t.negative, to_negative, -line);
    }
  if (dx.data)
    for (Index i = 0; i < n; ++i)
      for (Index k = 0; k < d; ++k) dx(i, k) = T(gradient[i * d + k]);
  return result;
}

}  // namespace detail

/// The loss, in units of the distance.
template <class X, class L>
[[nodiscard]] double triplet(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<L>& labels,
                             const TripletOptions& options = {}) {
  return detail::supervised_value("triplet", x, labels,
                                  [&](auto view, const auto& y, auto& workspace, auto dx) {
                                    return detail::triplet_on_views("triplet", view, y, options,
                                                                    workspace, dx);
                                  })
      .loss;
}

/// Loss and gradient into `out` (any struct with the fields of TripletGradient).
template <class X, class L, class Out>
void triplet_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<L>& labels,
                           const TripletOptions& options, core::Workspace& workspace, Out& out) {
  constexpr auto* name = "triplet_with_gradient";
  detail::supervised_gradient(
      name, x, labels,
      [&](auto view, const auto& y, auto& memory, auto dx) {
        return detail::triplet_on_views(name, view, y, options, memory, dx);
      },
      workspace, out);
}

template <class X, class L>
[[nodiscard]] auto triplet_with_gradient(const Eigen::MatrixBase<X>& x,
                                         const Eigen::MatrixBase<L>& labels,
                                         const TripletOptions& options = {}) {
  return detail::by_value<TripletGradient<RowMatrix<typename X::Scalar>>>(
      [&](auto& workspace, auto& out) {
        triplet_with_gradient(x, labels, options, workspace, out);
      });
}

}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_TRIPLET(T)                                                         \
  TripletResult triplet_on_views(const char*, MatrixView<const T>, const LabelView&, \
                                 const TripletOptions&, Workspace&, MatrixView<T>)
SPHEREMIX_ELSEWHERE(SPHEREMIX_TRIPLET)
}  // namespace spheremix::losses::detail
