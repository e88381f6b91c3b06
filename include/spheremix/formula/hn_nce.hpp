// HN-NCE: CLIP with hard negatives between the modalities, HCL's weights (formula/hard_negative.hpp)
// on the rows and the columns of the table of pairs.
//
//   anchor x_i with positive a = x_i.y_i/tau and the N = n - 1 other logits b_j = x_i.y_j/tau:
//   R = N sum_j e^((1 + beta) b_j) / sum_j e^(beta b_j)
//   V = max( (R - tau_plus N e^a) / (1 - tau_plus),  N e^(-1/tau) )
//   L = (1/2n) sum_i [ log(1 + V_i e^-a_i) + log(1 + W_i e^-a_i) ]
//
// W_i: the same of anchor y_i among the x_j.
//
// beta = tau_plus = 0 is CLIP.
//
// Units      nats.
// Gradient   of an anchor as there.
// Source     Radenovic et al. 2023, "Filtering, Distillation, and Hard Negatives for Vision-Language
//            Pre-Training", arXiv 2301.02280, HN-NCE with alpha = 1; tau_plus as in HCL, 0 there.
#pragma once

#include "spheremix/formula/hard_negative.hpp"

namespace spheremix::losses {

struct HnNceOptions {
  double temperature = 0.07;                         ///< tau, > 0
  double beta = 0.25;                                ///< concentration on hard negatives
  double tau_plus = 0;                               ///< probability of a false negative
  std::size_t memory_budget = std::size_t(1) << 30;  ///< bytes of temporary memory
};

}  // namespace spheremix::losses
