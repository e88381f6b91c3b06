// geometric_consistency on the CPU: formula, gradient and options in formula/geometric_consistency.hpp.
//
// Shapes     n x d each, n >= 1; rows as they are.
// Cost       n d min(n, d): linear in n for d < n, see consistency_products.hpp. In double.
// Errors     shapes, no rows, weights negative or not finite. NaN gives NaN throughout.
#pragma once

#include "spheremix/formula/geometric_consistency.hpp"
#include "spheremix/losses/detail/consistency_products.hpp"
#include "spheremix/metrics/detail/sums.hpp"

namespace spheremix::losses {

namespace detail {

inline void expects_weight(const char* function, const char* name, double weight) {
  core::expects(weight >= 0 && std::isfinite(weight), function, name, " is ", weight,
                ", not a finite number >= 0");
}

/// Of losses of columns, which have a variance each.
template <class T>
void expects_two_rows(const char* function, MatrixView<const T> x) {
  core::expects(x.rows >= 2 && x.cols >= 1, function, "X is ", x.rows, " x ", x.cols,
                ": at least two rows and one column are needed");
}

inline void expects_consistency(const char* function, const GeometricConsistencyOptions& options) {
  expects_weight(function, "cross_weight", options.cross_weight);
  expects_weight(function, "in_modal_weight", options.in_modal_weight);
}

struct ConsistencyLoss : OfTwoBatches {
  static constexpr bool kShared = true;
  const GeometricConsistencyOptions& options;

  template <class T>
  LossResult operator()(const char* function, const Inputs<T, 2>& in, Workspace& workspace,
                        const Outputs<T, 2>& out) const {
    expects_consistency(function, options);
    return {consistency_on_views<T>(
        in[0], in[1],
        formula::ConsistencyParts::of(options.cross_weight, options.in_modal_weight,
                                      1 / double(in[0].rows)),
        workspace, out[0], out[1], false)};
  }
};

/// (weight/n) sum_j (x_j.y_j - xa_j.ya_j)^2, its gradients added to d[0..3] unless d is null.
template <class T>
double paired_consistency(const MatrixView<const T>* in, double weight, const MatrixView<T>* d) {
  const Index width = in[0].cols;
  const double n = double(in[0].rows);
  return weight / n * metrics::detail::sum_over_rows(in[0].rows, [&](Index j) {
           const T *x = in[0].row(j), *y = in[1].row(j), *xa = in[2].row(j), *ya = in[3].row(j);
           const double e = row_product(x, y, width) - row_product(xa, ya, width);
           if (d)
             for (Index k = 0; k < width; ++k) {
               const double g = formula::paired_consistency_step(weight, n) * e;
               d[0](j, k) += T(g * double(y[k]));
               d[1](j, k) += T(g * double(x[k]));
               d[2](j, k) -= T(g * double(ya[k]));
               d[3](j, k) -= T(g * double(xa[k]));
             }
           return e * e;
         });
}

/// Of x, y, x_augmented, y_augmented.
struct AugmentedConsistencyLoss {
  static constexpr bool kShared = true;
  static constexpr const char* kFields[] = {"out.x", "out.y", "out.x_augmented", "out.y_augmented"};
  const GeometricConsistencyOptions& options;

  template <class Out>
  static auto fields(Out& out) {
    return std::tie(out.x, out.y, out.x_augmented, out.y_augmented);
  }
  template <class T>
  static void expects(const char* function, const Inputs<T, 4>& in) {
    for (std::size_t k = 1; k < 4; ++k)
      core::expects_same_shape(function, "X", in[0].rows, in[0].cols, "Y", in[k].rows, in[k].cols);
    core::expects(in[0].rows >= 1, function, "X has no rows");
  }
  template <class T>
  LossResult operator()(const char* function, const Inputs<T, 4>& in, Workspace& workspace,
                        const Outputs<T, 4>& out) const {
    expects_consistency(function, options);
    const double each = 1 / double(in[0].rows);
    double loss = 0;
    for (const std::size_t side : {std::size_t(0), std::size_t(1)})
      loss += consistency_on_views<T>(
          in[side], in[side + 2], formula::ConsistencyParts::of(0, options.in_modal_weight, each),
          workspace, out[side], out[side + 2], false);
    if (!core::leads(workspace.share())) return {loss};
    return {loss + paired_consistency(in.data(), options.cross_weight,
                                      out[0].data ? out.data() : nullptr)};
  }
};

}  // namespace detail

/// The loss of two batches.
template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] double geometric_consistency(const Eigen::MatrixBase<X>& x,
                                           const Eigen::MatrixBase<Y>& y,
                                           const GeometricConsistencyOptions& options = {},
                                           World&... world) {
  return detail::value("geometric_consistency", detail::ConsistencyLoss{{}, options},
                       detail::over(options, world...), x, y)
      .loss;
}

/// Loss and gradients into `out` (any struct with the fields of PairGradient), without an
/// allocation once `workspace` and `out` have their sizes.
template <class X, class Y, class Out, class... World>
requires core::Worlds<World...>
void geometric_consistency_with_gradient(const Eigen::MatrixBase<X>& x,
                                         const Eigen::MatrixBase<Y>& y,
                                         const GeometricConsistencyOptions& options,
                                         core::Workspace& workspace, Out& out, World&... world) {
  detail::into("geometric_consistency_with_gradient", detail::ConsistencyLoss{{}, options},
               detail::over(options, world...), workspace, out, x, y);
}

template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto geometric_consistency_with_gradient(
    const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
    const GeometricConsistencyOptions& options = {}, World&... world) {
  return detail::by_value<PairGradient<RowMatrix<core::Real<X>>>>([&](auto& workspace, auto& out) {
    geometric_consistency_with_gradient(x, y, options, workspace, out, world...);
  });
}

/// The loss of two batches and their augmented views.
template <class X, class Y, class Xa, class Ya, class... World>
requires core::Worlds<World...>
[[nodiscard]] double augmented_geometric_consistency(
    const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
    const Eigen::MatrixBase<Xa>& x_augmented, const Eigen::MatrixBase<Ya>& y_augmented,
    const GeometricConsistencyOptions& options = {}, World&... world) {
  return detail::value("augmented_geometric_consistency", detail::AugmentedConsistencyLoss{options},
                       detail::over(options, world...), x, y, x_augmented, y_augmented)
      .loss;
}

/// Loss and gradients into `out` (any struct with the fields of AugmentedConsistencyGradient).
template <class X, class Y, class Xa, class Ya, class Out, class... World>
requires core::Worlds<World...>
void augmented_geometric_consistency_with_gradient(const Eigen::MatrixBase<X>& x,
                                                   const Eigen::MatrixBase<Y>& y,
                                                   const Eigen::MatrixBase<Xa>& x_augmented,
                                                   const Eigen::MatrixBase<Ya>& y_augmented,
                                                   const GeometricConsistencyOptions& options,
                                                   core::Workspace& workspace, Out& out,
                                                   World&... world) {
  detail::into("augmented_geometric_consistency_with_gradient",
               detail::AugmentedConsistencyLoss{options}, detail::over(options, world...),
               workspace, out, x, y, x_augmented, y_augmented);
}

template <class X, class Y, class Xa, class Ya, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto augmented_geometric_consistency_with_gradient(
    const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
    const Eigen::MatrixBase<Xa>& x_augmented, const Eigen::MatrixBase<Ya>& y_augmented,
    const GeometricConsistencyOptions& options = {}, World&... world) {
  return detail::by_value<AugmentedConsistencyGradient<RowMatrix<core::Real<X>>>>(
      [&](auto& workspace, auto& out) {
        augmented_geometric_consistency_with_gradient(x, y, x_augmented, y_augmented, options,
                                                      workspace, out, world...);
      });
}

}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_GEOMETRIC_CONSISTENCY(T)                                             \
  LossResult run(const ConsistencyLoss&, const char*, const Inputs<T, 2>&, Workspace&, \
                 const Outputs<T, 2>&)
SPHEREMIX_ELSEWHERE(SPHEREMIX_GEOMETRIC_CONSISTENCY)
}  // namespace spheremix::losses::detail
