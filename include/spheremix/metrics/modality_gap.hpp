// How far apart the centres of two batches lie.
//
//   gap vector  g = mean(x) - mean(y)        modality_gap = |g|        (0 to 2 for unit rows)
//   dx_i = g / (|g| N) for each of the N rows of X,  dy_j = -g / (|g| M);  0 where g = 0
//
// Shapes  X: N x d, Y: M x d; the rows need not be pairs.   g: a column of length d.
// Errors  widths that differ, no rows: std::invalid_argument. NaN or infinity in a row gives NaN or
//         infinity.
// [Liang et al. 2022, "Mind the gap", arXiv 2203.02053, section 4.2]
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "spheremix/core/whole.hpp"
#include "spheremix/metrics/detail/sums.hpp"
#include "spheremix/sphere/detail/arguments.hpp"

namespace spheremix::metrics {

/// Value and ambient gradients. Matrix members may be Eigen::Map over the caller's buffers.
template <class Matrix>
struct ModalityGapGradient {
  double value = 0;
  Matrix x;  ///< N x d, all rows equal
  Matrix y;  ///< M x d, all rows equal
};

namespace detail {

/// The sum of the rows, column by column: sum[0, d) plus lost[0, d), as in CompensatedSum.
template <class T>
void add_rows(core::MatrixView<const T> x, double* sum, double* lost) {
  for (Index i = 0; i < x.rows; ++i) {
    const T* row = x.row(i);
    for (Index k = 0; k < x.cols; ++k) {
      SPHEREMIX_SUMS_IN_ORDER
      const double a = sum[k], b = double(row[k]), next = core::formed(a + b);
      const double back = core::formed(next - a), there = core::formed(next - back);
      lost[k] += (a - there) + (b - back);  // Knuth's exact error of a + b, without a branch
      sum[k] = next;
    }
  }
}

/// The mean of the rows in double.
template <class T>
std::vector<double> mean_row(core::MatrixView<const T> x) {
  const Index rows = piece_rows(x.rows), pieces = (x.rows + rows - 1) / rows, d = x.cols;
  std::vector<double> sums(std::size_t(2 * pieces * d));
  core::parallel_chunks(x.rows, rows, [&](Index first, Index count) {
    double* sum = sums.data() + first / rows * 2 * d;
    add_rows(x.middle_rows(first, count), sum, sum + d);
  });
  std::vector<double> mean(static_cast<std::size_t>(d));
  for (Index k = 0; k < d; ++k) {
    CompensatedSum total;
    for (Index p = 0; p < pieces; ++p) total.add(sums[std::size_t(p * 2 * d + k)]);
    double lost = 0;
    for (Index p = 0; p < pieces; ++p) lost += sums[std::size_t(p * 2 * d + d + k)];
    const double plain = total.value();
    mean[std::size_t(k)] = (std::isfinite(plain) ? plain + lost : plain) / double(x.rows);
  }
  return mean;
}

/// mean(x) - mean(y).
template <class T>
std::vector<double> gap_vector(const char* function, core::MatrixView<const T> x,
                               core::MatrixView<const T> y) {
  core::expects_same_width(function, "X", x.rows, x.cols, "Y", y.rows, y.cols);
  core::expects(x.rows > 0 && y.rows > 0, function, "X has ", x.rows, " rows and Y ", y.rows,
                ", and the mean over none is undefined");
  std::vector<double> gap = mean_row(x);
  const std::vector<double> other = mean_row(y);
  for (std::size_t k = 0; k < gap.size(); ++k) gap[k] -= other[k];
  return gap;
}

/// sign g / (|g| n) to each row; 0 where g = 0.
template <class T>
void put_gap_gradient(const std::vector<double>& gap, double length, double sign, Index n,
                      core::MatrixView<T> to) {
  for (Index i = 0; i < to.rows; ++i)
    for (Index k = 0; k < to.cols; ++k)
      to(i, k) = length == 0 ? T(0) : T(sign * (gap[std::size_t(k)] / length) / double(n));
}

/// The mean row of batch k of all ranks, from the means of each.
template <class T>
std::vector<double> mean_row_across(core::Meeting& meeting, int k, core::MatrixView<const T> own) {
  const int size = meeting.ranks().size();
  const std::size_t d = std::size_t(own.cols);
  std::vector<double> all(d);
  const std::vector<double> each =
      core::gather_numbers(meeting, 2, own.rows > 0 ? mean_row(own) : std::vector<double>(d));
  for (std::size_t c = 0; c < d; ++c) {
    CompensatedSum sum;
    for (int r = 0; r < size; ++r)
      if (meeting.count(k, r) > 0)
        sum.add(each[std::size_t(r) * d + c] * double(meeting.count(k, r)));
    all[c] = sum.value() / double(meeting.total(k));
  }
  return all;
}

/// mean(x) - mean(y) of the rows of all ranks, to body(meeting, gap).
template <class X, class Y, class World, class Body>
void gap_across(const char* function, const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                World& world, const Body& body) {
  using T = typename X::Scalar;
  core::RanksOf<World> ranks(world);
  core::over_ranks(ranks, function, [&](core::Meeting& meeting) {
    const core::InputRows<T> xs(x), ys(y);
    meeting.bring<T>(0, x.rows(), x.cols());
    meeting.bring<T>(1, y.rows(), y.cols());
    core::expects_same_width(function, "X", x.rows(), x.cols(), "Y", y.rows(), y.cols());
    meeting.agree();
    core::expects(meeting.total(0) > 0 && meeting.total(1) > 0, function, "X has ",
                  meeting.total(0), " rows and Y ", meeting.total(1),
                  ", and the mean over none is undefined");
    std::vector<double> gap = mean_row_across(meeting, 0, xs.view());
    const std::vector<double> other = mean_row_across(meeting, 1, ys.view());
    for (std::size_t k = 0; k < gap.size(); ++k) gap[k] -= other[k];
    body(meeting, gap);
  });
}

/// |g|, also where its square leaves the range of double.
inline double length_of(const std::vector<double>& g) {
  const std::vector<double> zero(g.size());
  return row_distance(g.data(), zero.data(), Index(g.size()));
}

/// Value and gradients by the rows of X, of `x_total` rows in all, and of Y.
template <class X, class Y, class Matrix>
void put_gap(const char* function, const std::vector<double>& gap, const Eigen::MatrixBase<X>& x,
             Index x_total, const Eigen::MatrixBase<Y>& y, Index y_total,
             ModalityGapGradient<Matrix>& out) {
  core::OutputRows<Matrix> dx(function, "out.x", out.x, x.rows(), x.cols());
  core::OutputRows<Matrix> dy(function, "out.y", out.y, y.rows(), y.cols());
  core::expects_apart(function, dx.view(), dy.view());
  out.value = length_of(gap);
  put_gap_gradient(gap, out.value, 1, x_total, dx.view());
  put_gap_gradient(gap, out.value, -1, y_total, dy.view());
  dx.commit();
  dy.commit();
}

}  // namespace detail

/// mean(x) - mean(y), a column.
template <class X, class Y>
[[nodiscard]] Vector<core::Real<X>> modality_gap_vector(const Eigen::MatrixBase<X>& x,
                                                        const Eigen::MatrixBase<Y>& y) {
  using T = core::Real<X>;
  const core::InputRows<T> xs(x), ys(y);
  const std::vector<double> gap = detail::gap_vector("modality_gap_vector", xs.view(), ys.view());
  return Eigen::Map<const Vector<double>>(gap.data(), Index(gap.size())).template cast<T>();
}

/// The same into `out`, a vector of d numbers, row or column.
template <class X, class Y, class Out>
requires core::NoCommunicator<std::remove_reference_t<Out>>
void modality_gap_vector(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y, Out&& out) {
  const auto gap = modality_gap_vector(x, y);
  sphere::detail::OutputVector to("modality_gap_vector", "out", out, gap.size(), 1);
  std::copy(gap.data(), gap.data() + gap.size(), to.data());
  to.commit();
}

/// |mean(x) - mean(y)|.
template <class X, class Y>
[[nodiscard]] double modality_gap(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y) {
  using T = core::Real<X>;
  const core::InputRows<T> xs(x), ys(y);
  return detail::length_of(detail::gap_vector("modality_gap", xs.view(), ys.view()));
}

/// Value and gradients into `out`.
template <class X, class Y, class Matrix>
void modality_gap_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                ModalityGapGradient<Matrix>& out) {
  using T = core::Real<X>;
  constexpr const char* function = "modality_gap_with_gradient";
  const core::InputRows<T> xs(x), ys(y);
  const std::vector<double> gap = detail::gap_vector(function, xs.view(), ys.view());
  detail::put_gap(function, gap, x, x.rows(), y, y.rows(), out);
}

/// Value and gradients. d|g| = (g/|g|).dg and dg = mean(dx) - mean(dy).
template <class X, class Y>
[[nodiscard]] ModalityGapGradient<RowMatrix<core::Real<X>>> modality_gap_with_gradient(
    const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y) {
  ModalityGapGradient<RowMatrix<core::Real<X>>> out;
  modality_gap_with_gradient(x, y, out);
  return out;
}

/// Over several processes: of the rows of all ranks, the same on every rank.
template <class X, class Y, core::Communicator World>
[[nodiscard]] Vector<typename X::Scalar> modality_gap_vector(const Eigen::MatrixBase<X>& x,
                                                             const Eigen::MatrixBase<Y>& y,
                                                             World& world) {
  using T = typename X::Scalar;
  Vector<T> result;
  detail::gap_across(
      "modality_gap_vector", x, y, world,
      [&](const core::Meeting&, const std::vector<double>& gap) {
        result = Eigen::Map<const Vector<double>>(gap.data(), Index(gap.size())).template cast<T>();
      });
  return result;
}

template <class X, class Y, core::Communicator World>
[[nodiscard]] double modality_gap(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                  World& world) {
  double length = 0;
  detail::gap_across("modality_gap", x, y, world,
                     [&](const core::Meeting&, const std::vector<double>& gap) {
                       length = detail::length_of(gap);
                     });
  return length;
}

/// Value and gradients of the gap between all ranks' rows by this rank's, into `out`.
template <class X, class Y, class Matrix, core::Communicator World>
void modality_gap_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                ModalityGapGradient<Matrix>& out, World& world) {
  constexpr const char* function = "modality_gap_with_gradient";
  detail::gap_across(
      function, x, y, world, [&](const core::Meeting& meeting, const std::vector<double>& gap) {
        detail::put_gap(function, gap, x, meeting.total(0), y, meeting.total(1), out);
      });
}

template <class X, class Y, core::Communicator World>
[[nodiscard]] ModalityGapGradient<RowMatrix<typename X::Scalar>> modality_gap_with_gradient(
    const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y, World& world) {
  ModalityGapGradient<RowMatrix<typename X::Scalar>> out;
  modality_gap_with_gradient(x, y, out, world);
  return out;
}

}  // namespace spheremix::metrics

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::metrics::detail {
#define SPHEREMIX_GAP_VECTOR(T) \
  std::vector<double> gap_vector(const char*, core::MatrixView<const T>, core::MatrixView<const T>)
SPHEREMIX_ELSEWHERE(SPHEREMIX_GAP_VECTOR)
}  // namespace spheremix::metrics::detail
