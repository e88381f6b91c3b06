// Loops over the elements of one row in scalar code that becomes vector code for whatever the
// processor has (isa.hpp): sums in double, and element-wise maps.
//
//   sum_in_lanes(d, f)      sum_k f(k) in double: sixteen running sums, merged pairwise
//   map_in_lanes(d, to, f)  to[k] = f(k)
//   row_product(a, b, d)    a . b in double
//   row_square(x, d)        x . x to d eps of x's own type: faster for float, in its own vectors
//
// Shapes   a, b, to: d numbers. f(k) for k in [0, d): elements are independent of each other.
// Errors   none: NaN and infinity come out as such. The order of additions depends on d alone.
// For loops that work in the row's own type and keep several sums: sphere/row_kernels.hpp.
#pragma once

#include "spheremix/core/constants.hpp"
#include "spheremix/core/vectors.hpp"

#define SPHEREMIX_ISA_COPY "spheremix/core/lanes.inc"
#include "spheremix/core/each_isa.inc"

namespace spheremix::core {

template <class F>
double sum_in_lanes(Index d, const F& f) {
  return SPHEREMIX_DISPATCH(sum_in_lanes<F>)(d, f);
}

/// f may read to[k].
template <class T, class F>
void map_in_lanes(Index d, T* to, const F& f) {
  SPHEREMIX_DISPATCH(map_in_lanes<T, F>)(d, to, f);
}

template <class T>
double row_product(const T* a, const T* b, Index d) {
  return sum_in_lanes(d, [=](Index k) { return double(a[k]) * double(b[k]); });
}

template <class T>
double row_square(const T* x, Index d) {
  if constexpr (sizeof(T) == 4) {
    const T square = SPHEREMIX_DISPATCH(sum_of_squares<T>)(x, d);
    if (square > T(1e-20) && square < T(1e30)) return double(square);  // nothing was lost
  }
  return row_product(x, x, d);
}

}  // namespace spheremix::core
