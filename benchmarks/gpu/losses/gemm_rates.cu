// The bound of the pairwise engine on one device: what cuBLASLt reaches for the products a
// contrastive loss is made of.
//
//   S = X Y^T (rows x cols, k = D, 16 bit out)   dX += G Y (rows x D, f32 out)   dY += G^T X (cols
//   x D, f32 out)
//
// One JSON object a line; ends with 77 without a GPU.
//
//   nvcc -std=c++20 -O2 -arch=sm_90 gemm_rates.cu -lcublasLt -o gemm_rates && ./gemm_rates
#include <cublasLt.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#define CHECK(x)                                                      \
  do {                                                                \
    const int status_ = int(x);                                       \
    if (status_ != 0) {                                               \
      std::printf("%s:%d: status %d\n", __FILE__, __LINE__, status_); \
      std::exit(1);                                                   \
    }                                                                 \
  } while (0)

__global__ void fill(__half* p, long n, unsigned seed, float scale) {
  for (long i = blockIdx.x * long(blockDim.x) + threadIdx.x; i < n;
       i += long(gridDim.x) * blockDim.x) {
    unsigned h = unsigned(i) * 2654435761u + seed;
    h ^= h >> 16, h *= 0x85ebca6bu, h ^= h >> 13, h *= 0xc2b2ae35u, h ^= h >> 16;
    p[i] = __float2half((float(h >> 8) / 16777216.f - 0.5f) * scale);
  }
}

struct Gemm {  // column-major: C (m x n) = op(A) op(B), plus C when accumulating
  const char* name;
  long m, n, k;
  cublasOperation_t opa, opb;
  cudaDataType out;
  float beta;
};

int main() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::printf("skipped: no GPU here\n");
    return 77;
  }
  cublasLtHandle_t lt;
  CHECK(cublasLtCreate(&lt));
  cudaDeviceProp prop;
  CHECK(cudaGetDeviceProperties(&prop, 0));
  std::printf(
      "{\"device\": \"%s\", \"multiprocessors\": %d, \"l2_bytes\": %d, \"cublaslt\": %zu}\n",
      prop.name, prop.multiProcessorCount, prop.l2CacheSize, cublasLtGetVersion());
  const size_t workspace = 32u << 20;
  void* scratch;
  CHECK(cudaMalloc(&scratch, workspace));
  const long big = 1L << 28;
  __half *a, *b;
  void* c;
  CHECK(cudaMalloc(&a, big * 2));
  CHECK(cudaMalloc(&b, big * 2));
  CHECK(cudaMalloc(&c, big * 4));
  fill<<<1024, 256>>>(a, big, 1, 0.1f);
  fill<<<1024, 256>>>(b, big, 2, 0.1f);
  CHECK(cudaMemset(c, 0, big * 4));
  const auto T = CUBLAS_OP_T, N = CUBLAS_OP_N;
  std::vector<Gemm> list;
  for (long d : {512L, 768L})
    for (auto [r, s] : {std::pair{2048L, 4096L},
                        {4096L, 4096L},
                        {4096L, 8192L},
                        {8192L, 4096L},
                        {8192L, 8192L},
                        {8192L, 16384L},
                        {2048L, 16384L},
                        {1024L, 32768L}}) {
      list.push_back({"S=XY'", s, r, d, T, N, CUDA_R_16F, 0});
      list.push_back({"dX+=GY", d, r, s, N, N, CUDA_R_32F, 1});
      list.push_back({"dY+=G'X", d, s, r, N, T, CUDA_R_32F, 1});
      if (d == 512 && r * s <= (8192L * 4096)) {
        list.push_back({"S=XY' f32", s, r, d, T, N, CUDA_R_32F, 0});
        list.push_back({"dX+=GY 16", d, r, s, N, N, CUDA_R_16F, 1});
      }
    }
  list.push_back({"8192^3", 8192, 8192, 8192, T, N, CUDA_R_16F, 0});
  list.push_back({"32k x 32k x 512", 16384, 16384, 512, T, N, CUDA_R_16F, 0});
  cudaEvent_t e0, e1;
  CHECK(cudaEventCreate(&e0));
  CHECK(cudaEventCreate(&e1));
  for (const Gemm& g : list) {
    cublasLtMatmulDesc_t op;
    CHECK(cublasLtMatmulDescCreate(&op, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    CHECK(cublasLtMatmulDescSetAttribute(op, CUBLASLT_MATMUL_DESC_TRANSA, &g.opa, sizeof g.opa));
    CHECK(cublasLtMatmulDescSetAttribute(op, CUBLASLT_MATMUL_DESC_TRANSB, &g.opb, sizeof g.opb));
    cublasLtMatrixLayout_t la, lb, lc;
    CHECK(cublasLtMatrixLayoutCreate(&la, CUDA_R_16F, g.opa == N ? g.m : g.k,
                                     g.opa == N ? g.k : g.m, g.opa == N ? g.m : g.k));
    CHECK(cublasLtMatrixLayoutCreate(&lb, CUDA_R_16F, g.opb == N ? g.k : g.n,
                                     g.opb == N ? g.n : g.k, g.opb == N ? g.k : g.n));
    CHECK(cublasLtMatrixLayoutCreate(&lc, g.out, g.m, g.n, g.m));
    cublasLtMatmulPreference_t pref;
    CHECK(cublasLtMatmulPreferenceCreate(&pref));
    CHECK(cublasLtMatmulPreferenceSetAttribute(pref, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                               &workspace, sizeof workspace));
    cublasLtMatmulHeuristicResult_t found[8];
    int count = 0;
    CHECK(cublasLtMatmulAlgoGetHeuristic(lt, op, la, lb, lc, lc, pref, 8, found, &count));
    const float one = 1;
    if (count == 0) continue;  // no algorithm for this shape
    float best = 1e9f, first = 0;
    int best_at = -1;
    for (int f = 0; f < count; ++f) {
      auto once = [&] {
        CHECK(cublasLtMatmul(lt, op, &one, a, la, b, lb, &g.beta, c, lc, c, lc, &found[f].algo,
                             scratch, workspace, 0));
      };
      for (int i = 0; i < 2; ++i) once();
      CHECK(cudaEventRecord(e0));
      for (int i = 0; i < 12; ++i) once();
      CHECK(cudaEventRecord(e1));
      CHECK(cudaEventSynchronize(e1));
      float ms;
      CHECK(cudaEventElapsedTime(&ms, e0, e1));
      ms /= 12;
      if (f == 0) first = ms;
      if (ms < best) best = ms, best_at = f;
    }
    const double flops = 2.0 * double(g.m) * double(g.n) * double(g.k);
    std::printf(
        "{\"case\": \"%s\", \"m\": %ld, \"n\": %ld, \"k\": %ld, \"us_first\": %.1f, "
        "\"us_best\": %.1f, \"best\": %d, \"TFLOP_per_s\": %.1f}\n",
        g.name, g.m, g.n, g.k, first * 1e3, best * 1e3, best_at, flops / best * 1e-9);
    std::fflush(stdout);
  }
}
