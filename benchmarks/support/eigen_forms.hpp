// The forms that everyone writes first, in Eigen: every table made whole, angles from acos. Rivals
// in time and memory, and in f64 the reference that errors are taken against.
#pragma once

#include "support/batch.hpp"

namespace bench::eigen {

/// Loss and gradients; lambda is used by m2 only.
template <class T>
struct Gradients {
  double loss = 0;
  RowMatrix<T> x, y;
  double lambda = 0;
};

/// Softmax of every row.
template <class T>
RowMatrix<T> softmax(const RowMatrix<T>& logits) {
  const Column<T> top = logits.rowwise().maxCoeff();
  RowMatrix<T> p = (logits.colwise() - top).array().exp().matrix();
  const Column<T> sums = p.rowwise().sum();
  p.array().colwise() /= sums.array();
  return p;
}

/// InfoNCE, or with both_ways CLIP.
template <class T>
void contrastive(const RowMatrix<T>& x, const RowMatrix<T>& y, T tau, bool both_ways,
                 Gradients<T>& out) {
  const T n = T(x.rows());
  const RowMatrix<T> logits = x * y.transpose() / tau;
  RowMatrix<T> g = softmax(logits);
  out.loss = -double(g.diagonal().array().log().mean());
  g.diagonal().array() -= 1;
  if (both_ways) {
    RowMatrix<T> q = softmax<T>(logits.transpose());
    out.loss = (out.loss - double(q.diagonal().array().log().mean())) / 2;
    q.diagonal().array() -= 1;
    g = (g + q.transpose()) / 2;
  }
  g /= n * tau;
  out.x = g * y;
  out.y = g.transpose() * x;
}

/// Weight lambda on the first argument.
template <class T>
struct Slerp {
  Column<T> theta, sine, a, b;

  Slerp(const RowMatrix<T>& x, const RowMatrix<T>& y, T lambda)
      : theta(x.cwiseProduct(y).rowwise().sum().array().acos()),
        sine(theta.array().sin()),
        a((lambda * theta.array()).sin() / sine.array()),
        b(((1 - lambda) * theta.array()).sin() / sine.array()) {}

  RowMatrix<T> mix(const RowMatrix<T>& x, const RowMatrix<T>& y) const {
    return a.asDiagonal() * x + b.asDiagonal() * y;
  }

  /// Adds what dM is worth to dx, dy; returns dL/dlambda.
  double pull_back(const RowMatrix<T>& x, const RowMatrix<T>& y, T lambda, const RowMatrix<T>& dm,
                   RowMatrix<T>& dx, RowMatrix<T>& dy) const {
    const Column<T> da = dm.cwiseProduct(x).rowwise().sum(),
                    db = dm.cwiseProduct(y).rowwise().sum();
    const auto t = theta.array(), s = sine.array();
    const Column<T> cot = t.cos() / s;
    const Column<T> slope_a = lambda * (lambda * t).cos() / s - a.array() * cot.array();
    const Column<T> slope_b = (1 - lambda) * ((1 - lambda) * t).cos() / s - b.array() * cot.array();
    const Column<T> along =
        -(da.array() * slope_a.array() + db.array() * slope_b.array()) / s;  // dL/d(x . y)
    dx += a.asDiagonal() * dm + along.asDiagonal() * y;
    dy += b.asDiagonal() * dm + along.asDiagonal() * x;
    return double(
        (da.array() * t * (lambda * t).cos() / s - db.array() * t * ((1 - lambda) * t).cos() / s)
            .sum());
  }
};

/// m2-Mix, reduction "sum", negatives replaced.
template <class T>
void m2_mix(const RowMatrix<T>& x, const RowMatrix<T>& y, T lambda, T tau, Gradients<T>& out) {
  const T n = T(x.rows());
  const Slerp<T> slerp(x, y, lambda);
  const RowMatrix<T> m = slerp.mix(x, y);
  const Column<T> positive = x.cwiseProduct(y).rowwise().sum();
  RowMatrix<T> dm = RowMatrix<T>::Zero(x.rows(), x.cols());
  out.x.setZero(x.rows(), x.cols());
  out.y.setZero(x.rows(), x.cols());
  out.loss = 0;
  for (const bool first : {true, false}) {
    const RowMatrix<T>&anchor = first ? x : y, &other = first ? y : x;
    RowMatrix<T>&to_anchor = first ? out.x : out.y, &to_other = first ? out.y : out.x;
    RowMatrix<T> logits = anchor * m.transpose() / tau;
    logits.diagonal() = positive / tau;
    RowMatrix<T> e = softmax(logits);
    out.loss -= double(e.diagonal().array().log().mean());
    e.diagonal().array() -= 1;
    e /= n * tau;
    const Column<T> own = e.diagonal();
    e.diagonal().setZero();
    to_anchor += own.asDiagonal() * other + e * m;
    to_other += own.asDiagonal() * anchor;
    dm += e.transpose() * anchor;
  }
  out.lambda = slerp.pull_back(x, y, lambda, dm, out.x, out.y);
}

/// log of the mean Gaussian potential (t = 2) over pairs of unit rows, by the product.
template <class T>
void uniformity(const RowMatrix<T>& x, bool gradient, Gradients<T>& out) {
  const T t = 2, n = T(x.rows());
  RowMatrix<T> k = x * x.transpose();
  k = (2 * t * (k.array() - 1)).exp();
  k.diagonal().setZero();
  const T total = k.sum();
  out.loss = std::log(double(total) / (double(n) * (double(n) - 1)));
  if (!gradient) return;
  const Column<T> sums = k.rowwise().sum();
  out.x = (-4 * t / total) * (sums.asDiagonal() * x - k * x);
}

/// Recall at 1 both ways, mean of the two.
template <class T>
double recall_both(const RowMatrix<T>& x, const RowMatrix<T>& y) {
  const RowMatrix<T> s = x * y.transpose();
  const Column<T> own = s.diagonal();
  const auto found = [&](const auto& hits) { return double((hits.array() == 1).count()); };
  const Eigen::Matrix<Index, Eigen::Dynamic, 1> rows =
      (s.array() >= own.replicate(1, s.cols()).array()).template cast<Index>().rowwise().sum();
  const Eigen::Matrix<Index, 1, Eigen::Dynamic> cols =
      (s.array() >= own.transpose().replicate(s.rows(), 1).array())
          .template cast<Index>()
          .colwise()
          .sum();
  return (found(rows) + found(cols)) / double(2 * s.rows());
}

/// The tangent part of every row of g at the unit rows x.
inline RowMatrix<double> tangent(const RowMatrix<double>& g, const RowMatrix<double>& x) {
  const Column<double> along = g.cwiseProduct(x).rowwise().sum();
  return g - along.asDiagonal() * x;
}

}  // namespace bench::eigen
