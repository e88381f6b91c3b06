// The tile that reads cosines from a strip: every value in its place, 0 outside the range whatever
// lies there; and what decides the size of the strips.
#include "support/gpu.hpp"

#include "spheremix/gpu/core/chip.cuh"
#include "spheremix/gpu/pairwise/gemm.cuh"
#include "spheremix/gpu/pairwise/stored_tile.cuh"

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
using gpu::Half;
using gpu::pairwise::StoredStrip;
using gpu::pairwise::StoredTile;

/// out[tile row][tile column] = the tile at (i0, j0).
__global__ void read_tile(StoredStrip strip, Index i0, Index j0, float* out) {
  StoredTile tile;
  tile.multiply(strip, strip, i0, j0, gpu::shared_memory());
  for (int r = 0; r < StoredTile::kRows; ++r)
    for (int c = 0; c < StoredTile::kCols; ++c)
      out[StoredTile::row(r) * StoredTile::kEdge + StoredTile::col(c)] = tile.sum(r, c);
}

}  // namespace

TEST_CASE("a stored tile: values in their places, 0 outside, NaN there notwithstanding") {
  // Rows 100 .. 100 + height and columns 40 .. 40 + width of the table, in whole tiles.
  for (const auto& [height, width] : {std::pair<Index, Index>{256, 256}, {131, 203}, {129, 255}}) {
    const Index row = 100, col = 40, stride = 384;
    std::vector<Half> host(std::size_t(256 * stride), gpu::narrow<Half>(float(NAN)));
    const auto value = [](Index i, Index j) {
      return float((i * 37 + j * 11) % 2048 - 1024) / 1024;
    };
    for (Index i = 0; i < height; ++i)
      for (Index j = 0; j < width; ++j)
        host[std::size_t(i * stride + j)] = gpu::narrow<Half>(value(i, j));
    const Buffer<Half> strip(host);
    const StoredStrip view{strip.data(), stride, row, row + height, col, col + width};
    for (const Index i0 : {0, 128})
      for (const Index j0 : {0, 128}) {
        const Buffer<float> out(std::size_t(128 * 128));
        finish(gpu::launch(read_tile, 1, StoredTile::kThreads, StoredTile::kShared, nullptr, view,
                           row + i0, col + j0, out.data()));
        const std::vector<float> got = out.values();
        int wrong = 0;
        for (Index i = 0; i < 128; ++i)
          for (Index j = 0; j < 128; ++j) {
            const bool inside = i0 + i < height && j0 + j < width;
            wrong += got[std::size_t(i * 128 + j)] != (inside ? value(i0 + i, j0 + j) : 0.f);
          }
        CAPTURE(height);
        CAPTURE(i0);
        CAPTURE(j0);
        CHECK(wrong == 0);
      }
  }
}

TEST_CASE("edges of ranges: a wave of the SMs, or what half the L2 holds; 4096 where unknown") {
  CHECK(gpu::gemm_edge({132, 60000000}) == 8192);   // 64 * 132 = 8448
  CHECK(gpu::gemm_edge({108, 40 << 20}) == 6144);   // 6912
  CHECK(gpu::gemm_edge({148, 126 << 20}) == 9216);  // 9472
  CHECK(gpu::gemm_edge({20, 24 << 20}) == 2048);    // 2 * 2048^2 bytes are 8 MiB, 3072^2 18
  CHECK(gpu::gemm_edge({16, 36 << 20}) == 3072);    // exactly half
  CHECK(gpu::gemm_edge({16, (36 << 20) - 1}) == 2048);
  CHECK(gpu::gemm_edge({8, 1 << 20}) == 1024);      // never less
  CHECK(gpu::gemm_edge({1000, 1 << 30}) == 16384);  // nor more
  CHECK(gpu::gemm_edge({0, 60000000}) == 4096);
  CHECK(gpu::gemm_edge({132, 0}) == 4096);
}

#if defined(SPHEREMIX_EMULATOR)
TEST_CASE("edges of ranges: read from the device; without one the fallback, and no error left") {
  emulator::device.multiprocessors = 132;
  emulator::device.l2_bytes = 60000000;
  CHECK(gpu::gemm_edge(gpu::chip()) == 8192);
  emulator::device.present = false;
  CHECK(gpu::gemm_edge(gpu::chip()) == 4096);
  CHECK(cudaGetLastError() == cudaSuccess);
  emulator::device = {};
}
#endif

TEST_CASE("what an algorithm is remembered by: the device too, and each property of the GEMM") {
  using gpu::pairwise::Gemm;
  using gpu::pairwise::key_of;
  alignas(16) unsigned char memory[64] = {};
  auto* const half = reinterpret_cast<Half*>(memory);
  const Gemm g{8, 16, 24, false, false, half, 8, half, 24, memory, false, 8, 1, 0};
  CHECK(key_of(g, 0) == key_of(g, 0));
  CHECK(key_of(g, 0) != key_of(g, 1));
  Gemm others[] = {g, g, g, g, g, g, g, g, g, g, g, g, g};
  others[0].m = 9, others[1].n = 9, others[2].k = 9, others[3].lda = 9, others[4].ldb = 9;
  others[5].ldc = 9, others[6].transpose_a = true, others[7].transpose_b = true;
  others[8].half_c = true, others[9].beta = 1, others[10].a = half + 1, others[11].b = half + 1;
  others[12].c = memory + 4;
  for (const Gemm& other : others) CHECK(key_of(other, 0) != key_of(g, 0));
  Gemm same = g;
  same.alpha = 2, same.a = half + 8;  // neither the factor nor where aligned operands lie
  CHECK(key_of(same, 0) == key_of(g, 0));
}
