// The N x N losses on one GPU: fast path by kernels and by cuBLASLt, cosines by mma.sync and (built
// for sm_90a) by wgmma, alone and replayed from a graph. Each case is checked against the exact
// path first (relative error of dX), then timed: the median of 30 runs by CUDA events. One JSON
// object a line, and the scratch each call asked for.
//
//   nvcc -std=c++20 -O2 -gencode arch=compute_90a,code=sm_90a -I../../../include losses_bench.cu
//   -lcublasLt -o losses_bench && ./losses_bench
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#include "spheremix/gpu/losses/clip.cuh"
#include "spheremix/gpu/losses/clip_m2_mix.cuh"
#include "spheremix/gpu/losses/siglip.cuh"
#include "spheremix/gpu/metrics/uniformity.cuh"
#include "spheremix/gpu/pairwise/cublaslt.cuh"
#include "spheremix/gpu/pairwise/wgmma_cosines.cuh"

using namespace spheremix;

namespace {

void must(int code, const char* what) {
  if (code == 0) return;
  std::fprintf(stderr, "%s: error %d\n", what, code);
  std::exit(1);
}
void must(gpu::Status status, const char* what) {
  if (status) return;
  std::fprintf(stderr, "%s: %s\n", what, status.text);
  std::exit(1);
}

/// Random unit rows, one warp a row.
__global__ void unit_rows(float* x, Index rows, Index cols, unsigned seed) {
  const Index i = Index(blockIdx.x) * 4 + threadIdx.x / 32;
  if (i >= rows) return;
  float sum = 0;
  for (Index k = threadIdx.x % 32; k < cols; k += 32) {
    float v = -6;
    unsigned h = unsigned(i * cols + k) * 2654435761u + seed;
    for (int r = 0; r < 12; ++r) {
      h ^= h >> 16, h *= 0x85ebca6bu, h ^= h >> 13, h *= 0xc2b2ae35u, h ^= h >> 16;
      v += float(h >> 8) / 16777216.f;
    }
    x[i * cols + k] = v;
    sum += v * v;
  }
  sum = gpu::warp_sum(sum);
  for (Index k = threadIdx.x % 32; k < cols; k += 32) x[i * cols + k] *= rsqrtf(sum);
}

/// *yes = 1 in a build for sm_90a.
__global__ void compiled_for_sm_90a([[maybe_unused]] double* yes) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  *yes = 1;
#endif
}

template <class T>
T* device(std::size_t count) {
  T* p = nullptr;
  must(cudaMalloc(&p, count * sizeof(T)), "cudaMalloc");
  return p;
}

using Call = std::function<gpu::Status(cudaStream_t)>;

double median_ms(const Call& call, cudaStream_t stream) {
  cudaEvent_t begin, end;
  must(cudaEventCreate(&begin), "event");
  must(cudaEventCreate(&end), "event");
  std::vector<double> times;
  for (int run = 0; run < 33; ++run) {
    must(cudaEventRecord(begin, stream), "record");
    must(call(stream), "call");
    must(cudaEventRecord(end, stream), "record");
    must(cudaEventSynchronize(end), "synchronize");
    float ms = 0;
    must(cudaEventElapsedTime(&ms, begin, end), "elapsed");
    if (run >= 3) times.push_back(ms);
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  std::nth_element(times.begin(), times.begin() + 15, times.end());
  return times[15];
}

double graph_ms(const Call& call, cudaStream_t stream) {
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  must(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture");
  must(call(stream), "captured call");
  must(cudaStreamEndCapture(stream, &graph), "end of capture");
  must(cudaGraphInstantiate(&exec, graph, 0), "instantiate");
  const double ms =
      median_ms([&](cudaStream_t s) { return gpu::status_of(cudaGraphLaunch(exec, s)); }, stream);
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
  return ms;
}

struct Problem {
  Index n, d;
  core::MatrixView<const float> x, y;
  core::MatrixView<float> dx, dy;
  double* out;
  gpu::Scratch scratch;
};

std::vector<float> host(const core::MatrixView<float>& m) {
  std::vector<float> v(std::size_t(m.rows * m.cols));
  must(cudaMemcpy(v.data(), m.data, v.size() * 4, cudaMemcpyDeviceToHost), "copy");
  return v;
}

double difference(const std::vector<float>& got, const std::vector<float>& want) {
  double e = 0, s = 0;
  for (std::size_t k = 0; k < got.size(); ++k) {
    e += (double(got[k]) - want[k]) * (double(got[k]) - want[k]);
    s += double(want[k]) * want[k];
  }
  return std::sqrt(e / s);
}

void report(const char* name, const char* products, const Problem& p, const Call& call,
            const Call& exact, std::size_t bytes, cudaStream_t stream) {
  double error = -1;
  if (p.n <= 32768) {  // the exact path is slow beyond
    must(exact(stream), "exact");
    must(cudaStreamSynchronize(stream), "exact");
    const auto want = host(p.dx);
    must(cudaMemset(p.dx.data, 0xFF, std::size_t(p.n * p.d) * 4), "poison");
    must(call(stream), "call");
    must(cudaStreamSynchronize(stream), "call");
    error = difference(host(p.dx), want);
  }
  const double ms = median_ms(call, stream), graph = p.n <= 4096 ? graph_ms(call, stream) : -1;
  std::printf(
      "{\"case\": \"%s\", \"products\": \"%s\", \"n\": %ld, \"d\": %ld, \"ms\": %.4f, "
      "\"graph_ms\": %.4f, "
      "\"dx_error\": %.2e, \"scratch_MiB\": %.1f}\n",
      name, products, long(p.n), long(p.d), ms, graph, error, double(bytes) / (1 << 20));
  std::fflush(stdout);
}

template <class Products>
void cases(const Problem& p, const char* products, const Products& how, cudaStream_t stream) {
  using gpu::Precision;
  namespace losses = gpu::losses;
  const losses::ContrastiveGradient<float> clip_out{p.out, p.dx, p.dy, p.out + 1};
  const auto clip = [&](Precision precision) {
    return [&, precision](cudaStream_t s) {
      return losses::clip_with_gradient<float>(p.x, p.y, {0.01, precision}, clip_out, p.scratch, s,
                                               how);
    };
  };
  report("clip", products, p, clip(Precision::fast), clip(Precision::exact),
         losses::clip_bytes<float>(p.x, p.y), stream);
  const auto siglip = [&](Precision precision) {
    return [&, precision](cudaStream_t s) {
      return losses::siglip_with_gradient<float>(p.x, p.y, {0.1, -10, precision},
                                                 {p.out, p.dx, p.dy, p.out + 1, p.out + 2},
                                                 p.scratch, s, how);
    };
  };
  report("siglip", products, p, siglip(Precision::fast), siglip(Precision::exact),
         losses::siglip_bytes<float>(p.x, p.y), stream);
  const auto uniformity = [&](Precision precision) {
    return [&, precision](cudaStream_t s) {
      return gpu::metrics::uniformity_with_gradient<float>(p.x, {2, precision}, {p.out, p.dx},
                                                           p.scratch, s, how);
    };
  };
  report("uniformity", products, p, uniformity(Precision::fast), uniformity(Precision::exact),
         gpu::metrics::uniformity_bytes<float>(p.x), stream);
  const auto both = [&](Precision precision) {
    losses::ClipM2MixOptions options{};
    options.precision = precision;
    return [&, options](cudaStream_t s) {
      return losses::clip_m2_mix_with_gradient<float>(
          p.x, p.y, 0.3, options, {p.out, p.dx, p.dy, p.out + 1, p.out + 2, p.out + 3}, p.scratch,
          s, how);
    };
  };
  report("clip_m2_mix", products, p, both(Precision::fast), both(Precision::exact),
         losses::clip_m2_mix_bytes<float>(p.x, p.y), stream);
}

}  // namespace

int main(int argc, char** argv) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::printf("skipped: no GPU here\n");
    return 77;
  }
  std::vector<Index> sizes;
  for (int k = 1; k < argc; ++k) sizes.push_back(std::atol(argv[k]));
  if (sizes.empty()) sizes = {1024, 4096, 32768};
  cudaDeviceProp properties;
  must(cudaGetDeviceProperties(&properties, 0), "properties");
  std::printf("{\"device\": \"%s\"}\n", properties.name);
  double wgmma = 0, *const answer = device<double>(1);
  must(cudaMemset(answer, 0, sizeof wgmma), "memset");
  compiled_for_sm_90a<<<1, 1>>>(answer);
  must(cudaMemcpy(&wgmma, answer, sizeof wgmma, cudaMemcpyDeviceToHost), "copy");
  cublasLtHandle_t lt;
  must(cublasLtCreate(&lt), "cublasLtCreate");
  const gpu::Scratch workspace{device<char>(32u << 20), 32u << 20};
  cudaStream_t stream;
  must(cudaStreamCreate(&stream), "stream");
  for (const Index n : sizes) {
    const Index d = 512;
    float *x = device<float>(std::size_t(n * d)), *y = device<float>(std::size_t(n * d));
    float *dx = device<float>(std::size_t(n * d)), *dy = device<float>(std::size_t(n * d));
    unit_rows<<<unsigned((n + 3) / 4), 128>>>(x, n, d, 1);
    unit_rows<<<unsigned((n + 3) / 4), 128>>>(y, n, d, 2);
    Problem p{n, d, {x, n, d, d}, {y, n, d, d}, {dx, n, d, d}, {dy, n, d, d}, device<double>(8),
              {}};
    p.scratch.bytes = std::size_t(n * d) * 4 + std::size_t(n) * 64 + (std::size_t(96) << 20);
    p.scratch.data = device<char>(p.scratch.bytes);
    must(cudaDeviceSynchronize(), "rows");
    cases(p, "kernels", gpu::pairwise::KernelProducts{}, stream);
    const gpu::pairwise::LtProducts products(lt, workspace);
    cases(p, "cublaslt", products, stream);
    if (wgmma == 1) {
      using gpu::pairwise::WgmmaCosines;
      cases(p, "wgmma, kernels", WgmmaCosines<>{}, stream);
      cases(p, "wgmma, cublaslt", WgmmaCosines<gpu::pairwise::LtProducts>{products}, stream);
    }
    for (void* q : {(void*)x, (void*)y, (void*)dx, (void*)dy, (void*)p.out, p.scratch.data})
      cudaFree(q);
  }
}
