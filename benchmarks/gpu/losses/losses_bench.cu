// The N x N losses on one GPU, fast path: products by kernels and by cuBLASLt, cosines by mma.sync,
// by cuBLASLt (stored) and, built for sm_90a, by wgmma. Each case is checked against the exact path
// first (relative error of dX, at most 5e-3), then timed: the median of 30 runs by CUDA events, and
// replayed from a graph up to N = 4096. One JSON object a line, and the scratch each call asked for.
//
//   losses_bench [d=D] [case=NAME[,NAME]] [way=NAME[,NAME]] [once] [N ...]
//
// case: clip siglip uniformity clip_m2_mix clip_m2_mix_direct; way: kernels cublaslt stored wgmma
// wgmma_cublaslt; default all. once: one call of each, nothing checked or timed (for profilers).
// With SPHEREMIX_SAMPLES set, leaves clip's x, y, dX and dY there as raw floats for
// torch_rivals.py to compare with. Ends with 1 when an error was too large, 77 without a GPU.
//
//   nvcc -std=c++20 -O3 -DSPHEREMIX_SM_90A -gencode arch=compute_90a,code=sm_90a
//   -I../../../include losses_bench.cu -lcublasLt -o losses_bench && ./losses_bench
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "spheremix/gpu/losses/clip.cuh"
#include "spheremix/gpu/losses/clip_m2_mix.cuh"
#include "spheremix/gpu/losses/siglip.cuh"
#include "spheremix/gpu/metrics/uniformity.cuh"
#include "spheremix/gpu/pairwise/cublaslt.cuh"
#include "spheremix/gpu/pairwise/stored_cosines.cuh"
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

/// What was asked for.
struct Asked {
  Index d = 512;
  std::string cases, ways;
  bool once = false;
  bool bad = false;  ///< an error was too large

  static bool holds(const std::string& list, const std::string& name) {
    return list.empty() || ("," + list + ",").find("," + name + ",") != std::string::npos;
  }
};

struct Problem {
  Index n, d;
  core::MatrixView<const float> x, y;
  core::MatrixView<float> dx, dy;
  double* out;
  gpu::Scratch scratch;
  Asked& asked;
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

/// One case: a call at a precision, in that scratch, on that stream.
struct Case {
  const char* name;
  std::function<gpu::Status(gpu::Precision, gpu::Scratch, cudaStream_t)> call;
};

/// Products at that precision.
template <class Products>
Products at(Products how, gpu::Precision precision) {
  if constexpr (requires { how.products; })
    how.products = at(how.products, precision);
  else
    how.precision = precision;
  return how;
}

void report(const Case& c, const char* way, const Problem& p, cudaStream_t stream) {
  if (!Asked::holds(p.asked.cases, c.name)) return;
  const std::size_t bytes =
      gpu::scratch_needed([&](gpu::Scratch s) { return c.call(gpu::Precision::fast, s, stream); });
  if (bytes > p.scratch.bytes) {
    std::fprintf(stderr, "%s wants %zu bytes of scratch\n", c.name, bytes);
    std::exit(1);
  }
  const Call call = [&](cudaStream_t s) { return c.call(gpu::Precision::fast, p.scratch, s); };
  const Call exact = [&](cudaStream_t s) { return c.call(gpu::Precision::exact, p.scratch, s); };
  if (p.asked.once) {
    must(call(stream), "call");
    must(cudaStreamSynchronize(stream), "call");
    return;
  }
  double error = -1;
  bool good = true;
  if (p.n <= 32768) {  // the exact path is slow beyond
    must(exact(stream), "exact");
    must(cudaStreamSynchronize(stream), "exact");
    const auto want = host(p.dx);
    must(cudaMemset(p.dx.data, 0xFF, std::size_t(p.n * p.d) * 4), "poison");
    must(call(stream), "call");
    must(cudaStreamSynchronize(stream), "call");
    error = difference(host(p.dx), want);
    good = error <= 5e-3;  // NaN is not
    p.asked.bad = p.asked.bad || !good;
  }
  const double ms = median_ms(call, stream), graph = p.n <= 4096 ? graph_ms(call, stream) : -1;
  std::printf(
      "{\"case\": \"%s\", \"way\": \"%s\", \"n\": %ld, \"d\": %ld, \"ms\": %.4f, "
      "\"graph_ms\": %.4f, \"dx_error\": %.2e, \"right\": %s, \"scratch_MiB\": %.1f}\n",
      c.name, way, long(p.n), long(p.d), ms, graph, error == error ? error : 1e30,
      good ? "true" : "false", double(bytes) / (1 << 20));
  std::fflush(stdout);
}

/// clip's inputs and gradients, for rivals to be compared with.
void leave_samples(const Problem& p) {
  const char* folder = std::getenv("SPHEREMIX_SAMPLES");
  if (!folder || p.asked.once || !Asked::holds(p.asked.cases, "clip")) return;
  std::ofstream file(std::string(folder) + "/clip_" + std::to_string(p.n) + ".f32",
                     std::ios::binary);
  for (const auto& m :
       {core::MatrixView<float>{const_cast<float*>(p.x.data), p.n, p.d, p.d},
        core::MatrixView<float>{const_cast<float*>(p.y.data), p.n, p.d, p.d}, p.dx, p.dy}) {
    const auto values = host(m);
    file.write(reinterpret_cast<const char*>(values.data()), std::streamsize(values.size() * 4));
  }
}

template <class Products>
void cases(const Problem& p, const char* way, const Products& how, cudaStream_t stream) {
  if (!Asked::holds(p.asked.ways, way)) return;
  using gpu::Precision;
  namespace losses = gpu::losses;
  report({"clip",
          [&](Precision precision, gpu::Scratch scratch, cudaStream_t s) {
            return losses::clip_with_gradient<float>(
                p.x, p.y, {0.01}, {p.out, p.dx, p.dy, p.out + 1}, scratch, s, at(how, precision));
          }},
         way, p, stream);
  if (std::string(way) == "kernels") leave_samples(p);
  report({"siglip",
          [&](Precision precision, gpu::Scratch scratch, cudaStream_t s) {
            return losses::siglip_with_gradient<float>(p.x, p.y, {0.1, -10},
                                                       {p.out, p.dx, p.dy, p.out + 1, p.out + 2},
                                                       scratch, s, at(how, precision));
          }},
         way, p, stream);
  report({"uniformity",
          [&](Precision precision, gpu::Scratch scratch, cudaStream_t s) {
            return gpu::metrics::uniformity_with_gradient<float>(p.x, {2}, {p.out, p.dx}, scratch,
                                                                 s, at(how, precision));
          }},
         way, p, stream);
  if constexpr (std::is_same_v<Products, gpu::pairwise::KernelProducts>)
    for (const bool shared : {true, false})
      report({shared ? "clip_m2_mix" : "clip_m2_mix_direct",
              [&, shared](Precision precision, gpu::Scratch scratch, cudaStream_t s) {
                return losses::clip_m2_mix_with_gradient<float>(
                    p.x, p.y, 0.3, {.shared = shared},
                    {p.out, p.dx, p.dy, p.out + 1, p.out + 2, p.out + 3}, scratch, s,
                    at(how, precision));
              }},
             way, p, stream);
}

}  // namespace

int main(int argc, char** argv) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::printf("skipped: no GPU here\n");
    return 77;
  }
  std::vector<Index> sizes;
  Asked asked;
  for (int k = 1; k < argc; ++k) {
    const std::string a = argv[k];
    if (a.rfind("d=", 0) == 0)
      asked.d = std::atol(a.c_str() + 2);
    else if (a.rfind("case=", 0) == 0)
      asked.cases = a.substr(5);
    else if (a.rfind("way=", 0) == 0)
      asked.ways = a.substr(4);
    else if (a == "once")
      asked.once = true;
    else
      sizes.push_back(std::atol(a.c_str()));
  }
  if (sizes.empty()) sizes = {1024, 4096, 32768};
  cudaDeviceProp properties;
  must(cudaGetDeviceProperties(&properties, 0), "properties");
  std::printf("{\"device\": \"%s\", \"multiprocessors\": %d, \"l2_bytes\": %d}\n", properties.name,
              properties.multiProcessorCount, properties.l2CacheSize);
  cublasLtHandle_t lt;
  must(cublasLtCreate(&lt), "cublasLtCreate");
  const gpu::Scratch workspace{device<char>(32u << 20), 32u << 20};
  cudaStream_t stream;
  must(cudaStreamCreate(&stream), "stream");
  using gpu::pairwise::LtProducts;
  const LtProducts products(lt, workspace);
  for (const Index n : sizes) {
    const Index d = asked.d;
    float *x = device<float>(std::size_t(n * d)), *y = device<float>(std::size_t(n * d));
    float *dx = device<float>(std::size_t(n * d)), *dy = device<float>(std::size_t(n * d));
    unit_rows<<<unsigned((n + 3) / 4), 128>>>(x, n, d, 1);
    unit_rows<<<unsigned((n + 3) / 4), 128>>>(y, n, d, 2);
    Problem p{n,  d,    {x, n, d, d}, {y, n, d, d}, {dx, n, d, d}, {dy, n, d, d}, device<double>(8),
              {}, asked};
    p.scratch.bytes = std::size_t(n * d) * 4 + std::size_t(n) * 128 + (std::size_t(640) << 20);
    p.scratch.data = device<char>(p.scratch.bytes);
    must(cudaDeviceSynchronize(), "rows");
    cases(p, "kernels", gpu::pairwise::KernelProducts{}, stream);
    cases(p, "cublaslt", products, stream);
    cases(p, "stored", gpu::pairwise::StoredCosines<LtProducts>{products}, stream);
    if (gpu::wgmma_usable()) {
      using gpu::pairwise::WgmmaCosines;
      cases(p, "wgmma", WgmmaCosines<>{}, stream);
      cases(p, "wgmma_cublaslt", WgmmaCosines<LtProducts>{products}, stream);
    }
    for (void* q : {(void*)x, (void*)y, (void*)dx, (void*)dy, (void*)p.out, p.scratch.data})
      cudaFree(q);
  }
  return asked.bad ? 1 : 0;
}
