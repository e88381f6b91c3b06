// Cross entropy of logits against a mixture of two labels, or of several.
//
//   two labels   L = -(1/n) sum_i [ lambda_i log p_i(a_i) + (1 - lambda_i) log p_i(b_i) ]
//   k labels     L = -(1/n) sum_i sum_j w_ij log p_i(c_ij)         p_i = softmax of row i
//
// A logit of -infinity is a class that is absent: p = 0, no gradient.
//
// lambda is the weight of the first label. For CutMix, lambda is the share of what was kept.
//
// Gradient   dZ_ij = (r_i p_ij - w_ij) / n, r_i the sum of the row's weights;
//            dL/dlambda_i = (log p_i(b_i) - log p_i(a_i)) / n.
// Source     Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization", arXiv 1710.09412.
#pragma once

namespace spheremix::losses {}  // namespace spheremix::losses
