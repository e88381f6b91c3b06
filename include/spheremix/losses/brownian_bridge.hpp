// brownian_bridge on the CPU: formula, gradient and options in formula/brownian_bridge.hpp.
//
// Shapes     A (augmented), X, Y: n x d, n >= 1; rows as they are.
// Errors     shapes, no rows, r outside [0, 1], ratios of another length than X has rows, a row with
//            m = 0 (antipodal rows at r = 1/2). NaN gives NaN, and so does |m| outside [1e-140, 1e154].
#pragma once

#include "spheremix/core/compiled.hpp"
#include "spheremix/formula/brownian_bridge.hpp"
#include "spheremix/losses/detail/contrastive.hpp"
#include "spheremix/metrics/detail/sums.hpp"

namespace spheremix::losses {

namespace detail {

inline void expects_ratios(const char* function, const BrownianBridgeOptions& o, Index n) {
  core::expects(o.ratio >= 0 && o.ratio <= 1, function, "ratio is ", o.ratio, ", outside [0, 1]");
  if (o.ratios.empty()) return;
  core::expects_size(function, "ratios", Index(o.ratios.size()), n);
  for (Index i = 0; i < n; ++i) {
    const double r = o.ratios[std::size_t(i)];
    core::expects(r >= 0 && r <= 1, function, "ratios[", i, "] is ", r, ", outside [0, 1]");
  }
}

/// The loss; gradients unless da.data is null. Everything in double.
template <class T>
double bridge_on_views(const char* function, MatrixView<const T> a, MatrixView<const T> x,
                       MatrixView<const T> y, const BrownianBridgeOptions& o, MatrixView<T> da,
                       MatrixView<T> dx, MatrixView<T> dy) {
  expects_ratios(function, o, x.rows);
  const double n = double(x.rows);
  const Index d = x.cols;
  const double sum = metrics::detail::sum_over_rows(x.rows, [&](Index i) {
    const double r = o.ratios.empty() ? o.ratio : o.ratios[std::size_t(i)];
    const T *pa = a.row(i), *px = x.row(i), *py = y.row(i);
    const auto m = [=](Index k) {
      return formula::BridgePull::middle(r, double(px[k]), double(py[k]));
    };
    const double length = core::sum_in_lanes(d, [&](Index k) { return m(k) * m(k); });
    core::expects(length != 0, function, "the bridge of row ", i, " passes through the origin at ",
                  r);
    const double inverse = formula::BridgePull::inverse_of(length);
    const auto off = [=](Index k) { return double(pa[k]) - m(k) * inverse; };
    const double square = core::sum_in_lanes(d, [&](Index k) { return off(k) * off(k); });
    if (da.data) {
      const formula::BridgePull pull{r, 2 / n, inverse, core::sum_in_lanes(d, [&](Index k) {
                                       return off(k) * (m(k) * inverse);
                                     })};
      for (Index k = 0; k < d; ++k) {
        const double e = off(k), h = pull.middle_gradient(e, m(k) * inverse);
        da(i, k) = T(pull.augmented(e));
        dx(i, k) = T(pull.x(h));
        dy(i, k) = T(pull.y(h));
      }
    }
    return square;
  });
  return sum / n;
}

/// Of augmented, x, y.
struct BrownianBridgeLoss {
  static constexpr bool kMeanOfRows = true;
  static constexpr const char* kFields[] = {"out.augmented", "out.x", "out.y"};
  const BrownianBridgeOptions& options;

  template <class Out>
  static auto fields(Out& out) {
    return std::tie(out.augmented, out.x, out.y);
  }
  template <class T>
  static void expects(const char* function, const Inputs<T, 3>& in) {
    core::expects_same_shape(function, "augmented", in[0].rows, in[0].cols, "X", in[1].rows,
                             in[1].cols);
    core::expects_same_shape(function, "X", in[1].rows, in[1].cols, "Y", in[2].rows, in[2].cols);
    core::expects(in[1].rows >= 1, function, "X has no rows");
  }
  template <class T>
  LossResult operator()(const char* function, const Inputs<T, 3>& in, Workspace&,
                        const Outputs<T, 3>& out) const {
    return {bridge_on_views<T>(function, in[0], in[1], in[2], options, out[0], out[1], out[2])};
  }
};

}  // namespace detail

/// The loss: a mean squared distance.
template <class A, class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] double brownian_bridge(const Eigen::MatrixBase<A>& augmented,
                                     const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                     const BrownianBridgeOptions& options = {}, World&... world) {
  return detail::value("brownian_bridge", detail::BrownianBridgeLoss{options},
                       detail::over(options, world...), augmented, x, y)
      .loss;
}

/// Loss and gradients into `out` (any struct with the fields of BrownianBridgeGradient).
template <class A, class X, class Y, class Out, class... World>
requires core::Worlds<World...>
void brownian_bridge_with_gradient(const Eigen::MatrixBase<A>& augmented,
                                   const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                   const BrownianBridgeOptions& options, core::Workspace& workspace,
                                   Out& out, World&... world) {
  detail::into("brownian_bridge_with_gradient", detail::BrownianBridgeLoss{options},
               detail::over(options, world...), workspace, out, augmented, x, y);
}

template <class A, class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto brownian_bridge_with_gradient(const Eigen::MatrixBase<A>& augmented,
                                                 const Eigen::MatrixBase<X>& x,
                                                 const Eigen::MatrixBase<Y>& y,
                                                 const BrownianBridgeOptions& options = {},
                                                 World&... world) {
  return detail::by_value<BrownianBridgeGradient<RowMatrix<core::Real<X>>>>(
      [&](auto& workspace, auto& out) {
        brownian_bridge_with_gradient(augmented, x, y, options, workspace, out, world...);
      });
}

}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_BROWNIAN_BRIDGE(T)                                                      \
  LossResult run(const BrownianBridgeLoss&, const char*, const Inputs<T, 3>&, Workspace&, \
                 const Outputs<T, 3>&)
SPHEREMIX_ELSEWHERE(SPHEREMIX_BROWNIAN_BRIDGE)
}  // namespace spheremix::losses::detail
