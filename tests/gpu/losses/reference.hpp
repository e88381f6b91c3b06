// Slow references of the contrastive losses in long double, straight from the formulas: the whole N
// x N table.
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
      for (Index k = 0; k < d; ++k)
        sum += Real(x[std::size_t(i * d + k)]) * Real(y[std::size_t(j * d + k)]);
      s[std::size_t(i)][std::size_t(j)] = sum;
    }
  return s;
}

/// dX = G Y, dY = G^T X.
inline void pull(const Table& g, const std::vector<double>& x, const std::vector<double>& y,
                 Index n, Index d, Reference& out) {
  std::vector<Real> dx(static_cast<std::size_t>(n * d)), dy(dx);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j)
      for (Index k = 0; k < d; ++k) {
        dx[std::size_t(i * d + k)] +=
            g[std::size_t(i)][std::size_t(j)] * Real(y[std::size_t(j * d + k)]);
        dy[std::size_t(j * d + k)] +=
            g[std::size_t(i)][std::size_t(j)] * Real(x[std::size_t(i * d + k)]);
      }
  out.x.assign(dx.begin(), dx.end());
  out.y.assign(dy.begin(), dy.end());
}

/// row_weight sum_i (lse_j L_ij - L_ii) + col_weight sum_j (lse_i L_ij - L_jj), L_ij = s_ij / tau and
/// L_ii = (s_ii - margin) / tau; the margin's gradient in *margin_slope.
inline Reference contrastive(const std::vector<double>& x, const std::vector<double>& y, Index n,
                             Index d, Real temperature, Real row_weight, Real col_weight,
                             Real margin = 0, Real* margin_slope = nullptr) {
  const Table s = cosines(x, y, n, d);
  Table g = zero_table(n);
  Reference out;
  for (int side = 0; side < 2; ++side) {
    const Real weight = side == 0 ? row_weight : col_weight;
    for (std::size_t i = 0; i < std::size_t(n); ++i) {
      const auto at = [&](std::size_t j) {
        return ((side == 0 ? s[i][j] : s[j][i]) - (j == i ? margin : 0)) / temperature;
      };
      Real others = 0;  // relative to the positive
      for (std::size_t j = 0; j < std::size_t(n); ++j)
        if (j != i) others += std::exp(at(j) - at(i));
      out.loss += weight * std::log1p(others);
      for (std::size_t j = 0; j < std::size_t(n); ++j) {
        const Real p = j == i ? -others / (1 + others) : std::exp(at(j) - at(i)) / (1 + others);
        (side == 0 ? g[i][j] : g[j][i]) += weight * p / temperature;
        out.log_temperature -= weight * p * at(j);
        if (margin_slope && j == i) *margin_slope -= weight * p / temperature;
      }
    }
  }
  pull(g, x, y, n, d, out);
  return out;
}

/// SigLIP; out.log_temperature as named, the bias's gradient in *bias_slope.
inline Reference siglip(const std::vector<double>& x, const std::vector<double>& y, Index n,
                        Index d, Real temperature, Real bias, Real* bias_slope) {
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

/// The point of the great circle through x and y (made unit first) with weight lambda on x.
inline std::vector<Real> mixed(const Real* x, const Real* y, Index d, Real lambda) {
  Real xx = 0, yy = 0, xy = 0;
  for (Index k = 0; k < d; ++k) xx += x[k] * x[k], yy += y[k] * y[k], xy += x[k] * y[k];
  const Real angle = std::acos(xy / std::sqrt(xx * yy)), sine = std::sin(angle);
  std::vector<Real> m;
  for (Index k = 0; k < d; ++k)
    m.push_back((std::sin(lambda * angle) * x[k] / std::sqrt(xx) +
                 std::sin((1 - lambda) * angle) * y[k] / std::sqrt(yy)) /
                sine);
  return m;
}

/// n weights from 0.02 to 0.98, the same in f32.
inline std::vector<double> mix_lambdas(Index n) {
  std::vector<double> l;
  for (Index i = 0; i < n; ++i)
    l.push_back(double(float(0.02 + 0.96 * double((i * 37) % 101) / 101)));
  return l;
}

template <class T>
std::vector<T> as(const std::vector<double>& v) {
  return std::vector<T>(v.begin(), v.end());
}

struct MixReference : Reference {
  std::vector<double> lambda;
};

/// weight (mean of the image rows + mean of the text rows) of m2-Mix. Through the mixing by central
/// differences of the map on unit rows: the tangent gradient.
inline MixReference m2_mix(const std::vector<double>& x, const std::vector<double>& y,
                           const std::vector<double>& lambda, Index n, Index d, Real temperature,
                           Real weight, bool append) {
  std::vector<Real> xr(x.begin(), x.end()), yr(y.begin(), y.end());
  Table m;
  for (Index j = 0; j < n; ++j)
    m.push_back(mixed(&xr[std::size_t(j * d)], &yr[std::size_t(j * d)], d, lambda[std::size_t(j)]));
  const auto dot = [&](const Real* a, const Real* b) {
    Real sum = 0;
    for (Index k = 0; k < d; ++k) sum += a[k] * b[k];
    return sum;
  };
  MixReference out;
  std::vector<Real> gx(xr.size()), gy(xr.size());
  Table gm;
  for (Index j = 0; j < n; ++j) gm.emplace_back(m[0].size(), Real(0));
  for (int side = 0; side < 2; ++side) {
    const std::vector<Real>&a = side == 0 ? xr : yr, &b = side == 0 ? yr : xr;
    std::vector<Real>&ga = side == 0 ? gx : gy, &gb = side == 0 ? gy : gx;
    for (Index i = 0; i < n; ++i) {
      const Real* anchor = &a[std::size_t(i * d)];
      const Real own = dot(anchor, &b[std::size_t(i * d)]) / temperature;
      Real others = 0;
      for (Index j = 0; j < n; ++j) {
        if (j == i) continue;
        others += std::exp(dot(anchor, m[std::size_t(j)].data()) / temperature - own);
        if (append) others += std::exp(dot(anchor, &b[std::size_t(j * d)]) / temperature - own);
      }
      out.loss += weight / Real(n) * std::log1p(others);
      const auto add = [&](Real g, const Real* key, Real* g_key) {  // g = dL/d cosine
        out.log_temperature -= g * dot(anchor, key);
        for (Index k = 0; k < d; ++k) {
          ga[std::size_t(i * d + k)] += g * key[k];
          g_key[k] += g * anchor[k];
        }
      };
      const Real unit = weight / (Real(n) * temperature);
      add(-unit * others / (1 + others), &b[std::size_t(i * d)], &gb[std::size_t(i * d)]);
      for (Index j = 0; j < n; ++j) {
        if (j == i) continue;
        const Real* key = m[std::size_t(j)].data();
        add(unit * std::exp(dot(anchor, key) / temperature - own) / (1 + others), key,
            gm[std::size_t(j)].data());
        key = &b[std::size_t(j * d)];
        if (append)
          add(unit * std::exp(dot(anchor, key) / temperature - own) / (1 + others), key,
              &gb[std::size_t(j * d)]);
      }
    }
  }
  const Real h = 1e-6L;
  for (Index j = 0; j < n; ++j) {
    const Real* g = gm[std::size_t(j)].data();
    const auto value = [&](Real l) {
      return dot(g, mixed(&xr[std::size_t(j * d)], &yr[std::size_t(j * d)], d, l).data());
    };
    const Real l = lambda[std::size_t(j)];
    out.lambda.push_back(double((value(l + h) - value(l - h)) / (2 * h)));
    for (int side = 0; side < 2; ++side)
      for (Index k = 0; k < d; ++k) {
        Real& at = (side == 0 ? xr : yr)[std::size_t(j * d + k)];
        const Real was = at;
        at = was + h;
        const Real up = value(l);
        at = was - h;
        const Real down = value(l);
        at = was;
        (side == 0 ? gx : gy)[std::size_t(j * d + k)] += (up - down) / (2 * h);
      }
  }
  out.x.assign(gx.begin(), gx.end());
  out.y.assign(gy.begin(), gy.end());
  return out;
}

/// The larger of a and |b|; NaN once b was NaN.
inline double worse(double a, double b) { return std::abs(b) <= a ? a : std::abs(b); }

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
