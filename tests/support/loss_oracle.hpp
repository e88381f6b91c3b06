// Slow, independent references of the contrastive losses, in long double, straight from the
// formulas.
//
// The convention of the mixing losses: ambient through dot products, tangent through the mixing
// map. Here the mixing map normalises its arguments first, which is the same thing, so plain
// differences of these functions in every component are what the library's gradients must equal.
#pragma once

#include <cmath>
#include <functional>
#include <vector>

#include "support/differences.hpp"
#include "support/sphere_points.hpp"

namespace spheremix::test {

using LongReal = long double;

/// log sum_j e^z_j over the z given.
inline LongReal log_sum_exp(const std::vector<LongReal>& z) {
  LongReal top = z.at(0), sum = 0;
  for (LongReal v : z) top = std::max(top, v);
  for (LongReal v : z) sum += std::exp(v - top);
  return top + std::log(sum);
}

/// (1/n) sum_i sum_j w_ij (lse_j' z_ij' - z_ij): one direction with soft targets.
inline LongReal soft_cross_entropy(const LongMatrix& z, const LongMatrix& w) {
  LongReal loss = 0;
  for (Index i = 0; i < z.rows(); ++i) {
    std::vector<LongReal> row(std::size_t(z.cols()));
    for (Index j = 0; j < z.cols(); ++j) row[std::size_t(j)] = z(i, j);
    const LongReal lse = log_sum_exp(row);
    for (Index j = 0; j < z.cols(); ++j)
      if (w(i, j) != 0) loss += w(i, j) * (lse - z(i, j));
  }
  return loss / LongReal(z.rows());
}

inline LongReal info_nce_oracle(const LongMatrix& x, const LongMatrix& y, LongReal tau) {
  return soft_cross_entropy(x * y.transpose() / tau, LongMatrix::Identity(x.rows(), x.rows()));
}

inline LongReal clip_oracle(const LongMatrix& x, const LongMatrix& y, LongReal tau) {
  return (info_nce_oracle(x, y, tau) + info_nce_oracle(y, x, tau)) / 2;
}

/// Geodesic mix of a and b, weight lambda on a, by the sine formula in long double.
inline LongVector mix_oracle(const LongVector& a, const LongVector& b, LongReal lambda) {
  const LongVector u = a / a.norm(), v = b / b.norm();
  const LongReal theta = 2 * std::atan2((u - v).norm(), (u + v).norm());
  if (theta == 0) return u;
  return (std::sin(lambda * theta) * u + std::sin((1 - lambda) * theta) * v) / std::sin(theta);
}

/// Rows of a mixed with rows of b.
inline LongMatrix mix_rows_oracle(const LongMatrix& a, const LongMatrix& b,
                                  const LongVector& lambda) {
  LongMatrix m(a.rows(), a.cols());
  for (Index i = 0; i < a.rows(); ++i)
    m.row(i) = mix_oracle(a.row(i).transpose(), b.row(i).transpose(), lambda(i)).transpose();
  return m;
}

inline LongReal m2_oracle(const LongMatrix& x, const LongMatrix& y, const LongVector& lambda,
                          LongReal tau, bool append) {
  const LongMatrix m = mix_rows_oracle(x, y, lambda);
  LongReal loss = 0;
  for (bool second : {false, true}) {
    const LongMatrix& anchor = second ? y : x;
    const LongMatrix& other = second ? x : y;
    for (Index i = 0; i < x.rows(); ++i) {
      const LongReal positive = anchor.row(i).dot(other.row(i)) / tau;
      std::vector<LongReal> z{positive};
      for (Index j = 0; j < x.rows(); ++j) {
        if (j == i) continue;
        z.push_back(anchor.row(i).dot(m.row(j)) / tau);
        if (append) z.push_back(anchor.row(i).dot(other.row(j)) / tau);
      }
      loss += (log_sum_exp(z) - positive) / LongReal(x.rows());
    }
  }
  return loss;
}

inline LongMatrix partner_rows(const LongMatrix& x, const std::vector<Index>& partner) {
  LongMatrix p(x.rows(), x.cols());
  for (Index i = 0; i < x.rows(); ++i) p.row(i) = x.row(partner[std::size_t(i)]);
  return p;
}

inline std::vector<Index> flip(Index n) {
  std::vector<Index> partner;
  for (Index i = 0; i < n; ++i) partner.push_back(n - 1 - i);
  return partner;
}

inline LongReal v_oracle(const LongMatrix& x, const LongMatrix& y, const LongVector& lambda,
                         const std::vector<Index>& partner, LongReal tau) {
  const LongMatrix z = mix_rows_oracle(x, partner_rows(x, partner), lambda) * y.transpose() / tau;
  LongMatrix w = LongMatrix::Zero(x.rows(), x.rows());
  for (Index i = 0; i < x.rows(); ++i) {
    w(i, i) += lambda(i);
    w(i, partner[std::size_t(i)]) += 1 - lambda(i);
  }
  return (soft_cross_entropy(z, w) + soft_cross_entropy(z.transpose(), w.transpose())) / 2;
}

inline LongReal vl_oracle(const LongMatrix& x, const LongMatrix& y, const LongVector& lambda,
                          const std::vector<Index>& partner, LongReal tau, bool released) {
  const LongMatrix z = mix_rows_oracle(x, partner_rows(x, partner), lambda) *
                       mix_rows_oracle(y, partner_rows(y, partner), lambda).transpose() / tau;
  LongMatrix w = LongMatrix::Identity(x.rows(), x.rows());
  if (released)
    for (Index i = 0; i < x.rows(); ++i) w(i, partner[std::size_t(i)]) += 1;
  return (soft_cross_entropy(z, w) + soft_cross_entropy(z.transpose(), w.transpose())) / 2;
}

/// Gradient of f at x in every component, by differences.
inline LongMatrix differences(const std::function<LongReal(const LongMatrix&)>& f,
                              const LongMatrix& x, LongReal h = 1e-4L) {
  LongMatrix g(x.rows(), x.cols());
  for (Index i = 0; i < x.rows(); ++i)
    for (Index k = 0; k < x.cols(); ++k)
      g(i, k) = slope(
          [&](LongReal step) {
            LongMatrix moved = x;
            moved(i, k) += step;
            return f(moved);
          },
          h);
  return g;
}

/// |got - want| over max(|want|, floor), Frobenius: the floor stands for gradients that vanish.
template <class A>
double gradient_error(const Eigen::MatrixBase<A>& got, const LongMatrix& want,
                      double floor = 1e-8) {
  const LongReal difference = (got.template cast<LongReal>() - want).norm();
  return double(difference / std::max<LongReal>(want.norm(), floor));
}

}  // namespace spheremix::test
