// The epilogues' two kinds of tiles, each alone: whole, plain ones, and those with pairs that take no
// part (excluded by difference, by partner, outside). Statistics and gradients of one table against
// long double; NaN and infinity in a plain tile, alone and through the losses.
#include <algorithm>
#include <set>
#include <utility>

#include "support/gpu.hpp"

#include "spheremix/gpu/losses/clip.cuh"
#include "spheremix/gpu/losses/info_nce.cuh"
#include "spheremix/gpu/losses/siglip.cuh"
#include "spheremix/gpu/losses/sup_con.cuh"
#include "spheremix/gpu/metrics/uniformity.cuh"
#include "spheremix/formula/softmax_pair.hpp"

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
namespace pairwise = gpu::pairwise;
using Pairs = std::set<std::pair<Index, Index>>;

constexpr Index kDepth = 16;

/// (log-sum-exp in base 2) of every row and column, cosines of the positives, gradients.
struct TableResult {
  std::vector<double> rows, cols, positives, dx, dy;
};

/// x, y: rounded to the tile's input already.
template <class Tile, bool Cols>
TableResult run(const std::vector<double>& x, const std::vector<double>& y, Index n, Index m,
                double scale, const pairwise::Excluded& excluded, Index positive) {
  using T = typename Tile::Sum;
  using Input = typename Tile::Input;
  const Rows<Input> dx(n, kDepth, x), dy(m, kDepth, y);
  Buffer<pairwise::RowPair<T>> rows((std::size_t(n))), cols((std::size_t(m)));
  Buffer<T> positives((std::size_t(n)));
  pairwise::Table<Tile, formula::SoftmaxPair<T, true, Cols>> table;
  table.x = dx.input();
  table.y = dy.input();
  table.policy = {T(scale), T(Tile::kWeightScale), T(Cols ? 0.5 * Tile::kWeightScale : 0)};
  table.excluded = excluded;
  table.positive = positive;
  table.positives = positives.data();
  table.rows = rows.data();
  table.cols = cols.data();
  const pairwise::RangeLimits limits = pairwise::range_limits<Tile>(n, m, 0);
  Buffer<char> scratch(pairwise::sweep_bytes<Tile>(limits, true, true, true));
  finish(pairwise::sweep_statistics(table, limits, scratch.scratch(), nullptr,
                                    pairwise::KernelProducts{}));

  const auto log_sum_exps = [](const Buffer<pairwise::RowPair<T>>& from, bool there) {
    std::vector<double> out;
    std::vector<pairwise::RowPair<T>> kept = from.values();
    for (auto& v : kept)
      if (there) v = {T(double(v.a) + std::log2(double(v.b))), T(0)}, out.push_back(double(v.a));
    if (there)
      must(cudaMemcpy(from.data(), kept.data(), kept.size() * sizeof(kept[0]),
                      cudaMemcpyHostToDevice),
           "cudaMemcpy");
    return out;
  };
  TableResult out;
  out.rows = log_sum_exps(rows, true);
  out.cols = log_sum_exps(cols, Cols);
  for (const T v : positives.values()) out.positives.push_back(double(v));
  Rows<T> gx(n, kDepth), gy(m, kDepth);
  // The policy's units carry the scale; undone by alpha, G is row_weight p + col_weight q.
  table.policy.row_weight = table.policy.row_weight / table.policy.scale;
  table.policy.col_weight = table.policy.col_weight / table.policy.scale;
  finish(pairwise::sweep_gradients(table, {gx.view(), gy.view()}, T(1 / Tile::kWeightScale), limits,
                                   scratch.scratch(), nullptr, pairwise::KernelProducts{}));
  out.dx = gx.values();
  out.dy = gy.values();
  return out;
}

/// The same in long double; `left_out` in words.
TableResult reference(const std::vector<double>& x, const std::vector<double>& y, Index n, Index m,
                      double scale, const Pairs& left_out, Index positive, bool with_cols) {
  std::vector<long double> s(std::size_t(n * m)), rows(std::size_t(n), 0), cols(std::size_t(m), 0);
  TableResult out;
  out.positives.assign(std::size_t(n), std::nan(""));
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < m; ++j) {
      long double sum = 0;
      for (Index k = 0; k < kDepth; ++k)
        sum += (long double)x[std::size_t(i * kDepth + k)] * y[std::size_t(j * kDepth + k)];
      if (j - i == positive) out.positives[std::size_t(i)] = double(sum);
      s[std::size_t(i * m + j)] = sum;
      if (left_out.count({i, j})) continue;
      rows[std::size_t(i)] += std::exp2((long double)scale * sum);
      cols[std::size_t(j)] += std::exp2((long double)scale * sum);
    }
  std::vector<long double> dx(std::size_t(n * kDepth), 0), dy(std::size_t(m * kDepth), 0);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < m; ++j) {
      if (left_out.count({i, j})) continue;
      const long double e = std::exp2((long double)scale * s[std::size_t(i * m + j)]);
      const long double g =
          e / rows[std::size_t(i)] + (with_cols ? 0.5L * e / cols[std::size_t(j)] : 0);
      for (Index k = 0; k < kDepth; ++k) {
        dx[std::size_t(i * kDepth + k)] += g * y[std::size_t(j * kDepth + k)];
        dy[std::size_t(j * kDepth + k)] += g * x[std::size_t(i * kDepth + k)];
      }
    }
  for (const long double v : rows) out.rows.push_back(double(std::log2(v)));
  if (with_cols)
    for (const long double v : cols) out.cols.push_back(double(std::log2(v)));
  out.dx.assign(dx.begin(), dx.end());
  out.dy.assign(dy.begin(), dy.end());
  return out;
}

double apart(const std::vector<double>& a, const std::vector<double>& b) {
  long double difference = 0, size = 0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    difference += (long double)(a[k] - b[k]) * (a[k] - b[k]);
    size += (long double)b[k] * b[k];
  }
  return double(std::sqrt(difference / size));
}

template <class Tile, bool Cols>
void check(Index n, Index m, double scale, const pairwise::Excluded& excluded,
           const Pairs& left_out, Index positive, double tolerance, bool opposed = false) {
  using Input = typename Tile::Input;
  CAPTURE(n);
  CAPTURE(m);
  CAPTURE(scale);
  auto x = unit_rows<Input>(n, kDepth, 1), y = unit_rows<Input>(m, kDepth, 2);
  for (Index i = 0; opposed && i < n; ++i) x[std::size_t(i * kDepth)] = 1;
  for (Index j = 0; opposed && j < m; ++j) y[std::size_t(j * kDepth)] = -1;
  const TableResult got = run<Tile, Cols>(x, y, n, m, scale, excluded, positive),
                    want = reference(x, y, n, m, scale, left_out, positive, Cols);
  const auto lines = [&](const std::vector<double>& a, const std::vector<double>& b) {
    REQUIRE(a.size() == b.size());
    double worst = 0;
    for (std::size_t k = 0; k < a.size(); ++k)
      worst = std::isfinite(a[k]) ? std::max(worst, std::abs(a[k] - b[k])) : 1e300;
    CHECK(worst <= tolerance * scale);
  };
  lines(got.rows, want.rows);
  lines(got.cols, want.cols);
  for (std::size_t i = 0; i < want.positives.size(); ++i)
    CHECK((std::isnan(want.positives[i]) ? std::isnan(got.positives[i])
                                         : std::abs(got.positives[i] - want.positives[i]) <= 1e-6));
  const double of_gradients = std::max(tolerance * scale * 10, sizeof(Input) == 2 ? 1e-3 : 0);
  CHECK(apart(got.dx, want.dx) <= of_gradients);
  CHECK(apart(got.dy, want.dy) <= of_gradients);
}

/// All kinds of tables, for tiles of `edge`.
template <class Tile>
void check_all(double tolerance) {
  const Index edge = Tile::kEdge, far = 100000;
  const auto by_difference = [](Index n, Index m, std::vector<Index> differences) {
    Pairs out;
    for (Index i = 0; i < n; ++i)
      for (const Index d : differences)
        if (i + d >= 0 && i + d < m) out.insert({i, i + d});
    return out;
  };
  for (const double scale : {20.0, 700.0}) {  // 700: log-sum-exps of a tile more than 60 apart
    check<Tile, true>(edge, 2 * edge, scale, {}, {}, far, tolerance);  // plain tiles only
    check<Tile, false>(2 * edge, edge, scale, {}, {}, far, tolerance);
    check<Tile, true>(edge, 2 * edge, scale, {{edge - 1, 3, -5}, 3},
                      by_difference(edge, 2 * edge, {edge - 1, 3, -5}), 7, tolerance);
    check<Tile, true>(edge + 3, edge + 1, scale, {{0, 0, 0}, 1},
                      by_difference(edge + 3, edge + 1, {0}), 0, tolerance);  // ragged
  }
  // Log-sum-exps so low that a pair which does not exist would weigh more than fp16 holds.
  check<Tile, true>(edge + 3, edge + 1, 20, {{0, 0, 0}, 1}, by_difference(edge + 3, edge + 1, {0}),
                    0, tolerance, true);
  // One tile and one difference, above and below the diagonal; nothing else marks the tile.
  for (const Index d : {Index(3), Index(-3), edge - 1, 1 - edge})
    check<Tile, true>(edge, edge, 20, {{d, d, d}, 1}, by_difference(edge, edge, {d}), far,
                      tolerance);
  // Positives that take part: nothing else marks the two tiles, touched in a corner.
  for (const Index d : {Index(1), edge - 1})
    check<Tile, true>(edge, 2 * edge, 20, {}, {}, d, tolerance);
  // The flip of few and of many rows touches the tile in its first or last pair only.
  for (const Index of : {Index(1), 2 * edge - 1})
    check<Tile, true>(edge, edge, 2, {{0, 0, 0}, 0, true, {of, nullptr, nullptr}},
                      {{(of - 1) / 2, (of - 1) / 2}}, far, tolerance);
  const Index n = 2 * edge;
  pairwise::Excluded flip{{0, 0, 0}, 1, true, {n, nullptr, nullptr}};
  Pairs left_out = by_difference(n, n, {0});
  for (Index i = 0; i < n; ++i) left_out.insert({i, n - 1 - i});
  check<Tile, true>(n, n, 20, flip, left_out, 0, tolerance);
  // Maps. First all partners of a half lie in it but for one, in the first or last column of a tile
  // off the diagonal; then all lie in the other half.
  std::vector<Index> within(std::size_t(n), 0), across = within;
  for (Index i = 0; i < n; ++i) {
    within[std::size_t(i)] = i < edge ? (i + 5) % edge : edge + (i + 9) % edge;
    across[std::size_t(i)] = (i + edge) % n;
  }
  std::swap(within[std::size_t(edge - 6)], within[std::size_t(n - 9)]);
  for (const std::vector<Index>& map : {within, across}) {
    std::vector<Index> inverse(std::size_t(n), 0);
    left_out = by_difference(n, n, {0});
    for (Index i = 0; i < n; ++i) {
      inverse[std::size_t(map[std::size_t(i)])] = i;
      left_out.insert({i, map[std::size_t(i)]});
    }
    const Buffer<Index> to(map), from(inverse);
    check<Tile, true>(n, n, 2, {{0, 0, 0}, 1, true, {n, to.data(), from.data()}}, left_out, 0,
                      tolerance);
  }
}

}  // namespace

TEST_CASE("one table: plain tiles, excluded pairs, partners, ragged edges") {
  in_every_order([] {
    check_all<pairwise::HalfTile>(2e-6);
    check_all<pairwise::ExactTile<float>>(2e-6);
    check_all<pairwise::ExactTile<double>>(1e-13);
  });
}

TEST_CASE("NaN and infinity in a plain tile stay in what they touch, and are never finite there") {
  using Tile = pairwise::HalfTile;
  const Index n = Tile::kEdge, m = 2 * n;
  for (const double bad : {std::nan(""), double(INFINITY), -double(INFINITY)})
    in_every_order([&] {
      auto x = unit_rows<gpu::Half>(n, kDepth, 1), y = unit_rows<gpu::Half>(m, kDepth, 2);
      y[std::size_t(150 * kDepth + 3)] = bad;
      const TableResult one = run<Tile, true>(x, y, n, m, 20, {}, 100000);
      for (const double v : one.rows) CHECK((!std::isfinite(v) || bad != bad || v < 100));
      for (Index j = 0; j < m; ++j) CHECK(std::isfinite(one.cols[std::size_t(j)]) == (j != 150));
      x[std::size_t(77 * kDepth + 5)] = bad;
      y = unit_rows<gpu::Half>(m, kDepth, 2);
      const TableResult other = run<Tile, true>(x, y, n, m, 20, {}, 100000);
      for (Index i = 0; i < n; ++i) CHECK(std::isfinite(other.rows[std::size_t(i)]) == (i != 77));
      for (Index k = 0; k < kDepth; ++k) {
        CHECK(!std::isfinite(other.dx[std::size_t(77 * kDepth + k)]));
        CHECK((bad == bad || std::isnan(other.dy[std::size_t(9 * kDepth + k)])));
      }
      // One pair far above all others, in a thread that holds some of row 77 too: NaN there must not
      // hide it from the tile's maximum.
      for (Index k = 0; k < n * kDepth; ++k)
        if (k / kDepth != 69) x[std::size_t(k)] /= 16;
      std::copy_n(&x[std::size_t(69 * kDepth)], kDepth, &y[std::size_t(16 * kDepth)]);
      const TableResult steep = run<Tile, true>(x, y, n, m, 700, {}, 100000);
      for (Index i = 0; i < n; ++i) CHECK(std::isfinite(steep.rows[std::size_t(i)]) == (i != 77));
    });
}

TEST_CASE("losses: NaN or infinity in a row is never finite, whatever signs its cosines have") {
  namespace device = gpu::losses;
  const Index n = 256;  // four tiles, two of them plain
  const auto values = [&](const std::vector<double>& x, const std::vector<double>& y) {
    const Rows<float> a(n, kDepth, x), b(n, kDepth, y);
    Rows<float> gx(n, kDepth), gy(n, kDepth);
    const auto in = a.input(), with = b.input();
    std::vector<int> classes;
    for (Index i = 0; i < n; ++i) classes.push_back(int(i % 50));
    const Buffer<int> labels(classes);
    Buffer<double> value(5);
    Buffer<char> scratch(
        std::max({device::clip_bytes<float>(in, with), device::info_nce_bytes<float>(in, with),
                  device::siglip_bytes<float>(in, with), device::sup_con_bytes<float>(in),
                  gpu::metrics::uniformity_bytes<float>(in)}));
    const gpu::Scratch room = scratch.scratch();
    finish(device::clip<float>(in, with, {.block = 128}, value.data(), room));
    finish(device::info_nce<float>(in, with, {.block = 128}, value.data() + 1, room));
    finish(device::siglip_with_gradient<float>(
        in, with, {.block = 128}, {value.data() + 2, gx.view(), gy.view(), nullptr, nullptr},
        room));
    finish(device::sup_con<float>(in, labels.data(), {.block = 128}, value.data() + 3, room));
    finish(gpu::metrics::uniformity_with_gradient<float>(in, {.block = 128},
                                                         {value.data() + 4, gx.view()}, room));
    return value.values();
  };
  const auto good = unit_rows<float>(n, kDepth, 1), other = unit_rows<float>(n, kDepth, 2);
  for (const double v : values(good, other)) CHECK(std::isfinite(v));
  for (const Index row : {Index(5), Index(200)}) {
    CAPTURE(row);
    for (const double bad : {std::nan(""), double(INFINITY), -double(INFINITY)}) {
      auto x = good;
      x[std::size_t(row * kDepth + 2)] = bad;
      for (const double v : values(x, other)) CHECK(!std::isfinite(v));
    }
    // Only the row's own first component is positive, and infinite: its cosine with itself is
    // +infinity, with all others -infinity.
    auto x = good;
    for (Index i = 0; i < n; ++i) {
      double& first = x[std::size_t(i * kDepth)];
      first = i == row ? double(INFINITY) : -std::abs(first) - 0.01;
      if (i == row)
        for (Index k = 1; k < kDepth; ++k) x[std::size_t(i * kDepth + k)] = 0;
    }
    auto y = x;
    y[std::size_t(row * kDepth)] = 1;
    const std::vector<double> all = values(x, y);
    for (std::size_t k = 0; k < all.size(); ++k) {
      CAPTURE(k);
      CHECK(!std::isfinite(all[k]));
    }
  }
}
