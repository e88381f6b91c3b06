// Every loss over W ranks.
#include "distributed/rank_checks.hpp"
#include "support/refusal.hpp"

using namespace spheremix;
using namespace spheremix::test;

TEST_CASE("ranks: W ranks are one process, in double") {
  check_one_process(loss_cases<double>(), 1e-12);
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
