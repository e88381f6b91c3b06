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

#include "spheremix/core/compiled.hpp"
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

/// Of x, y, x_independent, y_independent, x_augmented, y_augmented.
struct FeatureSeparationLoss {
  static constexpr const char* kFields[] = {
      "out.x",           "out.y",          "out.x_independent", "out.y_independent",
      "out.x_augmented", "out.y_augmented"};
  const FeatureSeparationOptions& options;

  template <class Out>
  static auto fields(Out& out) {
    return std::tie(out.x, out.y, out.x_independent, out.y_independent, out.x_augmented,
                    out.y_augmented);
  }
  template <class T>
  static void expects(const char* function, const Inputs<T, 6>& in) {
    for (std::size_t k = 1; k < 6; ++k)
      core::expects_same_shape(function, "X", in[0].rows, in[0].cols, "another batch", in[k].rows,
                               in[k].cols);
    core::expects(in[0].rows >= 1, function, "X has no rows");
  }

  /// weight of the squares of x . xi; the gradients are set, those of the augmented rows to 0.
  template <class T>
  double orthogonality(const Inputs<T, 6>& in, const Outputs<T, 6>& d, std::size_t side) const {
    const MatrixView<const T> x = in[side], xi = in[side + 2];
    const double factor = options.ortho_weight / double(x.rows);
    return factor * metrics::detail::sum_over_rows(x.rows, [&](Index j) {
             const double c = row_product(x.row(j), xi.row(j), x.cols);
             if (d[side].data)
               for (Index k = 0; k < x.cols; ++k) {
                 d[side](j, k) = T(2 * factor * c * double(xi(j, k)));
                 d[side + 2](j, k) = T(2 * factor * c * double(x(j, k)));
                 d[side + 4](j, k) = 0;
               }
             return c * c;
           });
  }

  /// Contrast of the independent rows with the augmented ones; gradients are added.
  template <class T>
  ContrastResult contrast(const char* function, MatrixView<const T> xi, MatrixView<const T> xa,
                          Workspace& workspace, MatrixView<T> dxi, MatrixView<T> dxa) const {
    const FeatureSeparationOptions& o = options;
    if (o.denominator == Denominator::printed)
      return printed_contrast<T>(function, xi, xa, o.temperature, o.contrast_weight,
                                 o.memory_budget, workspace, dxi, dxa);
    // info_nce puts its gradients: into temporaries, then scaled and added.
    const Index n = dxi.data ? xi.rows : 0, width = xi.cols;
    RowMatrix<T> gx(n, width), gy(n, width);
    pairwise::PairGradients<T> to{};
    if (dxi.data) to = {{gx.data(), n, width, width}, {gy.data(), n, width, width}};
    ContrastResult part = pair_loss_on_views<false, T>(function, xi, xa, o.temperature,
                                                       o.memory_budget, workspace, to);
    part.loss *= o.contrast_weight;
    part.log_temperature *= o.contrast_weight;
    if (dxi.data) {
      add_scaled(dxi, gx, o.contrast_weight);
      add_scaled(dxa, gy, o.contrast_weight);
    }
    return part;
  }

  template <class T>
  ContrastResult operator()(const char* function, const Inputs<T, 6>& in, Workspace& workspace,
                            const Outputs<T, 6>& d) const {
    expects_temperature<T>(function, "temperature", options.temperature);
    expects_weight(function, "ortho_weight", options.ortho_weight);
    expects_weight(function, "contrast_weight", options.contrast_weight);
    expects_weight(function, "uniformity_weight", options.uniformity_weight);
    ContrastResult result;
    for (const std::size_t side : {std::size_t(0), std::size_t(1)}) {
      result.loss += orthogonality(in, d, side);
      if (options.contrast_weight == 0) continue;
      const ContrastResult part =
          contrast(function, in[side + 2], in[side + 4], workspace, d[side + 2], d[side + 4]);
      result.loss += part.loss;
      result.log_temperature += part.log_temperature;
    }
    if (options.uniformity_weight != 0)
      result.loss += separation_uniformity<T>(in[2], in[3], options.uniformity_weight,
                                              options.uniformity, d[2], d[3]);
    return result;
  }
};

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
  return detail::value("feature_separation", detail::FeatureSeparationLoss{options}, x, y,
                       x_independent, y_independent, x_augmented, y_augmented)
      .loss;
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
  detail::into("feature_separation_with_gradient", detail::FeatureSeparationLoss{options},
               workspace, out, x, y, x_independent, y_independent, x_augmented, y_augmented);
}

template <class X, class Y, class Xi, class Yi, class Xa, class Ya>
[[nodiscard]] auto feature_separation_with_gradient(const Eigen::MatrixBase<X>& x,
                                                    const Eigen::MatrixBase<Y>& y,
                                                    const Eigen::MatrixBase<Xi>& x_independent,
                                                    const Eigen::MatrixBase<Yi>& y_independent,
                                                    const Eigen::MatrixBase<Xa>& x_augmented,
                                                    const Eigen::MatrixBase<Ya>& y_augmented,
                                                    const FeatureSeparationOptions& options = {}) {
  return detail::by_value<FeatureSeparationGradient<RowMatrix<typename X::Scalar>>>(
      [&](auto& workspace, auto& out) {
        feature_separation_with_gradient(x, y, x_independent, y_independent, x_augmented,
                                         y_augmented, options, workspace, out);
      });
}

}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_FEATURE_SEPARATION(T)                                                          \
  ContrastResult run(const FeatureSeparationLoss&, const char*, const Inputs<T, 6>&, Workspace&, \
                     const Outputs<T, 6>&)
SPHEREMIX_ELSEWHERE(SPHEREMIX_FEATURE_SEPARATION)
}  // namespace spheremix::losses::detail
