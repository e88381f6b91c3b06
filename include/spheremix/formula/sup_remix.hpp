// SupReMix: supervised contrast for regression, with mixtures as harder negatives and positives.
//
//   real      every q != i: weight w(y_i - y_q); positives, |y_q - y_i| <= tolerance: weight 1
//   Mix-neg   every k of another label: m = lambda x_i + (1 - lambda) x_k,
//             weight w((1 - lambda)(y_i - y_k))
//   Mix-pos   every (j, k), y_i - g < y_j < y_i < y_k < y_i + g:
//             m = l x_j + (1 - l) x_k, l = (y_k - y_i)/(y_k - y_j): its label is y_i, weight 1
//   P_i = real positives and Mix-pos of i,  n_a = anchors that have any
//   L = (1/n_a) sum_i -(1/|P_i|) sum_{p in P_i} log e^(s_p) / sum_q w_q e^(s_q),   s = x_i.m / tau
//
// Mix-pos does not depend on the labels' unit or origin: a label within label_tolerance of the
// window's edge y_i -+ g, or within a few eps of what the labels are, is on it, and the edge is out.
// Labels with distances D of the caller's (label_distances): |y_i - y_q| is D_iq, y_i lies between
// y_j and y_k where D_ij + D_ik <= D_jk + tolerance (to 64 eps), l = D_ik / (D_ij + D_ik).
//
// w(d) is 1 + |d|, 1 + d^2 or 1 (RemixWeighting). lambda (weight of the ANCHOR): a number, an n x n
// matrix, or a core::Philox, which gives each (i, k) its own draw of Beta(beta_a, beta_b).
// Mixtures are detached (gradients reach the anchor alone) and not renormalised, unless told so.
//
// How        only S = X X^T is needed: a mixture's logit is the mixture of logits. Rows are put in
//            the order of their labels, so that Mix-pos are two ranges of a row. No n^3 d tensor.
// Gradient   c_q = (w_q e^(s_q) / sum - [q in P_i]/|P_i|) / (n_a tau): dx_i += sum c_q m_q, and to
//            a real key c_q x_i; attached mixtures pass their weights' share of c x_i to their
//            parents.
// Source     Wu et al. 2023, "Mixup Your Own Pairs", arXiv 2309.16633. Not copied from the released
//            code: labels of mixtures sorted apart from the mixtures, the first entry overwritten,
//            two maxima subtracted from one softmax.
#pragma once

#include <cstddef>

#include "spheremix/core/host_device.hpp"

namespace spheremix::losses {

/// w(d) of a difference d of labels.
enum class RemixWeighting { absolute, squared, none };

}  // namespace spheremix::losses

namespace spheremix::formula {

/// w(d).
SPHEREMIX_HD inline double remix_weight(losses::RemixWeighting weighting, double d) {
  return weighting == losses::RemixWeighting::absolute  ? 1 + (d < 0 ? -d : d)
         : weighting == losses::RemixWeighting::squared ? 1 + d * d
                                                        : 1;
}

}  // namespace spheremix::formula

namespace spheremix::losses {

struct SupRemixOptions {
  double temperature = 0.1;    ///< tau, > 0
  double window = 1;           ///< g: parents of Mix-pos lie this close to the anchor's label
  double label_tolerance = 0;  ///< labels this close count as equal
  double beta_a = 2;           ///< Mix-neg: lambda of the anchor ~ Beta(beta_a, beta_b)
  double beta_b = 8;           ///< the other parameter of that Beta
  RemixWeighting weighting = RemixWeighting::absolute;  ///< w(d): 1 + |d|, 1 + d^2 or 1
  bool mix_negatives = true;                            ///< false: no Mix-neg
  bool mix_positives = true;                            ///< false: no Mix-pos
  bool detach = true;                                ///< mixtures pass no gradient to their parents
  bool renormalise = false;                          ///< mixtures are brought back to length 1
  std::size_t memory_budget = std::size_t(1) << 30;  ///< bytes of temporary memory

  /// Weight of a key whose label is d away.
  SPHEREMIX_HD double weigh(double d) const { return formula::remix_weight(weighting, d); }
};

}  // namespace spheremix::losses
