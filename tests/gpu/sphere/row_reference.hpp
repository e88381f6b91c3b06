// The row functions once more in long double, from their textbook formulas and far from the edges
// where those fail: the oracle of the device tests.
#pragma once

#include <cmath>
#include <vector>

#include "support/gpu.hpp"

namespace spheremix::gpu_test {

using Real = long double;
using Column = std::vector<Real>;

inline Column row_of(const std::vector<double>& x, Index cols, Index i) {
  return Column(x.begin() + i * cols, x.begin() + (i + 1) * cols);
}
inline Real dot(const Column& a, const Column& b) {
  Real sum = 0;
  for (std::size_t k = 0; k < a.size(); ++k) sum += a[k] * b[k];
  return sum;
}
inline Column combine(Real p, const Column& a, Real q, const Column& b) {
  Column c(a.size());
  for (std::size_t k = 0; k < a.size(); ++k) c[k] = p * a[k] + q * b[k];
  return c;
}
inline Column unit(Column a) {
  const Real n = std::sqrt(dot(a, a));
  for (Real& v : a) v /= n;
  return a;
}
inline Column tangent_part(const Column& x, const Column& g) {
  return combine(1, g, -dot(x, g), x);
}
inline Real angle(const Column& a, const Column& b) {
  const Column d = combine(1, b, -1, a), s = combine(1, a, 1, b);
  return 2 * std::atan2(std::sqrt(dot(d, d)), std::sqrt(dot(s, s)));
}

/// The plane of a and b: the unit direction of b from a, and the angle. Unit a, b; b neither a nor
/// -a.
struct Plane {
  Real theta;
  Column leave;
  Plane(const Column& a, const Column& b) : theta(angle(a, b)), leave(unit(tangent_part(a, b))) {}
};

inline Column slerp(const Column& a, const Column& b, Real t) {
  const Plane p(a, b);
  return combine(std::cos(t * p.theta), a, std::sin(t * p.theta), p.leave);
}

struct SlerpPullback {
  Column a, b;
  Real t;
};
/// grad_a = w_a g_perp + (1 - t) k gamma'(0), grad_b = w_b g_perp + t k gamma'(1), grad_t = theta
/// k.
inline SlerpPullback slerp_pullback(const Column& a, const Column& b, Real t, const Column& g) {
  const Plane p(a, b);
  const auto velocity = [&](Real at) {
    return combine(-std::sin(at * p.theta), a, std::cos(at * p.theta), p.leave);
  };
  const Column perp = combine(1, combine(1, g, -dot(g, a), a), -dot(g, p.leave), p.leave);
  const Real k = dot(g, velocity(t)), sine = std::sin(p.theta);
  return {combine(std::sin((1 - t) * p.theta) / sine, perp, (1 - t) * k, velocity(0)),
          combine(std::sin(t * p.theta) / sine, perp, t * k, velocity(1)), p.theta * k};
}

/// Largest difference of row i of `got` to `want`.
inline double off(const std::vector<double>& got, Index cols, Index i, const Column& want) {
  double worst = 0;
  for (Index j = 0; j < cols; ++j) {
    const double e = std::abs(double(Real(got[std::size_t(i * cols + j)]) - want[std::size_t(j)]));
    worst = e <= worst ? worst : e;  // NaN stays
    if (std::isnan(e)) return e;
  }
  return worst;
}

/// eps of what T is computed in, and half an ulp of what it is stored as (relative).
template <class T>
constexpr double arithmetic_eps = sizeof(T) == 8 ? 2.22e-16 : 1.2e-7;
template <class T>
constexpr double storage_eps = std::is_same_v<T, gpu::Half>       ? 0x1p-11
                               : std::is_same_v<T, gpu::Bfloat16> ? 0x1p-8
                                                                  : arithmetic_eps<T>;

/// What a result of size `scale` may be off by: `factor` eps of the arithmetic (times d/64) and one
/// rounding.
template <class T>
double allowed(double factor, double scale, Index cols) {
  return scale * (factor * arithmetic_eps<T> * std::max(1.0, double(cols) / 64) + storage_eps<T>);
}

/// Row counts and lengths: around every piece, warp and shape boundary.
struct Size {
  Index rows, cols;
};
inline const std::vector<Size>& sizes() {
  static const std::vector<Size> list = [] {
    std::vector<Size> s{{0, 8},    {1, 2},    {3, 3},    {70, 5},   {5, 7},    {4, 8},    {2, 31},
                        {9, 32},   {5, 33},   {6, 63},   {3, 64},   {1, 65},   {5, 100},  {3, 127},
                        {2, 129},  {3, 255},  {2, 256},  {3, 257},  {5, 512},  {2, 513},  {3, 768},
                        {2, 1000}, {2, 1024}, {3, 1025}, {2, 2048}, {1, 2049}, {1, 4096}, {2, 4100},
                        {1, 8191}, {2, 8192}, {1, 9001}, {1, 16384}};
#if defined(__CUDACC__)
    if (!std::getenv("SPHEREMIX_SMALL"))
      for (Index n = 1; n <= 70; ++n) s.push_back({n, 64}), s.push_back({5, n + 1});
    if (!std::getenv("SPHEREMIX_SMALL")) s.insert(s.end(), {{1000, 512}, {4097, 129}, {46341, 3}});
#endif
    return s;
  }();
  return list;
}

template <class Body>
void for_every_case(Body body) {
  for (const Size& size : sizes())
    for (const Layout& layout : kLayouts) {
      CAPTURE(size.rows);
      CAPTURE(size.cols);
      CAPTURE(layout.padding);
      in_every_order([&] { body(size.rows, size.cols, layout); });
    }
}

}  // namespace spheremix::gpu_test
