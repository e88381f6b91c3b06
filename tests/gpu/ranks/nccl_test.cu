// CLIP over the GPUs of this machine, joined by NCCL, against one GPU with the whole batch; and again
// from a captured graph, to the same bits. A thread a GPU, as a program of one process would do it.
// nvcc-libraries: -lnccl
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <cstdio>
#include <thread>

#include "gpu/losses/reference.hpp"
#include "spheremix/gpu/ranks/clip.cuh"
#include "spheremix/nccl/communicator.cuh"
#include "support/gpu.hpp"

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
using T = gpu::Half;

struct Part {
  double loss = 0;
  std::vector<double> x, y;
  bool again = false;  ///< the graph gives the same bits
};

/// Rows [first, first + n) of the batch, on the GPU that is current.
Part run(ncclComm_t comm, const std::vector<double>& x, const std::vector<double>& y, Index first,
         Index n, Index d) {
  const auto block = [&](const std::vector<double>& all) {
    return std::vector<double>(all.begin() + first * d, all.begin() + (first + n) * d);
  };
  cudaStream_t stream = nullptr;
  must(cudaStreamCreate(&stream), "cudaStreamCreate");
  const Rows<T> mine_x(n, d, block(x)), mine_y(n, d, block(y));
  const Rows<float> dx(n, d), dy(n, d);
  const Buffer<double> loss(1);
  const gpu::losses::ClipOptions options{0.05};
  const gpu::losses::ContrastiveGradient<T> out{loss.data(), dx.view(), dy.view(), nullptr};

  nccl::Communicator world(comm, stream);
  const nccl::Layout layout(world, n, d);  // once for blocks of these sizes; waits
  const auto call = [&](gpu::Scratch s) {  // enqueues: no allocation, no wait
    return gpu::losses::clip_with_gradient<T>(mine_x.input(), mine_y.input(), options, out, s,
                                              layout, world);
  };
  const Buffer<char> scratch(gpu::scratch_needed(call));
  gpu::expect(call(scratch.scratch()));
  gpu::expect(world.wait(std::chrono::seconds(60)));
  Part part{loss.values()[0], dx.values(), dy.values(), false};

  cudaGraph_t graph = nullptr;
  cudaGraphExec_t whole = nullptr;
  must(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture");
  const gpu::Status status = call(scratch.scratch());
  must(cudaStreamEndCapture(stream, &graph), "capture");
  gpu::expect(status);
  must(cudaGraphInstantiate(&whole, graph, 0), "cudaGraphInstantiate");
  must(cudaMemset(loss.data(), 0xFF, sizeof(double)), "cudaMemset");
  must(cudaDeviceSynchronize(), "cudaMemset");
  must(cudaGraphLaunch(whole, stream), "cudaGraphLaunch");
  gpu::expect(world.wait(std::chrono::seconds(60)));
  part.again = loss.values()[0] == part.loss && dx.values() == part.x && dy.values() == part.y;
  must(cudaGraphExecDestroy(whole), "cudaGraphExecDestroy");
  must(cudaGraphDestroy(graph), "cudaGraphDestroy");
  must(cudaStreamDestroy(stream), "cudaStreamDestroy");
  return part;
}

}  // namespace

TEST_CASE("clip over this machine's GPUs by NCCL is that of one, from a graph too") {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::printf("skipped: CLIP over GPUs by NCCL (no GPU here)\n");
    return;
  }
  std::printf("note: %d GPUs\n", devices);
  const Index d = 72, total = 300 * devices + 41;
  const auto x = unit_rows<T>(total, d, 1), y = unit_rows<T>(total, d, 2);
  std::vector<ncclComm_t> comms(static_cast<std::size_t>(devices));
  REQUIRE(ncclCommInitAll(comms.data(), devices, nullptr) == ncclSuccess);
  std::vector<Part> parts(comms.size());
  std::vector<std::string> errors(comms.size());
  std::vector<std::thread> threads;
  for (int r = 0; r < devices; ++r)
    threads.emplace_back([&, r] {
      const std::size_t at = std::size_t(r);
      try {
        must(cudaSetDevice(r), "cudaSetDevice");
        const Index n = r + 1 < devices ? 300 : total - 300 * r;
        parts[at] = run(comms[at], x, y, 300 * r, n, d);
      } catch (const std::exception& error) {
        errors[at] = error.what();
      }
    });
  for (auto& thread : threads) thread.join();
  for (const std::string& error : errors) REQUIRE(error == "");

  must(cudaSetDevice(0), "cudaSetDevice");
  const Rows<T> all_x(total, d, x), all_y(total, d, y);
  const Rows<float> gx(total, d), gy(total, d);
  const Buffer<double> loss(1);
  with_scratch([&](gpu::Scratch s) {
    return gpu::losses::clip_with_gradient<T>(all_x.input(), all_y.input(), {0.05},
                                              {loss.data(), gx.view(), gy.view(), nullptr}, s);
  });
  Part all;
  for (const Part& part : parts) {
    CHECK(part.loss == parts[0].loss);
    CHECK(part.again);
    all.x.insert(all.x.end(), part.x.begin(), part.x.end());
    all.y.insert(all.y.end(), part.y.begin(), part.y.end());
  }
  CHECK(std::abs(parts[0].loss - loss.values()[0]) <= 1e-6 * loss.values()[0]);
  CHECK(relative_error(all.x, gx.values()) <= 1e-4);
  CHECK(relative_error(all.y, gy.values()) <= 1e-4);
  for (const ncclComm_t comm : comms) ncclCommDestroy(comm);
}
