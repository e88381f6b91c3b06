// SPHEREMIX_HD: callable from host code and, under nvcc, from device code as well.
// SPHEREMIX_COLD: not run for every pair of rows; compiled for size, once, because that is quicker.
// SPHEREMIX_APART: a function of its own, for the same reason.
// SPHEREMIX_INLINE: inlined at every optimisation level, so that a scalar formula called from a
// kernel compiled for AVX-512 becomes AVX-512 code and never a call to a baseline copy.
#pragma once

#if defined(_MSC_VER) && !defined(__clang__)
#error \
    "spheremix needs g++ 11 or clang++ 14 and later; on Windows mingw-w64's g++ or clang-cl. Microsoft's cl.exe has no vector types and no target attribute."
#elif defined(__clang__) ? __clang_major__ < 14 : defined(__GNUC__) && __GNUC__ < 11
#error "spheremix needs g++ 11 or clang++ 14 and later."
#elif __cplusplus < 202002L && !(defined(_MSVC_LANG) && _MSVC_LANG >= 202002L)
#error "spheremix needs C++20: compile with -std=c++20, or link spheremix::spheremix in CMake."
#endif

#if (defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || \
     (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)) && \
    !defined(SPHEREMIX_ALLOW_FAST_MATH)
#error \
    "spheremix promises exact NaN, infinity and rounding behaviour, which -ffast-math, -Ofast, -funsafe-math-optimizations, -fassociative-math and -ffinite-math-only remove. Compile without them, or define SPHEREMIX_ALLOW_FAST_MATH to give the promises up: digits may go then."
#endif
#if defined(__FLT_EVAL_METHOD__) && (__FLT_EVAL_METHOD__ == 1 || __FLT_EVAL_METHOD__ == 2)
#error \
    "spheremix needs float and double that round to their own type; this target computes in wider registers (x87). Compile for 64 bits without -mfpmath=387."
#endif
#if defined(__SIZEOF_POINTER__) && __SIZEOF_POINTER__ < 8
#error "spheremix needs a 64-bit target: its Index has 64 bits, so that N^2 > 2^31 needs no care."
#endif

#if defined(__CUDACC__)
#define SPHEREMIX_HD __host__ __device__
#else
#define SPHEREMIX_HD
#endif

#if defined(__GNUC__) || defined(__clang__)
#define SPHEREMIX_INLINE __attribute__((always_inline)) inline
#define SPHEREMIX_COLD __attribute__((cold, noinline))
#define SPHEREMIX_APART __attribute__((noinline))
#else
#define SPHEREMIX_INLINE inline
#define SPHEREMIX_COLD
#define SPHEREMIX_APART
#endif
