// The device half of training_gpu: every number of a training step stays on the device.
//
//   U = X W,  Y = U / |U|                              two products in one launch, one pass
//   dY from clip_m2_mix,  dU = normalize_rows_vjp,  dW = X^T dU
//
// Biases are the last row of W and the ones in the last column of X. The heads' products are f32
// without tensor cores (pairwise/products.cuh). No GPU has run this program yet: it compiles with
// nvcc, and the same source was run on the CPU in the block emulator.
#include <cmath>

#include "spheremix/gpu/core/matrix.cuh"
#include "spheremix/gpu/losses/clip_m2_mix.cuh"
#include "spheremix/gpu/mixup/sampling.cuh"
#include "spheremix/gpu/sphere/normalize.cuh"
#include "training_gpu.hpp"

namespace training_gpu {

namespace gpu = spheremix::gpu;
using Tile = gpu::pairwise::ExactTile<float>;
using Product = gpu::pairwise::ProductSide<Tile>;

std::string no_gpu() {
  int devices = 0;
  const cudaError_t found = cudaGetDeviceCount(&devices);
  return found == cudaSuccess && devices > 0 ? "" : cudaGetErrorString(found);
}

namespace {

constexpr int kSlots = 4096;

/// One parameter's step of AdamW a thread.
struct AdamWKernel {
  static constexpr unsigned kThreads = 256, kResident = 8;
  static constexpr std::size_t kShared = 0;
  gpu::View<float> value, m, v;
  gpu::View<const float> gradient;
  float rate, first, second;  ///< rate / (1 - .9^t), 1 / (1 - .999^t)

  __device__ void operator()() const {
    const Index k = Index(blockIdx.x) * kThreads + threadIdx.x;
    if (k >= value.rows * value.cols) return;
    const Index i = k / value.cols, j = k % value.cols;
    const float g = gradient(i, j);
    const float a = m(i, j) = 0.9f * m(i, j) + 0.1f * g;
    const float b = v(i, j) = 0.999f * v(i, j) + 0.001f * g * g;
    value(i, j) -= rate * 0.01f * value(i, j) + first * a / (std::sqrt(second * b) + 1e-8f);
  }
};

}  // namespace

struct Trainer::Device {
  struct Head {
    gpu::Matrix<float> features, w, gradient, m, v;
    gpu::Matrix<float> x, u, du;  ///< of a batch, of a chunk
    gpu::Matrix<float> y, dy;     ///< of a batch
  };
  Shape shape;
  gpu::losses::ClipM2MixOptions options{
      .temperature = 0.01, .mix_temperature = 0.07, .reduction = gpu::losses::Reduction::mean};
  gpu::pairwise::KernelProducts how;
  Head heads[2];
  gpu::Memory rows, losses, scratch;

  /// The loss of the batch's embeddings into place `slot`, and their gradients.
  gpu::Status loss(double lambda, int slot, gpu::Scratch memory) {
    return gpu::losses::clip_m2_mix_with_gradient<float>(
        heads[0].y.view(), heads[1].y.view(), lambda, options,
        {static_cast<double*>(losses.data()) + slot, heads[0].dy.view(), heads[1].dy.view()},
        memory, nullptr, how);
  }

  const Index* gather(const Index* from, Index count) {
    rows.reserve(std::size_t(count) * sizeof(Index));
    gpu::expect(gpu::status_of(cudaMemcpyAsync(
        rows.data(), from, std::size_t(count) * sizeof(Index), cudaMemcpyHostToDevice, nullptr)));
    return static_cast<const Index*>(rows.data());
  }

  /// U = X W of rows [first, first + count) of the batch, on both sides.
  void layers(Index first, Index count) {
    Product sides[2];
    for (int s = 0; s < 2; ++s) {
      Head& h = heads[s];
      const auto x = h.x.view().middle_rows(first, count);
      sides[s] = {x.data, x.stride, false, h.w.view(), h.u.view().middle_rows(0, count), 1, false};
    }
    gpu::expect(gpu::pairwise::KernelProducts()(sides[0], sides[1], nullptr));
  }

  void embed_chunk(Index first, Index count) {
    layers(first, count);
    for (Head& h : heads)
      gpu::expect(gpu::sphere::normalize_rows<float>(h.u.view().middle_rows(0, count),
                                                     h.y.view().middle_rows(first, count)));
  }

  void backward_chunk(Index first, Index count) {
    Product sides[2];
    for (int s = 0; s < 2; ++s) {
      Head& h = heads[s];
      const auto du = h.du.view().middle_rows(0, count);
      gpu::expect(gpu::sphere::normalize_rows_vjp<float>(
          h.u.view().middle_rows(0, count), h.dy.view().middle_rows(first, count), du));
      const auto x = h.x.view().middle_rows(first, count);
      sides[s] = {x.data, x.stride, true, du, h.gradient.view(), 1, first > 0};
    }
    gpu::expect(gpu::pairwise::KernelProducts()(sides[0], sides[1], nullptr));
  }
};

Trainer::Trainer(const Shape& shape, const float* images, const float* texts, bool exact)
    : device_(std::make_unique<Device>()) {
  Device& d = *device_;
  d.shape = shape;
  d.how.precision = exact ? gpu::Precision::exact : gpu::Precision::fast;
  const Index in = shape.in + 1;
  for (int s = 0; s < 2; ++s) {
    Device::Head& h = d.heads[s];
    h.features.resize(shape.rows, in);
    h.features.upload(s == 0 ? images : texts, in);
    for (gpu::Matrix<float>* matrix : {&h.w, &h.gradient, &h.m, &h.v})
      matrix->resize(in, shape.out);
    const std::vector<float> zeros(std::size_t(in * shape.out), 0.0f);
    for (gpu::Matrix<float>* matrix : {&h.m, &h.v}) matrix->upload(zeros.data(), shape.out);
    h.x.resize(shape.batch, in);
    for (gpu::Matrix<float>* matrix : {&h.u, &h.du, &h.y, &h.dy})
      matrix->resize(shape.batch, shape.out);
  }
  d.losses.reserve(kSlots * sizeof(double));
  d.scratch.reserve(gpu::scratch_needed([&](gpu::Scratch s) { return d.loss(0.5, 0, s); }));
}

Trainer::~Trainer() = default;

void Trainer::set_head(int side, const float* values) {
  device_->heads[side].w.upload(values, device_->shape.out);
}

std::vector<float> Trainer::head(int side) const {
  const gpu::Matrix<float>& w = device_->heads[side].w;
  std::vector<float> values(std::size_t(w.rows() * w.cols()));
  w.download(values.data(), w.cols());
  return values;
}

std::vector<float> Trainer::gradient(int side) const {
  const gpu::Matrix<float>& g = device_->heads[side].gradient;
  std::vector<float> values(std::size_t(g.rows() * g.cols()));
  g.download(values.data(), g.cols());
  return values;
}

void Trainer::backward(const Index* rows, double lambda, Index chunk, int slot) {
  Device& d = *device_;
  const Index n = d.shape.batch;
  if (slot < 0 || slot >= kSlots || chunk < 1) gpu::expect(gpu::invalid("backward: no such slot"));
  const Index* const places = d.gather(rows, n);
  for (Device::Head& h : d.heads)
    gpu::expect(gpu::mixup::gather_rows<float>(h.features.view(), places, h.x.view()));
  for (Index i = 0; i < n; i += chunk) d.embed_chunk(i, n - i < chunk ? n - i : chunk);
  gpu::expect(d.loss(lambda, slot, d.scratch.scratch()));
  for (Index i = 0; i < n; i += chunk) {
    const Index count = n - i < chunk ? n - i : chunk;
    if (chunk < n) d.layers(i, count);  // the activations of this chunk once more
    d.backward_chunk(i, count);
  }
}

void Trainer::adamw(double rate, int t) {
  for (Device::Head& h : device_->heads) {
    const AdamWKernel kernel{h.w.view(),
                             h.m.view(),
                             h.v.view(),
                             h.gradient.view(),
                             float(rate),
                             float(rate / (1 - std::pow(0.9, t))),
                             float(1 / (1 - std::pow(0.999, t)))};
    gpu::expect(gpu::pairwise::start(
        kernel, gpu::pairwise::ceil_div(h.w.rows() * h.w.cols(), AdamWKernel::kThreads), nullptr));
  }
}

std::vector<double> Trainer::losses(int count) const {
  std::vector<double> values(std::size_t(count), 0.0);
  gpu::expect(gpu::status_of(cudaMemcpyAsync(values.data(), device_->losses.data(),
                                             std::size_t(count) * sizeof(double),
                                             cudaMemcpyDeviceToHost, nullptr)));
  gpu::expect(gpu::status_of(cudaStreamSynchronize(nullptr)));
  return values;
}

std::vector<float> Trainer::embed(int side, const Index* rows, Index count) {
  Device& d = *device_;
  const Index out = d.shape.out;
  std::vector<float> values(std::size_t(count * out));
  for (Index i = 0; i < count; i += d.shape.batch) {
    const Index here = count - i < d.shape.batch ? count - i : d.shape.batch;
    const Index* const places = d.gather(rows + i, here);
    for (Device::Head& h : d.heads)
      gpu::expect(gpu::mixup::gather_rows<float>(h.features.view(), places,
                                                 h.x.view().middle_rows(0, here)));
    d.embed_chunk(0, here);
    gpu::Matrix<float>& y = d.heads[side].y;
    gpu::expect(gpu::status_of(cudaMemcpy2DAsync(
        values.data() + i * out, std::size_t(out) * sizeof(float), y.view().data,
        std::size_t(y.view().stride) * sizeof(float), std::size_t(out) * sizeof(float),
        std::size_t(here), cudaMemcpyDeviceToHost, nullptr)));
    gpu::expect(gpu::status_of(cudaStreamSynchronize(nullptr)));
  }
  return values;
}

}  // namespace training_gpu
