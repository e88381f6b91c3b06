// Deep feature separation: each modality has a second, independent feature, orthogonal to the
// shared one, told apart by contrast and spread over the sphere.
//
//   ortho       (1/n) sum_j (x_j.xi_j)^2 + (y_j.yi_j)^2
//   contrast    -(1/n) sum_j log e^(xi_j.xa_j/tau) / sum_k e^(xi_j.key_k/tau), and the same for y:
//               Denominator::printed    keys are xi itself, k = j included (the text's formula)
//               Denominator::augmented  keys are xa: InfoNCE of xi against xa
//   uniformity  joint:    log (1/n) sum_jk ( e^(-2 |xi_j - xi_k|^2) + e^(-2 |yi_j - yi_k|^2) )
//               separate: the sum of two logarithms; k = j is included, and 1/n is not 1/n^2
//   L = ortho_weight ortho + contrast_weight contrast + uniformity_weight uniformity
//
// Shapes     X, Y shared features, Xi, Yi independent ones, Xa, Ya independent ones of the
//            augmented views: n x d each, n >= 1.
// Gradient   the sum of the parts'. ortho: 2 (x.xi) xi / n. printed contrast: P / (n tau) over all
//            pairs less 1 / (n tau) of each positive. uniformity from metrics::uniformity u:
//            sum_jk = n + n (n - 1) e^u.
// Errors     shapes, no rows, temperature, weights, memory_budget too small. NaN gives NaN.
// Source     Jiang et al. 2023, arXiv 2303.05952, section 4.1.
#pragma once

#include "spheremix/losses/geometric_consistency.hpp"
#include "spheremix/losses/mixing.hpp"
#include "spheremix/losses/pairs.hpp"
#include "spheremix/metrics/uniformity.hpp"
#include "spheremix/pairwise/row_sweep.hpp"

namespace spheremix::losses {

enum class Denominator { printed, augmented };
enum class UniformityReading { joint, separate };

struct FeatureSeparationOptions {
  double temperature = 0.07;
  double ortho_weight = 1;
  double contrast_weight = 1;
  double uniformity_weight = 1;
  Denominator denominator = Denominator::printed;
  UniformityReading uniformity = UniformityReading::joint;
  std::size_t memory_budget = std::size_t(1) << 30;  ///< bytes of temporary memory of the contrast
};

template <class Matrix>
struct FeatureSeparationGradient {
  double loss;
  Matrix x, y;                          ///< of the shared features
  Matrix x_independent, y_independent;  ///< of the independent features
  Matrix x_augmented, y_augmented;      ///< of the independent features of the augmented views
  double log_temperature;               ///< dL/d ln(tau)
};

namespace detail {

template <class T>
struct PrintedContrastArrays {
  LineResults lines;
  double* pair;           ///< dL/d(x_j . p_j)
  MatrixView<T> other{};  ///< dX as keys

  PrintedContrastArrays(Index n, Index d, bool gradients, Workspace::Frame& frame)
      : lines(n, frame), pair(frame.take<double>(std::size_t(n))) {
    if (gradients) other = take_rows<T>(frame, n, d);
  }
};

/// weight/n sum_j ( lse_k x_j.x_k/tau - x_j.p_j/tau ); gradients are added to dx and dp.
template <class T>
ContrastResult printed_contrast(const char* function, MatrixView<const T> x, MatrixView<const T> p,
                                double temperature, double weight, std::size_t budget,
                                Workspace& workspace, MatrixView<T> dx, MatrixView<T> dp) {
  const Index n = x.rows, d = x.cols;
  const bool gradients = dx.data != nullptr;
  const auto plan =
      pairwise::make_row_plan<T>(function, n, n, d, gradients ? 1 : 0, false, budget,
                                 core::bytes_of<PrintedContrastArrays<T>>(n, d, gradients));
  if (!computable(x, x, temperature) || !computable(x, p, temperature)) {
    if (gradients) fill_nan(dx), fill_nan(dp);
    return {core::nan<double>, core::nan<double>, nullptr};
  }
  Workspace::Frame frame = workspace.frame(plan.bytes);
  const PrintedContrastArrays<T> arrays(n, d, gradients, frame);
  double *const loss = arrays.lines.loss, *const moment = arrays.lines.moment;
  double* const pair = arrays.pair;
  const MatrixView<T> other = arrays.other;
  const T scale = T(1 / temperature);
  const double line = weight / double(n);
  pairwise::row_sweep<T>(
      x, x, plan, frame,
      [&](const pairwise::PairRow<T>& row) {
        const double positive = row_product(x.row(row.i), p.row(row.i), d) / temperature;
        const T top = scale * SPHEREMIX_DISPATCH(row_largest<T>)(row.s, n);
        const double sum = SPHEREMIX_DISPATCH(row_exponential<T>)(
            row.s, scale, top, gradients ? row.scratch : nullptr, n);
        loss[row.i] = double(top) + std::log(sum) - positive;
        const double mean = gradients ? SPHEREMIX_DISPATCH(row_weights<T>)(
                                            row.s, row.scratch, T(line / sum / temperature), n)
                                      : 0;
        moment[row.i] = mean - line * positive;
        pair[row.i] = -line / temperature;
      },
      {dx, other, true, false});
  if (gradients) {
    put_rows<T>(dx, other, true);
    add_pairs<T>(dx, dp, x, p, pair);
  }
  ContrastResult result;
  for (Index i = 0; i < n; ++i) {
    result.loss += line * loss[i];
    result.log_temperature -= moment[i];
  }
  return result;
}

/// to += factor * from.
template <class T>
void add_scaled(MatrixView<T> to, const RowMatrix<T>& from, double factor) {
  for (Index i = 0; i < to.rows; ++i)
    for (Index k = 0; k < to.cols; ++k)
      to(i, k) = T(double(to(i, k)) + factor * double(from(i, k)));
}

/// Uniformity of the two independent batches with its gradient added, diagonal included.
template <class T>
double separation_uniformity(MatrixView<const T> x, MatrixView<const T> y, double weight,
                             UniformityReading reading, MatrixView<T> dx, MatrixView<T> dy) {
  if (x.rows == 1)  // the diagonal alone
    return weight * (reading == UniformityReading::joint ? std::log(2.0) : 0.0);
  using Rows = Eigen::Map<const RowMatrix<T>, 0, Eigen::OuterStride<>>;
  const double others = double(x.rows) - 1;
  double sum[2];
  metrics::UniformityGradient<RowMatrix<T>> side[2];
  for (const int s : {0, 1}) {
    const auto& in = s ? y : x;
    const Rows rows(in.data, in.rows, in.cols, Eigen::OuterStride<>(in.stride));
    if (dx.data)
      metrics::uniformity_with_gradient(rows, {}, side[s]);
    else
      side[s].value = metrics::uniformity(rows);
    sum[s] = others * std::exp(side[s].value);  // (1/n) sum over j != k
  }
  const bool joint = reading == UniformityReading::joint;
  if (dx.data)
    for (const int s : {0, 1})
      add_scaled(s ? dy : dx, side[s].x,
                 weight * sum[s] / (joint ? 2 + sum[0] + sum[1] : 1 + sum[s]));
  return weight * (joint ? std::log(2 + sum[0] + sum[1]) : std::log1p(sum[0]) + std::log1p(sum[1]));
}

/// in, d: x, y, x_independent, y_independent, x_augmented, y_augmented; d null without gradients.
template <class T>
ContrastResult separation_on_views(const char* function, const MatrixView<const T>* in,
                                   const FeatureSeparationOptions& o, Workspace& workspace,
                                   const MatrixView<T>* d) {
  for (int k = 1; k < 6; ++k)
    core::expects_same_shape(function, "X", in[0].rows, in[0].cols, "another batch", in[k].rows,
                             in[k].cols);
  core::expects(in[0].rows >= 1, function, "X has no rows");
  expects_temperature<T>(function, "temperature", o.temperature);
  expects_weight(function, "ortho_weight", o.ortho_weight);
  expects_weight(function, "contrast_weight", o.contrast_weight);
  expects_weight(function, "uniformity_weight", o.uniformity_weight);
  const Index n = in[0].rows, width = in[0].cols;
  ContrastResult result;
  for (const int side : {0, 1}) {
    const auto x = in[side], xi = in[side + 2], xa = in[side + 4];
    const double factor = o.ortho_weight / double(n);
    result.loss += factor * metrics::detail::sum_over_rows(n, [&](Index j) {
                     const double c = row_product(x.row(j), xi.row(j), width);
                     if (d)
                       for (Index k = 0; k < width; ++k) {
                         d[side](j, k) = T(2 * factor * c * double(xi(j, k)));
                         d[side + 2](j, k) = T(2 * factor * c * double(x(j, k)));
                         d[side + 4](j, k) = 0;
                       }
                     return c * c;
                   });
    if (o.contrast_weight == 0) continue;
    const auto none = MatrixView<T>{};
    ContrastResult part;
    if (o.denominator == Denominator::printed) {
      part =
          printed_contrast<T>(function, xi, xa, o.temperature, o.contrast_weight, o.memory_budget,
                              workspace, d ? d[side + 2] : none, d ? d[side + 4] : none);
    } else {
      // info_nce puts its gradients: into temporaries, then scaled and added.
      RowMatrix<T> gx(d ? n : 0, width), gy(d ? n : 0, width);
      pairwise::PairGradients<T> to{};
      if (d) to = {{gx.data(), n, width, width}, {gy.data(), n, width, width}};
      part = pair_loss_on_views<false, T>(function, xi, xa, o.temperature, o.memory_budget,
                                          workspace, to);
      part.loss *= o.contrast_weight;
      part.log_temperature *= o.contrast_weight;
      if (d) {
        add_scaled(d[side + 2], gx, o.contrast_weight);
        add_scaled(d[side + 4], gy, o.contrast_weight);
      }
    }
    result.loss += part.loss;
    result.log_temperature += part.log_temperature;
  }
  if (o.uniformity_weight != 0)
    result.loss += separation_uniformity<T>(in[2], in[3], o.uniformity_weight, o.uniformity,
                                            d ? d[2] : MatrixView<T>{}, d ? d[3] : MatrixView<T>{});
  return result;
}

}  // namespace detail

/// The loss.
template <class X, class Y, class Xi, class Yi, class Xa, class Ya>
[[nodiscard]] double feature_separation(const Eigen::MatrixBase<X>& x,
                                        const Eigen::MatrixBase<Y>& y,
                                        const Eigen::MatrixBase<Xi>& x_independent,
                                        const Eigen::MatrixBase<Yi>& y_independent,
                                        const Eigen::MatrixBase<Xa>& x_augmented,
                                        const Eigen::MatrixBase<Ya>& y_augmented,
                                        const FeatureSeparationOptions& options = {}) {
  using T = typename X::Scalar;
  const core::InputRows<T> a(x), b(y), c(x_independent), d(y_independent), e(x_augmented),
      f(y_augmented);
  const detail::MatrixView<const T> in[] = {a.view(), b.view(), c.view(),
                                            d.view(), e.view(), f.view()};
  core::Workspace workspace;
  return detail::separation_on_views<T>("feature_separation", in, options, workspace, nullptr).loss;
}

/// Loss and gradients into `out` (any struct with the fields of FeatureSeparationGradient).
template <class X, class Y, class Xi, class Yi, class Xa, class Ya, class Out>
void feature_separation_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                      const Eigen::MatrixBase<Xi>& x_independent,
                                      const Eigen::MatrixBase<Yi>& y_independent,
                                      const Eigen::MatrixBase<Xa>& x_augmented,
                                      const Eigen::MatrixBase<Ya>& y_augmented,
                                      const FeatureSeparationOptions& options,
                                      core::Workspace& workspace, Out& out) {
  using T = typename X::Scalar;
  constexpr auto* name = "feature_separation_with_gradient";
  const core::InputRows<T> a(x), b(y), c(x_independent), d(y_independent), e(x_augmented),
      f(y_augmented);
  const detail::MatrixView<const T> in[] = {a.view(), b.view(), c.view(),
                                            d.view(), e.view(), f.view()};
  core::OutputRows dx(name, "out.x", out.x, x.rows(), x.cols());
  core::OutputRows dy(name, "out.y", out.y, in[1].rows, in[1].cols);
  core::OutputRows dxi(name, "out.x_independent", out.x_independent, in[2].rows, in[2].cols);
  core::OutputRows dyi(name, "out.y_independent", out.y_independent, in[3].rows, in[3].cols);
  core::OutputRows dxa(name, "out.x_augmented", out.x_augmented, in[4].rows, in[4].cols);
  core::OutputRows dya(name, "out.y_augmented", out.y_augmented, in[5].rows, in[5].cols);
  const detail::MatrixView<T> to[] = {dx.view(),  dy.view(),  dxi.view(),
                                      dyi.view(), dxa.view(), dya.view()};
  detail::expects_outputs_apart<T>(name, {to[0], to[1], to[2], to[3], to[4], to[5]},
                                   {in[0], in[1], in[2], in[3], in[4], in[5]});
  const auto result = detail::separation_on_views<T>(name, in, options, workspace, to);
  out.loss = result.loss;
  out.log_temperature = result.log_temperature;
  dx.commit();
  dy.commit();
  dxi.commit();
  dyi.commit();
  dxa.commit();
  dya.commit();
}

template <class X, class Y, class Xi, class Yi, class Xa, class Ya>
[[nodiscard]] auto feature_separation_with_gradient(const Eigen::MatrixBase<X>& x,
                                                    const Eigen::MatrixBase<Y>& y,
                                                    const Eigen::MatrixBase<Xi>& x_independent,
                                                    const Eigen::MatrixBase<Yi>& y_independent,
                                                    const Eigen::MatrixBase<Xa>& x_augmented,
                                                    const Eigen::MatrixBase<Ya>& y_augmented,
                                                    const FeatureSeparationOptions& options = {}) {
  core::Workspace workspace;
  FeatureSeparationGradient<RowMatrix<typename X::Scalar>> out;
  feature_separation_with_gradient(x, y, x_independent, y_independent, x_augmented, y_augmented,
                                   options, workspace, out);
  return out;
}

}  // namespace spheremix::losses
