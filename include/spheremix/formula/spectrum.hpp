
//
// How many dimensions a batch uses, and how evenly.
//
//   sigma            singular values of X, or of X - 1 mean^T (centred)
//   effective_rank   exp H(p), H = -sum p log p, p = sigma / sum sigma (+ epsilon)
//                    centred = false, epsilon = 1e-7 on unit rows: RankMe
//   isotropy         IsoScore: 1 for equal variance along every axis, 0 for one axis alone:
//                    ((d - e^2 (d - sqrt d))^2 / d - 1) / (d - 1), with v the variances of the
//                    principal axes, w = sqrt(d) v / |v|, e = |w - 1| / sqrt(2 (d - sqrt d))
//   anisotropy       mean cosine of pairs i < j: (|sum u_i|^2 - N) / (N (N - 1)), u_i = x_i / |x_i|
//
// Source     Roy and Vetterli 2007, "The effective rank"; Garrido et al. 2023, "RankMe", arXiv
//            2210.02885; Rudman et al. 2022, "IsoScore", arXiv 2108.07344; Ethayarajh 2019, arXiv
//            1909.00512.
#pragma once

namespace spheremix::metrics {

struct SpectrumOptions {
  bool centred = false;
};

struct EffectiveRankOptions {
  double epsilon = 0;  ///< added to every share
  bool centred = false;
};

}  // namespace spheremix::metrics
