// The row kernels on one GPU: time, and bytes that must move over time as a share of the copy
// bandwidth measured in the same run. One JSON object a line. With SPHEREMIX_SAMPLES set, leaves
// slerp inputs and results there as raw floats for slerp_torch.py to compare with.
#include <cstdint>
#include <fstream>
#include <functional>
#include <string>

#include "gpu/timer.cuh"
#include "spheremix/gpu/metrics/alignment.cuh"
#include "spheremix/gpu/metrics/modality_gap.cuh"
#include "spheremix/gpu/mixup/linear.cuh"
#include "spheremix/gpu/sphere/distance.cuh"
#include "spheremix/gpu/sphere/exp_log.cuh"
#include "spheremix/gpu/sphere/normalize.cuh"
#include "spheremix/gpu/sphere/sampling.cuh"
#include "spheremix/gpu/sphere/slerp.cuh"

using namespace spheremix;
using benchmark::must;

namespace {

constexpr int kSets = 3;  // input sets in rotation

void ok(gpu::Status status) {
  if (status.ok()) return;
  std::printf("%s\n", status.text);
  std::exit(1);
}

template <class T>
struct Batch {
  Index n, d;
  std::vector<T*> memory;

  Batch(Index rows, Index cols) : n(rows), d(cols) {}
  Batch(const Batch&) = delete;
  ~Batch() {
    for (T* p : memory) cudaFree(p);
  }

  gpu::View<T> matrix(core::Philox& rng) {
    T* p = nullptr;
    must(cudaMalloc(&p, std::size_t(n * d) * sizeof(T)), "cudaMalloc");
    memory.push_back(p);
    const gpu::View<T> m{p, n, d, d};
    ok(gpu::sphere::sample_uniform(rng, m));
    return m;
  }
};

template <class T>
void measure(benchmark::Timer& timer, double bandwidth, const char* type, Index n, Index d) {
  core::Philox rng(1);
  Batch<T> batch(n, d);
  std::vector<gpu::View<T>> u, v, g;
  for (int s = 0; s < kSets; ++s) {
    u.push_back(batch.matrix(rng));
    v.push_back(batch.matrix(rng));
    g.push_back(batch.matrix(rng));
  }
  const gpu::View<T> out = batch.matrix(rng), more = batch.matrix(rng);
  using A = gpu::Arithmetic<T>;
  A* numbers = nullptr;
  must(cudaMalloc(&numbers, std::size_t(n) * sizeof(A)), "cudaMalloc");
  must(cudaMemset(numbers, 0, std::size_t(n) * sizeof(A)), "cudaMemset");
  double* value = nullptr;
  must(cudaMalloc(&value, std::size_t(d + 1) * sizeof(double)), "cudaMalloc");
  gpu::Scratch scratch;
  scratch.bytes = std::max(
      gpu::scratch_needed([&](gpu::Scratch to) {
        return gpu::metrics::alignment(u[0], gpu::View<const T>(v[0]), {}, value, to);
      }),
      gpu::scratch_needed([&](gpu::Scratch to) {
        return gpu::metrics::modality_gap(u[0], gpu::View<const T>(v[0]), value, value + 1, to);
      }));
  must(cudaMalloc(&scratch.data, scratch.bytes), "cudaMalloc");

  const double matrix = double(n) * double(d) * sizeof(T);
  const auto report = [&](const char* name, double bytes, const std::function<void(int)>& call) {
    const benchmark::Times t = timer.run(call);
    must(cudaGetLastError(), name);
    std::printf(
        "{\"case\": \"%s\", \"type\": \"%s\", \"n\": %td, \"d\": %td, \"us\": %.2f, \"us_least\": "
        "%.2f, \"us_most\": "
        "%.2f, \"GB_per_s\": %.1f, \"share_of_copy\": %.3f}\n",
        name, type, n, d, t.median, t.least, t.most, bytes / t.median * 1e-3,
        bytes / (t.median * 1e-6) / bandwidth);
    std::fflush(stdout);
  };
  const auto s = [](int round) { return std::size_t(round % kSets); };
  report("normalize_rows", 2 * matrix,
         [&](int r) { ok(gpu::sphere::normalize_rows<T>(u[s(r)], out)); });
  report("slerp_rows", 3 * matrix,
         [&](int r) { ok(gpu::sphere::slerp_rows<T>(u[s(r)], v[s(r)], 0.3, out)); });
  report("slerp_rows_vjp", 5 * matrix + double(n) * sizeof(A), [&](int r) {
    ok(gpu::sphere::slerp_rows_vjp<T>(u[s(r)], v[s(r)], 0.3, g[s(r)], {out, more, numbers}));
  });
  report("slerp_rows + vjp", 8 * matrix + double(n) * sizeof(A), [&](int r) {
    ok(gpu::sphere::slerp_rows<T>(u[s(r)], v[s(r)], 0.3, out));
    ok(gpu::sphere::slerp_rows_vjp<T>(u[s(r)], v[s(r)], 0.3, g[s(r)], {out, more, numbers}));
  });
  if constexpr (std::is_same_v<T,
                               float>) {  // one type is enough of these, and keeps the build short
    report("normalize_rows_vjp", 3 * matrix,
           [&](int r) { ok(gpu::sphere::normalize_rows_vjp<T>(u[s(r)], g[s(r)], out)); });
    report("geodesic_distance_rows", 2 * matrix + double(n) * sizeof(A),
           [&](int r) { ok(gpu::sphere::geodesic_distance_rows(u[s(r)], v[s(r)], numbers)); });
    report("geodesic_distance_rows_vjp", 4 * matrix + double(n) * sizeof(A), [&](int r) {
      ok(gpu::sphere::geodesic_distance_rows_vjp<T>(u[s(r)], v[s(r)], numbers, {out, more}));
    });
    report("linear", 3 * matrix,
           [&](int r) { ok(gpu::mixup::linear<T>(u[s(r)], v[s(r)], 0.3, out)); });
    report("log_map_rows", 3 * matrix,
           [&](int r) { ok(gpu::sphere::log_map_rows<T>(u[s(r)], v[s(r)], out)); });
    report("exp_map_rows", 3 * matrix,
           [&](int r) { ok(gpu::sphere::exp_map_rows<T>(u[s(r)], v[s(r)], out)); });
    report("parallel_transport_rows", 4 * matrix, [&](int r) {
      ok(gpu::sphere::parallel_transport_rows<T>(u[s(r)], v[s(r)], g[s(r)], out));
    });
    report("alignment", 2 * matrix, [&](int r) {
      ok(gpu::metrics::alignment(u[s(r)], gpu::View<const T>(v[s(r)]), {}, value, scratch));
    });
    report("alignment_with_gradient", 4 * matrix, [&](int r) {
      ok(gpu::metrics::alignment_with_gradient<T>(u[s(r)], v[s(r)], {}, {value, out, more},
                                                  scratch));
    });
    report("modality_gap", 2 * matrix, [&](int r) {
      ok(gpu::metrics::modality_gap(u[s(r)], gpu::View<const T>(v[s(r)]), value, value + 1,
                                    scratch));
    });
  }
  cudaFree(numbers);
  cudaFree(value);
  cudaFree(scratch.data);
}

/// u, v, g, m, du, dv (64 x 512) and dt as raw floats.
void leave_samples(const std::string& folder) {
  core::Philox rng(9);
  Batch<float> batch(64, 512);
  std::vector<gpu::View<float>> m;
  for (int i = 0; i < 6; ++i) m.push_back(batch.matrix(rng));
  float* dt = nullptr;
  must(cudaMalloc(&dt, 64 * sizeof(float)), "cudaMalloc");
  ok(gpu::sphere::slerp_rows<float>(m[0], m[1], 0.3, m[3]));
  ok(gpu::sphere::slerp_rows_vjp<float>(m[0], m[1], 0.3, m[2], {m[4], m[5], dt}));
  std::ofstream file(folder + "/slerp.f32", std::ios::binary);
  std::vector<float> host(64 * 512);
  for (const auto& x : m) {
    must(cudaMemcpy(host.data(), x.data, host.size() * 4, cudaMemcpyDeviceToHost), "cudaMemcpy");
    file.write(reinterpret_cast<const char*>(host.data()), std::streamsize(host.size() * 4));
  }
  must(cudaMemcpy(host.data(), dt, 64 * 4, cudaMemcpyDeviceToHost), "cudaMemcpy");
  file.write(reinterpret_cast<const char*>(host.data()), 64 * 4);
  cudaFree(dt);
}

}  // namespace

int main() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::printf("skipped: no GPU here\n");
    return 77;
  }
  benchmark::Timer timer;
  const double bandwidth = timer.copy_bandwidth(std::size_t(1) << 30);
  std::printf("{\"case\": \"copy of 1 GiB\", \"GB_per_s\": %.1f}\n", bandwidth * 1e-9);
  if (const char* folder = std::getenv("SPHEREMIX_SAMPLES")) leave_samples(folder);
  measure<float>(timer, bandwidth, "f32", 32768, 512);  // 64 MiB a matrix
  measure<float>(timer, bandwidth, "f32", 65536, 512);
  measure<float>(timer, bandwidth, "f32", 65536, 768);
  measure<float>(timer, bandwidth, "f32", 32768, 1024);
  measure<float>(timer, bandwidth, "f32", 1024, 512);
  measure<float>(timer, bandwidth, "f32", 262144, 128);
  measure<float>(timer, bandwidth, "f32", 8192, 8192);
  measure<gpu::Bfloat16>(timer, bandwidth, "bf16", 131072, 512);
  return 0;
}
