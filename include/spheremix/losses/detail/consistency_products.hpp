// Sums over all pairs of squared differences of inner products, without the pairs.
//
//   d < n    the products of d x d of formula::ConsistencyParts: time linear in n
//   d >= n   K itself (n x n):  M = straight K + crossed K^T, dD = M S, dS = M^T D
//
// D is formed before any product, so nothing cancels where X is close to Y: the expanded form
// tr(X^T X X^T X) - ... loses everything there. Computed in double.
#pragma once

#include "spheremix/formula/geometric_consistency.hpp"
#include "spheremix/losses/detail/contrastive.hpp"
#include "spheremix/pairwise/dense_products.hpp"

namespace spheremix::losses::detail {

/// sum a(i) b(i) over two matrices of one shape, b transposed on demand.
inline double inner_product(MatrixView<const double> a, MatrixView<const double> b,
                            bool transposed) {
  double sum = 0;
  for (Index i = 0; i < a.rows; ++i) {
    double row = 0;
    for (Index k = 0; k < a.cols; ++k) row += a(i, k) * (transposed ? b(k, i) : b(i, k));
    sum += row;
  }
  return sum;
}

struct ConsistencyArrays {
  pairwise::DenseProducts<double> products;
  MatrixView<double> s, e;           ///< S, D: n x d
  MatrixView<double> ds{}, de{};     ///< their gradients
  MatrixView<double> p{}, q{}, r{};  ///< d < n: d x d
  MatrixView<double> k{}, m{};       ///< else: n x n

  ConsistencyArrays(Index n, Index d, bool gradients, int threads, Workspace::Frame& frame)
      : products(threads, frame),
        s(take_rows<double>(frame, n, d)),
        e(take_rows<double>(frame, n, d)) {
    if (gradients) {
      ds = take_rows<double>(frame, n, d);
      de = take_rows<double>(frame, n, d);
    }
    if (d < n) {
      for (MatrixView<double>* const square : {&p, &q, &r})
        *square = take_rows<double>(frame, d, d);
    } else {
      for (MatrixView<double>* const square : {&k, &m}) *square = take_rows<double>(frame, n, n);
    }
  }
};

/// Threads of the products: as many as the budget has memory for, and at least one.
inline int consistency_threads(Index n, Index d, bool gradients, std::size_t budget) {
  int threads = pairwise::DenseProducts<double>::threads_for(2.0 * double(n) * double(d) *
                                                             double((std::min)(n, d)));
  while (threads > 1 && core::bytes_of<ConsistencyArrays>(n, d, gradients, threads) > budget)
    --threads;
  return threads;
}

/// F of `parts`; its gradients are put into dx, dy or, with `add`, added, unless dx.data is null.
template <class T>
double consistency_on_views(MatrixView<const T> x, MatrixView<const T> y,
                            const formula::ConsistencyParts& parts, Workspace& workspace,
                            MatrixView<T> dx, MatrixView<T> dy, bool add,
                            std::size_t budget = std::size_t(-1)) {
  const Index n = x.rows, d = x.cols;
  const bool gradients = dx.data != nullptr, linear = d < n;
  const double alpha = parts.alpha, beta = parts.beta, straight = parts.straight(),
               crossed = parts.crossed();
  const int threads = consistency_threads(n, d, gradients, budget);
  Workspace::Frame frame =
      workspace.frame(core::bytes_of<ConsistencyArrays>(n, d, gradients, threads));
  ConsistencyArrays arrays(n, d, gradients, threads, frame);
  auto& [products, s, e, ds, de, p, q, r, square, m] = arrays;
  for (Index i = 0; i < n; ++i)
    for (Index k = 0; k < d; ++k) {
      s(i, k) = double(x(i, k)) + double(y(i, k));
      e(i, k) = double(x(i, k)) - double(y(i, k));
    }
  const core::Share* const share = frame.share();
  const core::OwnRows own(share, n);
  if (share && gradients) std::fill_n(ds.data, n * d, 0.0), std::fill_n(de.data, n * d, 0.0);
  const auto scaled = [](MatrixView<double> block, double factor) {
    for (Index i = 0; i < block.rows; ++i)
      for (Index k = 0; k < block.cols; ++k) block(i, k) *= factor;
  };
  double value = 0;
  if (linear) {
    products.transposed_times(p, s, s, share);
    products.transposed_times(q, e, e, share);
    value = alpha * inner_product(p, q, false);
    if (parts.crosses()) {
      products.transposed_times(r, s, e, share);
      value += beta * inner_product(r, r, true);
    }
    if (gradients) {
      scaled(p, straight);
      scaled(q, straight);
      products.times(own.of(ds), own.of(s), q, false);
      products.times(own.of(de), own.of(e), p, false);
      if (parts.crosses()) {
        scaled(r, crossed);
        products.times(own.of(ds), own.of(e), r, true);
        products.times_transposed(own.of(de), own.of(s), r, true);
      }
    }
  } else {
    products.times_transposed(own.of(square), own.of(e), s, false);
    if (share) share->gather(square.data, n, n);
    value =
        alpha * inner_product(square, square, false) + beta * inner_product(square, square, true);
    if (gradients) {
      for (Index i = own.from; i < own.to; ++i)
        for (Index j = 0; j < n; ++j) m(i, j) = straight * square(i, j) + crossed * square(j, i);
      products.times(own.of(de), own.of(m), s, false);
      if (own.count() > 0) products.transposed_times(ds, own.of(m), own.of(e), false);
    }
  }
  if (gradients)
    for (Index i = 0; i < n; ++i)
      for (Index k = 0; k < d; ++k) {
        const double gx = ds(i, k) + de(i, k), gy = ds(i, k) - de(i, k);
        dx(i, k) = T(add ? double(dx(i, k)) + gx : gx);
        dy(i, k) = T(add ? double(dy(i, k)) + gy : gy);
      }
  if (!core::leads(share)) return 0;
  return parts.each * (value < 0 ? 0 : value);  // a sum of squares: below 0 by rounding alone
}

}  // namespace spheremix::losses::detail
