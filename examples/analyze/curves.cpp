#include "curves.hpp"

#include "spheremix/metrics/alignment.hpp"
#include "spheremix/metrics/calibration.hpp"
#include "spheremix/metrics/modality_gap.hpp"
#include "spheremix/sphere/distance.hpp"
#include "spheremix/sphere/normalize.hpp"
#include "sweep.hpp"

namespace analyze {
namespace {

/// Cosines no further apart are equal: rows of up to 10,000 numbers round by less.
constexpr double kEqual = 5e-14;

/// The softmax of every row of S / tau: its greatest probability, that of the own pair, and whether
/// the own pair comes first (ties count against).
struct Softmax {
  std::vector<double> confidence, own;
  std::vector<bool> right;
};

/// Both directions, over all rows or a draw of them.
struct Both {
  Softmax forward, back;

  double push(const std::vector<Index>* draw = nullptr) const {
    const Index n = Index(forward.own.size());
    double sum = 0;
    for (Index i = 0; i < n; ++i) {
      const std::size_t row = at(draw != nullptr ? (*draw)[at(i)] : i);
      sum += 2 - forward.own[row] - back.own[row];
    }
    return sum / double(2 * n);
  }
  double ece(const std::vector<Index>* draw = nullptr) const {
    const Index n = Index(forward.own.size());
    spheremix::Vector<double> p(n), hit(n);
    double sum = 0;
    for (const Softmax* side : {&forward, &back}) {
      for (Index i = 0; i < n; ++i) {
        const std::size_t row = at(draw != nullptr ? (*draw)[at(i)] : i);
        p[i] = side->confidence[row], hit[i] = side->right[row];
      }
      sum += spheremix::metrics::expected_calibration_error(p, hit);
    }
    return sum / 2;
  }
};

/// The temperature of the grid with the least calibration error.
double best_of(const std::vector<double>& ece) {
  return kTemperatures[at(std::min_element(ece.begin(), ece.end()) - ece.begin())];
}

/// The greatest temperature of the grid whose push is below 1 %.
std::optional<double> quiet_of(const std::vector<double>& push) {
  for (std::size_t k = push.size(); k-- > 0;)
    if (push[k] < 0.01) return kTemperatures[k];
  return {};
}

Softmax softmax_rows(const RowMatrix<double>& s, double tau) {
  const Index n = s.rows();
  Softmax result{std::vector<double>(at(n)), std::vector<double>(at(n)), {}};
  std::vector<char> right(at(n));
  const auto exponentials = SPHEREMIX_DISPATCH(row_exponential<double>);
  spheremix::core::parallel_for(n, spheremix::core::max_threads(), [&](Index i, int) {
    const auto row = s.row(i).array();
    const double top = row.maxCoeff();
    Eigen::ArrayXd below = row - top;
    const double sum = exponentials(below.data(), 1 / tau, 0, nullptr, n);
    result.confidence[at(i)] = std::min(1.0, 1 / sum);
    result.own[at(i)] = std::exp((s(i, i) - top) / tau) / sum;
    right[at(i)] = (row >= s(i, i) - kEqual).count() == 1;
  });
  result.right.assign(right.begin(), right.end());
  return result;
}

/// m = a x + b y for the geodesic mixtures with weight lambda on x; NaN where no one path is the
/// shortest.
struct Weights {
  Eigen::ArrayXd a, b;

  Weights(const Eigen::ArrayXd& angle, double lambda)
      : a((lambda * angle).sin() / angle.sin()), b(((1 - lambda) * angle).sin() / angle.sin()) {
    for (Index j = 0; j < angle.size(); ++j) {
      if (angle[j] < 1e-7) a[j] = lambda, b[j] = 1 - lambda;
      if (angle[j] > spheremix::core::pi<double> - 1e-7) a[j] = b[j] = spheremix::core::nan<double>;
    }
  }
};

/// Share of j != i with x_i . m_j >= x_i . y_j for every row i, m_j = a_j x_j + b_j y_j, from the
/// tables x x^T and x y^T.
std::vector<double> harder_by_row(const RowMatrix<double>& xx, const RowMatrix<double>& xy,
                                  const Eigen::ArrayXd& a, const Eigen::ArrayXd& b) {
  const Index n = xx.rows();
  std::vector<double> share(at(n));
  spheremix::core::parallel_for(n, spheremix::core::max_threads(), [&](Index i, int) {
    const double *own = xx.row(i).data(), *other = xy.row(i).data();
    Index count = 0;
    for (Index j = 0; j < n; ++j) count += a[j] * own[j] + (b[j] - 1) * other[j] >= -kEqual;
    count -= a[i] * own[i] + (b[i] - 1) * other[i] >= -kEqual;
    share[at(i)] = double(count) / double(n - 1);
  });
  return share;
}

/// R@1, the mean of both directions, of rows x - h g and y + h g brought to length 1, from the
/// table s = x y^T.
double recall_after_shift(const RowMatrix<double>& s, const RowMatrix<double>& x,
                          const RowMatrix<double>& y, const spheremix::Vector<double>& g,
                          double h) {
  const Index n = s.rows();
  const Eigen::RowVectorXd xg = (x * g).transpose(), yg = (y * g).transpose();
  const double gg = g.squaredNorm();
  const Eigen::RowVectorXd u = (1 - 2 * h * xg.array() + h * h * gg).sqrt(),
                           v = (1 + 2 * h * yg.array() + h * h * gg).sqrt();
  const auto cosine = [&](Index i, Index j) {
    return (s(i, j) + h * xg[i] - h * yg[j] - h * h * gg) / (u[i] * v[j]);
  };
  std::vector<double> own(at(n));
  for (Index i = 0; i < n; ++i) own[at(i)] = cosine(i, i);
  const int threads = spheremix::core::max_threads();
  std::vector<std::vector<char>> beaten(std::size_t(threads), std::vector<char>(at(n)));
  std::vector<char> first(at(n));
  spheremix::core::parallel_for(n, threads, [&](Index i, int thread) {
    char* const column = beaten[std::size_t(thread)].data();
    bool any = false;
    for (Index j = 0; j < n; ++j) {
      const double c = cosine(i, j);
      any |= c >= own[at(i)] - kEqual && j != i;
      column[j] |= c >= own[at(j)] - kEqual && j != i;
    }
    first[at(i)] = !any;
  });
  double hits = 0;
  for (Index i = 0; i < n; ++i) {
    bool any = false;
    for (const auto& one : beaten) any |= one[at(i)] != 0;
    hits += double(first[at(i)]) + double(!any);
  }
  return hits / double(2 * n);
}

}  // namespace

void measure_curves(const RowMatrix<double>& x, const RowMatrix<double>& y,
                    const std::string& scope, const std::string& how, double temperature,
                    Json& document, Json& plots, Progress& progress) {
  namespace metrics = spheremix::metrics;
  const Index n = x.rows();
  Json& list = document["metrics"];
  progress.stage("Curves of " + scope, 11 + kTemperatures.size() + 9, "points");
  plots["how"] = how;
  plots["pairs"] = n;

  RowMatrix<double> s = cosine_table(x, y);
  const Eigen::ArrayXd angle = spheremix::sphere::geodesic_distance_rows(x, y);
  // The ends are left out: there one side's mixture is the real negative itself, and ties count.
  constexpr std::array<double, 11> lambdas = {0.05, 0.1, 0.2, 0.3, 0.4, 0.5,
                                              0.6,  0.7, 0.8, 0.9, 0.95};
  constexpr std::size_t half_way = 5;
  plots["lambda"] = lambdas;
  std::vector<double> hard(at(n));
  for (const bool forward : {true, false}) {
    if (!forward) s.transposeInPlace();
    const RowMatrix<double> within = forward ? cosine_table(x, x) : cosine_table(y, y);
    for (std::size_t k = 0; k < lambdas.size(); ++k) {
      const Weights w(angle, lambdas[k]);
      const std::vector<double> rows =
          forward ? harder_by_row(within, s, w.a, w.b) : harder_by_row(within, s, w.b, w.a);
      plots["hardness"][forward ? "forward" : "back"].push_back(mean_of(rows));
      for (std::size_t i = 0; k == half_way && i < rows.size(); ++i) hard[i] += rows[i] / 2;
      progress.add(0.5);
    }
  }
  list.push_back(metric("hardness", scope, mean_of(hard), how, bootstrap_mean(hard)));

  std::vector<double> temperatures(kTemperatures.begin(), kTemperatures.end()), eces, pushes;
  temperatures.push_back(temperature);
  std::vector<Both> at_grid(temperatures.size());
  for (const bool forward : {false, true}) {
    if (forward) s.transposeInPlace();
    for (std::size_t k = 0; k < temperatures.size(); ++k) {
      (forward ? at_grid[k].forward : at_grid[k].back) = softmax_rows(s, temperatures[k]);
      if (k < kTemperatures.size()) progress.add(0.5);
    }
  }
  const Both given = std::move(at_grid.back());
  at_grid.pop_back();
  for (const Both& one : at_grid) eces.push_back(one.ece()), pushes.push_back(one.push());
  plots["temperature"] = kTemperatures;
  plots["ece"] = eces;
  plots["push"] = pushes;
  const double ece = given.ece();
  auto intervals = bootstrap(n, {ece, kAsDrawn, kAsDrawn, kAsDrawn},
                             [&](const std::vector<Index>& draw, std::vector<double>& out) {
                               out[0] = given.ece(&draw), out[1] = given.push(&draw);
                               std::vector<double> e, p;
                               for (const Both& one : at_grid)
                                 e.push_back(one.ece(&draw)), p.push_back(one.push(&draw));
                               out[2] = best_of(e), out[3] = quiet_of(p).value_or(0);
                             });
  intervals[0].low = std::max(0.0, intervals[0].low);
  list.push_back(metric("ece", scope, ece, how, intervals[0]));
  list.push_back(metric("best_temperature", scope, best_of(eces), how, intervals[2]));
  list.push_back(metric("push", scope, given.push(), how, intervals[1]));
  list.push_back(metric("quiet_temperature", scope, quiet_of(pushes), how, intervals[3]));

  const auto gap = metrics::modality_gap_vector(x, y);
  for (int k = -2; k <= 6; ++k) {
    const double alpha = k / 4.0, half = alpha / 2;
    plots["shift"]["alpha"].push_back(alpha);
    Json of_gap, of_alignment, of_recall;  // null where a row meets the origin
    try {
      const RowMatrix<double> u =
          spheremix::sphere::normalize_rows(x.rowwise() - (half * gap).transpose());
      const RowMatrix<double> v =
          spheremix::sphere::normalize_rows(y.rowwise() + (half * gap).transpose());
      of_gap = metrics::modality_gap(u, v);
      of_alignment = metrics::alignment(u, v);
      of_recall = recall_after_shift(s, x, y, gap, half);
    } catch (const std::invalid_argument&) {
    }
    plots["shift"]["gap"].push_back(of_gap);
    plots["shift"]["alignment"].push_back(of_alignment);
    plots["shift"]["recall1"].push_back(of_recall);
    progress.add(1);
  }
}

}  // namespace analyze
