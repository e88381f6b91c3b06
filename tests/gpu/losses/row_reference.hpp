// Slow references of losses that are sums over rows of S = X X^T, in long double: the loss of a row
// from its definition, gradients by central differences of that.
#pragma once

#include "support/gpu.hpp"

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

}  // namespace spheremix::gpu_test
