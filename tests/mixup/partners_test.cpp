#include "spheremix/mixup/partners.hpp"

#include <doctest/doctest.h>

#include <map>

using namespace spheremix;

namespace {

bool is_permutation_of_rows(std::vector<Eigen::Index> p) {
  std::sort(p.begin(), p.end());
  for (std::size_t i = 0; i < p.size(); ++i)
    if (p[i] != Eigen::Index(i)) return false;
  return true;
}

/// Pearson's statistic of `draws` results against equal frequencies of `kinds` results.
template <class Draw>
double chi_squared(int draws, std::size_t kinds, const Draw& draw) {
  std::map<std::vector<Eigen::Index>, int> count;
  for (int i = 0; i < draws; ++i) ++count[draw()];
  if (count.size() != kinds) return 1e9;
  const double want = double(draws) / double(kinds);
  double sum = 0;
  for (const auto& [kind, times] : count) sum += (times - want) * (times - want) / want;
  return sum;
}

}  // namespace

TEST_CASE("flip_partners reverses; odd batches keep the middle row") {
  CHECK(mixup::flip_partners(4) == std::vector<Eigen::Index>{3, 2, 1, 0});
  CHECK(mixup::flip_partners(3) == std::vector<Eigen::Index>{2, 1, 0});
  CHECK(mixup::flip_partners(0).empty());
}

TEST_CASE("random_partners is a permutation, every one as likely") {
  core::Philox rng(4);
  for (Index n : {0, 1, 2, 100, 5000})
    CHECK(is_permutation_of_rows(mixup::random_partners(n, rng)));
  // 24 permutations: 23 degrees of freedom, exceeded once in a million at 72.
  CHECK(chi_squared(24000, 24, [&] { return mixup::random_partners(4, rng); }) < 72);
}

TEST_CASE("derangement has no fixed point, every one as likely") {
  core::Philox rng(5);
  for (Index n : {0, 2, 3, 100, 5000}) {
    const auto p = mixup::derangement(n, rng);
    CHECK(is_permutation_of_rows(p));
    for (std::size_t i = 0; i < p.size(); ++i) CHECK(p[i] != Eigen::Index(i));
  }
  // 9 derangements of four rows: 8 degrees of freedom, exceeded once in a million at 43.
  CHECK(chi_squared(9000, 9, [&] { return mixup::derangement(4, rng); }) < 43);
  CHECK_THROWS_AS((void)mixup::derangement(1, rng), std::invalid_argument);
  CHECK_THROWS_AS((void)mixup::derangement(-2, rng), std::invalid_argument);
  CHECK_THROWS_AS((void)mixup::random_partners(-1, rng), std::invalid_argument);
  CHECK_THROWS_AS((void)mixup::flip_partners(-1), std::invalid_argument);
}

TEST_CASE("the same seed and step give the same partners") {
  core::Philox a(6), b(6);
  CHECK(mixup::random_partners(50, a) == mixup::random_partners(50, b));
  CHECK(mixup::derangement(50, a) == mixup::derangement(50, b));
  CHECK(a.step() == 2);
}
