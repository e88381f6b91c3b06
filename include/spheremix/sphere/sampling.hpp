// Random points on the sphere: uniform, and von Mises-Fisher around a mean direction.
//
//   uniform:  z / |z|, z standard normal
//   vMF:      cos(theta) mean + sin(theta) xi, density ~ exp(kappa x.mean), theta by Wood's
//             rejection (math/von_mises_fisher.hpp), xi uniform among unit vectors orthogonal to it
//
// Each call takes one step of the generator; row i depends on (seed, step, i) only: the same
// numbers whatever the thread count, and a longer batch begins with the rows of a shorter one.
// Numbers are drawn in double and rounded to T.
//
// Errors   std::invalid_argument: d = 0, n < 0, a mean that is not unit (|mean|^2 further than 1e-3
//          from 1), kappa negative or not finite, out overlapping mean.
// [Muller 1959; Marsaglia 1972; Wood 1994, "Simulation of the von Mises Fisher distribution"]
#pragma once

#include "spheremix/core/philox.hpp"
#include "spheremix/math/von_mises_fisher.hpp"
#include "spheremix/sphere/exp_log.hpp"
#include "spheremix/sphere/normalize.hpp"

namespace spheremix::sphere {

namespace detail {

/// row[0..d): standard normals of stream items base + normal_item(i, d, 0), ...
template <class T>
void fill_normals(T* row, Index i, Index d, const core::Philox& rng, std::uint32_t step,
                  std::uint64_t base) {
  const std::uint64_t first = base + math::normal_item(std::uint64_t(i), std::uint64_t(d), 0);
  for (Index k = 0; k < d; k += 2) {
    core::PhiloxStream stream = rng.stream(step, first + std::uint64_t(k / 2));
    const math::NormalPair z = math::normal_pair(stream);
    row[k] = T(z.x);
    if (k + 1 < d) row[k + 1] = T(z.y);
  }
}

template <class T>
void normalize_in_place(T* row, Index d) {
  const auto [norm, scale] = scaled_norm(row, d);
  for (Index k = 0; k < d; ++k) row[k] = scale * row[k] / norm;
}

template <class T>
void sample_uniform(core::MatrixView<T> out, const core::Philox& rng, std::uint32_t step) {
  over_chunks(out.rows, out.cols * 8, [&](Index, Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      fill_normals(out.row(i), i, out.cols, rng, step, 0);
      normalize_in_place(out.row(i), out.cols);
    }
  });
}

template <class T>
void sample_von_mises_fisher(const T* mean, double kappa, core::MatrixView<T> out,
                             const core::Philox& rng, std::uint32_t step) {
  const Index d = out.cols;
  constexpr std::uint64_t normals = std::uint64_t(1)
                                    << 63;  // apart from the items that angles are drawn with
  over_chunks(out.rows, d * 8, [&](Index, Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      core::PhiloxStream stream = rng.stream(step, std::uint64_t(i));
      const math::MeanAngle angle = math::von_mises_fisher_angle(double(d), kappa, stream);
      T* row = out.row(i);
      if (d > 1) {
        fill_normals(row, i, d, rng, step, normals);
        for (int twice = 0; twice < 2; ++twice) {
          tangent(mean, row, row, d);
          normalize_in_place(row, d);
        }
      }
      const T c = T(angle.cosine), s = T(angle.sine);
      for (Index k = 0; k < d; ++k) row[k] = d > 1 ? c * mean[k] + s * row[k] : c * mean[k];
    }
  });
}

}  // namespace detail

/// n uniform points on the unit sphere of R^d, into out (n x d).
template <class Out>
requires detail::Writable<Out>
void sample_uniform(Index n, Index d, core::Philox& rng, Out&& out) {
  core::expects(n >= 0 && d >= 1, "sample_uniform", "n is ", n, " and d is ", d,
                ", needs n >= 0 and d >= 1");
  core::OutputRows x("sample_uniform", "out", out, n, d);
  detail::sample_uniform(x.view(), rng, rng.take_step());
  x.commit();
}

template <class T>
[[nodiscard]] RowMatrix<T> sample_uniform(Index n, Index d, core::Philox& rng) {
  static_assert(core::is_real<T>, "spheremix: numbers are drawn as float or double");
  RowMatrix<T> out;
  sample_uniform(n, d, rng, out);
  return out;
}

/// n draws of the von Mises-Fisher law with the given unit mean and concentration kappa >= 0
/// (0: uniform).
template <class M, class Out>
requires detail::Writable<Out>
void sample_von_mises_fisher(const Eigen::MatrixBase<M>& mean, double kappa, Index n,
                             core::Philox& rng, Out&& out) {
  using T = core::Real<M>;
  constexpr auto* name = "sample_von_mises_fisher";
  const core::InputVector<T> mu(mean, name, "mean");
  core::expects(n >= 0 && mu.size() >= 1, name, "n is ", n, " and mean has ", mu.size(),
                " elements");
  for (Index k = 0; k < mu.size(); ++k)
    core::expects(std::isfinite(mu[k]), name, "mean[", k, "] is ", mu[k]);
  detail::expects_unit(name, "mean", mu);
  core::expects(kappa >= 0 && std::isfinite(kappa), name, "kappa is ", kappa,
                ", not a finite number >= 0");
  core::OutputRows x(name, "out", out, n, mu.size());
  core::expects_apart(name, x.view(), detail::as_row(mu));
  detail::sample_von_mises_fisher(mu.data(), kappa, x.view(), rng, rng.take_step());
  x.commit();
}

template <class M>
[[nodiscard]] RowMatrix<core::Real<M>> sample_von_mises_fisher(const Eigen::MatrixBase<M>& mean,
                                                               double kappa, Index n,
                                                               core::Philox& rng) {
  RowMatrix<core::Real<M>> out;
  sample_von_mises_fisher(mean, kappa, n, rng, out);
  return out;
}

}  // namespace spheremix::sphere

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::sphere::detail {
#define SPHEREMIX_SAMPLE_UNIFORM(T) \
  void sample_uniform(core::MatrixView<T>, const core::Philox&, std::uint32_t)
SPHEREMIX_ELSEWHERE(SPHEREMIX_SAMPLE_UNIFORM)
#define SPHEREMIX_SAMPLE_VON_MISES_FISHER(T)                                               \
  void sample_von_mises_fisher(const T*, double, core::MatrixView<T>, const core::Philox&, \
                               std::uint32_t)
SPHEREMIX_ELSEWHERE(SPHEREMIX_SAMPLE_VON_MISES_FISHER)
}  // namespace spheremix::sphere::detail
