// The softmax of one line of logits z, a row or a column, with a few entries c set apart: the
// targets, which carry weights w_c >= 0.
//
//   M = the largest logit,  e_c = e^(z_c - M),  R = sum over the line of e^(z - M)
//   p_c = e_c / R,  r = sum_c w_c
//
//   loss       sum_c w_c (M - z_c + log R)
//   dL/dz_c    r p_c - w_c = (r - w_c) p_c - w_c (1 - p_c)
//   dL/dz      r p of every other entry                     dL/dw_c = M - z_c + log R
//
// The entry at M is never part of a sum: log R = log1p(others) and 1 - p_c = others / R for it, so
// a line that one entry dominates keeps all its digits.
// [the softmax cross entropy; every loss of CLIP's kind is a case]
#pragma once

#include <cmath>

#include "spheremix/core/constants.hpp"
#include "spheremix/core/host_device.hpp"

namespace spheremix::formula {

template <class T>
struct SoftmaxLine {
  T others;    ///< sum of e^(z - M), without the 1 of an entry set apart that lies at M
  bool apart;  ///< is there such an entry?

  SPHEREMIX_HD T total() const { return apart ? 1 + others : others; }
  SPHEREMIX_HD T log_total() const { return apart ? std::log1p(others) : std::log(others); }

  /// 1 - p of an entry; `best`: the one at M that `others` leaves out.
  SPHEREMIX_HD T rest(bool best, T e) const { return (best ? others : total() - e) / total(); }
  /// -log p in nats of an entry that lies `below` = M - z nats under the largest.
  SPHEREMIX_HD T surprise(T below) const { return below + log_total(); }
  /// dL/dz of an entry of weight w.
  SPHEREMIX_HD T slope(bool best, T e, T w, T r) const {
    return (r - w) * (e / total()) - w * rest(best, e);
  }
};

/// The entries set apart of a line, one after another: raise() with each, then add() with each. k: any
/// number that tells them apart.
template <class T>
struct ApartEntries {
  T top;              ///< at first the largest logit of the rest of the line, then M
  Index best = -1;    ///< the entry at M, or -1
  double others = 0;  ///< sum of e_c of all but the best
  double weight = 0;  ///< sum of w_c

  void raise(Index k, T z) {
    if (z >= top) top = z, best = k;
  }
  void add(Index k, T z) {
    if (k != best) others += exponential(z);
  }
  double exponential(T z) const { return std::exp(double(z) - double(top)); }
  /// With the rest's largest logit and sum.
  SoftmaxLine<double> softmax(T largest, double sum) const {
    return {(sum > 0 ? sum * exponential(largest) : 0) + others, best >= 0};
  }
};

/// (max, sum) of two disjoint sets from (max, sum) of each.
template <class T>
SPHEREMIX_HD void merge_softmax(T& top, double& sum, T other_top, double other_sum) {
  if (!(other_top > -core::infinity<T>)) return;
  if (!(top > -core::infinity<T>)) {
    top = other_top;
    sum = other_sum;
  } else if (other_top > top) {
    sum = other_sum + sum * std::exp(double(top) - double(other_top));
    top = other_top;
  } else {
    sum += other_sum * std::exp(double(other_top) - double(top));
  }
}

}  // namespace spheremix::formula
