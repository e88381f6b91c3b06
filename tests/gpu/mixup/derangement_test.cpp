// Derangements on the device: the CPU's, attempt by attempt, and none with a fixed point.
#include "support/gpu.hpp"

#include <algorithm>
#include <numeric>

#include "spheremix/gpu/mixup/derangement.cuh"

using namespace spheremix;
using namespace spheremix::gpu_test;

namespace {

/// The first attempt whose keys' order has no fixed point, and its number.
std::vector<Index> reference(Index n, std::uint64_t seed, std::uint32_t step, int* attempts) {
  std::vector<Index> order(static_cast<std::size_t>(n));
  for (std::uint32_t attempt = 0;; ++attempt) {
    std::iota(order.begin(), order.end(), Index(0));
    std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) {
      return math::permutation_key(seed, step, std::uint64_t(a), attempt) <
             math::permutation_key(seed, step, std::uint64_t(b), attempt);
    });
    *attempts = int(attempt);
    bool fixed = false;
    for (Index i = 0; i < n; ++i) fixed = fixed || order[std::size_t(i)] == i;
    if (!fixed) return order;
  }
}

}  // namespace

TEST_CASE("derangement: the integers of the first attempt without a fixed point, n from 2 to 40") {
  int latest = 0;
  for (const Index n : {2, 3, 4, 5, 7, 8, 16, 33, 40, 1000})
    for (std::uint32_t step = 0; step < (n == 3 ? 40u : 4u); ++step) {
      int attempts = 0;
      const std::vector<Index> want = reference(n, 11, step, &attempts);
      latest = std::max(latest, attempts);
      const Buffer<Index> partners(static_cast<std::size_t>(n));
      in_every_order([&] {
        core::Philox rng(11, step);
        with_scratch(
            [&](gpu::Scratch s) { return gpu::mixup::derangement(rng, partners.data(), n, s); });
        CAPTURE(n);
        CHECK(rng.step() == step + 1);
        CHECK(partners.values() == want);
      });
    }
  CHECK(latest >= 8);  // some needed a second round
}

TEST_CASE("derangement: when every attempt fails a cycle is kept") {
  const Index n = 5;
  gpu::mixup::detail::DerangementState all{};
  all.winner = -1;
  for (int& fixed : all.fixed) fixed = 1;
  const Buffer<gpu::mixup::detail::DerangementState> state(std::vector{all});
  std::vector<Index> orders(8 * 5);
  for (Index at = 0; at < 40; ++at) orders[std::size_t(at)] = (2 * at + at / 5) % 5;
  const Buffer<Index> from(orders), partners(5);
  in_every_order([&] {
    finish(gpu::launch(gpu::mixup::detail::keep_order<0>, 1, 128, 0, nullptr, state.data(), true,
                       from.data(), partners.data(), n));
    std::vector<Index> got = partners.values();
    for (Index i = 0; i < n; ++i) CHECK(got[std::size_t(i)] != i);
    std::sort(got.begin(), got.end());
    for (Index i = 0; i < n; ++i) CHECK(got[std::size_t(i)] == i);
  });
}

TEST_CASE("derangement: one row, no rows, a scratch that is too small") {
  core::Philox rng(1);
  const Buffer<Index> partners(4);
  CHECK(gpu::mixup::derangement(rng, partners.data(), 1, {}).code == cudaErrorInvalidValue);
  CHECK(gpu::mixup::derangement(rng, partners.data(), -1, {}).code == cudaErrorInvalidValue);
  CHECK(gpu::mixup::derangement(rng, nullptr, 4, {}).code == cudaErrorInvalidValue);
  CHECK(gpu::mixup::derangement(rng, partners.data(), 4, {}).code == cudaErrorInvalidValue);
  finish(gpu::mixup::derangement(rng, nullptr, 0, {}));
}
