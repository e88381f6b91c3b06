// What linear and geodesic mixing share: the gradient struct (math/arc_gradients.hpp) and the
// checks of lambda.
#pragma once

#include "spheremix/math/arc_gradients.hpp"
#include "spheremix/sphere/detail/arguments.hpp"

namespace spheremix::mixup {

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
