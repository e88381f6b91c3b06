// What linear and geodesic mixing share: the gradient struct and the checks of lambda.
#pragma once

#include "spheremix/sphere/detail/arguments.hpp"

namespace spheremix::mixup {

/// Gradients of a mixture. Parameter is double for one lambda (the sum over rows), a vector for one
/// a row.
template <class Matrix, class Parameter = double>
struct MixGradient {
  Matrix x;            ///< dL/dX
  Matrix y;            ///< dL/dY
  Parameter lambda{};  ///< dL/dlambda
};

namespace detail {

template <class T>
sphere::detail::RowParameter<T> one_lambda(const char* function, double lambda) {
  return sphere::detail::one_for_all<T>(function, "lambda", lambda, 0.0, 1.0);
}

template <class T>
sphere::detail::RowParameter<T> each_lambda(const char* function,
                                            const core::InputNumbers<T>& lambda, Index rows) {
  return sphere::detail::one_a_row(function, "lambda", lambda, rows, T(0), T(1));
}

}  // namespace detail
}  // namespace spheremix::mixup
