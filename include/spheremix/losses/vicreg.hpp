// vicreg on the CPU: formula, gradient and options in formula/vicreg.hpp.
//
// Shapes     X, Y: n x d, n >= 2. No normalisation: columns count, not rows.
// Cost       4 n d^2 flops a view, in double; memory 2 n d + d^2 doubles.
// Errors     shapes, n < 2, weights negative, epsilon or gamma not positive. NaN gives NaN.
#pragma once

#include "spheremix/formula/vicreg.hpp"
#include "spheremix/losses/geometric_consistency.hpp"
#include "spheremix/pairwise/dense_products.hpp"

namespace spheremix::losses {

namespace detail {

struct VicregArrays {
  pairwise::DenseProducts<double> products;
  MatrixView<double> centred, back;  ///< n x d
  MatrixView<double> c;              ///< d x d
  double *mean, *pull;               ///< d

  VicregArrays(Index n, Index d, Workspace::Frame& frame)
      : products(
            pairwise::DenseProducts<double>::threads_for(2.0 * double(n) * double(d) * double(d)),
            frame),
        centred(take_rows<double>(frame, n, d)),
        back(take_rows<double>(frame, n, d)),
        c(take_rows<double>(frame, d, d)),
        mean(frame.take<double>(std::size_t(d))),
        pull(frame.take<double>(std::size_t(d))) {}
};

/// Variance and covariance of one view; its gradient is added to dx unless that is null.
template <class T>
double vicreg_view(MatrixView<const T> x, const VicregOptions& o, Workspace& workspace,
                   MatrixView<T> dx) {
  const Index n = x.rows, d = x.cols;
  Workspace::Frame frame = workspace.frame(core::bytes_of<VicregArrays>(n, d));
  VicregArrays arrays(n, d, frame);
  auto& [products, centred, back, c, mean, pull] = arrays;
  metrics::detail::centre_columns(x, mean, centred);
  const core::Share* const share = frame.share();
  const core::OwnRows own(share, n);
  products.transposed_times(c, centred, centred, share);
  double variance = 0, covariance = 0;
  for (Index k = 0; k < d; ++k) {
    const formula::VicregColumn column = formula::vicreg_column(c(k, k) / double(n - 1), o, n, d);
    variance += column.lack;
    pull[k] = column.pull;
    c(k, k) = 0;  // what is left is the covariance
    for (Index l = 0; l < d; ++l) {
      const double e = c(k, l) / double(n - 1);
      covariance += e * e;
    }
  }
  if (dx.data) {
    const double factor = 4 * o.covariance_weight / (double(d) * double(n - 1) * double(n - 1));
    products.times(own.of(back), own.of(centred), c, false);
    for (Index i = own.from; i < own.to; ++i)
      for (Index k = 0; k < d; ++k)
        dx(i, k) = T(double(dx(i, k)) + factor * back(i, k) + pull[k] * centred(i, k));
  }
  if (!core::leads(share)) return 0;
  return o.variance_weight * variance / (2 * double(d)) +
         o.covariance_weight * covariance / double(d);
}

template <class T>
double vicreg_on_views(const char* function, MatrixView<const T> x, MatrixView<const T> y,
                       const VicregOptions& o, Workspace& workspace, MatrixView<T> dx,
                       MatrixView<T> dy) {
  expects_two_rows(function, x);
  expects_weight(function, "invariance_weight", o.invariance_weight);
  expects_weight(function, "variance_weight", o.variance_weight);
  expects_weight(function, "covariance_weight", o.covariance_weight);
  core::expects(o.gamma > 0 && o.epsilon > 0, function, "gamma is ", o.gamma, " and epsilon ",
                o.epsilon, ", both must be positive");
  const Index d = x.cols;
  // Counted by the first rank of several: no weight, no gradient.
  const double weight = core::leads(workspace.share()) ? o.invariance_weight : 0;
  const double each = weight / (double(x.rows) * double(d));
  double loss = each * metrics::detail::sum_over_rows(x.rows, [&](Index i) {
                  if (dx.data)
                    for (Index k = 0; k < d; ++k) {
                      const double g = 2 * each * (double(x(i, k)) - double(y(i, k)));
                      dx(i, k) = T(g);
                      dy(i, k) = T(-g);
                    }
                  return metrics::detail::squared_distance(x.row(i), y.row(i), d);
                });
  loss += vicreg_view(x, o, workspace, dx);
  return loss + vicreg_view(y, o, workspace, dy);
}

struct VicregLoss : OfTwoViews {
  static constexpr bool kShared = true;
  const VicregOptions& options;

  template <class T>
  LossResult operator()(const char* function, const Inputs<T, 2>& in, Workspace& workspace,
                        const Outputs<T, 2>& out) const {
    return {vicreg_on_views<T>(function, in[0], in[1], options, workspace, out[0], out[1])};
  }
};

}  // namespace detail

/// The loss.
template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] double vicreg(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                            const VicregOptions& options = {}, World&... world) {
  return detail::value("vicreg", detail::VicregLoss{{}, options}, detail::over(options, world...),
                       x, y)
      .loss;
}

/// Loss and gradients into `out` (any struct with the fields of PairGradient), without an
/// allocation once `workspace` and `out` have their sizes.
template <class X, class Y, class Out, class... World>
requires core::Worlds<World...>
void vicreg_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                          const VicregOptions& options, core::Workspace& workspace, Out& out,
                          World&... world) {
  detail::into("vicreg_with_gradient", detail::VicregLoss{{}, options},
               detail::over(options, world...), workspace, out, x, y);
}

template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto vicreg_with_gradient(const Eigen::MatrixBase<X>& x,
                                        const Eigen::MatrixBase<Y>& y,
                                        const VicregOptions& options = {}, World&... world) {
  return detail::by_value<PairGradient<RowMatrix<core::Real<X>>>>([&](auto& workspace, auto& out) {
    vicreg_with_gradient(x, y, options, workspace, out, world...);
  });
}

}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_VICREG(T)                                                       \
  LossResult run(const VicregLoss&, const char*, const Inputs<T, 2>&, Workspace&, \
                 const Outputs<T, 2>&)
SPHEREMIX_ELSEWHERE(SPHEREMIX_VICREG)
}  // namespace spheremix::losses::detail
