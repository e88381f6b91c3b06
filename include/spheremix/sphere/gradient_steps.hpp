// Steps of gradient descent for rows that stay on the sphere: SGD with momentum, and Adam.
//
//   g = G - (x.G) x                                        the part of the ambient gradient along the sphere
//   sgd_step    m = momentum m + g,  p = rate m
//   adam_step   m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) |g|^2
//               p = rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
//
//   x' = exp_x(-p) = cos(a) x - sin(a) m / |m|,  a = |p|   m' = cos(a) m + sin(a) |m| x
//
// m' is m moved along with its row: the step goes along m, so its parallel transport stays in the
// plane of x and m. One v a row, not one a column: a sphere has no distinguished axes. x' is scaled
// to length 1, so that it does not drift; m forgets its rounding as it forgets its gradients.
//
// Shapes   X, G: n x d, X in place; m: n x d, v: n numbers, both in the state, which starts empty.
// Accuracy x' and m' to 4 eps a step; after 1e5 steps |x| is 1 and x.m / |m| is 0 to 1e-6 in float.
// Errors   std::invalid_argument: shapes, options out of range, a row that is not unit (|x|^2
//          further than 1e-3 from 1). A NaN in a row of G makes that row NaN.
// Source   Bonnabel 2013, IEEE TAC 58(9); Becigneul, Ganea 2019, arXiv 1810.00760, algorithm 1.
#pragma once

#include "spheremix/core/lanes.hpp"
#include "spheremix/sphere/detail/arguments.hpp"
#include "spheremix/sphere/row_kernels.hpp"

namespace spheremix::sphere {

struct SgdOptions {
  double rate = 0.1;    ///< angle a unit of gradient, in radians
  double momentum = 0;  ///< in [0, 1)
};

struct AdamOptions {
  double rate = 1e-3;                 ///< about the angle of a step, in radians
  double beta1 = 0.9, beta2 = 0.999;  ///< what m and v keep a step, in [0, 1)
  double epsilon = 1e-8;              ///< added to the root of v
};

/// Of all steps so far; empty before the first.
template <class T>
struct SgdState {
  RowMatrix<T> moment;  ///< m
};

/// What Adam remembers of each row; rows appear with the first step.
template <class T>
struct AdamState {
  RowMatrix<T> moment;    ///< m
  Vector<double> square;  ///< v
  Index steps = 0;        ///< t
};

namespace detail {

/// m = keep m + take g of one row, g along the sphere. Returns |g|^2.
template <class T>
double take_gradient(const T* x, const T* gradient, double keep, double take, T* m, Index d) {
  const double along = core::row_product(x, gradient, d) / core::row_product(x, x, d);
  double square = 0;
  for (Index k = 0; k < d; ++k) {
    const double g = double(gradient[k]) - along * double(x[k]);
    square += g * g;
    m[k] = T(keep * double(m[k]) + take * g);
  }
  return square;
}

/// The step against m by the angle scale |m|; m goes along.
template <class T>
void step_against(T* x, T* m, double scale, Index d) {
  const double length = std::sqrt(core::row_product(m, m, d)), angle = scale * length;
  if (length == 0) return;
  const double c = std::cos(angle), s = std::sin(angle);
  double square = 0;
  for (Index k = 0; k < d; ++k) {
    const double from = double(x[k]), to = double(m[k]);
    x[k] = T(c * from - s * (to / length));
    m[k] = T(c * to + s * length * from);
    square += double(x[k]) * double(x[k]);
  }
  const double inverse = 1 / std::sqrt(square);
  for (Index k = 0; k < d; ++k) x[k] = T(double(x[k]) * inverse);
}

/// body(x, gradient, m, i) for every row, once the shapes fit.
template <class X, class G, class T, class Body>
void each_step(const char* function, X& x, const G& g, RowMatrix<T>& moment, const Body& body) {
  const core::InputRows<T> before(x), gradient(g);
  const core::MatrixView<const T> from = before.view(), along = gradient.view();
  expects_same_shape(function, "X", from, "G", along);
  const Index n = from.rows, d = from.cols;
  core::expects(d > 0 || n == 0, function, "X has no columns");
  if (const Index i =
          first_undefined(n, d, [&](Index r) { return unit_or_undefined(from.row(r), d); });
      i >= 0)
    expects_unit_row(function, "X", i, from.row(i), d);
  if (moment.size() > 0)
    core::expects_same_shape(function, "X", n, d, "the state", moment.rows(), moment.cols());
  core::OutputRows<X> after(function, "X", x, n, d);
  core::expects_in_place_or_apart(function, after.view(), from);
  core::expects_apart(function, after.view(), along);
  if (moment.size() == 0) moment.setZero(n, d);
  const core::MatrixView<T> to = after.view();
  over_chunks(n, d, [&](Index, Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      if (to.row(i) != from.row(i)) std::copy_n(from.row(i), d, to.row(i));
      body(to.row(i), along.row(i), moment.data() + i * d, i);
    }
  });
  after.commit();
}

}  // namespace detail

/// X <- one step down the gradient G of each row.
template <detail::Writable X, class G>
void sgd_step(X&& x, const Eigen::MatrixBase<G>& g, SgdState<core::Real<detail::Plain<X>>>& state,
              const SgdOptions& options = {}) {
  constexpr auto* name = "sgd_step";
  core::expects(std::isfinite(options.rate), name, "rate is ", options.rate);
  core::expects(options.momentum >= 0 && options.momentum < 1, name, "momentum is ",
                options.momentum, ", outside [0, 1)");
  detail::each_step(name, x, g, state.moment, [&](auto* row, const auto* gradient, auto* m, Index) {
    const Index d = x.cols();
    detail::take_gradient(row, gradient, options.momentum, 1, m, d);
    detail::step_against(row, m, options.rate, d);
  });
}

/// The same without momentum.
template <detail::Writable X, class G>
void sgd_step(X&& x, const Eigen::MatrixBase<G>& g, double rate) {
  SgdState<core::Real<detail::Plain<X>>> state;
  sgd_step(x, g, state, {.rate = rate});
}

/// X <- one step of Adam for the gradient G of each row.
template <detail::Writable X, class G>
void adam_step(X&& x, const Eigen::MatrixBase<G>& g, AdamState<core::Real<detail::Plain<X>>>& state,
               const AdamOptions& options = {}) {
  constexpr auto* name = "adam_step";
  core::expects(std::isfinite(options.rate), name, "rate is ", options.rate);
  core::expects(options.epsilon >= 0, name, "epsilon is ", options.epsilon, ", below 0");
  for (const double beta : {options.beta1, options.beta2})
    core::expects(beta >= 0 && beta < 1, name, "a beta is ", beta, ", outside [0, 1)");
  core::expects((state.moment.size() == 0) == (state.steps == 0), name, "the state has ",
                state.moment.rows(), " rows after ", state.steps, " steps");
  if (state.steps == 0) state.square.setZero(x.rows());
  core::expects_size(name, "the state", state.square.size(), x.rows());
  const double t = double(state.steps + 1);
  const double first = -std::expm1(t * std::log(options.beta1)),
               second = -std::expm1(t * std::log(options.beta2));
  detail::each_step(
      name, x, g, state.moment, [&](auto* row, const auto* gradient, auto* m, Index i) {
        const Index d = x.cols();
        const double square =
            detail::take_gradient(row, gradient, options.beta1, 1 - options.beta1, m, d);
        double& v = state.square[i];
        v = options.beta2 * v + (1 - options.beta2) * square;
        detail::step_against(row, m,
                             options.rate / first / (std::sqrt(v / second) + options.epsilon), d);
      });
  ++state.steps;
}

}  // namespace spheremix::sphere
