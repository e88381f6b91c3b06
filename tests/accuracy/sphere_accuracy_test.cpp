// The promises of the sphere against 80-digit values: angles 0 and 1e-12 to pi - 1e-12, d to 512,
// denormal and huge rows. The reference is the function of the rows as given, normalised exactly.
#include "accuracy/table.hpp"
#include "spheremix/sphere/distance.hpp"
#include "spheremix/sphere/exp_log.hpp"
#include "spheremix/sphere/normalize.hpp"
#include "spheremix/sphere/slerp.hpp"
#include "spheremix/sphere/slerp_rows.hpp"

namespace {

using namespace accuracy;
namespace sphere = spheremix::sphere;

template <class T>
RowMatrix<T> stored_row(const std::vector<double>& v) {
  RowMatrix<T> out(1, Index(v.size()));
  for (std::size_t k = 0; k < v.size(); ++k) out(0, Index(k)) = T(v[k]);
  return out;
}

template <class T>
RowMatrix<T> quarter_turn(const RowMatrix<T>& u, T scale) {
  RowMatrix<T> w = RowMatrix<T>::Zero(1, u.cols());
  for (Index k = 0; k + 1 < u.cols(); k += 2) {
    w(0, k) = -u(0, k + 1) * scale;
    w(0, k + 1) = u(0, k) * scale;
  }
  return w;
}

template <class T>
void pair_case(Table& table, const Case& c) {
  const Index d = c.count("d");
  const auto seed = c.seed();
  const bool stored = c.has("u");
  const auto pair_seed = stored ? 0 : std::uint64_t(c.number("seed"));
  const RowMatrix<T> u =
      stored ? stored_row<T>(c.array("u")) : reference::rows<T>(c.text("kind"), pair_seed, 0, 1, d);
  const RowMatrix<T> v =
      stored ? stored_row<T>(c.array("v")) : reference::rows<T>(c.text("kind"), pair_seed, 1, 1, d);
  const RowMatrix<T> g = reference::cotangent<T>(seed, 1, d);
  const RowMatrix<T> w = quarter_turn(u, T(c.number("scale")));
  const T t = T(c.number("t"));
  const double theta = c.array("distance")[0], size = double(g.norm()), plain = sums(d);
  // Rows a few units in the last place apart: their lengths differ by more than their directions,
  // and what is left after orthogonalising has that much fewer digits. Counted apart, with the
  // ratio in the scale.
  const bool ulps = c.has("theta") && c.text("theta").find("ulps") != std::string::npos;
  const long double lengths =
      std::abs(u.template cast<long double>().norm() - v.template cast<long double>().norm());
  const double noise = ulps ? std::max(1.0, double(lengths) / c.number("sine")) : 1;
  const std::string apart = ulps ? ", ulps apart" : "";
  // The promise allows 1/sin(theta) at both ends; it is held to here only near pi, where the
  // problem has it.
  const double steep = theta < 1.5 ? 1 : std::max(1.0, 1 / c.number("sine"));

  table.add<T>("geodesic_distance" + apart, 8, c,
               scalar_error(double(sphere::geodesic_distance(u, v)), theta), theta * plain);
  table.add<T>("slerp" + apart, 8, c,
               component_error(sphere::slerp(u, v, t), c.array("slerp"), seed), plain * noise);
  RowMatrix<T> rows_of_t = sphere::slerp_rows(u, v, t);
  table.add<T>("slerp_rows" + apart, 8, c, component_error(rows_of_t, c.array("slerp"), seed),
               plain * noise);
  if (t == 0 || t == 1) CHECK((rows_of_t.array() == (t == 0 ? u : v).array()).all());
  table.add<T>("log_map" + apart, 8, c, row_error(sphere::log_map(u, v), c.array("log"), seed),
               theta * plain * noise);
  table.add<T>("exp_map" + apart, 8, c,
               component_error(sphere::exp_map(u, w), c.array("exp"), seed),
               plain * std::max(1.0, double(w.norm())));
  table.add<T>("tangent" + apart, 8, c, row_error(sphere::tangent(u, g), c.array("tangent"), seed),
               size * plain);
  table.add<T>("parallel_transport" + apart, 8, c,
               row_error(sphere::parallel_transport(u, v, g), c.array("transport"), seed),
               size * steep * plain);
  const auto one = sphere::slerp_vjp(u, v, t, g);
  table.add<T>(
      "slerp_vjp u, v" + apart, 16, c,
      std::max(row_error(one.u, c.array("vjp_u"), seed), row_error(one.v, c.array("vjp_v"), seed)),
      size * steep * plain * noise);
  table.add<T>("slerp_vjp t" + apart, 16, c, scalar_error(double(one.t), c.array("vjp_t")[0]),
               size * steep * plain * noise);
  const auto many = sphere::slerp_rows_vjp(u, v, t, g);
  table.add<T>("slerp_rows_vjp u, v, t" + apart, 16, c,
               std::max({row_error(many.u, c.array("vjp_u"), seed),
                         row_error(many.v, c.array("vjp_v"), seed),
                         scalar_error(double(many.t), c.array("vjp_t")[0])}),
               size * steep * plain * noise);
}

template <class T>
void normalize_case(Table& table, const Case& c) {
  const RowMatrix<T> x = stored_row<T>(c.array("x"));
  const std::vector<double>& want = c.array("value");
  const auto worst = [&](const auto& got) {  // relative, component by component
    double error = 0;
    for (std::size_t k = 0; k < want.size(); ++k) {
      const double e = scalar_error(double(got(0, Index(k))), want[k]);
      // A result below the normal range keeps fewer digits than eps.
      const double grain = std::max(std::abs(want[k]), double(std::numeric_limits<T>::min()));
      error = std::max(error, e / grain);
    }
    return error;
  };
  table.add<T>("normalize", 4, c, worst(sphere::normalize(x)), sums(x.cols()));
  table.add<T>("normalize_rows", 4, c, worst(sphere::normalize_rows(x)), sums(x.cols()));
}

}  // namespace

TEST_CASE("accuracy: the sphere keeps its promises") {
  Table table(
      "Sphere, errors in eps of the promise's scale (slerp_vjp and transport without 1/sin below "
      "pi/2)");
  for_each_case("sphere.txt", [&]<class T>(const Case& c) {
    if (c.function == "normalize")
      normalize_case<T>(table, c);
    else
      pair_case<T>(table, c);
  });
  table.finish();
}
