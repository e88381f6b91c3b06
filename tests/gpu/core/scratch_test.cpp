// Scratch that does not begin on a 256-byte boundary, as a slice of a larger allocation may not:
// refused before anything runs, by every function that takes one.
#include "support/gpu.hpp"

#include <functional>

#include "spheremix/gpu/core/scratch.cuh"
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
namespace losses = gpu::losses;
namespace metrics = gpu::metrics;

}  // namespace

TEST_CASE("a scratch frame off its boundary gives nothing; its rest neither") {
  const Buffer<char> memory(1024);
  gpu::ScratchFrame frame({memory.data() + 16, 1000});
  CHECK(frame.take<float>(1) == nullptr);
  CHECK(frame.rest().bytes == 0);
  gpu::ScratchFrame aligned({memory.data(), 1024});
  CHECK(aligned.take<float>(1) != nullptr);
  CHECK(gpu::scratch_aligned(aligned.rest()));
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
    std::size_t bytes;
    std::function<gpu::Status(gpu::Scratch)> run;
  };
  const Call calls[] = {
      {"clip", losses::clip_bytes<float>(x, y),
       [&](gpu::Scratch s) { return losses::clip<float>(x, y, {}, out, s); }},
      {"clip_with_gradient", losses::clip_bytes<float>(x, y),
       [&](gpu::Scratch s) {
         return losses::clip_with_gradient<float>(x, y, {}, {out, dx, dy, nullptr}, s);
       }},
      {"siglip", losses::siglip_bytes<float>(x, y),
       [&](gpu::Scratch s) { return losses::siglip<float>(x, y, {}, out, s); }},
      {"nt_xent", losses::nt_xent_bytes<float>(x, y),
       [&](gpu::Scratch s) { return losses::nt_xent<float>(x, y, {}, out, s); }},
      {"clip_m2_mix", losses::clip_m2_mix_bytes<float>(x, y),
       [&](gpu::Scratch s) { return losses::clip_m2_mix<float>(x, y, 0.3, {}, out, s); }},
      {"clip_m2_mix, tables", losses::clip_m2_mix_bytes<float>(x, y, {.shared = false}),
       [&](gpu::Scratch s) {
         return losses::clip_m2_mix<float>(x, y, 0.3, {.shared = false}, out, s);
       }},
      {"v_mix", losses::v_mix_bytes<float>(x, y),
       [&](gpu::Scratch s) { return losses::v_mix<float>(x, y, 0.3, {}, out, s); }},
      {"sup_con", losses::sup_con_bytes<float>(x),
       [&](gpu::Scratch s) { return losses::sup_con<float>(x, labels.data(), {}, out, s); }},
      {"brownian_bridge", losses::brownian_bridge_bytes(n),
       [&](gpu::Scratch s) { return losses::brownian_bridge(x, y, x, {}, out, s); }},
      {"geometric_consistency", losses::geometric_consistency_bytes<float>(x, y),
       [&](gpu::Scratch s) { return losses::geometric_consistency<float>(x, y, {}, out, s); }},
      {"uniformity", metrics::uniformity_bytes<float>(x),
       [&](gpu::Scratch s) { return metrics::uniformity<float>(x, {}, out, s); }},
      {"cross_uniformity", metrics::cross_uniformity_bytes<float>(x, y),
       [&](gpu::Scratch s) { return metrics::cross_uniformity<float>(x, y, {}, out, s); }},
      {"joint_uniformity", metrics::joint_uniformity_bytes<float>(x, y),
       [&](gpu::Scratch s) { return metrics::joint_uniformity<float>(x, y, {}, out, s); }},
      {"alignment", metrics::alignment_bytes(n),
       [&](gpu::Scratch s) { return metrics::alignment(x, y, {}, out, s); }},
      {"modality_gap", metrics::modality_gap_bytes(n, n, d),
       [&](gpu::Scratch s) { return metrics::modality_gap(x, y, out, out + 1, s); }},
      {"frechet_mean", gpu::sphere::frechet_mean_bytes(n, d),
       [&](gpu::Scratch s) {
         return gpu::sphere::frechet_mean(x, nullptr, {}, gx.view().data, report.data(), s);
       }},
      {"isotropy", metrics::spectrum_bytes(n, d),
       [&](gpu::Scratch s) { return metrics::isotropy(x, out, s); }},
      {"anisotropy", metrics::anisotropy_bytes(n, d),
       [&](gpu::Scratch s) { return metrics::anisotropy(x, out, s); }},
  };
  for (const Call& call : calls) {
    CAPTURE(call.name);
    const Buffer<char> memory(call.bytes + 512);
    for (const int off : {16, 128, 255}) {
#if defined(SPHEREMIX_EMULATOR)
      const std::size_t launches = emulator::launches;
#endif
      const gpu::Status status = call.run({memory.data() + off, call.bytes + 256});
      CHECK(!status.ok());
      CHECK(std::strstr(status.text, "256-byte boundary") != nullptr);
#if defined(SPHEREMIX_EMULATOR)
      CHECK(emulator::launches == launches);
#endif
    }
    finish(call.run({memory.data() + 256, call.bytes}));
  }
}
