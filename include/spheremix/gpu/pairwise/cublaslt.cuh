// The second sweep's products by cuBLASLt, with the caller's handle and workspace. Pass an
// LtProducts as the last argument of a _with_gradient function; the exact path and statistics stay
// with the kernels.
//
// Algorithms come from cuBLASLt's heuristic, once a shape, and are remembered in the object: give
// every stream its own LtProducts and keep it. The first call with a shape asks on the host;
// nothing is allocated on the device and nothing synchronises, so calls can be captured.
#pragma once

#include <cublasLt.h>

#include <array>
#include <tuple>

#include "spheremix/gpu/core/scratch.cuh"
#include "spheremix/gpu/pairwise/gemm.cuh"

namespace spheremix::gpu::pairwise {

/// The descriptors of one GEMM, without an allocation.
struct LtGemm {
  cublasLtMatmulDescOpaque_t operation{};
  cublasLtMatrixLayoutOpaque_t a{}, b{}, c{};

  /// cuBLAS's status, 0 when all are right.
  static cublasStatus_t describe(const Gemm& g, LtGemm* to) {
    const cublasOperation_t plain = CUBLAS_OP_N, second = g.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    cublasStatus_t status = cublasLtMatmulDescInit(&to->operation, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    if (status == 0)
      status = cublasLtMatmulDescSetAttribute(&to->operation, CUBLASLT_MATMUL_DESC_TRANSA, &plain,
                                              sizeof plain);
    if (status == 0)
      status = cublasLtMatmulDescSetAttribute(&to->operation, CUBLASLT_MATMUL_DESC_TRANSB, &second,
                                              sizeof second);
    if (status == 0)
      status = cublasLtMatrixLayoutInit(&to->a, CUDA_R_16F, std::uint64_t(g.m), std::uint64_t(g.k),
                                        g.lda);
    if (status == 0)
      status =
          cublasLtMatrixLayoutInit(&to->b, CUDA_R_16F, std::uint64_t(g.transpose_b ? g.n : g.k),
                                   std::uint64_t(g.transpose_b ? g.k : g.n), g.ldb);
    if (status == 0)
      status = cublasLtMatrixLayoutInit(&to->c, CUDA_R_32F, std::uint64_t(g.m), std::uint64_t(g.n),
                                        g.ldc);
    return status;
  }
};

class LtProducts {
 public:
  /// `workspace`: device memory that cuBLASLt may use, 32 MiB serves sm_90 best. Both outlive the
  /// object's calls.
  LtProducts(cublasLtHandle_t handle, Scratch workspace) : handle_(handle), workspace_(workspace) {}

  template <class Tile>
  Status operator()(const ProductSide<Tile>& first, const ProductSide<Tile>& second,
                    cudaStream_t stream) const {
    if constexpr (std::is_same_v<Tile, HalfTile>) {
      const Status status = first.out.rows > 0 ? enqueue(gemm_of(first), stream) : Status{};
      return status && second.out.rows > 0 ? enqueue(gemm_of(second), stream) : status;
    } else {
      return KernelProducts{}(first, second, stream);
    }
  }

 private:
  // Shape, leading dimensions, beta, and the 16-byte alignment of the three pointers.
  using Key = std::tuple<Index, Index, Index, bool, Index, Index, Index, float, unsigned>;
  struct Found {
    Key key{};
    cublasLtMatmulAlgo_t algorithm{};
  };

  static unsigned alignment(const void* p) {
    return reinterpret_cast<std::uintptr_t>(p) % 16 == 0 ? 1 : 0;
  }

  Status enqueue(const Gemm& g, cudaStream_t stream) const {
    LtGemm lt;
    if (LtGemm::describe(g, &lt) != 0) return invalid("cuBLASLt refuses a product's description");
    const Key key{g.m,           g.n,    g.k,
                  g.transpose_b, g.lda,  g.ldb,
                  g.ldc,         g.beta, alignment(g.a) + 2 * alignment(g.b) + 4 * alignment(g.c)};
    const Found* found = nullptr;
    for (std::size_t f = 0; f < count_ && !found; ++f)
      if (memory_[f].key == key) found = &memory_[f];
    Found fresh;
    if (!found) {
      if (!search(g, lt, &fresh.algorithm))
        return invalid("cuBLASLt knows no algorithm for a product");
      fresh.key = key;
      memory_[next_] = fresh;
      found = &memory_[next_];
      next_ = (next_ + 1) % memory_.size();
      if (count_ < memory_.size()) ++count_;
    }
    const cublasStatus_t status = cublasLtMatmul(
        handle_, &lt.operation, &g.alpha, g.a, &lt.a, g.b, &lt.b, &g.beta, g.c, &lt.c, g.c, &lt.c,
        &found->algorithm, workspace_.data, workspace_.bytes, stream);
    return status == 0 ? Status{} : Status{cudaErrorUnknown, "cuBLASLt failed on a product"};
  }

  bool search(const Gemm& g, LtGemm& lt, cublasLtMatmulAlgo_t* to) const {
    cublasLtMatmulPreferenceOpaque_t wish{};
    if (cublasLtMatmulPreferenceInit(&wish) != 0) return false;
    cublasLtMatmulPreferenceSetAttribute(&wish, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                         &workspace_.bytes, sizeof workspace_.bytes);
    const auto aligned = [&](cublasLtMatmulPreferenceAttributes_t which, const void* p,
                             std::uint32_t least) {
      const std::uint32_t bytes = alignment(p) ? 16 : least;
      cublasLtMatmulPreferenceSetAttribute(&wish, which, &bytes, sizeof bytes);
    };
    aligned(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, g.a, 2);
    aligned(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, g.b, 2);
    aligned(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, g.c, 4);
    aligned(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, g.c, 4);
    cublasLtMatmulHeuristicResult_t result{};
    int results = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
        handle_, &lt.operation, &lt.a, &lt.b, &lt.c, &lt.c, &wish, 1, &result, &results);
    *to = result.algo;
    return status == 0 && results > 0;
  }

  cublasLtHandle_t handle_;
  Scratch workspace_;
  mutable std::array<Found, 64> memory_{};
  mutable std::size_t count_ = 0, next_ = 0;
};

}  // namespace spheremix::gpu::pairwise
