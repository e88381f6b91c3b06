// What numbers are stored as on the device and what they are computed in.
//
//   storage      float   double   Half (__half)   Bfloat16 (__nv_bfloat16)
//   arithmetic   float   double   float           float
#pragma once

#include <type_traits>

#include "spheremix/gpu/core/toolkit.cuh"

namespace spheremix::gpu {

using Half = __half;
using Bfloat16 = __nv_bfloat16;

template <class T>
inline constexpr bool is_storage = std::is_same_v<T, float> || std::is_same_v<T, double> ||
                                   std::is_same_v<T, Half> || std::is_same_v<T, Bfloat16>;

/// The type sums and formulas run in for values stored as T.
template <class T>
using Arithmetic = std::conditional_t<std::is_same_v<T, double>, double, float>;

__host__ __device__ __forceinline__ float widen(float x) { return x; }
__host__ __device__ __forceinline__ double widen(double x) { return x; }
__host__ __device__ __forceinline__ float widen(Half x) { return __half2float(x); }
__host__ __device__ __forceinline__ float widen(Bfloat16 x) { return __bfloat162float(x); }

/// x rounded to the storage type T (to nearest even).
template <class T>
__host__ __device__ __forceinline__ T narrow(Arithmetic<T> x) {
  if constexpr (std::is_same_v<T, Half>)
    return __float2half_rn(x);
  else if constexpr (std::is_same_v<T, Bfloat16>)
    return __float2bfloat16_rn(x);
  else
    return x;
}

}  // namespace spheremix::gpu
