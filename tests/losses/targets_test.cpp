// Targets beyond the diagonal: info_nce, clip and siglip against long double, from dense tables.
#include "spheremix/losses/targets.hpp"

#include <doctest/doctest.h>

#include <array>
#include <functional>
#include <limits>
#include <span>
#include <string>

#include "spheremix/losses/clip.hpp"
#include "spheremix/losses/clip_bf16.hpp"
#include "spheremix/losses/info_nce.hpp"
#include "spheremix/losses/info_nce_bf16.hpp"
#include "spheremix/losses/siglip.hpp"
#include "spheremix/losses/sup_con.hpp"
#include "support/refusal.hpp"
#include "support/target_oracle.hpp"
#include "support/threads.hpp"

using namespace spheremix;
using namespace spheremix::test;
using losses::ClipOptions;
using losses::InfoNceOptions;
using losses::SiglipOptions;
using losses::Targets;

namespace {

/// A table as the library takes it and as the oracle does.
struct Case {
  std::string name;
  Targets targets;
  LongMatrix weight;
};

LongMatrix dense_of_ids(const std::vector<int>& a, const std::vector<int>& b) {
  LongMatrix w = LongMatrix::Zero(Index(a.size()), Index(b.size()));
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t j = 0; j < b.size(); ++j) w(Index(i), Index(j)) = a[i] == b[j];
  return w;
}

Case of_ids(const std::string& name, std::vector<int> a, std::vector<int> b) {
  const LongMatrix w = dense_of_ids(a, b);
  return {name, losses::ids(std::move(a), std::move(b)), w};
}

Case of_pairs(const std::string& name, Index n, Index m, std::vector<int> rows,
              std::vector<int> cols, std::vector<double> weights) {
  LongMatrix w = LongMatrix::Zero(n, m);
  for (std::size_t k = 0; k < rows.size(); ++k) w(rows[k], cols[k]) += LongReal(weights[k]);
  return {name, losses::pairs(std::move(rows), std::move(cols), std::move(weights)), w};
}

Case of_soft(const std::string& name, const RowMatrix<double>& p) {
  return {name, losses::soft(RowMatrix<double>(p)), p.cast<LongReal>()};
}

int number(std::mt19937& engine, Index below) {
  return int(std::uniform_int_distribution<Index>(0, below - 1)(engine));
}

std::vector<int> integers(std::mt19937& engine, Index count, Index below) {
  std::vector<int> v;
  for (Index i = 0; i < count; ++i) v.push_back(number(engine, below));
  return v;
}

/// Tables that targets come in, ordinary and nasty, of n x m pairs.
std::vector<Case> cases(Index n, Index m, std::uint32_t seed) {
  std::mt19937 engine(seed);
  std::vector<Case> all;
  const auto ids = [&](Index below) { return integers(engine, n, below); };
  all.push_back(of_ids("ids of few classes", ids(4), integers(engine, m, 4)));
  auto many = integers(engine, m, 2 * n);
  many[0] = 1;
  auto mine = ids(2 * n);
  mine[std::size_t(n - 1)] = 1;  // one match at least; rows and columns without a target
  all.push_back(of_ids("ids of many classes", mine, many));
  all.push_back(of_ids("one id for all", std::vector<int>(std::size_t(n), -7),
                       std::vector<int>(std::size_t(m), -7)));
  std::vector<int> rows, cols;
  std::vector<double> weights;
  for (Index k = 0; k < 3 * n; ++k) {
    rows.push_back(number(engine, n));
    cols.push_back(number(engine, m));
    weights.push_back(k % 5 == 0 ? 0.0 : std::pow(10.0, 4 - number(engine, 9)));
  }
  for (Index k = 0; k < n; ++k) {  // named twice
    rows.push_back(rows[std::size_t(k)]);
    cols.push_back(cols[std::size_t(k)]);
    weights.push_back(0.75);
  }
  all.push_back(of_pairs("pairs, some named twice, some of weight 0", n, m, rows, cols, weights));
  all.push_back(of_pairs("one pair", n, m, {int(n - 1)}, {0}, {3.0}));
  RowMatrix<double> p = gaussian_rows<double>(n, m, seed + 1).cwiseAbs();
  all.push_back(of_soft("probabilities that do not add up to 1", p));
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < m; ++j)
      p(i, j) = (i + 2 * j) % 3 == 0 && i > 0 ? std::pow(10.0, -double(j % 13)) : 0.0;
  p(n - 1, m - 1) = 1;
  all.push_back(of_soft("a sparse matrix of widely different weights", p));
  return all;
}

/// Pairs left out, a third of them.
Eigen::MatrixXi some_excluded(Index n, Index m) {
  Eigen::MatrixXi out(n, m);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < m; ++j) out(i, j) = (i * 5 + j * 3) % 7 < 2;
  return out;
}

template <class T>
struct Both {
  static constexpr const char* name = "clip";
  static auto run(const RowMatrix<T>& x, const RowMatrix<T>& y, const Targets& t,
                  const ClipOptions& o) {
    CHECK(losses::clip(x, y, t, o) == doctest::Approx(losses::clip_with_gradient(x, y, t, o).loss));
    return losses::clip_with_gradient(x, y, t, o);
  }
  using Options = ClipOptions;
  static constexpr bool both = true;
};
template <class T>
struct Rows {
  static constexpr const char* name = "info_nce";
  static auto run(const RowMatrix<T>& x, const RowMatrix<T>& y, const Targets& t,
                  const InfoNceOptions& o) {
    CHECK(losses::info_nce(x, y, t, o) ==
          doctest::Approx(losses::info_nce_with_gradient(x, y, t, o).loss));
    return losses::info_nce_with_gradient(x, y, t, o);
  }
  using Options = InfoNceOptions;
  static constexpr bool both = false;
};

double relative(double got, LongReal want, LongReal floor = 0) {
  return double(std::abs(LongReal(got) - want) / std::max(std::abs(want), floor));
}

/// Loss relative to itself, gradients relative to the largest entry, moments to their size.
template <class G>
void check_against(const G& got, const TargetOracle& want, const LongMatrix& s, double within) {
  CHECK(relative(got.loss, want.loss, 1e-300L) <= within);
  CHECK(matrix_error(got.x, want.x) <= within);
  CHECK(matrix_error(got.y, want.y) <= within);
  const LongReal moment = want.g.cwiseAbs().cwiseProduct(s.cwiseAbs()).sum() + 1e-300L;
  CHECK(double(std::abs(LongReal(got.log_temperature) - want.log_temperature) / moment) <= within);
}

template <class Loss, class T>
void check_softmax(double tau, double within) {
  for (const auto& shape : {std::array<Index, 2>{7, 7}, {17, 26}, {26, 17}, {3, 70}, {1, 6}})
    for (const Case& c : cases(shape[0], shape[1], std::uint32_t(shape[0]))) {
      const Index n = shape[0], m = shape[1];
      const RowMatrix<T> x = unit_rows<T>(n, 9, 3), y = unit_rows<T>(m, 9, 4);
      const LongMatrix a = x.template cast<LongReal>(), b = y.template cast<LongReal>();
      for (const int extra : {0, 1, 2, 3, 4}) {
        CAPTURE(Loss::name);
        CAPTURE(c.name);
        CAPTURE(n);
        CAPTURE(m);
        CAPTURE(extra);
        DenseTargets d{c.weight, {}, 0, {}};
        typename Loss::Options options{.temperature = tau};
        if (extra == 1 || extra == 4) options.label_smoothing = 0.15, d.smoothing = LongReal(0.15);
        if (extra == 2 || extra == 4) {
          for (Index i = 0; i < n; ++i) options.row_weights.push_back(0.5 + double(i % 3));
          d.row_weights = options.row_weights;
        }
        if (extra == 3 || extra == 4) {
          d.excluded = some_excluded(n, m);
          options.exclude = losses::soft(RowMatrix<double>(d.excluded.cast<double>()));
        }
        const TargetOracle want(a, b, d, LongReal(tau), Loss::both);
        check_against(Loss::run(x, y, c.targets, options), want, a * b.transpose(), within);
      }
    }
}

}  // namespace

TEST_CASE("targets: info_nce and clip are their formula in long double") {
  for (const double tau : {1.0, 0.03}) {
    check_softmax<Both<double>, double>(tau, 1e-12);
    check_softmax<Rows<double>, double>(tau, 1e-12);
  }
  check_softmax<Both<float>, float>(0.2, 2e-5);
  check_softmax<Rows<float>, float>(0.2, 2e-5);
}

namespace {

template <class T>
void check_siglip(double tau, double bias, double within) {
  for (const auto& shape : {std::array<Index, 2>{7, 7}, {17, 26}, {26, 17}, {3, 70}, {1, 6}})
    for (Case c : cases(shape[0], shape[1], std::uint32_t(shape[0]))) {
      const Index n = shape[0], m = shape[1];
      if (c.targets.parts().weights.data)
        c.weight = c.weight.unaryExpr([](LongReal w) { return w > 0 ? LongReal(1) : w; });
      if (c.targets.parts().kind == losses::detail::TargetKind::soft) {
        const LongReal most = c.weight.maxCoeff();
        const RowMatrix<double> p = (c.weight / most).cast<double>();
        c = of_soft(c.name, p);
      }
      const RowMatrix<T> x = unit_rows<T>(n, 9, 3), y = unit_rows<T>(m, 9, 4);
      const LongMatrix a = x.template cast<LongReal>(), b = y.template cast<LongReal>();
      for (const int extra : {0, 1, 2, 3}) {
        CAPTURE(c.name);
        CAPTURE(n);
        CAPTURE(m);
        CAPTURE(extra);
        DenseTargets d{c.weight, {}, 0, {}};
        SiglipOptions options{.temperature = tau, .bias = bias};
        if (extra & 1) {
          for (Index i = 0; i < n; ++i) options.row_weights.push_back(0.5 + double(i % 3));
          d.row_weights = options.row_weights;
        }
        if (extra & 2) {
          d.excluded = some_excluded(n, m);
          options.exclude = losses::soft(RowMatrix<double>(d.excluded.cast<double>()));
        }
        const TargetOracle want(TargetOracle::Sigmoid{}, a, b, d, LongReal(tau), LongReal(bias));
        const auto got = losses::siglip_with_gradient(x, y, c.targets, options);
        check_against(got, want, a * b.transpose(), within);
        CHECK(relative(got.bias, want.bias, 1) <= within);
        CHECK(relative(losses::siglip(x, y, c.targets, options), want.loss) <= within);
      }
    }
}

/// Every table of `all` gives what its dense table gives by soft(P) and by pairs.
template <class Run>
void check_kinds(const Run& run, double within) {
  const Index n = 23, m = 31;
  for (const Case& c : cases(n, m, 8)) {
    CAPTURE(c.name);
    const RowMatrix<double> p = c.weight.cast<double>();
    std::vector<std::int16_t> rows;
    std::vector<unsigned> cols;
    Vector<double> weights(n * m);
    for (Index j = m - 1; j >= 0; --j)
      for (Index i = 0; i < n; ++i)
        if (p(i, j) > 0) {
          weights[Index(rows.size())] = p(i, j);
          rows.push_back(std::int16_t(i));
          cols.push_back(unsigned(j));
        }
    weights.conservativeResize(Index(rows.size()));
    const auto want = run(c.targets);
    const auto near = [&](const auto& got) {
      CHECK(std::abs(got.loss - want.loss) <= within * std::abs(want.loss));
      CHECK(matrix_error(got.x, want.x) <= within);
      CHECK(matrix_error(got.y, want.y) <= within);
      CHECK(std::abs(got.log_temperature - want.log_temperature) <=
            within * (1 + std::abs(want.log_temperature)));
    };
    near(run(losses::pairs(rows, cols, weights)));
    near(run(losses::soft(p)));
    const Eigen::MatrixXd by_columns = p;
    near(run(losses::soft(by_columns)));
    RowMatrix<double> wide = RowMatrix<double>::Constant(n + 2, m + 3, 0.5);
    wide.block(1, 2, n, m) = p;
    near(run(losses::soft(wide.block(1, 2, n, m))));
    const RowMatrix<double> twice = 2 * p;
    near(run(losses::soft(0.5 * twice)));
  }
}

template <class G, class H>
bool same_bits(const G& a, const H& b) {
  return a.loss == b.loss && a.x == b.x && a.y == b.y && a.log_temperature == b.log_temperature;
}

std::vector<int> counted(Index n) {
  std::vector<int> v;
  for (Index i = 0; i < n; ++i) v.push_back(int(i));
  return v;
}

}  // namespace

TEST_CASE("targets: siglip is its formula in long double") {
  check_siglip<double>(0.1, -1, 1e-12);
  check_siglip<double>(0.01, 30, 1e-12);
  check_siglip<float>(0.2, -2, 2e-5);
}

TEST_CASE("targets: ids, pairs and soft(P) of one table give one loss") {
  const RowMatrix<double> x = unit_rows<double>(23, 6, 1), y = unit_rows<double>(31, 6, 2);
  const auto out = losses::ids(std::vector<int>(23, 4), std::vector<int>(31, 3));
  check_kinds(
      [&](const Targets& t) {
        return losses::clip_with_gradient(x, y, t, {.temperature = 0.1, .label_smoothing = 0.05});
      },
      1e-12);
  check_kinds(
      [&](const Targets& t) {
        return losses::info_nce_with_gradient(x, y, t, {.temperature = 0.1, .exclude = out});
      },
      1e-12);
}

TEST_CASE("targets: soft(P) of more columns than are added up at a time is its list of pairs") {
  for (const Index m : {Index(1300), Index(4200)}) {
    const Index n = 11, d = 5;
    const RowMatrix<double> x = unit_rows<double>(n, d, 1), y = unit_rows<double>(m, d, 2);
    for (const double size : {1.0, 1e296}) {
      RowMatrix<double> p = RowMatrix<double>::Zero(n, m);
      std::vector<Index> rows, cols;
      std::vector<double> weights;
      for (Index i = 0; i < n; ++i)
        for (Index j = i == 4 ? m : 0; j < m; ++j) {  // row 4 has no target
          if ((7 * i + 3 * j) % 5 != 0) continue;
          const double w = size * double(1 + (i + j) % 3);  // the heaviest are many
          p(i, j) = w, rows.push_back(i), cols.push_back(j), weights.push_back(w);
        }
      ClipOptions options{.temperature = 0.3, .label_smoothing = 0.1};
      for (Index i = 0; i < n; ++i)
        options.row_weights.push_back(i == 2 ? 0 : i == 4 ? 1e290 : size * double(i));
      const auto list =
          losses::clip_with_gradient(x, y, losses::pairs(rows, cols, weights), options);
      const auto soft = losses::clip_with_gradient(x, y, losses::soft(p), options);
      const auto near = [](double a, double b, double scale) {
        return std::abs(a - b) <= 1e-12 * scale;
      };
      CAPTURE(m);
      CAPTURE(size);
      CHECK(std::isfinite(list.loss));
      CHECK(near(soft.loss, list.loss, list.loss));
      CHECK(near(soft.log_temperature, list.log_temperature, list.loss));
      CHECK(near((soft.x - list.x).cwiseAbs().maxCoeff(), 0, list.x.cwiseAbs().maxCoeff()));
      CHECK(near((soft.y - list.y).cwiseAbs().maxCoeff(), 0, list.y.cwiseAbs().maxCoeff()));
    }
  }
}

TEST_CASE_TEMPLATE("targets: the diagonal said in any way is the loss without targets", T, float,
                   double) {
  const double within = 32 * double(core::epsilon<T>);
  for (const Index n : {1, 5, 130, 700}) {
    CAPTURE(n);
    const RowMatrix<T> x = unit_rows<T>(n, 12, 1), y = rows_at_angle<T>(x, 0.3L, 5);
    const std::vector<int> id = counted(n);
    const std::vector<T> one(std::size_t(n), T(1));
    const RowMatrix<T> identity = RowMatrix<T>::Identity(n, n);
    for (const Targets& t : {losses::ids(id, id), losses::pairs(id, id, one), losses::pairs(id, id),
                             losses::soft(identity)}) {
      for (const double tau : {1.0, 0.07, 0.01, 0.002}) {
        const auto near = [&](const auto& got, const auto& want) {
          CHECK(std::abs(got.loss - want.loss) <= within * std::abs(want.loss));
          CHECK(matrix_error(got.x, want.x) <= within);
          CHECK(matrix_error(got.y, want.y) <= within);
        };
        near(losses::clip_with_gradient(x, y, t, {.temperature = tau}),
             losses::clip_with_gradient(x, y, {.temperature = tau}));
        near(losses::info_nce_with_gradient(x, y, t, {.temperature = tau}),
             losses::info_nce_with_gradient(x, y, {.temperature = tau}));
        near(losses::siglip_with_gradient(x, y, t, {.temperature = tau, .bias = -3}),
             losses::siglip_with_gradient(x, y, {.temperature = tau, .bias = -3}));
      }
    }
    // Options that change nothing.
    const losses::ContrastiveGradient<RowMatrix<T>> want =
        losses::clip_with_gradient(x, y, {.temperature = 0.05});
    const std::vector<double> even(std::size_t(n), 2.5);
    const auto got =
        losses::clip_with_gradient(x, y,
                                   {.temperature = 0.05,
                                    .exclude = losses::ids(id, id),  // targets are never excluded
                                    .row_weights = even});
    CHECK(std::abs(got.loss - want.loss) <= within * std::abs(want.loss));
    CHECK(matrix_error(got.x, want.x) <= within);
  }
}

TEST_CASE("targets: a loss that one target saturates keeps its digits") {
  // Each image has its caption twice over: rows have two targets of weights 1 - 1e-9 and 1e-9.
  const Index n = 40;
  const RowMatrix<double> x = unit_rows<double>(n, 16, 1);
  RowMatrix<double> y(2 * n, 16);
  y.topRows(n) = rows_at_angle<double>(x, 0.05L, 9);
  y.bottomRows(n) = rows_at_angle<double>(x, 1.5L, 70);
  std::vector<int> rows, cols;
  std::vector<double> weights;
  for (Index i = 0; i < n; ++i) {
    for (const Index j : {i, n + i}) {
      rows.push_back(int(i));
      cols.push_back(int(j));
      weights.push_back(j < n ? 1 - 1e-9 : 1e-9);
    }
  }
  const Case c = of_pairs("", n, 2 * n, rows, cols, weights);
  const LongMatrix a = x.cast<LongReal>(), b = y.cast<LongReal>();
  for (const double tau : {0.05, 0.01, 0.004}) {
    CAPTURE(tau);
    const TargetOracle want(a, b, {c.weight, {}, 0, {}}, LongReal(tau), false);
    const auto got = losses::info_nce_with_gradient(x, y, c.targets, {.temperature = tau});
    CHECK(want.loss < 2e-3L);
    CHECK(relative(got.loss, want.loss) <= 1e-12);
    CHECK(matrix_error(got.x, want.x) <= 1e-11);
  }
  // One target a row and a column, far ahead of the rest.
  const RowMatrix<double> z = rows_at_angle<double>(x, 1e-3L, 5);
  const std::vector<int> id = counted(n);
  std::vector<int> turned(id.rbegin(), id.rend());
  const RowMatrix<double> back = z.colwise().reverse();
  for (const double tau : {0.02, 0.002}) {
    DenseTargets d{dense_of_ids(id, turned), {}, 0, {}};
    const TargetOracle want(a, back.cast<LongReal>(), d, LongReal(tau), true);
    const auto got =
        losses::clip_with_gradient(x, back, losses::ids(id, turned), {.temperature = tau});
    CAPTURE(double(want.loss));
    CHECK(want.loss < 1e-4L);
    CHECK(relative(got.loss, want.loss, 1e-300L) <= 1e-11);
    CHECK(matrix_error(got.x, want.x) <= 1e-11);
  }
}

TEST_CASE("targets: everything but the target excluded is no loss") {
  const Index n = 30;
  const RowMatrix<double> x = unit_rows<double>(n, 5, 1), y = unit_rows<double>(n, 5, 2);
  const std::vector<int> same(std::size_t(n), 1);
  const auto all = losses::ids(same, same);
  const auto g = losses::clip_with_gradient(x, y, {.temperature = 0.1, .exclude = all});
  CHECK(g.loss == 0);
  CHECK(g.x.norm() == 0);
  CHECK(g.y.norm() == 0);
  CHECK(g.log_temperature == 0);
  const auto smooth = losses::clip_with_gradient(
      x, y, {.temperature = 0.1, .label_smoothing = 0.3, .exclude = all});
  CHECK(std::abs(smooth.loss) < 1e-15);
  CHECK(smooth.x.norm() < 1e-14);
  const auto s = losses::siglip(x, y, {.temperature = 0.1, .bias = 0, .exclude = all});
  double want = 0;
  for (Index i = 0; i < n; ++i) want += std::log1p(std::exp(-x.row(i).dot(y.row(i)) / 0.1));
  CHECK(s == doctest::Approx(want / double(n)).epsilon(1e-12));
}

TEST_CASE("targets: SupCon without its own pairs is info_nce with ids and the diagonal excluded") {
  const Index n = 60;
  const RowMatrix<double> x = unit_rows<double>(n, 8, 3);
  std::mt19937 engine(5);
  std::vector<int> label = integers(engine, n, 20), rows, cols;
  for (int i = 0; i < int(n); ++i)
    for (int j = 0; j < int(n); ++j)
      if (i != j && label[std::size_t(i)] == label[std::size_t(j)])
        rows.push_back(i), cols.push_back(j);
  Eigen::VectorXi labels = Eigen::Map<const Eigen::VectorXi>(label.data(), n);
  const std::vector<int> id = counted(n);
  const auto want = losses::sup_con_with_gradient(x, labels, {.temperature = 0.2});
  const auto got = losses::info_nce_with_gradient(
      x, x, losses::pairs(rows, cols), {.temperature = 0.2, .exclude = losses::ids(id, id)});
  CHECK(want.skipped > 0);  // rows without a target are left out of the mean
  CHECK(got.loss == doctest::Approx(want.loss).epsilon(1e-13));
  CHECK(matrix_error(RowMatrix<double>(got.x + got.y), want.x) < 1e-12);
  CHECK(got.log_temperature == doctest::Approx(want.log_temperature).epsilon(1e-12));
}

TEST_CASE("targets: further rows of Y are negatives") {
  const Index n = 20, m = 50;
  const RowMatrix<double> x = unit_rows<double>(n, 7, 1), y = unit_rows<double>(m, 7, 2);
  const LongMatrix a = x.cast<LongReal>(), b = y.cast<LongReal>();
  DenseTargets d{LongMatrix::Identity(n, m), {}, 0, {}};
  check_against(losses::info_nce_with_gradient(x, y, {.temperature = 0.1}),
                TargetOracle(a, b, d, 0.1, false), a * b.transpose(), 1e-12);
  check_against(losses::siglip_with_gradient(x, y, {.temperature = 0.1, .bias = -2}),
                TargetOracle(TargetOracle::Sigmoid{}, a, b, d, 0.1, -2), a * b.transpose(), 1e-12);
  CHECK(refusal([&] { (void)losses::clip(x, y); }) == "clip: X is 20 x 7 but Y is 50 x 7");
  CHECK(refusal([&] { (void)losses::info_nce(y, x); }) == "info_nce: X is 50 x 7 but Y is 20 x 7");
  CHECK(refusal([&] { (void)losses::siglip(y, x); }) == "siglip: X is 50 x 7 but Y is 20 x 7");
}

namespace {

struct OnlyX {
  double loss, log_temperature;
  RowMatrix<double> x;
};
struct OnlyY {
  double loss, log_temperature;
  RowMatrix<double> y;
};
struct NoRows {
  double loss, log_temperature;
};
struct OnlyXAndBias {
  double loss, log_temperature, bias;
  RowMatrix<double> x;
};

}  // namespace

TEST_CASE("targets: an out without x or y gets no such gradient, and the rest of the same bits") {
  const Index n = 90, m = 130;
  const RowMatrix<double> x = unit_rows<double>(n, 7, 1), y = unit_rows<double>(m, 7, 2);
  core::Workspace workspace;
  const losses::InfoNceOptions options{.temperature = 0.1};
  const auto want = losses::info_nce_with_gradient(x, y, options);
  OnlyX a{};
  losses::info_nce_with_gradient(x, y, options, workspace, a);
  CHECK(a.x == want.x);
  OnlyY b{};
  losses::info_nce_with_gradient(x, y, options, workspace, b);
  CHECK(b.y == want.y);
  NoRows c{};
  losses::info_nce_with_gradient(x, y, options, workspace, c);
  for (const auto& [loss, moment] : {std::array{a.loss, a.log_temperature},
                                     {b.loss, b.log_temperature},
                                     {c.loss, c.log_temperature}}) {
    CHECK(loss == want.loss);
    CHECK(moment == want.log_temperature);
  }
  std::mt19937 engine(1);
  const auto targets = losses::ids(integers(engine, n, 9), integers(engine, m, 9));
  const auto both = losses::clip_with_gradient(x, y, targets, {.temperature = 0.2});
  losses::clip_with_gradient(x, y, targets, {.temperature = 0.2}, workspace, a);
  CHECK(a.x == both.x);
  losses::clip_with_gradient(x, y, targets, {.temperature = 0.2}, workspace, b);
  CHECK(b.y == both.y);
  CHECK(b.log_temperature == both.log_temperature);
  OnlyXAndBias s{};
  losses::siglip_with_gradient(x, y, targets, {.temperature = 0.2}, workspace, s);
  const auto whole = losses::siglip_with_gradient(x, y, targets, {.temperature = 0.2});
  CHECK(s.x == whole.x);
  CHECK(s.bias == whole.bias);
  CHECK(s.log_temperature == whole.log_temperature);
  // NaN everywhere that is asked for
  RowMatrix<double> bad = x;
  bad(3, 3) = core::nan<double>;
  losses::clip_with_gradient(bad, y, targets, {.temperature = 0.2}, workspace, a);
  CHECK(std::isnan(a.loss));
  CHECK(a.x.array().isNaN().all());
}

TEST_CASE_TEMPLATE("targets: one table of several tiles, any threads and budget", T, float,
                   double) {
  const Index n = 1300, m = 1700, d = 24;
  const RowMatrix<T> x = unit_rows<T>(n, d, 1), y = unit_rows<T>(m, d, 2);
  std::mt19937 engine(3);
  const std::vector<int> a = integers(engine, n, 400), b = integers(engine, m, 400),
                         c = integers(engine, n, 90), e = integers(engine, m, 90);
  const std::vector<double> weights(std::size_t(n), 0.5);
  RowMatrix<float> p = RowMatrix<float>::Zero(n, m);
  for (Index k = 0; k < 30000; ++k) p(number(engine, n), number(engine, m)) += 0.25f;
  const double eps = double(core::epsilon<T>);
  for (const Targets& targets : {losses::ids(a, b), losses::soft(p)}) {
    ClipOptions options{.temperature = 0.1, .label_smoothing = 0.1};
    options.exclude = losses::ids(c, e);
    options.row_weights = weights;
    const auto run = [&](int threads) {
      const Threads set(threads);
      return losses::clip_with_gradient(x, y, targets, options);
    };
    const auto one = run(1);
    CHECK(same_bits(run(2), one));
    CHECK(same_bits(run(5), one));
    CHECK(std::abs(losses::clip(x, y, targets, options) - one.loss) <= 64 * eps * one.loss);
    // The loss in the least memory: strips are computed again.
    options.memory_budget = 1;
    for (int k = 0; k < 4; ++k) {
      const std::string said =
          refusal([&] { (void)losses::clip_with_gradient(x, y, targets, options); });
      if (said.empty()) break;
      CHECK(said.rfind("clip_with_gradient: memory_budget is ", 0) == 0);
      options.memory_budget = std::stoull(said.substr(said.find("at least ") + 9));
    }
    CHECK(options.memory_budget < (sizeof(T) == 4 ? 9u << 20 : 16u << 20));  // no table of n x m
    const auto least = losses::clip_with_gradient(x, y, targets, options);
    CHECK(std::abs(least.loss - one.loss) <= 64 * eps * one.loss);
    CHECK(matrix_error(least.x, one.x) <= 64 * eps);
    CHECK(matrix_error(least.y, one.y) <= 64 * eps);
    CHECK(std::abs(least.log_temperature - one.log_temperature) <= 500 * eps);
    // The slope along a direction.
    if constexpr (sizeof(T) == 8) {
      options.memory_budget = std::size_t(1) << 30;
      const RowMatrix<T> v = gaussian_rows<T>(n, d, 8), w = gaussian_rows<T>(m, d, 9);
      const auto at = [&](double t) {
        return losses::clip(RowMatrix<T>(x + t * v), RowMatrix<T>(y + t * w), targets, options);
      };
      const double h = 1e-3, slope = v.cwiseProduct(one.x).sum() + w.cwiseProduct(one.y).sum();
      const double measured = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
      CHECK(std::abs(measured - slope) <= 1e-8 * std::abs(slope));
    }
  }
}

TEST_CASE("targets: integers of any type are equal where their values are") {
  const RowMatrix<double> x = unit_rows<double>(4, 3, 1), y = unit_rows<double>(4, 3, 2);
  const double want = losses::clip(x, y, losses::pairs(std::vector{0, 1, 2}, std::vector{1, 3, 0}));
  const long long big = (1LL << 53);
  const std::array<long long, 4> a{big, -1, big + 2, 100};
  const std::vector<long long> b{big + 2, big, 5, -1};
  CHECK(losses::clip(x, y, losses::ids(a, b)) == want);
  CHECK(losses::clip(x, y,
                     losses::ids(std::span(a),
                                 Eigen::Matrix<long long, 1, 4>(b[0], b[1], b[2], b[3]))) == want);
  const std::vector<unsigned long long> never{~0ULL, 3, 4, ~0ULL};  // is not -1
  CHECK(refusal([&] { (void)losses::clip(x, y, losses::ids(a, never)); }) ==
        "clip: no row has a target in a table of 4 x 4");
  const std::int8_t c[4] = {7, -1, 0, 100};
  const Eigen::Matrix<std::uint16_t, 4, 1> d(0, 7, 8, 9);
  const double mixed = losses::clip(x, y, losses::ids(c, d));
  CHECK(mixed == losses::clip(x, y, losses::pairs(std::array{0, 2}, std::array{1, 0})));
  // A column of a matrix, and every other number of a vector.
  Eigen::MatrixXi table(4, 3);
  table << 1, 9, 1, 2, 8, 2, 3, 7, 3, 4, 6, 4;
  Eigen::VectorXi sparse(8);
  sparse << 8, 0, 9, 0, 6, 0, 9, 0;
  const Eigen::Map<const Eigen::VectorXi, 0, Eigen::InnerStride<2>> every(sparse.data(), 4);
  const auto middle = table.col(1);
  const double of_columns = losses::clip(x, y, losses::ids(middle, every));
  CHECK(of_columns ==
        losses::clip(x, y, losses::ids(std::vector{9, 8, 7, 6}, std::vector{8, 9, 6, 9})));
  CHECK(of_columns == losses::clip(x, y, losses::ids(table.col(1), Eigen::VectorXi(every))));
}

TEST_CASE("targets: lvalues are read at the call, temporaries are owned") {
  const RowMatrix<double> x = unit_rows<double>(3, 3, 1), y = unit_rows<double>(3, 3, 2);
  std::vector<int> a{1, 2, 3}, b{1, 2, 3};
  const Targets borrowed = losses::ids(a, b);
  const Targets owned = losses::ids(std::vector<int>(a), std::vector<int>(b));
  const double want = losses::clip(x, y, owned), diagonal = losses::clip(x, y);
  CHECK(want == doctest::Approx(diagonal).epsilon(1e-14));
  CHECK(losses::clip(x, y, borrowed) == want);
  std::swap(b[0], b[2]);
  CHECK(std::abs(losses::clip(x, y, borrowed) - want) > 0.1);
  CHECK(losses::clip(x, y, owned) == want);
  const Targets copy = owned;
  CHECK(losses::clip(x, y, copy) == want);
  RowMatrix<float> p = RowMatrix<float>::Identity(3, 3);
  const Targets soft = losses::soft(p);
  CHECK(losses::clip(x, y, soft) == doctest::Approx(want).epsilon(1e-14));
  p.row(0).swap(p.row(1));
  CHECK(std::abs(losses::clip(x, y, soft) - want) > 0.1);
}

TEST_CASE("targets: what is refused, by which words") {
  const RowMatrix<double> x = unit_rows<double>(4, 3, 1), y = unit_rows<double>(6, 3, 2),
                          z = unit_rows<double>(6, 2, 2), none(0, 3);
  const std::vector<int> four{1, 2, 3, 4}, six{1, 2, 3, 4, 5, 6};
  const auto says = [&](const Targets& t, const ClipOptions& o = {}) {
    return refusal([&] { (void)losses::clip(x, y, t, o); });
  };
  const auto good = losses::ids(four, six);
  CHECK(says(losses::ids(four, four)) ==
        "clip: targets have 4 and 4 ids but X has 4 rows and Y has 6");
  CHECK(says(losses::pairs(four, six)) == "clip: targets have 4 rows, 6 columns and 4 weights");
  CHECK(says(losses::pairs(std::array{0, 4}, std::array{0, 0})) ==
        "clip: targets' pair 1 is (4, 0) in a table of 4 x 6");
  CHECK(says(losses::pairs(std::array{0}, std::array{-2})) ==
        "clip: targets' pair 0 is (0, -2) in a table of 4 x 6");
  CHECK(says(losses::pairs(std::array{0}, std::array{2}, std::array{-1.0})) ==
        "clip: targets' weight 0 is -1, not a finite number of at least 0");
  CHECK(says(losses::pairs(std::array{0}, std::array{2}, std::array{core::nan<double>}))
            .rfind("clip: ", 0) == 0);
  CHECK(says(losses::pairs(std::array{0}, std::array{2}, std::array{0.0})) ==
        "clip: no row has a target in a table of 4 x 6");
  RowMatrix<double> p = RowMatrix<double>::Ones(4, 6);
  p(3, 1) = -0.5;
  CHECK(says(losses::soft(p)) == "clip: targets(3, 1) is -0.5, not a finite number of at least 0");
  p(3, 1) = core::infinity<double>;
  CHECK(says(losses::soft(p)) == "clip: targets(3, 1) is inf, not a finite number of at least 0");
  CHECK(says(losses::soft(RowMatrix<double>(p.transpose()))) ==
        "clip: targets are 6 x 4 but the table of X and Y is 4 x 6");
  CHECK(says(good, {.label_smoothing = 1.5}) == "clip: label_smoothing is 1.5, not in [0, 1]");
  CHECK(says(good, {.row_weights = {1, 2}}) ==
        "clip: row_weights has 2 elements where 4 are needed");
  CHECK(says(good, {.row_weights = {1, -2, 3, 4}}) ==
        "clip: row_weights[1] is -2, not a finite number of at least 0");
  CHECK(says(good, {.row_weights = {0, 0, 0, 0}}) ==
        "clip: the row_weights of the rows with a target add up to 0");
  CHECK(says(good, {.exclude = losses::ids(six, six)}) ==
        "clip: exclude have 6 and 6 ids but X has 4 rows and Y has 6");
  CHECK(refusal([&] { (void)losses::clip(x, z, good); }) == "clip: X is 4 x 3 but Y is 6 x 2");
  CHECK(refusal([&] { (void)losses::clip(x, none, good); }).rfind("clip: ", 0) == 0);
  CHECK(refusal([&] { (void)losses::clip(none, y, good); }).rfind("clip: ", 0) == 0);
  p = RowMatrix<double>::Constant(4, 6, 1.25);
  CHECK(refusal([&] { (void)losses::siglip_with_gradient(x, y, losses::soft(p)); }) ==
        "siglip_with_gradient: targets(0, 0) is 1.25, not in [0, 1]");
  CHECK(refusal([&] {
          (void)losses::siglip(x, y, losses::pairs(std::array{0}, std::array{2}, std::array{0.0}));
        }) == "siglip: no row has a target in a table of 4 x 6");
}

TEST_CASE("targets: a row without a target is left out, and so is one of weight 0") {
  const Index n = 12, m = 15;
  const RowMatrix<double> x = unit_rows<double>(n, 5, 1), y = unit_rows<double>(m, 5, 2);
  std::vector<int> a = counted(n), b = counted(m);
  a[4] = -1;
  const auto got = losses::info_nce_with_gradient(x, y, losses::ids(a, b), {.temperature = 0.3});
  RowMatrix<double> fewer(n - 1, 5);
  fewer << x.topRows(4), x.bottomRows(n - 5);
  std::vector<int> c = a;
  c.erase(c.begin() + 4);
  const auto want =
      losses::info_nce_with_gradient(fewer, y, losses::ids(c, b), {.temperature = 0.3});
  CHECK(got.loss == doctest::Approx(want.loss).epsilon(1e-14));
  CHECK(got.x.row(4).norm() == 0);
  CHECK(matrix_error(got.y, want.y) < 1e-14);
  std::vector<double> weights(std::size_t(n), 3);
  weights[4] = 0;
  const auto weighed = losses::info_nce_with_gradient(x, y, losses::ids(counted(n), b),
                                                      {.temperature = 0.3, .row_weights = weights});
  CHECK(weighed.loss == doctest::Approx(want.loss).epsilon(1e-14));
  CHECK(matrix_error(weighed.y, want.y) < 1e-14);
}

namespace {

struct WithLosses {
  double loss, log_temperature, bias;
  RowMatrix<double> x, y;
  Vector<double> row_losses, col_losses;
};

}  // namespace

TEST_CASE("targets: an out with row_losses gets the loss of each row") {
  const Index n = 70, m = 90;
  const RowMatrix<double> x = unit_rows<double>(n, 7, 1), y = unit_rows<double>(m, 7, 2);
  std::mt19937 engine(11);
  const std::vector<int> a = integers(engine, n, 60), b = integers(engine, m, 60);
  const auto targets = losses::ids(a, b);
  core::Workspace workspace;
  WithLosses out{};
  losses::clip_with_gradient(x, y, targets, {.temperature = 0.2}, workspace, out);
  CHECK(same_bits(losses::clip_with_gradient(x, y, targets, {.temperature = 0.2}), out));
  REQUIRE(out.row_losses.size() == n);
  REQUIRE(out.col_losses.size() == m);
  Index rows = 0, cols = 0;
  for (Index i = 0; i < n; ++i) {
    const std::vector<int> one{a[std::size_t(i)]};
    const bool there = std::find(b.begin(), b.end(), one[0]) != b.end();
    rows += there;
    const double want =
        there ? losses::info_nce(x.row(i), y, losses::ids(one, b), {.temperature = 0.2}) : 0;
    CHECK(std::abs(out.row_losses[i] - want) <= 1e-13 * (1 + want));
  }
  for (Index j = 0; j < m; ++j) cols += out.col_losses[j] > 0;
  CHECK(rows < n);
  const double mean =
      (out.row_losses.sum() / double(rows) + out.col_losses.sum() / double(cols)) / 2;
  CHECK(out.loss == doctest::Approx(mean).epsilon(1e-13));
  // Without targets too, and of siglip.
  losses::info_nce_with_gradient(x, y, {.temperature = 0.2}, workspace, out);
  CHECK(out.loss == doctest::Approx(out.row_losses.mean()).epsilon(1e-13));
  CHECK(out.loss == doctest::Approx(losses::info_nce(x, y, {.temperature = 0.2})).epsilon(1e-13));
  losses::siglip_with_gradient(x, y, targets, {.row_weights = std::vector<double>(70, 2.0)},
                               workspace, out);
  CHECK(out.loss == doctest::Approx(out.row_losses.mean()).epsilon(1e-13));
  RowMatrix<double> bad = x;
  bad(0, 0) = core::infinity<double>;
  losses::clip_with_gradient(bad, y, targets, {.temperature = 0.2}, workspace, out);
  CHECK(out.row_losses.array().isNaN().all());
}

TEST_CASE("targets: bf16 products take the same tables") {
  const Index n = 60, m = 90;
  const RowMatrix<float> x = unit_rows<float>(n, 32, 1), y = unit_rows<float>(m, 32, 2);
  std::mt19937 engine(4);
  const auto targets = losses::ids(integers(engine, n, 9), integers(engine, m, 9));
  const ClipOptions o{.temperature = 0.2, .label_smoothing = 0.1};
  const auto want = losses::clip_with_gradient(x, y, targets, o);
  const auto got = losses::clip_bf16_with_gradient(x, y, targets, o);
  CHECK(got.loss != want.loss);
  CHECK(got.loss == doctest::Approx(want.loss).epsilon(2e-2));
  CHECK(matrix_error(got.x, want.x) < 5e-2);
  CHECK(losses::clip_bf16(x, y, targets, o) == doctest::Approx(got.loss).epsilon(1e-6));
  CHECK(losses::info_nce_bf16(x, y, targets) ==
        doctest::Approx(losses::info_nce(x, y, targets)).epsilon(2e-2));
  CHECK(losses::info_nce_bf16_with_gradient(x, y).loss ==
        doctest::Approx(losses::info_nce(x, y)).epsilon(2e-2));
}
