// SPHEREMIX_HD: callable from host code and, under nvcc, from device code as well.
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
