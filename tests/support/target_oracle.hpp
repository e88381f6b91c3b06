// Losses with targets in long double, from the dense table of weights: every digit of a small loss.
#pragma once

#include <cmath>
#include <vector>

#include "support/loss_oracle.hpp"

namespace spheremix::test {

/// What a call says, as dense tables.
struct DenseTargets {
  LongMatrix weight;         ///< n x m, raw
  Eigen::MatrixXi excluded;  ///< n x m, 1: out of the table; empty: none
  LongReal smoothing = 0;
  std::vector<double> row_weights;  ///< empty: 1

  bool out(Index i, Index j) const {
    return excluded.size() > 0 && excluded(i, j) == 1 && !(weight(i, j) > 0);
  }
  LongReal row_weight(Index i) const {
    return row_weights.empty() ? 1 : LongReal(row_weights[std::size_t(i)]);
  }
};

struct TargetOracle {
  LongReal loss = 0, log_temperature = 0, bias = 0;
  LongMatrix x, y, g;

  /// -sum t' log p of the rows of `s`, and with weights the mean; adds `part` of it.
  static void add_direction(const LongMatrix& s, const DenseTargets& d,
                            const std::vector<LongReal>& weight, LongReal tau, LongReal part,
                            LongReal& loss, LongMatrix& g) {
    const Index n = s.rows(), m = s.cols();
    LongReal sum = 0;
    for (Index i = 0; i < n; ++i)
      if (d.weight.row(i).sum() > 0) sum += weight[std::size_t(i)];
    for (Index i = 0; i < n; ++i) {
      const LongReal total = d.weight.row(i).sum();
      if (!(total > 0)) continue;
      const LongReal line = part * weight[std::size_t(i)] / sum;
      Index inside = 0;
      for (Index j = 0; j < m; ++j) inside += !d.out(i, j);
      for (Index j = 0; j < m; ++j) {
        if (d.out(i, j)) continue;
        const LongReal t =
            (1 - d.smoothing) * d.weight(i, j) / total + d.smoothing / LongReal(inside);
        LongReal others = 0, more = 0;  // relative to j; 1 - t
        for (Index k = 0; k < m; ++k) {
          if (k == j || d.out(i, k)) continue;
          others += std::exp((s(i, k) - s(i, j)) / tau);
          more += (1 - d.smoothing) * d.weight(i, k) / total + d.smoothing / LongReal(inside);
        }
        if (t > 0) loss += line * t * std::log1p(others);
        const LongReal p = 1 / (1 + others), rest = std::isinf(others) ? 1 : others / (1 + others);
        g(i, j) += line / tau * (more * p - t * rest);
      }
    }
  }

  /// info_nce, or clip if both.
  TargetOracle(const LongMatrix& a, const LongMatrix& b, const DenseTargets& d, LongReal tau,
               bool both) {
    const LongMatrix s = a * b.transpose();
    const Index n = s.rows(), m = s.cols();
    g = LongMatrix::Zero(n, m);
    std::vector<LongReal> rows, cols;
    for (Index i = 0; i < n; ++i) rows.push_back(d.row_weight(i));
    add_direction(s, d, rows, tau, both ? LongReal(0.5) : LongReal(1), loss, g);
    if (both) {
      DenseTargets c;
      c.weight = d.weight.transpose();
      c.excluded = d.excluded.transpose();
      c.smoothing = d.smoothing;
      for (Index j = 0; j < m; ++j) {
        LongReal w = 0, total = 0;
        for (Index i = 0; i < n; ++i)
          w += d.weight(i, j) * rows[std::size_t(i)], total += d.weight(i, j);
        cols.push_back(total > 0 ? w / total : 0);
      }
      LongMatrix h = LongMatrix::Zero(m, n);
      add_direction(s.transpose(), c, cols, tau, LongReal(0.5), loss, h);
      g += h.transpose();
    }
    finish(a, b, s);
  }

  struct Sigmoid {};
  /// siglip: P in [0, 1].
  TargetOracle(Sigmoid, const LongMatrix& a, const LongMatrix& b, const DenseTargets& d,
               LongReal tau, LongReal shift) {
    const LongMatrix s = a * b.transpose();
    const Index n = s.rows(), m = s.cols();
    g = LongMatrix::Zero(n, m);
    LongReal sum = 0;
    for (Index i = 0; i < n; ++i) sum += d.row_weight(i);
    for (Index i = 0; i < n; ++i)
      for (Index j = 0; j < m; ++j) {
        if (d.out(i, j)) continue;
        const LongReal w = d.row_weight(i) / sum, u = s(i, j) / tau + shift, p = d.weight(i, j);
        const auto softplus = [](LongReal v) {
          return v > 0 ? v + std::log1p(std::exp(-v)) : std::log1p(std::exp(v));
        };
        loss += w * (p * softplus(-u) + (1 - p) * softplus(u));
        const LongReal slope = w * ((1 - p) / (1 + std::exp(-u)) - p / (1 + std::exp(u)));
        g(i, j) = slope / tau;
        bias += slope;
      }
    finish(a, b, s);
  }

 private:
  void finish(const LongMatrix& a, const LongMatrix& b, const LongMatrix& s) {
    x = g * b;
    y = g.transpose() * a;
    log_temperature = -g.cwiseProduct(s).sum();
  }
};

}  // namespace spheremix::test
