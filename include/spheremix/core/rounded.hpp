// Numbers that must be what is written, whatever the flags of the program: an addition that is there
// for its rounding (the 1.5 * 2^23 of an exponential, the error of a sum) and a product that must not
// melt into a subtraction (a * b - c as one operation is not 0 where c is a * b rounded).
//
//   core::rounded(a * b)      the product, rounded to its type
//   SPHEREMIX_ROUNDED(v);     the same for a vector register, in a function of its instruction set
//   SPHEREMIX_SUMS_IN_ORDER   first in a function or loop body: its sums are formed as they are written ...
//   core::formed(a + b)       ... and this one before what it is part of
//
// To the compiler a rounded value comes out of nowhere, so -fassociative-math rearranges nothing across
// and -ffp-contract=fast joins nothing. No instruction, on x86-64 and aarch64; elsewhere one store and
// one load. But a loop over single numbers is no vector code then: sums that only have to keep their
// order are *formed*, which costs something only in programs that let g++ rearrange them
// (SPHEREMIX_ALLOW_FAST_MATH).
#pragma once

#include "spheremix/core/host_device.hpp"

#if defined(__x86_64__)
#define SPHEREMIX_ROUNDED(x) __asm__("" : "+v"(x))
#elif defined(__aarch64__)
#define SPHEREMIX_ROUNDED(x) __asm__("" : "+w"(x))
#else
#define SPHEREMIX_ROUNDED(x) __asm__("" : "+m"(x))
#endif

namespace spheremix::core {

/// x, a float or a double. On the device, where flags of its own rule, just x.
template <class T>
SPHEREMIX_HD SPHEREMIX_INLINE T rounded(T x) {
#if !defined(__CUDA_ARCH__)
  SPHEREMIX_ROUNDED(x);
#endif
  return x;
}

// g++ says that it may rearrange sums; clang++ does not, but can be told where it must not.
#if defined(__clang__)
#define SPHEREMIX_SUMS_IN_ORDER _Pragma("clang fp reassociate(off)")
#else
#define SPHEREMIX_SUMS_IN_ORDER
#endif

/// x, a number or a vector of them, formed here. In a body with SPHEREMIX_SUMS_IN_ORDER.
template <class V>
SPHEREMIX_INLINE void form(V& x) {
#if defined(__ASSOCIATIVE_MATH__) && !defined(__clang__)
  __asm__("" : "+m"(x));
#else
  (void)x;
#endif
}
template <class T>
SPHEREMIX_INLINE T formed(T x) {
  form(x);
  return x;
}

}  // namespace spheremix::core
