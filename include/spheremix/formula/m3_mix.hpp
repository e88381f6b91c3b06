// m3-Mix: m2-Mix and the mixes inside each modality, to be added to the CLIP loss.
//
//   L = w_m2 m2_mix(X, Y, lambda.m2; tau_mix) + w_v v_mix(X, Y, lambda.v; tau)
//       + w_l l_mix(X, Y, lambda.l; tau) + w_vl vl_mix(X, Y, lambda.vl; tau)
//
// with m2_mix as Reduction::sum, Negatives::replace and vl_mix with identity targets. Each lambda
// is one number or one a row. A weight of 0 leaves its loss out.
//
// Gradient   the weighted sums; lambda's has the same four fields; log_temperature gathers V, L
//            and VL, log_mix_temperature m2.
// Source     Oh et al. 2023, arXiv 2203.03897, section 3.3; weights and settings: docs/formulas.md.
#pragma once

#include <cstddef>

#include "spheremix/formula/targets.hpp"

namespace spheremix::losses {

/// The four mixing weights of m3_mix, and their gradients. Each is a number or a vector with one a
/// row.
template <class M2 = double, class V = double, class L = double, class Vl = double>
struct MixLambdas {
  M2 m2{};  ///< of m2_mix
  V v{};    ///< of v_mix
  L l{};    ///< of l_mix
  Vl vl{};  ///< of vl_mix
};

/// Partners: as PartnerMixOptions.
template <class Partners>
struct M3MixOptionsOf {
  double temperature = 0.01;                         ///< tau of V, L and VL, > 0
  double mix_temperature = 0.07;                     ///< tau of m2, > 0
  double weight_m2 = 1;                              ///< of m2_mix; 0 leaves it out
  double weight_v = 1;                               ///< of v_mix; 0 leaves it out
  double weight_l = 1;                               ///< of l_mix; 0 leaves it out
  double weight_vl = 1;                              ///< of vl_mix; 0 leaves it out
  Partners partners = {};                            ///< of V, L and VL; empty: flip
  std::size_t memory_budget = std::size_t(1) << 30;  ///< bytes of temporary memory
  std::optional<Targets> exclude{};   ///< false negatives: pairs out of tables, mixtures
  std::vector<double> row_weights{};  ///< n, at least 0; empty: all 1
};

}  // namespace spheremix::losses
