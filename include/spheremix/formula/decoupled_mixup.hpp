// Decoupled mixup: cross entropy of mixed labels plus a regulariser in which the other mixed class
// leaves the denominator, so that each is told from the rest with confidence whatever lambda is.
//
//   R     = log sum over classes c outside {a, b} of e^z_c
//   CE    L = mixup_cross_entropy + eta (1/n) sum_i [ wa softplus(R - z_a) + wb softplus(R - z_b) ]
//           (softplus(R - z_a) = -log e^z_a / sum_{c != b} e^z_c)
//   BCE   L = (1/n) sum_i sum_c [ softplus(z_c) - t_c z_c ],   t = wa e_a + wb e_b
//
// wa, wb   by DecoupledWeighting: 1 | lambda of the class |
//          h(lambda) = min(1, (lambda / threshold)^power).
//          DecoupledDirection keeps both, the class of the smaller lambda (minority), of the larger
//          one (majority; of equal ones the majority is the first, the minority the last), or a's
//          alone (labelled: a is the labelled sample's class, the asymmetric strategy of
//          semi-supervised training). What is dropped has weight 0.
//
// k labels: the set S in place of {a, b}, sum over S of w_c softplus(R_S - z_c); the minority then
// is the least weight, the majority the largest. A label of weight 0 is not in the set (lambda 0 or
// 1, the padding of k labels). One label alone (a = b, or k equal ones): nothing is mixed, plain
// cross entropy (BCE: target h(1)). As many classes as labels: the regulariser is
// exactly 0.
//
// Gradient   dz_a = -wa sigmoid(R - z_a),
//            dz_c = softmax_rest(c) (wa sigmoid(R - z_a) + wb sigmoid(R - z_b)):
//            no z_a, z_b cross term. Weights are differentiated in lambda, the choice of direction
//            is not.
// Source     Liu et al. 2022, "Harnessing Hard Mixed Samples with Decoupled Regularizer", arXiv
//            2203.10761, equations 5 to 8; the rescaling is openmixup's.
#pragma once

#include <cmath>

#include "spheremix/core/host_device.hpp"

namespace spheremix::losses {

/// DM(CE) or DM(BCE).
enum class DecoupledForm { cross_entropy, binary };

/// What a mixed class's part of the regulariser weighs.
enum class DecoupledWeighting { constant, lambda, rescaled };

/// Which of the mixed classes keep their part of the regulariser.
enum class DecoupledDirection { both, minority, majority, labelled };

struct DecoupledMixupOptions {
  double weight = 0.1;   ///< eta of the regulariser; not used by the binary form
  double threshold = 1;  ///< xi: from here on h is 1
  double power = 1;      ///< t of h
  DecoupledForm form = DecoupledForm::cross_entropy;            ///< of the loss: CE or BCE
  DecoupledWeighting weighting = DecoupledWeighting::constant;  ///< wa, wb: 1, lambda or h(lambda)
  DecoupledDirection direction = DecoupledDirection::both;  ///< which mixed classes keep their part
};

}  // namespace spheremix::losses

namespace spheremix::formula {

/// A label's weight in the decoupled term, and its derivative in the label's own weight.
struct DecoupledWeight {
  double value, slope;
};

/// Of a label with weight lambda that the direction keeps.
SPHEREMIX_HD inline DecoupledWeight decoupled_weight(const losses::DecoupledMixupOptions& o,
                                                     double lambda) {
  if (o.weighting == losses::DecoupledWeighting::constant) return {1, 0};
  if (o.weighting == losses::DecoupledWeighting::lambda) return {lambda, 1};
  if (lambda >= o.threshold || o.power == 0) return {1, 0};
  const double h = std::pow(lambda / o.threshold, o.power);
  return {h, o.power == 1 ? 1 / o.threshold : lambda > 0 ? o.power * h / lambda : 0};
}

/// Does the direction keep label c, which is in the set? Labels: count(), weight(c), and first(c),
/// false where c repeats an earlier label or has no weight.
template <class Labels>
SPHEREMIX_HD bool decoupled_keeps(const losses::DecoupledMixupOptions& o, const Labels& labels,
                                  int c) {
  const bool most = o.direction == losses::DecoupledDirection::majority;
  // Of equal weights the first is the majority, the last the minority.
  int different = 0, chosen = -1;
  double best = 0;
  for (int e = 0; e < labels.count(); ++e) {
    if (!labels.first(e)) continue;
    ++different;
    const double w = labels.weight(e);
    if (chosen < 0 || (most ? w > best : w <= best)) chosen = e, best = w;
  }
  if (o.direction == losses::DecoupledDirection::both || different == 1) return true;
  return c == (o.direction == losses::DecoupledDirection::labelled ? 0 : chosen);
}

}  // namespace spheremix::formula
