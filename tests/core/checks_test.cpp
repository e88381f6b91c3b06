#include "spheremix/core/checks.hpp"

#include <doctest/doctest.h>

using namespace spheremix;

TEST_CASE("messages name the function and say what was found, in every build") {
  CHECK_NOTHROW(core::expects(true, "f", "never seen"));
  CHECK_THROWS_WITH_AS(core::expects(false, "f", "t is ", 0.1, " of ", 3),
                       "f: t is 0.10000000000000001 of 3", std::invalid_argument);
  CHECK_THROWS_WITH_AS(core::fail("a", 1, 'b'), "a1b", std::invalid_argument);
}

TEST_CASE("shapes and sizes") {
  CHECK_NOTHROW(core::expects_same_shape("f", "X", 3, 4, "Y", 3, 4));
  CHECK_THROWS_WITH_AS(core::expects_same_shape("f", "X", 3, 4, "Y", 3, 5),
                       "f: X is 3 x 4 but Y is 3 x 5", std::invalid_argument);
  CHECK_THROWS_AS(core::expects_same_shape("f", "X", 3, 4, "Y", 4, 3), std::invalid_argument);
  CHECK_NOTHROW(core::expects_size("f", "t", 7, 7));
  CHECK_THROWS_WITH_AS(core::expects_size("f", "t", 6, 7), "f: t has 6 elements where 7 are needed",
                       std::invalid_argument);
}

namespace {

struct Witness {
  bool* printed;
};
std::ostream& operator<<(std::ostream& out, const Witness& witness) {
  *witness.printed = true;
  return out;
}

}  // namespace

TEST_CASE("the text of a condition that holds is never built") {
  bool printed = false;
  core::expects(true, "f", Witness{&printed});
  CHECK(!printed);
  CHECK_THROWS_AS(core::expects(false, "f", Witness{&printed}), std::invalid_argument);
  CHECK(printed);
}
