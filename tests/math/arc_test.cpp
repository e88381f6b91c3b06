#include <doctest/doctest.h>

#include "spheremix/math/arc_maps.hpp"
#include "support/differences.hpp"
#include "support/sphere_oracle.hpp"

using namespace spheremix;
using namespace spheremix::test;

namespace {

/// The passes over a row that math/arc.hpp asks its callers for, as a kernel would write them.
template <class T>
math::Arc<T> arc(const Vector<T>& a, const Vector<T>& b, int* refinements = nullptr) {
  const Vector<T> difference = b - a, sum = a + b;
  math::ArcSums<T> sums(difference.squaredNorm(), sum.squaredNorm(), difference.dot(sum));
  while (sums.unsettled()) {
    sums.prepare();
    const Vector<T>& l = sums.difference_is_shorter ? sum : difference;
    const Vector<T> h =
        sums.scale * ((sums.difference_is_shorter ? difference : sum) - sums.shift * l);
    sums.refine(h.squaredNorm(), h.dot(l));
  }
  if (refinements) *refinements = sums.refinements;
  return math::Arc<T>(sums);
}

}  // namespace

TEST_CASE_TEMPLATE("ordinary rows need one pass; coincident and antipodal ones are flagged", T,
                   float, double) {
  int refinements = -1;
  const Vector<T> a = unit<T>(16, 1), b = unit<T>(16, 2);
  const auto ordinary = arc(a, b, &refinements);
  CHECK(refinements == 0);
  CHECK(!ordinary.coincident);
  CHECK(!ordinary.antipodal);
  const auto same = arc(a, a);
  CHECK(same.coincident);
  CHECK(same.theta == 0);
  const auto opposite = arc(a, Vector<T>(-a));
  CHECK(opposite.antipodal);
  CHECK(opposite.theta == core::pi<T>);
  const auto zero = arc(Vector<T>(Vector<T>::Zero(3)), Vector<T>(Vector<T>::Zero(3)));
  CHECK(std::isnan(zero.theta));  // zero rows have no direction
  CHECK(!zero.coincident);
}

TEST_CASE_TEMPLATE(
    "differences along the radius are taken out: lengths in the last digits make no angle", T,
    float, double) {
  const T eps = core::epsilon<T>;
  int refinements = 0;
  Vector<T> a = Vector<T>::Constant(4, T(0.5));
  Vector<T> b = a * (1 + 2 * eps);  // parallel to a
  CHECK(arc(a, b, &refinements).coincident);
  CHECK(refinements > 0);
  b[0] += 2 * eps;  // and a step of which three quarters are sideways
  const T want = 2 * eps * std::sqrt(T(0.75));
  CHECK(relative_error(arc(a, b).theta, want) < 1e-5);
  CHECK(relative_error(core::pi<T> - arc(a, Vector<T>(-b)).theta, want) <
        1);  // pi itself is rounded there
  CHECK(!arc(a, Vector<T>(-b)).antipodal);
}

TEST_CASE_TEMPLATE("parallel rows stay coincident where the projection leaves rounding noise", T,
                   float, double) {
  // Few bits in every component, so that b = a (1 + 2^-k) is exact and D - shift S is not.
  const T longer = 1 + (sizeof(T) == 4 ? T(0x1p-12) : T(0x1p-40));
  for (int seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    const Vector<T> noise = unit<T>(7, std::uint32_t(seed));
    Vector<T> a(7);
    for (Index k = 0; k < 7; ++k) a[k] = std::round(noise[k] * 1024) / 1024;
    const Vector<T> b = a * longer;
    const auto same = arc(a, b);
    CHECK(same.coincident);
    CHECK(same.theta == 0);
    CHECK(arc(a, Vector<T>(-b)).antipodal);
  }
}

TEST_CASE_TEMPLATE("slerp weights: sum rule, ends, and their meaning", T, float, double) {
  const Vector<T> a = unit<T>(5, 1), b = unit<T>(5, 2);
  const auto f = arc(a, b);
  for (T t : {T(0), T(0.25), T(0.5), T(1)}) {
    const auto w = math::arc_weights(f, t);
    const LongVector want = LongArc(a, b).slerp((long double)(t));
    const LongVector got = (long double)(w.a) * a.template cast<long double>() +
                           (long double)(w.b) * b.template cast<long double>();
    CHECK(max_eps_error<T>(got, want) < 8);
  }
  const auto flat = math::arc_weights(arc(a, a), T(0.25));
  CHECK(flat.a == T(0.75));
  CHECK(flat.b == T(0.25));
}

TEST_CASE("a float arc below the square root of the smallest number keeps its digits") {
  Vector<float> a = Vector<float>::Zero(3), b = a;
  a[0] = b[0] = 1;
  for (float theta : {1e-12f, 1e-20f, 1e-30f, 1e-36f}) {
    b[1] = theta;
    CHECK(relative_error(arc(a, b).theta, theta) < 3e-7);
    CHECK(std::abs(arc(a, b).e2_d * theta - 1) < 3e-7f);
  }
}
