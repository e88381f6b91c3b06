// vicreg, align_uniform, triplet and triplet_of on the device against their definitions in long
// double, beyond the sizes of loss_contract_test.cpp, which has the CPU's numbers.
#include "support/gpu.hpp"

#include "reference.hpp"
#include "spheremix/gpu/losses/align_uniform.cuh"
#include "spheremix/gpu/losses/triplet.cuh"
#include "spheremix/gpu/losses/vicreg.cuh"

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
namespace device = gpu::losses;

// ---- VICReg -------------------------------------------------------------------------------------

/// One view's variance and covariance, their gradient added.
Real vicreg_view(const std::vector<double>& x, Index n, Index d, const device::VicregOptions& o,
                 std::vector<double>& gradient) {
  const auto at = [&](Index i, Index k) { return Real(x[std::size_t(i * d + k)]); };
  std::vector<Real> mean(std::size_t(d), 0);
  for (Index i = 0; i < n; ++i)
    for (Index k = 0; k < d; ++k) mean[std::size_t(k)] += at(i, k) / Real(n);
  const auto centred = [&](Index i, Index k) { return at(i, k) - mean[std::size_t(k)]; };
  std::vector<Real> c(std::size_t(d * d), 0), g(std::size_t(n * d), 0);
  Real loss = 0;
  for (Index k = 0; k < d; ++k)
    for (Index l = 0; l < d; ++l)
      for (Index i = 0; i < n; ++i)
        c[std::size_t(k * d + l)] += centred(i, k) * centred(i, l) / Real(n - 1);
  for (Index k = 0; k < d; ++k) {
    const Real spread = std::sqrt(c[std::size_t(k * d + k)] + Real(o.epsilon));
    if (spread < Real(o.gamma)) {
      loss += Real(o.variance_weight) * (Real(o.gamma) - spread) / (2 * Real(d));
      for (Index i = 0; i < n; ++i)
        g[std::size_t(i * d + k)] -=
            Real(o.variance_weight) * centred(i, k) / (2 * Real(d) * Real(n - 1) * spread);
    }
    for (Index l = 0; l < d; ++l) {
      if (l == k) continue;
      const Real e = c[std::size_t(k * d + l)];
      loss += Real(o.covariance_weight) * e * e / Real(d);
      for (Index i = 0; i < n; ++i)
        g[std::size_t(i * d + k)] +=
            4 * Real(o.covariance_weight) * e * centred(i, l) / (Real(d) * Real(n - 1));
    }
  }
  for (std::size_t k = 0; k < g.size(); ++k) gradient[k] += double(g[k]);
  return loss;
}

Reference vicreg(const std::vector<double>& x, const std::vector<double>& y, Index n, Index d,
                 const device::VicregOptions& o) {
  Reference out;
  for (std::size_t k = 0; k < x.size(); ++k) {
    const Real away = Real(x[k]) - Real(y[k]), each = Real(o.invariance_weight) / Real(n * d);
    out.loss += each * away * away;
    out.x.push_back(double(2 * each * away));
    out.y.push_back(-out.x.back());
  }
  out.loss += vicreg_view(x, n, d, o, out.x) + vicreg_view(y, n, d, o, out.y);
  return out;
}

/// Rows of spread `spread` about `centre`, half of the columns in step with the first.
template <class T>
std::vector<double> spread_rows(Index n, Index d, double spread, double centre, unsigned seed) {
  std::vector<double> x = gaussian(n, d, seed);
  for (Index i = 0; i < n; ++i)
    for (Index k = 0; k < d; ++k) {
      double& v = x[std::size_t(i * d + k)];
      v = stored<T>(centre + spread * (k % 2 ? v + 0.5 * x[std::size_t(i * d)] : v));
    }
  return x;
}

template <class T>
void check_vicreg(Index n, Index d, double spread, double centre, const device::VicregOptions& o,
                  double tolerance, Layout layout = {}) {
  CAPTURE(n);
  CAPTURE(d);
  const auto x = spread_rows<T>(n, d, spread, centre, 1),
             y = spread_rows<T>(n, d, spread, centre, 2);
  const Reference want = vicreg(x, y, n, d, o);
  const Rows<T> dx(n, d, x, layout), dy(n, d, y);
  const Rows<gpu::Arithmetic<T>> gx(n, d, layout), gy(n, d);
  const Buffer<double> loss(2);
  with_scratch([&](gpu::Scratch s) {
    return device::vicreg_with_gradient<T>(dx.input(), dy.input(), o,
                                           {loss.data(), gx.view(), gy.view()}, s);
  });
  with_scratch([&](gpu::Scratch s) {
    return device::vicreg<T>(dx.input(), dy.input(), o, loss.data() + 1, s);
  });
  CHECK(std::abs(loss.values()[0] - double(want.loss)) <= tolerance * double(want.loss));
  CHECK(loss.values()[1] == loss.values()[0]);
  CHECK(relative_error(gx.values(), want.x) <= tolerance);
  CHECK(relative_error(gy.values(), want.y) <= tolerance);
}

// ---- Triplets -----------------------------------------------------------------------------------

struct TripletReference {
  Real loss = 0;
  Index active = 0, skipped = 0;
  std::vector<double> x;
};

struct OneTriplet {
  Index anchor, positive, negative;
};

TripletReference triplets(const std::vector<double>& x, Index n, Index d,
                          const std::vector<OneTriplet>& list, const device::TripletOptions& o) {
  TripletReference out;
  std::vector<Real> g(std::size_t(n * d), 0);
  const bool squared = o.distance == device::TripletDistance::squared,
             soft = o.form == device::TripletMargin::soft;
  for (const OneTriplet& t : list) {
    const auto away = [&](Index i, Index k) {
      return Real(x[std::size_t(t.anchor * d + k)]) - Real(x[std::size_t(i * d + k)]);
    };
    const auto distance = [&](Index i) {
      Real sum = 0;
      for (Index k = 0; k < d; ++k) sum += away(i, k) * away(i, k);
      return squared ? sum : std::sqrt(sum);
    };
    const Real p = distance(t.positive), q = distance(t.negative),
               u = (soft ? 0 : Real(o.margin)) + p - q, f = soft ? std::log1p(std::exp(u)) : u;
    if (!(f > 0)) continue;
    ++out.active;
    out.loss += f / Real(list.size());
    const Real slope = (soft ? 1 / (1 + std::exp(-u)) : 1) / Real(list.size());
    for (const bool near : {true, false}) {
      const Index i = near ? t.positive : t.negative;
      const Real size = near ? p : q;
      if (size == 0) continue;
      const Real weight = (near ? slope : -slope) * (squared ? 2 : 1 / size);
      for (Index k = 0; k < d; ++k) {
        g[std::size_t(t.anchor * d + k)] += weight * away(i, k);
        g[std::size_t(i * d + k)] -= weight * away(i, k);
      }
    }
  }
  out.x.assign(g.begin(), g.end());
  return out;
}

/// Batch hard, by its words.
std::vector<OneTriplet> mined(const std::vector<double>& x, Index n, Index d,
                              const std::vector<double>& label) {
  std::vector<OneTriplet> list;
  for (Index i = 0; i < n; ++i) {
    OneTriplet t{i, -1, -1};
    Real far = -1, near = INFINITY;
    for (Index j = 0; j < n; ++j) {
      if (j == i) continue;
      Real square = 0;
      for (Index k = 0; k < d; ++k) {
        const Real e = Real(x[std::size_t(i * d + k)]) - Real(x[std::size_t(j * d + k)]);
        square += e * e;
      }
      if (label[std::size_t(j)] == label[std::size_t(i)]) {
        if (square > far) far = square, t.positive = j;
      } else if (square < near) {
        near = square, t.negative = j;
      }
    }
    if (t.positive >= 0 && t.negative >= 0) list.push_back(t);
  }
  return list;
}

template <class T>
void check_triplet(const std::vector<double>& x, Index n, Index d, const std::vector<double>& label,
                   const device::TripletOptions& o, double tolerance, Layout layout = {}) {
  CAPTURE(n);
  CAPTURE(d);
  const auto list = mined(x, n, d, label);
  const TripletReference want = triplets(x, n, d, list, o);
  const Rows<T> dx(n, d, x, layout);
  const Rows<gpu::Arithmetic<T>> gx(n, d, layout);
  const Buffer<double> labels(label), loss(2);
  const Buffer<Index> counts(2);
  const auto agrees = [&] {
    CHECK(std::abs(loss.values()[0] - double(want.loss)) <= 1e-12 * (1 + double(want.loss)));
    CHECK(counts.values()[0] == want.active);
    CHECK(relative_error(gx.values(), want.x) <= tolerance);
  };
  with_scratch([&](gpu::Scratch s) {
    return device::triplet_with_gradient<T>(
        dx.input(), labels.data(), o, {loss.data(), gx.view(), counts.data(), counts.data() + 1},
        s);
  });
  agrees();
  CHECK(counts.values()[1] == n - Index(list.size()));
  with_scratch([&](gpu::Scratch s) {
    return device::triplet<T>(dx.input(), labels.data(), o, loss.data() + 1, s);
  });
  CHECK(loss.values()[1] == loss.values()[0]);
  if (list.empty()) return;
  std::vector<Index> a, p, q;
  for (const OneTriplet& t : list)
    a.push_back(t.anchor), p.push_back(t.positive), q.push_back(t.negative);
  const Buffer<Index> anchors(a), positives(p), negatives(q);
  with_scratch([&](gpu::Scratch s) {
    return device::triplet_of_with_gradient<T>(dx.input(), anchors.data(), positives.data(),
                                               negatives.data(), Index(list.size()), o,
                                               {loss.data(), gx.view(), counts.data()}, s);
  });
  agrees();
  with_scratch([&](gpu::Scratch s) {
    return device::triplet_of<T>(dx.input(), anchors.data(), positives.data(), negatives.data(),
                                 Index(list.size()), o, loss.data() + 1, s);
  });
  CHECK(loss.values()[1] == loss.values()[0]);
}

std::vector<double> some_labels(Index n, Index classes) {
  std::vector<double> label;
  for (Index i = 0; i < n; ++i) label.push_back(double((i * i + i / 3) % classes) / 4 - 1);
  return label;
}

}  // namespace

TEST_CASE("vicreg: off every tile, columns above and below gamma, far from the origin") {
  in_every_order([] {
    check_vicreg<double>(2, 3, 1, 0, {}, 1e-12);
    check_vicreg<double>(70, 130, 1, 0, {}, 1e-12);
    check_vicreg<double>(150, 33, 0.1, 3, {.variance_weight = 5, .covariance_weight = 2}, 1e-12,
                         kLayouts[2]);
  });
  check_vicreg<float>(200, 70, 1, 0, {}, 1e-5);
  check_vicreg<float>(200, 40, 1e-2, 100, {.invariance_weight = 0}, 1e-5, kLayouts[1]);
  check_vicreg<gpu::Half>(90, 24, 1, 0, {.gamma = 1.2}, 1e-5, kLayouts[2]);
  check_vicreg<gpu::Bfloat16>(90, 24, 1, 0, {.covariance_weight = 0}, 1e-5);
}

TEST_CASE("align_uniform: alpha other than 2, steep potentials, N = 2") {
  const auto check = [](Index n, Index d, const device::AlignUniformOptions& o) {
    CAPTURE(n);
    const auto x = unit_rows<double>(n, d, 1), y = rows_near(x, n, d, 2);
    Reference want;
    std::vector<Real> g[2];
    const std::vector<double>* const in[2] = {&x, &y};
    for (const int side : {0, 1}) {
      g[side].assign(x.size(), 0);
      const std::vector<double>& a = *in[side];
      Table k = zero_table(n);
      Real sum = 0;
      for (Index i = 0; i < n; ++i)
        for (Index j = 0; j < n; ++j) {
          if (i == j) continue;
          Real square = 0;
          for (Index c = 0; c < d; ++c) {
            const Real e = Real(a[std::size_t(i * d + c)]) - Real(a[std::size_t(j * d + c)]);
            square += e * e;
          }
          sum += k[std::size_t(i)][std::size_t(j)] = std::exp(-Real(o.t) * square);
        }
      want.loss += Real(o.uniform_weight) / 2 * std::log(sum / Real(n * (n - 1)));
      for (Index i = 0; i < n; ++i)
        for (Index j = 0; j < n; ++j)
          for (Index c = 0; c < d; ++c)
            g[side][std::size_t(i * d + c)] -=
                Real(o.uniform_weight) / 2 * 4 * Real(o.t) * k[std::size_t(i)][std::size_t(j)] /
                sum * (Real(a[std::size_t(i * d + c)]) - Real(a[std::size_t(j * d + c)]));
    }
    for (Index i = 0; i < n; ++i) {
      Real square = 0;
      for (Index c = i * d; c < (i + 1) * d; ++c)
        square += (Real(x[std::size_t(c)]) - Real(y[std::size_t(c)])) *
                  (Real(x[std::size_t(c)]) - Real(y[std::size_t(c)]));
      const Real r = std::sqrt(square), each = Real(o.align_weight) / Real(n);
      want.loss += each * std::pow(r, Real(o.alpha));
      for (Index c = i * d; c < (i + 1) * d; ++c) {
        const Real slope = each * Real(o.alpha) * std::pow(r, Real(o.alpha) - 2) *
                           (Real(x[std::size_t(c)]) - Real(y[std::size_t(c)]));
        g[0][std::size_t(c)] += slope;
        g[1][std::size_t(c)] -= slope;
      }
    }
    const Rows<double> dx(n, d, x, kLayouts[2]), dy(n, d, y);
    const Rows<double> gx(n, d), gy(n, d, kLayouts[1]);
    const Buffer<double> loss(2);
    with_scratch([&](gpu::Scratch s) {
      return device::align_uniform_with_gradient<double>(dx.input(), dy.input(), o,
                                                         {loss.data(), gx.view(), gy.view()}, s);
    });
    with_scratch([&](gpu::Scratch s) {
      return device::align_uniform<double>(dx.input(), dy.input(), o, loss.data() + 1, s);
    });
    CHECK(std::abs(loss.values()[0] - double(want.loss)) <= 1e-11 * std::abs(double(want.loss)));
    CHECK(loss.values()[1] == loss.values()[0]);
    CHECK(relative_error(gx.values(), {g[0].begin(), g[0].end()}) <= 1e-10);
    CHECK(relative_error(gy.values(), {g[1].begin(), g[1].end()}) <= 1e-10);
  };
  check(2, 3, {.alpha = 3});
  check(90, 10, {.alpha = 1, .t = 5, .align_weight = 0.3, .uniform_weight = 2});
  check(70, 8, {.align_weight = 0});
}

TEST_CASE("triplet: batch hard and lists, every form, off every tile") {
  const auto euclidean = device::TripletDistance::euclidean,
             squared = device::TripletDistance::squared;
  const auto hinge = device::TripletMargin::hinge, soft = device::TripletMargin::soft;
  in_every_order([&] {
    for (const auto distance : {euclidean, squared})
      for (const auto form : {hinge, soft})
        check_triplet<double>(unit_rows<double>(70, 9, 1), 70, 9, some_labels(70, 6),
                              {.distance = distance, .form = form}, 1e-12);
  });
  // Stretches of rows, columns of several warps and beyond one pass of a block, rows off 16 bytes.
  check_triplet<double>(unit_rows<double>(300, 41, 2), 300, 41, some_labels(300, 40),
                        {.margin = 0.02}, 1e-12, kLayouts[2]);
  check_triplet<double>(unit_rows<double>(20, 530, 3), 20, 530, some_labels(20, 3), {}, 1e-12);
  check_triplet<float>(unit_rows<float>(130, 24, 4), 130, 24, some_labels(130, 9), {}, 1e-6,
                       kLayouts[2]);
  check_triplet<gpu::Half>(unit_rows<gpu::Half>(66, 24, 5), 66, 24, some_labels(66, 9), {}, 1e-6);
}

TEST_CASE("triplet: equal rows go to the lower one, near-duplicates keep their order") {
  // 3 directions, each many times: distances of 0, and equal ones.
  const Index n = 150, d = 4;
  std::vector<double> x;
  for (Index i = 0; i < n; ++i)
    for (Index k = 0; k < d; ++k) x.push_back(double(k == i % 3));
  check_triplet<float>(x, n, d, some_labels(n, 7), {.margin = 0}, 1e-6);
  check_triplet<double>(x, n, d, some_labels(n, 7), {.margin = 2}, 1e-12);
  // Rows within 1e-6 of each other: their products say nothing.
  std::vector<double> close = gaussian(n, d, 6);
  for (Index i = 0; i < n; ++i)
    for (Index k = 0; k < d; ++k)
      close[std::size_t(i * d + k)] =
          stored<float>(double(k == 0) + 1e-5 * close[std::size_t(i * d + k)]);
  check_triplet<float>(close, n, d, some_labels(n, 7), {.margin = 0}, 1e-5);
}

TEST_CASE("triplet: anchors without a partner, labels and numbers that cannot be") {
  const Index n = 5, d = 3;
  const auto x = unit_rows<float>(n, d, 7);
  check_triplet<float>(x, n, d, {1, 1, 1, 1, 1}, {}, 1e-6);  // no negative: loss 0
  check_triplet<float>(x, n, d, {1, 2, 3, 4, 5}, {}, 1e-6);  // no positive
  check_triplet<float>(x, n, d, {1, 1, 3, 4, 5}, {}, 1e-6);
  const Rows<float> rows(n, d, x), gradient(n, d);
  const Buffer<double> loss(1), bad(std::vector<double>{0, 0, std::nan(""), 1, 1});
  const auto run = [&](const auto& call) {
    with_scratch([&](gpu::Scratch s) {
      return call(device::TripletGradient<float>{loss.data(), gradient.view()}, s);
    });
    CHECK(std::isnan(loss.values()[0]));
    for (const double g : gradient.values()) CHECK(std::isnan(g));
  };
  run([&](const auto& out, gpu::Scratch s) {
    return device::triplet_with_gradient<float>(rows.input(), bad.data(), {}, out, s);
  });
  const Buffer<Index> a(std::vector<Index>{0, 1}), b(std::vector<Index>{1, 2}),
      outside(std::vector<Index>{3, n});
  run([&](const auto& out, gpu::Scratch s) {
    return device::triplet_of_with_gradient<float>(rows.input(), a.data(), b.data(), outside.data(),
                                                   2, {}, out, s);
  });
  auto spoilt = x;
  spoilt[std::size_t(4 * d)] = std::nan("");  // a row that no triplet names
  const Rows<float> with_nan(n, d, spoilt);
  run([&](const auto& out, gpu::Scratch s) {
    return device::triplet_of_with_gradient<float>(with_nan.input(), a.data(), b.data(), b.data(),
                                                   2, {}, out, s);
  });
}

TEST_CASE("vicreg, align_uniform, triplet: wrong options and too few rows are statuses") {
  const Rows<float> x(4, 3, unit_rows<float>(4, 3, 8));
  const Buffer<double> loss(1);
  const Buffer<int> labels(std::vector<int>{0, 0, 1, 1});
  const Buffer<char> memory(1 << 20);
  const auto vicreg_runs = [&](const device::VicregOptions& o, Index n = 4) {
    return device::vicreg<float>(x.input().middle_rows(0, n), x.input().middle_rows(0, n), o,
                                 loss.data(), memory.scratch())
        .ok();
  };
  CHECK(vicreg_runs({}));
  CHECK(!vicreg_runs({}, 1));
  CHECK(!vicreg_runs({.invariance_weight = -1}));
  CHECK(!vicreg_runs({.variance_weight = INFINITY}));
  CHECK(!vicreg_runs({.covariance_weight = std::nan("")}));
  CHECK(!vicreg_runs({.gamma = 0}));
  CHECK(!vicreg_runs({.epsilon = 0}));
  const auto even_runs = [&](const device::AlignUniformOptions& o, Index n = 4) {
    return device::align_uniform<float>(x.input().middle_rows(0, n), x.input().middle_rows(0, n), o,
                                        loss.data(), memory.scratch())
        .ok();
  };
  CHECK(even_runs({}));
  CHECK(!even_runs({}, 1));
  CHECK(!even_runs({.alpha = 0}));
  CHECK(!even_runs({.t = INFINITY}));
  CHECK(!even_runs({.align_weight = -1}));
  CHECK(!even_runs({.uniform_weight = std::nan("")}));
  const auto triplet_runs = [&](const device::TripletOptions& o) {
    return device::triplet<float>(x.input(), labels.data(), o, loss.data(), memory.scratch()).ok();
  };
  CHECK(triplet_runs({}));
  CHECK(!triplet_runs({.margin = -1}));
  CHECK(!triplet_runs({.margin = std::nan("")}));
  CHECK(!triplet_runs({.mining = device::TripletMining::semi_hard}));
}
