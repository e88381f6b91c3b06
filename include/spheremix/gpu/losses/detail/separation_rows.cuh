// What feature separation does outside the tables of cosines: row by row, and once a call.
//
//   SeparationRowsKernel   (x.xi)^2 and xi.xa of every row, and what they add to the gradients
//   SeparationJoinKernel   the parts' numbers -> the loss, dL/d log tau and the uniformities' factors
//   AddScaledKernel        a gradient times a number that lies in device memory, added
#pragma once

#include <cmath>

#include "spheremix/core/view.hpp"
#include "spheremix/formula/feature_separation.hpp"
#include "spheremix/gpu/pairwise/rows.cuh"

namespace spheremix::gpu::losses::detail {

/// What the parts leave for the last step, one number a modality each.
struct SeparationNumbers {
  double ortho[2], contrast[2], slope[2], positives[2], uniformity[2], factor[2];
};

/// The row by row work of one modality; one warp a row.
template <class T>
struct SeparationRowsKernel {
  using A = Arithmetic<T>;
  static constexpr unsigned kThreads = 128, kResident = 8, kRowsEach = kThreads / kWarp;
  static constexpr std::size_t kShared = 2 * kRowsEach * sizeof(double);

  core::MatrixView<const T> x, own, augmented;  ///< X, Xi, Xa
  A* positives;                                 ///< null, or xi.xa of each row
  double* ortho;                                ///< (x.xi)^2, one a block
  double* along;                                ///< xi.xa, one a block
  core::MatrixView<A> dx, down, daugmented;     ///< data null: values only
  double step, pull;                            ///< 2 ortho_weight / n; printed: 1 / (n tau)
  bool add_own, add_augmented;                  ///< add to what the contrast left

  __device__ void operator()() const {
    const Index j = Index(blockIdx.x) * kRowsEach + threadIdx.x / kWarp;
    double c = 0, p = 0;
    if (j < x.rows) {
      for (Index k = threadIdx.x % kWarp; k < x.cols; k += kWarp) {
        const double v = double(widen(own(j, k)));
        c += double(widen(x(j, k))) * v;
        p += v * double(widen(augmented(j, k)));
      }
      c = warp_sum(c);
      p = warp_sum(p);
      if (positives && threadIdx.x % kWarp == 0) positives[j] = A(p);
      for (Index k = threadIdx.x % kWarp; dx.data && k < x.cols; k += kWarp) {
        const double v = double(widen(own(j, k)));
        dx(j, k) = A(step * c * v);
        A &to = down(j, k), &to_augmented = daugmented(j, k);
        to = (add_own ? to : A(0)) +
             A(step * c * double(widen(x(j, k))) - pull * double(widen(augmented(j, k))));
        to_augmented = (add_augmented ? to_augmented : A(0)) - A(pull * v);
      }
    }
    const bool leads = threadIdx.x % kWarp == 0;
    double* const shared = reinterpret_cast<double*>(shared_memory());
    c = pairwise::block_sum<kThreads>(leads ? c * c : 0, shared);
    p = pairwise::block_sum<kThreads>(leads ? p : 0, shared + kRowsEach);
    if (threadIdx.x == 0) ortho[blockIdx.x] = c, along[blockIdx.x] = p;
  }
};

/// Adds the parts up; one thread. Weights of 0 leave a part out.
struct SeparationJoinKernel {
  static constexpr unsigned kThreads = 32, kResident = 1;
  static constexpr std::size_t kShared = 0;
  SeparationNumbers* numbers;
  double contrast, uniformity;  ///< weights
  double n;
  bool joint, printed;
  double* loss;
  double* log_temperature;

  __device__ void operator()() const {
    if (threadIdx.x > 0) return;
    SeparationNumbers& all = *numbers;
    formula::SeparationSpread spread{joint, {0, 0}};
    double value = 0, slope = 0;
    for (int s = 0; s < 2; ++s) {
      value += all.ortho[s];
      if (contrast > 0) {
        value += all.contrast[s];
        slope += all.slope[s] + (printed ? all.positives[s] : 0);
      }
      if (uniformity > 0 && n > 1) spread.sum[s] = spread.others(n, all.uniformity[s]);
    }
    for (int s = 0; s < 2; ++s) all.factor[s] = uniformity * spread.factor(s);
    if (uniformity > 0) value += uniformity * spread.value();
    *loss = value;
    if (log_temperature) *log_temperature = slope;
  }
};

/// to += *factor from, rows packed in `from`.
template <class A>
struct AddScaledKernel {
  static constexpr unsigned kThreads = 256, kResident = 8;
  static constexpr std::size_t kShared = 0;
  core::MatrixView<A> to;
  const A* from;
  const double* factor;
  __device__ void operator()() const {
    const Index k = Index(blockIdx.x) * kThreads + threadIdx.x;
    if (k < to.rows * to.cols) to(k / to.cols, k % to.cols) += A(*factor) * from[k];
  }
};

}  // namespace spheremix::gpu::losses::detail
