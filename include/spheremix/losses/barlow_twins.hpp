// barlow_twins on the CPU: formula, gradient and options in formula/barlow_twins.hpp.
//
// Shapes     X, Y: n x d, n >= 2. No normalisation of rows: columns count.
// Cost       2 n d^2 flops, 6 with gradients, in double; memory 3 n d + d^2 doubles.
// Errors     shapes, n < 2, off_diagonal_weight negative, epsilon not positive. NaN gives NaN,
//            and so does a column whose squares overflow.
#pragma once

#include "spheremix/formula/barlow_twins.hpp"
#include "spheremix/losses/geometric_consistency.hpp"
#include "spheremix/pairwise/dense_products.hpp"

namespace spheremix::losses {

namespace detail {

struct BarlowArrays {
  pairwise::DenseProducts<double> products;
  MatrixView<double> x, y, back{};                    ///< standard columns and ys M^T: n x d
  MatrixView<double> c;                               ///< C, then M: d x d
  double *x_inverse, *y_inverse, *x_along, *y_along;  ///< 1 / r, sums of M C over rows, columns

  BarlowArrays(Index n, Index d, bool gradients, Workspace::Frame& frame)
      : products(
            pairwise::DenseProducts<double>::threads_for(2.0 * double(n) * double(d) * double(d)),
            frame),
        x(take_rows<double>(frame, n, d)),
        y(take_rows<double>(frame, n, d)),
        c(take_rows<double>(frame, d, d)),
        x_inverse(frame.take<double>(std::size_t(d))),
        y_inverse(frame.take<double>(std::size_t(d))),
        x_along(frame.take<double>(std::size_t(d))),
        y_along(frame.take<double>(std::size_t(d))) {
    if (gradients) back = take_rows<double>(frame, n, d);
  }
};

/// Columns of mean 0 and variance var / (var + epsilon); 1 / r of each.
template <class T>
void standard_columns(MatrixView<const T> x, double epsilon, MatrixView<double> to,
                      double* inverse) {
  const Index n = x.rows, d = x.cols;
  metrics::detail::centre_columns(x, inverse, to);
  std::fill_n(inverse, d, 0.0);
  for (Index i = 0; i < n; ++i)
    for (Index k = 0; k < d; ++k) inverse[k] += to(i, k) * to(i, k);
  for (Index k = 0; k < d; ++k)
    inverse[k] = formula::inverse_deviation(inverse[k] / double(n), epsilon);
  for (Index i = 0; i < n; ++i)
    for (Index k = 0; k < d; ++k) to(i, k) *= inverse[k];
}

/// dX from `back` = ys M^T. Of a share its rows, 0 elsewhere: gradients are added up.
template <class T>
void through_columns(MatrixView<const double> back, MatrixView<const double> standard,
                     const double* inverse, const double* along, const core::OwnRows& own,
                     MatrixView<T> dx) {
  const double n = double(dx.rows);
  own.clear_others(dx);
  for (Index i = own.from; i < own.to; ++i)
    for (Index k = 0; k < dx.cols; ++k)
      dx(i, k) = T((back(i, k) - standard(i, k) * along[k]) * inverse[k] / n);
}

struct BarlowTwinsLoss : OfTwoViews {
  static constexpr bool kShared = true;
  const BarlowTwinsOptions& options;

  template <class T>
  LossResult operator()(const char* function, const Inputs<T, 2>& in, Workspace& workspace,
                        const Outputs<T, 2>& out) const {
    expects_two_rows(function, in[0]);
    expects_weight(function, "off_diagonal_weight", options.off_diagonal_weight);
    core::expects(options.epsilon > 0 && std::isfinite(options.epsilon), function, "epsilon is ",
                  options.epsilon, ", not a positive finite number");
    const Index n = in[0].rows, d = in[0].cols;
    const bool gradients = out[0].data != nullptr;
    Workspace::Frame frame = workspace.frame(core::bytes_of<BarlowArrays>(n, d, gradients));
    BarlowArrays a(n, d, gradients, frame);
    standard_columns(in[0], options.epsilon, a.x, a.x_inverse);
    standard_columns(in[1], options.epsilon, a.y, a.y_inverse);
    const core::Share* const share = frame.share();
    const core::OwnRows own(share, n);
    a.products.transposed_times(a.c, a.x, a.y, share);
    std::fill_n(a.y_along, d, 0.0);
    double loss = 0;
    for (Index k = 0; k < d; ++k) {
      double line = 0, along = 0;
      for (Index l = 0; l < d; ++l) {
        double& m = a.c(k, l);
        const double c = m / double(n);
        const auto term = formula::correlation_term(k == l, c, options.off_diagonal_weight);
        m = term.slope;
        line += term.loss;
        along += m * c;
        a.y_along[l] += m * c;
      }
      a.x_along[k] = along;
      loss += line;
    }
    if (!core::leads(share)) loss = 0;
    if (!gradients) return {loss};
    a.products.times_transposed(own.of(a.back), own.of(a.y), a.c, false);
    through_columns<T>(a.back, a.x, a.x_inverse, a.x_along, own, out[0]);
    a.products.times(own.of(a.back), own.of(a.x), a.c, false);
    through_columns<T>(a.back, a.y, a.y_inverse, a.y_along, own, out[1]);
    return {loss};
  }
};

}  // namespace detail

/// The loss.
template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] double barlow_twins(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                  const BarlowTwinsOptions& options = {}, World&... world) {
  return detail::value("barlow_twins", detail::BarlowTwinsLoss{{}, options},
                       detail::over(options, world...), x, y)
      .loss;
}

/// Loss and gradients into `out` (any struct with the fields of PairGradient), without an
/// allocation once `workspace` and `out` have their sizes.
template <class X, class Y, class Out, class... World>
requires core::Worlds<World...>
void barlow_twins_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                const BarlowTwinsOptions& options, core::Workspace& workspace,
                                Out& out, World&... world) {
  detail::into("barlow_twins_with_gradient", detail::BarlowTwinsLoss{{}, options},
               detail::over(options, world...), workspace, out, x, y);
}

template <class X, class Y, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto barlow_twins_with_gradient(const Eigen::MatrixBase<X>& x,
                                              const Eigen::MatrixBase<Y>& y,
                                              const BarlowTwinsOptions& options = {},
                                              World&... world) {
  return detail::by_value<PairGradient<RowMatrix<core::Real<X>>>>([&](auto& workspace, auto& out) {
    barlow_twins_with_gradient(x, y, options, workspace, out, world...);
  });
}

}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_BARLOW_TWINS(T)                                                      \
  LossResult run(const BarlowTwinsLoss&, const char*, const Inputs<T, 2>&, Workspace&, \
                 const Outputs<T, 2>&)
SPHEREMIX_ELSEWHERE(SPHEREMIX_BARLOW_TWINS)
}  // namespace spheremix::losses::detail
