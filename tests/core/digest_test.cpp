// Options are the same where their digests are: every field that is a number or an enum counts.
#include "spheremix/core/digest.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace spheremix;
using core::digest_of;

namespace {

enum class Kind { first, second };

struct Inner {
  float a = 1;
  bool b = false;
};

struct Options {
  double temperature = 0.07;
  Kind kind = Kind::first;
  Inner inner = {};
  std::vector<int> rows = {};
  std::size_t budget = 100;
};

}  // namespace

TEST_CASE("digest: every number, enum and inner field counts, containers do not") {
  const std::uint64_t plain = digest_of(Options{});
  CHECK(digest_of(Options{}) == plain);
  CHECK(digest_of(Options{.temperature = 0.070001}) != plain);
  CHECK(digest_of(Options{.kind = Kind::second}) != plain);
  CHECK(digest_of(Options{.inner = {.a = 2}}) != plain);
  CHECK(digest_of(Options{.inner = {.b = true}}) != plain);
  CHECK(digest_of(Options{.budget = 101}) != plain);
  CHECK(digest_of(Options{.rows = {1, 2}}) == plain);
}

TEST_CASE("digest: order counts, and so does what is told besides") {
  CHECK(digest_of(1, 2) != digest_of(2, 1));
  CHECK(digest_of(0.0) != digest_of(-0.0));
  CHECK(digest_of(core::also(Options{}, 0.3)) != digest_of(core::also(Options{}, 0.4)));
  CHECK(digest_of(core::also(Options{}, 0.3)) != digest_of(core::also(Options{.budget = 1}, 0.3)));
  const std::vector<int> numbers{1, 2};
  CHECK(digest_of(core::also(Options{}, numbers)) ==
        digest_of(core::also(Options{}, std::vector<int>{3})));
  CHECK(digest_of(core::listed(std::vector<int>{1, 2})) !=
        digest_of(core::listed(std::vector<int>{2, 1})));
  CHECK(digest_of(core::listed(std::vector<int>{})) !=
        digest_of(core::listed(std::vector<int>{0})));
}
