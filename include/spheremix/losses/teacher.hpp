// Soft targets from a teacher's cosines, for distillation: losses::soft(P) of these.
//
//   teacher_rows(S, tau)     P_ij = e^(S_ij / tau) / sum_k e^(S_ik / tau)           rows alone: info_nce
//   teacher_table(S, tau)    P_ij = e^((S_ij - c) / tau),  c midway between the least and the largest
//
// clip divides a table by its row sums for rows and by its column sums for columns, so that of
// teacher_table it makes the teacher's softmax in both directions. Cross entropy with these is the
// Kullback-Leibler divergence from the teacher and the teacher's entropy, a constant.
//
// Shapes     S: n x m, any; tau > 0. P: n x m, of S's type; teacher_table: double.
// Errors     a number that is not finite; tau; of teacher_table a range of S above 1200 tau, whose
//            exponentials no double holds: teacher_rows twice, once of S^T, serve info_nce each way.
// Source     Hinton, Vinyals, Dean 2015, "Distilling the Knowledge in a Neural Network",
//            arXiv 1503.02531.
#pragma once

#include <algorithm>
#include <cmath>

#include "spheremix/core/eigen.hpp"

namespace spheremix::losses {

namespace detail {

template <class S>
void expects_teacher(const char* function, const Eigen::MatrixBase<S>& cosines,
                     double temperature) {
  static_assert(core::is_real<typename S::Scalar>, "spheremix: cosines are float or double");
  core::expects(temperature > 0 && std::isfinite(1 / temperature), function, "temperature is ",
                temperature);
  for (Index i = 0; i < cosines.rows(); ++i)
    for (Index j = 0; j < cosines.cols(); ++j)
      core::expects(std::isfinite(cosines(i, j)), function, "S(", i, ", ", j, ") is ",
                    cosines(i, j));
}

}  // namespace detail

/// The softmax of each row into `out`, which may be S itself.
template <class S, class Out>
void teacher_rows(const Eigen::MatrixBase<S>& cosines, double temperature, Out& out) {
  using T = typename S::Scalar;
  const RowMatrix<T> plain = cosines;
  detail::expects_teacher("teacher_rows", plain, temperature);
  core::OutputRows to("teacher_rows", "out", out, plain.rows(), plain.cols());
  const core::MatrixView<typename Out::Scalar> p = to.view();
  Vector<double> e(plain.cols());
  for (Index i = 0; plain.cols() > 0 && i < plain.rows(); ++i) {
    const double top = double(plain.row(i).maxCoeff());
    double sum = 0;
    for (Index j = 0; j < plain.cols(); ++j)
      sum += e[j] = std::exp((double(plain(i, j)) - top) / temperature);
    for (Index j = 0; j < plain.cols(); ++j) p(i, j) = typename Out::Scalar(e[j] / sum);
  }
  to.commit();
}

template <class S>
[[nodiscard]] RowMatrix<typename S::Scalar> teacher_rows(const Eigen::MatrixBase<S>& cosines,
                                                         double temperature) {
  RowMatrix<typename S::Scalar> out;
  teacher_rows(cosines, temperature, out);
  return out;
}

/// One table whose rows and columns both are the teacher's, up to their sums.
template <class S, class Out>
void teacher_table(const Eigen::MatrixBase<S>& cosines, double temperature, Out& out) {
  static_assert(std::is_same_v<typename Out::Scalar, double>,
                "spheremix: teacher_table needs the range of double");
  constexpr auto* name = "teacher_table";
  const RowMatrix<double> plain = cosines.template cast<double>();
  detail::expects_teacher(name, plain, temperature);
  core::OutputRows to(name, "out", out, plain.rows(), plain.cols());
  if (plain.size() > 0) {
    const double low = plain.minCoeff(), high = plain.maxCoeff();
    core::expects((high - low) / temperature <= 1200, name, "S goes from ", low, " to ", high,
                  ": more than 1200 times the temperature ", temperature);
    const core::MatrixView<double> p = to.view();
    for (Index i = 0; i < plain.rows(); ++i)
      for (Index j = 0; j < plain.cols(); ++j)
        p(i, j) = std::exp((plain(i, j) - (low + (high - low) / 2)) / temperature);
  }
  to.commit();
}

template <class S>
[[nodiscard]] RowMatrix<double> teacher_table(const Eigen::MatrixBase<S>& cosines,
                                              double temperature) {
  RowMatrix<double> out;
  teacher_table(cosines, temperature, out);
  return out;
}

}  // namespace spheremix::losses
