// Metrics by label take labels of any vector and any type, compared as what they are.
#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include "spheremix/metrics/average_precision.hpp"
#include "spheremix/metrics/caption_retrieval.hpp"
#include "spheremix/metrics/embedding_arithmetic.hpp"
#include "spheremix/metrics/zero_shot.hpp"
#include "support/differences.hpp"
#include "support/sphere_points.hpp"

using namespace spheremix;
using namespace spheremix::metrics;
using namespace spheremix::test;

TEST_CASE("mean average precision: labels of every type, ids of 64 bits apart") {
  const Index n = 20;
  const RowMatrix<double> x = unit_rows<double>(n, 4, 1), y = unit_rows<double>(n, 4, 2);
  std::vector<Index> a, b;
  std::vector<std::int64_t> signed_ids;
  std::vector<std::uint64_t> unsigned_ids;
  std::vector<float> fractions;
  for (Index i = 0; i < n; ++i) {
    a.push_back(i % 5);
    b.push_back((2 * i) % 7);
    signed_ids.push_back((std::int64_t(1) << 53) + a.back());
    unsigned_ids.push_back((std::uint64_t(1) << 53) + std::uint64_t(b.back()));
    fractions.push_back(float(a.back()) / 4);
  }
  const auto want = mean_average_precision(x, y, a, b), own = mean_average_precision(x, a);
  const auto got = mean_average_precision(x, y, signed_ids, unsigned_ids);
  CHECK(got.value == want.value);
  CHECK(got.skipped == want.skipped);
  CHECK(mean_average_precision(x, signed_ids).value == own.value);
  CHECK(mean_average_precision(x, fractions).value == own.value);
  CHECK(mean_average_precision(
            x, Eigen::Map<const Eigen::Matrix<Index, Eigen::Dynamic, 1>>(a.data(), n))
            .value == own.value);
  // -1 and 2^64 - 1 are two labels.
  CHECK(mean_average_precision(x.topRows(2), y.topRows(2), std::vector<int>{-1, -1},
                               std::vector<std::uint64_t>{UINT64_MAX, UINT64_MAX})
            .skipped == 2);
  CHECK_THROWS_AS((void)mean_average_precision(x.topRows(2), {core::nan<double>, 1.0}),
                  std::invalid_argument);
}

TEST_CASE("classes of every type; what is no class is an error") {
  const RowMatrix<float> x = unit_rows<float>(6, 4, 1), prompts = unit_rows<float>(3, 4, 2);
  const std::vector<Index> y{0, 1, 2, 0, 1, 2};
  const std::vector<std::uint8_t> bytes(y.begin(), y.end());
  const std::vector<double> reals(y.begin(), y.end());
  const auto want = zero_shot_accuracy(x, prompts, y);
  CHECK(zero_shot_accuracy(x, prompts, bytes) == want);
  CHECK(zero_shot_accuracy(x, prompts, reals) == want);
  CHECK(zero_shot_accuracy(x, prompts, {0, 1, 2, 0, 1, 2}) == want);
  CHECK(same_bits(class_prototypes(x, bytes, 3), class_prototypes(x, y, 3)));
  CHECK(caption_retrieval(x.topRows(3), x, reals).x_to_y.recall ==
        caption_retrieval(x.topRows(3), x, y).x_to_y.recall);
  const RowMatrix<float> none = RowMatrix<float>::Zero(2, 4);
  CHECK(
      embedding_arithmetic(x, bytes, std::vector<int>{0, 1}, none, none, std::vector<double>{0, 1})
          .nearest == embedding_arithmetic(x, y, {0, 1}, none, none, {0, 1}).nearest);
  CHECK_THROWS_AS((void)zero_shot_accuracy(x, prompts, {0, 1, 2, 0, 1, 3}), std::invalid_argument);
  CHECK_THROWS_AS((void)zero_shot_accuracy(x, prompts, {0.0, 1.0, 2.0, 0.5, 1.0, 2.0}),
                  std::invalid_argument);
  CHECK_THROWS_AS(
      (void)zero_shot_accuracy(x, prompts, {0.0, 1.0, 2.0, core::nan<double>, 1.0, 2.0}),
      std::invalid_argument);
}
