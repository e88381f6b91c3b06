// The owning layer: matrices and memory, copies to and from Eigen, views of mdspans, capture into a
// graph.
#include "support/gpu.hpp"

#include <algorithm>

#include "spheremix/gpu/core/matrix.cuh"
#include "spheremix/gpu/metrics/alignment.cuh"
#include "spheremix/gpu/metrics/hubness.cuh"
#include "spheremix/gpu/metrics/spectrum.cuh"
#include "spheremix/gpu/mixup/derangement.cuh"
#include "spheremix/gpu/mixup/geodesic.cuh"
#include "spheremix/gpu/sphere/frechet_mean.cuh"
#if !defined(__CUDACC__)
#include "spheremix/gpu/core/eigen.hpp"
#endif
#if defined(__CUDACC__)
#include "spheremix/gpu/core/mdspan.cuh"
#endif

using namespace spheremix;
using namespace spheremix::gpu_test;

TEST_CASE("Matrix: rows on 16 bytes, moves, upload and download of strided rows") {
  for (const Index d : {1, 3, 4, 100, 513}) {
    gpu::Matrix<float> m(5, d);
    CHECK(reinterpret_cast<std::uintptr_t>(m.view().row(1)) % 16 == 0);
    std::vector<float> host(std::size_t(5 * (d + 2)), 0.5f), back(std::size_t(5 * d), 0.0f);
    for (std::size_t k = 0; k < host.size(); ++k) host[k] = float(k);
    m.upload(host.data(), d + 2);
    gpu::Matrix<float> other = std::move(m);
    other.download(back.data(), d);
    for (Index i = 0; i < 5; ++i)
      for (Index j = 0; j < d; ++j)
        CHECK(back[std::size_t(i * d + j)] == host[std::size_t(i * (d + 2) + j)]);
  }
  gpu::Matrix<gpu::Half> none(0, 7);
  none.upload(nullptr, 7);
  CHECK_THROWS_AS(gpu::expect(gpu::invalid("text")), std::runtime_error);
}

#if !defined(__CUDACC__)
TEST_CASE("Eigen: any expression to the device and back, 16 bits rounded") {
  const RowMatrix<float> x = RowMatrix<float>::Random(6, 9);
  CHECK(gpu::to_host(gpu::to_device(x)) == x);
  CHECK(gpu::to_host(gpu::to_device(x.transpose())) == x.transpose());
  CHECK(gpu::to_host(gpu::to_device(x.block(1, 2, 3, 4))) == x.block(1, 2, 3, 4));
  const RowMatrix<float> half = gpu::to_host(gpu::to_device_as<gpu::Half>(x));
  CHECK((half - x).cwiseAbs().maxCoeff() <= 0x1p-11f);
  gpu::Matrix<float> out(6, 9), a = gpu::to_device(x), b = gpu::to_device(2 * x);
  finish(gpu::mixup::geodesic(a.view(), b.view(), 1.0, out.view()));
  CHECK(gpu::to_host(out) == x);
}
#endif

#if defined(__CUDACC__)
TEST_CASE("mdspan: layout_right and row-strided views; a column-major one is refused") {
  gpu::Matrix<float> u(3, 8), out(3, 8);
  std::vector<float> host(24, 0.25f);
  u.upload(host.data(), 8);
  using Extents = ::cuda::std::dextents<int, 2>;
  const ::cuda::std::mdspan<float, Extents> a(u.view().data, 3, 8), m(out.view().data, 3, 8);
  finish(gpu::mixup::geodesic(gpu::view(a), gpu::view(a), 0.5, gpu::view(m)));
  std::vector<float> got(24);
  out.download(got.data(), 8);
  CHECK(got == host);
  const ::cuda::std::mdspan<float, Extents, ::cuda::std::layout_left> turned(u.view().data, 3, 8);
  CHECK(!gpu::mixup::geodesic(gpu::view(turned), gpu::view(turned), 0.5, gpu::view(m)).ok());
}
#endif

#if defined(__CUDACC__)
TEST_CASE("a captured graph replays to the bits of direct calls; 100 runs agree to the bit") {
  const Index n = 1000, d = 512;
  const Rows<float> x(n, d, unit_rows<float>(n, d, 1)), y(n, d, unit_rows<float>(n, d, 2)),
      g(n, d, gaussian(n, d, 3)), m(n, d), dx(n, d), dy(n, d);
  const Buffer<float> dl(n);
  const Buffer<double> value(1);
  const Buffer<Index> partners(n), none_fixed(n);
  const Buffer<int> hubs(n);
  const Buffer<float> mean(d);
  const Buffer<gpu::sphere::FrechetMeanReport> report(1);
  const Buffer<double> rank(1), skewness(1);
  const Buffer<char> scratch(1 << 24);
  const auto step = [&](cudaStream_t stream) {
    gpu::expect(gpu::mixup::geodesic(x.view(), y.view(), 0.3, m.view(), stream));
    gpu::expect(gpu::mixup::geodesic_vjp<float>(x.view(), y.view(), 0.3, g.view(),
                                                {dx.view(), dy.view(), dl.data()}, stream));
    gpu::expect(gpu::metrics::alignment(m.view(), x.view(), {1.5}, value.data(), scratch.scratch(),
                                        stream));
    core::Philox rng(7);  // the captured steps are part of the graph
    gpu::expect(gpu::mixup::random_partners(rng, partners.data(), n, scratch.scratch(), stream));
    gpu::expect(gpu::mixup::derangement(rng, none_fixed.data(), n, scratch.scratch(), stream));
    gpu::expect(gpu::metrics::hubness(x.view(), {10}, {hubs.data(), skewness.data()},
                                      scratch.scratch(), stream));
    gpu::expect(gpu::metrics::effective_rank(x.view(), {}, rank.data(), scratch.scratch(), stream));
    gpu::expect(gpu::sphere::frechet_mean(x.view(), nullptr, {0, 4}, mean.data(), report.data(),
                                          scratch.scratch(), stream));
  };
  const auto everything = [&] {
    std::vector<double> all = m.values();
    for (const std::vector<double>& part : {dx.values(), dy.values(), value.values()})
      all.insert(all.end(), part.begin(), part.end());
    for (const float v : dl.values()) all.push_back(double(v));
    for (const float v : mean.values()) all.push_back(double(v));
    for (const Index p : partners.values()) all.push_back(double(p));
    for (const Index p : none_fixed.values()) all.push_back(double(p));
    for (const int o : hubs.values()) all.push_back(double(o));
    all.push_back(rank.values()[0]);
    all.push_back(skewness.values()[0]);
    return all;
  };
  cudaStream_t stream;
  must(cudaStreamCreate(&stream), "cudaStreamCreate");
  step(stream);
  must(cudaStreamSynchronize(stream), "the direct calls");
  const std::vector<double> direct = everything();
  cudaGraph_t graph;
  cudaGraphExec_t executable;
  must(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "cudaStreamBeginCapture");
  step(stream);
  must(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
  must(cudaGraphInstantiate(&executable, graph, 0), "cudaGraphInstantiate");
  const int runs = std::getenv("SPHEREMIX_SMALL") ? 3 : 100;
  for (int run = 0; run < runs; ++run) {
    must(cudaMemset(m.view().data, 0xFF, std::size_t(n * d) * 4), "cudaMemset");
    must(cudaMemset(dx.view().data, 0xFF, std::size_t(n * d) * 4), "cudaMemset");
    must(cudaDeviceSynchronize(), "cudaMemset");
    must(cudaGraphLaunch(executable, stream), "cudaGraphLaunch");
    must(cudaStreamSynchronize(stream), "the graph");
    CHECK(everything() == direct);
  }
  cudaGraphExecDestroy(executable);
  cudaGraphDestroy(graph);
  cudaStreamDestroy(stream);
}
#endif
