// Weights of mixtures of k points: n independent draws of a symmetric Dirichlet(alpha, ..., alpha).
//
//   w_j = G_j / sum G,  G_j ~ Gamma(alpha), taken in log space: small alpha cannot underflow
//
// k = 2 is Beta(alpha, alpha) with its complement. Takes one step of the generator; row i depends
// on (seed, step, i) only. Rows are >= 0 and add up to 1 to a few eps; exact 0 and 1 occur for
// small alpha.
//
// Shapes   result: n x k.
// Errors   std::invalid_argument: n < 0, k < 1, alpha below 1e-100 or not finite.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "spheremix/core/eigen.hpp"
#include "spheremix/core/parallel.hpp"
#include "spheremix/core/philox.hpp"
#include "spheremix/math/beta.hpp"

namespace spheremix::mixup {

/// n draws of k weights into out.
template <class Out>
void dirichlet(Index n, Index k, double alpha, core::Philox& rng,
               Eigen::PlainObjectBase<Out>& out) {
  core::expects(n >= 0 && k >= 1, "dirichlet", "n is ", n, " and k is ", k);
  core::expects(alpha >= 1e-100 && alpha <= core::largest<double>, "dirichlet", "alpha is ", alpha,
                ", which must be at least 1e-100 and finite");
  core::OutputRows<Out> rows("dirichlet", "out", out.derived(), n, k);
  const std::uint32_t step = rng.take_step();
  using T = typename Out::Scalar;
  core::parallel_chunks(n, 256, [&](Index first, Index count) {
    std::vector<double> log_g(static_cast<std::size_t>(k));
    for (Index i = first; i < first + count; ++i) {
      core::PhiloxStream stream = rng.stream(step, std::uint64_t(i));
      for (double& g : log_g) g = math::log_gamma_draw(alpha, stream);
      const double top = *std::max_element(log_g.begin(), log_g.end());
      double sum = 0;
      for (double& g : log_g) sum += g = std::exp(g - top);
      for (Index j = 0; j < k; ++j) rows.view()(i, j) = T(log_g[std::size_t(j)] / sum);
    }
  });
  rows.commit();
}

template <class T>
[[nodiscard]] RowMatrix<T> dirichlet(Index n, Index k, double alpha, core::Philox& rng) {
  static_assert(core::is_real<T>, "spheremix: numbers are drawn as float or double");
  RowMatrix<T> out;
  dirichlet(n, k, alpha, rng, out);
  return out;
}

}  // namespace spheremix::mixup
