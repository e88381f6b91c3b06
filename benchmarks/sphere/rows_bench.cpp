// Functions of rows, and the matrix of all angles. Who: spheremix; eigen, whole-matrix expressions
// with acos.
#include "spheremix/sphere/distance.hpp"
#include "spheremix/sphere/distance_matrix.hpp"
#include "spheremix/sphere/normalize.hpp"
#include "spheremix/sphere/slerp_rows.hpp"
#include "support/eigen_forms.hpp"
#include "support/measure.hpp"

namespace {

using namespace bench;
namespace sphere = spheremix::sphere;
constexpr double kT = 0.7;  // of slerp: weight .3 on the first argument

/// `batches` matrices of n x d read or written.
auto rows(double batches) {
  return [=](const Case& c) {
    return Cost{.bytes = batches * double(c.n) * double(c.d) * double(c.scalar())};
  };
}
Cost angles(const Case& c) {
  const double n = double(c.n);
  return {.flops = 2 * n * n * double(c.d), .tables = n * n * double(c.scalar())};
}

/// One matrix as the result: body(batch, out).
template <class Body>
auto matrix(Body body) {
  return [=]<class T>(const Case&, const Batch<T>& b) -> Run {
    const auto out = std::make_shared<RowMatrix<T>>();
    body(b, *out);  // gives it its size
    return {[=, &b] { body(b, *out); }, [=] { return std::vector{as_result(*out)}; }};
  };
}

/// Gradients of slerp.
template <class T>
struct Pullback {
  RowMatrix<T> u, v;
  double t = 0;
};
template <class Body>
auto pullback(Body body) {
  return [=]<class T>(const Case& c, const Batch<T>& b) -> Run {
    const auto out = std::make_shared<Pullback<T>>();
    out->u.resize(c.n, c.d);
    out->v.resize(c.n, c.d);
    return {[=, &b] { body(b, *out); },
            [=, &b] {
              return std::vector{eigen::tangent(as_result(out->u), b.x.template cast<double>()),
                                 eigen::tangent(as_result(out->v), b.y.template cast<double>()),
                                 as_result(out->t)};
            }};
  };
}

void enter(const Sweep& sweep) {
  const auto ours = "spheremix";
  add(sweep, "normalize_rows", ours, false, rows(2),
      matrix([](const auto& b, auto& out) { sphere::normalize_rows(b.g, out); }));
  add(sweep, "normalize_rows", "eigen", false, rows(2),
      matrix([](const auto& b, auto& out) { out = b.g.rowwise().normalized(); }));
  add(sweep, "normalize_rows_vjp", ours, false, rows(3),
      matrix([](const auto& b, auto& out) { sphere::normalize_rows_vjp(b.x, b.g, out); }));
  add(sweep, "normalize_rows_vjp", "eigen", false, rows(3),
      matrix([]<class T>(const Batch<T>& b, auto& out) {
        const Column<T> norm = b.x.rowwise().norm();
        const Column<T> along =
            b.x.cwiseProduct(b.g).rowwise().sum().array() / norm.array().square();
        out = norm.cwiseInverse().asDiagonal() * (b.g - along.asDiagonal() * b.x);
      }));

  add(sweep, "geodesic_distance_rows", ours, false, rows(2),
      []<class T>(const Case& c, const Batch<T>& b) -> Run {
        const auto out = std::make_shared<Column<T>>(c.n);
        return {[=, &b] { sphere::geodesic_distance_rows(b.x, b.y, *out); },
                [=] { return std::vector{as_result(*out)}; }};
      });
  add(sweep, "geodesic_distance_rows", "eigen", false, rows(2),
      []<class T>(const Case& c, const Batch<T>& b) -> Run {
        const auto out = std::make_shared<Column<T>>(c.n);
        return {[=, &b] { *out = b.x.cwiseProduct(b.y).rowwise().sum().array().acos(); },
                [=] { return std::vector{as_result(*out)}; }};
      });

  add(sweep, "slerp_rows", ours, false, rows(3),
      matrix([](const auto& b, auto& out) { sphere::slerp_rows(b.x, b.y, kT, out); }));
  add(sweep, "slerp_rows", "eigen", false, rows(3),
      matrix([]<class T>(const Batch<T>& b, auto& out) {
        out = eigen::Slerp<T>(b.x, b.y, T(1 - kT)).mix(b.x, b.y);
      }));
  add(sweep, "slerp_rows_vjp", ours, false, rows(5),
      pullback([](const auto& b, auto& out) { sphere::slerp_rows_vjp(b.x, b.y, kT, b.g, out); }));
  add(sweep, "slerp_rows_vjp", "eigen", false, rows(5),
      pullback([]<class T>(const Batch<T>& b, auto& out) {
        out.u.setZero();
        out.v.setZero();
        out.t =
            -eigen::Slerp<T>(b.x, b.y, T(1 - kT)).pull_back(b.x, b.y, T(1 - kT), b.g, out.u, out.v);
      }));

  add(sweep, "geodesic_distance_matrix", ours, false, angles,
      matrix([](const auto& b, auto& out) { sphere::geodesic_distance_matrix(b.x, b.y, out); }));
  add(sweep, "geodesic_distance_matrix", "eigen", false, angles,
      matrix([](const auto& b, auto& out) {
        out.noalias() = b.x * b.y.transpose();
        out = out.array().acos();
      }));
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv, {"4096"}, enter); }
