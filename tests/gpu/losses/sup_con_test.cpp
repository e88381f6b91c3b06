// sup_con on the device: against its definition in long double, and in the emulator next to the CPU
// library in double (nvcc does not see it).
#include "support/gpu.hpp"

#include "labelled.hpp"
#include "spheremix/gpu/losses/sup_con.cuh"
#if !defined(__CUDACC__)
#include "spheremix/losses/sup_con.hpp"
#endif

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
using gpu::Precision;
namespace device = gpu::losses;

template <class T, class L>
void run(const std::vector<double>& x, const std::vector<L>& labels, const Case& c,
         const Reference& want, Index skipped, double temperature, double label_tolerance) {
  const device::SupConOptions options{temperature, label_tolerance};
  const gpu::pairwise::KernelProducts how{c.precision, c.block};
  const Buffer<L> y(labels);
  compare_labelled<T>(x, c, want, skipped, 1e-3, [&](auto a, const auto& out, double* alone) {
    with_scratch([&](gpu::Scratch s) {
      return device::sup_con_with_gradient<T>(a, y.data(), options, out, s, nullptr, how);
    });
    with_scratch([&](gpu::Scratch s) {
      return device::sup_con<T>(a, y.data(), options, alone, s, nullptr, how);
    });
  });
}

/// i % classes, in no order.
template <class L>
std::vector<L> classes(Index n, Index count) {
  std::vector<L> y;
  for (Index i = 0; i < n; ++i) y.push_back(L(i * 7 % n % count));
  return y;
}

#if !defined(__CUDACC__)
/// Labels as L on the device and on the CPU.
template <class T, class L>
void check(const std::vector<double>& x, const std::vector<L>& labels, const Case& c,
           double temperature, double label_tolerance = 0) {
  const Eigen::Map<const Eigen::Matrix<L, Eigen::Dynamic, 1>> y(labels.data(), c.n);
  const auto want = losses::sup_con_with_gradient(
      Eigen::Map<const RowMatrix<double>>(x.data(), c.n, c.d), y,
      {.temperature = temperature, .label_tolerance = label_tolerance});
  run<T>(x, labels, c,
         {Real(want.loss),
          Real(want.log_temperature),
          {want.x.data(), want.x.data() + want.x.size()},
          {}},
         want.skipped, temperature, label_tolerance);
}
#endif

}  // namespace

TEST_CASE("sup_con is its definition: many, one and no rows of a label") {
  const Index n = 70, d = 7;
  std::vector<int> y;
  for (Index i = 0; i < n; ++i) y.push_back(int(i < 40 ? i % 5 : i < 60 ? i / 2 : 1000 + i));
  const auto equal = [&](Index i, Index p) {
    return p != i && y[std::size_t(p)] == y[std::size_t(i)];
  };
  Index skipped = 0;
  for (Index i = 0; i < n; ++i) {
    bool any = false;
    for (Index p = 0; p < n; ++p) any = any || equal(i, p);
    skipped += !any;
  }
  const auto defined = [&](const std::vector<double>& x, Real temperature) {
    return by_rows(x, n, d, temperature, true,
                   [&](Index i, const std::vector<Real>& s, const std::vector<Real>&, Real tau) {
                     Real all = 0, wanted = 0, count = 0;
                     for (Index k = 0; k < n; ++k) {
                       if (k != i) all += std::exp(s[std::size_t(k)] / tau);
                       if (equal(i, k)) wanted += s[std::size_t(k)] / tau, ++count;
                     }
                     return count > 0 ? (std::log(all) - wanted / count) / Real(n - skipped)
                                      : Real(0);
                   });
  };
  in_every_order([&] {
    const auto x = unit_rows<double>(n, d, 1);
    run<double>(x, y, {n, d, Precision::exact, 64, 1e-9}, defined(x, 0.2), skipped, 0.2, 0);
    const auto xf = unit_rows<float>(n, d, 1);
    run<float>(xf, y, {n, d, Precision::fast, 0, 5e-4}, defined(xf, 0.2), skipped, 0.2, 0);
  });
}

TEST_CASE("sup_con: the memory promised") {
  const Buffer<double> y(classes<double>(4, 4));
  const device::SupConOptions options{0.1};
  const Buffer<double> loss(1);
  for (const Index rows : {1, 1000, 65536, 1 << 20})
    CHECK(counted([&](gpu::Scratch s) {
            return device::sup_con_with_gradient<float>(
                untouched<const float>(rows, 64), y.data(), options,
                {loss.data(), untouched<float>(rows, 64), loss.data(), nullptr}, s);
          }) <= (std::size_t(33) << 20) + std::size_t(rows) * (31 + 2 * 64));
}

#if !defined(__CUDACC__)
TEST_CASE("sup_con is the CPU's at ragged sizes, whatever the labels") {
  in_every_order([] {
    for (const Index n : {1, 2, 3, 33, 64, 65, 130}) {
      const auto x = unit_rows<double>(n, 9, 1);
      for (const Index count : {Index(1), Index(3), n / 2 + 1, n})
        check<double>(x, classes<std::int64_t>(n, count), {n, 9, Precision::exact, 64, 1e-11}, 0.1);
    }
    const Index n = 100, d = 24;
    const auto x = unit_rows<float>(n, d, 1);
    const auto y = classes<float>(n, 9);
    check<float>(x, y, {n, d, Precision::exact, 64, 1e-5, kLayouts[2]}, 0.1);
    check<float>(x, y, {n, d, Precision::fast, 128, 5e-4, kLayouts[1]}, 0.1);
    const auto pairs = classes<int>(150, 75);
    check<gpu::Half>(unit_rows<gpu::Half>(150, d, 2), pairs, {150, d, Precision::fast, 0, 5e-4},
                     0.1);
    check<gpu::Bfloat16>(unit_rows<gpu::Bfloat16>(150, d, 2), pairs,
                         {150, d, Precision::fast, 128, 5e-4}, 0.1);
  });
}

TEST_CASE("sup_con: ids above 2^53, of 64 bits without a sign, small ones; steps of any unit") {
  const Index n = 66, d = 5;
  const auto x = unit_rows<double>(n, d, 3);
  const Case at{n, d, Precision::exact, 64, 1e-11};
  const auto small = classes<int>(n, 9);
  std::vector<std::int64_t> ids;
  std::vector<std::uint64_t> top;
  std::vector<double> steps;
  for (const int k : small) {
    ids.push_back((std::int64_t(1) << 53) + k);
    top.push_back(UINT64_MAX - std::uint64_t(k));
    steps.push_back(0.1 * k + 7);
  }
  const auto want = [&](double tolerance) {
    const auto cpu =
        losses::sup_con_with_gradient(Eigen::Map<const RowMatrix<double>>(x.data(), n, d), small,
                                      {.temperature = 0.2, .label_tolerance = tolerance});
    return std::pair{Reference{Real(cpu.loss),
                               Real(cpu.log_temperature),
                               {cpu.x.data(), cpu.x.data() + cpu.x.size()},
                               {}},
                     cpu.skipped};
  };
  const auto plain = want(0), near = want(1);
  run<double>(x, ids, at, plain.first, plain.second, 0.2, 0);
  run<double>(x, top, at, plain.first, plain.second, 0.2, 0);
  run<double>(x, classes<std::int8_t>(n, 9), at, plain.first, plain.second, 0.2, 0);
  run<double>(x, classes<std::uint16_t>(n, 9), at, plain.first, plain.second, 0.2, 0);
  run<double>(x, ids, at, near.first, near.second, 0.2, 1);
  run<double>(x, steps, at, near.first, near.second, 0.2, 0.1);
}

TEST_CASE("labels within the tolerance are equal, its end included, and need not be transitive") {
  const Index n = 70, d = 7;
  const auto x = unit_rows<double>(n, d, 3);
  std::vector<double> y;
  for (Index i = 0; i < n; ++i) y.push_back(0.25 * double(i * 31 % n));
  for (const double tolerance : {0.0, 0.2, 0.25, 1.1})
    check<double>(x, y, {n, d, Precision::exact, 64, 1e-11}, 0.2, tolerance);
}

TEST_CASE("an only positive that dominates keeps its digits, beside rows that have several") {
  // Pairs of nearly equal rows far from all others: losses of about 1e-7. In double also a class of
  // four, where p - 1/3 does cancel.
  const Index n = 36, d = 40;
  std::vector<double> x(std::size_t(n * d)), y;
  for (Index i = 0; i < n; ++i) {
    const Index pair = i < 32 ? i / 2 : 16;
    x[std::size_t(i * d + pair)] = 0.96875;
    x[std::size_t(i * d + 20 + i % 20)] = 0.25;
    y.push_back(double(pair));
  }
  for (const bool many : {true, false}) {
    const Index rows = many ? n : 32;
    const std::vector<double> part(x.begin(), x.begin() + rows * d),
        labels(y.begin(), y.begin() + rows);
    check<double>(part, labels, {rows, d, Precision::exact, 64, 1e-9}, 0.05);
    if (many) continue;
    check<float>(part, labels, {rows, d, Precision::exact, 64, 1e-4}, 0.05);
    check<float>(part, labels, {rows, d, Precision::fast, 0, 2e-3}, 0.05);
  }
}

#endif

TEST_CASE("sup_con: no anchors, NaN, infinity, labels that are not finite, what is refused") {
  const Index n = 40, d = 8;
  const auto good = unit_rows<float>(n, d, 1);
  const Rows<float> rows(n, d, good);
  Rows<float> gx(n, d);
  Buffer<double> loss(1);
  const device::SupConOptions options{0.1};
  const gpu::pairwise::KernelProducts how{Precision::fast, 64};
  Buffer<char> scratch(1 << 20);
  const auto loss_of = [&](const Rows<float>& x, const std::vector<double>& labels) {
    const Buffer<double> y(labels);
    finish(device::sup_con_with_gradient<float>(x.input(), y.data(), options,
                                                {loss.data(), gx.view(), nullptr, nullptr},
                                                scratch.scratch(), nullptr, how));
    return loss.values()[0];
  };
  const std::vector<double> few = classes<double>(n, 4), none = classes<double>(n, n);
  CHECK(loss_of(rows, none) == 0);
  for (const double g : gx.values()) CHECK(g == 0);
  for (const double bad : {std::nan(""), double(INFINITY), -double(INFINITY)}) {
    auto values = good;
    values[std::size_t(36 * d + 3)] = bad;
    const Rows<float> x(n, d, values);
    CHECK(!std::isfinite(loss_of(x, few)));
    CHECK(!std::isfinite(loss_of(x, none)));
    const Rows<float> one(1, d, {values.begin() + 36 * d, values.begin() + 37 * d});
    const Buffer<double> label(std::vector<double>{1});
    finish(device::sup_con<float>(one.input(), label.data(), options, loss.data(),
                                  scratch.scratch(), nullptr, how));
    CHECK(!std::isfinite(loss.values()[0]));
    auto labels = few;
    labels[36] = bad;
    CHECK(std::isnan(loss_of(rows, labels)));
    for (const double g : gx.values()) CHECK(std::isnan(g));
  }
  const Buffer<double> y(few);
  const auto refused = [&](const device::SupConOptions& o) {
    return !device::sup_con<float>(rows.input(), y.data(), o, loss.data(), scratch.scratch()).ok();
  };
  CHECK(refused({.temperature = 0}));
  CHECK(refused({.label_tolerance = -1}));
  CHECK(refused({.label_tolerance = INFINITY}));
  CHECK(!device::sup_con<float>(rows.input(), y.data(), options, loss.data(), {scratch.data(), 64})
             .ok());
  const double* const nothing = nullptr;
  CHECK(
      !device::sup_con<float>(rows.input(), nothing, options, loss.data(), scratch.scratch()).ok());
}
