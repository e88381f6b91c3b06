// Labels and weights of every type: exact values, their order and differences, what is borrowed.
#include "spheremix/core/numbers.hpp"

#include <doctest/doctest.h>

#include <Eigen/Core>
#include <array>
#include <cstdint>
#include <deque>
#include <span>
#include <sstream>
#include <string>

#include "spheremix/core/eigen.hpp"
#include "support/refusal.hpp"

using namespace spheremix;
using core::exact_number;
using core::ExactNumber;
using core::Numbers;
using spheremix::test::refusal;

namespace {

std::string written(ExactNumber x) {
  std::ostringstream text;
  text.precision(17);
  text << x;
  return text.str();
}

std::string all_of(const Numbers& x) {
  std::string text = std::to_string(x.rows()) + "x" + std::to_string(x.cols());
  for (Index i = 0; i < x.size(); ++i) text += " " + written(x[i]);
  return text;
}

}  // namespace

TEST_CASE("an exact number keeps 64-bit integers, their order and their differences") {
  const std::int64_t two53 = std::int64_t(1) << 53;
  std::vector<std::int64_t> values{
      INT64_MIN, INT64_MIN + 1, -two53 - 1, -two53,    -two53 + 1,    -3,       -1, 0, 1,
      two53 - 1, two53,         two53 + 1,  two53 + 2, INT64_MAX - 1, INT64_MAX};
  for (const std::int64_t a : values)
    for (const std::int64_t b : values) {
      CAPTURE(a);
      CAPTURE(b);
      const ExactNumber x = exact_number(a), y = exact_number(b);
      CHECK((x < y) == (a < b));
      CHECK((x == y) == (a == b));
      CHECK((static_cast<long double>(x.high) + static_cast<long double>(x.low)) ==
            static_cast<long double>(a));
      const auto apart = static_cast<long double>(a) - static_cast<long double>(b);
      if (std::abs(apart) <= static_cast<long double>(two53)) CHECK(x - y == double(apart));
      CHECK(std::abs(static_cast<long double>(x - y) - apart) <= 0x1p-52L * std::abs(apart));
      CHECK(written(x) == std::to_string(a));
    }
  const std::vector<std::uint64_t> ids{0,
                                       std::uint64_t(two53) + 1,
                                       std::uint64_t(INT64_MAX),
                                       std::uint64_t(INT64_MAX) + 1,
                                       UINT64_MAX - 1,
                                       UINT64_MAX};
  for (const std::uint64_t a : ids)
    for (const std::uint64_t b : ids) {
      CHECK((exact_number(a) < exact_number(b)) == (a < b));
      CHECK((exact_number(a) == exact_number(b)) == (a == b));
      CHECK(written(exact_number(a)) == std::to_string(a));
    }
  // Types are no matter: -1 is not 2^64 - 1, and 3 is 3.
  CHECK(exact_number(-1) < exact_number(UINT64_MAX));
  CHECK_FALSE(exact_number(-1) == exact_number(UINT64_MAX));
  CHECK(exact_number(std::uint8_t(3)) == exact_number(3.0f));
  CHECK(exact_number(two53 + 1) == exact_number(static_cast<long double>(two53 + 1)));
  CHECK_FALSE(exact_number(two53 + 1) == exact_number(double(two53)));
  CHECK_FALSE(exact_number(core::nan<double>).finite());
  CHECK_FALSE(exact_number(-core::infinity<float>).finite());
  CHECK(written(exact_number(0.1)) == "0.10000000000000001");
}

TEST_CASE("numbers come from any vector, and are borrowed where they lie") {
  const std::vector<int> plain{4, 5, 6};
  const int raw[3] = {4, 5, 6};
  const std::array<std::uint16_t, 3> small{4, 5, 6};
  const std::deque<long> scattered{4, 5, 6};
  Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> wide(2, 3);
  wide << 4, 5, 6, 7, 8, 9;
  const std::string want = "3x1 4 5 6";
  CHECK(all_of(plain) == want);
  CHECK(all_of(raw) == want);
  CHECK(all_of(small) == want);
  CHECK(all_of(scattered) == want);
  CHECK(all_of(std::span<const int>(plain)) == want);
  CHECK(all_of({4, 5, 6}) == want);
  CHECK(all_of(std::vector<bool>{true, false}) == "2x1 1 0");
  CHECK(all_of(Eigen::Vector3i(4, 5, 6)) == want);
  CHECK(all_of(Eigen::Vector3i(4, 5, 6).cast<double>()) == want);
  CHECK(all_of(Eigen::Array3i(4, 5, 6)) == want);
  CHECK(all_of(Eigen::VectorXi::LinSpaced(3, 4, 6)) == want);
  CHECK(all_of(wide.row(0)) == "1x3 4 5 6");
  CHECK(all_of(wide.col(1)) == "2x1 5 8");
  CHECK(all_of(wide.row(0).reverse()) == "1x3 6 5 4");
  CHECK(Numbers(wide)(1, 2).high == 9);

  const auto row = wide.row(1);
  CHECK(Numbers(row).in_memory<float>() == wide.data() + 3);
  CHECK(Numbers(row).in_memory<double>() == nullptr);
  const auto column = wide.col(1);
  CHECK(Numbers(column).in_memory<float>() == nullptr);
  const core::InputNumbers<float> copied(column, "f", "x");
  CHECK(copied[1] == 8);
  CHECK(Numbers(plain).resolution() == 0);
  CHECK(Numbers(row).resolution() == double(core::epsilon<float>));
}

TEST_CASE("numbers: what is refused says which one and what it is") {
  const Numbers none({1.0, core::nan<double>});
  CHECK(refusal([&] { none.expects_vector("f", "labels", 2); }) ==
        "f: labels[1] is nan, not a finite number");
  CHECK(refusal([&] { none.expects_vector("f", "labels", 3); }) ==
        "f: labels has 2 elements where 3 are needed");
  const Numbers ids({std::uint64_t(1), UINT64_MAX});
  ids.expects_vector("f", "labels", 2);
  CHECK(refusal([&] { ids.expects_classes("f", "labels", 2, 5); }) ==
        "f: labels[1] is 18446744073709551615, outside [0, 5)");
  CHECK(refusal([&] {
          Numbers({0.5, 1.0}).expects_classes("f", "a", 2, 5);
        }) == "f: a[0] is 0.5, not a whole number in [0, 5)");
  CHECK(refusal([&] {
          Numbers({0, -1}).expects_classes("f", "a", 2, 5);
        }) == "f: a[1] is -1, outside [0, 5)");
  CHECK(refusal([&] {
          Numbers(Eigen::Matrix2i::Zero().eval()).expects_vector("f", "labels", 4);
        }) == "f: labels are 2 x 2, not a vector");
}
