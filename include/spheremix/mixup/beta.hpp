// Mixing weights: n independent Beta(a, b) numbers (math/beta.hpp). Mixup draws from Beta(a, a).
//
// Takes one step of the generator; number i depends on (seed, step, i) only. Drawn in double,
// rounded to T: exact 0 and 1 do occur for small a and b (9 in 100 floats of Beta(.1, .1) are 1).
//
// Errors   std::invalid_argument: n < 0, a or b not positive and finite.
#pragma once

#include "spheremix/core/philox.hpp"
#include "spheremix/math/beta.hpp"
#include "spheremix/sphere/detail/arguments.hpp"
#include "spheremix/sphere/row_kernels.hpp"

namespace spheremix::mixup {

/// n draws into out.
template <class Out>
requires sphere::detail::Writable<Out>
void beta(Index n, double a, double b, core::Philox& rng, Out&& out) {
  core::expects(n >= 0, "beta", "n is ", n);
  core::expects(a > 0 && b > 0 && a <= core::largest<double> && b <= core::largest<double>, "beta",
                "a is ", a, " and b is ", b, ", both must be positive and finite");
  sphere::detail::OutputVector x("beta", "out", out, n, 1);
  const std::uint32_t step = rng.take_step();
  sphere::detail::over_chunks(n, 32, [&](Index, Index begin, Index end) {
    using T = std::remove_reference_t<decltype(*x.data())>;
    for (Index i = begin; i < end; ++i) {
      core::PhiloxStream stream = rng.stream(step, std::uint64_t(i));
      x.data()[i] = T(math::beta_draw(a, b, stream));
    }
  });
  x.commit();
}

template <class T>
[[nodiscard]] Vector<T> beta(Index n, double a, double b, core::Philox& rng) {
  static_assert(core::is_real<T>, "spheremix: numbers are drawn as float or double");
  Vector<T> out;
  beta(n, a, b, rng, out);
  return out;
}

}  // namespace spheremix::mixup
