// Slow references of losses that are sums over rows of S = X X^T, in long double: the loss of a row
// from its definition, gradients by central differences of that.
#pragma once

#include "support/gpu.hpp"

#include <algorithm>

#include "reference.hpp"
#include "spheremix/gpu/pairwise/precision.cuh"

namespace spheremix::gpu_test {

struct Case {
  Index n, d;
  gpu::Precision precision;
  Index block;
  double tolerance;
  Layout layout = {};
};

/// The sum over i of of_row(i, real, mixed, temperature), both arguments row i of S. What depends on
/// `real` reaches anchor and key; what depends on `mixed` reaches the key only if `attached`.
template <class OfRow>
Reference by_rows(const std::vector<double>& x, Index n, Index d, Real temperature, bool attached,
                  const OfRow& of_row) {
  const Table s = cosines(x, x, n, d);
  Table to_anchor = zero_table(n), to_key = zero_table(n);
  Reference out;
  const Real h = 1e-6L;
  for (std::size_t i = 0; i < std::size_t(n); ++i) {
    std::vector<Real> real = s[i], mixed = s[i];
    const auto slope = [&](Real& at, Real step, const auto& value) {
      const Real was = at;
      at = was + step;
      const Real up = value();
      at = was - step;
      const Real down = value();
      at = was;
      return (up - down) / (2 * step);
    };
    const auto value = [&] { return of_row(Index(i), real, mixed, temperature); };
    out.loss += value();
    for (std::size_t k = 0; k < std::size_t(n); ++k) {
      const Real through = slope(mixed[k], h, value), direct = slope(real[k], h, value);
      to_anchor[i][k] = direct + through;
      to_key[i][k] = direct + (attached ? through : 0);
    }
    Real log_temperature = std::log(temperature);
    out.log_temperature += slope(log_temperature, h, [&] {
      return of_row(Index(i), real, mixed, std::exp(log_temperature));
    });
  }
  Reference keys;
  pull(to_anchor, x, x, n, d, out);
  pull(to_key, x, x, n, d, keys);
  for (std::size_t k = 0; k < out.x.size(); ++k) out.x[k] += keys.y[k];
  return out;
}

/// The mean over all rows of [x; y] of hard_negative.hpp's loss, the other view the positive; the
/// negatives of i are the `count` rows j with negative(i, j).
template <class Options, class Negative>
Reference hard_negatives(const std::vector<double>& x, const std::vector<double>& y, Index n,
                         Index d, const Options& o, Index count, const Negative& negative) {
  std::vector<double> z = x;
  z.insert(z.end(), y.begin(), y.end());
  const Real size = Real(count), beta = o.beta, plus = o.tau_plus;
  Reference both = by_rows(
      z, 2 * n, d, o.temperature, true,
      [&](Index i, const std::vector<Real>& s, const std::vector<Real>&, Real tau) {
        const Index p = (i + n) % (2 * n);
        const Real a = s[std::size_t(p)] / tau;
        Real hard = 0, soft = 0;
        for (Index j = 0; j < 2 * n; ++j) {
          if (j == p || !negative(i, j)) continue;
          hard += std::exp((1 + beta) * s[std::size_t(j)] / tau);
          soft += std::exp(beta * s[std::size_t(j)] / tau);
        }
        const Real v = std::max((size * hard / soft - plus * size * std::exp(a)) / (1 - plus),
                                size * std::exp(-1 / tau));
        return std::log1p(v * std::exp(-a)) / Real(2 * n);
      });
  both.y.assign(both.x.begin() + n * d, both.x.end());
  both.x.resize(std::size_t(n * d));
  return both;
}

}  // namespace spheremix::gpu_test
