// The emulator and the intrinsic layer, each instruction against its definition. On a GPU the same
// kernels test the PTX behind the intrinsics.
#include "support/gpu.hpp"

#include "spheremix/gpu/core/intrinsics.cuh"
#include "spheremix/gpu/core/launch.cuh"
#include "spheremix/gpu/core/matrix.cuh"

using namespace spheremix;
using namespace spheremix::gpu_test;

namespace {

__global__ void reverse_in_shared(const int* in, int* out, int n) {
  int* shared = reinterpret_cast<int*>(gpu::shared_memory());
  const int i = int(threadIdx.x);
  if (i < n) shared[i] = in[i];
  gpu::block_barrier();
  if (i < n) out[i] = shared[n - 1 - i];
}

__global__ void sums_and_maxima(const float* in, float* sum, float* most, int* from_left) {
  const unsigned i = threadIdx.x;
  sum[i] = gpu::warp_sum(in[i]);
  most[i] = gpu::warp_max(in[i]);
  from_left[i] = gpu::shuffle(int(i), (i + 31) % 32);
}

template <class T>
__global__ void one_mma(const T* a, const T* b, float* d, bool through_shared) {
  const unsigned lane = threadIdx.x, g = lane / 4, t = lane % 4;
  std::uint32_t fa[4], fb[2];
  if (through_shared) {
    auto* tile = reinterpret_cast<T*>(
        gpu::shared_memory());  // a (16 x 16), then b (16 x 8), rows of 16 bytes
    gpu::copy16_async(tile + lane * 8, a + lane * 8);
    gpu::copies_commit();
    if (lane < 16) gpu::copy16_async(tile + 256 + lane * 8, b + lane * 8);
    gpu::copies_commit();
    gpu::copies_wait<0>();
    gpu::warp_barrier();
    gpu::load_matrices(fa, tile + (lane % 16) * 16 + lane / 16 * 8);
    std::uint32_t both[4];
    gpu::load_matrices<true>(both, tile + 256 + (lane % 16) * 8);
    fb[0] = both[0];
    fb[1] = both[1];
  } else {
    const auto pair = [](T low, T high) {
      std::uint16_t bits[2];
      memcpy(&bits[0], &low, 2);
      memcpy(&bits[1], &high, 2);
      return std::uint32_t(bits[0]) | std::uint32_t(bits[1]) << 16;
    };
    for (unsigned r = 0; r < 4; ++r) {
      const T* at = a + (g + r % 2 * 8) * 16 + 2 * t + r / 2 * 8;
      fa[r] = pair(at[0], at[1]);
    }
    for (unsigned r = 0; r < 2; ++r)
      fb[r] = pair(b[(2 * t + 8 * r) * 8 + g], b[(2 * t + 8 * r + 1) * 8 + g]);
  }
  float acc[4] = {1, 2, 3, 4};
  gpu::mma_m16n8k16<T>(acc, fa, fb);
  for (unsigned e = 0; e < 4; ++e) d[(g + e / 2 * 8) * 8 + 2 * t + e % 2] = acc[e] - float(e + 1);
}

__global__ void one_mma_tf32(const float* a, const float* b, float* d) {
  const unsigned lane = threadIdx.x, g = lane / 4, t = lane % 4;
  std::uint32_t fa[4], fb[2];
  for (unsigned r = 0; r < 4; ++r) fa[r] = __float_as_uint(a[(g + r % 2 * 8) * 8 + t + r / 2 * 4]);
  for (unsigned r = 0; r < 2; ++r) fb[r] = __float_as_uint(b[(t + 4 * r) * 8 + g]);
  float acc[4] = {0, 0, 0, 0};
  gpu::mma_m16n8k8_tf32(acc, fa, fb);
  for (unsigned e = 0; e < 4; ++e) d[(g + e / 2 * 8) * 8 + 2 * t + e % 2] = acc[e];
}

__global__ void short_copy(const float* in, float* out, unsigned bytes) {
  auto* shared = reinterpret_cast<float*>(gpu::shared_memory());
  gpu::copy16_async(shared, in, bytes);
  gpu::copies_commit();
  gpu::copies_wait<0>();
  for (int k = 0; k < 4; ++k) out[k] = shared[k];
}

template <class T>
void check_mma() {
  for (const bool through_shared : {false, true}) {
    CAPTURE(through_shared);
    const std::vector<double> a = gaussian(16, 16, 1), b = gaussian(16, 8, 2);
    const Rows<T> da(16, 16, a), db(16, 8, b);
    const Buffer<float> d(128);
    in_every_order([&] {
      finish(gpu::launch(one_mma<T>, 1, 32, 1024, nullptr, da.view().data, db.view().data, d.data(),
                         through_shared));
      const std::vector<float> got = d.values();
      for (int i = 0; i < 16; ++i)
        for (int j = 0; j < 8; ++j) {
          double want = 0, size = 0;
          for (int k = 0; k < 16; ++k) {
            const double term =
                stored<T>(a[std::size_t(i * 16 + k)]) * stored<T>(b[std::size_t(k * 8 + j)]);
            want += term;
            size += std::abs(term);
          }
          CHECK(std::abs(double(got[std::size_t(i * 8 + j)]) - want) <= 1e-6 * (size + 4));
        }
    });
  }
}

}  // namespace

TEST_CASE("block barrier: shared memory written by one thread is read by another") {
  std::vector<int> in(100);
  for (int i = 0; i < 100; ++i) in[std::size_t(i)] = i * i;
  const Buffer<int> from(in), to(100);
  in_every_order([&] {
    finish(gpu::launch(reverse_in_shared, 1, 128, 400, nullptr, from.data(), to.data(), 100));
    const std::vector<int> got = to.values();
    for (int i = 0; i < 100; ++i) CHECK(got[std::size_t(i)] == in[std::size_t(99 - i)]);
  });
}

TEST_CASE("shuffles: sum, largest and neighbour over a warp, the same bits in every lane") {
  std::vector<float> in(64);
  for (int i = 0; i < 64; ++i) in[std::size_t(i)] = float(i % 7) - 0.125f * float(i);
  const Buffer<float> from(in), sum(64), most(64);
  const Buffer<int> left(64);
  in_every_order([&] {
    finish(gpu::launch(sums_and_maxima, 1, 64, 0, nullptr, from.data(), sum.data(), most.data(),
                       left.data()));
    for (int w = 0; w < 2; ++w) {
      float want = 0, top = -1e9f;
      for (int l = 0; l < 32; ++l) {
        want += in[std::size_t(32 * w + l)];  // exact: multiples of 1/8
        top = std::fmax(top, in[std::size_t(32 * w + l)]);
      }
      for (int l = 0; l < 32; ++l) {
        CHECK(sum.values()[std::size_t(32 * w + l)] == want);
        CHECK(most.values()[std::size_t(32 * w + l)] == top);
        CHECK(left.values()[std::size_t(32 * w + l)] == 32 * w + (l + 31) % 32);
      }
    }
  });
}

TEST_CASE(
    "mma: one tile of fp16, bf16 and tf32, from registers and through cp.async and ldmatrix") {
  check_mma<gpu::Half>();
  check_mma<gpu::Bfloat16>();
  std::vector<double> a = gaussian(16, 8, 3), b = gaussian(8, 8, 4);
  for (auto* x : {&a, &b})
    for (double& v : *x) v = std::nearbyint(v * 64) / 64;  // exact in tf32
  const Rows<float> da(16, 8, a), db(8, 8, b), d(16, 8);
  in_every_order([&] {
    finish(gpu::launch(one_mma_tf32, 1, 32, 0, nullptr, da.view().data, db.view().data,
                       d.view().data));
    const std::vector<double> got = d.values();
    for (int i = 0; i < 16; ++i)
      for (int j = 0; j < 8; ++j) {
        double want = 0;
        for (int k = 0; k < 8; ++k) want += a[std::size_t(i * 8 + k)] * b[std::size_t(k * 8 + j)];
        CHECK(std::abs(got[std::size_t(i * 8 + j)] - want) < 1e-5);
      }
  });
}

TEST_CASE("cp.async: what lies past the source's end becomes zeros") {
  const Buffer<float> in(std::vector<float>{1, 2, 3, 4}), out(4);
  for (unsigned n = 0; n <= 4; ++n)
    in_every_order([&] {
      finish(gpu::launch(short_copy, 1, 1, 16, nullptr, in.data(), out.data(), 4 * n));
      for (unsigned k = 0; k < 4; ++k) CHECK(out.values()[k] == (k < n ? float(k + 1) : 0.0f));
    });
}

TEST_CASE("storage: fp16 and bf16 round to nearest even, keep infinity, NaN and denormals") {
  CHECK(stored<gpu::Half>(1.0 + 0x1p-11) == 1.0);
  CHECK(stored<gpu::Half>(1.0 + 3 * 0x1p-11) == 1.0 + 0x1p-9);
  CHECK(stored<gpu::Half>(65519.0) == 65504.0);
  CHECK(std::isinf(stored<gpu::Half>(65520.0)));
  CHECK(stored<gpu::Half>(0x1p-24) == 0x1p-24);
  CHECK(stored<gpu::Half>(-0x1p-25) == 0.0);
  CHECK(stored<gpu::Half>(3 * 0x1p-25) == 0x1p-23);
  CHECK(stored<gpu::Half>(0x1p-14 - 0x1p-26) == 0x1p-14);
  CHECK(std::isnan(stored<gpu::Half>(NAN)));
  CHECK(stored<gpu::Bfloat16>(1.0 + 0x1p-8) == 1.0);
  CHECK(stored<gpu::Bfloat16>(1.0 + 3 * 0x1p-8) == 1.0 + 0x1p-6);
  CHECK(std::isnan(stored<gpu::Bfloat16>(NAN)));
  CHECK(stored<gpu::Bfloat16>(-INFINITY) == -INFINITY);
}

TEST_CASE("launch: a configuration no GPU accepts is a status with a text, and leaves no error") {
  const Buffer<int> in(32), out(32);
  const gpu::Status status =
      gpu::launch(reverse_in_shared, 1, 2048, 0, nullptr, in.data(), out.data(), 1);
  CHECK(!status.ok());
  CHECK(std::strlen(status.text) > 0);
  CHECK(cudaGetLastError() == cudaSuccess);  // the next one to ask would take it for its own
  CHECK(!gpu::launch(reverse_in_shared, 1, 32, std::size_t(1) << 20, nullptr, in.data(), out.data(),
                     1)
             .ok());
  CHECK(cudaGetLastError() == cudaSuccess);
  gpu::Memory memory;
  CHECK_THROWS_AS(memory.reserve(std::size_t(1) << 60), std::runtime_error);
  CHECK(cudaGetLastError() == cudaSuccess);
}

#if defined(SPHEREMIX_EMULATOR)
TEST_CASE("launch: above 48 KiB of shared memory the carve-out is asked for beside the size") {
  const Buffer<int> in(32), out(32);
  const void* const kernel = reinterpret_cast<const void*>(&reverse_in_shared);
  emulator::carveout.erase(kernel);
  finish(gpu::launch(reverse_in_shared, 1, 32, std::size_t(40) << 10, nullptr, in.data(),
                     out.data(), 1));
  CHECK(emulator::carveout.count(kernel) == 0);
  finish(gpu::launch(reverse_in_shared, 1, 32, std::size_t(96) << 10, nullptr, in.data(),
                     out.data(), 1));
  CHECK(emulator::carveout.at(kernel) == cudaSharedmemCarveoutMaxShared);
}
#endif
