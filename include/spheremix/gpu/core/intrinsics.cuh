// The thin layer between kernels and the machine: every instruction that a kernel asks for by name.
// Under nvcc these are CUDA intrinsics and inline PTX (sm_80 and up), in tests the block emulator;
// kernels are one source.
//
// Rules for kernels: shared memory is dynamic (shared_memory), lanes of a warp stay together at
// every collective (masks are full), and floats are never summed by atomics.
#pragma once

#include <cstdint>

#include "spheremix/gpu/core/storage.cuh"

namespace spheremix::gpu {

inline constexpr unsigned kWarp = 32;
inline constexpr unsigned kAllLanes = 0xFFFFFFFFu;

/// The block's dynamic shared memory, on a 1024-byte boundary (wgmma.cuh's operands want it).
__device__ __forceinline__ unsigned char* shared_memory() {
#if defined(SPHEREMIX_EMULATOR)
  return emulator::block.shared();
#else
  extern __shared__ __align__(1024) unsigned char spheremix_shared[];
  return spheremix_shared;
#endif
}

// ---- Meeting points -----------------------------------------------------------------------------

__device__ __forceinline__ void block_barrier() { __syncthreads(); }
__device__ __forceinline__ void warp_barrier() { __syncwarp(); }

template <class T>
__device__ __forceinline__ T shuffle(T value, unsigned source_lane) {
  return __shfl_sync(kAllLanes, value, int(source_lane));
}
template <class T>
__device__ __forceinline__ T shuffle_xor(T value, unsigned lane_bits) {
  return __shfl_xor_sync(kAllLanes, value, int(lane_bits));
}

/// Bit l is set where lane l's predicate holds.
__device__ __forceinline__ unsigned ballot(bool predicate) {
  return __ballot_sync(kAllLanes, int(predicate));
}

/// The sum over the warp, the same bits in every lane.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
  SPHEREMIX_UNROLL
  for (unsigned bits = kWarp / 2; bits > 0; bits /= 2) value += shuffle_xor(value, bits);
  return value;
}

/// The largest over the warp; a NaN is passed over unless all are.
template <class T>
__device__ __forceinline__ T warp_max(T value) {
  SPHEREMIX_UNROLL
  for (unsigned bits = kWarp / 2; bits > 0; bits /= 2) {
    const T other = shuffle_xor(value, bits);
    value = value < other || value != value ? other : value;
  }
  return value;
}

// ---- Memory -------------------------------------------------------------------------------------

/// 16 bytes that move with one instruction.
struct alignas(16) Bytes16 {
  std::uint32_t word[4];
};

/// One 16-byte load. `from` lies on a 16-byte boundary.
__device__ __forceinline__ Bytes16 load16(const void* from) {
#if defined(SPHEREMIX_EMULATOR)
  if (reinterpret_cast<std::uintptr_t>(from) % 16)
    emulator::fail("a 16-byte load from a misaligned address");
#endif
  return *static_cast<const Bytes16*>(from);
}

/// One 16-byte load of data that no block will need again (evicted first from the caches).
__device__ __forceinline__ Bytes16 load16_streaming(const void* from) {
#if defined(SPHEREMIX_EMULATOR)
  return load16(from);
#else
  Bytes16 v;
  asm("ld.global.cs.v4.u32 {%0, %1, %2, %3}, [%4];"
      : "=r"(v.word[0]), "=r"(v.word[1]), "=r"(v.word[2]), "=r"(v.word[3])
      : "l"(__cvta_generic_to_global(from)));
  return v;
#endif
}

/// One 16-byte store. `to` lies on a 16-byte boundary.
__device__ __forceinline__ void store16(void* to, Bytes16 value) {
#if defined(SPHEREMIX_EMULATOR)
  if (reinterpret_cast<std::uintptr_t>(to) % 16)
    emulator::fail("a 16-byte store to a misaligned address");
#endif
  *static_cast<Bytes16*>(to) = value;
}

/// Stores a and b rounded to 16 bits, with one instruction, and makes them what was stored. `to` lies
/// on a 4-byte boundary.
__device__ __forceinline__ void store_rounded(Half* to, float& a, float& b) {
#if defined(SPHEREMIX_EMULATOR)
  if (reinterpret_cast<std::uintptr_t>(to) % 4)
    emulator::fail("a 4-byte store to a misaligned address");
  to[0] = narrow<Half>(a), to[1] = narrow<Half>(b);
  a = widen(to[0]), b = widen(to[1]);
#else
  const __half2 both = __floats2half2_rn(a, b);
  *reinterpret_cast<__half2*>(to) = both;
  a = __low2float(both), b = __high2float(both);
#endif
}

/// Starts a copy of 16 bytes from global to shared memory; the last 16 - from_bytes of them become
/// zeros. Visible to this thread after copies_wait, to the block after a barrier besides.
__device__ __forceinline__ void copy16_async(void* shared_to, const void* from,
                                             unsigned from_bytes = 16) {
#if defined(SPHEREMIX_EMULATOR)
  emulator::copy_async(shared_to, from, 16, from_bytes);
#else
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               :
               : "r"(unsigned(__cvta_generic_to_shared(shared_to))),
                 "l"(__cvta_generic_to_global(from)), "r"(from_bytes)
               : "memory");
#endif
}

/// Ends a group of copies.
__device__ __forceinline__ void copies_commit() {
#if defined(SPHEREMIX_EMULATOR)
  emulator::commit_copies();
#else
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/// Waits until at most the newest `Pending` groups are under way.
template <int Pending>
__device__ __forceinline__ void copies_wait() {
#if defined(SPHEREMIX_EMULATOR)
  emulator::wait_copies(Pending);
#else
  asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
#endif
}

// ---- Tensor cores -------------------------------------------------------------------------------
// One warp; thread 4 g + t holds rows g and g + 8 of A and D, column g of B:
//   a[0] (g, 2t), (g, 2t+1)   a[1] row g+8   a[2] columns 2t+8, 2t+9   a[3] both
//   b[0] (2t, g), (2t+1, g)   b[1] rows 2t+8, 2t+9
//   d[0] (g, 2t)  d[1] (g, 2t+1)  d[2], d[3] row g+8

/// d += A B for a 16 x 16 A and a 16 x 8 B of pairs of T (Half or Bfloat16), sums in f32.
template <class T>
__device__ __forceinline__ void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4],
                                             const std::uint32_t (&b)[2]) {
  static_assert(std::is_same_v<T, Half> || std::is_same_v<T, Bfloat16>);
#if defined(SPHEREMIX_EMULATOR)
  emulator::mma_m16n8k16(d, a, b, [](std::uint16_t bits) { return widen(T{bits}); });
#else
  if constexpr (std::is_same_v<T, Half>)
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  else
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

/// d += A B for a 16 x 8 A and an 8 x 8 B of tf32 (f32 bit patterns, low 13 bits ignored):
///   a[0] (g, t)  a[1] (g+8, t)  a[2] (g, t+4)  a[3] (g+8, t+4)   b[0] (t, g)  b[1] (t+4, g)
__device__ __forceinline__ void mma_m16n8k8_tf32(float (&d)[4], const std::uint32_t (&a)[4],
                                                 const std::uint32_t (&b)[2]) {
#if defined(SPHEREMIX_EMULATOR)
  emulator::mma_m16n8k8_tf32(d, a, b);
#else
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

/// Four 8 x 8 matrices of 16-bit values from shared memory, or their transposes: lane 8 i + r gives
/// the address of row r of matrix i; thread 4 g + t receives the values (g, 2t), (g, 2t+1) of
/// matrix i in to[i].
template <bool Transposed = false>
__device__ __forceinline__ void load_matrices(std::uint32_t (&to)[4], const void* shared_row) {
#if defined(SPHEREMIX_EMULATOR)
  emulator::load_matrices<4, Transposed>(to, shared_row);
#else
  const unsigned at = unsigned(__cvta_generic_to_shared(shared_row));
  if constexpr (Transposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(at)
                 : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(at)
                 : "memory");
#endif
}

// ---- Fast functions -----------------------------------------------------------------------------
// Their error is a few ulp of f32, stated where they are used.

/// 2^x to about 2 ulp, 0 below the normal range.
__device__ __forceinline__ float fast_exp2(float x) {
#if defined(SPHEREMIX_EMULATOR)
  return std::exp2(x);
#else
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#endif
}

/// a b + c, rounded once on the device.
template <class T>
__device__ __forceinline__ T multiply_add(T a, T b, T c) {
#if defined(SPHEREMIX_EMULATOR)
  return a * b + c;
#else
  return fma(a, b, c);
#endif
}

/// 1 / x to 1 ulp for |x| within [2^-126, 2^126]: the machine's approximation and one Newton step.
__device__ __forceinline__ float fast_reciprocal(float x) {
#if defined(SPHEREMIX_EMULATOR)
  return 1 / x;
#else
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return fmaf(y, fmaf(-x, y, 1.f), y);
#endif
}
__device__ __forceinline__ double fast_reciprocal(double x) { return 1 / x; }

/// The smaller one; NaN where one of them is.
__device__ __forceinline__ float smaller_or_nan(float a, float b) {
#if defined(SPHEREMIX_EMULATOR)
  return a != a || b != b ? a + b : b < a ? b : a;
#else
  float y;
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(y) : "f"(a), "f"(b));
  return y;
#endif
}
__device__ __forceinline__ double smaller_or_nan(double a, double b) {
  return b < a || b != b ? b : a;
}

}  // namespace spheremix::gpu
