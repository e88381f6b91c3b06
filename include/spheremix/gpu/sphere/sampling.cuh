// Random points on the sphere on the device: uniform, and von Mises-Fisher around a mean direction.
//
//   uniform:  z / |z|, z standard normal
//   vMF:      cos(theta) mean + sin(theta) xi, theta by Wood's rejection
//             (math/von_mises_fisher.hpp), xi uniform among the unit vectors orthogonal to the mean
//
// The same Philox streams as the CPU: row i depends on (seed, step, i) only, the random integers
// are the CPU's bit for bit, the numbers differ from the CPU's by the rounding of log, sin and cos.
// Each call takes one step of `rng` on the host: a captured graph draws the same numbers at every
// replay.
//
// Shapes   out: n x d of one storage type, d in 1 .. 16384. mean: d numbers of Arithmetic<T> in
//          device memory.
// Errors   d = 0, kappa negative or not finite.
// [Muller 1959; Wood 1994]
#pragma once

#include "spheremix/core/philox.hpp"
#include "spheremix/gpu/sphere/exp_log.cuh"
#include "spheremix/gpu/sphere/normalize.cuh"
#include "spheremix/math/normal.hpp"
#include "spheremix/math/von_mises_fisher.hpp"

namespace spheremix::gpu::sphere {

namespace detail {

/// Stream items of vMF's normals lie apart from those its angles are drawn with.
inline constexpr std::uint64_t kNormalsApart = std::uint64_t(1) << 63;

/// A row of standard normals: pair p of row i comes from item base + normal_item(i, d, p).
template <class Group>
__device__ void row_normals(const Group& group, Index row, std::uint64_t seed, std::uint32_t step,
                            std::uint64_t base, typename Group::Values& x) {
  using A = typename Group::A;
  constexpr int each =
      Group::width > 1 ? 2 : 1;  // slots k, k + 1 hold one pair, or one number of it
  SPHEREMIX_UNROLL
  for (int k = 0; k < Group::slots; k += each) {
    const int j = group.column(k);
    x[k] = 0;
    if constexpr (each == 2) x[k + 1] = 0;
    if (j >= group.cols()) continue;
    core::PhiloxStream stream(
        seed, step,
        base + math::normal_item(std::uint64_t(row), std::uint64_t(group.cols()),
                                 std::uint64_t(j / 2)));
    const math::NormalPair z = math::normal_pair(stream);
    x[k] = A(j % 2 == 0 ? z.x : z.y);
    if constexpr (each == 2)
      if (j + 1 < group.cols()) x[k + 1] = A(z.y);
  }
}

template <class Group>
__device__ void normalize_in_place(const Group& group, typename Group::Values& x) {
  const typename Group::A inverse = 1 / row_norm(group, x).norm;
  SPHEREMIX_UNROLL
  for (int k = 0; k < Group::slots; ++k) x[k] *= inverse;
}

template <class T>
struct UniformRow {
  std::uint64_t seed;
  std::uint32_t step;
  View<T> out;

  template <class Group>
  __device__ void operator()(const Group& group, Index row) const {
    typename Group::Values x;
    row_normals(group, row, seed, step, 0, x);
    normalize_in_place(group, x);
    group.store(out, row, x);
  }
};

template <class T>
struct VonMisesFisherRow {
  using A = Arithmetic<T>;
  const A* mean;
  double kappa;
  std::uint64_t seed;
  std::uint32_t step;
  View<T> out;

  template <class Group>
  __device__ void operator()(const Group& group, Index row) const {
    core::PhiloxStream stream(seed, step, std::uint64_t(row));
    const math::MeanAngle angle = math::von_mises_fisher_angle(double(group.cols()), kappa, stream);
    typename Group::Values m, x;
    group.load_vector(mean, m);
    if (group.cols() > 1) {
      row_normals(group, row, seed, step, kNormalsApart, x);
      for (int twice = 0; twice < 2; ++twice) {
        project(group, m, x);
        normalize_in_place(group, x);
      }
    } else {
      SPHEREMIX_UNROLL
      for (int k = 0; k < Group::slots; ++k) x[k] = 0;
    }
    SPHEREMIX_UNROLL
    for (int k = 0; k < Group::slots; ++k) x[k] = A(angle.cosine) * m[k] + A(angle.sine) * x[k];
    group.store(out, row, x);
  }
};

}  // namespace detail

/// Enqueues n uniform points on the unit sphere of R^d.
template <class T>
Status sample_uniform(core::Philox& rng, View<T> out, cudaStream_t stream = nullptr) {
  if (out.cols < 1) return invalid("sample_uniform: d must be at least 1");
  const std::uint32_t step = rng.take_step();
  return gpu::detail::RowCheck(SPHEREMIX_ROW_TEXTS("sample_uniform"), out.rows, out.cols)
      .output(out)
      .template run<T>(detail::UniformRow<T>{rng.seed(), step, out}, stream);
}

/// Enqueues n draws of the von Mises-Fisher law with the given unit mean and concentration
/// kappa >= 0.
template <class T>
Status sample_von_mises_fisher(const Arithmetic<T>* mean, double kappa, core::Philox& rng,
                               View<T> out, cudaStream_t stream = nullptr) {
  if (out.cols < 1) return invalid("sample_von_mises_fisher: d must be at least 1");
  if (!(kappa >= 0 && kappa <= core::largest<double>))
    return invalid("sample_von_mises_fisher: kappa must be finite and not negative");
  const std::uint32_t step = rng.take_step();
  return gpu::detail::RowCheck(SPHEREMIX_ROW_TEXTS("sample_von_mises_fisher"), out.rows, out.cols)
      .vector(mean)
      .output(out)
      .template run<T>(detail::VonMisesFisherRow<T>{mean, kappa, rng.seed(), step, out}, stream);
}

}  // namespace spheremix::gpu::sphere
