// calibration_bins and expected_calibration_error on the device: formula and options in
// formula/calibration.hpp.
//
// Shapes   confidence: N floats or doubles; correct: N numbers of any arithmetic type (0: wrong),
//          in device memory. Results there too.
// Cost     N numbers are read for each bin: meant for tens of bins.
// Memory   24 bytes a bin and stretch of 65,536 predictions, 24 a bin.
// Errors   N = 0, bins < 1. A confidence outside [0, 1] or NaN makes the first bin's confidence, and
//          the error, NaN.
#pragma once

#include "spheremix/formula/calibration.hpp"
#include "spheremix/gpu/pairwise/rows.cuh"

namespace spheremix::gpu::metrics {

using spheremix::metrics::CalibrationBin;
using spheremix::metrics::CalibrationOptions;

namespace detail {

/// Block (bin, stretch) as number stretch * bins + bin: count, right and sum of the confidences.
template <class T, class C>
struct CalibrationKernel {
  static constexpr unsigned kThreads = 256, kResident = 4;
  static constexpr Index kStretch = 65536;
  static constexpr std::size_t kShared = 3 * (kThreads / kWarp) * sizeof(double);
  const T* confidence;
  const C* correct;
  Index n, bins;
  double* partial;
  __device__ void operator()() const {
    const Index bin = Index(blockIdx.x) % bins, first = Index(blockIdx.x) / bins * kStretch;
    const Index last = first + kStretch < n ? first + kStretch : n;
    double sums[3] = {0, 0, 0};
    for (Index i = first + threadIdx.x; i < last; i += kThreads) {
      const T p = confidence[i];
      const bool sound = p >= 0 && p <= 1;
      if ((sound ? formula::calibration_bin(p, bins) : 0) != bin) continue;
      sums[0] += 1;
      sums[1] += double(correct[i] != C(0));
      sums[2] += sound ? double(p) : core::nan<double>;
    }
    pairwise::block_sums<kThreads>(sums, 3, reinterpret_cast<double*>(shared_memory()));
    if (threadIdx.x > 0) return;
    for (int k = 0; k < 3; ++k) partial[3 * Index(blockIdx.x) + k] = sums[k];
  }
};

/// The bins of all stretches, and the error of them. One block.
struct CalibrationFinishKernel {
  static constexpr unsigned kThreads = 128, kResident = 4;
  static constexpr std::size_t kShared = kThreads / kWarp * sizeof(double);
  const double* partial;
  Index bins, stretches;
  double n;
  CalibrationBin* out;  ///< may be null
  double* error;        ///< may be null
  __device__ void operator()() const {
    double gaps = 0;
    for (Index b = threadIdx.x; b < bins; b += kThreads) {
      double sums[3] = {0, 0, 0};
      for (Index s = 0; s < stretches; ++s)
        for (int k = 0; k < 3; ++k) sums[k] += partial[3 * (s * bins + b) + k];
      const double each = sums[0] > 0 ? sums[0] : 1;
      const CalibrationBin bin{Index(sums[0]), sums[1] / each, sums[2] / each};
      if (out) out[b] = bin;
      gaps += sums[0] * std::abs(bin.accuracy - bin.confidence);
    }
    gaps = pairwise::block_sum<kThreads>(gaps, reinterpret_cast<double*>(shared_memory()));
    if (threadIdx.x == 0 && error) *error = gaps / n;
  }
};

template <class T, class C>
Status calibration(const T* confidence, const C* correct, Index n,
                   const CalibrationOptions& options, CalibrationBin* bins, double* error,
                   Scratch scratch, cudaStream_t stream) {
  if (n <= 0) return invalid("calibration: no predictions, and the mean over none is undefined");
  if (options.bins < 1) return invalid("calibration: bins must be at least 1");
  if (!confidence || !correct || !(bins || error)) return invalid("calibration: a null pointer");
  using Bins = CalibrationKernel<T, C>;
  const Index stretches = pairwise::ceil_div(n, Bins::kStretch);
  if (options.bins > 0x7FFFFFFF / stretches) return invalid("calibration: too many bins");
  return enqueue(scratch, stream, [&](Work& work) {
    double* const partial = work.take<double>(3 * options.bins * stretches);
    pairwise::start(work, Bins{confidence, correct, n, options.bins, partial},
                    options.bins * stretches);
    pairwise::start(
        work, CalibrationFinishKernel{partial, options.bins, stretches, double(n), bins, error}, 1);
  });
}

}  // namespace detail

/// Enqueues the bins of a reliability diagram, options.bins of them.
template <class T, class C>
Status calibration_bins(const T* confidence, const C* correct, Index n,
                        const CalibrationOptions& options, CalibrationBin* bins, Scratch scratch,
                        cudaStream_t stream = nullptr) {
  return detail::calibration(confidence, correct, n, options, bins, nullptr, scratch, stream);
}

/// Enqueues *error.
template <class T, class C>
Status expected_calibration_error(const T* confidence, const C* correct, Index n,
                                  const CalibrationOptions& options, double* error, Scratch scratch,
                                  cudaStream_t stream = nullptr) {
  return detail::calibration<T, C>(confidence, correct, n, options, nullptr, error, scratch,
                                   stream);
}

}  // namespace spheremix::gpu::metrics
