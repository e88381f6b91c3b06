// Every row function, mixup, sampler and row metric of the device in double next to the CPU library's
// function of the same name: the same formulas, so the same numbers to a few rounding errors, and the
// same integers. In the emulator only: nvcc does not see the CPU library.
#if !defined(__CUDACC__)
#include "support/gpu.hpp"

#include "spheremix/gpu/metrics/alignment.cuh"
#include "spheremix/gpu/metrics/modality_gap.cuh"
#include "spheremix/gpu/metrics/retrieval.cuh"
#include "spheremix/gpu/mixup/derangement.cuh"
#include "spheremix/gpu/mixup/geodesic.cuh"
#include "spheremix/gpu/mixup/linear.cuh"
#include "spheremix/gpu/sphere/distance.cuh"
#include "spheremix/gpu/sphere/exp_log.cuh"
#include "spheremix/gpu/sphere/frechet_mean.cuh"
#include "spheremix/gpu/sphere/normalize.cuh"
#include "spheremix/gpu/sphere/sampling.cuh"
#include "spheremix/gpu/sphere/slerp.cuh"
#include "spheremix/metrics/alignment.hpp"
#include "spheremix/metrics/modality_gap.hpp"
#include "spheremix/metrics/relative_alignment.hpp"
#include "spheremix/metrics/retrieval.hpp"
#include "spheremix/mixup/beta.hpp"
#include "spheremix/mixup/geodesic.hpp"
#include "spheremix/mixup/linear.hpp"
#include "spheremix/mixup/partners.hpp"
#include "spheremix/sphere/distance.hpp"
#include "spheremix/sphere/exp_log.hpp"
#include "spheremix/sphere/frechet_mean.hpp"
#include "spheremix/sphere/normalize.hpp"
#include "spheremix/sphere/sampling.hpp"
#include "spheremix/sphere/slerp_rows.hpp"

using namespace spheremix;
using namespace spheremix::gpu_test;

namespace {

using Host = RowMatrix<double>;

Host host(const std::vector<double>& x, Index n, Index d) {
  return Eigen::Map<const Host>(x.data(), n, d);
}
double off(const Rows<double>& got, const Host& want) {
  const std::vector<double> x = got.values();
  return want.size() == 0 ? 0 : (host(x, want.rows(), want.cols()) - want).cwiseAbs().maxCoeff();
}
double off(const Buffer<double>& got, const Vector<double>& want) {
  const std::vector<double> x = got.values();
  return (Eigen::Map<const Vector<double>>(x.data(), Index(x.size())) - want).cwiseAbs().maxCoeff();
}

template <class Body>
void for_sizes(Body body) {
  const Index sizes[][2] = {{1, 2},   {3, 5},   {70, 3},  {7, 33},   {5, 64},   {4, 129},
                            {3, 257}, {2, 520}, {2, 777}, {2, 1030}, {1, 2050}, {1, 4100}};
  for (const auto& size : sizes)
    for (const Layout& layout : {kLayouts[0], kLayouts[2]}) {
      CAPTURE(size[0]);
      CAPTURE(size[1]);
      in_every_order([&] { body(size[0], size[1], layout); });
    }
}

}  // namespace

TEST_CASE("row functions and mixup: the CPU library's numbers in double") {
  for_sizes([](Index n, Index d, Layout layout) {
    const auto u = unit_rows<double>(n, d, 1), v = unit_rows<double>(n, d, 2),
               c = gaussian(n, d, 3);
    const Host hu = host(u, n, d), hv = host(v, n, d), hc = host(c, n, d);
    const Rows<double> du(n, d, u, layout), dv(n, d, v, layout), dc(n, d, c, layout),
        a(n, d, layout), b(n, d, layout);
    Vector<double> t(n);
    for (Index i = 0; i < n; ++i) t[i] = double(i % 5) / 4;
    const Buffer<double> each(std::vector<double>(t.data(), t.data() + n)),
        number(std::size_t(n) + 0);
    const double eps = 1e-15 * std::max(8.0, double(d) / 8) * hc.rowwise().norm().maxCoeff();

    finish(gpu::sphere::normalize_rows(dc.view(), a.view()));
    CHECK(off(a, sphere::normalize_rows(hc)) <= eps);
    finish(gpu::sphere::normalize_rows_vjp(dc.view(), du.view(), a.view()));
    CHECK(off(a, sphere::normalize_rows_vjp(hc, hu)) <= eps / hc.rowwise().norm().minCoeff());
    finish(gpu::sphere::geodesic_distance_rows(du.view(), dv.view(), number.data()));
    CHECK(off(number, sphere::geodesic_distance_rows(hu, hv)) <= eps);
    finish(gpu::sphere::geodesic_distance_rows_vjp<double>(du.view(), dv.view(), each.data(),
                                                           {a.view(), b.view()}));
    const auto distance = sphere::geodesic_distance_rows_vjp(hu, hv, t);
    const double hard = (1 / sphere::geodesic_distance_rows(hu, hv).array().sin()).maxCoeff();
    CHECK(off(a, distance.u) <= eps * hard);
    CHECK(off(b, distance.v) <= eps * hard);

    const gpu::RowScalar<double> by_row(each.data() + 0);
    finish(gpu::sphere::slerp_rows(du.view(), dv.view(), by_row, a.view()));
    CHECK(off(a, sphere::slerp_rows(hu, hv, t)) <= eps);
    finish(gpu::sphere::slerp_rows_vjp<double>(du.view(), dv.view(), by_row, dc.view(),
                                               {a.view(), b.view(), number.data()}));
    const auto slerp = sphere::slerp_rows_vjp(hu, hv, t, hc);
    CHECK(off(a, slerp.u) <= 4 * eps * hard);
    CHECK(off(b, slerp.v) <= 4 * eps * hard);
    CHECK(off(number, slerp.t) <= 4 * eps * hard);
    finish(gpu::mixup::geodesic(du.view(), dv.view(), by_row, a.view()));
    CHECK(off(a, mixup::geodesic(hu, hv, t)) <= eps);
    finish(gpu::mixup::geodesic_vjp<double>(du.view(), dv.view(), by_row, dc.view(),
                                            {a.view(), b.view(), number.data()}));
    const auto mixed = mixup::geodesic_vjp(hu, hv, t, hc);
    CHECK(off(a, mixed.x) <= 4 * eps * hard);
    CHECK(off(b, mixed.y) <= 4 * eps * hard);
    CHECK(off(number, mixed.lambda) <= 4 * eps * hard);
    finish(gpu::mixup::linear(du.view(), dv.view(), by_row, a.view()));
    CHECK(off(a, mixup::linear(hu, hv, t)) <= eps);
    finish(gpu::mixup::linear_vjp<double>(du.view(), dv.view(), by_row, dc.view(),
                                          {a.view(), b.view(), number.data()}));
    const auto line = mixup::linear_vjp(hu, hv, t, hc);
    CHECK(off(a, line.x) <= eps);
    CHECK(off(b, line.y) <= eps);
    CHECK(off(number, line.lambda) <= 4 * eps);

    Host flat(n, d), there(n, d), log(n, d), carried(n, d);
    for (Index i = 0; i < n; ++i) {
      flat.row(i) = sphere::tangent(hu.row(i), hc.row(i));
      there.row(i) = sphere::exp_map(hu.row(i), hc.row(i));
      log.row(i) = sphere::log_map(hu.row(i), hv.row(i));
      carried.row(i) = sphere::parallel_transport(hu.row(i), hv.row(i), hc.row(i));
    }
    finish(gpu::sphere::tangent_rows(du.view(), dc.view(), a.view()));
    CHECK(off(a, flat) <= eps);
    finish(gpu::sphere::exp_map_rows(du.view(), dc.view(), a.view()));
    CHECK(off(a, there) <= 4 * eps);
    finish(gpu::sphere::log_map_rows(du.view(), dv.view(), a.view()));
    CHECK(off(a, log) <= eps * hard);
    finish(gpu::sphere::parallel_transport_rows(du.view(), dv.view(), dc.view(), a.view()));
    CHECK(off(a, carried) <= 4 * eps * hard);
  });
}

TEST_CASE("row metrics and the Frechet mean: the CPU library's numbers in double") {
  for_sizes([](Index n, Index d, Layout layout) {
    auto u = unit_rows<double>(n, d, 4), v = unit_rows<double>(n, d, 5);
    for (std::size_t k = 0; k < u.size(); ++k) v[k] = 0.6 * v[k] + 0.8 * u[k];
    const Host hu = host(u, n, d), hv = host(v, n, d);
    const Rows<double> du(n, d, u, layout), dv(n, d, v, layout), a(n, d, layout), b(n, d, layout);
    const double eps = 4e-15 * std::max(8.0, double(d) / 8);
    const Buffer<double> value(1), vector(std::size_t(d) + 0);
    for (const double alpha : {2.0, 1.5}) {
      with_scratch([&](gpu::Scratch s) {
        return gpu::metrics::alignment_with_gradient<double>(du.view(), dv.view(), {alpha},
                                                             {value.data(), a.view(), b.view()}, s);
      });
      const auto want = metrics::alignment_with_gradient(hu, hv, {.alpha = alpha});
      CHECK(std::abs(value.values()[0] - want.value) <= eps);
      CHECK(off(a, want.x) <= eps);
      CHECK(off(b, want.y) <= eps);
    }
    with_scratch([&](gpu::Scratch s) {
      return gpu::metrics::modality_gap(du.view(), dv.view(), value.data(), vector.data(), s);
    });
    CHECK(std::abs(value.values()[0] - metrics::modality_gap(hu, hv)) <= eps);
    const Vector<double> gap = metrics::modality_gap_vector(hu, hv);
    CHECK(off(vector, gap) <= eps);
    if (d <= 600) {  // a tile of pairs takes the emulator seconds where rows are longer
      const Buffer<gpu::metrics::Retrieval> found(1);
      with_scratch([&](gpu::Scratch s) {
        return gpu::metrics::retrieval(du.view(), dv.view(), {{1, 5, 10}}, found.data(), s);
      });
      const auto retrieval = metrics::retrieval(hu, hv);
      const gpu::metrics::Retrieval got = found.values()[0];
      for (std::size_t k = 0; k < 3; ++k) CHECK(got.recall[k] == retrieval.recall[k]);
      CHECK(got.median_rank == retrieval.median_rank);
      CHECK(std::abs(got.mrr - retrieval.mrr) <= 1e-15);
      if (n >= 2) {
        with_scratch([&](gpu::Scratch s) {
          return gpu::metrics::relative_alignment(du.view(), dv.view(), value.data(), s);
        });
        CHECK(std::abs(value.values()[0] - metrics::relative_alignment(hu, hv)) <= eps);
      }
    }
    if (n > 10) return;  // far from each other in three dimensions: no mean to speak of
    const Buffer<gpu::sphere::FrechetMeanReport> report(1);
    const Host unit = sphere::normalize_rows(hv);
    const Rows<double> rows(n, d, std::vector<double>(unit.data(), unit.data() + unit.size()));
    with_scratch([&](gpu::Scratch s) {
      return gpu::sphere::frechet_mean(rows.view(), nullptr, {1e-14, 60}, vector.data(),
                                       report.data(), s);
    });
    sphere::FrechetMeanOptions options;
    options.tolerance = 1e-14;
    CHECK(off(vector, sphere::frechet_mean(unit, options).mean) <= 1e-12);
  });
}

TEST_CASE("samplers: the CPU library's integers, and its numbers to rounding") {
  for (const Index n : {1, 2, 5, 33, 200})
    in_every_order([&] {
      CAPTURE(n);
      core::Philox one(5, 3), two(5, 3);
      const Buffer<Index> partners(std::size_t(n) + 0);
      with_scratch(
          [&](gpu::Scratch s) { return gpu::mixup::random_partners(one, partners.data(), n, s); });
      CHECK(partners.values() == mixup::random_partners(n, two));
      if (n > 1) {
        with_scratch(
            [&](gpu::Scratch s) { return gpu::mixup::derangement(one, partners.data(), n, s); });
        CHECK(partners.values() == mixup::derangement(n, two));
      }
      finish(gpu::mixup::flip_partners(partners.data(), n));
      CHECK(partners.values() == mixup::flip_partners(n));
      const Buffer<double> lambda(std::size_t(n) + 0);
      finish(gpu::mixup::beta(0.3, 1.7, one, lambda.data(), n));
      CHECK(off(lambda, mixup::beta<double>(n, 0.3, 1.7, two)) <= 1e-14);
      for (const Index d : {1, 2, 9, 600}) {
        const Rows<double> points(n, d);
        finish(gpu::sphere::sample_uniform(one, points.view()));
        CHECK(off(points, sphere::sample_uniform<double>(n, d, two)) <= 1e-14);
        const auto direction = unit_rows<double>(1, d, 8);
        const Vector<double> mean = Eigen::Map<const Vector<double>>(direction.data(), d);
        const Buffer<double> on_device(direction);
        finish(
            gpu::sphere::sample_von_mises_fisher<double>(on_device.data(), 20, one, points.view()));
        CHECK(off(points, sphere::sample_von_mises_fisher(mean, 20, n, two)) <= 1e-13);
      }
      CHECK(one.step() == two.step());
    });
}
#endif
