// Mixup cross entropy and decoupled mixup against the formulas as the paper writes them: quotients
// of exponentials in long double.
#include "spheremix/losses/decoupled_mixup.hpp"

#include "support/many_inputs.hpp"

using namespace spheremix;
using namespace spheremix::losses;
using namespace spheremix::test;

namespace {

using Labels = std::vector<Index>;

/// -log e^z_c / sum over j not in `without` of e^z_j.
LongReal surprise(const LongMatrix& z, Index i, Index c, const Labels& without) {
  LongReal below = 0;
  for (Index j = 0; j < z.cols(); ++j)
    if (std::find(without.begin(), without.end(), j) == without.end()) below += std::exp(z(i, j));
  return -std::log(std::exp(z(i, c)) / below);
}

LongReal h(const DecoupledMixupOptions& o, LongReal lambda) {
  if (o.weighting == DecoupledWeighting::constant) return 1;
  if (o.weighting == DecoupledWeighting::lambda) return lambda;
  return lambda >= LongReal(o.threshold)
             ? 1
             : std::pow(lambda / LongReal(o.threshold), LongReal(o.power));
}

LongReal oracle(const LongMatrix& z, const Labels& a, const Labels& b, const LongVector& lambda,
                const DecoupledMixupOptions& o) {
  LongReal loss = 0;
  for (Index i = 0; i < z.rows(); ++i) {
    const Index p = a[std::size_t(i)], q = b[std::size_t(i)];
    const LongReal l = lambda(i);
    bool keep_a = true, keep_b = true;
    if (o.direction == DecoupledDirection::labelled) keep_b = false;
    if (o.direction == DecoupledDirection::majority) keep_a = l >= 0.5L, keep_b = !keep_a;
    if (o.direction == DecoupledDirection::minority) keep_b = l >= 0.5L, keep_a = !keep_b;
    if (o.form == DecoupledForm::binary) {
      LongVector t = LongVector::Zero(z.cols());
      if (p == q) {
        t(p) = h(o, 1);
      } else {
        if (keep_a) t(p) = h(o, l);
        if (keep_b) t(q) = h(o, 1 - l);
      }
      for (Index j = 0; j < z.cols(); ++j) {
        const LongReal s = 1 / (1 + std::exp(-z(i, j)));
        loss -= t(j) * std::log(s) + (1 - t(j)) * std::log(1 - s);
      }
      continue;
    }
    loss += l * surprise(z, i, p, {}) + (1 - l) * surprise(z, i, q, {});
    if (p == q) continue;
    if (keep_a) loss += LongReal(o.weight) * h(o, l) * surprise(z, i, p, {q});
    if (keep_b) loss += LongReal(o.weight) * h(o, 1 - l) * surprise(z, i, q, {p});
  }
  return loss / LongReal(z.rows());
}

template <class T>
double within() {
  return sizeof(T) == 8 ? 1e-10 : 1e-5;
}

}  // namespace

TEST_CASE_TEMPLATE("decoupled_mixup equals its formula, every form, weighting and direction", T,
                   float, double) {
  const Index n = 6, classes = 5;
  const RowMatrix<T> z = T(2) * gaussian_rows<T>(n, classes, 3);
  const Labels a{0, 1, 2, 3, 4, 2}, b{1, 0, 4, 3, 0, 1};  // row 3: one label
  Vector<T> lambda(n);
  lambda << T(0.3), T(0.8), T(0.45), T(0.6), T(0.97), T(0.55);
  for (const auto form : {DecoupledForm::cross_entropy, DecoupledForm::binary})
    for (const auto weighting :
         {DecoupledWeighting::constant, DecoupledWeighting::lambda, DecoupledWeighting::rescaled})
      for (const auto direction : {DecoupledDirection::both, DecoupledDirection::minority,
                                   DecoupledDirection::majority, DecoupledDirection::labelled}) {
        CAPTURE(int(form));
        CAPTURE(int(weighting));
        CAPTURE(int(direction));
        const DecoupledMixupOptions o{.weight = 0.4,
                                      .threshold = 0.8,
                                      .power = 1.7,
                                      .form = form,
                                      .weighting = weighting,
                                      .direction = direction};
        const auto got = decoupled_mixup_with_gradient(z, a, b, lambda, o);
        const LongVector wide = lambda.template cast<LongReal>();
        check_loss_of_batches(
            "dm", [&](const LongBatches& in) { return oracle(in[0], a, b, wide, o); }, widened(z),
            got.loss, widened(got.logits), within<T>());
        CHECK(decoupled_mixup(z, a, b, lambda, o) == got.loss);
        const LongMatrix zl = z.template cast<LongReal>();
        for (Index i = 0; i < n; ++i) {
          if (wide(i) == LongReal(T(0.8)) || i == 3) continue;  // the kink of h; one label
          const LongReal want = slope([&](LongReal step) {
            LongVector moved = wide;
            moved(i) += step;
            return oracle(zl, a, b, moved, o);
          });
          CHECK(std::abs(double(got.lambda(i)) - double(want)) <= 10 * within<T>());
        }
        CHECK(got.lambda(3) == 0);
      }
}

TEST_CASE_TEMPLATE("decoupled_mixup: identities", T, float, double) {
  const Index n = 5;
  const RowMatrix<T> z = gaussian_rows<T>(n, 6, 9);
  const Labels a{0, 1, 2, 3, 4}, b{5, 4, 3, 2, 1};
  const double eps = 16 * double(core::epsilon<T>);
  // Two classes: nothing is left of the denominator, the regulariser is exactly 0.
  const RowMatrix<T> two = z.leftCols(2);
  const Labels a2{0, 1, 0, 1, 0}, b2{1, 0, 1, 0, 1};
  CHECK(decoupled_mixup(two, a2, b2, 0.3, {.weight = 5}) == mixup_cross_entropy(two, a2, b2, 0.3));
  CHECK(same_bits(decoupled_mixup_with_gradient(two, a2, b2, 0.3, {.weight = 5}).logits,
                  mixup_cross_entropy_with_gradient(two, a2, b2, 0.3).logits));
  // One label: plain cross entropy, whatever eta and lambda.
  CHECK(decoupled_mixup(z, a, a, 0.3, {.weight = 9}) == mixup_cross_entropy(z, a, a, 1.0));
  // lambda = 1/2 is nothing special: continuous there, and the two directions add up to both.
  for (const double l : {0.5, 0.25}) {
    const double base = mixup_cross_entropy(z, a, b, l);
    const double both = decoupled_mixup(z, a, b, l, {.weight = 1}) - base;
    double parts = 0;
    for (const auto d : {DecoupledDirection::minority, DecoupledDirection::majority})
      parts += decoupled_mixup(z, a, b, l, {.weight = 1, .direction = d}) - base;
    CHECK(relative_error(parts, both) < eps);
  }
  CHECK(std::abs(decoupled_mixup(z, a, b, 0.5) - decoupled_mixup(z, a, b, 0.5 + 1e-6)) < 1e-4);
  // The order of a and b is no matter, with lambda turned round.
  CHECK(relative_error(decoupled_mixup(z, a, b, 0.25), decoupled_mixup(z, b, a, 0.75)) < eps);
  // h with threshold 1 and power 1 is lambda itself.
  CHECK(decoupled_mixup(z, a, b, 0.3, {.weighting = DecoupledWeighting::rescaled}) ==
        decoupled_mixup(z, a, b, 0.3, {.weighting = DecoupledWeighting::lambda}));
  // No cross term of z_a and z_b in the regulariser's gradient.
  const auto pull = [&](const RowMatrix<T>& logits) {
    return double(decoupled_mixup_with_gradient(logits, a, b, 0.3, {.weight = 1e6}).logits(0, 0)) /
           1e6;
  };
  RowMatrix<T> moved = z;
  moved(0, 5) += T(0.5);
  CHECK(std::abs(pull(moved) - pull(z)) < 1e-5);
}

TEST_CASE_TEMPLATE("decoupled_mixup of k labels: the pair is a case, equal labels are added", T,
                   float, double) {
  const Index n = 4, classes = 6;
  const RowMatrix<T> z = gaussian_rows<T>(n, classes, 5);
  const Labels a{0, 1, 2, 3}, b{5, 4, 0, 1};
  LabelMatrix pairs(n, 2), triples(n, 3);
  RowMatrix<T> w2(n, 2), w3(n, 3);
  for (Index i = 0; i < n; ++i) {
    pairs.row(i) << a[std::size_t(i)], b[std::size_t(i)];
    w2.row(i) << T(0.25), T(0.75);
    triples.row(i) << a[std::size_t(i)], b[std::size_t(i)], a[std::size_t(i)];
    w3.row(i) << T(0.125), T(0.75), T(0.125);
  }
  for (const auto form : {DecoupledForm::cross_entropy, DecoupledForm::binary}) {
    const DecoupledMixupOptions o{.form = form, .weighting = DecoupledWeighting::lambda};
    const auto two = decoupled_mixup_with_gradient(z, a, b, 0.25, o);
    const auto k = decoupled_mixup_k_with_gradient(z, pairs, w2, o);
    CHECK(two.loss == k.loss);
    CHECK(same_bits(two.logits, k.logits));
    CHECK(decoupled_mixup_k(z, triples, w3, o) == k.loss);
  }
  // Three distinct labels: sum over S of softplus(R_S - z_c).
  triples.col(2) << 3, 0, 5, 4;
  w3.col(2).setConstant(T(0.5));  // weights are used as they are: these add up to more than 1
  const auto got = decoupled_mixup_k_with_gradient(z, triples, w3, {.weight = 0.7});
  check_loss_of_batches(
      "k",
      [&](const LongBatches& in) {
        LongReal loss = 0;
        for (Index i = 0; i < n; ++i)
          for (Index c = 0; c < 3; ++c) {
            Labels others;
            for (Index o = 0; o < 3; ++o)
              if (o != c) others.push_back(triples(i, o));
            loss += LongReal(w3(i, c)) * surprise(in[0], i, triples(i, c), {}) +
                    0.7L * surprise(in[0], i, triples(i, c), others);
          }
        return loss / LongReal(n);
      },
      widened(z), got.loss, widened(got.logits), within<T>());
  CHECK(mixup_cross_entropy_k(z, pairs, w2) == mixup_cross_entropy(z, a, b, 0.25));
}

TEST_CASE_TEMPLATE("decoupled_mixup: a label of weight 0 is not in the set", T, float, double) {
  const Index n = 40, classes = 6;
  const RowMatrix<T> z = gaussian_rows<T>(n, classes, 5);
  Labels a, b;
  for (Index i = 0; i < n; ++i) a.push_back(i % classes), b.push_back((i * 5 + 2) % classes);
  for (const auto direction : {DecoupledDirection::both, DecoupledDirection::minority,
                               DecoupledDirection::majority, DecoupledDirection::labelled})
    for (const auto weighting :
         {DecoupledWeighting::constant, DecoupledWeighting::lambda, DecoupledWeighting::rescaled})
      for (const auto form : {DecoupledForm::cross_entropy, DecoupledForm::binary}) {
        const DecoupledMixupOptions o{0.5, 0.8, 1, form, weighting, direction};
        for (const T lambda : {T(0), T(1)}) {
          const Labels& there = lambda == 1 ? a : b;
          const auto got = decoupled_mixup_with_gradient(z, a, b, lambda, o);
          const auto want = decoupled_mixup_with_gradient(z, there, there, T(1), o);
          CHECK(std::abs(got.loss - want.loss) <= within<T>() * want.loss);
          CHECK((got.logits - want.logits).norm() <= within<T>() * want.logits.norm());
          if (form == DecoupledForm::cross_entropy)
            CHECK(got.lambda == mixup_cross_entropy_with_gradient(z, a, b, lambda).lambda);
        }
        LabelMatrix pair(n, 2), padded(n, 4);  // the padding is a label of its own, or one again
        RowMatrix<T> w(n, 2), more(n, 4);
        for (Index i = 0; i < n; ++i) {
          pair.row(i) << a[std::size_t(i)], b[std::size_t(i)];
          w.row(i) << T(0.625), T(0.375);
          padded.row(i) << i % 3, a[std::size_t(i)], b[std::size_t(i)], 5;
          more.row(i) << 0, T(0.625), T(0.375), 0;
        }
        DecoupledMixupOptions k = o;
        if (direction == DecoupledDirection::labelled) k.direction = DecoupledDirection::both;
        CHECK(decoupled_mixup_k(z, padded, more, k) == decoupled_mixup_k(z, pair, w, k));
        const auto got = decoupled_mixup_k_with_gradient(z, padded, more, k);
        const auto want = decoupled_mixup_k_with_gradient(z, pair, w, k);
        CHECK(got.logits == want.logits);
      }
}

TEST_CASE_TEMPLATE("an absent class, a logit of -infinity: the rows without its column", T, float,
                   double) {
  const Index n = 12, classes = 5;
  const RowMatrix<T> z = gaussian_rows<T>(n, classes, 6);
  RowMatrix<T> with(n, classes + 1);
  with << z, RowMatrix<T>::Constant(n, 1, -core::infinity<T>);
  Labels a, b;
  for (Index i = 0; i < n; ++i) a.push_back(i % classes), b.push_back((i * 3 + 1) % classes);
  for (const auto form : {DecoupledForm::cross_entropy, DecoupledForm::binary}) {
    const DecoupledMixupOptions o{.form = form};
    const auto got = decoupled_mixup_with_gradient(with, a, b, T(0.3), o),
               want = decoupled_mixup_with_gradient(z, a, b, T(0.3), o);
    CHECK(std::abs(got.loss - want.loss) <= within<T>() * want.loss);
    CHECK((got.logits.leftCols(classes) - want.logits).norm() <= within<T>() * want.logits.norm());
    CHECK(got.logits.col(classes).isZero(0));
    CHECK(std::abs(got.lambda - want.lambda) <= within<T>() * (1 + std::abs(want.lambda)));
  }
  // all that is left beside the labels is absent: nothing to be told from
  RowMatrix<T> two = RowMatrix<T>::Constant(1, 4, -core::infinity<T>);
  two(0, 1) = T(0.5), two(0, 2) = T(0.25);
  CHECK(std::abs(decoupled_mixup(two, {1}, {2}, T(0.3)) -
                 mixup_cross_entropy(two, {1}, {2}, T(0.3))) == 0);
  // a label that is absent is infinitely surprising; a row where nothing is there is NaN
  CHECK(mixup_cross_entropy(two, {0}, {1}, T(0.3)) == core::infinity<double>);
  two.setConstant(-core::infinity<T>);
  CHECK(std::isnan(mixup_cross_entropy(two, {0}, {1}, T(0.3))));
}

TEST_CASE_TEMPLATE("decoupled_mixup: finite at +-800, small losses keep their digits, errors", T,
                   float, double) {
  RowMatrix<T> z(4, 4);
  z << 800, -800, 0, 5, -800, 800, 800, -800, 800, 800, 800, 800, -800, -800, -800, 800;
  const Labels a{0, 0, 1, 2}, b{1, 3, 2, 0};
  for (const auto form : {DecoupledForm::cross_entropy, DecoupledForm::binary}) {
    const auto got = decoupled_mixup_with_gradient(z, a, b, 0.3, {.form = form});
    CHECK(std::isfinite(got.loss));
    CHECK(got.logits.allFinite());
    CHECK(std::isfinite(got.lambda));
  }
  RowMatrix<T> sure(1, 3);
  sure << 40, 0, 0;
  const double want = std::log1p(2 * std::exp(-40.0));
  CHECK(relative_error(mixup_cross_entropy(sure, {0}, {0}, 1.0), want) < 1e-12);
  CHECK(relative_error(double(mixup_cross_entropy_with_gradient(sure, {0}, {0}, 1.0).logits(0, 0)),
                       -2 * std::exp(-40.0)) < 1e-6);
  CHECK_THROWS_AS((void)decoupled_mixup(z, {0}, b, 0.3), std::invalid_argument);
  CHECK_THROWS_AS((void)decoupled_mixup(z, {0, 1, 2, 4}, b, 0.3), std::invalid_argument);
  CHECK_THROWS_AS((void)decoupled_mixup(z, a, b, 1.2), std::invalid_argument);
  CHECK_THROWS_AS((void)decoupled_mixup(z, a, b, 0.3, {.threshold = 0}), std::invalid_argument);
  z(1, 2) = core::nan<T>;
  CHECK(std::isnan(decoupled_mixup(z, a, b, 0.3)));
}
