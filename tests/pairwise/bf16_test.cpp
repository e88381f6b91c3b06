// Rounding to bf16 against arithmetic in double, and products of rounded operands against long
// double, by pairs (AVX512-BF16, where this processor has it) and by the f32 tiles.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <random>
#include <vector>

#include "spheremix/pairwise/product_bf16.hpp"
#include "support/differences.hpp"
#include "support/sphere_points.hpp"

using namespace spheremix;
using namespace spheremix::test;

namespace {

using In = core::MatrixView<const float>;
using Out = core::MatrixView<float>;
using Rows = RowMatrix<float>;

/// bf16(x) by rounding the significand in double; denormals to zero.
float nearest_bf16(float x) {
  if (x != x || std::isinf(x)) return x;
  if (std::abs(x) < 0x1p-126f) return std::copysign(0.0f, x);
  const int last = std::ilogb(x) - 7;  // exponent of the last bit kept
  const double kept = std::ldexp(std::nearbyint(std::ldexp(double(x), -last)), last);
  return std::abs(kept) >= 0x1p128 ? std::copysign(core::infinity<float>, x) : float(kept);
}

bool same(float a, float b) {
  return (a != a && b != b) || (a == b && std::signbit(a) == std::signbit(b));
}

/// Bit patterns of every sign, exponent and upper significand with the lower halves where rounding
/// turns, and random ones.
std::vector<float> all_kinds() {
  std::vector<float> kinds;
  for (std::uint32_t high = 0; high < 0x10000; ++high)
    for (const std::uint32_t low : {0u, 1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu})
      kinds.push_back(std::bit_cast<float>(high << 16 | low));
  std::mt19937 engine(1);
  for (int k = 0; k < 200000; ++k) kinds.push_back(std::bit_cast<float>(std::uint32_t(engine())));
  return kinds;
}

Rows rounded(const Rows& x) {
  return x.unaryExpr([](float v) { return nearest_bf16(v); });
}

/// The three products by pairs or by f32 tiles, with buffers of their own.
struct Engine {
  bool pairs;
  std::vector<float> a = std::vector<float>(std::size_t(pairwise::kPackA<float>)),
                     b = std::vector<float>(std::size_t(pairwise::kPackB<float>));
  pairwise::PackBuffers<float> pack{a.data(), b.data()};

  explicit Engine(bool by_pairs) : pairs(by_pairs) {}
  template <bool TransposedA, bool TransposedB>
  void operator()(Out c, In x, In y, bool add = false) {
    pack.packed = nullptr;
    pairwise::detail::product_bf16(c, x, TransposedA, y, TransposedB, add, pack, pairs);
  }
};

std::vector<bool> ways() {
  return pairwise::has_bf16_pairs() ? std::vector<bool>{false, true} : std::vector<bool>{false};
}

In in(const Rows& m) { return {m.data(), m.rows(), m.cols(), m.cols()}; }
Out out(Rows& m) { return {m.data(), m.rows(), m.cols(), m.cols()}; }

/// Largest |got - want| over the bound of a chain of d multiply-adds: (d + 2) 2^-24 |A| |B|^T.
double error_in_bounds(const Rows& got, const LongMatrix& want, const LongMatrix& size, Index d) {
  double worst = 0;
  for (Index i = 0; i < got.rows(); ++i)
    for (Index j = 0; j < got.cols(); ++j) {
      const long double bound = (long double)(d + 2) * 0x1p-24L * size(i, j) + 1e-40L;
      worst = std::max(worst, double(std::abs((long double)(got(i, j)) - want(i, j)) / bound));
    }
  return worst;
}

}  // namespace

TEST_CASE("bf16: to the nearest, ties to even, for floats of every kind") {
  int wrong = 0;
  for (const float x : all_kinds())
    wrong += !same(pairwise::round_to_bf16(x), nearest_bf16(x)) ||
             (std::bit_cast<std::uint32_t>(pairwise::round_to_bf16(x)) & 0xffff) != 0;
  CHECK(wrong == 0);
}

TEST_CASE("bf16: each packing rounds so, for floats of every kind") {
  const std::vector<float> kinds = all_kinds();
  const Index n = 512, blocks = Index(kinds.size()) / n;
  const float one = 1;
  for (const bool pairs : ways()) {
    CAPTURE(pairs);
    Engine product(pairs);
    std::array<int, 4> wrong{};
    Rows c(n, 1), r(1, n);
    for (Index k = 0; k < blocks; ++k) {  // depth 1: bf16(x) 1
      const float* x = kinds.data() + k * n;
      const auto count = [&](int way, const Rows& got) {
        for (Index i = 0; i < n; ++i) {
          const float want = nearest_bf16(x[i]);
          wrong[std::size_t(way)] +=
              !(got.data()[i] == want || (got.data()[i] != got.data()[i] && want != want));
        }
      };
      product.operator()<false, false>(out(c), {x, n, 1, 1}, {&one, 1, 1, 1});
      count(0, c);
      product.operator()<true, false>(out(c), {x, 1, n, n}, {&one, 1, 1, 1});
      count(1, c);
      product.operator()<false, false>(out(r), {&one, 1, 1, 1}, {x, 1, n, n});
      count(2, r);
      product.operator()<false, true>(out(r), {&one, 1, 1, 1}, {x, n, 1, 1});
      count(3, r);
    }
    CHECK(wrong == std::array<int, 4>{});
  }
}

TEST_CASE("bf16: products of every shape against long double, transposed or not, added or not") {
  std::vector<std::array<Index, 3>> shapes{{1, 1, 1},     {14, 32, 16},  {13, 33, 17},
                                           {29, 31, 257}, {253, 65, 40}, {60, 514, 20},
                                           {5, 7, 2051},  {15, 48, 1024}};
  for (Index k = 1; k <= 70; k += 3) shapes.push_back({k, 71 - k, k + 1});
  for (const bool pairs : ways()) {
    CAPTURE(pairs);
    Engine product(pairs);
    for (const auto& shape : shapes) {
      const Index m = shape[0], n = shape[1], d = shape[2];
      CAPTURE(m);
      CAPTURE(n);
      CAPTURE(d);
      const Rows a = gaussian_rows<float>(m, d, 1), b = gaussian_rows<float>(n, d, 2);
      const Rows at = a.transpose(), bt = b.transpose(), before = gaussian_rows<float>(m, n, 3);
      const LongMatrix ra = rounded(a).cast<long double>(), rb = rounded(b).cast<long double>();
      const LongMatrix want = ra * rb.transpose(), size = ra.cwiseAbs() * rb.cwiseAbs().transpose();
      Rows c = before;
      product.operator()<false, true>(out(c), in(a), in(b));
      CHECK(error_in_bounds(c, want, size, d) <= 1);
      const Rows first = c;
      product.operator()<false, false>(out(c), in(a), in(bt));
      CHECK(same_bits(c, first));  // one chain of multiply-adds, however the operands lie
      product.operator()<true, false>(out(c), in(at), in(bt));
      CHECK(same_bits(c, first));
      c = before;
      product.operator()<true, false>(out(c), in(at), in(bt), true);
      const LongMatrix old = before.cast<long double>();
      CHECK(error_in_bounds(c, want + old, size + old.cwiseAbs(), d) <= 1);
      if (m > 3 && n > 5) {  // a block of the result has the bits that it has in the whole
        Rows wide = Rows::Constant(m, n + 9, 7.0f);
        product.operator()<false, true>({wide.data() + 2, m - 3, n - 5, n + 9},
                                        {a.row(3).data(), m - 3, d, d},
                                        {b.row(5).data(), n - 5, d, d});
        CHECK(same_bits(wide.block(0, 2, m - 3, n - 5), first.bottomRightCorner(m - 3, n - 5)));
        wide.block(0, 2, m - 3, n - 5).setConstant(7.0f);
        CHECK((wide.array() == 7.0f).all());  // and nothing is written beside it
      }
    }
  }
}

TEST_CASE("bf16: small whole numbers are exact, by pairs and by f32 tiles alike") {
  for (const Index d : {1, 2, 31, 1023, 1025, 2050}) {
    CAPTURE(d);
    const Rows a = gaussian_rows<float>(19, d, 4).array().round(),
               b = gaussian_rows<float>(37, d, 5).array().round();
    const Rows want = (a.cast<double>() * b.cast<double>().transpose()).cast<float>();
    for (const bool pairs : ways()) {
      Rows c(19, 37);
      Engine(pairs).operator()<false, true>(out(c), in(a), in(b));
      CHECK(same_bits(c, want));
    }
  }
}

TEST_CASE("bf16: no rows, no columns, no depth") {
  const float x = 3;
  for (const bool pairs : ways()) {
    Engine product(pairs);
    float c = 5;
    product.operator()<false, true>({&c, 0, 1, 1}, {&x, 0, 1, 1}, {&x, 1, 1, 1});
    product.operator()<false, true>({&c, 1, 0, 1}, {&x, 1, 1, 1}, {&x, 0, 1, 1});
    product.operator()<true, false>({&c, 1, 1, 1}, {&x, 0, 1, 1}, {&x, 0, 1, 1}, true);
    CHECK(c == 5);
    product.operator()<false, false>({&c, 1, 1, 1}, {&x, 1, 0, 1}, {&x, 0, 1, 1});
    CHECK(c == 0);
  }
}

TEST_CASE("bf16: NaN and infinity reach the row or column that they belong to and no other") {
  const Index m = 17, n = 35, d = 9;
  for (const bool pairs : ways()) {
    CAPTURE(pairs);
    Rows a = gaussian_rows<float>(m, d, 6).cwiseAbs(), b = gaussian_rows<float>(n, d, 7).cwiseAbs();
    a(5, 8) = core::nan<float>;
    a(7, 3) = core::infinity<float>;
    b(33, 4) = -core::infinity<float>;
    b(2, 0) = 3.4e38f;  // rounds to infinity
    Rows c(m, n);
    Engine(pairs).operator()<false, true>(out(c), in(a), in(b));
    const LongMatrix want =
        rounded(a).cast<long double>() * rounded(b).cast<long double>().transpose();
    for (Index i = 0; i < m; ++i)
      for (Index j = 0; j < n; ++j)
        if (std::isfinite(want(i, j)))
          CHECK(std::isfinite(c(i, j)));
        else
          CHECK(same(c(i, j), float(want(i, j))));
  }
}

TEST_CASE("bf16: a B deeper than its buffer is packed again") {
  for (const bool pairs : ways())
    for (const Index d : {600, 1100, 2100}) {
      const Rows a = gaussian_rows<float>(20, d, 8), b = gaussian_rows<float>(40, d, 9);
      const Rows want = rounded(a) * rounded(b).transpose();
      Engine memory(pairs);
      Rows c(20, 40);
      for (int turn = 0; turn < 2; ++turn) {
        pairwise::detail::product_bf16(out(c), in(a), false, in(b), true, false, memory.pack,
                                       pairs);
        CHECK((c - want).norm() <= 1e-5f * want.norm());
      }
    }
}

TEST_CASE("bf16: a B packed for one engine is never taken for the other's") {
  const Rows a = gaussian_rows<float>(20, 30, 8), b = gaussian_rows<float>(40, 30, 9);
  const Rows exact = a * b.transpose(), coarse = rounded(a) * rounded(b).transpose();
  const auto is = [](const Rows& got, const Rows& want) {
    return (got - want).norm() <= 1e-6f * want.norm();
  };
  Engine memory(false);
  Rows c(20, 40);
  for (int turn = 0; turn < 2; ++turn) {
    pairwise::Bf16Products::times_transposed<float>(out(c), in(a), in(b), false, memory.pack);
    CHECK(is(c, coarse));
    pairwise::Bf16Products::times_transposed<float>(out(c), in(a), in(b), false, memory.pack);
    CHECK(is(c, coarse));
    pairwise::PlainProducts::times_transposed<float>(out(c), in(a), in(b), false, memory.pack);
    CHECK(is(c, exact));
  }
  const Rows bt = b.transpose(), at = a.transpose();
  pairwise::Bf16Products::times<float>(out(c), in(a), in(bt), false, memory.pack);
  CHECK(is(c, coarse));
  pairwise::Bf16Products::transposed_times<float>(out(c), in(at), in(bt), false, memory.pack);
  CHECK(is(c, coarse));
}
