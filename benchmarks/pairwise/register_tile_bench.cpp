// Three ways to the same inner loop, C += A B from packed panels that stay in the caches, one thread:
//
//   ours     the register tile of pairwise/isa_product.inc: the compilers' vectors, function-level targets
//   highway  the same tile in Highway's vectors, targets by foreach_target and dynamic dispatch
//   eigen    Eigen's product of the unpacked matrices, packing included, with the flags of this program
//
// A is 168 x 512, B 512 x 512: what pairwise/product.hpp packs at a time. Needs libhwy-dev.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "pairwise/register_tile_bench.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cstddef>

HWY_BEFORE_NAMESPACE();
namespace tile::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;

/// As many rows as registers allow: 14 of 32 registers' worth with two vectors a row, 6 of 16.
#if HWY_TARGET <= HWY_AVX3
inline constexpr int kRows = 14;
#else
inline constexpr int kRows = 6;
#endif

/// c (kRows x 2 vectors) += A B; A by rows of `a_stride`, B a packed panel.
HWY_ATTR inline void one(std::size_t depth, const float* a, std::size_t a_stride, const float* b,
                         float* c, std::size_t c_stride) {
  const D d;
  constexpr std::size_t lanes = HWY_MAX_BYTES / sizeof(float);
  using V = hn::Vec<D>;
  for (int r = 0; r < kRows; ++r) {
    __builtin_prefetch(c + std::size_t(r) * c_stride, 1);
    __builtin_prefetch(c + std::size_t(r) * c_stride + lanes, 1);
  }
  V acc0[kRows], acc1[kRows];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) acc0[r] = acc1[r] = hn::Zero(d);
  for (std::size_t k = 0; k < depth; ++k) {
    const V b0 = hn::LoadU(d, b + k * 2 * lanes), b1 = hn::LoadU(d, b + k * 2 * lanes + lanes);
    __builtin_prefetch(b + (k + 16) * 2 * lanes);
    __builtin_prefetch(b + (k + 16) * 2 * lanes + lanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const V x = hn::Set(d, a[std::size_t(r) * a_stride + k]);
      acc0[r] = hn::MulAdd(x, b0, acc0[r]);
      acc1[r] = hn::MulAdd(x, b1, acc1[r]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    float* const to = c + std::size_t(r) * c_stride;
    hn::StoreU(hn::Add(hn::LoadU(d, to), acc0[r]), d, to);
    hn::StoreU(hn::Add(hn::LoadU(d, to + lanes), acc1[r]), d, to + lanes);
  }
}

/// All tiles of a rows x cols block. Panels as wide as this target's two vectors.
HWY_ATTR void block(std::size_t rows, std::size_t cols, std::size_t depth, const float* a,
                    std::size_t a_stride, const float* b, float* c) {
  constexpr std::size_t width = 2 * HWY_MAX_BYTES / sizeof(float);
  for (std::size_t j = 0; j < cols; j += width)
    for (std::size_t i = 0; i < rows; i += kRows)
      one(depth, a + i * a_stride, a_stride, b + j * depth, c + i * cols + j, cols);
}

}  // namespace tile::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <benchmark/benchmark.h>

#include <Eigen/Core>
#include <string>
#include <vector>

#include "spheremix/pairwise/isa.hpp"
#include "versus/fma_peak.hpp"

namespace tile {

HWY_EXPORT(block);

namespace {

using namespace spheremix;
using Row = Eigen::Matrix<float, -1, -1, Eigen::RowMajor>;
constexpr Index kM = pairwise::kPackRows, kN = pairwise::kPackCols, kK = pairwise::kDepth<float>;

struct Panels {
  Row a = Row::Random(kM, kK), b = Row::Random(kK, kN), c = Row::Zero(kM, kN);
  std::vector<float> a_pack, b_pack;

  /// Rows with the library's stride, B in panels of `width` columns.
  explicit Panels(Index width)
      : a_pack(std::size_t(pairwise::kPackA<float>)), b_pack(std::size_t(kK * kN + 64 * width)) {
    for (Index i = 0; i < kM; ++i)
      for (Index k = 0; k < kK; ++k)
        a_pack[std::size_t(i * pairwise::kPackStride<float> + k)] = a(i, k);
    for (Index j = 0; j < kN; ++j)
      for (Index k = 0; k < kK; ++k)
        b_pack[std::size_t(j / width * width * kK + k * width + j % width)] = b(k, j);
  }
};

Index width() { return pairwise::isa() == pairwise::Isa::avx512 ? 32 : 16; }

void ours(Panels& p) {
  const Index rows = pairwise::isa() == pairwise::Isa::avx512 ? 14 : 6;
  const auto tile = SPHEREMIX_DISPATCH(register_tile<float, true>);
  for (Index j = 0; j < kN; j += width())
    for (Index i = 0; i < kM; i += rows)
      tile(kK, p.a_pack.data() + i * pairwise::kPackStride<float>, p.b_pack.data() + j * kK,
           p.c.data() + i * kN + j, kN, true);
}
void highway(Panels& p) {
  HWY_DYNAMIC_DISPATCH(block)
  (std::size_t(kM), std::size_t(kN), std::size_t(kK), p.a_pack.data(),
   std::size_t(pairwise::kPackStride<float>), p.b_pack.data(), p.c.data());
}
void eigen(Panels& p) { p.c.noalias() += p.a * p.b; }

void measure(benchmark::State& state, void (*work)(Panels&)) {
  Eigen::setNbThreads(1);
  Panels p(width());
  work(p);
  const Row want = p.a * p.b;
  if (!((p.c - want).cwiseAbs().maxCoeff() <= 1e-3f)) return state.SkipWithError("a wrong product");
  const double peak = versus::fma_peak(false, 1, 0.05);
  for (auto _ : state) {
    work(p);
    benchmark::DoNotOptimize(p.c.data());
    benchmark::ClobberMemory();
  }
  const double gflop = 2.0 * double(kM * kN * kK) * double(state.iterations()) / 1e9;
  state.counters["gflops"] = benchmark::Counter(gflop, benchmark::Counter::kIsRate);
  state.counters["percent_of_peak"] =
      benchmark::Counter(100 * gflop / peak, benchmark::Counter::kIsRate);
}

}  // namespace
}  // namespace tile

int main(int argc, char** argv) {
  const auto add = [](const char* who, void (*work)(tile::Panels&)) {
    const std::string name = std::string("register_tile/") + who + "/f32/n:168/d:512/threads:1";
    benchmark::RegisterBenchmark(name.c_str(), tile::measure, work)
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
  };
  add("spheremix", tile::ours);
  add("highway", tile::highway);
  add("eigen", tile::eigen);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
#endif
