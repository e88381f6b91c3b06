// uniformity on the device against the double sum in long double, differences formed component by
// component.
#include "spheremix/core/constants.hpp"
#include "support/gpu.hpp"

#include "spheremix/gpu/metrics/uniformity.cuh"

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;

struct Reference {
  long double value = 0;
  std::vector<long double> x;
};

Reference reference(const std::vector<double>& x, Index n, Index d, long double t) {
  Reference out;
  out.x.assign(x.size(), 0);
  long double total = 0;
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) {
      if (i == j) continue;
      long double square = 0;
      for (Index k = 0; k < d; ++k) {
        const long double e = (long double)x[std::size_t(i * d + k)] - x[std::size_t(j * d + k)];
        square += e * e;
      }
      const long double kernel = std::exp(-t * square);
      total += kernel;
      for (Index k = 0; k < d; ++k)
        out.x[std::size_t(i * d + k)] -=
            4 * t * kernel * ((long double)x[std::size_t(i * d + k)] - x[std::size_t(j * d + k)]);
    }
  for (long double& v : out.x) v /= total;
  out.value = std::log(total / ((long double)n * (long double)(n - 1)));
  return out;
}

template <class T>
void check(const std::vector<double>& x, Index n, Index d, double t, gpu::Precision precision,
           Index block, double tolerance) {
  CAPTURE(n);
  CAPTURE(d);
  CAPTURE(t);
  const Reference want = reference(x, n, d, t);
  const gpu::metrics::UniformityOptions options{t};
  const gpu::pairwise::KernelProducts how{precision, block};
  const Rows<T> dx(n, d, x);
  Rows<gpu::Arithmetic<T>> gx(n, d);
  Buffer<double> value(1), alone(1);
  with_scratch([&](gpu::Scratch s) {
    return gpu::metrics::uniformity_with_gradient<T>(dx.input(), options, {value.data(), gx.view()},
                                                     s, nullptr, how);
  });
  with_scratch([&](gpu::Scratch s) {
    return gpu::metrics::uniformity<T>(dx.input(), options, alone.data(), s, nullptr, how);
  });
  CHECK(std::abs(value.values()[0] - double(want.value)) <= tolerance * t);
  CHECK(alone.values()[0] == value.values()[0]);
  long double difference = 0, size = 0;
  const auto got = gx.values();
  for (std::size_t k = 0; k < got.size(); ++k) {
    difference += (got[k] - want.x[k]) * (got[k] - want.x[k]);
    size += want.x[k] * want.x[k];
  }
  CHECK(double(std::sqrt(difference / size)) <= tolerance);
}

template <class T>
void check(Index n, Index d, double t, gpu::Precision precision, Index block, double tolerance) {
  check<T>(unit_rows<T>(n, d, 1), n, d, t, precision, block, tolerance);
}

}  // namespace

TEST_CASE("uniformity: ragged sizes, ranges above the diagonal stand for both") {
  in_every_order([] {
    for (const Index n : {2, 3, 63, 64, 65, 130, 200})
      for (const Index d : {2, 5, 33}) check<double>(n, d, 2, gpu::Precision::exact, 64, 1e-11);
    check<double>(130, 3, 50, gpu::Precision::exact, 64, 1e-11);
    check<float>(70, 20, 2, gpu::Precision::exact, 64, 2e-5);
    check<float>(300, 40, 2, gpu::Precision::fast, 128, 1e-3);
    check<gpu::Half>(150, 64, 8, gpu::Precision::fast, 0, 2e-3);
  });
}

TEST_CASE("uniformity where every kernel value underflows") {
  check<double>(64, 8, 2000, gpu::Precision::exact, 64, 1e-9);
}

TEST_CASE("uniformity of orthogonal rows and one close pair, wherever the pair stands") {
  const Index n = 60, d = 64;
  for (const Index pair : {4, 44})
    in_every_order([&] {
      std::vector<double> x(std::size_t(n * d));
      for (Index i = 0; i < n; ++i) x[std::size_t(i * d + i)] = 1;
      x[std::size_t((pair + 1) * d + pair)] = std::cos(1e-3);
      x[std::size_t((pair + 1) * d + pair + 1)] = std::sin(1e-3);
      check<double>(x, n, d, 2000, gpu::Precision::exact, 64, 1e-9);
    });
}
