// Memory under a microscope: no allocation in the steady state, and no harm when one fails.
#include <doctest/doctest.h>

#include "support/allocations.hpp"

#if defined(SPHEREMIX_COUNTS_ALLOCATIONS)

#include <functional>
#include <new>
#include <spheremix/spheremix.hpp>

namespace {

using namespace spheremix;

template <class T>
RowMatrix<T> rows(int n, int d, std::uint64_t seed) {
  core::Philox rng(seed);
  return sphere::sample_uniform<T>(n, d, rng);
}

long steady_state(const std::function<void()>& body) { return allocations_after(2, body); }

/// A budget for one strip of clip_m2_mix's triangle.
template <class T>
std::size_t strip_budget(int n) {
  auto plan = losses::detail::shared_plan<T>(n, std::size_t(1) << 30).value();
  plan.kept = 0;
  plan.places = plan.threads = 1;
  return core::bytes_of<losses::detail::SharedArrays<T>>(plan) +
         core::bytes_of<losses::detail::LambdaSlopes>(Index(n));
}

}  // namespace

// Every loss with one set of options: the law of support/loss_contract.hpp.
TEST_CASE_TEMPLATE("nothing is allocated in the steady state", T, float, double) {
  const int n = 150, d = 24;
  const RowMatrix<T> x = rows<T>(n, d, 1), y = rows<T>(n, d, 2), g = rows<T>(n, d, 3);
  const Vector<T> lambda = Vector<T>::Constant(n, T(0.4));
  RowMatrix<T> out, out2;
  core::Workspace workspace;
  CHECK(steady_state([&] { out = x; }) == 0);  // the counter's own control ...
  CHECK(steady_state([&] {
          const RowMatrix<T> copy = x;
          out = copy;
        }) > 0);  // ... both ways

  CHECK(steady_state([&] { sphere::normalize_rows(x, out); }) == 0);
  CHECK(steady_state([&] { sphere::normalize_rows_vjp(x, g, out); }) == 0);
  CHECK(steady_state([&] { sphere::slerp_rows(x, y, 0.3, out); }) == 0);
  CHECK(steady_state([&] { sphere::slerp_rows(x, y, lambda, out); }) == 0);
  CHECK(steady_state([&] { mixup::geodesic(x, y, lambda, out); }) == 0);
  CHECK(steady_state([&] { mixup::linear(x, y, 0.3, out); }) == 0);
  sphere::SlerpGradient<RowMatrix<T>, Vector<T>> slerp;
  CHECK(steady_state([&] { sphere::slerp_rows_vjp(x, y, lambda, g, slerp); }) == 0);
  auto alignment = metrics::alignment_with_gradient(x, y);
  CHECK(steady_state([&] { metrics::alignment_with_gradient(x, y, {}, alignment); }) == 0);
  auto nearest = metrics::nearest(x, y, {.k = 5});
  CHECK(steady_state([&] { metrics::nearest(x, y, {.k = 5}, workspace, nearest); }) == 0);

  losses::MixGradient<RowMatrix<T>> one;
  CHECK(steady_state([&] { losses::m2_mix_with_gradient(x, y, 0.3, {}, workspace, one); }) == 0);
  CHECK(steady_state([&] {
          losses::m2_mix_with_gradient(x, y, 0.3, {.negatives = losses::Negatives::append},
                                       workspace, one);
        }) == 0);
  const losses::VlMixOptions vl_options;
  CHECK(steady_state(
            [&] { losses::vl_mix_with_gradient(x, y, 0.3, vl_options, workspace, one); }) == 0);
  losses::TwoTemperatureGradient<RowMatrix<T>> two;
  CHECK(steady_state([&] { losses::clip_m2_mix_with_gradient(x, y, 0.3, {}, workspace, two); }) ==
        0);
  losses::ClipM2MixOptions strip;
  strip.memory_budget = strip_budget<T>(n);
  CHECK(steady_state(
            [&] { losses::clip_m2_mix_with_gradient(x, y, 0.3, strip, workspace, two); }) == 0);
  losses::TwoTemperatureGradient<RowMatrix<T>, losses::MixLambdas<>> four;
  const losses::M3MixOptions m3_options;
  CHECK(steady_state([&] {
          losses::m3_mix_with_gradient(x, y, losses::MixLambdas{.1, .2, .3, .4}, m3_options,
                                       workspace, four);
        }) == 0);
}

TEST_CASE_TEMPLATE(
    "nothing is allocated by losses of labels and structures, whatever their options", T, float,
    double) {
  using namespace losses;
  const int n = 150, d = 24;
  const RowMatrix<T> x = rows<T>(n, d, 1), y = rows<T>(n, d, 2), z = rows<T>(n, d, 3);
  Eigen::VectorXi labels(n);
  std::vector<Index> a(n), b(n);
  for (int i = 0; i < n; ++i) {
    labels[i] = i % 7;
    a[std::size_t(i)] = i % d;
    b[std::size_t(i)] = (5 * i + 1) % d;
  }
  core::Workspace workspace;
  core::Philox rng(1);

  SupervisedGradient<RowMatrix<T>> one;
  for (const bool detach : {true, false})
    for (const bool renormalise : {true, false}) {
      const SupRemixOptions o{.window = 3, .detach = detach, .renormalise = renormalise};
      CHECK(steady_state([&] { sup_remix_with_gradient(x, labels, rng, o, workspace, one); }) == 0);
    }
  TripletGradient<RowMatrix<T>> triplets;
  for (const auto mining : {TripletMining::batch_hard, TripletMining::semi_hard})
    CHECK(steady_state([&] {
            triplet_with_gradient(x, labels, {.mining = mining}, workspace, triplets);
          }) == 0);
  MixedLabelGradient<RowMatrix<T>> mixed;
  CHECK(steady_state([&] { mixup_cross_entropy_with_gradient(x, a, b, 0.3, workspace, mixed); }) ==
        0);
  CHECK(steady_state([&] { decoupled_mixup_with_gradient(x, a, b, 0.3, {}, workspace, mixed); }) ==
        0);

  ContrastiveGradient<RowMatrix<T>> two;
  CHECK(steady_state([&] { decoupled_contrastive_with_gradient(x, y, {}, workspace, two); }) == 0);
  for (const auto denominator : {Denominator::printed, Denominator::augmented})
    for (const auto reading : {UniformityReading::joint, UniformityReading::separate}) {
      const FeatureSeparationOptions o{.denominator = denominator, .uniformity = reading};
      FeatureSeparationGradient<RowMatrix<T>> six;
      CHECK(steady_state([&] {
              feature_separation_with_gradient(x, y, z, x, y, z, o, workspace, six);
            }) == 0);
    }
}

TEST_CASE("an allocation that fails is an exception and nothing else, wherever it happens") {
  const int n = 40, d = 6;
  const RowMatrix<double> x = rows<double>(n, d, 1), y = rows<double>(n, d, 2),
                          g = rows<double>(n, d, 3);
  const Vector<double> lambda = Vector<double>::Constant(n, 0.4);
  const std::pair<const char*, std::function<void()>> calls[] = {
      {"clip", [&] { (void)losses::clip_with_gradient(x, y); }},
      {"m2", [&] { (void)losses::m2_mix_with_gradient(x, y, lambda); }},
      {"m3",
       [&] {
         (void)losses::m3_mix_with_gradient(x, y, losses::MixLambdas{.1, .2, .3, .4});
       }},
      {"column-major",
       [&] { (void)losses::clip_with_gradient(Eigen::MatrixXd(x), Eigen::MatrixXd(y)); }},
      {"slerp", [&] { (void)sphere::slerp_rows_vjp(x, y, lambda, g); }},
      {"mean", [&] { (void)sphere::frechet_mean(x.topRows(3)); }},
      {"uniformity", [&] { (void)metrics::uniformity_with_gradient(x); }},
      {"retrieval", [&] { (void)metrics::retrieval(x, y); }},
  };
  for (const auto& named : calls) {  // clang++ 14 captures no structured bindings
    const auto& call = named.second;
    CAPTURE(std::string(named.first));
    call();  // what lives on (buffers of threads) is there before the count
    const long before = allocations;
    call();
    const long needed = allocations - before;
    CHECK(needed > 0);
    long thrown = 0;
    for (long k = 0; k < needed; ++k) {
      const long held = alive;
      fail_at = k;
      try {
        call();
      } catch (const std::bad_alloc&) {
        ++thrown;
      }
      fail_at = -1;
      CHECK(alive == held);  // nothing is lost
    }
    CHECK(thrown >= 1);
    CHECK(thrown <= needed);
    call();
  }
}

#endif
