// Labels are labels: every type of vector gives the same loss, ids of 64 bits stay apart, and
// SupReMix's mixtures of positives depend neither on the unit of the labels nor on their origin.
#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "spheremix/losses/decoupled_mixup.hpp"
#include "spheremix/losses/m2_mix.hpp"
#include "spheremix/losses/sup_con.hpp"
#include "spheremix/losses/sup_remix.hpp"
#include "spheremix/losses/triplet.hpp"
#include "support/many_inputs.hpp"
#include "support/remix_oracle.hpp"

using namespace spheremix;
using namespace spheremix::losses;
using namespace spheremix::test;

namespace {

constexpr Index kRows = 24;

template <class To, class From>
std::vector<To> converted(const std::vector<From>& from) {
  return std::vector<To>(from.begin(), from.end());
}

/// The same classes with numbers from 0 on.
template <class L>
std::vector<int> renumbered(const std::vector<L>& labels) {
  std::map<L, int> number;
  for (const L& y : labels) number.emplace(y, 0);
  int next = 0;
  for (auto& entry : number) entry.second = next++;
  std::vector<int> out;
  for (const L& y : labels) out.push_back(number[y]);
  return out;
}

/// Every loss of classes by `labels` equals that of the same classes by small integers.
template <class L>
void check_classes(const std::vector<L>& labels) {
  const RowMatrix<double> x = unit_rows<double>(Index(labels.size()), 6, 4);
  const std::vector<int> small = renumbered(labels);
  const auto a = sup_con_with_gradient(x, labels), b = sup_con_with_gradient(x, small);
  CHECK(a.loss == b.loss);
  CHECK(a.skipped == b.skipped);
  CHECK(same_bits(a.x, b.x));
  for (const auto mining : {TripletMining::batch_hard, TripletMining::semi_hard}) {
    const auto c = triplet_with_gradient(x, labels, {.mining = mining}),
               d = triplet_with_gradient(x, small, {.mining = mining});
    CHECK(c.loss == d.loss);
    CHECK(same_bits(c.x, d.x));
  }
  const SupRemixOptions plain{
      .weighting = RemixWeighting::none, .mix_negatives = false, .mix_positives = false};
  CHECK(sup_remix(x, labels, 0.3, plain) == sup_remix(x, small, 0.3, plain));
}

}  // namespace

TEST_CASE("labels of any vector and any type give one loss") {
  const RowMatrix<float> x = unit_rows<float>(kRows, 5, 4);
  std::vector<int> y;
  for (Index i = 0; i < kRows; ++i) y.push_back(int((5 * i) % 7));
  const double want = sup_con(x, y), want_remix = sup_remix(x, y, 0.25, {.window = 2.5}),
               want_triplet = triplet(x, y);
  const auto check = [&](const auto& labels) {
    CHECK(sup_con(x, labels) == want);
    CHECK(sup_remix(x, labels, 0.25, {.window = 2.5}) == want_remix);
    CHECK(triplet(x, labels) == want_triplet);
  };
  check(converted<std::int8_t>(y));
  check(converted<std::uint8_t>(y));
  check(converted<std::int16_t>(y));
  check(converted<std::int64_t>(y));
  check(converted<std::uint64_t>(y));
  check(converted<float>(y));
  check(converted<double>(y));
  check(converted<long double>(y));
  check(std::span<const int>(y));
  const Eigen::Map<const Eigen::VectorXi> eigen(y.data(), kRows);
  check(eigen);
  check(Eigen::RowVectorXi(eigen.transpose()));
  check(eigen.cast<float>());
  check(eigen.array() + 1000);
  check(Vector<double>(eigen.cast<double>()));
}

TEST_CASE("ids of 64 bits are compared as integers") {
  const std::int64_t two53 = std::int64_t(1) << 53;
  std::vector<std::int64_t> near, negative;
  std::vector<std::uint64_t> high;
  std::vector<long double> extended;
  for (Index i = 0; i < kRows; ++i) {
    const std::int64_t k = (5 * i) % 7;
    near.push_back(two53 + k);
    negative.push_back(i % 2 ? -two53 - k : INT64_MIN + k);
    high.push_back(i % 3 ? UINT64_MAX - std::uint64_t(k) : std::uint64_t(k));
    extended.push_back(static_cast<long double>(two53) + static_cast<long double>(k));
  }
  check_classes(near);
  check_classes(negative);
  check_classes(high);
  if (sizeof(long double) > sizeof(double)) check_classes(extended);
  check_classes(std::vector<double>{0.5, 0.25, 0.5, 0.25, -0.5, -0.5, 0.0, -0.0});
}

TEST_CASE("where numbers are meant, differences of large integers are right") {
  const RowMatrix<double> x = unit_rows<double>(kRows, 5, 4);
  std::vector<int> y;
  std::vector<std::int64_t> nanoseconds;
  std::vector<std::uint64_t> top;
  for (Index i = 0; i < kRows; ++i) {
    y.push_back(int((5 * i) % 9));
    nanoseconds.push_back(INT64_C(1700000000123456789) + y.back());
    top.push_back(UINT64_MAX - 8 + std::uint64_t(y.back()));
  }
  const SupRemixOptions o{.window = 3};
  const auto want = sup_remix_with_gradient(x, y, 0.25, o);
  for (const auto& got : {sup_remix_with_gradient(x, nanoseconds, 0.25, o),
                          sup_remix_with_gradient(x, top, 0.25, o)}) {
    CHECK(got.loss == want.loss);
    CHECK(same_bits(got.x, want.x));
  }
  const auto near = [&](const auto& labels) { return sup_con(x, labels, {.label_tolerance = 1}); };
  CHECK(near(nanoseconds) == near(y));
  CHECK(near(top) == near(y));
}

TEST_CASE("labels, weights and lambda: NaN and what is no class are errors") {
  const RowMatrix<float> x = unit_rows<float>(4, 5, 4);
  const std::vector<double> bad{0, 1, core::nan<double>, 1},
      endless{0, 1, core::infinity<double>, 1};
  const std::vector<int> y{0, 1, 0, 1};
  const auto refused = [](const auto& run) { CHECK_THROWS_AS((void)run(), std::invalid_argument); };
  for (const auto& labels : {bad, endless}) {
    refused([&] { return sup_con(x, labels); });
    refused([&] { return sup_remix(x, labels, 0.3); });
    refused([&] { return triplet(x, labels); });
    refused([&] { return mixup_cross_entropy(x, labels, y, 0.3); });
    refused([&] { return decoupled_mixup(x, y, labels, 0.3); });
    refused([&] { return m2_mix(x, x, labels); });
  }
  refused([&] { return mixup_cross_entropy(x, std::vector<double>{0, 1, 0.5, 1}, y, 0.3); });
  refused([&] { return mixup_cross_entropy(x, std::vector<int>{0, 1, 5, 1}, y, 0.3); });
  refused([&] {
    return mixup_cross_entropy(x, std::vector<std::uint64_t>{0, 1, UINT64_MAX, 1}, y, 0.3);
  });
}

TEST_CASE("classes, lambda and weights of any vector and any type give one loss of logits") {
  const RowMatrix<float> z = gaussian_rows<float>(4, 5, 4);
  const std::vector<Index> a{0, 3, 2, 4}, b{1, 3, 0, 2};
  const std::vector<double> lambda{0.25, 0.5, 1, 0.75};  // exact in float
  const auto want = mixup_cross_entropy_with_gradient(
      z, a, b, Vector<float>(Eigen::Vector4f(0.25f, 0.5f, 1, 0.75f)));
  const auto got = mixup_cross_entropy_with_gradient(z, converted<std::uint8_t>(a),
                                                     Eigen::Vector4d(1, 3, 0, 2), lambda);
  CHECK(got.loss == want.loss);
  CHECK(same_bits(got.logits, want.logits));
  CHECK(same_bits(got.lambda, want.lambda));
  CHECK(decoupled_mixup(z, a, b, converted<float>(lambda)) ==
        decoupled_mixup(z, converted<float>(a), converted<short>(b), lambda));
  Eigen::MatrixXi k(4, 2);
  Eigen::MatrixXd w(4, 2);
  LabelMatrix wide(4, 2);
  RowMatrix<float> narrow(4, 2);
  for (Index i = 0; i < 4; ++i) {
    k.row(i) << int(a[std::size_t(i)]), int(b[std::size_t(i)]);
    w.row(i) << lambda[std::size_t(i)], 1 - lambda[std::size_t(i)];
  }
  wide = k.cast<Index>();
  narrow = w.cast<float>();
  CHECK(mixup_cross_entropy_k(z, k, w) == mixup_cross_entropy_k(z, wide, narrow));
  CHECK(decoupled_mixup_k(z, k, w) == decoupled_mixup_k(z, wide, narrow));
  const RowMatrix<float> x = unit_rows<float>(4, 5, 1), y = unit_rows<float>(4, 5, 2);
  CHECK(m2_mix(x, y, lambda) ==
        m2_mix(x, y, Vector<float>(Eigen::Vector4f(0.25f, 0.5f, 1, 0.75f))));
  CHECK(m2_mix(x, y, std::vector<int>{0, 1, 1, 0}) ==
        m2_mix(x, y, Vector<float>(Eigen::Vector4f(0, 1, 1, 0))));
}

TEST_CASE_TEMPLATE("sup_remix: the window knows no unit and no origin", L, float, double) {
  const RowMatrix<double> x = unit_rows<double>(kRows, 5, 4);
  std::vector<int> whole;
  for (Index i = 0; i < kRows; ++i) whole.push_back(int((5 * i) % 11));
  for (const int reach : {2, 3, 5})
    for (const double tolerance : {0.0, 1.0}) {
      const auto options = [&](double unit) {
        return SupRemixOptions{.window = reach * unit,
                               .label_tolerance = tolerance * unit,
                               .weighting = RemixWeighting::none};
      };
      const double want = sup_remix(x, whole, 0.25, options(1));
      for (const double unit : {0.1, 0.01, 1.0 / 3, 0.7, 1e-5, 1e7})
        for (const double origin : {0.0, 5.0, -1000.0}) {
          CAPTURE(reach);
          CAPTURE(tolerance);
          CAPTURE(unit);
          CAPTURE(origin);
          std::vector<L> scaled;
          for (const int k : whole) scaled.push_back(L(origin * unit + k * unit));
          const double close = sizeof(L) == 8 ? 1e-11 : 2e-4;
          CHECK(relative_error(sup_remix(x, scaled, 0.25, options(unit)), want) < close);
          CHECK(relative_error(sup_con(x, scaled, {.label_tolerance = tolerance * unit}),
                               sup_con(x, whole, {.label_tolerance = tolerance})) < close);
        }
    }
}

TEST_CASE("sup_remix: a label within the tolerance of the window's edge is on it, and out") {
  const RowMatrix<double> x = unit_rows<double>(3, 5, 4);
  const auto has_mixture = [&](double right, double tolerance) {
    const std::vector<double> y{0, 1, 1 + right};  // row 1 is the anchor, its left parent is near
    return sup_remix_with_gradient(
               x, y, 0.25, {.window = 2, .label_tolerance = tolerance, .mix_negatives = false})
               .skipped == 2;
  };
  CHECK(has_mixture(1.5, 0.25));
  CHECK_FALSE(has_mixture(1.75, 0.25));
  CHECK_FALSE(has_mixture(1.9, 0.25));
  CHECK(has_mixture(1.9, 0));
  CHECK_FALSE(has_mixture(2, 0));
  CHECK_FALSE(has_mixture(2.1, 0.25));
}

TEST_CASE_TEMPLATE("sup_remix by distances equals the dense formula", T, float, double) {
  const double close = sizeof(T) == 8 ? 1e-9 : 2e-5;
  const Index n = 9;
  const RowMatrix<T> x = unit_rows<T>(n, 4, 7);
  RowMatrix<int> y(n, 2);  // a grid of two steps: some lie between others
  y << 0, 0, 1, 0, 2, 0, 0, 1, 1, 1, 2, 2, 1, 1, 0, 2, 2, 1;
  const auto distance = [](const auto& a, const auto& b) {
    return (a - b).template cast<double>().norm();
  };
  LongMatrix table(n, n);
  for (Index i = 0; i < n; ++i)
    for (Index k = 0; k < n; ++k)
      table(i, k) = (y.row(i) - y.row(k)).template cast<LongReal>().norm();
  const LongMatrix shares = LongMatrix::Constant(n, n, 0.25L);
  for (const bool detach : {true, false}) {
    const SupRemixOptions o{.temperature = 0.4, .window = 2, .detach = detach};
    const LongMatrix fixed = x.template cast<LongReal>();
    const auto f = [&](const LongMatrix& rows, LongReal tau) {
      return remix_oracle(rows, detach ? fixed : rows, table, shares, tau, o);
    };
    const auto labels = label_distances(y, distance);
    const auto got = sup_remix_with_gradient(x, labels, 0.25, o);
    check_loss_of_batches(
        "distances", [&](const LongBatches& in) { return f(in[0], 0.4L); }, widened(x), got.loss,
        widened(got.x), close);
    check_slope_of_log(
        "tau", [&](LongReal t) { return f(fixed, t); }, 0.4, got.log_temperature, close);
    CHECK(sup_remix(x, label_distances(RowMatrix<double>(table.cast<double>())), 0.25, o) ==
          sup_remix(x, labels, 0.25, o));
  }
  // One dimension: the loss of the labels themselves.
  std::vector<double> line;
  for (Index i = 0; i < n; ++i) line.push_back(double((3 * i) % 7) / 2);
  const Eigen::Map<const Vector<double>> column(line.data(), n);
  for (const bool renormalise : {false, true}) {
    const SupRemixOptions o{.window = 1.5, .detach = false, .renormalise = renormalise};
    const auto a = sup_remix_with_gradient(x, line, 0.25, o),
               b = sup_remix_with_gradient(x, label_distances(column, distance), 0.25, o);
    CHECK(a.skipped == b.skipped);
    CHECK(relative_error(a.loss, b.loss) < close);
    CHECK(matrix_error(a.x, b.x) < close);
  }
  CHECK_THROWS_AS((void)label_distances(RowMatrix<double>::Constant(2, 2, -1).eval()),
                  std::invalid_argument);
  CHECK_THROWS_AS((void)label_distances(RowMatrix<double>::Zero(2, 3).eval()),
                  std::invalid_argument);
  CHECK_THROWS_AS((void)sup_remix(x, label_distances(RowMatrix<double>::Zero(2, 2).eval()), 0.25),
                  std::invalid_argument);
}
