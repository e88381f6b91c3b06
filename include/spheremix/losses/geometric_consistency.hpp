// Geometric consistency: the similarities within one modality, and across, look the same from both
// sides.
//
//   geometric_consistency
//     L = (1/n) sum_jk  c (x_j.y_k - x_k.y_j)^2 + w (x_j.x_k - y_j.y_k)^2
//   augmented_geometric_consistency
//     L = (1/n) sum_jk  w (x_j.x_k - xa_j.xa_k)^2 + w (y_j.y_k - ya_j.ya_k)^2
//         + (1/n) sum_j  c (x_j.y_j - xa_j.ya_j)^2
//
// c is cross_weight, w in_modal_weight. The sum over pairs over n, not n^2, grows with n (as
// published). Zero for Y = X R with R orthogonal and symmetric: a large gap and zero loss can go
// together.
//
// Shapes     n x d each, n >= 1; rows as they are.
// Gradient   with A, B the two differences above:
//            dX = (4/n) (c A Y + w B X), dY = -(4/n) (c A X + w B Y).
// Cost       n d min(n, d): linear in n for d < n, see consistency_products.hpp. In double.
// Errors     shapes, no rows, weights negative or not finite. NaN gives NaN throughout.
// Source     Jiang et al. 2023, arXiv 2303.05952, section 4.3; Goel et al. 2022, "CyCLIP", arXiv
//            2205.14459.
#pragma once

#include "spheremix/losses/consistency_products.hpp"
#include "spheremix/metrics/sums.hpp"

namespace spheremix::losses {

struct GeometricConsistencyOptions {
  double cross_weight = 1;
  double in_modal_weight = 1;
};

template <class Matrix>
struct AugmentedConsistencyGradient {
  double loss;
  Matrix x, y;                      ///< dL/dX, dL/dY
  Matrix x_augmented, y_augmented;  ///< of the augmented views
};

namespace detail {

inline void expects_weight(const char* function, const char* name, double weight) {
  core::expects(weight >= 0 && std::isfinite(weight), function, name, " is ", weight,
                ", not a finite number >= 0");
}

template <class T>
void expects_consistency(const char* function, MatrixView<const T> x, MatrixView<const T> y,
                         const GeometricConsistencyOptions& options) {
  core::expects_same_shape(function, "X", x.rows, x.cols, "Y", y.rows, y.cols);
  core::expects(x.rows >= 1, function, "X has no rows");
  expects_weight(function, "cross_weight", options.cross_weight);
  expects_weight(function, "in_modal_weight", options.in_modal_weight);
}

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
               const double g = 2 * weight / n * e;
               d[0](j, k) += T(g * double(y[k]));
               d[1](j, k) += T(g * double(x[k]));
               d[2](j, k) -= T(g * double(ya[k]));
               d[3](j, k) -= T(g * double(xa[k]));
             }
           return e * e;
         });
}

/// in, d: x, y, x_augmented, y_augmented; d null without gradients.
template <class T>
double augmented_on_views(const char* function, const MatrixView<const T>* in,
                          const GeometricConsistencyOptions& options, Workspace& workspace,
                          const MatrixView<T>* d) {
  expects_consistency(function, in[0], in[1], options);
  expects_consistency(function, in[0], in[2], options);
  expects_consistency(function, in[0], in[3], options);
  const double each = 1 / double(in[0].rows);
  double loss = 0;
  for (const int side : {0, 1})
    loss += consistency_on_views<T>(in[side], in[side + 2], 0, options.in_modal_weight, each,
                                    workspace, d ? d[side] : MatrixView<T>{},
                                    d ? d[side + 2] : MatrixView<T>{}, false);
  return loss + paired_consistency(in, options.cross_weight, d);
}

}  // namespace detail

/// The loss of two batches.
template <class X, class Y>
[[nodiscard]] double geometric_consistency(const Eigen::MatrixBase<X>& x,
                                           const Eigen::MatrixBase<Y>& y,
                                           const GeometricConsistencyOptions& options = {}) {
  using T = typename X::Scalar;
  const core::InputRows<T> rows_x(x), rows_y(y);
  detail::expects_consistency("geometric_consistency", rows_x.view(), rows_y.view(), options);
  core::Workspace workspace;
  return detail::consistency_on_views<T>(rows_x.view(), rows_y.view(), options.cross_weight,
                                         options.in_modal_weight, 1 / double(x.rows()), workspace,
                                         {}, {}, false);
}

/// Loss and gradients into `out` (any struct with the fields of PairGradient).
template <class X, class Y, class Out>
void geometric_consistency_with_gradient(const Eigen::MatrixBase<X>& x,
                                         const Eigen::MatrixBase<Y>& y,
                                         const GeometricConsistencyOptions& options,
                                         core::Workspace& workspace, Out& out) {
  using T = typename X::Scalar;
  constexpr auto* name = "geometric_consistency_with_gradient";
  const core::InputRows<T> rows_x(x), rows_y(y);
  detail::expects_consistency(name, rows_x.view(), rows_y.view(), options);
  detail::GradientRows<T, decltype(out.x), decltype(out.y)> rows(name, out.x, out.y, rows_x.view(),
                                                                 rows_y.view());
  out.loss = detail::consistency_on_views<T>(rows_x.view(), rows_y.view(), options.cross_weight,
                                             options.in_modal_weight, 1 / double(x.rows()),
                                             workspace, rows.x.view(), rows.y.view(), false);
  rows.commit();
}

template <class X, class Y>
[[nodiscard]] PairGradient<RowMatrix<typename X::Scalar>> geometric_consistency_with_gradient(
    const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
    const GeometricConsistencyOptions& options = {}) {
  core::Workspace workspace;
  PairGradient<RowMatrix<typename X::Scalar>> out;
  geometric_consistency_with_gradient(x, y, options, workspace, out);
  return out;
}

/// The loss of two batches and their augmented views.
template <class X, class Y, class Xa, class Ya>
[[nodiscard]] double augmented_geometric_consistency(
    const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
    const Eigen::MatrixBase<Xa>& x_augmented, const Eigen::MatrixBase<Ya>& y_augmented,
    const GeometricConsistencyOptions& options = {}) {
  using T = typename X::Scalar;
  const core::InputRows<T> a(x), b(y), c(x_augmented), d(y_augmented);
  const detail::MatrixView<const T> in[] = {a.view(), b.view(), c.view(), d.view()};
  core::Workspace workspace;
  return detail::augmented_on_views<T>("augmented_geometric_consistency", in, options, workspace,
                                       nullptr);
}

/// Loss and gradients into `out` (any struct with the fields of AugmentedConsistencyGradient).
template <class X, class Y, class Xa, class Ya, class Out>
void augmented_geometric_consistency_with_gradient(const Eigen::MatrixBase<X>& x,
                                                   const Eigen::MatrixBase<Y>& y,
                                                   const Eigen::MatrixBase<Xa>& x_augmented,
                                                   const Eigen::MatrixBase<Ya>& y_augmented,
                                                   const GeometricConsistencyOptions& options,
                                                   core::Workspace& workspace, Out& out) {
  using T = typename X::Scalar;
  constexpr auto* name = "augmented_geometric_consistency_with_gradient";
  const core::InputRows<T> a(x), b(y), c(x_augmented), d(y_augmented);
  const detail::MatrixView<const T> in[] = {a.view(), b.view(), c.view(), d.view()};
  core::OutputRows dx(name, "out.x", out.x, x.rows(), x.cols());
  core::OutputRows dy(name, "out.y", out.y, y.rows(), y.cols());
  core::OutputRows dxa(name, "out.x_augmented", out.x_augmented, c.view().rows, c.view().cols);
  core::OutputRows dya(name, "out.y_augmented", out.y_augmented, d.view().rows, d.view().cols);
  const detail::MatrixView<T> to[] = {dx.view(), dy.view(), dxa.view(), dya.view()};
  detail::expects_outputs_apart<T>(name, {to[0], to[1], to[2], to[3]},
                                   {in[0], in[1], in[2], in[3]});
  out.loss = detail::augmented_on_views<T>(name, in, options, workspace, to);
  dx.commit();
  dy.commit();
  dxa.commit();
  dya.commit();
}

template <class X, class Y, class Xa, class Ya>
[[nodiscard]] auto augmented_geometric_consistency_with_gradient(
    const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
    const Eigen::MatrixBase<Xa>& x_augmented, const Eigen::MatrixBase<Ya>& y_augmented,
    const GeometricConsistencyOptions& options = {}) {
  core::Workspace workspace;
  AugmentedConsistencyGradient<RowMatrix<typename X::Scalar>> out;
  augmented_geometric_consistency_with_gradient(x, y, x_augmented, y_augmented, options, workspace,
                                                out);
  return out;
}

}  // namespace spheremix::losses
