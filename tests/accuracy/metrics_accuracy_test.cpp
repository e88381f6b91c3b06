// The promises of alignment and uniformity against 80-digit values, down to near-duplicates 1e-12
// apart. Values are held to relative errors, however close to 0; gradients to relative errors of
// their largest row.
#include "accuracy/table.hpp"
#include "spheremix/metrics/alignment.hpp"
#include "spheremix/metrics/uniformity.hpp"

namespace {

using namespace accuracy;
namespace metrics = spheremix::metrics;

template <class T>
void alignment_case(Table& table, const Case& c) {
  const RowMatrix<T> x = reference::batch<T>(c, 0), y = reference::batch<T>(c, 1);
  const double want = c.array("value")[0], plain = sums(x.cols());
  const auto seed = c.has("kind") ? c.seed() : 1;
  const double alpha = c.number("alpha");
  table.add<T>("alignment", 8, c, scalar_error(metrics::alignment(x, y, {.alpha = alpha}), want),
               std::abs(want) * plain);
  const auto g = metrics::alignment_with_gradient(x, y, {.alpha = alpha});
  table.add<T>("alignment_with_gradient value", 8, c, scalar_error(g.value, want),
               std::abs(want) * plain);
  const double top = std::max(reference::largest(c.array("x")), std::numeric_limits<double>::min());
  table.add<T>("alignment gradient", 8, c,
               std::max(row_error(g.x, c.array("x"), seed), row_error(g.y, c.array("y"), seed)),
               top * plain);
}

template <class T>
void uniformity_case(Table& table, const Case& c) {
  const RowMatrix<T> x = reference::batch<T>(c, 0);
  const double want = c.array("value")[0], plain = sums(x.cols()), t = c.number("t");
  const auto seed = c.has("kind") ? c.seed() : 1;
  table.add<T>("uniformity", 16, c, scalar_error(metrics::uniformity(x, {.t = t}), want),
               std::abs(want) * plain);
  const auto g = metrics::uniformity_with_gradient(x, {.t = t});
  table.add<T>("uniformity_with_gradient value", 16, c, scalar_error(g.value, want),
               std::abs(want) * plain);
  const double top = std::max(reference::largest(c.array("x")), std::numeric_limits<double>::min());
  table.add<T>("uniformity gradient", 16, c, row_error(g.x, c.array("x"), seed), top * plain);
}

}  // namespace

TEST_CASE("accuracy: alignment and uniformity keep their promises") {
  Table table("Metrics, errors in eps of the value, or of the largest gradient row");
  for_each_case("metrics.txt", [&]<class T>(const Case& c) {
    if (c.function == "alignment")
      alignment_case<T>(table, c);
    else
      uniformity_case<T>(table, c);
  });
  table.finish();
}
