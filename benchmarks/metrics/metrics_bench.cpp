// Metrics, with gradients where their name ends so. Who: spheremix; eigen, the form everyone writes
// first.
#include "spheremix/metrics/alignment.hpp"
#include "spheremix/metrics/modality_gap.hpp"
#include "spheremix/metrics/retrieval.hpp"
#include "spheremix/metrics/uniformity.hpp"
#include "support/eigen_forms.hpp"
#include "support/measure.hpp"

namespace {

using namespace bench;
namespace metrics = spheremix::metrics;

auto pairs(double factor, double tables = 0) {
  return [=](const Case& c) {
    const double n = double(c.n);
    return Cost{.flops = factor * n * n * double(c.d),
                .tables = tables * n * n * double(c.scalar())};
  };
}
/// `batches` matrices of n x d read or written.
auto rows(double batches) {
  return [=](const Case& c) {
    return Cost{.bytes = batches * double(c.n) * double(c.d) * double(c.scalar())};
  };
}

/// A value: body(batch) -> double.
template <class Body>
auto value(Body body) {
  return [=]<class T>(const Case&, const Batch<T>& b) -> Run {
    const auto out = std::make_shared<double>();
    return {[=, &b] { *out = body(b); }, [=] { return std::vector{as_result(*out)}; }};
  };
}

void enter(const Sweep& sweep) {
  const auto ours = "spheremix";
  add(sweep, "uniformity", ours, false, pairs(1),
      value([](const auto& b) { return metrics::uniformity(b.x); }));
  add(sweep, "uniformity", "eigen", false, pairs(1, 2), value([]<class T>(const Batch<T>& b) {
        eigen::Gradients<T> out;
        eigen::uniformity(b.x, false, out);
        return out.loss;
      }));

  add(sweep, "uniformity_with_gradient", ours, false, pairs(3),
      []<class T>(const Case& c, const Batch<T>& b) -> Run {
        const auto out = std::make_shared<metrics::UniformityGradient<RowMatrix<T>>>();
        out->x.resize(c.n, c.d);
        return {[=, &b] { metrics::uniformity_with_gradient(b.x, {}, *out); },
                [=] {
                  return std::vector{as_result(out->value), as_result(out->x)};
                }};
      });
  add(sweep, "uniformity_with_gradient", "eigen", false, pairs(3, 2),
      []<class T>(const Case& c, const Batch<T>& b) -> Run {
        const auto out = std::make_shared<eigen::Gradients<T>>();
        out->x.resize(c.n, c.d);
        return {[=, &b] { eigen::uniformity(b.x, true, *out); },
                [=] {
                  return std::vector{as_result(out->loss), as_result(out->x)};
                }};
      });

  add(sweep, "retrieval_both", ours, false, pairs(2), value([](const auto& b) {
        const auto r = metrics::retrieval_both(b.x, b.y, {.k = {1}});
        return (r.x_to_y.recall[0] + r.y_to_x.recall[0]) / 2;
      }));
  add(sweep, "retrieval_both", "eigen", false, pairs(2, 1),
      value([](const auto& b) { return eigen::recall_both(b.x, b.y); }));

  add(sweep, "alignment", ours, false, rows(2),
      value([](const auto& b) { return metrics::alignment(b.x, b.y); }));
  add(sweep, "alignment", "eigen", false, rows(2),
      value([](const auto& b) { return double((b.x - b.y).rowwise().squaredNorm().mean()); }));
  add(sweep, "alignment_with_gradient", ours, false, rows(4),
      []<class T>(const Case& c, const Batch<T>& b) -> Run {
        const auto out = std::make_shared<metrics::AlignmentGradient<RowMatrix<T>>>();
        out->x.resize(c.n, c.d);
        out->y.resize(c.n, c.d);
        return {[=, &b] { metrics::alignment_with_gradient(b.x, b.y, {}, *out); },
                [=] {
                  return std::vector{as_result(out->value), as_result(out->x)};
                }};
      });
  add(sweep, "alignment_with_gradient", "eigen", false, rows(4),
      []<class T>(const Case& c, const Batch<T>& b) -> Run {
        const auto out = std::make_shared<eigen::Gradients<T>>();
        out->x.resize(c.n, c.d);
        out->y.resize(c.n, c.d);
        return {[=, &b] {
                  out->loss = double((b.x - b.y).rowwise().squaredNorm().mean());
                  out->x = (b.x - b.y) * T(2.0 / double(b.x.rows()));
                  out->y = -out->x;
                },
                [=] {
                  return std::vector{as_result(out->loss), as_result(out->x)};
                }};
      });

  add(sweep, "modality_gap", ours, false, rows(2),
      value([](const auto& b) { return metrics::modality_gap(b.x, b.y); }));
  add(sweep, "modality_gap", "eigen", false, rows(2), value([](const auto& b) {
        return double((b.x.colwise().mean() - b.y.colwise().mean()).norm());
      }));
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv, {"1024", "4096"}, enter); }
