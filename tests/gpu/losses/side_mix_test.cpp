// v_mix, l_mix, vl_mix and m3_mix on the device: the loss in long double straight from its
// definition, its gradient by central differences of that.
#include "support/gpu.hpp"

#include "reference.hpp"
#include "spheremix/gpu/losses/m3_mix.cuh"

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
using gpu::Precision;
using gpu::losses::VlTargets;

enum class Kind { v, l, vl, released };

/// The loss; rows that are mixed are made unit first, which makes the differences tangent.
Real side_loss(const std::vector<Real>& x, const std::vector<Real>& y,
               const std::vector<Real>& lambda, const std::vector<Index>& partner, Index n, Index d,
               Real temperature, Kind kind) {
  if (kind == Kind::l) return side_loss(y, x, lambda, partner, n, d, temperature, Kind::v);
  const bool both = kind != Kind::v;
  Table v, t;
  for (Index i = 0; i < n; ++i) {
    const Index p = partner[std::size_t(i)];
    const auto side = [&](const std::vector<Real>& rows, bool mix) {
      const Real* own = &rows[std::size_t(i * d)];
      if (!mix) return std::vector<Real>(own, own + d);
      if (p != i) return mixed(own, &rows[std::size_t(p * d)], d, lambda[std::size_t(i)]);
      Real square = 0;
      for (Index k = 0; k < d; ++k) square += own[k] * own[k];
      std::vector<Real> unit(own, own + d);
      for (Real& e : unit) e /= std::sqrt(square);
      return unit;
    };
    v.push_back(side(x, true));
    t.push_back(side(y, both));
  }
  Table z = zero_table(n), w = zero_table(n);
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j < n; ++j)
      for (Index k = 0; k < d; ++k)
        z[std::size_t(i)][std::size_t(j)] +=
            v[std::size_t(i)][std::size_t(k)] * t[std::size_t(j)][std::size_t(k)] / temperature;
    const std::size_t p = std::size_t(partner[std::size_t(i)]), at = std::size_t(i);
    w[at][at] += both ? 1 : lambda[at];
    if (kind != Kind::vl) w[at][p] += both ? 1 : 1 - lambda[at];
  }
  Real loss = 0;
  for (std::size_t i = 0; i < std::size_t(n); ++i) {
    Real row = 0, col = 0;
    for (std::size_t j = 0; j < std::size_t(n); ++j)
      row += std::exp(z[i][j] - z[i][i]), col += std::exp(z[j][i] - z[i][i]);
    for (std::size_t j = 0; j < std::size_t(n); ++j) {
      loss += w[i][j] * (z[i][i] + std::log(row) - z[i][j]);
      loss += w[j][i] * (z[i][i] + std::log(col) - z[j][i]);
    }
  }
  return loss / (2 * Real(n));
}

struct Answer {
  double loss, log_temperature;
  std::vector<double> x, y, lambda;
};

Answer expected(const std::vector<double>& x, const std::vector<double>& y,
                const std::vector<double>& lambda, const std::vector<Index>& partner, Index n,
                Index d, Real temperature, Kind kind) {
  std::vector<Real> a(x.begin(), x.end()), b(y.begin(), y.end()), l(lambda.begin(), lambda.end());
  const auto at = [&](Real tau) { return side_loss(a, b, l, partner, n, d, tau, kind); };
  const Real h = 1e-6L;
  Answer out;
  out.loss = double(at(temperature));
  out.log_temperature =
      double((at(temperature * std::exp(h)) - at(temperature * std::exp(-h))) / (2 * h));
  const auto slopes = [&](std::vector<Real>& of, std::vector<double>& to) {
    for (Real& v : of) {
      const Real was = v;
      v = was + h;
      const Real up = at(temperature);
      v = was - h;
      const Real down = at(temperature);
      v = was;
      to.push_back(double((up - down) / (2 * h)));
    }
  };
  slopes(a, out.x);
  slopes(b, out.y);
  slopes(l, out.lambda);
  return out;
}

std::vector<double> lambdas(Index n) {
  std::vector<double> l;
  for (Index i = 0; i < n; ++i)
    l.push_back(double(float(0.05 + 0.9 * double((i * 37) % 101) / 101)));
  return l;
}

template <class T>
Answer run(const std::vector<double>& x, const std::vector<double>& y,
           const std::vector<double>& lambda, const std::vector<Index>* partner, Index n, Index d,
           double temperature, Kind kind, Precision precision, Index block) {
  using A = gpu::Arithmetic<T>;
  namespace losses = gpu::losses;
  const Rows<T> dx(n, d, x), dy(n, d, y);
  Rows<A> gx(n, d), gy(n, d);
  Buffer<double> out(2), slopes(static_cast<std::size_t>(n));
  const Buffer<A> weights(std::vector<A>(lambda.begin(), lambda.end()));
  const Buffer<Index> map(partner ? *partner : std::vector<Index>{});
  const losses::MixGradient<T> to{out.data(), gx.view(), gy.view(), slopes.data(), out.data() + 1};
  const gpu::pairwise::KernelProducts how{precision, block};
  if (kind == Kind::v) {
    const losses::VMixOptions options{temperature, map.data()};
    with_scratch([&](gpu::Scratch s) {
      return losses::v_mix_with_gradient<T>(dx.input(), dy.input(), weights.data(), options, to, s,
                                            nullptr, how);
    });
  } else if (kind == Kind::l) {
    const losses::LMixOptions options{temperature, map.data()};
    with_scratch([&](gpu::Scratch s) {
      return losses::l_mix_with_gradient<T>(dx.input(), dy.input(), weights.data(), options, to, s,
                                            nullptr, how);
    });
  } else {
    const losses::VlMixOptions options{
        temperature, kind == Kind::vl ? VlTargets::identity : VlTargets::released, map.data()};
    with_scratch([&](gpu::Scratch s) {
      return losses::vl_mix_with_gradient<T>(dx.input(), dy.input(), weights.data(), options, to, s,
                                             nullptr, how);
    });
  }
  return {out.values()[0], out.values()[1], gx.values(), gy.values(), slopes.values()};
}

void compare(const Answer& got, const Answer& want, double tolerance) {
  CHECK(std::abs(got.loss - want.loss) <= tolerance * std::max(0.1, std::abs(want.loss)));
  CHECK(relative_error(got.x, want.x) <= tolerance);
  CHECK(relative_error(got.y, want.y) <= tolerance);
  double worst = 0, size = 0;
  for (std::size_t k = 0; k < want.lambda.size(); ++k) {
    if (!std::isnan(worst)) worst = worse(worst, got.lambda[k] - want.lambda[k]);
    size = std::max(size, std::abs(want.lambda[k]));
  }
  CHECK(worst <= 3 * tolerance * size + 1e-12);
  CHECK(std::abs(got.log_temperature - want.log_temperature) <=
        tolerance * std::max(1.0, std::abs(want.log_temperature)));
}

}  // namespace

TEST_CASE("v, l, vl: two tiles a side, flip and a permutation, all against differences") {
  const Index n = 67, d = 3;
  const auto x = unit_rows<double>(n, d, 1), y = unit_rows<double>(n, d, 2), l = lambdas(n);
  std::vector<Index> flip, shuffled;
  for (Index i = 0; i < n; ++i) flip.push_back(n - 1 - i), shuffled.push_back((i * 5 + 2) % n);
  for (const Kind kind : {Kind::v, Kind::l, Kind::vl, Kind::released}) {
    CAPTURE(int(kind));
    const Answer by_flip = expected(x, y, l, flip, n, d, 0.3L, kind),
                 by_map = expected(x, y, l, shuffled, n, d, 0.3L, kind);
    in_every_order([&] {
      compare(run<double>(x, y, l, nullptr, n, d, 0.3, kind, Precision::exact, 64), by_flip, 1e-8);
      compare(run<double>(x, y, l, &shuffled, n, d, 0.3, kind, Precision::exact, 64), by_map, 1e-8);
    });
  }
}

TEST_CASE("v, l, vl in fp16 tiles and exact f32") {
  const Index n = 140, d = 24;
  const auto x = unit_rows<float>(n, d, 1), y = unit_rows<float>(n, d, 2), l = lambdas(n);
  for (const Kind kind : {Kind::v, Kind::l, Kind::vl, Kind::released}) {
    CAPTURE(int(kind));
    const Answer want = run<double>(x, y, l, nullptr, n, d, 0.1, kind, Precision::exact, 0);
    compare(run<float>(x, y, l, nullptr, n, d, 0.1, kind, Precision::exact, 64), want, 2e-5);
    compare(run<float>(x, y, l, nullptr, n, d, 0.1, kind, Precision::fast, 128), want, 2e-3);
  }
}

TEST_CASE("small batches, lambda at its ends, partners that are no permutation") {
  for (const Index n : {1, 2, 3}) {
    const Index d = 4;
    const auto x = unit_rows<double>(n, d, 1), y = unit_rows<double>(n, d, 2), l = lambdas(n);
    std::vector<Index> flip;
    for (Index i = 0; i < n; ++i) flip.push_back(n - 1 - i);
    for (const Kind kind : {Kind::v, Kind::vl, Kind::released})
      compare(run<double>(x, y, l, nullptr, n, d, 0.3, kind, Precision::exact, 0),
              expected(x, y, l, flip, n, d, 0.3L, kind), 1e-8);
  }
  const Index n = 9, d = 4;
  const auto x = unit_rows<double>(n, d, 1), y = unit_rows<double>(n, d, 2);
  std::vector<double> l = lambdas(n);
  l[0] = 0, l[1] = 1;
  std::vector<Index> map{1, 2, 3, 4, 5, 6, 7, 8, 0};
  const Answer ends = run<double>(x, y, l, &map, n, d, 0.3, Kind::v, Precision::exact, 0);
  for (const double v : ends.x) CHECK(std::isfinite(v));
  map[3] = 5;
  CHECK(std::isnan(run<double>(x, y, l, &map, n, d, 0.3, Kind::v, Precision::exact, 0).loss));
  map[3] = 9;
  CHECK(std::isnan(run<double>(x, y, l, &map, n, d, 0.3, Kind::v, Precision::exact, 0).loss));
}

TEST_CASE("m3_mix is the weighted sum of the four") {
  namespace losses = gpu::losses;
  const Index n = 33, d = 6;
  const auto x = unit_rows<double>(n, d, 1), y = unit_rows<double>(n, d, 2);
  const Rows<double> dx(n, d, x), dy(n, d, y);
  const double l[4] = {0.3, 0.4, 0.6, 0.7}, w[4] = {0.5, 2, 0.7, 1.5}, tau = 0.2, mix = 0.1;
  Rows<double> gx(n, d), gy(n, d);
  Buffer<double> all(7), one(3);
  const losses::M3MixOptions options{tau, mix, w[0], w[1], w[2], w[3]};
  double* const p = all.data();
  with_scratch([&](gpu::Scratch s) {
    return losses::m3_mix_with_gradient<double>(
        dx.input(), dy.input(), {l[0], l[1], l[2], l[3]}, options,
        {p, gx.view(), gy.view(), {p + 1, p + 2, p + 3, p + 4}, p + 5, p + 6}, s, nullptr);
  });
  const auto got = all.values();
  double loss = 0, slope = 0;
  std::vector<double> sx(static_cast<std::size_t>(n * d)), sy(sx);
  for (int part = 0; part < 4; ++part) {
    Rows<double> px(n, d), py(n, d);
    double* const q = one.data();
    const losses::MixGradient<double> to{q, px.view(), py.view(), q + 1, q + 2};
    if (part == 0) {
      losses::M2MixOptions m2{};
      m2.temperature = mix;
      with_scratch([&](gpu::Scratch s) {
        return losses::m2_mix_with_gradient<double>(dx.input(), dy.input(), l[0], m2, to, s,
                                                    nullptr);
      });
    } else if (part == 1) {
      with_scratch([&](gpu::Scratch s) {
        return losses::v_mix_with_gradient<double>(dx.input(), dy.input(), l[1], {tau}, to, s,
                                                   nullptr);
      });
    } else if (part == 2) {
      with_scratch([&](gpu::Scratch s) {
        return losses::l_mix_with_gradient<double>(dx.input(), dy.input(), l[2], {tau}, to, s,
                                                   nullptr);
      });
    } else {
      with_scratch([&](gpu::Scratch s) {
        return losses::vl_mix_with_gradient<double>(dx.input(), dy.input(), l[3], {tau}, to, s,
                                                    nullptr);
      });
    }
    const auto v = one.values(), vx = px.values(), vy = py.values();
    loss += w[part] * v[0];
    CHECK(std::abs(got[std::size_t(part) + 1] - w[part] * v[1]) <= 1e-12);
    if (part > 0) slope += w[part] * v[2];
    if (part == 0) CHECK(std::abs(got[6] - w[0] * v[2]) <= 1e-12);
    for (std::size_t k = 0; k < sx.size(); ++k) sx[k] += w[part] * vx[k], sy[k] += w[part] * vy[k];
  }
  CHECK(std::abs(got[0] - loss) <= 1e-12);
  CHECK(std::abs(got[5] - slope) <= 1e-12);
  CHECK(relative_error(gx.values(), sx) <= 1e-13);
  CHECK(relative_error(gy.values(), sy) <= 1e-13);
}
