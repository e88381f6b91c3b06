// A trainer on the GPU: two linear heads onto the sphere under CLIP. Nothing leaves the device but
// the losses that are printed.
//
//   U = X W,  Y = U / |U|,  dY from clip,  dU = normalize_rows_vjp,  W -= rate X^T dU
//
//   nvcc -std=c++20 -arch=native -Iinclude examples/trainer_cuda.cu -o trainer_cuda
//
// No GPU has run it yet: nvcc compiles it, and the tests run the same source on the CPU in the
// block emulator.
#include <cstdio>
#include <exception>
#include <random>
#include <vector>

#include "spheremix/gpu/core/matrix.cuh"
#include "spheremix/gpu/losses/clip.cuh"
#include "spheremix/gpu/sphere/normalize.cuh"

namespace gpu = spheremix::gpu;
using spheremix::Index;
using Product = gpu::pairwise::ProductSide<gpu::pairwise::ExactTile<float>>;  // f32 throughout

constexpr Index kPairs = 256, kIn = 32, kOut = 16;

/// One head and its rows.
struct Side {
  gpu::Matrix<float> x{kPairs, kIn}, w{kIn, kOut};
  gpu::Matrix<float> u{kPairs, kOut}, y{kPairs, kOut}, dy{kPairs, kOut}, du{kPairs, kOut};

  Side(const std::vector<float>& rows, const std::vector<float>& weights) {
    x.upload(rows.data(), kIn);
    w.upload(weights.data(), kOut);
  }
  Product layer() { return {x.view().data, x.view().stride, false, w.view(), u.view(), 1, false}; }
  /// W + (-rate) X^T dU: a step of descent is a product that is added.
  Product descent(float rate) {
    return {x.view().data, x.view().stride, true, du.view(), w.view(), -rate, true};
  }
};

/// Pictures and texts: a text is its picture, turned by an unknown matrix, and noise.
struct Data {
  std::mt19937 random{1};
  std::vector<float> pictures = numbers(kPairs * kIn), texts = numbers(kPairs * kIn);

  Data() {
    const std::vector<float> turn = numbers(kIn * kIn);
    for (Index i = 0; i < kPairs * kIn; ++i)
      for (Index k = 0; k < kIn; ++k)
        texts[std::size_t(i)] +=
            0.2f * pictures[std::size_t(i / kIn * kIn + k)] * turn[std::size_t(k * kIn + i % kIn)];
  }
  std::vector<float> numbers(Index count) {
    std::normal_distribution<float> normal;
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) value = normal(random);
    return values;
  }
};

int main() try {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0)
    return std::printf("skipped: no GPU here\n"), 77;
  Data data;
  Side image(data.pictures, data.numbers(kIn * kOut)), text(data.texts, data.numbers(kIn * kOut));
  gpu::Matrix<double> loss(1, 1);
  const gpu::pairwise::KernelProducts products{.precision = gpu::Precision::exact};
  const auto clip = [&](gpu::Scratch scratch) {
    return gpu::losses::clip_with_gradient<float>(
        image.y.view(), text.y.view(), {.temperature = 0.1},
        {loss.view().data, image.dy.view(), text.dy.view(), nullptr}, scratch, nullptr, products);
  };
  const gpu::Memory scratch(gpu::scratch_needed(clip));  // asked once, before the steps

  double first = 0, last = 0;
  for (int step = 0; step <= 40; ++step) {
    gpu::expect(products(image.layer(), text.layer(), nullptr));  // both heads in one launch
    for (Side* side : {&image, &text})
      gpu::expect(gpu::sphere::normalize_rows<float>(side->u.view(), side->y.view()));
    gpu::expect(clip(scratch.scratch()));
    for (Side* side : {&image, &text})
      gpu::expect(
          gpu::sphere::normalize_rows_vjp<float>(side->u.view(), side->dy.view(), side->du.view()));
    gpu::expect(products(image.descent(20), text.descent(20), nullptr));
    if (step % 10 != 0) continue;
    loss.download(&last, 1);  // waits
    std::printf("step %2d  loss %.3f\n", step, last);
    if (step == 0) first = last;
  }
  return last < 0.5 * first ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "trainer_cuda: %s\n", error.what());
  return 2;
}
