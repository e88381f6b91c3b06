// cross_uniformity and joint_uniformity on the device against their definitions in long double.
#include "support/gpu.hpp"

#include "spheremix/gpu/metrics/joint_uniformity.cuh"

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
namespace metrics = gpu::metrics;
using Real = long double;

struct Expected {
  Real value = 0;
  std::vector<Real> z;  ///< gradient of X's rows, then of Y's
};

Expected expected(const std::vector<double>& x, const std::vector<double>& y, Index d, Real t,
                  bool joint) {
  std::vector<double> z = x;
  z.insert(z.end(), y.begin(), y.end());
  const std::size_t n = x.size() / std::size_t(d), all = z.size() / std::size_t(d),
                    w = std::size_t(d);
  Expected out;
  out.z.assign(z.size(), 0);
  Real total = 0, pairs = 0;
  for (std::size_t i = 0; i < all; ++i)
    for (std::size_t j = i + 1; j < all; ++j) {
      if (!joint && (i >= n || j < n)) continue;
      Real square = 0;
      for (std::size_t k = 0; k < w; ++k)
        square += (Real(z[i * w + k]) - z[j * w + k]) * (Real(z[i * w + k]) - z[j * w + k]);
      const Real kernel = std::exp(-t * square);
      total += kernel;
      pairs += 1;
      for (std::size_t k = 0; k < w; ++k) {
        const Real g = 2 * t * kernel * (Real(z[i * w + k]) - z[j * w + k]);
        out.z[i * w + k] -= g;
        out.z[j * w + k] += g;
      }
    }
  for (Real& v : out.z) v /= total;
  out.value = std::log(total / pairs);
  return out;
}

template <class T>
void check(Index n, Index m, Index d, double t, bool joint, gpu::Precision precision, Index block,
           double tolerance) {
  CAPTURE(n);
  CAPTURE(m);
  CAPTURE(d);
  CAPTURE(joint);
  const auto x = unit_rows<T>(n, d, 1), y = unit_rows<T>(m, d, 2);
  const Expected want = expected(x, y, d, t, joint);
  const metrics::UniformityOptions options{t};
  const gpu::pairwise::KernelProducts how{precision, block};
  const Rows<T> dx(n, d, x), dy(m, d, y);
  Rows<gpu::Arithmetic<T>> gx(n, d), gy(m, d);
  Buffer<double> value(2);
  const metrics::PairUniformityGradient<T> out{value.data(), gx.view(), gy.view()};
  if (joint) {
    with_scratch([&](gpu::Scratch s) {
      return metrics::joint_uniformity_with_gradient<T>(dx.input(), dy.input(), options, out, s,
                                                        nullptr, how);
    });
    with_scratch([&](gpu::Scratch s) {
      return metrics::joint_uniformity<T>(dx.input(), dy.input(), options, value.data() + 1, s,
                                          nullptr, how);
    });
  } else {
    with_scratch([&](gpu::Scratch s) {
      return metrics::cross_uniformity_with_gradient<T>(dx.input(), dy.input(), options, out, s,
                                                        nullptr, how);
    });
    with_scratch([&](gpu::Scratch s) {
      return metrics::cross_uniformity<T>(dx.input(), dy.input(), options, value.data() + 1, s,
                                          nullptr, how);
    });
  }
  CHECK(std::abs(value.values()[0] - double(want.value)) <= tolerance * t);
  CHECK(value.values()[1] == value.values()[0]);
  std::vector<double> got = gx.values();
  const auto of_y = gy.values();
  got.insert(got.end(), of_y.begin(), of_y.end());
  Real difference = 0, size = 0;
  for (std::size_t k = 0; k < got.size(); ++k) {
    difference += (got[k] - want.z[k]) * (got[k] - want.z[k]);
    size += want.z[k] * want.z[k];
  }
  CHECK(double(std::sqrt(difference / size)) <= tolerance);
}

}  // namespace

TEST_CASE("cross and joint uniformity at ragged sizes") {
  in_every_order([] {
    for (const bool joint : {false, true}) {
      for (const Index n : {1, 3, 65})
        for (const Index m : {1, 64, 130})
          check<double>(n, m, 7, 2, joint, gpu::Precision::exact, 64, 1e-11);
      check<double>(70, 40, 3, 60, joint, gpu::Precision::exact, 64, 1e-11);
      check<float>(70, 40, 20, 2, joint, gpu::Precision::exact, 64, 2e-5);
      check<float>(150, 140, 36, 2, joint, gpu::Precision::fast, 128, 1e-3);
      check<gpu::Half>(40, 90, 24, 5, joint, gpu::Precision::fast, 0, 2e-3);
    }
  });
}
