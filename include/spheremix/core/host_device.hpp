// SPHEREMIX_HD: callable from host code and, under nvcc, from device code as well.
// SPHEREMIX_INLINE: inlined at every optimisation level, so that a scalar formula called from a
// kernel compiled for AVX-512 becomes AVX-512 code and never a call to a baseline copy.
#pragma once

#if defined(__FAST_MATH__) && !defined(SPHEREMIX_ALLOW_FAST_MATH)
#error \
    "spheremix promises exact NaN, infinity and rounding behaviour, which -ffast-math removes. Compile without it, or define SPHEREMIX_ALLOW_FAST_MATH to give the promises up."
#endif

#if defined(__CUDACC__)
#define SPHEREMIX_HD __host__ __device__
#else
#define SPHEREMIX_HD
#endif

#if defined(__GNUC__) || defined(__clang__)
#define SPHEREMIX_INLINE __attribute__((always_inline)) inline
#else
#define SPHEREMIX_INLINE inline
#endif
