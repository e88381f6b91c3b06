// SupReMix in long double from a table of distances between labels: every mixture a vector.
#pragma once

#include <cmath>

#include "spheremix/formula/sup_remix.hpp"
#include "support/loss_oracle.hpp"

namespace spheremix::test {

/// The distances of labels that are numbers.
inline LongMatrix distances_of(const Vector<double>& y) {
  LongMatrix d(y.size(), y.size());
  for (Index i = 0; i < y.size(); ++i)
    for (Index k = 0; k < y.size(); ++k) d(i, k) = std::abs(LongReal(y(i)) - LongReal(y(k)));
  return d;
}

/// lambda: the anchor's share in its mixtures with negatives. Mixtures are of rows of `parents`:
/// the same batch, or a fixed copy where they are detached.
inline LongReal remix_oracle(const LongMatrix& x, const LongMatrix& parents, const LongMatrix& d,
                             const LongMatrix& lambda, LongReal tau,
                             const losses::SupRemixOptions& o) {
  LongReal total = 0;
  Index anchors = 0;
  const Index n = x.rows();
  const LongReal reach = o.window - o.label_tolerance;  // the edge is out
  const LongReal slack = o.label_tolerance + 1e-12L;
  for (Index i = 0; i < n; ++i) {
    LongReal below = 0, top = 0;
    Index count = 0;
    const auto put = [&](const LongVector& m, LongReal w, bool positive) {
      const LongReal z = x.row(i).dot(m) / tau;
      below += w * std::exp(z);
      if (positive) ++count, top += z;
    };
    const auto mixture = [&](LongReal l, Index a, Index b) {
      const LongVector m = (l * parents.row(a) + (1 - l) * parents.row(b)).transpose();
      return o.renormalise ? LongVector(m / m.norm()) : m;
    };
    const auto weight = [&](LongReal away) -> LongReal {
      if (o.weighting == losses::RemixWeighting::none) return 1;
      return o.weighting == losses::RemixWeighting::squared ? 1 + away * away : 1 + away;
    };
    const auto parent = [&](Index k) { return d(i, k) > o.label_tolerance && d(i, k) < reach; };
    for (Index q = 0; q < n; ++q) {
      if (q == i) continue;
      const bool equal = d(i, q) <= o.label_tolerance;
      put(x.row(q).transpose(), equal ? 1 : weight(d(i, q)), equal);
      if (equal || !o.mix_negatives) continue;
      const LongReal l = lambda(i, q);
      put(mixture(l, i, q), weight((1 - l) * d(i, q)), false);
    }
    for (Index j = 0; j < n && o.mix_positives; ++j)
      for (Index k = j + 1; k < n; ++k) {
        // On either side: i lies between them.
        if (!parent(j) || !parent(k) || d(i, j) + d(i, k) > d(j, k) + slack) continue;
        put(mixture(d(i, k) / (d(i, j) + d(i, k)), j, k), 1, true);
      }
    if (count == 0) continue;
    ++anchors;
    total += std::log(below) - top / LongReal(count);
  }
  return anchors == 0 ? 0 : total / LongReal(anchors);
}

}  // namespace spheremix::test
