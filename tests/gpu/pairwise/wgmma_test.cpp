// Hopper's wgmma: the instruction against its definition, the tile against plain sums, and losses
// on it against the whole table in long double and against the mma.sync tile.
#include "support/gpu.hpp"

#include <csignal>

#include "gpu/losses/reference.hpp"
#include "spheremix/gpu/losses/clip.cuh"
#include "spheremix/gpu/losses/clip_m2_mix.cuh"
#include "spheremix/gpu/losses/info_nce.cuh"
#include "spheremix/gpu/losses/siglip.cuh"
#include "spheremix/gpu/metrics/uniformity.cuh"
#include "spheremix/gpu/pairwise/wgmma_cosines.cuh"

#if defined(SPHEREMIX_EMULATOR)
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
using gpu::Half;
using gpu::Precision;
using gpu::pairwise::HalfTile;
using gpu::pairwise::KernelProducts;
using gpu::pairwise::WgmmaCosines;
using gpu::pairwise::WgmmaTile;

/// Whether wgmma runs here: a build for sm_90a on compute capability 9.0, or the emulator.
bool wgmma_here() {
  const gpu::Status usable = gpu::wgmma_usable();
  if (!usable) MESSAGE("skipped: " << usable.text);
  return usable.ok();
}

/// What can be left out of a step.
enum Fault { none, no_copies_wait, no_proxy_fence, no_barrier, no_fence, no_wait, early_refill };

/// out (64 x 128) = A B^T of 16 of the 64 columns of a (64 x 64) and b (128 x 64), on 1's.
template <Fault Left>
__global__ void one_wgmma(const Half* a, const Half* b, float* out, unsigned columns) {
  unsigned char* const shared = gpu::shared_memory();
  const unsigned thread = threadIdx.x, warp = thread / 32, g = thread % 32 / 4, t = thread % 4;
  for (unsigned q = thread; q < (64 + 128) * 8; q += 128) {
    const unsigned r = q / 8, chunk = q % 8;
    gpu::copy16_async(shared + r * 128 + (chunk ^ (r % 8)) * 16,
                      (r < 64 ? a + r * 64 : b + (r - 64) * 64) + chunk * 8);
  }
  gpu::copies_commit();
  if constexpr (Left != no_copies_wait) gpu::copies_wait<0>();
  if constexpr (Left != no_proxy_fence) gpu::async_proxy_fence();
  if constexpr (Left != no_barrier) gpu::block_barrier();
  float d[64];
  for (int k = 0; k < 64; ++k) d[k] = 1;
  gpu::wgmma_settle(d);
  if constexpr (Left != no_fence) gpu::wgmma_fence();
  gpu::wgmma_m64n128k16(d, gpu::wgmma_operand(shared + columns * 2),
                        gpu::wgmma_operand(shared + 64 * 128 + columns * 2));
  gpu::wgmma_commit();
  if constexpr (Left == early_refill) gpu::copy16_async(shared + thread * 128, a);
  gpu::copies_commit();
  if constexpr (Left != no_wait) gpu::wgmma_wait<0>();
  gpu::wgmma_settle(d);
  for (unsigned n = 0; n < 16; ++n)
    for (unsigned i = 0; i < 2; ++i)
      for (unsigned e = 0; e < 2; ++e)
        out[(16 * warp + g + 8 * i) * 128 + 8 * n + 2 * t + e] = d[4 * n + 2 * i + e];
  if constexpr (Left == no_wait) gpu::wgmma_wait<0>();
  gpu::copies_wait<0>();
}

__global__ void descriptors(std::uint64_t* to) {
  to[0] = gpu::wgmma_operand(gpu::shared_memory());
  to[1] = gpu::wgmma_operand(gpu::shared_memory() + 8192 + 96);
}

/// Where a tile says that its threads' values lie.
template <class Tile>
struct PlacesKernel {
  static constexpr unsigned kThreads = Tile::kThreads, kResident = 1;
  static constexpr std::size_t kShared = 0;
  int *rows, *cols;
  __device__ void operator()() const {
    for (int r = 0; r < Tile::kRows; ++r)
      rows[threadIdx.x * Tile::kRows + unsigned(r)] = int(Tile::row(r));
    for (int c = 0; c < Tile::kCols; ++c)
      cols[threadIdx.x * Tile::kCols + unsigned(c)] = int(Tile::col(c));
  }
};

/// The tile at (i0, j0), as it lies.
template <class Tile>
struct TileKernel {
  static constexpr unsigned kThreads = Tile::kThreads, kResident = Tile::kResident;
  static constexpr std::size_t kShared = Tile::kShared;
  core::MatrixView<const Half> x, y;
  Index i0, j0;
  float* out;
  __device__ void operator()() const {
    unsigned char* const shared = gpu::shared_memory();
    Tile tile;
    tile.multiply(x, y, i0, j0, shared);
    for (unsigned k = threadIdx.x; k < Tile::kShared; k += kThreads) shared[k] = 0xFF;
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r)
#pragma unroll
      for (int c = 0; c < Tile::kCols; ++c)
        out[Tile::row(r) * Tile::kEdge + Tile::col(c)] = tile.sum(r, c);
  }
};

template <class Tile>
std::vector<float> tile_of(const Rows<Half>& x, const Rows<Half>& y, Index i0, Index j0) {
  const Buffer<float> out(128 * 128);
  finish(
      gpu::pairwise::start(TileKernel<Tile>{x.input(), y.input(), i0, j0, out.data()}, 1, nullptr));
  return out.values();
}

struct Result {
  std::vector<double> sums, x, y;  // sums: the loss and the slopes
};
bool operator==(const Result& a, const Result& b) {
  return a.sums == b.sums && a.x == b.x && a.y == b.y;
}

enum Loss { clip, info_nce, siglip_loss, uniformity, clip_m2 };

template <Loss Which, class T, class Products>
Result run(const std::vector<double>& x, const std::vector<double>& y, Index n, Index d,
           Index block, Precision precision, const Products& products) {
  const Products how = at(products, precision, block);
  const Rows<T> dx(n, d, x), dy(n, d, y);
  Rows<gpu::Arithmetic<T>> gx(n, d), gy(n, d, std::vector<double>(std::size_t(n * d)));
  const Buffer<double> sums(std::vector<double>(3));
  double* const to = sums.data();
  const gpu::losses::ContrastiveGradient<T> out{to, gx.view(), gy.view(), to + 1};
  if constexpr (Which == clip) {
    const gpu::losses::ClipOptions options{0.05};
    with_scratch([&](gpu::Scratch s) {
      return gpu::losses::clip_with_gradient<T>(dx.input(), dy.input(), options, out, s, nullptr,
                                                how);
    });
  } else if constexpr (Which == info_nce) {
    const gpu::losses::InfoNceOptions options{0.05};
    with_scratch([&](gpu::Scratch s) {
      return gpu::losses::info_nce_with_gradient<T>(dx.input(), dy.input(), options, out, s,
                                                    nullptr, how);
    });
  } else if constexpr (Which == siglip_loss) {
    const gpu::losses::SiglipOptions options{0.1, -4};
    with_scratch([&](gpu::Scratch s) {
      return gpu::losses::siglip_with_gradient<T>(dx.input(), dy.input(), options,
                                                  {to, gx.view(), gy.view(), to + 1, to + 2}, s,
                                                  nullptr, how);
    });
  } else if constexpr (Which == clip_m2) {
    gpu::losses::ClipM2MixOptions options;
    const Buffer<double> lambda(1);
    with_scratch([&](gpu::Scratch s) {
      return gpu::losses::clip_m2_mix_with_gradient<T>(
          dx.input(), dy.input(), gpu::RowScalar<gpu::Arithmetic<T>>(gpu::Arithmetic<T>(0.4)),
          options, {to, gx.view(), gy.view(), lambda.data(), to + 1, to + 2}, s, nullptr, how);
    });
  } else {
    const gpu::metrics::UniformityOptions options{4};
    with_scratch([&](gpu::Scratch s) {
      return gpu::metrics::uniformity_with_gradient<T>(dx.input(), options, {to, gx.view()}, s,
                                                       nullptr, how);
    });
  }
  return {sums.values(), gx.values(), gy.values()};
}

void check_near(const Result& got, const Result& want, double tolerance) {
  for (std::size_t k = 0; k < want.sums.size(); ++k) {
    CAPTURE(k);
    CHECK(std::abs(got.sums[k] - want.sums[k]) <=
          tolerance * std::max(1.0, std::abs(want.sums[k])));
  }
  CHECK(relative_error(got.x, want.x) <= tolerance);
  CHECK(relative_error(got.y, want.y) <= tolerance);
}

template <Loss Which>
Result reference(const std::vector<double>& x, const std::vector<double>& y, Index n, Index d) {
  if constexpr (Which == uniformity ||
                Which == clip_m2) {  // f64, compared with sums in their tests
    return run<Which, double>(x, y, n, d, 0, Precision::exact, KernelProducts{});
  } else {
    const long double w = 1.0L / (long double)n;
    long double bias = 0;
    const Reference r = Which == clip       ? contrastive(x, y, n, d, 0.05L, w / 2, w / 2)
                        : Which == info_nce ? contrastive(x, y, n, d, 0.05L, w, 0)
                                            : siglip(x, y, n, d, 0.1L, -4, &bias);
    return {{double(r.loss), double(r.log_temperature), double(bias)}, r.x, r.y};
  }
}

/// Against the reference, against the tile of mma.sync, and against itself in every order.
template <Loss Which>
void check_loss(Index n, Index d) {
  CAPTURE(n);
  CAPTURE(int(Which));
  const auto x = unit_rows<float>(n, d, 1), y = unit_rows<float>(n, d, 2);
  const auto fast = [&](const auto& products) {
    return run<Which, float>(x, y, n, d, 0, Precision::fast, products);
  };
  const Result got = fast(WgmmaCosines<>{});
  check_near(got, reference<Which>(x, y, n, d), 1e-3);
  check_near(got, fast(KernelProducts{}), 1e-4);
  in_every_order([&] { CHECK(got == fast(WgmmaCosines<>{})); });
}

/// Kernel products that count, as a library's would be wrapped.
struct CountedProducts {
  int* half_calls;
  Precision precision = Precision::fast;
  Index block = 0;

  template <class Tile>
  gpu::Status operator()(const gpu::pairwise::ProductSide<Tile>& first,
                         const gpu::pairwise::ProductSide<Tile>& second,
                         cudaStream_t stream) const {
    *half_calls += std::is_same_v<Tile, HalfTile>;
    return KernelProducts{}(first, second, stream);
  }
};

}  // namespace

TEST_CASE("wgmma: descriptors") {
  if (!wgmma_here()) return;
  const Buffer<std::uint64_t> to(2);
  finish(gpu::launch(descriptors, 1, 1, 16384, nullptr, to.data()));
  const std::uint64_t first = to.values()[0], second = to.values()[1];
  CHECK((first & 0x3FFF) % 64 == 0);  // a 1024-byte boundary
  CHECK((first >> 14) == (second >> 14));
  CHECK((first >> 16 & 0x3FFF) == 1);
  CHECK((first >> 32 & 0x3FFF) == 64);
  CHECK((first >> 46) == 1 << 16);
  CHECK((second & 0x3FFF) - (first & 0x3FFF) == (8192 + 96) / 16);
}

TEST_CASE("wgmma: one of 64 x 128 x 16, from any 16 of the 64 columns of a stage") {
  if (!wgmma_here()) return;
  const std::vector<double> a = gaussian(64, 64, 1), b = gaussian(128, 64, 2);
  const Rows<Half> da(64, 64, a), db(128, 64, b);
  const Buffer<float> out(64 * 128);
  for (const unsigned first : {0u, 16u, 32u, 48u})
    in_every_order([&] {
      finish(gpu::launch(one_wgmma<none>, 1, 128, 192 * 128, nullptr, da.view().data,
                         db.view().data, out.data(), first));
      const auto got = out.values();
      double worst = 0;
      for (std::size_t i = 0; i < 64; ++i)
        for (std::size_t j = 0; j < 128; ++j) {
          double want = 1;
          for (std::size_t k = first; k < first + 16; ++k)
            want += stored<Half>(a[i * 64 + k]) * stored<Half>(b[j * 64 + k]);
          worst = worse(worst, double(got[i * 128 + j]) - want);
        }
      CHECK(worst <= 1e-4);
    });
}

TEST_CASE("wgmma tile: every pair once, rows in four lanes, columns in eight") {
  const Buffer<int> rows(128 * WgmmaTile::kRows), cols(128 * WgmmaTile::kCols);
  finish(gpu::pairwise::start(PlacesKernel<WgmmaTile>{rows.data(), cols.data()}, 1, nullptr));
  const auto row = rows.values(), col = cols.values();
  std::vector<int> seen(128 * 128);
  bool row_rule = true, col_rule = true;
  for (std::size_t t = 0; t < 128; ++t) {
    for (std::size_t r = 0; r < WgmmaTile::kRows; ++r) {
      const int i = row[t * WgmmaTile::kRows + r];
      row_rule = row_rule && i == row[(t & ~std::size_t(3)) * WgmmaTile::kRows + r];
      for (std::size_t c = 0; c < WgmmaTile::kCols; ++c)
        ++seen[std::size_t(i * 128 + col[t * WgmmaTile::kCols + c])];
    }
    for (std::size_t c = 0; c < WgmmaTile::kCols; ++c)
      col_rule = col_rule && col[t * WgmmaTile::kCols + c] ==
                                 col[(t & ~std::size_t(28)) * WgmmaTile::kCols + c];
  }
  CHECK(row_rule);
  CHECK(col_rule);
  CHECK(seen == std::vector<int>(128 * 128, 1));
}

TEST_CASE("wgmma tile: ragged rows and columns, zeros outside, against plain sums") {
  if (!wgmma_here()) return;
  for (const Index n : {1, 5, 64, 127, 128, 129, 200})
    for (const Index d : {8, 64, 72, 200, 328}) {
      CAPTURE(n);
      CAPTURE(d);
      auto x = unit_rows<Half>(n, d, 1), y = unit_rows<Half>(n, d, 2);
      const Rows<Half> dx(n, d, x, {8, 8}), dy(n, d, y, {16, 0});
      in_every_order([&] {
        for (const Index i0 : {Index(0), Index(128)})
          for (const Index j0 : {Index(0), Index(128)}) {
            if (i0 >= n || j0 >= n) continue;
            const auto got = tile_of<WgmmaTile>(dx, dy, i0, j0);
            double worst = 0;
            for (Index r = 0; r < 128; ++r)
              for (Index c = 0; c < 128; ++c) {
                double want = 0;
                if (i0 + r < n && j0 + c < n)
                  for (Index k = 0; k < d; ++k)
                    want += x[std::size_t((i0 + r) * d + k)] * y[std::size_t((j0 + c) * d + k)];
                worst = worse(worst, double(got[std::size_t(r * 128 + c)]) - want);
              }
            CHECK(worst <= 1e-5);
#if defined(SPHEREMIX_EMULATOR)  // where both sum in the same order
            if (d == 200) CHECK(got == tile_of<HalfTile>(dx, dy, i0, j0));
#endif
          }
      });
    }
}

TEST_CASE("losses on wgmma cosines: against references, against mma.sync, twice the same") {
  if (!wgmma_here()) return;
  for (const auto& [n, d] : {std::pair<Index, Index>{136, 200}, {5, 20}}) {
    check_loss<clip>(n, d);
    check_loss<info_nce>(n, d);
    check_loss<siglip_loss>(n, d);
    check_loss<uniformity>(n, d);
    check_loss<clip_m2>(n, d);
  }
}

TEST_CASE("wgmma cosines: fp16 rows as they lie; ranges; other products; exact as without") {
  if (!wgmma_here()) return;
  const Index n = 140, d = 72;
  const auto x = unit_rows<Half>(n, d, 3), y = unit_rows<Half>(n, d, 4);
  const Result want = reference<clip>(x, y, n, d);
  in_every_order([&] {
    check_near(run<clip, Half>(x, y, n, d, 128, Precision::fast, WgmmaCosines<>{}), want, 1e-3);
    int calls = 0;
    const WgmmaCosines<CountedProducts> counted{{&calls}};
    CHECK(run<clip, Half>(x, y, n, d, 128, Precision::fast, counted) ==
          run<clip, Half>(x, y, n, d, 128, Precision::fast, WgmmaCosines<>{}));
    CHECK(calls == 4);
    CHECK(run<clip, Half>(x, y, n, d, 128, Precision::exact, counted) ==
          run<clip, Half>(x, y, n, d, 128, Precision::exact, KernelProducts{}));
    CHECK(calls == 4);
  });
}

#if defined(SPHEREMIX_EMULATOR)
namespace {

/// Some sum is NaN where something was left out.
template <Fault Left>
void check_fault(const Rows<Half>& a, const Rows<Half>& b) {
  CAPTURE(int(Left));
  in_every_order([&] {
    const Buffer<float> out(64 * 128);
    finish(gpu::launch(one_wgmma<Left>, 1, 128, 192 * 128, nullptr, a.view().data, b.view().data,
                       out.data(), 0u));
    bool wrong = false;
    for (const float v : out.values()) wrong = wrong || v != v;
    CHECK(wrong == (Left != none));
  });
}

}  // namespace

TEST_CASE("emulated wgmma: what is left out of a step gives NaN, in either order of the warps") {
  const Rows<Half> a(64, 64, gaussian(64, 64, 1)), b(128, 64, gaussian(128, 64, 2));
  check_fault<none>(a, b);
  check_fault<no_copies_wait>(a, b);
  check_fault<no_proxy_fence>(a, b);
  check_fault<no_barrier>(a, b);
  check_fault<no_fence>(a, b);
  check_fault<no_wait>(a, b);
  check_fault<early_refill>(a, b);
}

namespace {

/// Starts a wgmma on the operands at shared + at, by warps below `warps` alone.
__global__ void bare_wgmma(unsigned at, unsigned warps) {
  float d[64] = {};
  if (threadIdx.x / 32 >= warps) return;
  const std::uint64_t b = gpu::wgmma_operand(gpu::shared_memory() + 8192);
  gpu::wgmma_fence();
  gpu::wgmma_m64n128k16(d, gpu::wgmma_operand(gpu::shared_memory() + at), b);
  gpu::wgmma_commit();
  gpu::wgmma_wait<0>();
}

/// Whether the emulator stops the program.
bool stops(unsigned at, unsigned warps, std::size_t shared) {
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);  // not doctest's
    if (!std::freopen("/dev/null", "w", stderr)) _exit(1);
    (void)gpu::launch(bare_wgmma, 1, 128, shared, nullptr, at, warps);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

}  // namespace

TEST_CASE("emulated wgmma: operands off their boundaries and missing warps stop the program") {
  CHECK(!stops(0, 4, 24576));
  CHECK(!stops(32, 4, 24576));  // the next 16 columns
  CHECK(stops(128, 4, 24576));  // the second row of eight
  CHECK(stops(512, 4, 24576));
  CHECK(stops(0, 3, 24576));  // a warp is missing
  CHECK(stops(0, 4, 20480));  // b ends outside
}
#endif

TEST_CASE("wgmma where its kernels cannot run: a status, nothing started") {
  const Index n = 40, d = 24;
  const auto values = unit_rows<float>(n, d, 1);
  const Rows<float> x(n, d, values), gx(n, d), gy(n, d);
  const Buffer<double> loss(1);
  const gpu::losses::ClipOptions options{0.05};
  const Buffer<char> scratch(1 << 20);
  const auto run = [&](Precision precision) {
    return gpu::losses::clip_with_gradient<float>(
        x.input(), x.input(), options, {loss.data(), gx.view(), gy.view(), nullptr},
        scratch.scratch(), nullptr, at(WgmmaCosines<>{}, precision, 0));
  };
#if defined(SPHEREMIX_EMULATOR)
  const auto refused = [&] {
    const std::size_t launches = emulator::launches;
    const gpu::Status status = run(Precision::fast);
    CHECK(!status.ok());
    CHECK(std::strstr(status.text, "wgmma") != nullptr);
    CHECK(emulator::launches == launches);
    CHECK(cudaGetLastError() == cudaSuccess);
    finish(run(Precision::exact));  // does without
    emulator::device = {};
  };
  emulator::device.built_for_sm_90a = false;
  refused();
  emulator::device.major = 10;
  refused();
  emulator::device.major = 8, emulator::device.minor = 9;
  refused();
  emulator::device.minor = 1;
  refused();
  finish(run(Precision::fast));
#else
  const gpu::Status status = run(Precision::fast);
  CHECK(status.ok() == gpu::wgmma_usable().ok());
  finish(run(Precision::exact));
#endif
}
