// The same answers in long double, from the formulas of docs/formulas.md, compiled without any flag; compares.
// A few eps are allowed, times the largest logit where there are logits: what is promised without flags holds
// here with any. Prints what is too far off and ends with 1.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <limits>
#include <map>

#include "subject.hpp"

namespace {

using Real = long double;
using Table = std::vector<std::vector<Real>>;
constexpr int kPairs = 70, kWidth = 37;  // more than a vector register, and a rest
bool wrong = false;

Real dot(const std::vector<Real>& a, const std::vector<Real>& b) {
  Real sum = 0;
  for (std::size_t k = 0; k < a.size(); ++k) sum += a[k] * b[k];
  return sum;
}
std::vector<Real> plus(Real s, const std::vector<Real>& a, Real t, const std::vector<Real>& b) {
  std::vector<Real> c(a.size());
  for (std::size_t k = 0; k < a.size(); ++k) c[k] = s * a[k] + t * b[k];
  return c;
}
std::vector<Real> unit(const std::vector<Real>& a) {
  return plus(1 / std::sqrt(dot(a, a)), a, 0, a);
}
Real angle(const std::vector<Real>& a, const std::vector<Real>& b) {
  const auto d = plus(1, unit(a), -1, unit(b)), s = plus(1, unit(a), 1, unit(b));
  return 2 * std::atan2(std::sqrt(dot(d, d)), std::sqrt(dot(s, s)));
}
std::vector<Real> slerp(const std::vector<Real>& a, const std::vector<Real>& b, Real t) {
  const Real theta = angle(a, b);
  return plus(std::sin((1 - t) * theta) / std::sin(theta), a, std::sin(t * theta) / std::sin(theta),
              b);
}

/// Worst difference against `want`: of each number to itself, or of all to the largest.
void check(const Answer& got, const std::vector<Real>& want, Real allowed, bool each = false) {
  Real largest = 0, worst = 0;
  for (const Real w : want) largest = std::max(largest, std::abs(w));
  for (std::size_t k = 0; k < want.size(); ++k) {
    const Real off =
        std::abs(Real(got.numbers.size() == want.size() ? got.numbers[k] : NAN) - want[k]);
    const Real share = off / (each ? std::abs(want[k]) : largest);
    if (!(share <= worst)) worst = share;
  }
  if (worst <= allowed) return;
  wrong = true;
  std::printf("%s is off by %.2Lg, allowed %.2Lg\n", got.name.c_str(), worst, allowed);
}

struct Contrast {
  Real loss, log_temperature;
  Table x, y;
};

/// (info_nce(X, Y) + info_nce(Y, X)) / 2. The loss as log1p of the rest: it may be 1e-20.
Contrast clip(const Table& x, const Table& y, Real tau) {
  const std::size_t n = x.size(), d = x[0].size();
  Contrast c{0, 0, Table(n, std::vector<Real>(d)), Table(n, std::vector<Real>(d))};
  Table s(n, std::vector<Real>(n)), g = s;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) s[i][j] = dot(x[i], y[j]);
  for (const bool rows : {true, false})
    for (std::size_t i = 0; i < n; ++i) {
      Real rest = 0;
      const auto at = [&](std::size_t j) -> Real { return rows ? s[i][j] : s[j][i]; };
      for (std::size_t j = 0; j < n; ++j)
        if (j != i) rest += std::exp((at(j) - s[i][i]) / tau);
      c.loss += std::log1p(rest) / Real(2 * n);
      for (std::size_t j = 0; j < n; ++j) {
        const Real p = j == i ? -rest / (1 + rest) : std::exp((at(j) - s[i][i]) / tau) / (1 + rest);
        (rows ? g[i][j] : g[j][i]) += p / (Real(2 * n) * tau);
      }
    }
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      c.log_temperature -= g[i][j] * s[i][j];
      for (std::size_t k = 0; k < d; ++k)
        c.x[i][k] += g[i][j] * y[j][k], c.y[j][k] += g[i][j] * x[i][k];
    }
  return c;
}

Contrast siglip(const Table& x, const Table& y, Real tau, Real bias) {
  const std::size_t n = x.size(), d = x[0].size();
  Contrast c{0, 0, Table(n, std::vector<Real>(d)), {}};
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      const Real z = i == j ? 1 : -1, u = -z * (dot(x[i], y[j]) / tau + bias);
      c.loss += (std::max(u, Real(0)) + std::log1p(std::exp(-std::abs(u)))) / Real(n);
      const Real g = -z / (1 + std::exp(-u)) / (Real(n) * tau);
      for (std::size_t k = 0; k < d; ++k) c.x[i][k] += g * y[j][k];
    }
  return c;
}

/// clip at .1 and m2-Mix at .07, both sides added, mixtures at the places of the negatives.
Real clip_m2(const Table& x, const Table& y, const std::vector<Real>& weight, Real tau) {
  const std::size_t n = x.size();
  Real loss = clip(x, y, tau).loss;
  Table m(n);
  for (std::size_t j = 0; j < n; ++j) m[j] = slerp(x[j], y[j], 1 - weight[j]);
  for (const Table* anchor : {&x, &y})
    for (std::size_t i = 0; i < n; ++i) {
      Real rest = 0;
      const Real own = dot(x[i], y[i]);
      for (std::size_t j = 0; j < n; ++j)
        if (j != i) rest += std::exp((dot((*anchor)[i], m[j]) - own) / Real(0.07L));
      loss += std::log1p(rest) / Real(n);
    }
  return loss;
}

/// df/dt at 0, from six values: right to h^6.
Real slope(const std::function<Real(Real)>& f) {
  const Real h = 2e-3L;
  return (45 * (f(h) - f(-h)) - 9 * (f(2 * h) - f(-2 * h)) + (f(3 * h) - f(-3 * h))) / (60 * h);
}

std::vector<Real> flat(const Table& t) {
  std::vector<Real> all;
  for (const auto& row : t) all.insert(all.end(), row.begin(), row.end());
  return all;
}

std::uint64_t state = 1;
Real draw() {  // splitmix64, in [-1, 1)
  std::uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return Real((z ^ (z >> 31)) >> 11) * 0x1p-52L - 1;
}

template <class T>
struct Batch {
  std::vector<T> numbers;
  Table rows;
};
template <class T>
Batch<T> batch(const Table& exact) {  // rounded to T: the oracle works on what the library is given
  Batch<T> b;
  b.rows = exact;
  for (auto& row : b.rows)
    for (Real& r : row) r = b.numbers.emplace_back(T(r));
  return b;
}

template <class T>
void run() {
  constexpr Real eps = std::numeric_limits<T>::epsilon();
  constexpr bool single = sizeof(T) == 4;
  const std::size_t n = kPairs, d = kWidth;
  Table a(n), b(n), c(n);
  std::vector<T> weights(n);
  std::vector<Real> weight(n);
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<Real> u(d), v(d), w(d);
    for (std::size_t k = 0; k < d; ++k) u[k] = draw(), v[k] = draw(), w[k] = draw();
    a[i] = unit(u), b[i] = unit(v);
    c[i] = unit(plus(1, a[i], single ? 1e-3L : 1e-4L, unit(w)));
    weight[i] = weights[i] = T((draw() + 1) / 2);
  }
  const Batch<T> x = batch<T>(a), y = batch<T>(b), near = batch<T>(c);
  std::map<std::string, Answer> all;
  for (const Answer& one : answers(Rows<T>{kPairs, kWidth, x.numbers.data(), y.numbers.data(),
                                           near.numbers.data(), weights.data()}))
    all[one.name] = one;

  const auto few = [&](Real times) { return times * eps; };  // a logit of that size may cost 8
  const auto logits = [&](Real largest) { return few(8 * std::max(Real(1), largest)); };

  std::vector<Real> length, near_length, far_length, far_matrix;
  Table normal, pulled, mid, mid_near;
  for (std::size_t i = 0; i < n; ++i) {
    const auto up = plus(3, x.rows[i], 1, y.rows[i]), three = plus(3, x.rows[i], 0, x.rows[i]);
    normal.push_back(unit(up));
    const auto e = unit(three);
    pulled.push_back(
        plus(1 / std::sqrt(dot(three, three)), plus(1, y.rows[i], -dot(e, y.rows[i]), e), 0, e));
    length.push_back(angle(x.rows[i], y.rows[i]));
    near_length.push_back(angle(x.rows[i], near.rows[i]));
    far_length.push_back(std::acos(Real(-1)) - near_length.back());
    for (std::size_t j = 0; j < n; ++j) far_matrix.push_back(angle(x.rows[i], near.rows[j]));
    mid.push_back(slerp(x.rows[i], y.rows[i], weight[i]));
    mid_near.push_back(slerp(x.rows[i], near.rows[i], weight[i]));
  }
  check(all["normalize"], flat(normal), few(8));
  check(all["normalize_vjp"], flat(pulled), few(8));
  check(all["distance"], length, few(8), true);
  check(all["distance_near"], near_length, few(8), true);
  check(all["distance_far"], far_length, few(8), true);
  check(all["distance_matrix"], far_matrix, few(8), true);
  check(all["slerp"], flat(mid), few(8));
  check(all["slerp_near"], flat(mid_near), few(8));
  const Real theta = length[0];
  check(all["log_map"],
        plus(theta / std::sin(theta), y.rows[0], -theta * std::cos(theta) / std::sin(theta),
             x.rows[0]),
        few(16));

  for (const Real tau : {Real(0.07), Real(0.01)}) {  // as the doubles that the library is given
    const bool saturated = tau < 0.05L;
    const std::string end = saturated ? "_saturated" : "";
    const Table& other = saturated ? near.rows : y.rows;
    const Real allowed = logits(1 / Real(double(tau)));
    const Contrast both = clip(x.rows, other, Real(saturated ? 0.01 : 0.07));
    check(all["clip" + end], {both.loss}, allowed);
    check(all["clip_x" + end], flat(both.x), allowed);
    check(all["clip_y" + end], flat(both.y), allowed);
    check(all["clip_log_temperature" + end], {both.log_temperature}, allowed);
    const Contrast sig = siglip(x.rows, other, Real(saturated ? 0.01 : 0.07), -3);
    check(all["siglip" + end], {sig.loss}, allowed);
    check(all["siglip_x" + end], flat(sig.x), allowed);
  }

  const auto loss_at = [&](Real tau) { return clip_m2(x.rows, y.rows, weight, tau); };
  check(all["clip_m2_mix"], {loss_at(0.1)}, logits(15));
  check(all["clip_m2_mix_log_temperature"],
        {slope([&](Real t) { return loss_at(Real(0.1) * std::exp(t)); })}, logits(15));
  Answer along{"clip_m2_mix_x along tangents", {}};
  std::vector<Real> want;
  for (const std::size_t i : {std::size_t(0), std::size_t(33), n - 1}) {
    const auto e = unit(plus(1, y.rows[i], -dot(x.rows[i], y.rows[i]), x.rows[i]));
    const auto v =
        unit(plus(1, x.rows[(i + 1) % n], -dot(x.rows[i], x.rows[(i + 1) % n]), x.rows[i]));
    const auto tangent = plus(1, e, 1, v);
    Real got = 0;
    for (std::size_t k = 0; k < d; ++k)
      got += Real(all["clip_m2_mix_x"].numbers[i * d + k]) * tangent[k];
    along.numbers.push_back(double(got));
    want.push_back(slope([&](Real t) {
      Table moved = x.rows;
      const Real size = std::sqrt(dot(tangent, tangent));
      moved[i] = plus(std::cos(t * size), x.rows[i], std::sin(t * size) / size, tangent);
      return clip_m2(moved, y.rows, weight, 0.1);
    }));
  }
  check(along, want, std::max(few(200), 1e-9L));

  Real alone = 0;  // sup_con of the 2 n rows, each with one positive: log1p of the rest
  const Table* const views[] = {&x.rows, &near.rows};
  for (int v = 0; v < 2; ++v)
    for (std::size_t i = 0; i < n; ++i) {
      const auto &anchor = (*views[v])[i], &partner = (*views[1 - v])[i];
      Real rest = 0;
      for (const Table* keys : views)
        for (std::size_t j = 0; j < n; ++j)
          if (j != i)
            rest += std::exp((dot(anchor, (*keys)[j]) - dot(anchor, partner)) / Real(0.01));
      alone += std::log1p(rest) / Real(2 * n);
    }
  check(all["sup_con_saturated"], {alone}, logits(100));

  Real sum = 0;
  Table pull(n, std::vector<Real>(d));
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      if (i == j) continue;
      const auto apart = plus(1, x.rows[i], -1, x.rows[j]);
      const Real k = std::exp(-2 * dot(apart, apart));
      sum += k;
      pull[i] = plus(1, pull[i], -8 * k, apart);
    }
  for (auto& row : pull) row = plus(1 / sum, row, 0, row);
  check(all["uniformity"], {std::log(sum / Real(n * (n - 1)))}, few(32));
  check(all["uniformity_x"], flat(pull), few(64));

  Real aligned = 0;
  std::vector<Real> gap(d);
  for (std::size_t i = 0; i < n; ++i) {
    const auto apart = plus(1, x.rows[i], -1, near.rows[i]);
    aligned += dot(apart, apart) / Real(n);
    gap = plus(1, gap, 1 / Real(n), apart);
  }
  check(all["alignment_near"], {aligned}, few(8));
  // The means in double: of float rows exact to far below one of their eps.
  check(all["modality_gap_near"], {std::sqrt(dot(gap, gap))}, single ? few(8) : 1e-9L);

  if constexpr (single) {
    const auto to_bf16 =
        [](const Table& t) {  // the operands of the first product; the sums are f32's
          Table rounded = t;
          for (auto& row : rounded)
            for (Real& r : row) {
              std::uint32_t bits;
              const float f = float(r);
              std::memcpy(&bits, &f, 4);
              bits = (bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u;
              float back;
              std::memcpy(&back, &bits, 4);
              r = back;
            }
          return rounded;
        };
    const Contrast low = clip(to_bf16(x.rows), to_bf16(y.rows), Real(0.07));
    check(all["clip_bf16"], {low.loss}, logits(15));
    check(all["clip_bf16_x"], flat(low.x), 0x1p-7L);  // G is rounded as well
  }
}

/// 1 and a million numbers that a plain sum would lose whole.
void run_sums() {
  const int n = 100001;
  std::vector<double> distances(std::size_t(n), 1e-17);
  distances[0] = 1;
  const Real sum = 1 + Real(n - 1) * Real(1e-17);
  check({"a mean of many numbers", {long_mean(distances.data(), n)}}, {sum / n}, 2e-16L);
}

}  // namespace

int main() {
  run<float>();
  run<double>();
  run_sums();
  std::printf("%s\n", wrong ? "wrong" : "all right");
  return wrong;
}
