// Every loss over W ranks, in double.
#include "distributed/failing_memory.hpp"
#include "distributed/rank_checks.hpp"
#include "support/refusal.hpp"

using namespace spheremix;
using namespace spheremix::test;

TEST_CASE("ranks: W ranks are one process, in double") {
  check_one_process(loss_cases<double>(), 1e-12);
}
TEST_CASE("ranks: gradients are the differences of the loss over three ranks") {
  const Index n = 7, d = 5;
  const double h = 1e-6;
  const std::vector<Index> first = blocks(n, 3, Cut::uneven);
  for (const LossCase<double>& c : loss_cases<double>()) {
    const std::string name = c.name;
    CAPTURE(name);
    const LossCall<double> call(c.batches, n, d);
    LossCall<double> ahead = call, behind = call;
    std::vector<RowMatrix<double>> way;
    const std::size_t moved = c.gradient(call).gradients.size();
    for (std::size_t k = 0; k < moved; ++k) {
      const RowMatrix<double>& x = call.batches[k];  // rows of length 1: along the sphere
      way.push_back(gaussian_rows<double>(n, d, 90 + unsigned(k)));
      for (Index i = 0; i < n; ++i) way[k].row(i) -= way[k].row(i).dot(x.row(i)) * x.row(i);
      ahead.batches[k] = (x + h * way[k]).rowwise().normalized();
      behind.batches[k] = (x - h * way[k]).rowwise().normalized();
    }
    double along[3], slope[3];
    const auto errors = on_ranks(3, [&](ThreadRank& rank) {
      const std::size_t r = std::size_t(rank.rank());
      const Index at = first[r], count = first[r + 1] - at;
      core::Workspace workspace;
      const LossOutcome<double> mine = c.across(call.part(at, count), workspace, rank);
      along[r] = 0;
      for (std::size_t k = 0; k < moved; ++k)
        along[r] += mine.gradients[k].cwiseProduct(way[k].middleRows(at, count)).sum();
      slope[r] = (c.value_across(ahead.part(at, count), rank) -
                  c.value_across(behind.part(at, count), rank)) /
                 (2 * h);
    });
    for (const std::string& error : errors) CHECK(error == "");
    const double sum = along[0] + along[1] + along[2];
    for (const double s : slope) CHECK(std::abs(sum - s) <= 2e-6 * (std::max)(1.0, std::abs(s)));
  }
}

TEST_CASE("ranks: no rows on any rank is the error of one process") {
  for (const LossCase<double>& c : loss_cases<double>()) {
    const std::string name = c.name;
    CAPTURE(name);
    const LossCall<double> call(c.batches, 2, 4);
    const auto errors = on_ranks(2, [&](ThreadRank& rank) {
      core::Workspace workspace;
      (void)c.across(call.part(0, 0), workspace, rank);
    });
    CHECK(errors[0].find(c.name + "_with_gradient: ") == 0);
    CHECK(errors[1] == errors[0]);
  }
}

TEST_CASE("ranks: what one rank refuses, all refuse, with one sentence; then they go on") {
  for (const LossCase<double>& c : loss_cases<double>()) {
    const std::string name = c.name;
    CAPTURE(name);
    const LossCall<double> call(c.batches, 9, 5);
    const auto first = blocks(9, 3, Cut::even);
    const auto errors = on_ranks(3, [&](ThreadRank& rank) {
      const std::size_t r = std::size_t(rank.rank());
      core::Workspace workspace;
      const LossCall<double> good = call.part(first[r], first[r + 1] - first[r]);
      LossCall<double> bad = good;
      std::string sentence;
      const auto attempt = [&](const LossCall<double>& mine) {
        const std::string error = refusal([&] { (void)c.across(mine, workspace, rank); });
        sentence += (error.empty() ? "fine" : error) + "|";
      };
      if (r == 1) bad.batches.back().conservativeResize(2, 5);  // another number of rows
      if (c.batches == 1 && r == 1) bad.batches[0].conservativeResize(3, 4);
      attempt(bad);
      bad = good;
      if (r == 2) bad.budget = 17;
      attempt(bad);
      attempt(good);
      throw std::runtime_error(sentence);
    });
    CHECK(errors[0].find(c.name + "_with_gradient: rank 1 of 3") == 0);
    if (c.has_budget) CHECK(errors[0].find("rank 2 of 3") != std::string::npos);
    CHECK(errors[0].rfind("|fine|") == errors[0].size() - 6);
    for (const std::string& error : errors) CHECK(error == errors[0]);
  }
}

TEST_CASE("ranks: one row in all") {
  for (const LossCase<double>& c : loss_cases<double>()) {
    const std::string name = c.name;
    CAPTURE(name);
    const LossCall<double> call(c.batches, 1, 4);
    LossOutcome<double> one;
    const std::string alone = refusal([&] { one = c.gradient(call); });
    const auto errors = on_ranks(3, [&](ThreadRank& rank) {
      core::Workspace workspace;
      const Index count = rank.rank() == 1 ? 1 : 0;
      const auto mine = c.across(call.part(0, count), workspace, rank);
      if (!(off_one_process(mine, one, 0, count) <= 1e-12))
        throw std::runtime_error("other numbers");
    });
    for (const std::string& error : errors) CHECK(error == alone);
  }
}

TEST_CASE("ranks: NaN or infinity in a row of one rank is on all what it is in one process") {
  for (const LossCase<double>& c : loss_cases<double>())
    for (std::size_t batch = 0; batch < c.batches; ++batch)
      for (const double value : {core::nan<double>, core::infinity<double>}) {
        const std::string name = c.name;
        CAPTURE(name);
        CAPTURE(batch);
        CAPTURE(value);
        LossCall<double> call(c.batches, 7, 4);
        call.batches[batch](5, 1) = value;
        LossOutcome<double> one;
        if (!refusal([&] { one = c.gradient(call); }).empty()) continue;
        double off = -1;
        const auto bits = run_ranks(c, call, 3, Cut::uneven, off);
        CHECK(off < core::infinity<double>);  // NaN in the same places
        for (const auto& rank : bits) CHECK(std::isnan(rank[0]) == std::isnan(one.loss));
        CHECK(std::isfinite(one.loss) == false);
      }
}

TEST_CASE("ranks: memory that runs out on one rank is one error on all") {
  if (!allocations_fail()) return;
  for (const LossCase<double>& c : loss_cases<double>()) {
    const std::string name = c.name;
    CAPTURE(name);
    const LossCall<double> call(c.batches, 4, 3);
    const LossCall<double> part[] = {call.part(0, 2), call.part(2, 2)};
    // Targets and four lambdas are the caller's, made beside the call.
    const bool built =
        c.name == "m3_mix" || c.name == "info_nce" || c.name == "clip" || c.name == "siglip";
    CHECK(check_short_of_memory(built, [&](AnyRank& rank) {
            core::Workspace workspace;
            (void)c.across(part[rank.rank()], workspace, rank);
          }) > 1);
    check_short_of_memory(built,
                          [&](AnyRank& rank) { (void)c.value_across(part[rank.rank()], rank); });
  }
}

TEST_CASE("ranks: an exchange that fails, each in turn, ends the call on every rank") {
  for (const LossCase<double>& c : loss_cases<double>()) {
    const std::string name = c.name;
    CAPTURE(name);
    const LossCall<double> call(c.batches, 8, 4);
    const auto first = blocks(8, 3, Cut::even);
    bool failed = true;
    int k = 0;
    for (; failed; ++k) {
      const auto errors =
          on_ranks(3,
                   [&](ThreadRank& rank) {
                     const std::size_t r = std::size_t(rank.rank());
                     core::Workspace workspace;
                     (void)c.across(call.part(first[r], first[r + 1] - first[r]), workspace, rank);
                   },
                   {.failing_rank = 1, .failing_call = k});
      failed = errors[1] != "";
      CAPTURE(k);
      if (failed) CHECK(errors[1] == "exchange " + std::to_string(k) + " fails");
    }
    CHECK(k > 3);
  }
}
