// The device half of papers_gpu. No GPU has run this program yet: it compiles with nvcc, and the
// same source was run on the CPU in the block emulator.
#include "papers_gpu.hpp"
#include "spheremix/gpu/core/matrix.cuh"
#include "spheremix/gpu/losses/brownian_bridge.cuh"
#include "spheremix/gpu/losses/clip_m2_mix.cuh"
#include "spheremix/gpu/losses/cyclip.cuh"
#include "spheremix/gpu/losses/decoupled_contrastive.cuh"
#include "spheremix/gpu/losses/decoupled_mixup.cuh"
#include "spheremix/gpu/losses/feature_separation.cuh"
#include "spheremix/gpu/losses/hard_negative.cuh"
#include "spheremix/gpu/losses/m3_mix.cuh"
#include "spheremix/gpu/losses/nt_xent.cuh"
#include "spheremix/gpu/losses/siglip.cuh"
#include "spheremix/gpu/losses/sup_con.cuh"
#include "spheremix/gpu/losses/sup_remix.cuh"
#include "spheremix/gpu/metrics/alignment.cuh"
#include "spheremix/gpu/metrics/uniformity.cuh"

namespace papers_gpu {

namespace gpu = spheremix::gpu;
namespace losses = gpu::losses;
namespace metrics = gpu::metrics;
using In = gpu::View<const float>;
using Out = gpu::View<float>;

std::string no_gpu() {
  int devices = 0;
  const cudaError_t found = cudaGetDeviceCount(&devices);
  return found == cudaSuccess && devices > 0 ? "" : cudaGetErrorString(found);
}

namespace {

gpu::Matrix<float> upload(const float* values, Index rows, Index cols) {
  gpu::Matrix<float> m(rows, cols);
  m.upload(values, cols);
  return m;
}

gpu::Memory upload(const Index* values, Index count) {
  const std::size_t bytes = std::size_t(count) * sizeof(Index);
  gpu::Memory m(bytes);
  gpu::expect(
      gpu::status_of(cudaMemcpyAsync(m.data(), values, bytes, cudaMemcpyHostToDevice, nullptr)));
  gpu::expect(gpu::status_of(cudaStreamSynchronize(nullptr)));
  return m;
}

/// Runs f(loss, gradients, scratch) and brings its results back.
template <class F>
Answer answer(const char* name, int count, Index rows, Index cols, F f) {
  std::vector<gpu::Matrix<float>> gradients;
  std::vector<Out> views;
  for (int k = 0; k < count; ++k) gradients.emplace_back(rows, cols);
  for (auto& g : gradients) views.push_back(g.view());
  const gpu::Memory loss(sizeof(double));
  const auto call = [&](gpu::Scratch s) {
    return f(static_cast<double*>(loss.data()), views.data(), s);
  };
  const gpu::Memory scratch(gpu::scratch_needed(call));
  gpu::expect(call(scratch.scratch()));
  Answer out{name, 0, {}};
  gpu::expect(gpu::status_of(
      cudaMemcpyAsync(&out.loss, loss.data(), sizeof(double), cudaMemcpyDeviceToHost, nullptr)));
  for (const auto& g : gradients) {
    out.gradients.emplace_back(std::size_t(rows * cols));
    g.download(out.gradients.back().data(), cols);
  }
  gpu::expect(gpu::status_of(cudaStreamSynchronize(nullptr)));
  return out;
}

}  // namespace

std::vector<Answer> on_device(const Batch& b, bool exact) {
  const Index n = b.n, d = b.d;
  const gpu::pairwise::KernelProducts how{exact ? gpu::Precision::exact : gpu::Precision::fast};
  const auto mx = upload(b.x, n, d), my = upload(b.y, n, d), mxa = upload(b.x_view, n, d),
             mya = upload(b.y_view, n, d), mxi = upload(b.x_independent, n, d),
             myi = upload(b.y_independent, n, d), mz = upload(b.logits, n, n);
  const In x = mx.view(), y = my.view(), xa = mxa.view(), ya = mya.view(), xi = mxi.view(),
           yi = myi.view(), z = mz.view();
  const auto first = upload(b.first, n), second = upload(b.second, n), level = upload(b.level, n);
  const auto* const labels = static_cast<const Index*>(level.data());
  const auto* const label_a = static_cast<const Index*>(first.data());
  const auto* const label_b = static_cast<const Index*>(second.data());
  const double lambda = b.lambda;
  std::vector<Answer> all;
  const auto pair = [&](const char* name, auto f) { all.push_back(answer(name, 2, n, d, f)); };

  const losses::ClipOptions clip{kTemperature};
  pair("CLIP", [&](double* loss, Out* g, gpu::Scratch s) {
    return losses::clip_with_gradient<float>(x, y, clip, {loss, g[0], g[1], nullptr}, s, nullptr,
                                             how);
  });
  const losses::SiglipOptions siglip{};
  pair("SigLIP", [&](double* loss, Out* g, gpu::Scratch s) {
    return losses::siglip_with_gradient<float>(x, y, siglip, {loss, g[0], g[1], nullptr, nullptr},
                                               s, nullptr, how);
  });
  const losses::NtXentOptions nt_xent{.temperature = kTemperature};
  pair("NT-Xent", [&](double* loss, Out* g, gpu::Scratch s) {
    return losses::nt_xent_with_gradient<float>(x, y, nt_xent, {loss, g[0], g[1], nullptr}, s,
                                                nullptr, how);
  });
  const losses::DecoupledContrastiveOptions dcl{.temperature = kTemperature};
  pair("DCL", [&](double* loss, Out* g, gpu::Scratch s) {
    return losses::decoupled_contrastive_with_gradient<float>(
        x, y, dcl, {loss, g[0], g[1], nullptr}, s, nullptr, how);
  });
  const losses::HardNegativeOptions hcl{};
  pair("HCL", [&](double* loss, Out* g, gpu::Scratch s) {
    return losses::hard_negative_with_gradient<float>(x, y, hcl, {loss, g[0], g[1], nullptr}, s,
                                                      nullptr, how);
  });
  const losses::CyclipOptions cyclip{.temperature = kTemperature};
  pair("CyCLIP", [&](double* loss, Out* g, gpu::Scratch s) {
    return losses::cyclip_with_gradient<float>(x, y, cyclip, {loss, g[0], g[1], nullptr}, s,
                                               nullptr, how);
  });
  pair("alignment", [&](double* loss, Out* g, gpu::Scratch s) {
    return metrics::alignment_with_gradient<float>(x, y, {}, {loss, g[0], g[1]}, s);
  });
  const metrics::UniformityOptions uniformity{};
  all.push_back(answer("uniformity", 1, n, d, [&](double* loss, Out* g, gpu::Scratch s) {
    return metrics::uniformity_with_gradient<float>(x, uniformity, {loss, g[0]}, s, nullptr, how);
  }));

  const losses::M2MixOptions m2{.temperature = kMixTemperature};
  pair("m2-Mix", [&](double* loss, Out* g, gpu::Scratch s) {
    return losses::m2_mix_with_gradient<float>(
        x, y, lambda, m2, {loss, g[0], g[1], nullptr, nullptr}, s, nullptr, how);
  });
  const losses::ClipM2MixOptions both{
      .temperature = kTemperature, .mix_temperature = kMixTemperature, .weight = kWeight};
  pair("CLIP + m2-Mix", [&](double* loss, Out* g, gpu::Scratch s) {
    return losses::clip_m2_mix_with_gradient<float>(x, y, lambda, both, {loss, g[0], g[1]}, s,
                                                    nullptr, how);
  });
  const losses::M3MixOptions m3{.temperature = kTemperature,
                                .mix_temperature = kMixTemperature,
                                .weight_m2 = kWeight,
                                .weight_v = kWeight,
                                .weight_l = kWeight,
                                .weight_vl = kWeight};
  pair("m3-Mix", [&](double* loss, Out* g, gpu::Scratch s) {
    return losses::m3_mix_with_gradient<float>(x, y, {lambda, lambda, lambda, lambda}, m3,
                                               {loss, g[0], g[1]}, s, nullptr, how);
  });

  const auto logits = [&](const char* name, auto f) { all.push_back(answer(name, 1, n, n, f)); };
  logits("mixup CE", [&](double* loss, Out* g, gpu::Scratch s) {
    return losses::mixup_cross_entropy_with_gradient<float>(z, label_a, label_b, lambda,
                                                            {loss, g[0], nullptr}, s);
  });
  logits("DM(CE)", [&](double* loss, Out* g, gpu::Scratch s) {
    return losses::decoupled_mixup_with_gradient<float>(z, label_a, label_b, lambda, {},
                                                        {loss, g[0], nullptr}, s);
  });
  logits("DM(BCE)", [&](double* loss, Out* g, gpu::Scratch s) {
    return losses::decoupled_mixup_with_gradient<float>(z, label_a, label_b, lambda,
                                                        {.form = losses::DecoupledForm::binary},
                                                        {loss, g[0], nullptr}, s);
  });

  const losses::SupConOptions sup_con{};
  all.push_back(answer("SupCon", 1, n, d, [&](double* loss, Out* g, gpu::Scratch s) {
    return losses::sup_con_with_gradient<float>(x, labels, sup_con, {loss, g[0], nullptr, nullptr},
                                                s, nullptr, how);
  }));
  const losses::SupRemixOptions remix{.window = kWindow};
  all.push_back(answer("SupReMix", 1, n, d, [&](double* loss, Out* g, gpu::Scratch s) {
    return losses::sup_remix_with_gradient<float>(x, labels, lambda, remix,
                                                  {loss, g[0], nullptr, nullptr}, s, nullptr, how);
  }));
  for (const losses::Denominator keys :
       {losses::Denominator::printed, losses::Denominator::augmented}) {
    const losses::FeatureSeparationOptions o{.temperature = kTemperature, .denominator = keys};
    all.push_back(answer(
        keys == losses::Denominator::printed ? "separation (printed)" : "separation (augmented)", 6,
        n, d, [&](double* loss, Out* g, gpu::Scratch s) {
          return losses::feature_separation_with_gradient<float>(
              x, y, xi, yi, xa, ya, o, {loss, g[0], g[1], g[2], g[3], g[4], g[5], nullptr}, s,
              nullptr, how);
        }));
  }
  all.push_back(answer("Brownian bridge", 3, n, d, [&](double* loss, Out* g, gpu::Scratch s) {
    return losses::brownian_bridge_with_gradient<const float>(xa, x, y, {},
                                                              {loss, g[0], g[1], g[2]}, s);
  }));
  pair("geometric consistency", [&](double* loss, Out* g, gpu::Scratch s) {
    return losses::geometric_consistency_with_gradient<float>(x, y, {}, {loss, g[0], g[1]}, s);
  });
  all.push_back(answer("augmented consistency", 4, n, d, [&](double* loss, Out* g, gpu::Scratch s) {
    return losses::augmented_geometric_consistency_with_gradient<float>(
        x, y, xa, ya, {}, {loss, g[0], g[1], g[2], g[3]}, s);
  }));
  return all;
}

}  // namespace papers_gpu
