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
void check_against(const G& got, const TargetOracle& want, const LongMatrix& s, LongReal tau,
                   double within) {
  CHECK(relative(got.loss, want.loss, 1e-300L) <= within);
  CHECK(matrix_error(got.x, want.x) <= within);
  CHECK(matrix_error(got.y, want.y) <= within);
  const LongReal moment = want.g.cwiseAbs().cwiseProduct(s.cwiseAbs()).sum() + 1e-300L;
  (void)tau;
  CHECK(double(std::abs(LongReal(got.log_temperature) - want.log_temperature) / moment) <= within);
}

template <class Loss, class T>
void check_softmax(double tau, double within) {
  for (const auto& [n, m] : {std::array<Index, 2>{7, 7}, {70, 83}, {83, 70}, {5, 140}, {1, 6}})
    for (const Case& c : cases(n, m, std::uint32_t(n))) {
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
        check_against(Loss::run(x, y, c.targets, options), want, a * b.transpose(), LongReal(tau),
                      within);
      }
    }
}

std::string refusal(const std::function<void()>& body) {
  try {
    body();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("targets: info_nce and clip are their formula in long double") {
  for (const double tau : {1.0, 0.1, 0.01}) {
    check_softmax<Both<double>, double>(tau, 1e-12);
    check_softmax<Rows<double>, double>(tau, 1e-12);
  }
  check_softmax<Both<float>, float>(0.2, 2e-5);
  check_softmax<Rows<float>, float>(0.2, 2e-5);
}
