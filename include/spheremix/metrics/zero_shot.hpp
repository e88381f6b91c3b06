// Zero-shot classification: an image is of the class whose prompt it is nearest to.
//
//   rank_i = 1 + #{ c != label_i : x_i . p_c >= x_i . p_label }
//   accuracy@k = share of rank <= k
//   class_prototypes: p_c = unit( mean of the prompts of class c )
//
// Ties count against.
//
// Shapes   X: N x d, prototypes: C x d, labels in [0, C); prompts: M x d with M classes.
//          Labels of any integer or floating type (core/numbers.hpp).
// Errors   widths, labels, k < 1, a class without a prompt or whose prompts add up to 0, a row with
//          NaN or infinity (named): std::invalid_argument.
// Source   Radford et al. 2021, arXiv 2103.00020, section 3.1 (prompt ensembles: 3.1.4).
#pragma once

#include "spheremix/core/numbers.hpp"
#include "spheremix/metrics/detail/row_checks.hpp"
#include "spheremix/metrics/detail/whole_rows.hpp"
#include "spheremix/metrics/retrieval.hpp"
#include "spheremix/pairwise/shares.hpp"

namespace spheremix::metrics {

struct ZeroShotOptions {
  std::vector<Index> k = {1, 5};  ///< accuracy at each of these
};

namespace detail {

template <class T>
std::vector<double> zero_shot_accuracy(core::MatrixView<const T> x,
                                       core::MatrixView<const T> prototypes,
                                       const core::Numbers& labels, const ZeroShotOptions& options,
                                       const core::Share* share) {
  constexpr auto* name = "zero_shot_accuracy";
  check_query(name, x, prototypes);
  labels.expects_classes(name, "labels", x.rows, prototypes.rows);
  expects_counts(name, options.k);
  std::vector<Index> ranks(static_cast<std::size_t>(x.rows));
  for_whole_rows(
      x, prototypes,
      [&](Index i, T* s) {
        const T own = s[labels.index(i)];
        Index rank = 0;  // the class itself is one of them
        for (Index c = 0; c < prototypes.rows; ++c) rank += s[c] >= own;
        ranks[std::size_t(i)] = rank;
      },
      share);
  if (share) share->gather(ranks.data(), x.rows);
  return summary_of(ranks, options.k).recall;
}

}  // namespace detail

/// Accuracy at each k, in [0, 1].
template <class X, class P>
[[nodiscard]] std::vector<double> zero_shot_accuracy(const Eigen::MatrixBase<X>& x,
                                                     const Eigen::MatrixBase<P>& prototypes,
                                                     const core::Numbers& labels,
                                                     const ZeroShotOptions& options = {}) {
  using T = core::Real<X>;
  const core::InputRows<T> rows_x(x), rows_p(prototypes);
  return detail::zero_shot_accuracy(rows_x.view(), rows_p.view(), labels, options, nullptr);
}

/// The unit mean of each class's prompts, C x d.
template <class P>
[[nodiscard]] RowMatrix<core::Real<P>> class_prototypes(const Eigen::MatrixBase<P>& prompts,
                                                        const core::Numbers& classes, Index count) {
  using T = core::Real<P>;
  constexpr auto* name = "class_prototypes";
  const core::InputRows<T> rows(prompts);
  detail::finite_norm(name, "the prompts", rows.view());
  classes.expects_classes(name, "classes", prompts.rows(), count);
  RowMatrix<double> sum = RowMatrix<double>::Zero(count, prompts.cols());
  for (Index i = 0; i < prompts.rows(); ++i) {
    const Index c = classes.index(i);
    for (Index k = 0; k < prompts.cols(); ++k) sum(c, k) += double(rows.view()(i, k));
  }
  for (Index c = 0; c < count; ++c) {
    const double norm = sum.row(c).norm();
    core::expects(norm > 0, name, "class ", c, " has no prompt, or prompts that add up to 0");
    sum.row(c) /= norm;
  }
  return sum.template cast<T>();
}

/// Over several processes: of the rows of all ranks, the same on every rank. A rank has its block of
/// the prototypes as of any batch; labels are row numbers in the whole of them.
template <class X, class P, core::Communicator World>
[[nodiscard]] std::vector<double> zero_shot_accuracy(const Eigen::MatrixBase<X>& x,
                                                     const Eigen::MatrixBase<P>& prototypes,
                                                     const core::Numbers& labels,
                                                     const ZeroShotOptions& options, World& world) {
  using T = core::Real<X>;
  return pairwise::value_of_shares(
      "zero_shot_accuracy", world, core::listed(options.k),
      [&](const core::Share* share, const RowMatrix<T>& all_x, const RowMatrix<T>& all_prototypes,
          const core::Numbers& all_labels) {
        return detail::zero_shot_accuracy(core::rows_of(all_x), core::rows_of(all_prototypes),
                                          all_labels, options, share);
      },
      x, prototypes, core::paired(labels));
}

}  // namespace spheremix::metrics
