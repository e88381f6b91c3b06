// spectrum on the CPU: formula, gradient and options in formula/spectrum.hpp.
//
// Shapes     X: N x d. effective_rank: N >= 1; isotropy: N >= 2, d >= 2; anisotropy: N >= 2.
// Accuracy   from second moments in double, min(N, d) squared of them: singular values below 2e-8
//            sqrt(min) of the largest count as 0.
// Errors     too few rows, a row with NaN or infinity (named), all values 0 (no share to speak of):
//            std::invalid_argument.
// Cost       2 N d min(N, d) flops; memory N d doubles.
#pragma once

#include <Eigen/Eigenvalues>
#include <cmath>
#include <vector>

#include "spheremix/core/compiled.hpp"
#include "spheremix/formula/spectrum.hpp"
#include "spheremix/metrics/detail/row_checks.hpp"
#include "spheremix/metrics/detail/tiles.hpp"
#include "spheremix/metrics/modality_gap.hpp"
#include "spheremix/pairwise/dense_products.hpp"
#include "spheremix/pairwise/shares.hpp"

namespace spheremix::metrics {

namespace detail {

/// The rows in double, less their mean where wanted: less the first row before that, so that equal
/// rows give exactly 0, whatever their number.
template <class T>
RowMatrix<double> wide_rows(core::MatrixView<const T> x, bool centred) {
  RowMatrix<double> wide(x.rows, x.cols);
  for (Index i = 0; i < x.rows; ++i)
    for (Index k = 0; k < x.cols; ++k)
      wide(i, k) = double(x(i, k)) - (centred ? double(x(0, k)) : 0.0);
  if (!centred) return wide;
  const std::vector<double> mean = mean_row(core::rows_of(wide));
  for (Index i = 0; i < x.rows; ++i)
    for (Index k = 0; k < x.cols; ++k) wide(i, k) -= mean[std::size_t(k)];
  return wide;
}

/// X^T Y of two matrices of doubles, or X Y^T. A share adds up what the rows of all give.
inline RowMatrix<double> wide_product(const RowMatrix<double>& x, const RowMatrix<double>& y,
                                      bool inner, const core::Share* share = nullptr) {
  using core::MatrixView;
  const MatrixView<const double> a = core::rows_of(x), b = core::rows_of(y);
  RowMatrix<double> c(inner ? x.cols() : x.rows(), inner ? y.cols() : y.rows());
  const MatrixView<double> to{c.data(), c.rows(), c.cols(), c.cols()};
  using Products = pairwise::DenseProducts<double>;
  const int threads =
      Products::threads_for(2.0 * double(c.size()) * double(inner ? x.rows() : x.cols()));
  core::Workspace workspace;
  auto frame = workspace.frame(core::bytes_of<Products>(threads));
  Products products(threads, frame);
  if (inner) {
    products.transposed_times(to, a, b, share);
    return c;
  }
  const core::OwnRows own(share, x.rows());
  if (share) c.setZero();
  products.times_transposed(own.of(to), own.of(a), b, false);
  if (share) share->add(c.data(), c.size());
  return c;
}

template <class T>
std::vector<double> singular_values(const char* function, core::MatrixView<const T> x, bool centred,
                                    const core::Share* share = nullptr) {
  core::expects(x.rows >= 1 && x.cols >= 1, function, "X is ", x.rows, " x ", x.cols);
  finite_norm(function, "X", x);
  const RowMatrix<double> wide = wide_rows(x, centred);
  const Eigen::MatrixXd moment = wide_product(wide, wide, x.cols <= x.rows, share);
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(moment, Eigen::EigenvaluesOnly);
  const double top = solver.eigenvalues().maxCoeff();
  std::vector<double> sigma;
  for (Index k = moment.rows() - 1; k >= 0; --k)
    sigma.push_back(formula::singular_value(solver.eigenvalues()[k], top, double(moment.rows())));
  return sigma;
}

}  // namespace detail

/// Singular values, largest first: min(N, d) of them.
template <class X>
[[nodiscard]] std::vector<double> singular_values(const Eigen::MatrixBase<X>& x,
                                                  const SpectrumOptions& options = {}) {
  const core::InputRows<core::Real<X>> rows(x);
  return detail::singular_values("singular_values", rows.view(), options.centred);
}

namespace detail {

template <class T>
double effective_rank(core::MatrixView<const T> x, const EffectiveRankOptions& options,
                      const core::Share* share = nullptr) {
  core::expects(options.epsilon >= 0 && std::isfinite(options.epsilon), "effective_rank",
                "epsilon is ", options.epsilon, ", not a finite number >= 0");
  const std::vector<double> sigma = singular_values("effective_rank", x, options.centred, share);
  double sum = 0, entropy = 0;
  for (const double s : sigma) sum += s;
  core::expects(sum > 0, "effective_rank", "all singular values are 0");
  for (const double s : sigma) entropy += formula::entropy_of(s / sum + options.epsilon);
  return std::exp(entropy);
}

template <class T>
double isotropy(core::MatrixView<const T> x, const core::Share* share = nullptr) {
  core::expects(x.rows >= 2 && x.cols >= 2, "isotropy", "X is ", x.rows, " x ", x.cols,
                ": at least two rows and two columns are needed");
  const std::vector<double> sigma = singular_values("isotropy", x, true, share);
  double fourth = 0;
  for (const double s : sigma) fourth += s * s * s * s;
  core::expects(fourth > 0, "isotropy", "all rows are equal");
  const formula::IsoScore score{double(x.cols)};
  double off = 0;
  for (const double s : sigma) off += score.off(s, fourth);
  return score.value(off, double(sigma.size()));
}

inline void expects_pair(const char* function, Index rows) {
  core::expects(rows >= 2, function, "X has ", rows, " rows, and no pair of them");
}

/// The sum of the rows, each of length 1.
template <class T>
std::vector<double> unit_sum(const char* function, core::MatrixView<const T> x) {
  finite_norm(function, "X", x);
  std::vector<double> sum(static_cast<std::size_t>(x.cols));
  for (Index i = 0; i < x.rows; ++i) {
    const T* row = x.row(i);
    const double norm = std::sqrt(core::row_product(row, row, x.cols));
    core::expects(norm > 0, function, "row ", i, " of X is 0");
    for (Index k = 0; k < x.cols; ++k) sum[std::size_t(k)] += double(row[k]) / norm;
  }
  return sum;
}

/// Of pairs of n rows, from that sum.
inline double mean_cosine(const std::vector<double>& sum, double n) {
  double square = 0;
  for (const double s : sum) square += s * s;
  return (square - n) / (n * (n - 1));
}

}  // namespace detail

/// Between 1 and min(N, d).
template <class X>
[[nodiscard]] double effective_rank(const Eigen::MatrixBase<X>& x,
                                    const EffectiveRankOptions& options = {}) {
  const core::InputRows<core::Real<X>> rows(x);
  return detail::effective_rank(rows.view(), options);
}

/// IsoScore, in [0, 1].
template <class X>
[[nodiscard]] double isotropy(const Eigen::MatrixBase<X>& x) {
  const core::InputRows<core::Real<X>> rows(x);
  return detail::isotropy(rows.view());
}

/// Mean cosine of pairs, in [-1/(N - 1), 1].
template <class X>
[[nodiscard]] double anisotropy(const Eigen::MatrixBase<X>& x) {
  const core::InputRows<core::Real<X>> rows(x);
  detail::expects_pair("anisotropy", x.rows());
  return detail::mean_cosine(detail::unit_sum("anisotropy", rows.view()), double(x.rows()));
}

/// Over several processes: of the rows of all ranks, the same on every rank.
template <class X, core::Communicator World>
[[nodiscard]] std::vector<double> singular_values(const Eigen::MatrixBase<X>& x,
                                                  const SpectrumOptions& options, World& world) {
  using T = core::Real<X>;
  return pairwise::value_of_shares(
      "singular_values", world, options,
      [&](const core::Share* share, const RowMatrix<T>& all) {
        return detail::singular_values("singular_values", core::rows_of(all), options.centred,
                                       share);
      },
      x);
}

/// Over several processes: of the rows of all ranks, the same on every rank.
template <class X, core::Communicator World>
[[nodiscard]] double effective_rank(const Eigen::MatrixBase<X>& x,
                                    const EffectiveRankOptions& options, World& world) {
  using T = core::Real<X>;
  return pairwise::value_of_shares(
      "effective_rank", world, options,
      [&](const core::Share* share, const RowMatrix<T>& all) {
        return detail::effective_rank(core::rows_of(all), options, share);
      },
      x);
}

/// Over several processes: of the rows of all ranks, the same on every rank.
template <class X, core::Communicator World>
[[nodiscard]] double isotropy(const Eigen::MatrixBase<X>& x, World& world) {
  using T = core::Real<X>;
  return pairwise::value_of_shares(
      "isotropy", world, core::NoOptions{},
      [&](const core::Share* share, const RowMatrix<T>& all) {
        return detail::isotropy(core::rows_of(all), share);
      },
      x);
}

/// Over several processes: of the rows of all ranks, the same on every rank.
template <class X, core::Communicator World>
[[nodiscard]] double anisotropy(const Eigen::MatrixBase<X>& x, World& world) {
  using T = core::Real<X>;
  constexpr auto* name = "anisotropy";
  double mean = 0;
  core::RanksOf<World> ranks(world);
  core::over_ranks(ranks, name, [&](core::Meeting& meeting) {
    const core::InputRows<T> rows(x);
    meeting.bring<T>(0, x.rows(), x.cols());
    std::vector<double> sum = detail::unit_sum(name, rows.view());
    meeting.agree();
    detail::expects_pair(name, meeting.total(0));
    const std::vector<double> each = core::gather_numbers(meeting, 1, sum);
    std::fill(sum.begin(), sum.end(), 0.0);
    for (std::size_t k = 0; k < each.size(); ++k) sum[k % sum.size()] += each[k];
    mean = detail::mean_cosine(sum, double(meeting.total(0)));
  });
  return mean;
}

}  // namespace spheremix::metrics

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::metrics::detail {
#define SPHEREMIX_SINGULAR_VALUES(T)                                                \
  std::vector<double> singular_values(const char*, core::MatrixView<const T>, bool, \
                                      const core::Share*)
SPHEREMIX_ELSEWHERE(SPHEREMIX_SINGULAR_VALUES)
}  // namespace spheremix::metrics::detail
