// Figures of the singular values of the unit rows, from their second moments in double: right to
// 1e-6 of the greatest for widths to 2,000 or so.
//
//   sigma     singular values of U (uncentred) or of U - 1 m^T (centred), U the n x d unit rows
//   effective rank   exp H(p), p = sigma / sum sigma of the centred rows     [Roy, Vetterli 2007]
//   RankMe           the same uncentred, p + 1e-7                            [Garrido et al. 2023]
//   IsoScore         1: variance even over all dimensions, 0: in one         [Rudman et al. 2022]
#pragma once

#include <Eigen/Eigenvalues>
#include <cmath>

#include "health.hpp"

namespace analyze {

struct Spectrum {
  std::vector<double> centred, uncentred;  ///< singular values, greatest first
  double effective_rank = 0, rank_me = 0, iso_score = 0;
  Index full_rank = 0;  ///< centred singular values above 1e-6 of the greatest
};

/// Square roots of the eigenvalues of n * moment; what rounding leaves of a zero counts as zero.
inline std::vector<double> singular_values(const Eigen::MatrixXd& moment, double n) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(moment, Eigen::EigenvaluesOnly);
  const Eigen::VectorXd& squares = solver.eigenvalues();
  const double noise = 4e-16 * double(moment.rows()) * squares.cwiseAbs().maxCoeff();
  std::vector<double> sigma;
  for (Index k = squares.size() - 1; k >= 0; --k)
    sigma.push_back(squares[k] > noise ? std::sqrt(n * squares[k]) : 0);
  return sigma;
}

/// The three leading right singular vectors of the uncentred unit rows of several sets together,
/// one column each, and the share of their squared length along these.
inline Eigen::MatrixXd leading_axes(const std::vector<const Moments*>& sets, double& share) {
  const Index d = sets.front()->mean.size();
  Index count = 0;
  bool held = true;
  for (const Moments* m : sets) count += m->n, held &= m->rows.size() > 0;
  Eigen::MatrixXd axes = Eigen::MatrixXd::Zero(d, 3);
  Eigen::VectorXd squares;
  if (held && count < d) {
    RowMatrix<double> all(count, d);
    Index first = 0;
    for (const Moments* m : sets) {
      all.middleRows(first, m->n) =
          (m->rows.rowwise() + m->mean.transpose()) / std::sqrt(double(m->n));
      first += m->n;
    }
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(all * all.transpose());
    squares = solver.eigenvalues().reverse();
    for (Index k = 0; k < std::min<Index>(3, count); ++k) {
      axes.col(k) = all.transpose() * solver.eigenvectors().col(count - 1 - k);
      axes.col(k) /= std::max(axes.col(k).norm(), 1e-300);
    }
  } else {
    Eigen::MatrixXd moment = Eigen::MatrixXd::Zero(d, d);
    for (const Moments* m : sets) {
      moment += m->mean * m->mean.transpose();
      if (m->rows.size() > 0)
        moment += m->rows.transpose() * m->rows / double(m->n);
      else
        moment += m->second;
    }
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(moment);
    squares = solver.eigenvalues().reverse();
    const Index some = std::min<Index>(3, d);
    axes.leftCols(some) = solver.eigenvectors().rightCols(some).rowwise().reverse();
  }
  share = squares.head(std::min<Index>(3, squares.size())).sum() / squares.sum();
  return axes;
}

inline double entropy_rank(const std::vector<double>& sigma, double eps) {
  double sum = 0, entropy = 0;
  for (const double s : sigma) sum += s;
  for (const double s : sigma) {
    const double p = s / sum + eps;
    if (p > 0) entropy -= p * std::log(p);
  }
  return sum > 0 ? std::exp(entropy) : 0;
}

/// Of d dimensions, those beyond the values given being empty.
inline double iso_score(const std::vector<double>& sigma, double d) {
  double square = 0;
  for (const double s : sigma) square += s * s * s * s;
  if (d < 2 || !(square > 0)) return 0;
  double delta = d - double(sigma.size());
  for (const double s : sigma) {
    const double v = std::sqrt(d) * s * s / std::sqrt(square) - 1;
    delta += v * v;
  }
  const double spare = d - std::sqrt(d), defect = delta / (2 * spare);  // delta^2 of the paper
  const double share = (d - defect * spare) * (d - defect * spare) / (d * d);
  return (d * share - 1) / (d - 1);
}

/// By the d x d second moments, or by the n x n table of the rows where those are fewer.
inline Spectrum spectrum_of(const Moments& m) {
  Spectrum s;
  const double n = double(m.n), d = double(m.mean.size());
  if (m.rows.size() > 0) {
    const RowMatrix<double> rows = m.rows.rowwise() + m.mean.transpose();
    s.centred = singular_values(m.rows * m.rows.transpose() / n, n);
    s.uncentred = singular_values(rows * rows.transpose() / n, n);
  } else {
    s.centred = singular_values(m.second, n);
    s.uncentred = singular_values(m.second + m.mean * m.mean.transpose(), n);
  }
  if (m.spread <= 1e-28) std::fill(s.centred.begin(), s.centred.end(), 0.0);  // all rows are one
  s.effective_rank = entropy_rank(s.centred, 0);
  s.rank_me = entropy_rank(s.uncentred, 1e-7);
  s.iso_score = iso_score(s.centred, d);
  for (const double v : s.centred) s.full_rank += v > 1e-6 * s.centred.front();
  return s;
}

}  // namespace analyze
