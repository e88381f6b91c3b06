// VICReg and the triplet loss against their formulas.
#include "spheremix/losses/triplet.hpp"
#include "spheremix/losses/vicreg.hpp"
#include "support/many_inputs.hpp"

using namespace spheremix;
using namespace spheremix::losses;
using namespace spheremix::test;

namespace {

LongReal vicreg_oracle(const LongBatches& in, const VicregOptions& o) {
  const Index n = in[0].rows(), d = in[0].cols();
  LongReal loss = LongReal(o.invariance_weight) * (in[0] - in[1]).squaredNorm() / LongReal(n * d);
  for (const LongMatrix& x : in) {
    const LongMatrix c = x.rowwise() - x.colwise().mean();
    const LongMatrix cov = c.transpose() * c / LongReal(n - 1);
    for (Index k = 0; k < d; ++k) {
      loss += LongReal(o.variance_weight) / LongReal(2 * d) *
              std::max<LongReal>(0, LongReal(o.gamma) - std::sqrt(cov(k, k) + LongReal(o.epsilon)));
      for (Index l = 0; l < d; ++l)
        if (l != k) loss += LongReal(o.covariance_weight) / LongReal(d) * cov(k, l) * cov(k, l);
    }
  }
  return loss;
}

LongReal triplet_oracle(const LongMatrix& x, const std::vector<int>& y, const TripletOptions& o,
                        Index* active = nullptr, Index* skipped = nullptr) {
  const Index n = x.rows();
  const auto dist = [&](Index a, Index b) {
    const LongReal square = (x.row(a) - x.row(b)).squaredNorm();
    return o.distance == TripletDistance::squared ? square : std::sqrt(square);
  };
  LongReal loss = 0;
  Index count = 0, hot = 0, none = 0;
  const auto put = [&](LongReal near, LongReal far) {
    ++count;
    const LongReal lack = LongReal(o.margin) + near - far;
    if (lack > 0) loss += lack, ++hot;
  };
  for (Index a = 0; a < n; ++a) {
    std::vector<LongReal> near, far;
    for (Index j = 0; j < n; ++j)
      if (j != a) (y[std::size_t(j)] == y[std::size_t(a)] ? near : far).push_back(dist(a, j));
    if (near.empty() || far.empty()) {
      ++none;
      continue;
    }
    std::sort(far.begin(), far.end());
    if (o.mining == TripletMining::batch_hard) {
      put(*std::max_element(near.begin(), near.end()), far.front());
    } else {
      for (const LongReal p : near) {
        LongReal chosen = far.back();
        for (auto f = far.rbegin(); f != far.rend(); ++f)
          if (*f > p) chosen = *f;
        put(p, chosen);
      }
    }
  }
  if (active) *active = hot;
  if (skipped) *skipped = none;
  return count > 0 ? loss / LongReal(count) : 0;
}

}  // namespace

TEST_CASE_TEMPLATE("vicreg equals its formula with gradients", T, float, double) {
  const double close = sizeof(T) == 8 ? 1e-10 : 1e-5;
  for (const auto& [n, d] : {std::pair<Index, Index>{7, 4}, {2, 3}, {4, 6}}) {
    const RowMatrix<T> x = gaussian_rows<T>(n, d, 1), y = gaussian_rows<T>(n, d, 2);
    for (const VicregOptions& o : {VicregOptions{}, VicregOptions{1, 2, 3, 1.5, 1e-2}}) {
      const auto got = vicreg_with_gradient(x, y, o);
      check_loss_of_batches(
          "vicreg", [&](const LongBatches& in) { return vicreg_oracle(in, o); }, widened(x, y),
          got.loss, widened(got.x, got.y), close);
      CHECK(vicreg(x, y, o) == got.loss);
    }
  }
  const RowMatrix<T> same = RowMatrix<T>::Ones(4, 3);  // collapsed: the variance term alone
  CHECK(relative_error(vicreg(same, same), 25 * (1 - 0.01)) < 1e-6);
  const RowMatrix<T> far = RowMatrix<T>::Constant(7, 3, T(1e15 + 0.3));
  CHECK(relative_error(vicreg(far, far), 25 * (1 - 0.01)) < 1e-6);
  CHECK_THROWS_AS((void)vicreg(same.topRows(1), same.topRows(1)), std::invalid_argument);
  CHECK_THROWS_AS((void)vicreg(same, same, {.gamma = 0}), std::invalid_argument);
  RowMatrix<T> bad = same;
  bad(1, 1) = core::nan<T>;
  CHECK(std::isnan(vicreg(bad, same)));
}

TEST_CASE_TEMPLATE("triplet equals exhaustive mining with gradients", T, float, double) {
  const Index n = 11;
  const RowMatrix<T> x = unit_rows<T>(n, 3, 8);
  const std::vector<int> labels{0, 1, 0, 2, 1, 0, 3, 2, 1, 0, 2};  // 3 is alone
  const Eigen::Map<const Eigen::VectorXi> y(labels.data(), n);
  const double close = sizeof(T) == 8 ? 1e-9 : 1e-5;
  for (const auto mining : {TripletMining::batch_hard, TripletMining::semi_hard})
    for (const auto distance : {TripletDistance::euclidean, TripletDistance::squared})
      for (const double margin : {0.2, 1.0}) {
        CAPTURE(int(mining));
        const TripletOptions o{.margin = margin, .mining = mining, .distance = distance};
        const auto got = triplet_with_gradient(x, y, o);
        Index active = 0, skipped = 0;
        (void)triplet_oracle(x.template cast<LongReal>(), labels, o, &active, &skipped);
        CHECK(got.active == active);
        CHECK(got.skipped == skipped);
        check_loss_of_batches(
            "triplet", [&](const LongBatches& in) { return triplet_oracle(in[0], labels, o); },
            widened(x), got.loss, widened(got.x), close);
        CHECK(triplet(x, y, o) == got.loss);
      }
}

TEST_CASE("triplet: a semi-hard negative lies strictly beyond the positive") {
  RowMatrix<double> x(4, 2);
  x << 0, 0, 1, 0, 0, 1, 0, 2;
  const std::vector<int> labels{0, 0, 1, 2};
  const Eigen::Map<const Eigen::VectorXi> y(labels.data(), 4);
  const TripletOptions o{.mining = TripletMining::semi_hard};
  // Row 0: its positive and row 2 are 1 away, row 3 is the one beyond. Row 1: sqrt(2) and more.
  const auto got = triplet_with_gradient(x, y, o);
  CHECK(got.loss == 0);
  CHECK(got.active == 0);
  CHECK(got.skipped == 2);
}

TEST_CASE("triplet: collapse costs the margin, separated classes nothing; errors") {
  const Index n = 6;
  const Eigen::VectorXi y = (Eigen::VectorXi(n) << 0, 0, 0, 1, 1, 1).finished();
  const RowMatrix<double> same = RowMatrix<double>::Ones(n, 3);
  const auto collapsed = triplet_with_gradient(same, y);
  CHECK(relative_error(collapsed.loss, 0.2) < 1e-15);
  CHECK(collapsed.x.isZero(0));
  RowMatrix<double> apart = same;
  apart.bottomRows(3) *= -1;
  CHECK(triplet(apart, y) == 0);
  const auto one = triplet_with_gradient(same, Eigen::VectorXi::Zero(n).eval());
  CHECK(one.loss == 0);
  CHECK(one.skipped == n);
  CHECK_THROWS_AS((void)triplet(same, y, {.margin = -1}), std::invalid_argument);
  CHECK_THROWS_AS((void)triplet(same, y.head(3)), std::invalid_argument);
  apart(2, 1) = core::nan<double>;
  CHECK(std::isnan(triplet(apart, y)));
}

namespace {

/// Rows `spread` apart around a common point `away` from the origin.
template <class T>
RowMatrix<T> huddled(Index n, Index d, double away, double spread) {
  const RowMatrix<double> noise = gaussian_rows<double>(n, d, 31);
  return (spread * noise.array() + away).matrix().template cast<T>();
}

}  // namespace

TEST_CASE_TEMPLATE("triplet: mining is right for rows close together and far from the origin", T,
                   float, double) {
  const Index n = 40, d = 12;
  std::vector<int> labels;
  for (Index i = 0; i < n; ++i) labels.push_back(int((3 * i) % 5));
  const double eps = double(core::epsilon<T>);
  for (const auto& [away, spread] : {std::pair{0.0, 1.0},
                                     {1.0, 1e-2},
                                     {1.0, 3e3 * eps},
                                     {100.0, 0.1},
                                     {1e3, 0.02},
                                     {0.0, 1e-25},
                                     {1e-20, 1e-23}}) {
    CAPTURE(away);
    CAPTURE(spread);
    const RowMatrix<T> x = huddled<T>(n, d, away, spread);
    for (const auto mining : {TripletMining::batch_hard, TripletMining::semi_hard}) {
      const TripletOptions o{.margin = 2 * spread, .mining = mining};
      Index active = 0, skipped = 0;
      const LongReal want =
          triplet_oracle(x.template cast<LongReal>(), labels, o, &active, &skipped);
      const auto got = triplet_with_gradient(x, labels, o);
      CHECK(std::abs(LongReal(got.loss) - want) <= 1e-14L * std::abs(want));
      CHECK(got.active == active);
      CHECK(got.skipped == skipped);
    }
  }
}

TEST_CASE("triplet: ties go to the lower row, whatever the order of the coordinates") {
  // Rows 1 to 4 hold the same numbers in turns: as far from row 0, but for rounding.
  RowMatrix<double> x = RowMatrix<double>::Zero(5, 4);
  const double c[4] = {0.1, 0.7, 1.3, 2.9};
  for (Index i = 1; i < 5; ++i)
    for (Index k = 0; k < 4; ++k) x(i, k) = c[(k + i) % 4];
  for (const double by : {1.0, 1e-7, 1e9, 1e-200}) {
    CAPTURE(by);
    const RowMatrix<double> scaled = by * x;
    const double margin = 9 * by;
    // Negatives 1 to 4 of anchors 0 and 5, who are one point: the nearest is row 1.
    RowMatrix<double> hard(6, 4);
    hard << scaled, scaled.row(0);
    const std::vector<int> classes{0, 1, 2, 3, 4, 0};
    const auto mined = triplet_with_gradient(hard, classes, {.margin = margin});
    const auto want = triplet_of_with_gradient(hard, {0, 5}, {5, 0}, {1, 1}, {.margin = margin});
    CHECK(mined.loss == want.loss);
    CHECK(same_bits(mined.x, want.x));
    // Positives 3 and 4 of anchor 0: the farthest is row 3, the nearest negative row 1. None is
    // strictly beyond a positive as far away: semi-hard takes the farthest, of equal ones row 1.
    const std::vector<int> shared{0, 1, 2, 0, 0};
    for (const auto mining : {TripletMining::batch_hard, TripletMining::semi_hard}) {
      const auto all = triplet_with_gradient(scaled, shared, {.margin = margin, .mining = mining});
      double loss = 0, count = 0;
      const auto distance = [&](Index a, Index b) { return (x.row(a) - x.row(b)).norm(); };
      RowMatrix<double> gradient = RowMatrix<double>::Zero(5, 4);
      for (const Index a : {Index(0), Index(3), Index(4)}) {
        std::vector<Index> positives;
        for (const Index p : {Index(0), Index(3), Index(4)})
          if (p != a) positives.push_back(p);
        const auto farther = [&](Index i, Index j) {
          return distance(a, i) > distance(a, j) + 1e-9;
        };
        const Index low = farther(2, 1) ? 1 : farther(1, 2) ? 2 : 1;
        const Index high = farther(2, 1) ? 2 : 1;
        if (mining == TripletMining::batch_hard)
          positives = {farther(positives[1], positives[0]) ? positives[1] : positives[0]};
        for (const Index p : positives) {
          const Index n = mining == TripletMining::batch_hard ? low : farther(low, p) ? low : high;
          ++count;
          const auto one = triplet_of_with_gradient(scaled, {a}, {p}, {n}, {.margin = margin});
          loss += one.loss;
          gradient += one.x;
        }
      }
      CHECK(relative_error(all.loss, loss / count) < 1e-14);
      CHECK(matrix_error(all.x, RowMatrix<double>(gradient / count)) < 1e-14);
    }
  }
}

TEST_CASE_TEMPLATE("triplet_of equals its formula with gradients, both margins", T, float, double) {
  const Index n = 7;
  const RowMatrix<T> x = unit_rows<T>(n, 3, 8);
  const std::vector<int> a{0, 1, 2, 6, 0}, p{1, 2, 0, 5, 3}, q{4, 5, 6, 0, 4};
  const double close = sizeof(T) == 8 ? 1e-9 : 1e-5;
  for (const auto distance : {TripletDistance::euclidean, TripletDistance::squared})
    for (const auto form : {TripletMargin::hinge, TripletMargin::soft}) {
      const TripletOptions o{.margin = 1.5, .distance = distance, .form = form};
      const auto oracle = [&](const LongBatches& in) {
        LongReal loss = 0;
        for (std::size_t t = 0; t < a.size(); ++t) {
          const auto dist = [&](int b) {
            const LongReal square = (in[0].row(a[t]) - in[0].row(b)).squaredNorm();
            return distance == TripletDistance::squared ? square : std::sqrt(square);
          };
          const LongReal u = dist(p[t]) - dist(q[t]);
          loss += form == TripletMargin::soft ? std::log1p(std::exp(u))
                                              : std::max<LongReal>(0, LongReal(1.5) + u);
        }
        return loss / LongReal(a.size());
      };
      const auto got = triplet_of_with_gradient(x, a, p, q, o);
      check_loss_of_batches("triplet_of", oracle, widened(x), got.loss, widened(got.x), close);
      CHECK(triplet_of(x, Eigen::Map<const Eigen::VectorXi>(a.data(), 5), p, q, o) == got.loss);
      // Mined by labels, the soft margin too.
      const std::vector<int> labels{0, 1, 0, 2, 1, 0, 1};
      const auto mined = triplet_with_gradient(x, labels, o);
      std::vector<Index> anchors, positives, negatives;
      for (Index i = 0; i < n; ++i) {
        Index far = -1, near = -1;
        const auto d = [&](Index j) {
          return (x.row(i) - x.row(j)).template cast<double>().norm();
        };
        for (Index j = 0; j < n; ++j) {
          if (j == i) continue;
          const bool same = labels[std::size_t(i)] == labels[std::size_t(j)];
          Index& best = same ? far : near;
          if (best < 0 || (same ? d(j) > d(best) : d(j) < d(best))) best = j;
        }
        if (far >= 0 && near >= 0)
          anchors.push_back(i), positives.push_back(far), negatives.push_back(near);
      }
      CHECK(triplet_of(x, anchors, positives, negatives, o) == mined.loss);
      CHECK(same_bits(triplet_of_with_gradient(x, anchors, positives, negatives, o).x, mined.x));
    }
  CHECK_THROWS_AS((void)triplet_of(x, a, p, std::vector<int>{0, 1}), std::invalid_argument);
  CHECK_THROWS_AS((void)triplet_of(x, {7}, {0}, {1}), std::invalid_argument);
  CHECK_THROWS_AS((void)triplet_of(x, {0}, {-1}, {1}), std::invalid_argument);
  CHECK_THROWS_AS((void)triplet_of(x, std::vector<int>{}, std::vector<int>{}, std::vector<int>{}),
                  std::invalid_argument);
}
