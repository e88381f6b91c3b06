// Agreement with PyTorch's autograd in float64 on real image-text pairs: relative error at most
// 1e-10 in double and 2e-5 in float, of the largest entry of each result.
#include <doctest/doctest.h>

#include "reference/loss_cases.hpp"
#include "spheremix/io/npy.hpp"

namespace {

using namespace reference;

template <class T>
RowMatrix<T> pairs(const char* side, Index n) {
  const std::string path =
      std::string(SPHEREMIX_SOURCE_DIR) + "/tests/reference/emoji_" + side + ".npy";
  RowMatrix<double> x = spheremix::io::load_npy<double>(path).topRows(n);
  x.rowwise().normalize();
  return x.cast<T>();
}

template <class T>
void agree(const Case& c, double tolerance) {
  const RowMatrix<T> x = pairs<T>("image", c.count("n")), y = pairs<T>("text", c.count("n"));
  const LossResult<T> got = evaluate<T>(c, x, y);
  const auto relative = [&](const char* what, double error, const std::vector<double>& want) {
    const double e = error / largest(want);
    CHECK_MESSAGE(e <= tolerance, c.function, " ", c.title, what, ": ", e);
  };
  const auto number = [](double v) { return std::vector<long double>{v}; };
  relative("value", largest_difference(number(got.value), c.array("loss")), c.array("loss"));
  relative("loss", largest_difference(number(got.loss), c.array("loss")), c.array("loss"));
  relative("x", largest_difference(signature(got.x, c.seed()), c.array("x")), c.array("x"));
  relative("y", largest_difference(signature(got.y, c.seed()), c.array("y")), c.array("y"));
  relative("log_temperature",
           largest_difference(number(got.log_temperature), c.array("log_temperature")),
           c.array("log_temperature"));
  if (c.has("log_mix_temperature"))
    relative("log_mix_temperature",
             largest_difference(number(got.log_mix_temperature), c.array("log_mix_temperature")),
             c.array("log_mix_temperature"));
  if (c.has("dlambda")) relative("lambda", lambda_error(c, got), c.array("dlambda"));
}

}  // namespace

TEST_CASE("losses: agree with autograd on real pairs") {
  const std::vector<Case> cases = load("torch.txt");
  CHECK(cases.size() == 44);
  for (const Case& c : cases) {
    agree<double>(c, 1e-10);
    agree<float>(c, 2e-5);
  }
}
