// How the device benchmarks time: CUDA events around one call, the L2 flushed before each, inputs
// rotated by the caller, the median of 30 after 5 warm-up calls; the bound is a copy's bandwidth
// measured in the same run.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace spheremix::benchmark {

inline void must(cudaError_t code, const char* what) {
  if (code == cudaSuccess) return;
  std::printf("%s: %s\n", what, cudaGetErrorString(code));
  std::exit(1);
}

struct Times {
  double median, least, most;  ///< microseconds
};

class Timer {
 public:
  Timer() {
    int l2 = 0;
    must(cudaDeviceGetAttribute(&l2, cudaDevAttrL2CacheSize, 0), "L2 size");
    flush_bytes_ = std::size_t(l2) * 4;
    must(cudaMalloc(&flush_, flush_bytes_), "cudaMalloc");
    must(cudaEventCreate(&start_), "cudaEventCreate");
    must(cudaEventCreate(&stop_), "cudaEventCreate");
  }
  ~Timer() {
    cudaFree(flush_);
    cudaEventDestroy(start_);
    cudaEventDestroy(stop_);
  }

  /// call(round): enqueues the work on the default stream; `round` chooses among input sets.
  template <class Call>
  Times run(Call call, int repeats = 30) {
    std::vector<double> us;
    for (int round = -5; round < repeats; ++round) {
      must(cudaMemsetAsync(flush_, round & 0xFF, flush_bytes_, nullptr), "flush");
      must(cudaEventRecord(start_, nullptr), "event");
      call(round + 5);
      must(cudaEventRecord(stop_, nullptr), "event");
      must(cudaEventSynchronize(stop_), "the timed call");
      float ms = 0;
      must(cudaEventElapsedTime(&ms, start_, stop_), "event");
      if (round >= 0) us.push_back(double(ms) * 1e3);
    }
    std::sort(us.begin(), us.end());
    return {us[us.size() / 2], us.front(), us.back()};
  }

  /// Bytes read and written a second by a device-to-device copy of `bytes`.
  double copy_bandwidth(std::size_t bytes) {
    char *from = nullptr, *to = nullptr;
    must(cudaMalloc(&from, bytes), "cudaMalloc");
    must(cudaMalloc(&to, bytes), "cudaMalloc");
    must(cudaMemset(from, 0x5A, bytes), "cudaMemset");
    const Times t = run([&](int) {
      must(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, nullptr), "copy");
    });
    cudaFree(from);
    cudaFree(to);
    return 2 * double(bytes) / (t.median * 1e-6);
  }

 private:
  void* flush_ = nullptr;
  std::size_t flush_bytes_ = 0;
  cudaEvent_t start_{}, stop_{};
};

}  // namespace spheremix::benchmark
