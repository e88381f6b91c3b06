// Scratch that does not begin on a 256-byte boundary, as a slice of a larger allocation may not:
// refused before anything runs, by every function
// that takes one; as a scratch one byte too small.
#include "support/gpu.hpp"

#include <functional>

#include "spheremix/gpu/core/work.cuh"
#include "spheremix/gpu/losses/brownian_bridge.cuh"
#include "spheremix/gpu/losses/clip.cuh"
#include "spheremix/gpu/losses/clip_m2_mix.cuh"
#include "spheremix/gpu/losses/geometric_consistency.cuh"
#include "spheremix/gpu/losses/nt_xent.cuh"
#include "spheremix/gpu/losses/siglip.cuh"
#include "spheremix/gpu/losses/sup_con.cuh"
#include "spheremix/gpu/losses/v_mix.cuh"
#include "spheremix/gpu/metrics/alignment.cuh"
#include "spheremix/gpu/metrics/hubness.cuh"
#include "spheremix/gpu/metrics/joint_uniformity.cuh"
#include "spheremix/gpu/metrics/modality_gap.cuh"
#include "spheremix/gpu/metrics/spectrum.cuh"
#include "spheremix/gpu/sphere/frechet_mean.cuh"

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
namespace device = gpu::losses;
namespace figures = gpu::metrics;

}  // namespace

TEST_CASE("work counts what it takes, gives back what a part took, and stops at the end") {
  gpu::Work counting;
  const auto take = [](gpu::Work& work) {
    const char* const first = work.take<char>(1);
    {
      const gpu::Work::Part part(work);
      work.take<double>(100);
    }
    const char* const second = work.take<char>(300);
    CHECK(second - first == 256);
    return first;
  };
  CHECK(take(counting) != nullptr);
  CHECK(counting.bytes() == 256 + 1024);
  const Buffer<char> memory(counting.bytes());
  gpu::Work work(memory.scratch(), nullptr);
  CHECK(take(work) == memory.data());
  CHECK(work.status().ok());
  CHECK(work.take<char>(513) == nullptr);
  CHECK(!work.status().ok());
}

TEST_CASE("an error ends the work: nothing is enqueued after it") {
  const Buffer<char> memory(1024);
  int steps = 0;
  const auto list = [&](gpu::Work& work) {
    work.then([&](cudaStream_t) { return ++steps, gpu::Status{}; });
    work.then([&](cudaStream_t) { return ++steps, gpu::invalid("the second step"); });
    work.then([&](cudaStream_t) { return ++steps, gpu::Status{}; });
  };
  const gpu::Status status = gpu::enqueue(memory.scratch(), nullptr, list);
  CHECK(steps == 2);
  CHECK(std::strcmp(status.text, "the second step") == 0);
  CHECK(gpu::scratch_needed([&](gpu::Scratch s) { return gpu::enqueue(s, nullptr, list); }) == 0);
  CHECK(steps == 2);  // counting does nothing
}

TEST_CASE("scratch off its boundary is a status that says so, and nothing runs") {
  const Index n = 20, d = 8;
  const auto values = unit_rows<float>(n, d, 1), others = unit_rows<float>(n, d, 2);
  const Rows<float> rows(n, d, values), more(n, d, others), gx(n, d), gy(n, d);
  const auto x = rows.input(), y = more.input();
  const auto dx = gx.view(), dy = gy.view();
  const Buffer<double> number(std::size_t(d) + 4);
  const Buffer<int> labels(std::vector<int>(std::size_t(n), 1));
  double* const out = number.data();
  const Buffer<gpu::sphere::FrechetMeanReport> report(1);
  struct Call {
    const char* name;
    std::function<gpu::Status(gpu::Scratch)> run;
  };
  const Call calls[] = {
      {"clip", [&](gpu::Scratch s) { return device::clip<float>(x, y, {}, out, s); }},
      {"clip_with_gradient",
       [&](gpu::Scratch s) {
         return device::clip_with_gradient<float>(x, y, {}, {out, dx, dy, nullptr}, s);
       }},
      {"siglip", [&](gpu::Scratch s) { return device::siglip<float>(x, y, {}, out, s); }},
      {"nt_xent", [&](gpu::Scratch s) { return device::nt_xent<float>(x, y, {}, out, s); }},
      {"clip_m2_mix",
       [&](gpu::Scratch s) { return device::clip_m2_mix<float>(x, y, 0.3, {}, out, s); }},
      {"clip_m2_mix, tables",
       [&](gpu::Scratch s) {
         return device::clip_m2_mix<float>(x, y, 0.3, {.shared = false}, out, s);
       }},
      {"v_mix", [&](gpu::Scratch s) { return device::v_mix<float>(x, y, 0.3, {}, out, s); }},
      {"sup_con",
       [&](gpu::Scratch s) { return device::sup_con<float>(x, labels.data(), {}, out, s); }},
      {"brownian_bridge",
       [&](gpu::Scratch s) { return device::brownian_bridge(x, y, x, {}, out, s); }},
      {"geometric_consistency",
       [&](gpu::Scratch s) { return device::geometric_consistency<float>(x, y, {}, out, s); }},
      {"uniformity", [&](gpu::Scratch s) { return figures::uniformity<float>(x, {}, out, s); }},
      {"cross_uniformity",
       [&](gpu::Scratch s) { return figures::cross_uniformity<float>(x, y, {}, out, s); }},
      {"joint_uniformity",
       [&](gpu::Scratch s) { return figures::joint_uniformity<float>(x, y, {}, out, s); }},
      {"alignment", [&](gpu::Scratch s) { return figures::alignment(x, y, {}, out, s); }},
      {"modality_gap",
       [&](gpu::Scratch s) { return figures::modality_gap(x, y, out, out + 1, s); }},
      {"frechet_mean",
       [&](gpu::Scratch s) {
         return gpu::sphere::frechet_mean(x, nullptr, {}, gx.view().data, report.data(), s);
       }},
      {"isotropy", [&](gpu::Scratch s) { return figures::isotropy(x, out, s); }},
      {"anisotropy", [&](gpu::Scratch s) { return figures::anisotropy(x, out, s); }},
  };
  for (const Call& call : calls) {
    CAPTURE(call.name);
    const std::size_t bytes = gpu::scratch_needed(call.run);
    CHECK(bytes > 0);
    const Buffer<char> memory(bytes + 512);
    for (const int off : {16, 128, 255}) {
#if defined(SPHEREMIX_EMULATOR)
      const std::size_t launches = emulator::launches;
#endif
      const gpu::Status status = call.run({memory.data() + off, bytes + 256});
      CHECK(!status.ok());
      CHECK(std::strstr(status.text, "256-byte boundary") != nullptr);
#if defined(SPHEREMIX_EMULATOR)
      CHECK(emulator::launches == launches);
#endif
    }
    const gpu::Status small = call.run({memory.data(), bytes - 1});
    CHECK(!small.ok());
    CHECK(std::strstr(small.text, "too small") != nullptr);
    finish(call.run({memory.data() + 256, bytes}));
  }
}
