// Tables larger than one range of the default size, where range meets range: f64 against the whole
// table in long double, and on a GPU 20001 rows, captured into a graph before and after a plain call.
#include "support/gpu.hpp"

#include "gpu/losses/reference.hpp"
#include "spheremix/gpu/losses/clip.cuh"
#include "spheremix/gpu/losses/info_nce.cuh"

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
namespace device = gpu::losses;

}  // namespace

TEST_CASE("f64, more rows than a default range of the second sweep holds") {
  const Index n = 2100, d = 2;
  REQUIRE(gpu::pairwise::range_limits<gpu::pairwise::ExactTile<double>>(n, n, 0).weights_rows < n);
  const auto x = unit_rows<double>(n, d, 1), y = unit_rows<double>(n, d, 2);
  const Reference want =
      contrastive(x, y, n, d, Real(0.1), Real(0.5) / Real(n), Real(0.5) / Real(n));
  const Rows<double> dx(n, d, x), dy(n, d, y), gx(n, d), gy(n, d);
  const Buffer<double> numbers(2);
  const device::ClipOptions options{0.1};
  with_scratch([&](gpu::Scratch s) {
    return device::clip_with_gradient<double>(
        dx.input(), dy.input(), options, {numbers.data(), gx.view(), gy.view(), numbers.data() + 1},
        s);
  });
  CHECK(std::abs(numbers.values()[0] - double(want.loss)) <= 1e-12 * double(want.loss));
  CHECK(std::abs(numbers.values()[1] - double(want.log_temperature)) <=
        1e-10 * std::abs(double(want.log_temperature)));
  CHECK(relative_error(gx.values(), want.x) <= 1e-11);
  CHECK(relative_error(gy.values(), want.y) <= 1e-11);
}

#if defined(__CUDACC__)
namespace {

/// call(stream) captured into a graph and run from it.
template <class Call>
void from_graph(Call call) {
  cudaStream_t stream;
  cudaGraph_t graph;
  cudaGraphExec_t runnable;
  must(cudaStreamCreate(&stream), "stream");
  must(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "capture");
  const gpu::Status status = call(stream);
  must(cudaStreamEndCapture(stream, &graph), "end of capture");
  REQUIRE(status.ok());
  must(cudaGraphInstantiate(&runnable, graph, 0), "instantiate");
  must(cudaGraphLaunch(runnable, stream), "graph");
  must(cudaStreamSynchronize(stream), "graph");
  cudaGraphExecDestroy(runnable);
  cudaGraphDestroy(graph);
  cudaStreamDestroy(stream);
}

/// Row i of InfoNCE's dX in double, from the rows as they are.
std::vector<double> row_gradient(const std::vector<double>& x, const std::vector<double>& y,
                                 Index n, Index d, Index i, double tau) {
  std::vector<double> s(std::size_t(n), 0), out(std::size_t(d), 0);
  double most = -1e300, sum = 0;
  for (Index j = 0; j < n; ++j) {
    for (Index k = 0; k < d; ++k)
      s[std::size_t(j)] += x[std::size_t(i * d + k)] * y[std::size_t(j * d + k)] / tau;
    most = std::fmax(most, s[std::size_t(j)]);
  }
  for (const double v : s) sum += std::exp(v - most);
  for (Index j = 0; j < n; ++j) {
    const double g = (std::exp(s[std::size_t(j)] - most) / sum - (i == j)) / (double(n) * tau);
    for (Index k = 0; k < d; ++k) out[std::size_t(k)] += g * y[std::size_t(j * d + k)];
  }
  return out;
}

}  // namespace

TEST_CASE("20001 rows over default ranges: sampled rows, the exact path, graphs, equal bits") {
  const Index n = std::getenv("SPHEREMIX_SMALL") ? 4321 : 20001;
  for (const Index d : {520, 1024}) {
    CAPTURE(d);
    const auto x = unit_rows<float>(n, d, 1), y = rows_near(x, n, d, 2);
    const Rows<float> dx(n, d, x), dy(n, d, y);
    const auto run = [&](gpu::Precision precision, bool captured) {
      const device::InfoNceOptions options{0.05};
      const gpu::pairwise::KernelProducts how{precision};
      const Rows<float> gx(n, d), gy(n, d);
      const Buffer<double> loss(1);
      const auto on = [&](gpu::Scratch s, cudaStream_t stream) {
        return device::info_nce_with_gradient<float>(dx.input(), dy.input(), options,
                                                     {loss.data(), gx.view(), gy.view(), nullptr},
                                                     s, stream, how);
      };
      const Buffer<char> scratch(
          gpu::scratch_needed([&](gpu::Scratch s) { return on(s, nullptr); }));
      const auto call = [&](cudaStream_t stream) { return on(scratch.scratch(), stream); };
      if (captured)
        from_graph(call);
      else
        finish(call(nullptr));
      auto all = gx.values();
      const auto more = gy.values();
      all.insert(all.end(), more.begin(), more.end());
      all.push_back(loss.values()[0]);
      return all;
    };
    const auto cold = run(gpu::Precision::fast, true), plain = run(gpu::Precision::fast, false),
               warm = run(gpu::Precision::fast, true), exact = run(gpu::Precision::exact, false);
    CHECK(cold == plain);
    CHECK(warm == plain);
    for (int k = 0; k < (d > 520 ? 3 : 20) && plain.size() > 1; ++k)
      if (run(gpu::Precision::fast, false) != plain) {
        FAIL("other bits in run " << k);
        break;
      }
    const auto part = [&](const std::vector<double>& all, Index first, Index rows) {
      return std::vector<double>(all.begin() + first * d, all.begin() + (first + rows) * d);
    };
    CHECK(relative_error(part(plain, 0, n), part(exact, 0, n)) <= 5e-4);
    CHECK(relative_error(part(plain, n, n), part(exact, n, n)) <= 5e-4);
    CHECK(std::abs(plain.back() - exact.back()) <= 1e-4 * exact.back());
    for (const Index i : {Index(0), Index(4095), Index(4096), n / 2, n - 1}) {
      CAPTURE(i);
      const auto want = row_gradient(x, y, n, d, i, 0.05);
      CHECK(relative_error(part(plain, i, 1), want) <= 2e-3);
      CHECK(relative_error(part(exact, i, 1), want) <= 1e-4);
    }
  }
}
#endif
