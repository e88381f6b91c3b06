// Numbers that must be what is written, whatever the flags of the program: an addition that is there
// for its rounding (the 1.5 * 2^23 of an exponential, the error of a sum) and a product that must not
// melt into a subtraction (a * b - c as one operation is not 0 where c is a * b rounded).
//
//   core::rounded(a * b)      the product, rounded to its type
//   SPHEREMIX_ROUNDED(v);     the same for a vector register, in a function of its instruction set
//
// To the compiler the value comes out of nowhere here, so -fassociative-math rearranges nothing across
// and -ffp-contract=fast joins nothing. No instruction, on x86-64 and aarch64; elsewhere one store and
// one load.
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

}  // namespace spheremix::core
