// Sums in double and maps over a row, in every instruction set this processor has.
#include "spheremix/core/lanes.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "support/each_isa.hpp"

using namespace spheremix;
using namespace spheremix::test;

namespace {

/// The loops of one instruction set.
template <core::Isa>
struct LanesOf;

#define SPHEREMIX_TEST_LANES(ISA)                 \
  template <>                                     \
  struct LanesOf<core::Isa::ISA> {                \
    static constexpr const char* name = #ISA;     \
    template <class F>                            \
    static double sum(Index d, const F& f) {      \
      return simd::ISA::sum_in_lanes(d, f);       \
    }                                             \
    template <class T>                            \
    static T squares(const T* x, Index d) {       \
      return simd::ISA::sum_of_squares(x, d);     \
    }                                             \
    template <class T, class F>                   \
    static void map(Index d, T* to, const F& f) { \
      simd::ISA::map_in_lanes(d, to, f);          \
    }                                             \
  };
SPHEREMIX_TEST_COPIES(SPHEREMIX_TEST_LANES)

template <class T>
std::vector<T> numbers(Index count) {
  std::mt19937 random(5);
  std::normal_distribution<double> normal;
  std::vector<T> x(static_cast<std::size_t>(count));
  for (T& e : x) e = T(1e15 * normal(random));
  return x;
}

}  // namespace

TEST_CASE_TEMPLATE("sums of squares in double, whatever the length and the address", T, float,
                   double) {
  each_isa<LanesOf>([]<class Lanes>() {
    CAPTURE(Lanes::name);
    const auto square = [](const T* x, Index n) {
      return Lanes::sum(n, [=](Index k) { return double(x[k]) * double(x[k]); });
    };
    for (const Index n : {0, 1, 7, 8, 15, 16, 17, 31, 32, 33, 64, 100, 512}) {
      CAPTURE(n);
      const std::vector<T> x = numbers<T>(n + 1);
      long double want = 0;
      for (std::size_t k = 0; k < std::size_t(n); ++k) want += (long double)(x[k]) * x[k];
      const double got = square(x.data(), n);
      CHECK(std::abs(double((long double)(got)-want)) <= 1e-14 * double(want));
      std::vector<T> elsewhere(x.size() + 3);
      std::copy(x.begin(), x.end(), elsewhere.begin() + 3);
      CHECK(square(elsewhere.data() + 3, n) == got);
      for (const T bad : {core::nan<T>, core::infinity<T>})
        for (const Index place : {Index(0), n / 2, n - 1}) {
          if (n == 0) continue;
          std::vector<T> y = x;
          y[std::size_t(place)] = bad;
          CHECK(!(square(y.data(), n) <= core::largest<double>));
        }
    }
  });
}

TEST_CASE_TEMPLATE("sums of integers are exact: no element is lost or counted twice", T, float,
                   double) {
  each_isa<LanesOf>([]<class Lanes>() {
    CAPTURE(Lanes::name);
    for (Index n = 0; n < 70; ++n)
      CHECK(Lanes::sum(n, [](Index k) { return double(T(k + 1)); }) == double(n * (n + 1) / 2));
  });
}

TEST_CASE_TEMPLATE("maps write each element once, from what stood there", T, float, double) {
  each_isa<LanesOf>([]<class Lanes>() {
    CAPTURE(Lanes::name);
    for (Index n = 0; n < 70; ++n) {
      CAPTURE(n);
      std::vector<T> to(std::size_t(n) + 1, T(-7));
      for (std::size_t k = 0; k < std::size_t(n); ++k) to[k] = T(k);
      T* const p = to.data();
      Lanes::map(n, p, [=](Index k) { return p[k] + T(2 * k); });
      int wrong = to.back() != T(-7);
      for (std::size_t k = 0; k < std::size_t(n); ++k) wrong += to[k] != T(3 * k);
      CHECK(wrong == 0);
    }
  });
}

TEST_CASE_TEMPLATE("row_square: x . x of any size, in the row's own type where that loses nothing",
                   T, float, double) {
  const auto within = [](double got, long double want, Index d) {
    return std::abs((long double)(got)-want) <= (long double)(d)*core::epsilon<T> * want;
  };
  for (const Index n : {0, 1, 3, 15, 16, 17, 63, 64, 65, 127, 512, 1000})
    for (const double scale : {1e-37, 1e-22, 1e-12, 1e-10, 1.0, 1e13, 1e16, 1e22}) {
      CAPTURE(n);
      CAPTURE(scale);
      std::vector<T> x = numbers<T>(n + 1);
      for (T& e : x) e = T(double(e) / 1e15 * scale);
      long double want = 0;
      for (std::size_t k = 1; k <= std::size_t(n); ++k) want += (long double)(x[k]) * x[k];
      CHECK(within(core::row_square(x.data() + 1, n), want, n));
      each_isa<LanesOf>([&]<class Lanes>() {
        CAPTURE(Lanes::name);
        if (scale == 1.0) CHECK(within(double(Lanes::squares(x.data() + 1, n)), want, n));
      });
      if (n == 0) continue;
      x[std::size_t(n)] = core::infinity<T>;
      CHECK(core::row_square(x.data() + 1, n) == core::infinity<double>);
      x[std::size_t(n)] = core::nan<T>;
      CHECK(std::isnan(core::row_square(x.data() + 1, n)));
    }
}

TEST_CASE_TEMPLATE("row_product: a . b", T, float, double) {
  std::vector<T> a, b;
  double want = 0;
  for (int k = 1; k <= 37; ++k) {
    CHECK(core::row_product(a.data(), b.data(), Index(a.size())) == want);
    a.push_back(T(k));
    b.push_back(T(40 - k));
    want += double(k) * (40 - k);
  }
}
