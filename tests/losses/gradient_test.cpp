// Every contrastive loss against its long-double reference: value, and gradients in every
// component.
#include <doctest/doctest.h>

#include "spheremix/losses/clip.hpp"
#include "spheremix/losses/clip_m2_mix.hpp"
#include "spheremix/losses/info_nce.hpp"
#include "spheremix/losses/l_mix.hpp"
#include "spheremix/losses/m3_mix.hpp"
#include "spheremix/losses/v_mix.hpp"
#include "spheremix/losses/vl_mix.hpp"
#include "support/loss_oracle.hpp"

using namespace spheremix;
using namespace spheremix::losses;
using namespace spheremix::test;

namespace {

/// Differences hold about 1e-12 of a gradient of scale 1/tau; f32 its own rounding times the
/// largest logit.
template <class T>
double tolerance(double tau) {
  return sizeof(T) == 8 ? 2e-10 : 64 * double(core::epsilon<T>) * std::max(1.0, 1 / tau);
}

template <class T>
struct Batch {
  RowMatrix<T> x, y;
  LongMatrix long_x, long_y;

  Batch(Index n, Index d, std::uint32_t seed)
      : x(unit_rows<T>(n, d, seed)), y(unit_rows<T>(n, d, seed + 1)) {
    widen();
  }
  void widen() {
    long_x = x.template cast<LongReal>();
    long_y = y.template cast<LongReal>();
  }
};

/// Checks loss, dX, dY and dL/dln(tau) of `got` against f(x, y, tau).
template <class T, class Got, class F>
void check(const char* name, const Batch<T>& b, double tau, const Got& got, const F& f) {
  CAPTURE(name);
  CAPTURE(b.x.rows());
  CAPTURE(tau);
  const double within = tolerance<T>(tau);
  const LongReal want = f(b.long_x, b.long_y, LongReal(tau));
  CHECK(std::abs(got.loss - double(want)) <= within * std::max(1.0, double(want)));
  const LongMatrix dx =
      differences([&](const LongMatrix& x) { return f(x, b.long_y, LongReal(tau)); }, b.long_x);
  const LongMatrix dy =
      differences([&](const LongMatrix& y) { return f(b.long_x, y, LongReal(tau)); }, b.long_y);
  CHECK(gradient_error(got.x, dx) <= within);
  CHECK(gradient_error(got.y, dy) <= within);
  const LongReal dt =
      slope([&](LongReal h) { return f(b.long_x, b.long_y, LongReal(tau) * std::exp(h)); });
  CHECK(std::abs(got.log_temperature - double(dt)) <= within * std::max(1.0, std::abs(double(dt))));
}

template <class T>
void check_lambda(const char* name, double tau, const Vector<T>& got, const LongVector& lambda,
                  const std::function<LongReal(const LongVector&)>& f) {
  CAPTURE(name);
  for (Index i = 0; i < lambda.size(); ++i) {
    CAPTURE(i);
    const LongReal want = slope([&](LongReal h) {
      LongVector moved = lambda;
      moved(i) += h;
      return f(moved);
    });
    CHECK(std::abs(double(got(i)) - double(want)) <=
          4 * tolerance<T>(tau) * std::max(1.0, std::abs(double(want))));
  }
}

template <class T>
Vector<T> lambdas(Index n) {
  Vector<T> l(n);
  for (Index i = 0; i < n; ++i) l(i) = T(0.1) + T(0.75) * T(i % 7) / 7;
  return l;
}

}  // namespace

TEST_CASE_TEMPLATE("info_nce and clip equal their references with gradients", T, float, double) {
  for (const double tau : {1.0, 0.07, 0.02})
    for (const auto& [n, d] : {std::pair<Index, Index>{2, 3}, {5, 4}, {9, 2}, {7, 1}}) {
      const Batch<T> b(n, d, std::uint32_t(17 * n));
      check("info_nce", b, tau, info_nce_with_gradient(b.x, b.y, {.temperature = tau}),
            info_nce_oracle);
      check("clip", b, tau, clip_with_gradient(b.x, b.y, {.temperature = tau}), clip_oracle);
      CHECK(info_nce(b.x, b.y, {.temperature = tau}) ==
            info_nce_with_gradient(b.x, b.y, {.temperature = tau}).loss);
      CHECK(clip(b.x, b.y, {.temperature = tau}) ==
            clip_with_gradient(b.x, b.y, {.temperature = tau}).loss);
    }
}

TEST_CASE_TEMPLATE("m2_mix equals its reference with gradients, both negatives, both reductions", T,
                   float, double) {
  for (const double tau : {1.0, 0.1})
    for (const Index n : {2, 5, 8})
      for (const auto negatives : {Negatives::replace, Negatives::append}) {
        const Batch<T> b(n, 6, std::uint32_t(3 * n));
        const Vector<T> lambda = lambdas<T>(n);
        const LongVector wide = lambda.template cast<LongReal>();
        const bool append = negatives == Negatives::append;
        const auto f = [&](const LongMatrix& x, const LongMatrix& y, LongReal t) {
          return m2_oracle(x, y, wide, t, append);
        };
        const auto got =
            m2_mix_with_gradient(b.x, b.y, lambda, {.temperature = tau, .negatives = negatives});
        check(append ? "m2_mix append" : "m2_mix", b, tau, got, f);
        check_lambda<T>("m2_mix", tau, got.lambda, wide, [&](const LongVector& l) {
          return m2_oracle(b.long_x, b.long_y, l, LongReal(tau), append);
        });
        CHECK(m2_mix(b.x, b.y, lambda, {.temperature = tau, .negatives = negatives}) == got.loss);
        const auto mean = m2_mix_with_gradient(
            b.x, b.y, lambda,
            {.temperature = tau, .reduction = Reduction::mean, .negatives = negatives});
        CHECK(std::abs(2 * mean.loss - got.loss) <= 1e-15 * std::abs(got.loss));
        CHECK(matrix_error(RowMatrix<T>(2 * mean.x), got.x) <= 4 * double(core::epsilon<T>));
      }
}

TEST_CASE_TEMPLATE("v_mix, l_mix and vl_mix equal their references with gradients", T, float,
                   double) {
  const std::vector<Index> no_involution{2, 0, 1, 4, 3}, many_to_one{0, 0, 0, 1, 1};
  for (const double tau : {1.0, 0.1})
    for (const auto& partners : {std::vector<Index>{}, no_involution, many_to_one}) {
      const Index n = 5;
      const Batch<T> b(n, 6, 41);
      const Vector<T> lambda = lambdas<T>(n);
      const LongVector wide = lambda.template cast<LongReal>();
      const std::vector<Index> map = partners.empty() ? flip(n) : partners;

      const auto v =
          v_mix_with_gradient(b.x, b.y, lambda, {.temperature = tau, .partners = partners});
      const auto v_reference = [&](const LongMatrix& x, const LongMatrix& y, LongReal t) {
        return v_oracle(x, y, wide, map, t);
      };
      check("v_mix", b, tau, v, v_reference);
      check_lambda<T>("v_mix", tau, v.lambda, wide, [&](const LongVector& l) {
        return v_oracle(b.long_x, b.long_y, l, map, LongReal(tau));
      });

      const auto l =
          l_mix_with_gradient(b.x, b.y, lambda, {.temperature = tau, .partners = partners});
      check("l_mix", b, tau, l, [&](const LongMatrix& x, const LongMatrix& y, LongReal t) {
        return v_oracle(y, x, wide, map, t);
      });

      for (const auto targets : {VlTargets::identity, VlTargets::released}) {
        const bool released = targets == VlTargets::released;
        const auto vl = vl_mix_with_gradient(
            b.x, b.y, lambda, {.temperature = tau, .targets = targets, .partners = partners});
        check("vl_mix", b, tau, vl, [&](const LongMatrix& x, const LongMatrix& y, LongReal t) {
          return vl_oracle(x, y, wide, map, t, released);
        });
        check_lambda<T>("vl_mix", tau, vl.lambda, wide, [&](const LongVector& l2) {
          return vl_oracle(b.long_x, b.long_y, l2, map, LongReal(tau), released);
        });
        CHECK(vl_mix(b.x, b.y, lambda,
                     {.temperature = tau, .targets = targets, .partners = partners}) == vl.loss);
      }
      CHECK(v_mix(b.x, b.y, lambda, {.temperature = tau, .partners = partners}) == v.loss);
      CHECK(l_mix(b.x, b.y, lambda, {.temperature = tau, .partners = partners}) == l.loss);
    }
}

TEST_CASE_TEMPLATE("clip_m2_mix and m3_mix are the weighted sums of their parts", T, float,
                   double) {
  const Batch<T> b(6, 5, 77);
  const Vector<T> lambda = lambdas<T>(6);
  const double close = 32 * double(core::epsilon<T>);
  for (const auto negatives : {Negatives::replace, Negatives::append})
    for (const auto reduction : {Reduction::sum, Reduction::mean}) {
      const auto both = clip_m2_mix_with_gradient(b.x, b.y, lambda,
                                                  {.temperature = 0.2,
                                                   .mix_temperature = 0.3,
                                                   .weight = 0.7,
                                                   .reduction = reduction,
                                                   .negatives = negatives});
      const auto c = clip_with_gradient(b.x, b.y, {.temperature = 0.2});
      const auto m = m2_mix_with_gradient(
          b.x, b.y, lambda, {.temperature = 0.3, .reduction = reduction, .negatives = negatives});
      CHECK(relative_error(both.loss, c.loss + 0.7 * m.loss) < 1e-14 + close);
      CHECK(matrix_error(both.x, RowMatrix<T>(c.x + T(0.7) * m.x)) < close);
      CHECK(matrix_error(both.y, RowMatrix<T>(c.y + T(0.7) * m.y)) < close);
      CHECK(matrix_error(both.lambda, Vector<T>(T(0.7) * m.lambda)) < close);
      CHECK(relative_error(both.log_temperature, c.log_temperature) < close);
      CHECK(relative_error(both.log_mix_temperature, 0.7 * m.log_temperature) < close);
    }

  const std::vector<Index> partners{1, 2, 3, 4, 5, 0};
  const auto m3 =
      m3_mix_with_gradient(b.x, b.y, MixLambdas{0.3, lambda, 0.6, Vector<T>(lambda.reverse())},
                           {.temperature = 0.2,
                            .mix_temperature = 0.3,
                            .weight_m2 = 0.5,
                            .weight_v = 0.6,
                            .weight_l = 0.7,
                            .weight_vl = 0.8,
                            .partners = partners});
  const auto m2 = m2_mix_with_gradient(b.x, b.y, 0.3, {.temperature = 0.3});
  const auto v = v_mix_with_gradient(b.x, b.y, lambda, {.temperature = 0.2, .partners = partners});
  const auto l = l_mix_with_gradient(b.x, b.y, 0.6, {.temperature = 0.2, .partners = partners});
  const auto vl = vl_mix_with_gradient(b.x, b.y, Vector<T>(lambda.reverse()),
                                       {.temperature = 0.2, .partners = partners});
  CHECK(relative_error(m3.loss, .5 * m2.loss + .6 * v.loss + .7 * l.loss + .8 * vl.loss) <
        1e-14 + close);
  CHECK(matrix_error(m3.x, RowMatrix<T>(T(.5) * m2.x + T(.6) * v.x + T(.7) * l.x + T(.8) * vl.x)) <
        close);
  CHECK(matrix_error(m3.y, RowMatrix<T>(T(.5) * m2.y + T(.6) * v.y + T(.7) * l.y + T(.8) * vl.y)) <
        close);
  CHECK(relative_error(m3.lambda.m2, .5 * m2.lambda) < close);
  CHECK(matrix_error(m3.lambda.v, Vector<T>(T(.6) * v.lambda)) < close);
  CHECK(relative_error(m3.lambda.l, .7 * l.lambda) < close);
  CHECK(matrix_error(m3.lambda.vl, Vector<T>(T(.8) * vl.lambda)) < close);
  CHECK(relative_error(m3.log_temperature, .6 * v.log_temperature + .7 * l.log_temperature +
                                               .8 * vl.log_temperature) < close);
  CHECK(relative_error(m3.log_mix_temperature, .5 * m2.log_temperature) < close);

  const auto none =
      m3_mix_with_gradient(b.x, b.y, MixLambdas{0.3, 0.3, 0.3, 0.3},
                           {.weight_m2 = 0, .weight_v = 0, .weight_l = 0, .weight_vl = 0});
  CHECK(none.loss == 0);
  CHECK(none.x.isZero(0));
  CHECK(none.y.isZero(0));
}

TEST_CASE_TEMPLATE("identities of the mixing losses", T, float, double) {
  const Index n = 9;
  const Batch<T> b(n, 8, 5);
  const double close = 64 * double(core::epsilon<T>);
  // lambda = 0: the mixed keys are Y itself, so the image direction is InfoNCE of the pairs.
  const double image = info_nce(b.x, b.y, {.temperature = 0.2});
  const RowMatrix<T> x = b.x, y = b.y;
  const double m2_at_0 = m2_mix(x, y, 0.0, {.temperature = 0.2});
  const double text_at_0 = double(m2_oracle(b.long_x, b.long_y, LongVector::Zero(n), 0.2L, false)) -
                           double(info_nce_oracle(b.long_x, b.long_y, 0.2L));
  CHECK(relative_error(m2_at_0 - text_at_0, image) < close);
  // lambda = 1 in V-Mix and L-Mix: nothing is mixed, CLIP is left.
  const double plain = clip(x, y, {.temperature = 0.2});
  CHECK(relative_error(v_mix(x, y, 1.0, {.temperature = 0.2}), plain) < close);
  CHECK(relative_error(l_mix(x, y, 1.0, {.temperature = 0.2}), plain) < close);
  CHECK(relative_error(vl_mix(x, y, 1.0, {.temperature = 0.2}), plain) < close);
  // A scalar lambda's gradient is the sum of the rows'.
  const auto one = m2_mix_with_gradient(x, y, 0.4, {});
  const auto each = m2_mix_with_gradient(x, y, Vector<T>::Constant(n, T(0.4)), {});
  CHECK(same_bits(one.x, each.x));
  CHECK(relative_error(one.lambda, double(each.lambda.template cast<double>().sum())) < 1e-5);
  // Exchanging the modalities: m2 with 1 - lambda, L-Mix is V-Mix.
  CHECK(relative_error(m2_mix(x, y, 0.25), m2_mix(y, x, 0.75)) < close);
  CHECK(l_mix(x, y, 0.25) == v_mix(y, x, 0.25));
}
