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
