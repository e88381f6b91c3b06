// Mixing rows, and drawing what it needs. Who: spheremix; eigen, whole-matrix expressions with
// acos.
#include "spheremix/mixup/beta.hpp"
#include "spheremix/mixup/geodesic.hpp"
#include "spheremix/mixup/linear.hpp"
#include "support/eigen_forms.hpp"
#include "support/measure.hpp"

namespace {

using namespace bench;
namespace mixup = spheremix::mixup;
constexpr double kLambda = 0.3;

/// `batches` matrices of n x d read or written.
auto rows(double batches) {
  return [=](const Case& c) {
    return Cost{.bytes = batches * double(c.n) * double(c.d) * double(c.scalar())};
  };
}

template <class Body>
auto forward(Body body) {
  return [=]<class T>(const Case& c, const Batch<T>& b) -> Run {
    const auto out = std::make_shared<RowMatrix<T>>(c.n, c.d);
    return {[=, &b] { body(b, *out); }, [=] { return std::vector{as_result(*out)}; }};
  };
}

template <class Body>
auto backward(Body body) {
  return [=]<class T>(const Case& c, const Batch<T>& b) -> Run {
    const auto out = std::make_shared<mixup::MixGradient<RowMatrix<T>, double>>();
    out->x.resize(c.n, c.d);
    out->y.resize(c.n, c.d);
    return {[=, &b] { body(b, *out); },
            [=, &b] {
              return std::vector{eigen::tangent(as_result(out->x), b.x.template cast<double>()),
                                 eigen::tangent(as_result(out->y), b.y.template cast<double>()),
                                 as_result(out->lambda)};
            }};
  };
}

void enter(const Sweep& sweep) {
  const auto ours = "spheremix";
  add(sweep, "geodesic", ours, false, rows(3),
      forward([](const auto& b, auto& out) { mixup::geodesic(b.x, b.y, kLambda, out); }));
  add(sweep, "geodesic", "eigen", false, rows(3),
      forward([]<class T>(const Batch<T>& b, auto& out) {
        out = eigen::Slerp<T>(b.x, b.y, T(kLambda)).mix(b.x, b.y);
      }));
  add(sweep, "geodesic_vjp", ours, false, rows(5),
      backward([](const auto& b, auto& out) { mixup::geodesic_vjp(b.x, b.y, kLambda, b.g, out); }));
  add(sweep, "geodesic_vjp", "eigen", false, rows(5),
      backward([]<class T>(const Batch<T>& b, auto& out) {
        out.x.setZero();
        out.y.setZero();
        out.lambda = eigen::Slerp<T>(b.x, b.y, T(kLambda))
                         .pull_back(b.x, b.y, T(kLambda), b.g, out.x, out.y);
      }));

  add(sweep, "linear", ours, false, rows(3),
      forward([](const auto& b, auto& out) { mixup::linear(b.x, b.y, kLambda, out); }));
  add(sweep, "linear", "eigen", false, rows(3), forward([]<class T>(const Batch<T>& b, auto& out) {
        out = T(kLambda) * b.x + T(1 - kLambda) * b.y;
      }));
  add(sweep, "linear_vjp", ours, false, rows(5),
      backward([](const auto& b, auto& out) { mixup::linear_vjp(b.x, b.y, kLambda, b.g, out); }));
  add(sweep, "linear_vjp", "eigen", false, rows(5),
      backward([]<class T>(const Batch<T>& b, auto& out) {
        out.x = T(kLambda) * b.g;
        out.y = T(1 - kLambda) * b.g;
        out.lambda = double(b.g.cwiseProduct(b.x - b.y).sum());
      }));

  add(
      sweep, "beta", ours, false,
      [](const Case& c) { return Cost{.bytes = double(c.n) * double(c.scalar())}; },
      []<class T>(const Case& c, const Batch<T>&) -> Run {
        const auto out = std::make_shared<Column<T>>(c.n);
        const auto rng = std::make_shared<spheremix::core::Philox>(1);
        return {[=] { mixup::beta(out->size(), 0.5, 0.5, *rng, *out); }, {}};
      });
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv, {"4096"}, enter); }
