// The row functions of gpu/sphere and gpu/mixup in every storage type, over lengths around every
// boundary of the kernels, three layouts, against long double.
#include "support/gpu.hpp"

#include "gpu/sphere/row_reference.hpp"
#include "spheremix/gpu/mixup/geodesic.cuh"
#include "spheremix/gpu/mixup/linear.cuh"
#include "spheremix/gpu/sphere/distance.cuh"
#include "spheremix/gpu/sphere/exp_log.cuh"
#include "spheremix/gpu/sphere/normalize.cuh"
#include "spheremix/gpu/sphere/slerp.cuh"

using namespace spheremix;
using namespace spheremix::gpu_test;

namespace {

std::vector<double> fractions(Index n) {
  std::vector<double> t(static_cast<std::size_t>(n));
  for (Index i = 0; i < n; ++i) t[std::size_t(i)] = double(float(0.05 + 0.9 * double(i % 11) / 10));
  return t;
}
template <class A>
std::vector<A> as(const std::vector<double>& x) {
  return std::vector<A>(x.begin(), x.end());
}

/// Two batches of unit rows of type T and a cotangent; angles of two random rows are near pi/2 for
/// long rows, so that 1/sin stays small, and row 0 is brought close to its partner.
template <class T>
struct Pairs {
  Index n, d;
  std::vector<double> u, v, g;
  std::vector<Column> a, b, c;
  std::vector<double> hard;  // max(1, 1/sin theta)

  Pairs(Index rows, Index cols)
      : n(rows), d(cols), u(unit_rows<T>(n, d, 1)), v(unit_rows<T>(n, d, 2)) {
    g = gaussian(n, d, 3);
    for (double& x : g) x = stored<T>(x / std::sqrt(double(d)));
    if (n > 0 && sizeof(T) > 2) {  // angle about 1e-3
      Column close = unit(combine(1, row_of(u, d, 0), Real(1e-3), row_of(v, d, 0)));
      for (Index j = 0; j < d; ++j) v[std::size_t(j)] = stored<T>(double(close[std::size_t(j)]));
    }
    for (Index i = 0; i < n; ++i) {
      a.push_back(unit(row_of(u, d, i)));
      b.push_back(unit(row_of(v, d, i)));
      c.push_back(row_of(g, d, i));
      hard.push_back(std::max(1.0, 1 / double(std::sin(angle(a.back(), b.back())))));
    }
  }
};

template <class T>
void check_slerp() {
  for_every_case([](Index n, Index d, Layout layout) {
    const Pairs<T> p(n, d);
    const std::vector<double> t = fractions(n);
    const Rows<T> u(n, d, p.u, layout), v(n, d, p.v, layout), out(n, d, layout);
    const Buffer<gpu::Arithmetic<T>> ts(as<gpu::Arithmetic<T>>(t));
    finish(gpu::sphere::slerp_rows(u.view(), v.view(), n > 0 ? gpu::RowScalar(ts.data() + 0) : 0.0,
                                   out.view()));
    const std::vector<double> got = out.values();
    for (Index i = 0; i < n; ++i)
      CHECK(off(got, d, i, slerp(p.a[std::size_t(i)], p.b[std::size_t(i)], t[std::size_t(i)])) <=
            allowed<T>(8, 1, d));
  });
}

template <class T>
void check_slerp_vjp() {
  for_every_case([](Index n, Index d, Layout layout) {
    const Pairs<T> p(n, d);
    const std::vector<double> t = fractions(n);
    const Rows<T> u(n, d, p.u, layout), v(n, d, p.v, layout), g(n, d, p.g, layout),
        du(n, d, layout), dv(n, d, layout);
    const Buffer<gpu::Arithmetic<T>> ts(as<gpu::Arithmetic<T>>(t)), dt(std::size_t(n) + 0);
    finish(gpu::sphere::slerp_rows_vjp<T>(u.view(), v.view(),
                                          n > 0 ? gpu::RowScalar(ts.data() + 0) : 0.0, g.view(),
                                          {du.view(), dv.view(), dt.data()}));
    const std::vector<double> got_u = du.values(), got_v = dv.values();
    const auto got_t = dt.values();
    for (Index i = 0; i < n; ++i) {
      const auto k = std::size_t(i);
      const SlerpPullback want = slerp_pullback(p.a[k], p.b[k], t[k], p.c[k]);
      const double size = std::sqrt(double(dot(p.c[k], p.c[k])));
      const double bound = allowed<T>(16, size * p.hard[k], d);
      CHECK(off(got_u, d, i, want.a) <= bound);
      CHECK(off(got_v, d, i, want.b) <= bound);
      CHECK(std::abs(double(got_t[k]) - double(want.t)) <= bound * 3.2);
    }
  });
}

template <class T>
void check_mixup() {
  for_every_case([](Index n, Index d, Layout layout) {
    using A = gpu::Arithmetic<T>;
    const Pairs<T> p(n, d);
    const std::vector<double> lambda = fractions(n);
    const Rows<T> x(n, d, p.u, layout), y(n, d, p.v, layout), g(n, d, p.g, layout),
        out(n, d, layout), dx(n, d, layout), dy(n, d, layout), arc(n, d, layout), ax(n, d, layout),
        ay(n, d, layout);
    const Buffer<A> each(as<A>(lambda)), dl(std::size_t(n) + 0), al(std::size_t(n) + 0);
    const gpu::RowScalar<A> w = n > 0 ? gpu::RowScalar<A>(each.data() + 0) : gpu::RowScalar<A>(0.5);
    finish(gpu::mixup::linear(x.view(), y.view(), w, out.view()));
    finish(gpu::mixup::linear_vjp<T>(x.view(), y.view(), w, g.view(),
                                     {dx.view(), dy.view(), dl.data()}));
    finish(gpu::mixup::geodesic(x.view(), y.view(), w, arc.view()));
    finish(gpu::mixup::geodesic_vjp<T>(x.view(), y.view(), w, g.view(),
                                       {ax.view(), ay.view(), al.data()}));
    const auto mixed = out.values(), gx = dx.values(), gy = dy.values(), on_arc = arc.values(),
               hx = ax.values(), hy = ay.values();
    const auto gl = dl.values(), hl = al.values();
    for (Index i = 0; i < n; ++i) {
      const auto k = std::size_t(i);
      const Column a = row_of(p.u, d, i), b = row_of(p.v, d, i);
      const Real l = lambda[k];
      const double size = std::sqrt(double(dot(p.c[k], p.c[k])));
      CHECK(off(mixed, d, i, combine(l, a, 1 - l, b)) <= allowed<T>(2, 1, 1));
      CHECK(off(gx, d, i, combine(l, p.c[k], 0, a)) <= allowed<T>(2, size, 1));
      CHECK(off(gy, d, i, combine(1 - l, p.c[k], 0, a)) <= allowed<T>(2, size, 1));
      CHECK(std::abs(double(gl[k]) - double(dot(p.c[k], combine(1, a, -1, b)))) <=
            3 * arithmetic_eps<T> * size * std::max(8.0, double(d) / 16));
      const SlerpPullback want = slerp_pullback(p.a[k], p.b[k], 1 - l, p.c[k]);
      const double bound = allowed<T>(16, size * p.hard[k], d);
      CHECK(off(on_arc, d, i, slerp(p.a[k], p.b[k], 1 - l)) <= allowed<T>(8, 1, d));
      CHECK(off(hx, d, i, want.a) <= bound);
      CHECK(off(hy, d, i, want.b) <= bound);
      CHECK(std::abs(double(hl[k]) + double(want.t)) <= bound * 3.2);
    }
  });
}

template <class T>
void check_distance() {
  for_every_case([](Index n, Index d, Layout layout) {
    using A = gpu::Arithmetic<T>;
    const Pairs<T> p(n, d);
    const Rows<T> u(n, d, p.u, layout), v(n, d, p.v, layout), du(n, d, layout), dv(n, d, layout);
    const Buffer<A> theta(std::size_t(n) + 0), back(std::size_t(n) + 0),
        g(std::vector<A>(std::size_t(n), A(-1.5)));
    finish(gpu::sphere::geodesic_distance_rows(u.view(), v.view(), theta.data()));
    finish(gpu::sphere::geodesic_distance_rows(v.view(), u.view(), back.data()));
    finish(gpu::sphere::geodesic_distance_rows_vjp<T>(u.view(), v.view(), g.data(),
                                                      {du.view(), dv.view()}));
    const auto got = theta.values(), reversed = back.values();
    const auto gu = du.values(), gv = dv.values();
    for (Index i = 0; i < n; ++i) {
      const auto k = std::size_t(i);
      const double want = double(angle(p.a[k], p.b[k]));
      CHECK(std::abs(double(got[k]) - want) <=
            8 * arithmetic_eps<T> * want * std::max(1.0, double(d) / 64));
      CHECK(got[k] == reversed[k]);
      const Plane there(p.a[k], p.b[k]), here(p.b[k], p.a[k]);
      CHECK(off(gu, d, i, combine(Real(1.5), there.leave, 0, p.a[k])) <=
            allowed<T>(16 * p.hard[k], 1.5, d));
      CHECK(off(gv, d, i, combine(Real(1.5), here.leave, 0, p.a[k])) <=
            allowed<T>(16 * p.hard[k], 1.5, d));
    }
  });
}

template <class T>
void check_normalize() {
  for_every_case([](Index n, Index d, Layout layout) {
    std::vector<double> x = gaussian(n, d, 4), g = gaussian(n, d, 5);
    for (std::size_t k = 0; k < x.size(); ++k) {
      const Index i = Index(k) / d;
      const double size = sizeof(T) == 2 || i % 3 == 0 ? 1
                          : i % 3 == 1                 ? 0x1p+120
                                                       : 0x1p-120;  // squares overflow
      x[k] = stored<T>(x[k] * size);
      g[k] = stored<T>(g[k]);
    }
    const Rows<T> in(n, d, x, layout), cotangent(n, d, g, layout), out(n, d, layout),
        back(n, d, layout);
    finish(gpu::sphere::normalize_rows(in.view(), out.view()));
    finish(gpu::sphere::normalize_rows_vjp(in.view(), cotangent.view(), back.view()));
    const auto got = out.values(), pulled = back.values();
    for (Index i = 0; i < n; ++i) {
      const Column a = row_of(x, d, i), y = unit(a), c = row_of(g, d, i);
      const Real norm = std::sqrt(dot(a, a));
      CHECK(off(got, d, i, y) <= allowed<T>(4, 1, d));
      const double size = std::sqrt(double(dot(c, c)));
      if (double(1 / norm) * size < (sizeof(T) == 8   ? 1e300
                                     : sizeof(T) == 4 ? 1e37
                                                      : 1e3) &&
          double(1 / norm) > 1e-30)
        CHECK(off(pulled, d, i, combine(1 / norm, tangent_part(y, c), 0, y)) <=
              allowed<T>(8, size / double(norm), d));
    }
  });
}

template <class T>
void check_maps() {
  for_every_case([](Index n, Index d, Layout layout) {
    const Pairs<T> p(n, d);
    const Rows<T> x(n, d, p.u, layout), y(n, d, p.v, layout), v(n, d, p.g, layout),
        flat(n, d, layout), there(n, d, layout), log(n, d, layout), moved(n, d, layout);
    finish(gpu::sphere::tangent_rows(x.view(), v.view(), flat.view()));
    finish(gpu::sphere::exp_map_rows(x.view(), v.view(), there.view()));
    finish(gpu::sphere::log_map_rows(x.view(), y.view(), log.view()));
    finish(gpu::sphere::parallel_transport_rows(x.view(), y.view(), v.view(), moved.view()));
    const auto t = flat.values(), e = there.values(), l = log.values(), m = moved.values();
    for (Index i = 0; i < n; ++i) {
      const auto k = std::size_t(i);
      const Column w = tangent_part(p.a[k], p.c[k]);
      const Real length = std::sqrt(dot(w, w)), size = std::sqrt(dot(p.c[k], p.c[k]));
      CHECK(off(t, d, i, w) <= allowed<T>(8, double(size), d));
      CHECK(off(e, d, i,
                combine(std::cos(length), p.a[k], length > 0 ? std::sin(length) / length : 1, w)) <=
            allowed<T>(8, std::max(1.0, double(size)), d));
      const Plane plane(p.a[k], p.b[k]);
      CHECK(off(l, d, i, combine(plane.theta, plane.leave, 0, w)) <=
            allowed<T>(8, double(plane.theta) * p.hard[k], d));
      const Column sum = combine(1, p.a[k], 1, p.b[k]);
      CHECK(off(m, d, i, combine(1, w, -2 * dot(p.b[k], w) / dot(sum, sum), sum)) <=
            allowed<T>(16 * p.hard[k], double(size), d));
    }
  });
}

}  // namespace

#define SPHEREMIX_FOR_TYPES(check)        \
  SUBCASE("float") { check<float>(); }    \
  SUBCASE("double") { check<double>(); }  \
  SUBCASE("fp16") { check<gpu::Half>(); } \
  SUBCASE("bf16") { check<gpu::Bfloat16>(); }

TEST_CASE("slerp_rows against long double") { SPHEREMIX_FOR_TYPES(check_slerp) }
TEST_CASE("slerp_rows_vjp against long double") { SPHEREMIX_FOR_TYPES(check_slerp_vjp) }
TEST_CASE("linear and geodesic mixup and their gradients against long double") { SPHEREMIX_FOR_TYPES(check_mixup) }
TEST_CASE("geodesic_distance_rows and its gradient against long double, symmetric to the bit") {
  SPHEREMIX_FOR_TYPES(check_distance)
}
TEST_CASE("normalize_rows and its gradient, rows whose squares overflow among them") {
  SPHEREMIX_FOR_TYPES(check_normalize)
}
TEST_CASE("tangent, exp, log and parallel transport against long double") {
  SPHEREMIX_FOR_TYPES(check_maps)
}
