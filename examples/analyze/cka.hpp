// Linear CKA of two batches whose rows are pairs, with the part that each row has in it.
//
//   CKA = |C_xy|^2 / (|C_xx| |C_yy|),   C_xy = sum_i u_i v_i^T, u and v the centred rows
//   d log CKA / d weight of row i = 2 u_i.C_xy v_i / |C_xy|^2 - u_i.C_xx u_i / |C_xx|^2
//                                   - v_i.C_yy v_i / |C_yy|^2
//
// Debiased: each |C|^2 in it becomes the unbiased estimate, up to one factor,
//
//   |C_xy|^2 - n/(n - 2) sum_i |u_i|^2 |v_i|^2 + sum |u_i|^2 sum |v_i|^2 / ((n - 1)(n - 2))
//
// whose mean is 0 for unrelated rows. It needs 4 rows.
//
// [Kornblith et al. 2019, "Similarity of neural network representations revisited"; Song et al.
// 2007, "Supervised feature selection via dependence estimation"; Nguyen et al. 2021, "Do wide and
// deep networks learn the same things?"]
#pragma once

#include <tuple>

#include "bootstrap.hpp"
#include "sweep.hpp"

namespace analyze {

/// A value is NaN where it is not defined: all rows of one side are one point.
struct Similarity {
  double value = spheremix::core::nan<double>, debiased = spheremix::core::nan<double>;
  std::optional<Interval> interval, of_debiased;  ///< to first order
  std::vector<double> parts;                      ///< of rows in the value
};

/// In double, row by row.
template <class T>
Eigen::RowVectorXd sum_of_rows(const RowMatrix<T>& x) {
  Eigen::RowVectorXd sum = Eigen::RowVectorXd::Zero(x.cols());
  for (Index i = 0; i < x.rows(); ++i) sum += x.row(i).template cast<double>();
  return sum;
}

template <class T>
class LinearCka {
 public:
  LinearCka(const RowMatrix<T>& x, const RowMatrix<T>& y) : x_(x), y_(y) {
    mean_x_ = sum_of_rows(x) / double(x.rows());
    mean_y_ = sum_of_rows(y) / double(y.rows());
    square_x_ = squares(x, mean_x_);
    square_y_ = squares(y, mean_y_);
    constexpr double rounding = 4 * double(std::numeric_limits<T>::epsilon());
    const double least = double(x.rows()) * rounding * rounding;
    if (!(sum_of(square_x_) > least && sum_of(square_y_) > least)) return;
    if (x.rows() < std::min(x.cols(), y.cols())) {
      table_x_ = table(x, mean_x_);
      table_y_ = table(y, mean_y_);
    }
    std::tie(xx_, own_x_) = joint(x, x, nullptr);
    std::tie(yy_, own_y_) = joint(y, y, nullptr);
    scale_ = std::sqrt(xx_) * std::sqrt(yy_);
  }

  /// Row i of x with row order[i] of y; without an order, with row i.
  Similarity measure(const std::vector<Index>* order = nullptr) const {
    if (!(scale_ > 0)) return {};
    const auto [xy_square, own] = joint(x_, y_, order);
    Similarity s;
    s.value = xy_square / scale_;
    std::vector<double> part = own;
    const double n = double(part.size());
    const auto partner = [&](std::size_t i) { return order != nullptr ? at((*order)[i]) : i; };
    for (std::size_t i = 0; i < part.size(); ++i)
      part[i] = n * (2 * own[i] - own_x_[i] - own_y_[partner(i)]);
    if (s.value > 0) {
      const Interval change = bootstrap_parts(0, part);
      s.interval = {s.value * std::exp(change.low), s.value * std::exp(change.high)};
    }
    for (const double p : part) s.parts.push_back(s.value * p);
    if (n < 4) return s;

    const auto same = [](std::size_t i) { return i; };
    const auto estimate = [&](double square, const std::vector<double>& a,
                              const std::vector<double>& b, const auto& pair) {
      double sum_a = 0, sum_b = 0, products = 0;
      for (std::size_t i = 0; i < a.size(); ++i)
        sum_a += a[i], sum_b += b[i], products += a[i] * b[pair(i)];
      return square - n / (n - 2) * products + sum_a * sum_b / ((n - 1) * (n - 2));
    };
    const double a = estimate(xy_square, square_x_, square_y_, partner),
                 b = estimate(xx_, square_x_, square_x_, same),
                 c = estimate(yy_, square_y_, square_y_, same);
    if (!(b > 1e-12 * xx_ && c > 1e-12 * yy_)) return s;
    s.debiased = a / std::sqrt(b * c);
    double sum_x = 0, sum_y = 0;
    for (std::size_t i = 0; i < part.size(); ++i) sum_x += square_x_[i], sum_y += square_y_[i];
    const auto change = [&](double of, double p, double q, double sum_p, double sum_q) {
      return of - n / (n - 2) * p * q + (p * sum_q + q * sum_p) / ((n - 1) * (n - 2));
    };
    for (std::size_t i = 0; i < part.size(); ++i) {
      const std::size_t j = partner(i);
      const double p = square_x_[i], q = square_y_[j];
      const double of_a = change(2 * own[i] * xy_square, p, q, sum_x, sum_y),
                   of_b = change(2 * own_x_[i] * xx_, p, p, sum_x, sum_x),
                   of_c = change(2 * own_y_[j] * yy_, q, q, sum_y, sum_y);
      part[i] = n * (of_a / std::sqrt(b * c) - s.debiased / 2 * (of_b / b + of_c / c));
    }
    s.of_debiased = bootstrap_parts(s.debiased, part);
    return s;
  }

 private:
  static constexpr Index kBlock = 4 * spheremix::pairwise::kPackRows;  ///< rows at a time
  static constexpr Index kTile = 128;  ///< rows and columns of C that a thread sums

  using Joint = std::pair<double, std::vector<double>>;

  static double sum_of(const std::vector<double>& x) {
    return std::accumulate(x.begin(), x.end(), 0.0);
  }

  /// |C|^2 of a and b, and u_i . C v_i / |C|^2 of every row. Of fewer rows than columns from the
  /// tables K and L of their products, |C|^2 = sum_ij K_ij L_ij.
  Joint joint(const RowMatrix<T>& a, const RowMatrix<T>& b, const std::vector<Index>* order) const {
    const auto &mean_a = &a == &x_ ? mean_x_ : mean_y_, &mean_b = &b == &x_ ? mean_x_ : mean_y_;
    std::vector<double> own(at(a.rows()));
    if (table_x_.size() == 0) {
      const Eigen::MatrixXd c = products(a, b, mean_a, mean_b, order);
      const double square = c.squaredNorm();
      if (square > 0) own = parts(a, b, mean_a, mean_b, order, c);
      return {square, own};
    }
    const RowMatrix<double>&k = &a == &x_ ? table_x_ : table_y_,
          &l = &b == &x_ ? table_x_ : table_y_;
    for (Index i = 0; i < a.rows(); ++i)
      for (Index j = 0; j < a.rows(); ++j)
        own[at(i)] += k(i, j) * (order != nullptr ? l((*order)[at(i)], (*order)[at(j)]) : l(i, j));
    const double square = std::max(0.0, sum_of(own));
    for (double& part : own) part = square > 0 ? part / square : 0;
    return {square, own};
  }

  /// u_i . u_j.
  static RowMatrix<double> table(const RowMatrix<T>& x, const Eigen::RowVectorXd& mean) {
    const RowMatrix<double> u = x.template cast<double>().rowwise() - mean;
    return u * u.transpose();
  }

  /// |u_i|^2.
  static std::vector<double> squares(const RowMatrix<T>& x, const Eigen::RowVectorXd& mean) {
    std::vector<double> all(at(x.rows()));
    const Index blocks = (x.rows() + kBlock - 1) / kBlock;
    spheremix::core::parallel_for(blocks, spheremix::core::max_threads(), [&](Index p, int) {
      for (Index i = p * kBlock; i < std::min(x.rows(), (p + 1) * kBlock); ++i)
        all[at(i)] = (x.row(i).template cast<double>() - mean).squaredNorm();
    });
    return all;
  }

  /// Columns [column, column + cols) of the centred rows [first, first + count) of x, in the given
  /// order.
  static void centred(const RowMatrix<T>& x, const Eigen::RowVectorXd& mean,
                      const std::vector<Index>* order, Index first, Index count, Index column,
                      Index cols, RowMatrix<T>& u) {
    u.resize(count, cols);
    const Eigen::Matrix<T, 1, Eigen::Dynamic> shift = mean.segment(column, cols).template cast<T>();
    for (Index i = 0; i < count; ++i)
      u.row(i) =
          x.row(order != nullptr ? (*order)[at(first + i)] : first + i).segment(column, cols) -
          shift;
  }

  static Eigen::MatrixXd products(const RowMatrix<T>& a, const RowMatrix<T>& b,
                                  const Eigen::RowVectorXd& mean_a,
                                  const Eigen::RowVectorXd& mean_b,
                                  const std::vector<Index>* order) {
    const Index n = a.rows(), down = (a.cols() + kTile - 1) / kTile,
                across = (b.cols() + kTile - 1) / kTile;
    const bool same = &a == &b && order == nullptr;
    const int threads = spheremix::core::max_threads();
    detail::SweepMemory<T> memory(threads);
    Eigen::MatrixXd c(a.cols(), b.cols());
    spheremix::core::parallel_for(down * across, threads, [&](Index task, int thread) {
      const Index p = task / across * kTile, q = task % across * kTile;
      if (same && q < p) return;
      const Index rows = std::min(kTile, a.cols() - p), cols = std::min(kTile, b.cols() - q);
      RowMatrix<T> u, v, part(rows, cols);
      Eigen::MatrixXd sum = Eigen::MatrixXd::Zero(rows, cols);
      for (Index first = 0; first < n; first += kBlock) {
        const Index count = std::min(kBlock, n - first);
        centred(a, mean_a, nullptr, first, count, p, rows, u);
        centred(b, mean_b, order, first, count, q, cols, v);
        memory.pack(thread).packed = nullptr;
        spheremix::pairwise::transposed_times<T>(
            {part.data(), rows, cols, cols}, detail::rows_of(u, 0, count),
            detail::rows_of(v, 0, count), false, memory.pack(thread));
        sum += part.template cast<double>();
        stop_if_asked();
      }
      c.block(p, q, rows, cols) = sum;
      if (same && q > p) c.block(q, p, cols, rows) = sum.transpose();
    });
    return c;
  }

  /// u_i . C v_i / |C|^2 for every row.
  static std::vector<double> parts(const RowMatrix<T>& a, const RowMatrix<T>& b,
                                   const Eigen::RowVectorXd& mean_a,
                                   const Eigen::RowVectorXd& mean_b,
                                   const std::vector<Index>* order, const Eigen::MatrixXd& c) {
    const Index n = a.rows(), blocks = (n + kBlock - 1) / kBlock;
    const RowMatrix<T> scaled = (c / c.squaredNorm()).template cast<T>();
    const int threads = spheremix::core::max_threads();
    detail::SweepMemory<T> memory(threads);
    struct Rows {
      RowMatrix<T> u, v, turned;
    };
    std::vector<Rows> held{std::size_t(threads)};
    for (int t = 0; t < threads; ++t) memory.pack(t).keep_rows = true;
    std::vector<double> all(at(n));
    spheremix::core::parallel_for(blocks, threads, [&](Index p, int thread) {
      const Index first = p * kBlock, count = std::min(kBlock, n - first);
      auto& [u, v, turned] = held[std::size_t(thread)];
      centred(a, mean_a, nullptr, first, count, 0, a.cols(), u);
      centred(b, mean_b, order, first, count, 0, b.cols(), v);
      turned.resize(count, b.cols());
      spheremix::pairwise::times<T>(
          {turned.data(), count, b.cols(), b.cols()}, detail::rows_of(u, 0, count),
          detail::rows_of(scaled, 0, a.cols()), false, memory.pack(thread));
      for (Index i = 0; i < count; ++i)
        all[at(first + i)] =
            double(spheremix::core::row_product(turned.row(i).data(), v.row(i).data(), b.cols()));
      stop_if_asked();
    });
    return all;
  }

  const RowMatrix<T>&x_, &y_;
  Eigen::RowVectorXd mean_x_, mean_y_;
  double scale_ = 0, xx_ = 0, yy_ = 0;
  std::vector<double> own_x_, own_y_, square_x_, square_y_;
  RowMatrix<double> table_x_, table_y_;  ///< of few rows alone
};

/// The same seeded shuffle for every pair of one size.
inline std::vector<Index> shuffled(Index n, std::uint64_t seed) {
  std::vector<Index> order(at(n));
  for (Index i = 0; i < n; ++i) order[at(i)] = i;
  spheremix::core::PhiloxStream random(seed, 2, 0);
  for (Index i = n - 1; i > 0; --i)
    std::swap(order[at(i)], order[at(Index(random.uniform<double>() * double(i + 1)))]);
  return order;
}

}  // namespace analyze
