// triplet and triplet_of on the CPU: formulas, gradient and options in formula/triplet.hpp.
//
// Mining compares distances that are right to a few eps of the distance
// (detail/triplet_mining.hpp); equal ones go to the lower row.
//
// Shapes     X: n x d; labels: n numbers of any type, equal or not as they are. Anchors without a
//            positive or without a negative are left out and counted (skipped); none left: loss 0.
//            Lists: numbers of rows, in [0, n), one length.
// Cost       2 n^2 d flops and the triplets; pairs that products cannot tell apart, of rows whose
//            distances are below eps of their lengths, cost 3 d flops each and more.
// Errors     shapes, no rows, margin negative, labels not finite, a list with a number outside,
//            memory_budget. NaN gives NaN.
#pragma once

#include "spheremix/losses/detail/triplet_lists.hpp"
#include "spheremix/losses/detail/triplet_mining.hpp"

namespace spheremix::losses {

namespace detail {

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

  TripletArrays(const Numbers& labels, Index most, Index d, bool gradients, Workspace::Frame& frame)
      : order(labels, 0, frame),
        norm(frame.take<T>(std::size_t(order.n))),
        label(frame.take<Index>(std::size_t(order.n))),
        start(frame.take<Index>(std::size_t(order.n))),
        mined(frame.take<Index>(std::size_t(order.n))),
        triplets(frame.take<Triplet>(std::size_t(most))),
        gradient(gradients ? frame.take<double>(std::size_t(order.n * d)) : nullptr) {}
};

/// Triplets there may be at most.
inline Index most_triplets(TripletMining mining, const Numbers& labels, Workspace& workspace) {
  if (mining == TripletMining::batch_hard) return labels.size();
  Workspace::Frame frame = workspace.frame(core::bytes_of<LabelOrder>(labels, 0.0));
  const LabelOrder order(labels, 0, frame);
  Index count = 0;
  for (Index i = 0; i < order.n; ++i) count += order.last[i] - order.first[i] - 1;
  return count;
}

template <class T>
TripletResult triplet_on_views(const char* function, MatrixView<const T> x, const Numbers& labels,
                               const TripletOptions& o, Workspace& workspace, MatrixView<T> dx) {
  expects_triplet(function, o);
  const Index n = x.rows, d = x.cols;
  const Index most = most_triplets(o.mining, labels, workspace);
  const auto plan = pairwise::make_row_plan<T>(
      function, n, n, d, 3 * pairwise::kDoubleRow<T>, false, o.memory_budget,
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
  for (Index k = 0, next = 0; k < n; ++k) {
    const Index i = order.place[k];
    norm[i] = T(row_product(x.row(i), x.row(i), d));
    label[i] = order.first[k];
    start[i] = next;
    next += o.mining == TripletMining::batch_hard ? 1 : order.last[k] - order.first[k] - 1;
  }
  pairwise::row_sweep<T>(
      x, x, plan, frame,
      [&](const pairwise::PairRow<T>& row) {
        const auto room = [&](Index k) {
          return row.scratch + k * pairwise::kDoubleRow<T> * row.stride;
        };
        const DistanceOrder<T> distances(x, row.i, norm, row.s, reinterpret_cast<double*>(room(0)),
                                         reinterpret_cast<double*>(room(1)));
        mined[row.i] = mine_triplets(o.mining, label, n, row.i, distances,
                                     reinterpret_cast<Index*>(room(2)), triplets + start[row.i]);
      },
      {});
  const core::Share* const share = frame.share();
  if (share) share->gather(mined, n);
  Index count = 0, skipped = 0;
  for (Index i = 0; i < n; ++i) {
    skipped += mined[i] == 0;
    count += mined[i];
  }
  if (arrays.gradient) std::fill_n(arrays.gradient, n * d, 0.0);
  TripletSum<T> sum{x, o, count > 0 ? 1 / double(count) : 0, arrays.gradient, {}};
  const core::OwnRows own(share, n);
  for (Index i = own.from; i < own.to; ++i)
    for (Index k = 0; k < mined[i]; ++k) {
      const Triplet t = triplets[start[i] + k];
      sum.add(i, t.positive, t.negative);
    }
  put_rounded(arrays.gradient, dx);
  sum.result.skipped = skipped;
  return sum.result;
}

template <class X>
double triplet_value(Local here, const Eigen::MatrixBase<X>& x, const Numbers& labels,
                     const TripletOptions& options) {
  return supervised_value(
             "triplet", x, labels,
             [&](auto view, const auto& y, auto& workspace, auto dx) {
               return triplet_on_views("triplet", view, y, options, workspace, dx);
             },
             here)
      .loss;
}

}  // namespace detail

/// The loss, in units of the distance.
template <class X, class... World>
requires core::Worlds<World...>
[[nodiscard]] double triplet(const Eigen::MatrixBase<X>& x, const core::Numbers& labels,
                             const TripletOptions& options = {}, World&... world) {
  if constexpr (sizeof...(World) > 0) {
    return detail::value_across(
        "triplet", world..., options,
        [&](detail::Local here, const auto&... all) {
          return detail::triplet_value(here, all..., options);
        },
        x, core::per_row(labels));
  } else {
    return detail::triplet_value(detail::Local{}, x, labels, options);
  }
}

/// Loss and gradient into `out` (any struct with the fields of TripletGradient).
template <class X, class Out, class... World>
requires core::Worlds<World...>
void triplet_with_gradient(const Eigen::MatrixBase<X>& x, const core::Numbers& labels,
                           const TripletOptions& options, core::Workspace& workspace, Out& out,
                           World&... world) {
  if constexpr (sizeof...(World) > 0) {
    detail::gradient_across(
        "triplet_with_gradient", world..., options, workspace, out,
        [&](auto& memory, const auto&... all) -> auto& {
          auto& part =
              detail::whole_gradient<decltype(triplet_with_gradient(all..., options))>(memory);
          triplet_with_gradient(all..., options, memory, part);
          return part;
        },
        x, core::per_row(labels));
  } else {
    constexpr auto* name = "triplet_with_gradient";
    detail::supervised_gradient(
        name, x, labels,
        [&](auto view, const auto& y, auto& memory, auto dx) {
          return detail::triplet_on_views(name, view, y, options, memory, dx);
        },
        workspace, out);
  }
}

template <class X, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto triplet_with_gradient(const Eigen::MatrixBase<X>& x, const core::Numbers& labels,
                                         const TripletOptions& options = {}, World&... world) {
  return detail::by_value<TripletGradient<RowMatrix<core::Real<X>>>>(
      [&](auto& workspace, auto& out) {
        triplet_with_gradient(x, labels, options, workspace, out, world...);
      });
}

/// The mean over triplets of rows of X; options.mining is not used.
template <class X>
[[nodiscard]] double triplet_of(const Eigen::MatrixBase<X>& x, const core::Numbers& anchors,
                                const core::Numbers& positives, const core::Numbers& negatives,
                                const TripletOptions& options = {}) {
  const detail::TripletLists lists{anchors, positives, negatives};
  return detail::supervised_value("triplet_of", x, lists,
                                  [&](auto view, const auto& t, auto& workspace, auto dx) {
                                    return detail::triplet_of_views("triplet_of", view, t, options,
                                                                    workspace, dx);
                                  })
      .loss;
}

/// Loss and gradient into `out` (any struct with the fields of TripletGradient).
template <class X, class Out>
void triplet_of_with_gradient(const Eigen::MatrixBase<X>& x, const core::Numbers& anchors,
                              const core::Numbers& positives, const core::Numbers& negatives,
                              const TripletOptions& options, core::Workspace& workspace, Out& out) {
  constexpr auto* name = "triplet_of_with_gradient";
  const detail::TripletLists lists{anchors, positives, negatives};
  detail::supervised_gradient(
      name, x, lists,
      [&](auto view, const auto& t, auto& memory, auto dx) {
        return detail::triplet_of_views(name, view, t, options, memory, dx);
      },
      workspace, out);
}

template <class X>
[[nodiscard]] auto triplet_of_with_gradient(const Eigen::MatrixBase<X>& x,
                                            const core::Numbers& anchors,
                                            const core::Numbers& positives,
                                            const core::Numbers& negatives,
                                            const TripletOptions& options = {}) {
  return detail::by_value<TripletGradient<RowMatrix<core::Real<X>>>>(
      [&](auto& workspace, auto& out) {
        triplet_of_with_gradient(x, anchors, positives, negatives, options, workspace, out);
      });
}

}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_TRIPLET(T)                                                       \
  TripletResult triplet_on_views(const char*, MatrixView<const T>, const Numbers&, \
                                 const TripletOptions&, Workspace&, MatrixView<T>)
SPHEREMIX_ELSEWHERE(SPHEREMIX_TRIPLET)
}  // namespace spheremix::losses::detail
