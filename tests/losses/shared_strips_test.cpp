// clip_m2_mix from shared tables in strips: every budget from one strip to all of them, the same bits,
// the memory promised.
#include <doctest/doctest.h>

#include <cstdlib>
#include <thread>

#include "spheremix/losses/clip_m2_mix.hpp"
#include "support/differences.hpp"
#include "support/loss_oracle.hpp"
#include "support/sphere_oracle.hpp"
#include "support/threads.hpp"

using namespace spheremix;
using namespace spheremix::losses;
using namespace spheremix::test;
namespace clip_m2 = losses::detail::clip_m2;
using clip_m2::MixPlan;

namespace {

/// The budget of a call that a plan needs, to the byte.
template <class T>
std::size_t budget_of(const MixPlan& plan) {
  return core::bytes_of<detail::SharedArrays<T>>(plan) +
         core::bytes_of<detail::LambdaSlopes>(plan.n);
}

/// Every plan that some budget gives, the smallest first.
template <class T>
std::vector<MixPlan> plans(Index n) {
  std::vector<MixPlan> found;
  std::size_t budget = std::size_t(1) << 30;
  while (const auto plan = detail::shared_plan<T>(n, budget)) {
    REQUIRE(core::bytes_of<detail::SharedArrays<T>>(*plan) <= budget);
    found.push_back(*plan);
    budget = core::bytes_of<detail::SharedArrays<T>>(*plan) - 1;
  }
  std::reverse(found.begin(), found.end());
  return found;
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

template <class T>
using Gradient = TwoTemperatureGradient<RowMatrix<T>, Vector<T>>;

template <class T>
Gradient<T> run(const Batch<T>& b, std::size_t budget, core::Workspace& workspace) {
  Gradient<T> out;
  clip_m2_mix_with_gradient(
      b.x, b.y, b.lambda,
      {.temperature = 0.1, .mix_temperature = 0.2, .weight = 0.7, .memory_budget = budget},
      workspace, out);
  return out;
}
template <class T>
Gradient<T> run(const Batch<T>& b, std::size_t budget) {
  core::Workspace workspace;
  return run(b, budget, workspace);
}

template <class T>
bool same(const Gradient<T>& a, const Gradient<T>& b) {
  return a.loss == b.loss && same_bits(a.x, b.x) && same_bits(a.y, b.y) &&
         same_bits(a.lambda, b.lambda) && a.log_temperature == b.log_temperature &&
         a.log_mix_temperature == b.log_mix_temperature;
}

template <class T>
bool close(const Gradient<T>& got, const Gradient<T>& want, double most_eps) {
  const double most = most_eps * double(core::epsilon<T>);
  return std::abs(got.loss - want.loss) <= most / 64 * std::max(1.0, std::abs(want.loss)) &&
         (got.x - want.x).norm() <= most * want.x.norm() &&
         (got.y - want.y).norm() <= most * want.y.norm() &&
         (got.lambda - want.lambda).norm() <= most * (1 + want.lambda.norm()) &&
         std::abs(got.log_temperature - want.log_temperature) <=
             most * (1 + std::abs(want.log_temperature)) &&
         std::abs(got.log_mix_temperature - want.log_mix_temperature) <=
             most * (1 + std::abs(want.log_mix_temperature));
}

}  // namespace

TEST_CASE_TEMPLATE("every budget gives the bits of the whole tables and keeps to itself", T, float,
                   double) {
  for (const auto& size : {std::pair<Index, Index>{64, 8},
                           {65, 33},
                           {130, 5},
                           {191, 20},
                           {513, 12},
                           {700, 7},
                           {1000, 9},
                           {2049, 6}}) {
    const Index n = size.first, d = size.second;  // clang++ 14 captures no structured bindings
    if (n > 200 && std::getenv("SPHEREMIX_SMALL")) continue;  // an emulated processor
    const Batch<T> b(n, d, 3);
    const Gradient<T> whole = run(b, std::size_t(1) << 30);
    for (const int threads : {1, 2, 3, 8}) {
      if (threads != 3 && (n < 700 || n > 1000)) continue;
      const Threads set(threads);
      const auto all = plans<T>(n);
      CHECK(all.back().kept == all.back().blocks);
      if (n >= 700) CHECK(all.front().kept == 0);
      for (const MixPlan& plan : all) {
        CAPTURE(n);
        CAPTURE(plan.kept);
        CAPTURE(plan.places);
        CAPTURE(plan.threads);
        core::Workspace workspace;
        CHECK(same(run(b, budget_of<T>(plan), workspace), whole));
        CHECK(workspace.capacity() == budget_of<T>(plan));
      }
      // One byte less than the least: the direct route, right as well.
      core::Workspace workspace;
      const Gradient<T> direct = run(b, budget_of<T>(all.front()) - 1, workspace);
      CHECK(close(whole, direct, 512));
      CHECK_FALSE(same(whole, direct));
      CHECK(workspace.capacity() < budget_of<T>(all.front()));
    }
  }
}

TEST_CASE("the loss of one strip is the formula's") {
  const Batch<double> b(300, 11, 9);
  const LongMatrix x = b.x.cast<LongReal>(), y = b.y.cast<LongReal>();
  const LongReal want =
      clip_oracle(x, y, 0.1L) + 0.7L * m2_oracle(x, y, b.lambda.cast<LongReal>(), 0.2L, false);
  const auto all = plans<double>(300);
  REQUIRE(all.front().kept < all.front().blocks);
  CHECK(eps_error<double>(run(b, budget_of<double>(all.front())).loss, want, want) <= 8);
}

TEST_CASE("plans: in the budget, no strip given up for a thread, threads given up for one strip") {
  for (const Index n : {64, 65, 130, 700, 2049, 4096, 20000})
    for (const int threads : {1, 2, 3, 8}) {
      const Threads set(threads);
      MixPlan before{};
      for (const MixPlan& plan : plans<float>(n)) {
        CHECK(core::bytes_of<clip_m2::MixMemory<float>>(plan) <= (std::size_t(1) << 30));
        CHECK(plan.threads >= before.threads);
        CHECK((plan.kept == plan.blocks || plan.kept + plan.places < plan.blocks));
        if (plan.kept < plan.blocks) {
          CHECK(plan.places >= 1);
          if (plan.threads < core::max_threads()) {
            MixPlan least = plan;
            least.kept = 0;
            least.places = 1;
            ++least.threads;
            CHECK(core::bytes_of<clip_m2::MixMemory<float>>(least) >
                  core::bytes_of<clip_m2::MixMemory<float>>(plan));
          }
        }
        before = plan;
      }
    }
  // A strip of 4 x 448 rows, and what threads and rows take.
  const Threads one(1);
  const MixPlan least = plans<float>(4096).front();
  CHECK(core::bytes_of<clip_m2::MixMemory<float>>(least) < 4 * 4 * 448 * 4096 + (8 << 20));
  CHECK(plans<float>(20000).front().group == clip_m2::kMixGroup);
}

TEST_CASE("tables that are in use at a time do not overlap") {
  for (const Index n : {130, 191, 700, 1000, 2049})
    for (const int threads : {1, 3, 8}) {
      const Threads set(threads);
      for (const MixPlan& plan : plans<float>(n)) {
        std::vector<float> data(std::size_t(plan.numbers()));
        const clip_m2::MixTables<float> tables(plan, data.data());
        const auto begin = [&](Index j) {
          return tables.table(0, j, clip_m2::MixTable::vt).data - data.data();
        };
        const auto end = [&](Index j) { return begin(j) + plan.before(j + 1) - plan.before(j); };
        for (Index j = 0; j < plan.blocks; ++j) {
          CHECK(end(j) <= plan.numbers());
          CHECK(begin(j) >= (tables.kept(j) ? plan.before(j) : plan.before(plan.kept)));
          if (j > 0 && tables.kept(j - 1)) CHECK(begin(j) >= end(j - 1));
          if (j > 0 && tables.apart(j)) CHECK((begin(j) >= end(j - 1) || end(j) <= begin(j - 1)));
        }
        for (int thread = 0; plan.kept < plan.blocks && thread < plan.threads; ++thread) {
          const auto block = tables.passing(0, 1, thread);
          const Index from = block.vt.data - data.data();
          CHECK(from == plan.before(plan.kept) + thread * plan.tile());
          CHECK(block.tt.row(plan.count(0)) - data.data() <= from + plan.tile());
          CHECK(from + plan.tile() <= plan.numbers());
        }
      }
    }
}

TEST_CASE("statistics merged group by group of strips are the same") {
  const Batch<float> b(700, 10, 12);
  const core::InputRows<float> xs(b.x), ys(b.y);
  const detail::LambdaArgument<float, Vector<float>> weights("test", "lambda", b.lambda, 700);
  const detail::M2Call<float> call{"test", xs.view(), ys.view(),         weights.value(),
                                   0.2,    0.7,       Negatives::replace};
  const Gradient<float> want = run(b, std::size_t(1) << 30);
  for (const MixPlan& plan : plans<float>(700))
    for (const Index group : {1, 2, 3}) {
      MixPlan grouped = plan;
      grouped.group = group;
      core::Workspace workspace;
      auto frame = workspace.frame(core::bytes_of<detail::SharedArrays<float>>(grouped));
      Gradient<float> got = want;
      got.x.setConstant(7);
      got.y.setConstant(7);
      std::vector<double> lambda(700);
      detail::SharedResult result;
      REQUIRE(detail::run_shared<float>(call, 0.1, grouped, frame, {got.x.data(), 700, 10, 10},
                                        {got.y.data(), 700, 10, 10}, lambda.data(), result));
      for (Index i = 0; i < 700; ++i) got.lambda[i] = float(lambda[std::size_t(i)]);
      got.loss = result.loss;
      got.log_temperature = result.log_temperature;
      got.log_mix_temperature = result.log_mix_temperature;
      CHECK(same(got, want));
    }
}

TEST_CASE("calls from several threads at once, with budgets of their own") {
  const Batch<float> b(700, 16, 21);
  const Gradient<float> want = run(b, std::size_t(1) << 30);
  const auto all = plans<float>(700);
  std::vector<Gradient<float>> got(4);
  std::vector<std::thread> callers;
  for (std::size_t k = 0; k < got.size(); ++k)
    callers.emplace_back([&, k] { got[k] = run(b, budget_of<float>(all[k % all.size()])); });
  for (std::thread& caller : callers) caller.join();
  for (const Gradient<float>& each : got) CHECK(same(each, want));
}

TEST_CASE("a strip's budget: NaN rows give NaN, other batches the direct route") {
  Batch<double> b(200, 9, 5);
  const std::size_t budget = budget_of<double>(plans<double>(200).front());
  Batch<double> near = b;
  near.y.row(40) = near.x.row(40);
  CHECK(same(run(near, budget), run(near, budget - 1)));
  b.y(150, 3) = core::nan<double>;
  const Gradient<double> bad = run(b, budget);
  CHECK(std::isnan(bad.loss));
  CHECK(std::isnan(bad.x(0, 0)));
}

TEST_CASE("whether a budget is enough does not depend on the batch") {
  // Long rows: a strip of the tables needs less than the direct route.
  const Batch<float> good(80, 3000, 1);
  Batch<float> other = good;
  other.x.row(3) *= 2;  // not unit: the direct route
  const auto enough = [](const Batch<float>& b, std::size_t budget) {
    try {
      (void)run(b, budget);
      return true;
    } catch (const std::invalid_argument&) {
      return false;
    }
  };
  const auto least = [&](const Batch<float>& b) {
    std::size_t low = 0, high = std::size_t(1) << 27;
    REQUIRE(enough(b, high));
    while (high - low > 1) {
      const std::size_t middle = low + (high - low) / 2;
      (enough(b, middle) ? high : low) = middle;
    }
    return high;
  };
  const std::size_t bytes = least(other);
  CHECK(least(good) == bytes);
  CHECK(budget_of<float>(plans<float>(80).front()) < bytes);
}
