// The second sweep's products by cuBLASLt, with the caller's handle and workspace. Pass an
// LtProducts as the last argument of a loss or metric; the exact path and statistics stay with the
// kernels. stored_cosines.cuh has the cosines by cuBLASLt too.
//
// Algorithms come from cuBLASLt's heuristic, once a device and shape, and are remembered in the
// object: give every stream its own LtProducts and keep it. The first call with a shape asks on the
// host; nothing is allocated on the device and nothing synchronises, so calls can be captured.
//
// Ranges are larger than the kernels': gemm_edge(chip()) of core/chip.cuh, up to 2 edge^2 bytes of
// scratch (128 MiB on 132 SMs) for large N; `block` overrides it.
#pragma once

#include <cublasLt.h>

#include <array>

#include "spheremix/gpu/core/chip.cuh"
#include "spheremix/gpu/core/scratch.cuh"
#include "spheremix/gpu/pairwise/gemm.cuh"

namespace spheremix::gpu::pairwise {

/// The descriptors of one GEMM, without an allocation.
struct LtGemm {
  cublasLtMatmulDescOpaque_t operation{};
  cublasLtMatrixLayoutOpaque_t a{}, b{}, c{};

  /// cuBLAS's status, 0 when all are right.
  static cublasStatus_t describe(const Gemm& g, LtGemm* to) {
    const cublasOperation_t first = g.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N,
                            second = g.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    cublasStatus_t status = cublasLtMatmulDescInit(&to->operation, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    if (status == 0)
      status = cublasLtMatmulDescSetAttribute(&to->operation, CUBLASLT_MATMUL_DESC_TRANSA, &first,
                                              sizeof first);
    if (status == 0)
      status = cublasLtMatmulDescSetAttribute(&to->operation, CUBLASLT_MATMUL_DESC_TRANSB, &second,
                                              sizeof second);
    if (status == 0)
      status =
          cublasLtMatrixLayoutInit(&to->a, CUDA_R_16F, std::uint64_t(g.transpose_a ? g.k : g.m),
                                   std::uint64_t(g.transpose_a ? g.m : g.k), g.lda);
    if (status == 0)
      status =
          cublasLtMatrixLayoutInit(&to->b, CUDA_R_16F, std::uint64_t(g.transpose_b ? g.n : g.k),
                                   std::uint64_t(g.transpose_b ? g.k : g.n), g.ldb);
    if (status == 0)
      status = cublasLtMatrixLayoutInit(&to->c, g.half_c ? CUDA_R_16F : CUDA_R_32F,
                                        std::uint64_t(g.m), std::uint64_t(g.n), g.ldc);
    return status;
  }
};

/// What cuBLAS says of a call.
inline Status lt_status(cublasStatus_t status) {
  if (status == CUBLAS_STATUS_SUCCESS) return {};
  (void)cudaGetLastError();  // as status_of: nothing is left for the next one to find
  return {cudaErrorUnknown, cublasLtGetStatusString(status)};
}

class LtProducts {
 public:
  /// `workspace`: device memory that cuBLASLt may use, on a 256-byte boundary; 32 MiB serves sm_90
  /// best. Both outlive the object's calls. The current device is the one of its calls.
  LtProducts(cublasLtHandle_t handle, Scratch workspace)
      : handle_(handle), workspace_(workspace), edge_(gemm_edge(chip())) {}

  Precision precision = Precision::fast;
  Index block = 0;  ///< edge of the ranges of a table that are kept at a time; 0: edge()

  Index edge() const { return edge_; }

  template <class Tile>
  Status operator()(const ProductSide<Tile>& first, const ProductSide<Tile>& second,
                    cudaStream_t stream) const {
    if constexpr (std::is_same_v<Tile, HalfTile>) {
      const Status status = first.out.rows > 0 ? gemm(gemm_of(first), stream) : Status{};
      return status && second.out.rows > 0 ? gemm(gemm_of(second), stream) : status;
    } else {
      return KernelProducts{}(first, second, stream);
    }
  }

  /// Enqueues one GEMM.
  Status gemm(const Gemm& g, cudaStream_t stream) const {
    if (!scratch_aligned(workspace_))
      return invalid("cuBLASLt's workspace does not lie on a 256-byte boundary");
    int device = 0;
    if (const Status status = status_of(cudaGetDevice(&device)); !status) return status;
    LtGemm lt;
    if (const Status status = lt_status(LtGemm::describe(g, &lt)); !status) return status;
    const GemmKey key = key_of(g, device);
    const Found* found = nullptr;
    for (std::size_t f = 0; f < count_ && !found; ++f)
      if (memory_[f].key == key) found = &memory_[f];
    if (!found) {
      Found fresh{key, {}};
      if (const Status status = search(g, lt, &fresh.algorithm); !status) return status;
      memory_[next_] = fresh;
      found = &memory_[next_];
      next_ = (next_ + 1) % memory_.size();
      if (count_ < memory_.size()) ++count_;
    }
    return lt_status(cublasLtMatmul(handle_, &lt.operation, &g.alpha, g.a, &lt.a, g.b, &lt.b,
                                    &g.beta, g.c, &lt.c, g.c, &lt.c, &found->algorithm,
                                    workspace_.data, workspace_.bytes, stream));
  }

 private:
  struct Found {
    GemmKey key{};
    cublasLtMatmulAlgo_t algorithm{};
  };

  Status search(const Gemm& g, LtGemm& lt, cublasLtMatmulAlgo_t* to) const {
    cublasLtMatmulPreferenceOpaque_t wish{};
    cublasStatus_t status = cublasLtMatmulPreferenceInit(&wish);
    const auto set = [&](cublasLtMatmulPreferenceAttributes_t which, const auto& value) {
      if (status == CUBLAS_STATUS_SUCCESS)
        status = cublasLtMatmulPreferenceSetAttribute(&wish, which, &value, sizeof value);
    };
    set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_.bytes);
    const auto aligned = [&](cublasLtMatmulPreferenceAttributes_t which, const void* p,
                             std::uint32_t least) {
      set(which, on_16_bytes(p) ? std::uint32_t(16) : least);
    };
    aligned(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, g.a, 2);
    aligned(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, g.b, 2);
    aligned(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, g.c, g.half_c ? 2 : 4);
    aligned(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, g.c, g.half_c ? 2 : 4);
    cublasLtMatmulHeuristicResult_t result{};
    int results = 0;
    if (status == CUBLAS_STATUS_SUCCESS)
      status = cublasLtMatmulAlgoGetHeuristic(handle_, &lt.operation, &lt.a, &lt.b, &lt.c, &lt.c,
                                              &wish, 1, &result, &results);
    *to = result.algo;
    if (status == CUBLAS_STATUS_SUCCESS && results == 0)
      return {cudaErrorNotSupported, "cuBLASLt knows no algorithm for a product"};
    return lt_status(status);
  }

  cublasLtHandle_t handle_;
  Scratch workspace_;
  Index edge_;
  mutable std::array<Found, 64> memory_{};
  mutable std::size_t count_ = 0, next_ = 0;
};

}  // namespace spheremix::gpu::pairwise
