// The promise of the losses against 80-digit values: 8 eps of max(1, largest |logit|), tau down to
// .001, n in {1, 2, 3, 7, 33}, d in {1, 2, 3, 64, 512}, equal and almost antipodal pairs, lambda 0
// and 1.
//
// Gradients are held to the same number of eps of what bounds them: 1 / (n tau) for a row of x or
// y, 1 / tau for lambda, the largest |logit| for ln(tau), times the weights, and 1/sin(theta) where
// a mixed pair nears pi.
#include "accuracy/table.hpp"
#include "reference/loss_cases.hpp"

namespace {

using namespace accuracy;

template <class T>
void loss_case(Table& table, const Case& c) {
  const RowMatrix<T> x = reference::batch<T>(c, 0), y = reference::batch<T>(c, 1);
  const reference::LossResult<T> got = reference::evaluate<T>(c, x, y);
  const double logit = std::max(1.0, c.number("logit")) * sums(x.cols()), n = double(x.rows());
  const double tau =
      c.has("mix_tau") ? std::min(c.number("tau"), c.number("mix_tau")) : c.number("tau");
  const double weight = reference::total_weight(c), steep = 1 / c.number("sine");
  const auto seed = c.seed();
  const std::string& f = c.function;
  const double want = c.array("loss")[0];
  table.add<T>(f, 8, c, std::max(scalar_error(got.value, want), scalar_error(got.loss, want)),
               logit * weight);
  if (want > 0 && want < 1)  // saturated: the digits of the loss itself, not of the logits
    table.add<T>(f + " relative, loss < 1", 8, c, scalar_error(got.loss, want), logit * want);
  table.add<T>(f + " x, y", 8, c,
               std::max(row_error(got.x, c.array("x"), seed), row_error(got.y, c.array("y"), seed)),
               logit * weight * steep / (n * tau));
  double error = scalar_error(got.log_temperature, c.array("log_temperature")[0]);
  if (c.has("mix_tau"))
    error =
        std::max(error, scalar_error(got.log_mix_temperature, c.array("log_mix_temperature")[0]));
  table.add<T>(f + " log_temperature", 8, c, error,
               logit * weight * std::max(1.0, c.number("logit")));
  if (f.find("mix") == std::string::npos) return;
  table.add<T>(f + " lambda", 8, c, reference::lambda_error(c, got), logit * weight * steep / tau);
}

}  // namespace

TEST_CASE("accuracy: the losses keep their promise") {
  Table table("Losses, errors in eps of max(1, largest |logit|), gradients of their bounds");
  for_each_case("losses.txt", [&]<class T>(const Case& c) { loss_case<T>(table, c); });
  table.finish();
}
