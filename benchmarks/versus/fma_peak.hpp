// The rate of fused multiply-adds that this processor reaches now: chains of independent FMAs in
// registers, on the widest vectors it has or those that SPHEREMIX_ISA holds it to. The bound that
// every dense rate is held against; probed in the same run, because it moves.
#pragma once

#include <omp.h>

#include <algorithm>
#include <chrono>

#include "spheremix/core/isa.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace versus {

#if defined(__x86_64__)

// Enough independent chains to hide the latency of an FMA on two ports. 2 flops a lane and FMA.
#define SPHEREMIX_VERSUS_FMA(NAME, TARGET, VECTOR, CHAINS, LANES, SET, FMA)                 \
  __attribute__((target(TARGET), noinline)) inline double NAME(long rounds) {               \
    VECTOR sum[CHAINS];                                                                     \
    _Pragma("GCC unroll 32") for (int k = 0; k < CHAINS; ++k) sum[k] = SET(float(k));       \
    const VECTOR a = SET(0.999f), b = SET(0.001f);                                          \
    for (long r = 0; r < rounds; ++r) {                                                     \
      _Pragma("GCC unroll 32") for (int k = 0; k < CHAINS; ++k) sum[k] = FMA(sum[k], a, b); \
    }                                                                                       \
    volatile VECTOR keep;                                                                   \
    _Pragma("GCC unroll 32") for (int k = 0; k < CHAINS; ++k) keep = sum[k];                \
    (void)keep;                                                                             \
    return 2.0 * LANES * CHAINS * double(rounds);                                           \
  }
SPHEREMIX_VERSUS_FMA(fma_f32_512, "avx512f", __m512, 16, 16, _mm512_set1_ps, _mm512_fmadd_ps)
SPHEREMIX_VERSUS_FMA(fma_f64_512, "avx512f", __m512d, 16, 8, _mm512_set1_pd, _mm512_fmadd_pd)
SPHEREMIX_VERSUS_FMA(fma_f32_256, "avx2,fma", __m256, 12, 8, _mm256_set1_ps, _mm256_fmadd_ps)
SPHEREMIX_VERSUS_FMA(fma_f64_256, "avx2,fma", __m256d, 12, 4, _mm256_set1_pd, _mm256_fmadd_pd)
#undef SPHEREMIX_VERSUS_FMA

inline double some_flops(bool f64, long rounds) {
  using spheremix::core::Isa, spheremix::core::isa;
  if (isa() == Isa::avx512) return f64 ? fma_f64_512(rounds) : fma_f32_512(rounds);
  if (isa() == Isa::avx2) return f64 ? fma_f64_256(rounds) : fma_f32_256(rounds);
  return 0;
}

#else

inline double some_flops(bool, long) { return 0; }  // not probed on this processor

#endif

/// GFLOP/s of `threads` threads together, over about `seconds`; 0 where there is no probe.
inline double fma_peak(bool f64, int threads, double seconds) {
  using Clock = std::chrono::steady_clock;
  double flops = 0;
  const auto start = Clock::now();
  const auto spent = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
#pragma omp parallel num_threads(threads) reduction(+ : flops)
  {
    do flops += some_flops(f64, 100000);
    while (spent() < seconds);
  }
  return flops / spent() / 1e9;
}

}  // namespace versus
