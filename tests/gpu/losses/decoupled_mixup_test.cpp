// Mixup cross entropy and decoupled mixup on the device: the loss in long double straight from the
// paper's quotients with its gradient by central differences of that, and in the emulator the CPU
// library's numbers.
#include "support/gpu.hpp"

#include <algorithm>

#include "reference.hpp"
#include "spheremix/gpu/losses/decoupled_mixup.cuh"
#if !defined(__CUDACC__)
#include "spheremix/losses/decoupled_mixup.hpp"
#endif

using namespace spheremix;
using namespace spheremix::gpu_test;
namespace device = gpu::losses;
using Form = device::DecoupledForm;
using Weighting = device::DecoupledWeighting;
using Direction = device::DecoupledDirection;

namespace {

/// n rows of logits with k labels each; k = 2 with weights lambda and 1 - lambda is two labels.
struct Batch {
  Index n, classes, k;
  std::vector<double> z, weight;
  std::vector<Index> label;

  Index at(Index i, Index c) const { return label[std::size_t(i * k + c)]; }
};

template <class T>
Batch make_batch(Index n, Index classes, Index k, double spread = 2) {
  Batch b{n, classes, k, gaussian(n, classes, unsigned(n + classes)), {}, {}};
  for (double& v : b.z) v = stored<T>(spread * v);
  const double lambdas[] = {0.3, 0.75, 0.5, 1, 0, 0.9};
  for (Index i = 0; i < n; ++i) {
    const double lambda = stored<gpu::Arithmetic<T>>(lambdas[i % 6]);
    for (Index c = 0; c < k; ++c) {
      b.label.push_back((i * 7 + c * (i % 5 == 3 ? classes : 1 + i % classes)) % classes);
      b.weight.push_back(k == 2 ? (c == 0 ? lambda : 1 - lambda) : 0.25 * double((i + c) % 4));
    }
  }
  return b;
}

/// The distinct labels of a row with their weights.
void labels_of(const Batch& b, Index i, bool two, std::vector<Index>* label,
               std::vector<Real>* weight) {
  label->clear(), weight->clear();
  for (Index c = 0; c < b.k; ++c) {
    std::size_t at = 0;
    while (at < label->size() && (*label)[at] != b.at(i, c)) ++at;
    if (at == label->size()) label->push_back(b.at(i, c)), weight->push_back(0);
    (*weight)[at] += Real(b.weight[std::size_t(i * b.k + c)]);
  }
  if (two && label->size() == 1) (*weight)[0] = 1;
}

/// n times row i's part of the loss; `o` null: the plain cross entropy. `in`: the labels that have
/// a weight, and so are in the set.
Real row_loss(const std::vector<Real>& z, const std::vector<Index>& label,
              const std::vector<Real>& w, const device::DecoupledMixupOptions* o,
              const std::vector<bool>& in) {
  const auto inside = [&](std::size_t j) {
    for (std::size_t c = 0; c < label.size(); ++c)
      if (in[c] && label[c] == Index(j)) return true;
    return false;
  };
  const std::size_t count = std::size_t(std::count(in.begin(), in.end(), true));
  std::size_t least = w.size(), most = w.size();
  for (std::size_t c = 0; c < label.size(); ++c) {
    if (!in[c]) continue;
    if (least == w.size() || w[c] <= w[least]) least = c;
    if (most == w.size() || w[c] > w[most]) most = c;
  }
  const auto weight = [&](std::size_t c) -> Real {
    if (!in[c]) return 0;
    if (count > 1 && ((o->direction == Direction::labelled && c != 0) ||
                      (o->direction == Direction::minority && c != least) ||
                      (o->direction == Direction::majority && c != most)))
      return 0;
    if (o->weighting == Weighting::constant) return 1;
    if (o->weighting == Weighting::lambda) return w[c];
    return w[c] >= o->threshold ? 1 : std::pow(w[c] / Real(o->threshold), Real(o->power));
  };
  Real loss = 0, all = 0, rest = 0;
  if (o && o->form == Form::binary) {
    for (std::size_t j = 0; j < z.size(); ++j) {
      Real t = 0;
      for (std::size_t c = 0; c < label.size(); ++c)
        if (label[c] == Index(j)) t = weight(c);
      loss += std::log1p(std::exp(z[j])) - t * z[j];
    }
    return loss;
  }
  for (std::size_t j = 0; j < z.size(); ++j)
    all += std::exp(z[j]), rest += inside(j) ? 0 : std::exp(z[j]);
  for (std::size_t c = 0; c < label.size(); ++c) {
    const Real own = z[std::size_t(label[c])];
    loss += w[c] * (std::log(all) - own);
    if (o && count > 1 && count < z.size())
      loss += Real(o->weight) * weight(c) * std::log1p(rest / std::exp(own));
  }
  return loss;
}

struct Wanted {
  double loss = 0;
  std::vector<double> z, lambda;
};

Wanted expected(const Batch& b, bool two, const device::DecoupledMixupOptions* o) {
  Wanted out;
  const Real h = 1e-6L;
  Real loss = 0;
  for (Index i = 0; i < b.n; ++i) {
    std::vector<Index> label;
    std::vector<Real> w, z(b.z.begin() + i * b.classes, b.z.begin() + (i + 1) * b.classes);
    labels_of(b, i, two, &label, &w);
    std::vector<bool> in;
    for (const Real v : w) in.push_back(v > 0);
    const auto slope = [&](auto move) {
      std::vector<Real> zs = z, ws = w;
      move(zs, ws, h);
      const Real up = row_loss(zs, label, ws, o, in);
      zs = z, ws = w;
      move(zs, ws, -h);
      return double((up - row_loss(zs, label, ws, o, in)) / (2 * h * Real(b.n)));
    };
    loss += row_loss(z, label, w, o, in) / Real(b.n);
    for (std::size_t j = 0; j < z.size(); ++j)
      out.z.push_back(slope([j](auto& zs, auto&, Real by) { zs[j] += by; }));
    out.lambda.push_back(
        label.size() < 2 ? 0 : slope([](auto&, auto& ws, Real by) { ws[0] += by, ws[1] -= by; }));
  }
  out.loss = double(loss);
  return out;
}

/// What the device gives; `one`: the lambda of all rows is weight[0].
template <class T>
Wanted computed(const Batch& b, bool two, bool one, const device::DecoupledMixupOptions* o,
                Layout layout) {
  using A = gpu::Arithmetic<T>;
  const std::size_t n = std::size_t(b.n);
  std::vector<Index> a, second;
  std::vector<A> lambda, weight(b.weight.begin(), b.weight.end());
  for (Index i = 0; i < b.n && two; ++i) {
    a.push_back(b.at(i, 0)), second.push_back(b.at(i, 1));
    lambda.push_back(A(b.weight[std::size_t(i * 2)]));
  }
  const Rows<T> z(b.n, b.classes, b.z, layout), dz(b.n, b.classes, layout);
  const Buffer<Index> da(a), db(second), labels(b.label);
  const Buffer<A> dl(lambda), weights(weight);
  const Buffer<double> loss(2), dlambda(one ? 1 : n);
  const core::MatrixView<const Index> label_view{labels.data(), b.n, b.k, b.k};
  const core::MatrixView<const A> weight_view{weights.data(), b.n, b.k, b.k};
  const gpu::RowScalar<A> each =
      one ? gpu::RowScalar<A>(b.weight[0]) : gpu::RowScalar<A>(static_cast<const A*>(dl.data()));
  const device::MixedLabelGradient<T> out{loss.data(), dz.view(), dlambda.data()};
  if (two && o) {
    with_scratch([&](gpu::Scratch s) {
      return device::decoupled_mixup_with_gradient<T>(z.input(), da.data(), db.data(), each, *o,
                                                      out, s);
    });
    with_scratch([&](gpu::Scratch s) {
      return device::decoupled_mixup<T>(z.input(), da.data(), db.data(), each, *o, loss.data() + 1,
                                        s);
    });
  } else if (two) {
    with_scratch([&](gpu::Scratch s) {
      return device::mixup_cross_entropy_with_gradient<T>(z.input(), da.data(), db.data(), each,
                                                          out, s);
    });
    with_scratch([&](gpu::Scratch s) {
      return device::mixup_cross_entropy<T>(z.input(), da.data(), db.data(), each, loss.data() + 1,
                                            s);
    });
  } else if (o) {
    with_scratch([&](gpu::Scratch s) {
      return device::decoupled_mixup_k_with_gradient<T>(z.input(), label_view, weight_view, *o,
                                                        {loss.data(), dz.view()}, s);
    });
    with_scratch([&](gpu::Scratch s) {
      return device::decoupled_mixup_k<T>(z.input(), label_view, weight_view, *o, loss.data() + 1,
                                          s);
    });
  } else {
    with_scratch([&](gpu::Scratch s) {
      return device::mixup_cross_entropy_k_with_gradient<T>(z.input(), label_view, weight_view,
                                                            {loss.data(), dz.view()}, s);
    });
    with_scratch([&](gpu::Scratch s) {
      return device::mixup_cross_entropy_k<T>(z.input(), label_view, weight_view, loss.data() + 1,
                                              s);
    });
  }
  const auto values = loss.values();
  CHECK(values[0] == values[1]);
  return {values[0], dz.values(), two ? dlambda.values() : std::vector<double>()};
}

#if !defined(__CUDACC__)
/// The CPU library's numbers in double.
Wanted on_cpu(const Batch& b, bool two, const device::DecoupledMixupOptions* o) {
  const losses::DecoupledMixupOptions options = o ? *o : losses::DecoupledMixupOptions{};
  const Eigen::Map<const RowMatrix<double>> z(b.z.data(), b.n, b.classes),
      w(b.weight.data(), b.n, b.k);
  const losses::LabelMatrix label = Eigen::Map<const losses::LabelMatrix>(b.label.data(), b.n, b.k);
  const auto flat = [](const RowMatrix<double>& m) {
    return std::vector<double>(m.data(), m.data() + m.size());
  };
  if (!two) {
    const auto g = o ? losses::decoupled_mixup_k_with_gradient(z, label, w, options)
                     : losses::mixup_cross_entropy_k_with_gradient(z, label, w);
    return {g.loss, flat(g.logits), {}};
  }
  std::vector<Index> a, second;
  for (Index i = 0; i < b.n; ++i) a.push_back(b.at(i, 0)), second.push_back(b.at(i, 1));
  const Vector<double> lambda = w.col(0);
  const auto g = o ? losses::decoupled_mixup_with_gradient(z, a, second, lambda, options)
                   : losses::mixup_cross_entropy_with_gradient(z, a, second, lambda);
  return {g.loss, flat(g.logits), std::vector<double>(g.lambda.data(), g.lambda.data() + b.n)};
}
#endif

template <class T>
void compare(const Wanted& got, const Wanted& want, double tolerance, double rounding) {
  CHECK(std::abs(got.loss - want.loss) <= tolerance * (std::abs(want.loss) + 1e-30));
  CHECK(relative_error(got.z, want.z) <= tolerance + rounding);
  if (!got.lambda.empty()) CHECK(relative_error(got.lambda, want.lambda) <= tolerance);
}

template <class T>
void check(const Batch& b, bool two, const device::DecoupledMixupOptions* o, Layout layout,
           bool differences) {
  CAPTURE(b.n);
  CAPTURE(b.classes);
  CAPTURE(b.k);
  CAPTURE(two);
  CAPTURE(layout.offset);
  if (o) CAPTURE(int(o->form) * 100 + int(o->weighting) * 10 + int(o->direction));
  const double tolerance = sizeof(gpu::Arithmetic<T>) == 8 ? 1e-13 : 1e-6;
  const double rounding = sizeof(T) == 2 ? 1e-3 : 0;
  in_every_order([&] {
    const Wanted got = computed<T>(b, two, false, o, layout);
    if (differences) compare<T>(got, expected(b, two, o), std::max(tolerance, 1e-9), rounding);
#if !defined(__CUDACC__)
    compare<T>(got, on_cpu(b, two, o), tolerance, rounding);
#endif
  });
}

template <class Body>
void for_options(Body body) {
  for (const Form form : {Form::cross_entropy, Form::binary})
    for (const Weighting weighting : {Weighting::constant, Weighting::lambda, Weighting::rescaled})
      for (const Direction direction :
           {Direction::both, Direction::minority, Direction::majority, Direction::labelled})
        body(device::DecoupledMixupOptions{0.3, 0.8, 1.7, form, weighting, direction});
}

}  // namespace

TEST_CASE("mixed labels: every form, weighting and direction, two labels and several") {
  // lambda 0, 1 and 1/2 have one-sided slopes in the rescaled weights: not by differences.
  for_options([](const device::DecoupledMixupOptions& o) {
    Batch b = make_batch<double>(6, 7, 2);
    const double inner[] = {0.3, 0.75, 0.15, 0.9, 0.6, 0.45};
    for (std::size_t i = 0; i < 6; ++i)
      b.weight[2 * i] = inner[i], b.weight[2 * i + 1] = 1 - inner[i];
    check<double>(b, true, &o, {}, true);
    check<double>(make_batch<double>(5, 6, 3), false, &o, {}, true);
    check<float>(make_batch<float>(5, 6, 2), true, &o, {}, false);
  });
  device::DecoupledMixupOptions o{0.3, 1, 1, Form::cross_entropy, Weighting::rescaled};
  check<double>(make_batch<double>(6, 7, 2), true, &o, {}, false);
  o.power = 0;
  check<double>(make_batch<double>(6, 7, 2), true, &o, {}, false);
}

TEST_CASE("mixed labels: every shape of a row") {
  const Index sizes[][2] = {{1, 1}, {4, 2}, {5, 3}, {70, 10}, {7, 129}, {3, 300}, {3, 601}};
  const device::DecoupledMixupOptions o{.weighting = Weighting::lambda},
      binary{.form = Form::binary};
  for (const auto& size : sizes)
    for (const Layout& layout : {kLayouts[0], kLayouts[2]}) {
      const bool few = size[1] > 1 && size[1] <= 129;  // one class: all is exactly 0
      check<double>(make_batch<double>(size[0], size[1], 2), true, nullptr, layout, few);
      check<double>(make_batch<double>(size[0], size[1], 5), false, nullptr, layout, few);
      check<double>(make_batch<double>(size[0], size[1], 2), true, &o, layout, few);
      check<double>(make_batch<double>(size[0], size[1], 5), false, &o, layout, false);
      check<float>(make_batch<float>(size[0], size[1], 2), true, &o, layout, false);
      check<float>(make_batch<float>(size[0], size[1], 2), true, &binary, layout, false);
    }
  for (const Index classes : {1001, 2049, 8192, 16384, 16385}) {  // a block a row; then several reads
    check<double>(make_batch<double>(2, classes, 2), true, &o, kLayouts[2], false);
    check<float>(make_batch<float>(2, classes, 2), true, &o, {}, false);
    check<float>(make_batch<float>(2, classes, 3), false, &binary, kLayouts[2], false);
  }
  check<gpu::Half>(make_batch<gpu::Half>(5, 40, 2), true, &o, {}, false);
}

TEST_CASE("mixed labels: nothing of a saturated loss is lost") {
  for (const double high : {60.0, 800.0})
    for (const Index place : {0, 3}) {  // the dominant class is a label, then another class
      Batch b = make_batch<double>(1, 9, 2);
      b.label = {0, 5};
      b.weight = {place == 0 ? 1.0 : 0.4, place == 0 ? 0.0 : 0.6};
      b.z[std::size_t(place)] = high;
      const device::DecoupledMixupOptions o{.direction = Direction::majority};
      check<double>(b, true, nullptr, {}, place > 0 && high < 100);
      check<double>(b, true, &o, {}, place > 0 && high < 100);
      check<double>(b, false, &o, {}, false);
      if (place > 0) continue;
      const Wanted got = computed<double>(b, true, false, nullptr, {});
      Real want = 0;
      for (std::size_t j = 1; j < 9; ++j) want += std::exp(Real(b.z[j]) - Real(high));
      CHECK(std::abs(got.loss - double(want)) <= 1e-14 * double(want));
      CHECK(std::abs(got.z[0] + double(want)) <= 1e-14 * double(want));
    }
}

TEST_CASE("mixed labels: labels whose logits equal the largest of the rest") {
  const device::DecoupledMixupOptions o{.weighting = Weighting::lambda};
  for (const Index classes : {2, 40, 8200}) {
    Batch b = make_batch<float>(2, classes, 2);
    for (double& v : b.z) v = 0.5;
    check<float>(b, true, &o, {}, false);
    check<double>(b, true, nullptr, {}, false);
  }
}

TEST_CASE("mixed labels: one lambda's gradient is the sum, NaN stays in its row") {
  Batch b = make_batch<float>(7, 12, 2);
  for (std::size_t i = 0; i < 7; ++i) b.weight[2 * i] = 0.25, b.weight[2 * i + 1] = 0.75;
  const device::DecoupledMixupOptions o{.weighting = Weighting::lambda};
  const Wanted each = computed<float>(b, true, false, &o, {}),
               one = computed<float>(b, true, true, &o, {});
  double sum = 0;
  for (const double l : each.lambda) sum += l;
  CHECK(std::abs(one.lambda[0] - sum) <= 1e-15);
  CHECK(one.z == each.z);

  const auto only_row_2 = [&](const Batch& broken, const device::DecoupledMixupOptions* options) {
    in_every_order([&] {
      const Index n = broken.n;
      const Rows<float> z(n, broken.classes, broken.z), dz(n, broken.classes);
      std::vector<Index> first, second;
      std::vector<float> lambda;
      for (Index i = 0; i < n; ++i) {
        first.push_back(broken.at(i, 0)), second.push_back(broken.at(i, 1));
        lambda.push_back(float(broken.weight[std::size_t(2 * i)]));
      }
      const Buffer<Index> da(first), db(second);
      const Buffer<float> dl(lambda);
      const Buffer<double> loss(1), dlambda(static_cast<std::size_t>(n));
      with_scratch([&](gpu::Scratch s) {
        return device::decoupled_mixup_with_gradient<float>(
            z.input(), da.data(), db.data(), static_cast<const float*>(dl.data()), *options,
            {loss.data(), dz.view(), dlambda.data()}, s);
      });
      CHECK(std::isnan(loss.values()[0]));
      const auto g = dz.values(), l = dlambda.values();
      for (std::size_t k = 0; k < g.size(); ++k)
        CHECK(std::isnan(g[k]) == (k / std::size_t(broken.classes) == 2));
      for (std::size_t k = 0; k < l.size(); ++k) CHECK(std::isnan(l[k]) == (k == 2));
    });
  };
  const device::DecoupledMixupOptions binary{.form = Form::binary};
  for (const Index classes : {12, 8200})
    for (const auto* options : {&o, &binary}) {
      const Batch sound = make_batch<float>(3, classes, 2);
      Batch broken = sound;
      broken.z[std::size_t(2 * classes + 1)] = core::nan<double>;
      only_row_2(broken, options);
      broken.z[std::size_t(2 * classes + 1)] = core::infinity<double>;
      only_row_2(broken, options);
      broken = sound;
      broken.label[5] = classes;
      only_row_2(broken, options);
      broken = sound;
      broken.weight[4] = 1.5;
      only_row_2(broken, options);
    }
}

TEST_CASE("an absent class, a logit of -infinity: the rows without its column, and no gradient") {
  for (const auto form : {Form::cross_entropy, Form::binary})
    for (const bool two : {true, false}) {
      const device::DecoupledMixupOptions o{.form = form};
      const Batch without = make_batch<float>(9, 12, two ? 2 : 3);
      Batch with = without;
      with.classes = 13;
      with.z.clear();
      for (Index i = 0; i < without.n; ++i) {
        with.z.insert(with.z.end(), without.z.begin() + i * 12, without.z.begin() + (i + 1) * 12);
        with.z.push_back(-core::infinity<double>);
      }
      in_every_order([&] {
        const Wanted a = computed<double>(with, two, false, &o, {}),
                     b = computed<double>(without, two, false, &o, {});
        CHECK(std::abs(a.loss - b.loss) <= 1e-14 * std::abs(b.loss));
        for (std::size_t i = 0; i < 9; ++i) {
          CHECK(a.z[13 * i + 12] == 0);
          for (std::size_t j = 0; j < 12; ++j)
            CHECK(std::abs(a.z[13 * i + j] - b.z[12 * i + j]) <= 1e-15);
        }
      });
    }
}

TEST_CASE("mixed labels: wrong arguments are statuses") {
  const Rows<float> z(3, 4, gaussian(3, 4, 1)), dz(3, 4), narrow_dz(3, 3);
  const Buffer<Index> labels(std::vector<Index>(6, 1));
  const Buffer<float> weights(std::vector<float>(6, 0.5f));
  const Buffer<double> loss(1);
  const Index* a = labels.data();
  const Buffer<char> memory(gpu::scratch_needed([&](gpu::Scratch with) {
    return device::mixup_cross_entropy<float>(z.input(), a, a, 0.5, loss.data(), with);
  }));
  const auto s = memory.scratch();
  const auto two = [&](auto lambda, const device::DecoupledMixupOptions& o,
                       core::MatrixView<float> to, const Index* b, double* place,
                       gpu::Scratch with) {
    return device::decoupled_mixup_with_gradient<float>(z.input(), a, b, lambda, o,
                                                        {place, to, nullptr}, with)
        .ok();
  };
  CHECK(two(0.5, {}, dz.view(), a, loss.data(), s));
  CHECK(!two(1.5, {}, dz.view(), a, loss.data(), s));
  CHECK(!two(0.5, {}, narrow_dz.view(), a, loss.data(), s));
  CHECK(!two(0.5, {}, z.view(), a, loss.data(), s));
  CHECK(!two(0.5, {}, {nullptr, 3, 4, 4}, a, loss.data(), s));
  CHECK(!two(0.5, {}, dz.view(), nullptr, loss.data(), s));
  CHECK(!two(0.5, {}, dz.view(), a, nullptr, s));
  CHECK(!two(0.5, {}, dz.view(), a, loss.data(), {s.data, s.bytes - 1}));
  CHECK(!two(0.5, {.weight = -1}, dz.view(), a, loss.data(), s));
  CHECK(!two(0.5, {.threshold = 0}, dz.view(), a, loss.data(), s));
  CHECK(!two(0.5, {.power = core::nan<double>}, dz.view(), a, loss.data(), s));
  CHECK(!device::mixup_cross_entropy<float>({z.view().data, 0, 4, 4}, a, a, 0.5, loss.data(), s)
             .ok());
  const auto several = [&](Index rows, Index k) {
    return device::mixup_cross_entropy_k<float>(z.input(), {a, rows, k, k},
                                                {weights.data(), rows, 2, 2}, loss.data(), s)
        .ok();
  };
  CHECK(several(3, 2));
  CHECK(!several(2, 2));
  CHECK(!several(3, 1));
}
