// V-Mix, L-Mix and VL-Mix: rows mixed with their partners' rows inside a modality, against soft
// targets.
//
//   V-Mix    v_i = geodesic mix of x_i and x_J(i), weight lambda on x_i;   z_ij = v_i . y_j / tau
//   L-Mix    t_i = geodesic mix of y_i and y_J(i), weight lambda on y_i;   z_ij = x_j . t_i / tau:
//            v_mix(Y, X, lambda)
//   VL-Mix   both, with one lambda;                                        z_ij = v_i . t_j / tau
//
//   targets  W = lambda I + (1 - lambda) J (V, L):  w_ii = lambda, w_iJ(i) = 1 - lambda
//            I (VlTargets::identity) or I + J (VlTargets::released)
//   L = (1/2n) [ sum_i sum_j w_ij (lse_j' z_ij' - z_ij) + sum_j sum_i w_ij (lse_i' z_i'j - z_ij) ]
//
// partners: J, n indices; the default is the flip J(i) = n - 1 - i (an odd n has a row that is its
// own partner: it stays as it is).
//
// Units      nats.
// Gradient   G = ((W 1) P - W + Q (1^T W) - W) / (2 n tau) over rows and columns, then through the
//            mixing (slerp's pullback); dL/dlambda of V and L includes the targets,
//            -log p_ii + log p_iJ(i) per line. A map J that is no involution, or lambda per row,
//            makes W's columns sum to other than 1: the column direction takes them as they are.
// Source     Oh et al. 2023, "Geodesic Multi-Modal Mixup for Robust Fine-Tuning", arXiv 2203.03897,
//            section 3.3.
#pragma once

#include <cstddef>

#include "spheremix/core/host_device.hpp"
#include "spheremix/formula/set_apart.hpp"
#include "spheremix/formula/targets.hpp"

namespace spheremix::losses {

/// What VL-Mix takes for the true pairs.
enum class VlTargets {
  identity,  ///< row i with row i
  released,  ///< row i with row i and with its partner's, as the authors' code has it
};

/// The weights of a row's two targets: lambda and 1 - lambda; 1 and none; 1 and 1.
enum class PartnerWeights { mixed, identity, doubled };

/// The weights where one side is mixed (v_mix, l_mix), or both (vl_mix) with these targets.
inline PartnerWeights partner_weights(bool both_sides, VlTargets targets) {
  return !both_sides                      ? PartnerWeights::mixed
         : targets == VlTargets::identity ? PartnerWeights::identity
                                          : PartnerWeights::doubled;
}

/// Options of V-Mix and of L-Mix. Partners: std::vector<Index> on the CPU (empty: flip), a pointer
/// into device memory on the device (null: flip).
template <class Partners>
struct PartnerMixOptions {
  double temperature = 0.01;                         ///< tau, > 0
  Partners partners = {};                            ///< J, a row each; empty: flip
  std::size_t memory_budget = std::size_t(1) << 30;  ///< bytes of temporary memory
  std::optional<Targets> exclude{};   ///< false negatives: pairs out of tables, mixtures
  std::vector<double> row_weights{};  ///< n, at least 0; empty: all 1
};

/// Options of VL-Mix.
template <class Partners>
struct TargetMixOptions {
  double temperature = 0.01;                         ///< tau, > 0
  VlTargets targets = VlTargets::identity;           ///< what counts as a true pair
  Partners partners = {};                            ///< J, a row each; empty: flip
  std::size_t memory_budget = std::size_t(1) << 30;  ///< bytes of temporary memory
  std::optional<Targets> exclude{};   ///< false negatives: pairs out of tables, mixtures
  std::vector<double> row_weights{};  ///< n, at least 0; empty: all 1
};

}  // namespace spheremix::losses

namespace spheremix::formula {

/// Row i finds itself and its partner, partners.to(i), as set_apart.hpp says; a row that is its own
/// partner has both weights. lambda(i) is a T.
template <class T, class Lambda, class Partners>
struct PartnerTargets {
  static constexpr Index kTargets = 2, kSlots = 2;
  losses::PartnerWeights kind;
  Lambda lambda;
  Partners partners;

  SPHEREMIX_HD bool mixed() const { return kind == losses::PartnerWeights::mixed; }
  SPHEREMIX_HD bool second(Index i) const {
    return kind != losses::PartnerWeights::identity && partners.to(i) != i;
  }
  SPHEREMIX_HD T own(Index i) const {
    if (kind == losses::PartnerWeights::identity) return 1;
    const bool alone = partners.to(i) == i;
    return mixed() ? (alone ? T(1) : lambda(i)) : (alone ? T(2) : T(1));
  }
  SPHEREMIX_HD T other(Index i) const { return !second(i) ? T(0) : mixed() ? 1 - lambda(i) : T(1); }
  SPHEREMIX_HD Index column(Index i, Index c) const {
    return c == 0 ? i : second(i) ? partners.to(i) : kAbsent;
  }
  SPHEREMIX_HD T weight(Index i, Index c) const { return c == 0 ? own(i) : other(i); }
};

}  // namespace spheremix::formula
