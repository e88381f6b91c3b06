// Slow references of the contrastive losses in long double, straight from the formulas: the whole N x N table.
#pragma once

#include <cmath>
#include <vector>

#include "spheremix/core/constants.hpp"

namespace spheremix::gpu_test {

using Real = long double;
using Table = std::vector<std::vector<Real>>;

struct Reference {
  Real loss = 0, log_temperature = 0;
  std::vector<double> x, y;
};

inline Table zero_table(Index n) {
  const std::size_t size(static_cast<std::size_t>(n));
  return Table(size, std::vector<Real>(size, 0));
}

inline Table cosines(const std::vector<double>& x, const std::vector<double>& y, Index n, Index d) {
  Table s = zero_table(n);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) {
      Real sum = 0;
      for (Index k = 0; k < d; ++k) sum += Real(x[std::size_t(i * d + k)]) * Real(y[std::size_t(j * d + k)]);
      s[std::size_t(i)][std::size_t(j)] = sum;
    }
  return s;
}

/// dX = G Y, dY = G^T X.
inline void pull(const Table& g, const std::vector<double>& x, const std::vector<double>& y, Index n, Index d,
                 Reference& out) {
  std::vector<Real> dx(static_cast<std::size_t>(n * d)), dy(dx);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j)
      for (Index k = 0; k < d; ++k) {
        dx[std::size_t(i * d + k)] += g[std::size_t(i)][std::size_t(j)] * Real(y[std::size_t(j * d + k)]);
        dy[std::size_t(j * d + k)] += g[std::size_t(i)][std::size_t(j)] * Real(x[std::size_t(i * d + k)]);
      }
  out.x.assign(dx.begin(), dx.end());
  out.y.assign(dy.begin(), dy.end());
}

/// row_weight sum_i (lse_j L_ij - L_ii) + col_weight sum_j (lse_i L_ij - L_jj).
inline Reference contrastive(const std::vector<double>& x, const std::vector<double>& y, Index n, Index d,
                             Real temperature, Real row_weight, Real col_weight) {
  const Table s = cosines(x, y, n, d);
  Table g = zero_table(n);
  Reference out;
  for (int side = 0; side < 2; ++side) {
    const Real weight = side == 0 ? row_weight : col_weight;
    for (std::size_t i = 0; i < std::size_t(n); ++i) {
      const auto at = [&](std::size_t j) { return (side == 0 ? s[i][j] : s[j][i]) / temperature; };
      Real others = 0;  // relative to the positive
      for (std::size_t j = 0; j < std::size_t(n); ++j)
        if (j != i) others += std::exp(at(j) - at(i));
      out.loss += weight * std::log1p(others);
      for (std::size_t j = 0; j < std::size_t(n); ++j) {
        const Real p = j == i ? -others / (1 + others) : std::exp(at(j) - at(i)) / (1 + others);
        (side == 0 ? g[i][j] : g[j][i]) += weight * p / temperature;
        out.log_temperature -= weight * p * at(j);
      }
    }
  }
  pull(g, x, y, n, d, out);
  return out;
}

/// SigLIP; out.log_temperature as named, the bias's gradient in *bias_slope.
inline Reference siglip(const std::vector<double>& x, const std::vector<double>& y, Index n, Index d, Real temperature,
                        Real bias, Real* bias_slope) {
  const Table s = cosines(x, y, n, d);
  Table g = zero_table(n);
  Reference out;
  *bias_slope = 0;
  for (std::size_t i = 0; i < std::size_t(n); ++i)
    for (std::size_t j = 0; j < std::size_t(n); ++j) {
      const Real z = i == j ? 1 : -1, u = -z * (s[i][j] / temperature + bias);
      out.loss += (u > 0 ? u + std::log1p(std::exp(-u)) : std::log1p(std::exp(u))) / Real(n);
      const Real slope = -z / (1 + std::exp(-u)) / Real(n);
      g[i][j] = slope / temperature;
      *bias_slope += slope;
      out.log_temperature -= slope * s[i][j] / temperature;
    }
  pull(g, x, y, n, d, out);
  return out;
}

inline double relative_error(const std::vector<double>& got, const std::vector<double>& want) {
  long double difference = 0, size = 0;
  for (std::size_t k = 0; k < want.size(); ++k) {
    const long double e = (long double)got[k] - want[k];
    difference += e * e;
    size += (long double)want[k] * want[k];
  }
  return double(std::sqrt(difference / (size > 0 ? size : 1)));
}

}  // namespace spheremix::gpu_test
