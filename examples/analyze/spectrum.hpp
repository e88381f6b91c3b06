// Figures of the singular values of the unit rows, from their second moments.
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
  Eigen::MatrixXd axes;                    ///< the three leading right singular vectors, uncentred
  double effective_rank = 0, rank_me = 0, iso_score = 0;
  Index full_rank = 0;  ///< centred singular values above 1e-6 of the greatest
};

/// Square roots of the eigenvalues of n * moment; what rounding leaves of a zero counts as zero.
inline std::vector<double> singular_values(const Eigen::MatrixXd& moment, double n,
                                           Eigen::MatrixXd* axes = nullptr) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(
      moment, axes != nullptr ? Eigen::ComputeEigenvectors : Eigen::EigenvaluesOnly);
  const Eigen::VectorXd& squares = solver.eigenvalues();
  const double noise = 4e-16 * double(moment.rows()) * squares.cwiseAbs().maxCoeff();
  std::vector<double> sigma;
  for (Index k = squares.size() - 1; k >= 0; --k)
    sigma.push_back(squares[k] > noise ? std::sqrt(n * squares[k]) : 0);
  if (axes != nullptr) {
    const Index count = std::min<Index>(3, moment.rows());
    *axes = Eigen::MatrixXd::Zero(moment.rows(), 3);
    axes->leftCols(count) = solver.eigenvectors().rightCols(count).rowwise().reverse();
  }
  return sigma;
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

inline double iso_score(const std::vector<double>& sigma) {
  const double d = double(sigma.size());
  double square = 0;
  for (const double s : sigma) square += s * s * s * s;
  if (d < 2 || !(square > 0)) return 0;
  double delta = 0;
  for (const double s : sigma) {
    const double v = std::sqrt(d) * s * s / std::sqrt(square) - 1;
    delta += v * v;
  }
  const double spare = d - std::sqrt(d), defect = delta / (2 * spare);  // delta^2 of the paper
  const double share = (d - defect * spare) * (d - defect * spare) / (d * d);
  return (d * share - 1) / (d - 1);
}

inline Spectrum spectrum_of(const Health& health) {
  Spectrum s;
  const double n = double(health.usable);
  s.uncentred = singular_values(health.moment, n);
  s.centred = singular_values(health.moment - health.mean * health.mean.transpose(), n);
  s.effective_rank = entropy_rank(s.centred, 0);
  s.rank_me = entropy_rank(s.uncentred, 1e-7);
  s.iso_score = iso_score(s.centred);
  for (const double v : s.centred) s.full_rank += v > 1e-6 * s.centred.front();
  return s;
}

}  // namespace analyze
