// feature_separation on the CPU: formula, gradient and options in formula/feature_separation.hpp.
//
// Shapes     X, Y shared features, Xi, Yi independent ones, Xa, Ya independent ones of the
//            augmented views: n x d each, n >= 1.
// Errors     shapes, no rows, temperature, weights, memory_budget too small. NaN gives NaN.
#pragma once

#include "spheremix/core/compiled.hpp"
#include "spheremix/formula/feature_separation.hpp"
#include "spheremix/losses/detail/mixing.hpp"
#include "spheremix/losses/detail/pairs.hpp"
#include "spheremix/losses/detail/printed_contrast.hpp"
#include "spheremix/losses/detail/separation_uniformity.hpp"
#include "spheremix/losses/geometric_consistency.hpp"
#include "spheremix/metrics/uniformity.hpp"

namespace spheremix::losses {

namespace detail {

/// Of x, y, x_independent, y_independent, x_augmented, y_augmented.
struct FeatureSeparationLoss {
  static constexpr bool kShared = true;
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

  /// weight of the squares of x . xi, 0 unless it counts here; its gradients are set, to which
  /// `before` times what stands there is added.
  template <class T>
  double orthogonality(const Inputs<T, 6>& in, const Outputs<T, 6>& d, std::size_t side,
                       double before, bool counts) const {
    const MatrixView<const T> x = in[side], xi = in[side + 2];
    const double factor = options.ortho_weight / double(x.rows);
    const double sum = metrics::detail::sum_over_rows(x.rows, [&](Index j) {
      const double c = counts ? row_product(x.row(j), xi.row(j), x.cols) : 0;
      // Not 0 times an infinity where it does not count.
      const auto pull = [&](T other) { return counts ? T(2 * factor * c * double(other)) : T(0); };
      if (d[side].data)
        for (Index k = 0; k < x.cols; ++k) {
          d[side](j, k) = pull(xi(j, k));
          T &to = d[side + 2](j, k), &augmented = d[side + 4](j, k);
          const T own = pull(x(j, k));
          to = before == 0 ? own : T(double(own) + before * double(to));
          augmented = before == 0 ? T(0) : T(0 + before * double(augmented));
        }
      return c * c;
    });
    return factor * sum;
  }

  /// Adds orthogonality and contrast of one side.
  template <class T>
  void add_side(const char* function, const Inputs<T, 6>& in, Workspace& workspace,
                const Outputs<T, 6>& d, std::size_t side, ContrastResult& result) const {
    const double tau = options.temperature, weight = options.contrast_weight;
    const MatrixView<const T> xi = in[side + 2], xa = in[side + 4];
    const MatrixView<T> dxi = d[side + 2], dxa = d[side + 4];
    const bool counts = core::leads(workspace.share());
    ContrastResult part;
    if (weight != 0 && options.denominator == Denominator::augmented) {
      // info_nce puts its gradients: to their places, before the others.
      part = pair_loss_on_views<false, T>(function, {{xi, xa}}, tau, options.memory_budget,
                                          workspace, {dxi, dxa});
      part.loss *= weight;
      part.log_temperature *= weight;
      result.loss += orthogonality(in, d, side, weight, counts);
    } else {
      result.loss += orthogonality(in, d, side, 0, counts);
      if (weight != 0)
        part = printed_contrast<T>(function, xi, xa, tau, weight, options.memory_budget, workspace,
                                   dxi, dxa);
    }
    result.loss += part.loss;
    result.log_temperature += part.log_temperature;
  }

  template <class T>
  ContrastResult operator()(const char* function, const Inputs<T, 6>& in, Workspace& workspace,
                            const Outputs<T, 6>& d) const {
    expects_options<T>(function);
    const Index n = in[0].rows, width = in[0].cols;
    const bool spreads = options.uniformity_weight != 0, gradients = d[0].data != nullptr;
    const auto bytes = [&](int threads) {
      return core::bytes_of<SeparationArrays<T>>(n, width, gradients, threads);
    };
    const int threads =
        spreads && n > 1 ? separation_threads(function, n, width, options.memory_budget, bytes) : 1;
    ContrastResult result;
    for (const std::size_t side : {std::size_t(0), std::size_t(1)})
      add_side(function, in, workspace, d, side, result);
    if (!spreads) return result;
    Workspace::Frame frame = workspace.frame(bytes(threads));
    SeparationArrays<T> arrays(n, width, gradients, threads, frame);
    result.loss += separation_uniformity<T>(
        options, n, arrays.sides, d[2], d[3], [&](std::size_t side, const MatrixView<T>& to) {
          return metrics::detail::uniformity<T>({in[2 + side]}, kSeparationT, arrays.pairs,
                                                gradients ? &to : nullptr);
        });
    return result;
  }

  /// Over the ranks of a meeting: the uniformities by ring, the rest by shares of the whole.
  template <class T>
  ContrastResult by_ring(Meeting& meeting, const Inputs<T, 6>& in, Workspace& workspace,
                         const Outputs<T, 6>& d, bool gradients) const {
    expects_options<T>(meeting.function());
    FeatureSeparationOptions rest = options;
    rest.uniformity_weight = 0;
    const Index own = in[0].rows, width = in[0].cols;
    const std::size_t sides_bytes =
        gradients ? 2 * Workspace::bytes_for<T>(std::size_t(own * width)) : 0;
    const bool spreads = options.uniformity_weight != 0;
    const int threads =
        spreads ? separation_threads(
                      meeting.function(), own, width, options.memory_budget,
                      [&](int count) {
                        return sides_bytes + core::bytes_of<metrics::detail::GaussianRingArrays<T>>(
                                                 meeting, own, 2, in[2], true, gradients, count);
                      })
                : 1;
    ContrastResult result = by_whole<FeatureSeparationLoss, T, 6>(
        meeting, FeatureSeparationLoss{rest}, in, workspace, d, gradients);
    if (!spreads) return result;
    Workspace::Frame frame = workspace.beside().frame(sides_bytes);
    MatrixView<T> sides[2] = {};
    for (MatrixView<T>& side : sides)
      if (gradients) side = take_rows<T>(frame, own, width);
    result.loss += separation_uniformity<T>(
        options, meeting.total(0), sides, d[2], d[3],
        [&](std::size_t side, const MatrixView<T>& to) {
          using namespace metrics::detail;
          const int k = int(2 + side);
          const MatrixView<const T> x = in[2 + side];
          return gradients ? uniformity_gradient_by_ring<T>(meeting, k, x, kSeparationT, to,
                                                            workspace, threads)
                           : uniformity_by_ring<T>(meeting, k, x, kSeparationT, workspace, threads);
        });
    return result;
  }

 private:
  template <class T>
  void expects_options(const char* function) const {
    expects_temperature<T>(function, "temperature", options.temperature);
    expects_weight(function, "ortho_weight", options.ortho_weight);
    expects_weight(function, "contrast_weight", options.contrast_weight);
    expects_weight(function, "uniformity_weight", options.uniformity_weight);
  }
};

}  // namespace detail

/// The loss.
template <class X, class Y, class Xi, class Yi, class Xa, class Ya, class... World>
requires core::Worlds<World...>
[[nodiscard]] double feature_separation(
    const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
    const Eigen::MatrixBase<Xi>& x_independent, const Eigen::MatrixBase<Yi>& y_independent,
    const Eigen::MatrixBase<Xa>& x_augmented, const Eigen::MatrixBase<Ya>& y_augmented,
    const FeatureSeparationOptions& options = {}, World&... world) {
  return detail::value("feature_separation", detail::FeatureSeparationLoss{options},
                       detail::over(options, world...), x, y, x_independent, y_independent,
                       x_augmented, y_augmented)
      .loss;
}

/// Loss and gradients into `out` (any struct with the fields of FeatureSeparationGradient).
template <class X, class Y, class Xi, class Yi, class Xa, class Ya, class Out, class... World>
requires core::Worlds<World...>
void feature_separation_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                      const Eigen::MatrixBase<Xi>& x_independent,
                                      const Eigen::MatrixBase<Yi>& y_independent,
                                      const Eigen::MatrixBase<Xa>& x_augmented,
                                      const Eigen::MatrixBase<Ya>& y_augmented,
                                      const FeatureSeparationOptions& options,
                                      core::Workspace& workspace, Out& out, World&... world) {
  detail::into("feature_separation_with_gradient", detail::FeatureSeparationLoss{options},
               detail::over(options, world...), workspace, out, x, y, x_independent, y_independent,
               x_augmented, y_augmented);
}

template <class X, class Y, class Xi, class Yi, class Xa, class Ya, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto feature_separation_with_gradient(
    const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
    const Eigen::MatrixBase<Xi>& x_independent, const Eigen::MatrixBase<Yi>& y_independent,
    const Eigen::MatrixBase<Xa>& x_augmented, const Eigen::MatrixBase<Ya>& y_augmented,
    const FeatureSeparationOptions& options = {}, World&... world) {
  return detail::by_value<FeatureSeparationGradient<RowMatrix<core::Real<X>>>>(
      [&](auto& workspace, auto& out) {
        feature_separation_with_gradient(x, y, x_independent, y_independent, x_augmented,
                                         y_augmented, options, workspace, out, world...);
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
