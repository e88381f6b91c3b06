// singular_values, effective_rank, isotropy and anisotropy on the device: formulas and options in
// formula/spectrum.hpp.
//
// Shapes   X: N x D of one storage type, D <= 16384. sigma: min(N, D) doubles, a value: one double,
//          in device memory. isotropy: N, D >= 2; anisotropy: N >= 2.
// Accuracy from the D x D second moments in double: singular values below 2e-8 sqrt(D) of the
//          largest count as 0.
// Edges    a row with NaN or infinity, and a batch of zeros (effective_rank, isotropy) give NaN;
//          anisotropy also where a row is zero.
// Cost     N D^2 + (4/3) D^3 flops in double, 3 D launches; memory 8 D^2 bytes (gram.cuh) and
//          columns sums.
#pragma once

#include "spheremix/formula/spectrum.hpp"
#include "spheremix/gpu/core/column_sums.cuh"
#include "spheremix/gpu/metrics/detail/eigenvalues.cuh"
#include "spheremix/gpu/metrics/detail/gram.cuh"
#include "spheremix/gpu/sphere/normalize.cuh"

namespace spheremix::gpu::metrics {

using spheremix::metrics::EffectiveRankOptions;
using spheremix::metrics::SpectrumOptions;

namespace detail {

enum class SpectrumValue { none, effective_rank, isotropy };

/// One block: sigma from the eigenvalues, and a value of them.
template <int>
__global__ void __launch_bounds__(kEigenThreads)
    summarise_spectrum(const double* eigenvalues, Index d, Index count, double* sigma,
                       SpectrumValue what, double epsilon, double* value) {
  const formula::IsoScore score{double(d)};
  double sum = 0;
  for (Index k = threadIdx.x; k < count; k += kEigenThreads) {
    const double s = formula::singular_value(eigenvalues[d - 1 - k], eigenvalues[d - 1], double(d));
    sigma[k] = s;
    sum += what == SpectrumValue::isotropy ? s * s * s * s : s;
  }
  if (what == SpectrumValue::none) return;
  sum = eigen_sum(sum);
  block_barrier();  // the first sum's shared memory is free again
  double part = 0;
  for (Index k = threadIdx.x; k < count; k += kEigenThreads) {
    part += what == SpectrumValue::effective_rank ? formula::entropy_of(sigma[k] / sum + epsilon)
                                                  : score.off(sigma[k], sum);
  }
  part = eigen_sum(part);
  if (threadIdx.x != 0) return;
  *value =
      what == SpectrumValue::effective_rank ? std::exp(part) : score.value(part, double(count));
}

/// The rows of doubles less the first: equal rows are exactly 0, whatever their number.
struct RowsLessFirst {
  View<const double> x;
  __device__ bool active() const { return true; }
  template <class Group>
  __device__ void operator()(const Group& group, Index row, typename Group::Values& out) const {
    typename Group::Values first;
    group.load(x, row, out);
    group.load(x, 0, first);
    SPHEREMIX_UNROLL
    for (int k = 0; k < Group::slots; ++k) out[k] -= first[k];
  }
};

/// One block: the mean from sums of the rows less the first, or of the rows themselves: of equal rows
/// it is the first to the bit. Sums in double of n equal floats are exact.
template <class T>
__global__ void __launch_bounds__(kEigenThreads)
    mean_of_sums(View<const T> x, bool less_first, double* sums) {
  const double n = double(x.rows);
  for (Index k = threadIdx.x; k < x.cols; k += kEigenThreads) {
    const double first = double(widen(x(0, k)));
    sums[k] = first + (less_first ? sums[k] : sums[k] - n * first) / n;
  }
}

template <class T>
Status spectrum(gpu::detail::RowTexts texts, View<const T> x, bool centred, double* sigma,
                SpectrumValue what, double epsilon, double* value, Scratch scratch,
                cudaStream_t stream) {
  gpu::detail::RowCheck check(texts, x.rows, x.cols);
  check.input(x).vector(what == SpectrumValue::none ? sigma : value);
  if (!check.status().ok()) return check.status();
  if (x.cols > kMostColumns) return invalid(kTooManyColumns);
  const Index d = x.cols, count = x.rows < d ? x.rows : d;
  return enqueue(
      scratch, stream,
      [&](Work& work) {
        double* const gram = work.take<double>(d * d);
        double* const mean = work.take<double>(d);
        double* const values = work.take<double>(d);
        double* const kept = work.take<double>(d);
        if (centred) {
          constexpr bool less_first = std::is_same_v<T, double>;
          if constexpr (less_first)
            column_sums<T>(work, RowsLessFirst{x}, x.rows, d, check.wide(), 1, mean);
          else
            column_sums<T>(work, RowsThemselves<T>{x}, x.rows, d, check.wide(), 1, mean);
          work.launch(mean_of_sums<T>, 1, kEigenThreads, kEigenShared, x, less_first, mean);
        }
        second_moments<T>(work, x, centred ? mean : nullptr, gram);
        eigenvalues(work, gram, d, values);
        work.launch(summarise_spectrum<0>, 1, kEigenThreads, kEigenShared, values, d, count,
                    what == SpectrumValue::none ? sigma : kept, what, epsilon, value);
      },
      "spectrum: the scratch is too small");
}

/// The rows made unit.
template <class T>
struct UnitRows {
  View<const T> x;
  __device__ bool active() const { return true; }
  template <class Group>
  __device__ void operator()(const Group& group, Index row, typename Group::Values& out) const {
    group.load(x, row, out);
    const Arithmetic<T> inverse = 1 / sphere::detail::row_norm(group, out).norm;
    SPHEREMIX_UNROLL
    for (int k = 0; k < Group::slots; ++k) out[k] *= inverse;
  }
};

/// One block: (|sum|^2 - n) / (n (n - 1)).
template <int>
__global__ void __launch_bounds__(kEigenThreads)
    mean_cosine(const double* sum, Index d, double n, double* value) {
  double squares = 0;
  for (Index k = threadIdx.x; k < d; k += kEigenThreads) squares += sum[k] * sum[k];
  squares = eigen_sum(squares);
  if (threadIdx.x == 0) *value = (squares - n) / (n * (n - 1));
}

}  // namespace detail

/// Enqueues sigma[0] >= ... >= sigma[min(N, D) - 1].
template <class E>
Status singular_values(View<E> x, SpectrumOptions options, double* sigma, Scratch scratch,
                       cudaStream_t stream = nullptr) {
  if (x.rows < 1 || x.cols < 1) return invalid("singular_values: there are no values");
  return detail::spectrum<std::remove_const_t<E>>(
      SPHEREMIX_ROW_TEXTS("singular_values"), x, options.centred, sigma,
      detail::SpectrumValue::none, 0, nullptr, scratch, stream);
}

/// Enqueues *value, between 1 and min(N, D).
template <class E>
Status effective_rank(View<E> x, EffectiveRankOptions options, double* value, Scratch scratch,
                      cudaStream_t stream = nullptr) {
  if (x.rows < 1 || x.cols < 1) return invalid("effective_rank: there are no values");
  if (!(options.epsilon >= 0 && options.epsilon <= core::largest<double>))
    return invalid("effective_rank: epsilon must be finite and not negative");
  return detail::spectrum<std::remove_const_t<E>>(
      SPHEREMIX_ROW_TEXTS("effective_rank"), x, options.centred, nullptr,
      detail::SpectrumValue::effective_rank, options.epsilon, value, scratch, stream);
}

/// Enqueues *value, the IsoScore, in [0, 1].
template <class E>
Status isotropy(View<E> x, double* value, Scratch scratch, cudaStream_t stream = nullptr) {
  if (x.rows < 2 || x.cols < 2)
    return invalid("isotropy: at least two rows and two columns are needed");
  return detail::spectrum<std::remove_const_t<E>>(SPHEREMIX_ROW_TEXTS("isotropy"), x, true, nullptr,
                                                  detail::SpectrumValue::isotropy, 0, value,
                                                  scratch, stream);
}

/// Enqueues *value, the mean cosine of pairs, in [-1/(N - 1), 1].
template <class E>
Status anisotropy(View<E> x, double* value, Scratch scratch, cudaStream_t stream = nullptr) {
  using T = std::remove_const_t<E>;
  if (x.rows < 2 || x.cols < 1) return invalid("anisotropy: there is no pair of rows");
  gpu::detail::RowCheck check(SPHEREMIX_ROW_TEXTS("anisotropy"), x.rows, x.cols);
  if (const Status bad = check.input(x).vector(value).status(); !bad.ok()) return bad;
  return enqueue(
      scratch, stream,
      [&](Work& work) {
        double* const sum = work.take<double>(x.cols);
        column_sums<T>(work, detail::UnitRows<T>{x}, x.rows, x.cols, check.wide(), 1.0, sum);
        work.launch(detail::mean_cosine<0>, 1, detail::kEigenThreads, detail::kEigenShared, sum,
                    x.cols, double(x.rows), value);
      },
      "anisotropy: the scratch is too small");
}

}  // namespace spheremix::gpu::metrics
