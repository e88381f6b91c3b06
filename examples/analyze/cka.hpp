// Linear CKA of two batches whose rows are pairs, with the part that each row has in it.
//
//   CKA = |C_xy|^2 / (|C_xx| |C_yy|),   C_xy = sum_i u_i v_i^T, u and v the centred rows
//   d log CKA / d weight of row i = 2 u_i.C_xy v_i / |C_xy|^2 - u_i.C_xx u_i / |C_xx|^2
//                                   - v_i.C_yy v_i / |C_yy|^2
//
// [Kornblith et al. 2019, "Similarity of neural network representations revisited"]
#pragma once

#include "bootstrap.hpp"

namespace analyze {

struct Similarity {
  double value = 0;
  Interval interval{};  ///< to first order
};

template <class T>
class LinearCka {
 public:
  LinearCka(const RowMatrix<T>& x, const RowMatrix<T>& y) : x_(x), y_(y) {
    mean_x_ = x.template cast<double>().colwise().mean();
    mean_y_ = y.template cast<double>().colwise().mean();
    const Eigen::MatrixXd xx = products(x, x, mean_x_, mean_x_, nullptr),
                          yy = products(y, y, mean_y_, mean_y_, nullptr);
    scale_ = xx.norm() * yy.norm();
    if (!(scale_ > 0)) return;
    own_x_ = parts(x, x, mean_x_, mean_x_, nullptr, xx);
    own_y_ = parts(y, y, mean_y_, mean_y_, nullptr, yy);
  }

  /// Row i of x with row order[i] of y; without an order, with row i.
  Similarity measure(const std::vector<Index>* order = nullptr) const {
    if (!(scale_ > 0)) return {};
    const Eigen::MatrixXd xy = products(x_, y_, mean_x_, mean_y_, order);
    Similarity s;
    s.value = xy.squaredNorm() / scale_;
    if (!(s.value > 0)) return s;
    std::vector<double> part = parts(x_, y_, mean_x_, mean_y_, order, xy);
    for (std::size_t i = 0; i < part.size(); ++i) {
      const std::size_t j = order != nullptr ? at((*order)[i]) : i;
      part[i] = double(part.size()) * (2 * part[i] - own_x_[i] - own_y_[j]);
    }
    const Interval change = bootstrap_parts(0, part);
    s.interval = {s.value * std::exp(change.low), s.value * std::exp(change.high)};
    return s;
  }

 private:
  static constexpr Index kBlock = 4096;

  /// Centred rows [first, first + count) of x, in the given order.
  static RowMatrix<T> centred(const RowMatrix<T>& x, const Eigen::RowVectorXd& mean,
                              const std::vector<Index>* order, Index first, Index count) {
    RowMatrix<T> u(count, x.cols());
    for (Index i = 0; i < count; ++i)
      u.row(i) = x.row(order != nullptr ? (*order)[at(first + i)] : first + i);
    u.rowwise() -= mean.template cast<T>();
    return u;
  }

  static Eigen::MatrixXd products(const RowMatrix<T>& a, const RowMatrix<T>& b,
                                  const Eigen::RowVectorXd& mean_a,
                                  const Eigen::RowVectorXd& mean_b,
                                  const std::vector<Index>* order) {
    const Index n = a.rows(), blocks = (n + kBlock - 1) / kBlock;
    std::vector<Eigen::MatrixXd> sums(std::size_t(std::min<Index>(blocks, 8)),
                                      Eigen::MatrixXd::Zero(a.cols(), b.cols()));
    const Index slices = Index(sums.size());
    spheremix::core::parallel_for(slices, spheremix::core::max_threads(), [&](Index slice, int) {
      for (Index p = slice; p < blocks; p += slices) {
        const Index first = p * kBlock, count = std::min(kBlock, n - first);
        const RowMatrix<T> u = centred(a, mean_a, nullptr, first, count),
                           v = centred(b, mean_b, order, first, count);
        sums[at(slice)] += (u.transpose() * v).template cast<double>();
        stop_if_asked();
      }
    });
    for (std::size_t s = 1; s < sums.size(); ++s) sums[0] += sums[s];
    return sums[0];
  }

  /// u_i . C v_i / |C|^2 for every row.
  static std::vector<double> parts(const RowMatrix<T>& a, const RowMatrix<T>& b,
                                   const Eigen::RowVectorXd& mean_a,
                                   const Eigen::RowVectorXd& mean_b,
                                   const std::vector<Index>* order, const Eigen::MatrixXd& c) {
    const Index n = a.rows(), blocks = (n + kBlock - 1) / kBlock;
    const RowMatrix<T> scaled = (c / c.squaredNorm()).template cast<T>();
    std::vector<double> all(at(n));
    spheremix::core::parallel_for(blocks, spheremix::core::max_threads(), [&](Index p, int) {
      const Index first = p * kBlock, count = std::min(kBlock, n - first);
      const RowMatrix<T> u = centred(a, mean_a, nullptr, first, count),
                         v = centred(b, mean_b, order, first, count);
      const RowMatrix<T> turned = u * scaled;
      for (Index i = 0; i < count; ++i) all[at(first + i)] = double(turned.row(i).dot(v.row(i)));
      stop_if_asked();
    });
    return all;
  }

  const RowMatrix<T>&x_, &y_;
  Eigen::RowVectorXd mean_x_, mean_y_;
  double scale_ = 0;
  std::vector<double> own_x_, own_y_;
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
