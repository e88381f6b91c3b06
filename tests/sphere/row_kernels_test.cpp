// The loops over one row, in every instruction set this processor has.
#include "spheremix/sphere/row_kernels.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <vector>

#include "support/each_isa.hpp"

using namespace spheremix;
using namespace spheremix::test;
using namespace spheremix::sphere::detail;

namespace {

/// The loops of one instruction set.
template <core::Isa>
struct LoopsOf;

#define SPHEREMIX_TEST_LOOPS(ISA)                                 \
  template <>                                                     \
  struct LoopsOf<core::Isa::ISA> {                                \
    static constexpr const char* name = #ISA;                     \
    template <class T>                                            \
    static constexpr Index lanes = simd::ISA::Cursor<T>::lanes;   \
    template <class T, class Body>                                \
    static void over_row(Index d, const Body& body) {             \
      simd::ISA::over_row<T>(d, body);                            \
    }                                                             \
    template <int K, class T, class Body>                         \
    static std::array<T, K> row_sums(Index d, const Body& body) { \
      std::array<T, K> total;                                     \
      simd::ISA::row_sums<K, T>(d, body, total.data());           \
      return total;                                               \
    }                                                             \
  };
SPHEREMIX_TEST_COPIES(SPHEREMIX_TEST_LOOPS)

template <class T>
std::vector<T> numbers(Index count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  std::vector<T> x(static_cast<std::size_t>(count));
  for (T& e : x) e = T(normal(random));
  return x;
}

}  // namespace

TEST_CASE_TEMPLATE("over_row touches each element of the row once, and no other", T, float,
                   double) {
  each_isa<LoopsOf>([]<class Loops>() {
    CAPTURE(Loops::name);
    for (Index d = 0; d <= 2 * Loops::template lanes<T> + 3; ++d)
      for (Index offset = 0; offset < 3; ++offset) {
        const auto x = numbers<T>(d + 4, 1);
        std::vector<T> to(x.size(), T(-7)), in_place = x;
        const auto triple = [d, offset](const T* in, T* out) {
          Loops::template over_row<T>(d, [=](auto at) {
            typename decltype(at)::Value y;
            at.get(in + offset, y);
            at.put(out + offset, typename decltype(at)::Value(y + y + y));
          });
        };
        triple(x.data(), to.data());
        triple(in_place.data(), in_place.data());
        int wrong = 0;
        for (std::size_t k = 0; k < x.size(); ++k) {
          const bool inside = Index(k) >= offset && Index(k) < offset + d;
          wrong += to[k] != (inside ? x[k] + x[k] + x[k] : T(-7));
          wrong += in_place[k] != (inside ? x[k] + x[k] + x[k] : x[k]);
        }
        CAPTURE(d);
        CAPTURE(offset);
        CHECK(wrong == 0);
      }
  });
}

TEST_CASE_TEMPLATE("row_sums adds every element once, wherever the row lies", T, float, double) {
  each_isa<LoopsOf>([]<class Loops>() {
    CAPTURE(Loops::name);
    for (Index d = 0; d <= 4 * Loops::template lanes<T> + 3; ++d) {
      CAPTURE(d);
      const auto x = numbers<T>(d, 2), y = numbers<T>(d, 3);
      long double sum = 0, products = 0, squares = 0, sizes[3] = {};
      for (std::size_t k = 0; k < x.size(); ++k) {
        const long double a = x[k], b = y[k];
        sum += a;
        products += a * b;
        squares += b * b;
        sizes[0] += std::abs(a);
        sizes[1] += std::abs(a * b);
        sizes[2] += b * b;
      }
      std::array<T, 3> first{};
      for (std::size_t offset = 0; offset < 20; ++offset) {
        std::vector<T> there(x.size() + 32, T(99)), other(there);
        std::copy(x.begin(), x.end(), there.begin() + Index(offset));
        std::copy(y.begin(), y.end(), other.begin() + Index(offset / 2));
        const T *a = there.data() + offset, *b = other.data() + offset / 2;
        const auto total = Loops::template row_sums<3, T>(d, [=](auto at, auto* part) {
          typename decltype(at)::Value p, q;
          at.get(a, p);
          at.get(b, q);
          part[0] += p;
          part[1] += p * q;
          part[2] += q * q;
        });
        const long double eps = std::numeric_limits<T>::epsilon();
        CHECK(std::abs(total[0] - sum) <= 8 * eps * sizes[0]);
        CHECK(std::abs(total[1] - products) <= 8 * eps * sizes[1]);
        CHECK(std::abs(total[2] - squares) <= 8 * eps * sizes[2]);
        if (offset == 0) first = total;
        CHECK(total == first);  // the same bits at every address
      }
    }
  });
}

TEST_CASE("row_sums of small integers is exact: no lane is lost or counted twice") {
  each_isa<LoopsOf>([]<class Loops>() {
    CAPTURE(Loops::name);
    std::vector<float> x(777);
    for (std::size_t k = 0; k < x.size(); ++k) x[k] = float(k + 1);
    const float* from = x.data();
    for (Index d : {1, 7, 15, 16, 17, 31, 32, 33, 48, 64, 100, 777}) {
      CAPTURE(d);
      const auto total = Loops::template row_sums<5, float>(d, [=](auto at, auto* part) {
        typename decltype(at)::Value p;
        at.get(from, p);
        part[0] += p;
        part[1] -= p;
        part[2] += 2 * p;
        part[4] += p;
      });
      const float sum = float(d * (d + 1) / 2);
      CHECK(total == std::array<float, 5>{sum, -sum, 2 * sum, 0, sum});
    }
  });
}
