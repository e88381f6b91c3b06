// Agreement with PyTorch's autograd in float64 on real image-text pairs: relative error at most
// 1e-10 in double and 2e-5 in float, of the largest entry of each result.
#include <doctest/doctest.h>

#include "reference/loss_cases.hpp"
#include "spheremix/io/npy.hpp"
#include "spheremix/losses/barlow_twins.hpp"
#include "spheremix/losses/hn_nce.hpp"
#include "spheremix/losses/rank_n_contrast.hpp"

namespace {

using namespace reference;

template <class T>
RowMatrix<T> pairs(const char* side, Index n) {
  const std::string path =
      spheremix::test::source_dir() + "/tests/reference/emoji_" + side + ".npy";
  RowMatrix<double> x = spheremix::io::load_npy<double>(path).topRows(n);
  x.rowwise().normalize();
  return x.cast<T>();
}

/// What record_field.py records; views are stacked for rank_n_contrast.
template <class T>
LossResult<T> evaluate_field(const Case& c, const RowMatrix<T>& x, const RowMatrix<T>& y) {
  namespace losses = spheremix::losses;
  LossResult<T> out;
  const auto keep = [&](double value, const auto& g) {
    out.value = value;
    out.loss = g.loss;
    if constexpr (requires { g.log_temperature; }) out.log_temperature = g.log_temperature;
    if constexpr (requires { g.y; }) out.x = g.x, out.y = g.y;
  };
  if (c.function == "barlow_twins") {
    const losses::BarlowTwinsOptions o{.off_diagonal_weight = c.number("weight")};
    keep(losses::barlow_twins(x, y, o), losses::barlow_twins_with_gradient(x, y, o));
  } else if (c.function == "hn_nce") {
    const losses::HnNceOptions o{
        .temperature = c.number("tau"), .beta = c.number("beta"), .tau_plus = c.number("tau_plus")};
    keep(losses::hn_nce(x, y, o), losses::hn_nce_with_gradient(x, y, o));
  } else {
    const Index n = x.rows();
    RowMatrix<T> both(2 * n, x.cols());
    both << x, y;
    std::vector<double> labels;  // in steps of .1: their order is what was recorded
    for (Index i = 0; i < 2 * n; ++i) labels.push_back(double((7 * (i % n)) % 11) / 10);
    const bool cosine = c.text("similarity") == "cosine";
    const losses::RankNContrastOptions o{
        .temperature = c.number("tau"),
        .similarity =
            cosine ? losses::RankSimilarity::cosine : losses::RankSimilarity::negative_distance};
    const auto g = losses::rank_n_contrast_with_gradient(both, labels, o);
    keep(losses::rank_n_contrast(both, labels, o), g);
    out.x = g.x.topRows(n);
    out.y = g.x.bottomRows(n);
  }
  return out;
}

template <class T>
void agree(const Case& c, double tolerance, bool field = false) {
  const RowMatrix<T> x = pairs<T>("image", c.count("n")), y = pairs<T>("text", c.count("n"));
  const LossResult<T> got = field ? evaluate_field<T>(c, x, y) : evaluate<T>(c, x, y);
  const auto relative = [&](const char* what, double error, const std::vector<double>& want) {
    const double e = error / largest(want);
    CHECK_MESSAGE(e <= tolerance, c.function, " ", c.title, what, ": ", e);
  };
  const auto number = [](double v) { return std::vector<long double>{v}; };
  relative("value", largest_difference(number(got.value), c.array("loss")), c.array("loss"));
  relative("loss", largest_difference(number(got.loss), c.array("loss")), c.array("loss"));
  relative("x", largest_difference(signature(got.x, c.seed()), c.array("x")), c.array("x"));
  relative("y", largest_difference(signature(got.y, c.seed()), c.array("y")), c.array("y"));
  if (c.has("log_temperature"))
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

TEST_CASE("losses of the field: agree with autograd of their released form") {
  const std::vector<Case> cases = load("field.txt");
  CHECK(cases.size() == 6);
  for (const Case& c : cases) {
    agree<double>(c, 1e-10, true);
    agree<float>(c, 2e-5, true);
  }
}
