// What the row functions do at the edges: exact end points, equal and antipodal rows, NaN in its
// row, in place, wrong arguments, no rows, no columns.
#include "support/gpu.hpp"

#include <functional>

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

bool row_is_nan(const std::vector<double>& x, Index cols, Index i) {
  for (Index j = 0; j < cols; ++j)
    if (!std::isnan(x[std::size_t(i * cols + j)])) return false;
  return true;
}
bool row_is_finite(const std::vector<double>& x, Index cols, Index i) {
  for (Index j = 0; j < cols; ++j)
    if (!std::isfinite(x[std::size_t(i * cols + j)])) return false;
  return true;
}

/// The angle of nearly unit rows from the part of their difference or sum across a: no digits are
/// lost at either end.
Real exact_angle(const Column& a, const Column& b) {
  const bool close = dot(a, b) > 0;
  const Column shorter = combine(1, b, close ? -1 : 1, a);
  const Column across = combine(1, shorter, -dot(shorter, a) / dot(a, a), a);
  return std::atan2(std::sqrt(dot(across, across) * dot(a, a)), dot(a, b));
}

/// Row 0 ordinary, 1 equal, 2 antipodal, 3 with NaN, 4 ordinary.
struct Edges {
  std::vector<double> u, v;
  explicit Edges(Index d) : u(unit_rows<float>(5, d, 7)), v(unit_rows<float>(5, d, 8)) {
    for (Index j = 0; j < d; ++j) {
      v[std::size_t(d + j)] = u[std::size_t(d + j)];
      v[std::size_t(2 * d + j)] = -u[std::size_t(2 * d + j)];
    }
    v[std::size_t(3 * d + d / 2)] = NAN;
  }
};

}  // namespace

TEST_CASE("NaN and antipodes stay in their row; equal rows and end points give the input's bits") {
  for (const Index d : {3, 64, 129, 700, 2500})
    for (const Layout layout : kLayouts) {
      CAPTURE(d);
      const Edges e(d);
      const std::vector<double> g = gaussian(5, d, 9);
      in_every_order([&] {
        const Rows<float> u(5, d, e.u, layout), v(5, d, e.v, layout), c(5, d, g, layout),
            out(5, d, layout), gu(5, d, layout), gv(5, d, layout), log(5, d, layout),
            moved(5, d, layout), gdu(5, d, layout), gdv(5, d, layout);
        const Buffer<float> theta(5), gt(5), ones(std::vector<float>(5, 1.0f));
        finish(gpu::sphere::slerp_rows(u.view(), v.view(), 0.3, out.view()));
        finish(gpu::sphere::slerp_rows_vjp<float>(u.view(), v.view(), 0.3, c.view(),
                                                  {gu.view(), gv.view(), gt.data()}));
        finish(gpu::sphere::geodesic_distance_rows(u.view(), v.view(), theta.data()));
        finish(gpu::sphere::geodesic_distance_rows_vjp<float>(u.view(), v.view(), ones.data(),
                                                              {gdu.view(), gdv.view()}));
        finish(gpu::sphere::log_map_rows(u.view(), v.view(), log.view()));
        finish(gpu::sphere::parallel_transport_rows(u.view(), v.view(), c.view(), moved.view()));
        const auto m = out.values(), du = gu.values(), dv = gv.values(), l = log.values(),
                   p = moved.values(), tu = gdu.values(), tv = gdv.values();
        const auto angles = theta.values(), dt = gt.values();
        for (const Index i : {0, 1, 4})
          for (const auto* x : {&m, &du, &dv, &l, &p, &tu, &tv}) CHECK(row_is_finite(*x, d, i));
        for (const Index i : {2, 3})
          for (const auto* x : {&m, &du, &dv, &l, &p}) CHECK(row_is_nan(*x, d, i));
        CHECK((std::isnan(dt[2]) && std::isnan(dt[3]) && std::isfinite(dt[0]) && dt[1] == 0));
        for (Index j = 0; j < d; ++j) {
          CHECK(m[std::size_t(d + j)] == e.u[std::size_t(d + j)]);  // a == b gives a
          CHECK(l[std::size_t(d + j)] == 0);
          CHECK(tu[std::size_t(d + j)] == 0);
          CHECK(tv[std::size_t(2 * d + j)] == 0);
        }
        CHECK(angles[1] == 0);
        CHECK(std::abs(double(angles[2]) - 3.14159265358979) < 3e-7);
        CHECK((std::isnan(angles[3]) && row_is_nan(tu, d, 3)));

        for (const double t : {0.0, 1.0}) {
          finish(gpu::sphere::slerp_rows(u.view(), v.view(), t, out.view()));
          const auto end = out.values();
          for (const Index i : {0, 1, 4})
            for (Index j = 0; j < d; ++j)
              CHECK(end[std::size_t(i * d + j)] == (t == 0 ? e.u : e.v)[std::size_t(i * d + j)]);
          CHECK(row_is_nan(end, d, 2));
          CHECK(row_is_nan(end, d, 3));
        }
      });
    }
}

TEST_CASE("angles from 1e-12 to nearly pi keep their relative accuracy") {
  for (const Index d : {2, 64, 512, 1500})
    for (const double theta : {1e-12, 1e-9, 1e-6, 1e-3, 0.5, 1.5, 3.0, 3.1415, 3.14159265}) {
      const Column a = unit(row_of(gaussian(1, d, 21), d, 0));
      const Column side = unit(tangent_part(a, row_of(gaussian(1, d, 22), d, 0)));
      const Column b = combine(std::cos(Real(theta)), a, std::sin(Real(theta)), side);
      const auto rounded = [](const Column& x) { return std::vector<double>(x.begin(), x.end()); };
      const std::vector<double> ha = rounded(a), hb = rounded(b);
      const Rows<double> u(1, d, ha), v(1, d, hb);
      const Buffer<double> out(1);
      in_every_order([&] {
        finish(gpu::sphere::geodesic_distance_rows(u.view(), v.view(), out.data()));
        const double want = double(exact_angle(row_of(ha, d, 0), row_of(hb, d, 0)));
        CAPTURE(theta);
        CAPTURE(d);
        CHECK(std::abs(out.values()[0] - want) <=
              8 * 2.22e-16 * want * std::max(1.0, double(d) / 64) + 1e-20);
      });
    }
}

TEST_CASE("normalize: zero, infinite, denormal and huge rows") {
  for (const Index d : {5, 300, 3000}) {
    std::vector<double> x = gaussian(5, d, 11);
    for (Index j = 0; j < d; ++j) {
      x[std::size_t(j)] = 0;
      x[std::size_t(2 * d + j)] *= 1e-43;
      x[std::size_t(3 * d + j)] *= 1e37;
      for (Index i = 2; i < 4; ++i)
        x[std::size_t(i * d + j)] = stored<float>(x[std::size_t(i * d + j)]);
    }
    x[std::size_t(d + 1)] = INFINITY;
    x[std::size_t(4 * d + d - 1)] = NAN;
    in_every_order([&] {
      const Rows<float> in(5, d, x), out(5, d);
      finish(gpu::sphere::normalize_rows(in.view(), out.view()));
      const auto got = out.values();
      for (const Index i : {0, 1, 4}) CHECK(row_is_nan(got, d, i));
      for (const Index i : {2, 3})
        CHECK(off(got, d, i, unit(row_of(x, d, i))) <= allowed<float>(4, 1, d));
    });
  }
}

TEST_CASE("in place gives the bits of out of place; other overlap is refused") {
  for (const Index d : {100, 640, 3000}) {
    const std::vector<double> a = unit_rows<float>(6, d, 1), b = unit_rows<float>(6, d, 2),
                              c = gaussian(6, d, 3);
    in_every_order([&] {
      const Rows<float> u(6, d, a), v(6, d, b), g(6, d, c), m(6, d), du(6, d), dv(6, d);
      finish(gpu::sphere::slerp_rows(u.view(), v.view(), 0.3, m.view()));
      finish(gpu::sphere::slerp_rows_vjp<float>(u.view(), v.view(), 0.3, g.view(),
                                                {du.view(), dv.view(), nullptr}));
      {
        const Rows<float> same(6, d, a);
        finish(gpu::sphere::slerp_rows(same.view(), v.view(), 0.3, same.view()));
        CHECK(same.values() == m.values());
      }
      {
        const Rows<float> x(6, d, a), y(6, d, b);
        finish(gpu::sphere::slerp_rows_vjp<float>(x.view(), y.view(), 0.3, g.view(),
                                                  {y.view(), x.view(), nullptr}));
        CHECK(y.values() == du.values());
        CHECK(x.values() == dv.values());
      }
      const Rows<float> big(7, d, gaussian(7, d, 4));
      const auto upper = big.view().middle_rows(0, 6), lower = big.view().middle_rows(1, 6);
      CHECK(!gpu::sphere::slerp_rows(upper, v.view(), 0.3, lower).ok());
      CHECK(!gpu::sphere::normalize_rows(upper, lower).ok());
      CHECK(!gpu::sphere::slerp_rows_vjp<float>(u.view(), v.view(), 0.3, g.view(),
                                                {upper, lower, nullptr})
                 .ok());
    });
  }
}

TEST_CASE("wrong arguments come back as statuses that name the function; no rows is right") {
  const Rows<float> a(3, 8, unit_rows<float>(3, 8, 1)), b(3, 9, unit_rows<float>(3, 9, 2)),
      c(4, 8, unit_rows<float>(4, 8, 3)), out(3, 8);
  const auto wrong = [](gpu::Status s, const char* name) {
    CHECK(s.code == cudaErrorInvalidValue);
    CHECK(std::strncmp(s.text, name, std::strlen(name)) == 0);
  };
  wrong(gpu::sphere::slerp_rows(a.view(), b.view(), 0.5, out.view()), "slerp_rows:");
  wrong(gpu::sphere::slerp_rows(a.view(), c.view(), 0.5, out.view()), "slerp_rows:");
  wrong(gpu::sphere::normalize_rows(core::MatrixView<const float>{nullptr, 3, 8, 8}, out.view()),
        "normalize_rows:");
  wrong(gpu::sphere::normalize_rows(core::MatrixView<const float>{a.view().data, 3, 8, 7},
                                    out.view()),
        "normalize_rows:");
  wrong(gpu::sphere::geodesic_distance_rows(a.view(), a.view(), nullptr),
        "geodesic_distance_rows:");
  wrong(gpu::mixup::geodesic(a.view(), a.view(), 1.5, out.view()), "geodesic:");
  wrong(gpu::mixup::linear(a.view(), a.view(), -0.1, out.view()), "linear:");
  wrong(gpu::mixup::geodesic_vjp<float>(a.view(), a.view(), NAN, a.view(),
                                        {out.view(), out.view(), nullptr}),
        "geodesic_vjp:");
  const core::MatrixView<float> wide{out.view().data, 1, 16385, 16385};
  wrong(gpu::sphere::normalize_rows(wide, wide), "spheremix::gpu:");
  const core::MatrixView<float> none{nullptr, 0, 8, 8}, thin{nullptr, 3, 0, 0};
  finish(gpu::sphere::slerp_rows(none, none, 0.5, none));
  finish(gpu::sphere::normalize_rows(thin, thin));
#if defined(SPHEREMIX_EMULATOR)
  const std::size_t before = emulator::launches;
  finish(gpu::sphere::slerp_rows(a.view(), a.view(), 0.5, out.view()));
  CHECK(emulator::launches == before + 1);  // one kernel a call
#endif
}

TEST_CASE("a lambda outside [0, 1] makes NaN of its row and of no other") {
  const Rows<float> a(4, 40, unit_rows<float>(4, 40, 1)), b(4, 40, unit_rows<float>(4, 40, 2)),
      out(4, 40);
  const Buffer<float> lambda(std::vector<float>{0.0f, 1.25f, NAN, 1.0f});
  in_every_order([&] {
    for (const bool geodesic : {false, true}) {
      finish(geodesic ? gpu::mixup::geodesic(a.view(), b.view(), lambda.data() + 0, out.view())
                      : gpu::mixup::linear(a.view(), b.view(), lambda.data() + 0, out.view()));
      const auto m = out.values(), x = a.values(), y = b.values();
      CHECK((row_is_nan(m, 40, 1) && row_is_nan(m, 40, 2)));
      for (std::size_t j = 0; j < 40; ++j) {
        CHECK(m[j] == y[j]);
        CHECK(m[120 + j] == x[120 + j]);
      }
    }
  });
}
