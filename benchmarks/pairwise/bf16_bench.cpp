// What bf16 can give: the rate of vdpbf16ps beside that of f32 multiply-adds, both in registers, and
// the three products by either engine. One thread, processor time, rivals in turns; Markdown.
//
//   pairwise_bf16_bench
#include <time.h>

#include <cstdio>
#include <vector>

#include "spheremix/core/eigen.hpp"
#include "spheremix/pairwise/product_bf16.hpp"
#include "versus/fma_peak.hpp"

namespace {

using namespace spheremix;
using Rows = RowMatrix<float>;

double seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

#if defined(__x86_64__)
/// Flops of 16 independent chains of vdpbf16ps.
__attribute__((target("avx512f,avx512bf16"), noinline)) double bf16_flops(long rounds) {
  __m512 sum[16];
#pragma GCC unroll 16
  for (int k = 0; k < 16; ++k) sum[k] = _mm512_set1_ps(float(k));
  __m512i a = _mm512_set1_epi32(0x3f003f00);
  for (long r = 0; r < rounds; ++r) {
#pragma GCC unroll 16
    for (int k = 0; k < 16; ++k) sum[k] = _mm512_dpbf16_ps(sum[k], (__m512bh)a, (__m512bh)a);
    asm volatile("" : "+v"(a));  // the products are not the compiler's to compute once
  }
  volatile __m512 keep;
#pragma GCC unroll 16
  for (int k = 0; k < 16; ++k) keep = sum[k];
  (void)keep;
  return 4.0 * 16 * 16 * double(rounds);
}
#else
double bf16_flops(long) { return 0; }
#endif

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

/// The three products of an m x d and an n x d matrix of cosines' shape, or of its transpose.
struct Products {
  Rows a, b, at, bt, c;
  std::vector<float> pa, pb;

  Products(Index m, Index n, Index d)
      : a(Rows::Random(m, d)),
        b(Rows::Random(n, d)),
        at(a.transpose()),
        bt(b.transpose()),
        c(m, n),
        pa(std::size_t(pairwise::kPackA<float>)),
        pb(std::size_t(pairwise::kPackB<float>)) {}

  template <class Engine>
  void run(int form) {
    pairwise::PackBuffers<float> pack{pa.data(), pb.data()};
    const core::MatrixView<float> to{c.data(), c.rows(), c.cols(), c.cols()};
    const auto in = [](const Rows& m) {
      return core::MatrixView<const float>{m.data(), m.rows(), m.cols(), m.cols()};
    };
    if (form == 0) Engine::template times_transposed<float>(to, in(a), in(b), false, pack);
    if (form == 1) Engine::template times<float>(to, in(a), in(bt), false, pack);
    if (form == 2) Engine::template transposed_times<float>(to, in(at), in(bt), false, pack);
  }
};

}  // namespace

int main() {
  const bool pairs = pairwise::has_bf16_pairs();
  std::vector<double> f32, bf16, ratio;
  for (int turn = 0; turn < 25; ++turn) {
    const double start = seconds(), one = versus::some_flops(false, 1000000), between = seconds();
    const double two = pairs ? bf16_flops(1000000) : 0, end = seconds();
    f32.push_back(one / (between - start) / 1e9);
    bf16.push_back(two / (end - between) / 1e9);
    ratio.push_back(bf16.back() / f32.back());
  }
  std::printf("peak in registers: f32 %.0f, bf16 %.0f GFLOP/s, ratio %.2f%s\n\n", median(f32),
              median(bf16), median(ratio), pairs ? "" : " (no AVX512-BF16: f32 tiles)");
  std::printf(
      "| product | m x n x depth | f32 GFLOP/s | bf16 GFLOP/s | of its peak | ratio |\n"
      "|---|---|---|---|---|---|\n");
  const char* const names[] = {"times_transposed", "times", "transposed_times"};
  for (const Index d : {128, 512, 1024, 4096})
    for (int form = 0; form < 3; ++form) {
      Products p(504, 512, d);
      std::vector<double> plain, fast, turns;
      const double flops = 2e-9 * 504 * 512 * double(d);
      for (int turn = 0; turn < 25; ++turn) {
        const double start = seconds();
        p.run<pairwise::PlainProducts>(form);
        const double between = seconds();
        p.run<pairwise::Bf16Products>(form);
        const double end = seconds();
        plain.push_back(flops / (between - start));
        fast.push_back(flops / (end - between));
        turns.push_back(fast.back() / plain.back());
      }
      std::printf("| %s | 504 x 512 x %ld | %.0f | %.0f | %.0f %% | %.2f |\n", names[form], long(d),
                  median(plain), median(fast), pairs ? 100 * median(fast) / median(bf16) : 0.0,
                  median(turns));
    }
}
