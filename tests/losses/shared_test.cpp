// clip_m2_mix from shared tables of cosines against the same loss by the direct route, whose own
// oracles are in gradient_test.cpp: blocks cut every way, exact lambdas, the limits of the route.
#include <doctest/doctest.h>

#include "spheremix/losses/clip_m2_mix.hpp"
#include "support/differences.hpp"
#include "support/sphere_oracle.hpp"
#include "support/threads.hpp"

using namespace spheremix;
using namespace spheremix::losses;
using namespace spheremix::test;

namespace {

/// The least budget that takes the shared route, by bisection.
template <class T>
std::size_t least_budget(Index n) {
  std::size_t without = 0, with = std::size_t(1) << 30;
  while (with - without > 1) {
    const std::size_t middle = without + (with - without) / 2;
    (detail::shared_plan<T>(n, middle) ? with : without) = middle;
  }
  return with + core::bytes_of<detail::LambdaSlopes>(n);
}

/// Just not enough memory for the shared route.
template <class T>
ClipM2MixOptions direct(Index n, ClipM2MixOptions options) {
  options.memory_budget = least_budget<T>(n) - 1;
  return options;
}

template <class T>
bool takes_shared_route(const RowMatrix<T>& x, const RowMatrix<T>& y, const Vector<T>& lambda) {
  const Index n = x.rows();
  std::vector<T> a(static_cast<std::size_t>(n)), b = a;
  core::Workspace workspace;
  auto frame = workspace.frame(core::Workspace::bytes_for<math::Arc<T>>(std::size_t(n)));
  auto* arc = frame.template take<math::Arc<T>>(std::size_t(n));
  const core::InputRows<T> xs(x), ys(y);
  const detail::LambdaArgument<T, Vector<T>> weights("test", "lambda", lambda, n);
  return detail::shared_plan<T>(n, std::size_t(1) << 30) &&
         detail::mix_weights<T>(xs.view(), ys.view(), weights.value(), arc, a.data(), b.data());
}

/// Pairs at angles from .3 to 2, lambda with both exact ends.
template <class T>
struct Batch {
  RowMatrix<T> x, y;
  Vector<T> lambda;

  Batch(Index n, Index d, std::uint32_t seed) : x(unit_rows<T>(n, d, seed)), y(n, d), lambda(n) {
    for (Index i = 0; i < n; ++i) {
      y.row(i) = at_angle(Vector<T>(x.row(i).transpose()), 0.3L + 1.7L * i / n,
                          seed + 1 + std::uint32_t(i))
                     .transpose();
      lambda[i] = T(i % 7) / T(6);
    }
  }
};

template <class T, class L>
void check_routes(const RowMatrix<T>& x, const RowMatrix<T>& y, const L& lambda,
                  const ClipM2MixOptions& options, double most_eps) {
  const auto got = clip_m2_mix_with_gradient(x, y, lambda, options);
  const auto want = clip_m2_mix_with_gradient(x, y, lambda, direct<T>(x.rows(), options));
  const double eps = double(core::epsilon<T>);
  CHECK(std::abs(got.loss - want.loss) <= 8 * eps * std::max(1.0, std::abs(want.loss)));
  CHECK((got.x - want.x).norm() <= most_eps * eps * want.x.norm());
  CHECK((got.y - want.y).norm() <= most_eps * eps * want.y.norm());
  const double size = std::abs(want.log_temperature) + std::abs(want.log_mix_temperature) + 1;
  CHECK(std::abs(got.log_temperature - want.log_temperature) <= most_eps * eps * size);
  CHECK(std::abs(got.log_mix_temperature - want.log_mix_temperature) <= most_eps * eps * size);
  if constexpr (std::is_arithmetic_v<L>)
    CHECK(std::abs(got.lambda - want.lambda) <= most_eps * eps * (1 + std::abs(want.lambda)));
  else
    CHECK((got.lambda - want.lambda).norm() <= most_eps * eps * (want.lambda.norm() + 1));
}

}  // namespace

TEST_CASE_TEMPLATE("both routes agree, whatever the cut into blocks", T, float, double) {
  for (const auto& [n, d] : {std::pair<Index, Index>{64, 8},
                             {65, 33},
                             {130, 5},
                             {191, 20},
                             {513, 12},
                             {700, 7},
                             {2049, 6}}) {
    const Batch<T> b(n, d, 3);
    REQUIRE(takes_shared_route(b.x, b.y, b.lambda));
    check_routes(b.x, b.y, b.lambda, {.temperature = 0.1, .mix_temperature = 0.2, .weight = 0.7},
                 512);
  }
  const Batch<T> b(150, 16, 4);
  for (const Reduction reduction : {Reduction::sum, Reduction::mean})
    for (const double weight : {0.0, 1.0, -2.0})
      check_routes(b.x, b.y, 0.3, {.temperature = 0.05, .weight = weight, .reduction = reduction},
                   512);
  CHECK(clip_m2_mix(b.x, b.y, b.lambda) ==
        doctest::Approx(clip_m2_mix_with_gradient(b.x, b.y, b.lambda).loss)
            .epsilon(sizeof(T) == 4 ? 1e-6 : 1e-14));
  for (const double lambda : {0.0, 1.0}) check_routes(b.x, b.y, lambda, {.temperature = 0.05}, 512);
}

TEST_CASE("a saturated batch keeps its digits on the shared route") {
  // Rows of an orthogonal frame: every wrong logit is 100 below the right one.
  RowMatrix<double> x = RowMatrix<double>::Identity(80, 80), y = x;
  for (Index i = 0; i < 80; ++i) y(i, (i + 1) % 80) = 0.1;
  y.rowwise().normalize();
  const Vector<double> lambda = Vector<double>::Constant(80, 0.5);
  REQUIRE(takes_shared_route(x, y, lambda));
  const ClipM2MixOptions options{.temperature = 0.01, .mix_temperature = 0.01};
  const auto got = clip_m2_mix_with_gradient(x, y, lambda, options);
  const auto want = clip_m2_mix_with_gradient(x, y, lambda, direct<double>(80, options));
  CHECK(want.loss < 1e-30);
  CHECK(std::abs(got.loss - want.loss) <= 1e-13 * want.loss);
  CHECK((got.x - want.x).norm() <= 1e-11 * want.x.norm());
}

TEST_CASE("pairs too close or nearly antipodal, rows not unit, small budgets: the direct route") {
  Batch<double> b(100, 9, 5);
  CHECK(takes_shared_route(b.x, b.y, b.lambda));
  Batch<double> near = b, far = b;
  near.y.row(40) = near.x.row(40);
  CHECK_FALSE(takes_shared_route(near.x, near.y, near.lambda));
  far.y.row(41) = at_angle(Vector<double>(-far.x.row(41).transpose()), 1e-3L, 8).transpose();
  CHECK_FALSE(takes_shared_route(far.x, far.y, far.lambda));
  for (const Batch<double>& each : {near, far}) {
    const auto got = clip_m2_mix_with_gradient(each.x, each.y, each.lambda);
    const auto want =
        clip_m2_mix_with_gradient(each.x, each.y, each.lambda, direct<double>(100, {}));
    CHECK(same_bits(got.x, want.x));  // the same route: the same bits
  }
  // Rows that are not unit: the mixture is that of the unit rows, whatever their lengths.
  for (const double length : {1 + 4e-15, 1.001, 1e-20, 1e20})
    for (const bool of_x : {true, false}) {
      Batch<double> scaled = b;
      (of_x ? scaled.x : scaled.y).row(42) *= length;
      CHECK_FALSE(takes_shared_route(scaled.x, scaled.y, scaled.lambda));
      const auto got = clip_m2_mix_with_gradient(scaled.x, scaled.y, scaled.lambda);
      const auto want =
          clip_m2_mix_with_gradient(scaled.x, scaled.y, scaled.lambda, direct<double>(100, {}));
      CHECK(same_bits(got.x, want.x));
    }
  CHECK_FALSE(detail::shared_plan<double>(63, std::size_t(1) << 30));
  // At the limits of the route the two still agree.
  Batch<double> edge(90, 6, 6);
  edge.y.row(3) = at_angle(Vector<double>(edge.x.row(3).transpose()), 0.021L, 2).transpose();
  edge.y.row(4) = at_angle(Vector<double>(edge.x.row(4).transpose()), 2.59L, 2).transpose();
  REQUIRE(takes_shared_route(edge.x, edge.y, edge.lambda));
  check_routes(edge.x, edge.y, edge.lambda, {.temperature = 0.1}, 4096);
}

TEST_CASE("shared = false takes the direct route: its very bits, whatever the budget") {
  const Batch<double> b(80, 16, 3);
  REQUIRE(takes_shared_route(b.x, b.y, b.lambda));
  const ClipM2MixOptions plain{}, small = direct<double>(80, plain);
  const auto asked = clip_m2_mix_with_gradient(b.x, b.y, b.lambda, {.shared = false});
  const auto want = clip_m2_mix_with_gradient(b.x, b.y, b.lambda, small);
  const auto shared = clip_m2_mix_with_gradient(b.x, b.y, b.lambda, plain);
  CHECK(asked.loss == want.loss);
  CHECK(asked.x == want.x);
  CHECK(asked.lambda == want.lambda);
  CHECK(asked.x != shared.x);  // the routes round differently
}

TEST_CASE("a NaN row gives NaN, and the bits do not depend on the number of threads") {
  Batch<float> b(700, 24, 7);
  const auto run = [&](int threads) {
    const Threads set(threads);
    return clip_m2_mix_with_gradient(b.x, b.y, b.lambda);
  };
  const auto one = run(1);
  for (const int threads : {2, 3, 8}) {
    const auto many = run(threads);
    CHECK(one.loss == many.loss);
    CHECK(same_bits(one.x, many.x));
    CHECK(same_bits(one.y, many.y));
    CHECK(same_bits(one.lambda, many.lambda));
    CHECK(one.log_temperature == many.log_temperature);
    CHECK(one.log_mix_temperature == many.log_mix_temperature);
  }
  b.y(600, 3) = core::nan<float>;
  const auto bad = clip_m2_mix_with_gradient(b.x, b.y, b.lambda);
  CHECK(std::isnan(bad.loss));
  CHECK(std::isnan(bad.x(0, 0)));
  CHECK(std::isnan(bad.log_mix_temperature));
}
