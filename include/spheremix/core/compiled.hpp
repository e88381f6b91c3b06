// spheremix::compiled: functions on views that a library holds for float and double, so that a
// program that calls them does not compile them. Header-only stays the default: without the macro
// SPHEREMIX_COMPILED, which that target defines, nothing here does anything.
//
//   #define SPHEREMIX_SIGLIP(T) SiglipResult run(const SiglipLoss&, ..., const Outputs<T, 2>&)
//   SPHEREMIX_ELSEWHERE(SPHEREMIX_SIGLIP)      at the end of the header, in the function's namespace
//   SPHEREMIX_HERE(SPHEREMIX_SIGLIP)           in a source of cmake/compiled/
//
// The signature is written once. Such a function is a template that is not inline: an inline one is
// compiled again wherever it is called. What exists for float alone: ..._FLOAT.
#pragma once

#define SPHEREMIX_JOINED(A, B) A##B
#define SPHEREMIX_JOINED_VALUES(A, B) SPHEREMIX_JOINED(A, B)
#define SPHEREMIX_FLOAT_IS_float 1

#if defined(SPHEREMIX_COMPILED)
#define SPHEREMIX_ELSEWHERE_FLOAT(SIGNATURE) extern template SIGNATURE(float);
#define SPHEREMIX_ELSEWHERE(SIGNATURE) \
  extern template SIGNATURE(float);    \
  extern template SIGNATURE(double);
#else
#define SPHEREMIX_ELSEWHERE(SIGNATURE)
#define SPHEREMIX_ELSEWHERE_FLOAT(SIGNATURE)
#endif

#if defined(SPHEREMIX_COMPILED_TYPE)  // one type a file: a program links what it calls
#define SPHEREMIX_HERE(SIGNATURE) template SIGNATURE(SPHEREMIX_COMPILED_TYPE);
#else
#define SPHEREMIX_HERE(SIGNATURE) \
  template SIGNATURE(float);      \
  template SIGNATURE(double);
#endif

#if !defined(SPHEREMIX_COMPILED_TYPE) || \
    SPHEREMIX_JOINED_VALUES(SPHEREMIX_FLOAT_IS_, SPHEREMIX_COMPILED_TYPE)
#define SPHEREMIX_HERE_FLOAT(SIGNATURE) template SIGNATURE(float);
#else
#define SPHEREMIX_HERE_FLOAT(SIGNATURE)
#endif
