#include "curves.hpp"

#include "spheremix/metrics/alignment.hpp"
#include "spheremix/metrics/calibration.hpp"
#include "spheremix/metrics/hardness.hpp"
#include "spheremix/metrics/modality_gap.hpp"
#include "spheremix/metrics/retrieval.hpp"
#include "spheremix/sphere/normalize.hpp"

namespace analyze {
namespace {

/// The softmax of every row of S / tau: its greatest probability, that of the own pair, and whether
/// the own pair comes first (ties count against).
struct Softmax {
  std::vector<double> confidence, own;
  std::vector<bool> right;

  double mean_push() const {
    double sum = 0;
    for (const double p : own) sum += 1 - p;
    return sum / double(own.size());
  }
  double ece(const std::vector<Index>* draw = nullptr) const {
    const Index n = Index(own.size());
    spheremix::Vector<double> p(n), hit(n);
    for (Index i = 0; i < n; ++i) {
      const std::size_t row = at(draw != nullptr ? (*draw)[at(i)] : i);
      p[i] = confidence[row], hit[i] = right[row];
    }
    return spheremix::metrics::expected_calibration_error(p, hit);
  }
};

Softmax softmax_rows(const RowMatrix<double>& s, double tau) {
  const Index n = s.rows();
  Softmax result{std::vector<double>(at(n)), std::vector<double>(at(n)), {}};
  std::vector<char> right(at(n));
  spheremix::core::parallel_for(n, spheremix::core::max_threads(), [&](Index i, int) {
    const auto row = s.row(i).array();
    const double top = row.maxCoeff();
    const double sum = ((row - top) / tau).exp().sum();
    result.confidence[at(i)] = std::min(1.0, 1 / sum);
    result.own[at(i)] = std::exp((s(i, i) - top) / tau) / sum;
    right[at(i)] = (row >= s(i, i)).count() == 1;
  });
  result.right.assign(right.begin(), right.end());
  return result;
}

/// Share of j != i with x_i . (m_j - y_j) >= 0, for every row i.
std::vector<double> hardness_by_row(const RowMatrix<double>& x, const RowMatrix<double>& y,
                                    double lambda) {
  const RowMatrix<double> step = spheremix::mixup::geodesic(x, y, lambda) - y;
  const RowMatrix<double> s = x * step.transpose();
  std::vector<double> share(at(x.rows()));
  for (Index i = 0; i < x.rows(); ++i)
    share[at(i)] = double((s.row(i).array() >= 0).count() - (s(i, i) >= 0)) / double(x.rows() - 1);
  return share;
}

}  // namespace

void measure_curves(const RowMatrix<double>& x, const RowMatrix<double>& y,
                    const std::string& scope, const std::string& how, double temperature,
                    Json& document, Json& plots, Progress& progress) {
  namespace metrics = spheremix::metrics;
  const bool sampled = how != "exact";
  const Index n = x.rows();
  Json& list = document["metrics"];
  progress.stage("Curves of " + scope, 11 + kTemperatures.size() + 9, "points");
  plots["how"] = how;
  plots["pairs"] = n;

  // The ends are left out: there one side's mixture is the real negative itself, and ties count.
  for (const double lambda : {0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95}) {
    plots["lambda"].push_back(lambda);
    plots["hardness"]["forward"].push_back(metrics::hardness(x, y, lambda));
    plots["hardness"]["back"].push_back(metrics::hardness(y, x, 1 - lambda));
    progress.add(1);
  }
  const double hardness =
      (plots["hardness"]["forward"][5].get<double>() + plots["hardness"]["back"][5].get<double>()) /
      2;
  std::optional<Interval> of_hardness;
  if (sampled) {
    std::vector<double> rows = hardness_by_row(x, y, 0.5);
    const std::vector<double> back = hardness_by_row(y, x, 0.5);
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = (rows[i] + back[i]) / 2;
    of_hardness = bootstrap_mean(rows);
  }
  list.push_back(metric("hardness", scope, hardness, how, of_hardness));

  RowMatrix<double> s(n, n), back;
  s.noalias() = x * y.transpose();
  back = s.transpose();
  double best = 0, least = 2;
  std::optional<double> quiet;
  std::vector<double> grid(kTemperatures.begin(), kTemperatures.end());
  for (const double tau : grid) {
    const Softmax a = softmax_rows(s, tau), b = softmax_rows(back, tau);
    const double ece = (a.ece() + b.ece()) / 2, push = (a.mean_push() + b.mean_push()) / 2;
    plots["temperature"].push_back(tau);
    plots["ece"].push_back(ece);
    plots["push"].push_back(push);
    if (ece < least) least = ece, best = tau;
    if (push < 0.01) quiet = tau;
    progress.add(1);
  }
  const Softmax a = softmax_rows(s, temperature), b = softmax_rows(back, temperature);
  std::optional<Interval> of_ece, of_push;
  if (sampled) {
    const auto both =
        bootstrap(n, 2, [&](const std::vector<Index>& draw, std::vector<double>& out) {
          out[0] = (a.ece(&draw) + b.ece(&draw)) / 2;
          out[1] = 0;
          for (const Index i : draw) out[1] += (2 - a.own[at(i)] - b.own[at(i)]) / (2 * double(n));
        });
    of_ece = both[0], of_push = both[1];
  }
  list.push_back(metric("ece", scope, (a.ece() + b.ece()) / 2, how, of_ece));
  list.push_back(metric("best_temperature", scope, best, how));
  list.push_back(metric("push", scope, (a.mean_push() + b.mean_push()) / 2, how, of_push));
  list.push_back(metric("quiet_temperature", scope, quiet, how));

  const auto gap = metrics::modality_gap_vector(x, y);
  for (int k = -2; k <= 6; ++k) {
    const double alpha = k / 4.0;
    const double half = alpha / 2;
    const RowMatrix<double> u =
        spheremix::sphere::normalize_rows(x.rowwise() - (half * gap).transpose());
    const RowMatrix<double> v =
        spheremix::sphere::normalize_rows(y.rowwise() + (half * gap).transpose());
    const auto found = metrics::retrieval_both(u, v, {.k = {1}});
    plots["shift"]["alpha"].push_back(alpha);
    plots["shift"]["gap"].push_back(metrics::modality_gap(u, v));
    plots["shift"]["alignment"].push_back(metrics::alignment(u, v));
    plots["shift"]["recall1"].push_back((found.x_to_y.recall[0] + found.y_to_x.recall[0]) / 2);
    progress.add(1);
  }
}

}  // namespace analyze
