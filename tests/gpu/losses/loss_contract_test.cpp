// The laws that every loss obeys on the device, from one list with a row a loss. What only a family
// promises is tested in its own file.
//
//   value        the value alone is the loss that comes with the gradients, to the bit
//   cpu          loss, gradients and every other number are the CPU library's (in the emulator)
//   gradient     its slope along any direction is the gradient's
//   not finite   NaN or infinity in any row of any batch: never a finite loss
//   order        the same bits in every order of the blocks and again
//   layout       the same to rounding wherever rows lie in memory
//   refused      shapes, no rows, overlaps, missing places, a byte of scratch too few: a status that
//                says something, and nothing is written
#include "support/gpu.hpp"

#include <functional>
#include <string>

#include "reference.hpp"
#include "spheremix/gpu/losses/align_uniform.cuh"
#include "spheremix/gpu/losses/barlow_twins.cuh"
#include "spheremix/gpu/losses/brownian_bridge.cuh"
#include "spheremix/gpu/losses/clip.cuh"
#include "spheremix/gpu/losses/clip_m2_mix.cuh"
#include "spheremix/gpu/losses/cyclip.cuh"
#include "spheremix/gpu/losses/decoupled_contrastive.cuh"
#include "spheremix/gpu/losses/decoupled_mixup.cuh"
#include "spheremix/gpu/losses/feature_separation.cuh"
#include "spheremix/gpu/losses/geometric_consistency.cuh"
#include "spheremix/gpu/losses/hard_negative.cuh"
#include "spheremix/gpu/losses/hn_nce.cuh"
#include "spheremix/gpu/losses/info_nce.cuh"
#include "spheremix/gpu/losses/l_mix.cuh"
#include "spheremix/gpu/losses/m2_mix.cuh"
#include "spheremix/gpu/losses/m3_mix.cuh"
#include "spheremix/gpu/losses/margin_nce.cuh"
#include "spheremix/gpu/losses/mixup_cross_entropy.cuh"
#include "spheremix/gpu/losses/nt_xent.cuh"
#include "spheremix/gpu/losses/rank_n_contrast.cuh"
#include "spheremix/gpu/losses/siglip.cuh"
#include "spheremix/gpu/losses/sup_con.cuh"
#include "spheremix/gpu/losses/sup_remix.cuh"
#include "spheremix/gpu/losses/triplet.cuh"
#include "spheremix/gpu/losses/v_mix.cuh"
#include "spheremix/gpu/losses/vicreg.cuh"
#include "spheremix/gpu/losses/vl_mix.cuh"
#if !defined(__CUDACC__)
#include "support/loss_contract.hpp"
#endif

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
using gpu::Precision;
using gpu::Scratch;
using gpu::Status;
namespace device = gpu::losses;

/// What one call takes and where it writes; all in device memory but the views themselves.
template <class T>
struct Call {
  using A = gpu::Arithmetic<T>;
  std::vector<core::MatrixView<const T>> in;
  std::vector<core::MatrixView<A>> out;
  const A* lambda;              ///< one a row
  const double* label;          ///< one a row
  const Index *first, *second;  ///< two classes a row
  double* loss;
  double *number, *other;  ///< dL/d log tau; dL/d the bias or the other log tau
  double* lambdas;         ///< four times one a row
  gpu::pairwise::KernelProducts how;
};

template <class T>
struct Loss {
  const char* name;
  std::size_t batches;
  std::function<Status(const Call<T>&, Scratch)> value;  ///< none: the device has no such call
  std::function<Status(const Call<T>&, Scratch)> gradient;
};

#define SPHEREMIX_UNWRAP(...) __VA_ARGS__
#define SPHEREMIX_GRADIENT(FUNCTION, TYPE, TO, LAST, ...)                           \
  [](const Call<T>& c, Scratch s) {                                                 \
    return device::FUNCTION##_with_gradient<TYPE>(__VA_ARGS__, SPHEREMIX_UNWRAP TO, \
                                                  SPHEREMIX_UNWRAP LAST);           \
  }
/// FUNCTION of COUNT batches: where its gradients go, its last arguments (with products or without)
/// and its first ones.
#define SPHEREMIX_LOSS(FUNCTION, TYPE, COUNT, TO, LAST, ...)                                                       \
  Loss<T> {                                                                                                        \
#FUNCTION, COUNT,                                                                                              \
        [](const Call <T>& c,                                                                                      \
           Scratch                                                                                                 \
               s) { return device::FUNCTION<TYPE>(__VA_ARGS__, c.loss, SPHEREMIX_UNWRAP LAST); },                  \
                                                                                               SPHEREMIX_GRADIENT( \
                                                                                                   FUNCTION,       \
                                                                                                   TYPE,           \
                                                                                                   TO,             \
                                                                                                   LAST,           \
                                                                                                   __VA_ARGS__)    \
  }
/// One that the device has with gradients alone.
#define SPHEREMIX_GRADIENT_ONLY(FUNCTION, TYPE, COUNT, TO, LAST, ...) \
  Loss<T> { #FUNCTION, COUNT, nullptr, SPHEREMIX_GRADIENT(FUNCTION, TYPE, TO, LAST, __VA_ARGS__) }
#define SPHEREMIX_HOW (s, nullptr, c.how)
#define SPHEREMIX_ROWS (s)
#define SPHEREMIX_XY c.in[0], c.in[1]
#define SPHEREMIX_TO_XY ({c.loss, c.out[0], c.out[1]})
#define SPHEREMIX_TO_TAU ({c.loss, c.out[0], c.out[1], c.number})
#define SPHEREMIX_TO_MIX ({c.loss, c.out[0], c.out[1], c.lambdas, c.number})
#define SPHEREMIX_TO_LABELLED ({c.loss, c.out[0], c.number, nullptr})
#define SPHEREMIX_TO_LOGITS ({c.loss, c.out[0], c.lambdas})

/// With the options of support/loss_contract.hpp.
template <class T>
std::vector<Loss<T>> losses_of_rows() {
  return {
      SPHEREMIX_LOSS(info_nce, T, 2, SPHEREMIX_TO_TAU, SPHEREMIX_HOW, SPHEREMIX_XY,
                     {.temperature = 0.3}),
      SPHEREMIX_LOSS(margin_nce, T, 2, ({c.loss, c.out[0], c.out[1], c.number, c.other}),
                     SPHEREMIX_HOW, SPHEREMIX_XY, {.temperature = 0.3}),
      SPHEREMIX_LOSS(clip, T, 2, SPHEREMIX_TO_TAU, SPHEREMIX_HOW, SPHEREMIX_XY,
                     {.temperature = 0.3}),
      SPHEREMIX_LOSS(siglip, T, 2, ({c.loss, c.out[0], c.out[1], c.number, c.other}), SPHEREMIX_HOW,
                     SPHEREMIX_XY, {.temperature = 0.3, .bias = -1}),
      SPHEREMIX_LOSS(nt_xent, T, 2, SPHEREMIX_TO_TAU, SPHEREMIX_HOW, SPHEREMIX_XY,
                     {.temperature = 0.3}),
      SPHEREMIX_LOSS(decoupled_contrastive, T, 2, SPHEREMIX_TO_TAU, SPHEREMIX_HOW, SPHEREMIX_XY,
                     {.temperature = 0.3, .weighting = device::DclWeighting::von_mises_fisher}),
      SPHEREMIX_LOSS(hard_negative, T, 2, SPHEREMIX_TO_TAU, SPHEREMIX_HOW, SPHEREMIX_XY, {}),
      SPHEREMIX_LOSS(hn_nce, T, 2, SPHEREMIX_TO_TAU, SPHEREMIX_HOW, SPHEREMIX_XY,
                     {.temperature = 0.3}),
      SPHEREMIX_GRADIENT_ONLY(cyclip, T, 2, SPHEREMIX_TO_TAU, SPHEREMIX_HOW, SPHEREMIX_XY,
                              {.temperature = 0.3}),
      SPHEREMIX_LOSS(geometric_consistency, T, 2, SPHEREMIX_TO_XY, SPHEREMIX_ROWS, SPHEREMIX_XY,
                     {.cross_weight = 0.5}),
      SPHEREMIX_LOSS(augmented_geometric_consistency, T, 4,
                     ({c.loss, c.out[0], c.out[1], c.out[2], c.out[3]}), SPHEREMIX_ROWS,
                     SPHEREMIX_XY, c.in[2], c.in[3], {}),
      SPHEREMIX_LOSS(vicreg, T, 2, SPHEREMIX_TO_XY, SPHEREMIX_ROWS, SPHEREMIX_XY, {}),
      SPHEREMIX_LOSS(align_uniform, T, 2, SPHEREMIX_TO_XY, SPHEREMIX_HOW, SPHEREMIX_XY, {}),
      SPHEREMIX_LOSS(barlow_twins, T, 2, SPHEREMIX_TO_XY, SPHEREMIX_ROWS, SPHEREMIX_XY, {}),
      SPHEREMIX_LOSS(brownian_bridge, const T, 3, ({c.loss, c.out[0], c.out[1], c.out[2]}),
                     SPHEREMIX_ROWS, c.in[0], c.in[1], c.in[2], {}),
      SPHEREMIX_LOSS(
          feature_separation, T, 6,
          ({c.loss, c.out[0], c.out[1], c.out[2], c.out[3], c.out[4], c.out[5], c.number}),
          SPHEREMIX_HOW, SPHEREMIX_XY, c.in[2], c.in[3], c.in[4], c.in[5], {.temperature = 0.3}),
      SPHEREMIX_LOSS(m2_mix, T, 2, SPHEREMIX_TO_MIX, SPHEREMIX_HOW, SPHEREMIX_XY, c.lambda,
                     {.temperature = 0.3}),
      SPHEREMIX_LOSS(clip_m2_mix, T, 2,
                     ({c.loss, c.out[0], c.out[1], c.lambdas, c.number, c.other}), SPHEREMIX_HOW,
                     SPHEREMIX_XY, c.lambda, {.temperature = 0.3, .mix_temperature = 0.4}),
      SPHEREMIX_LOSS(v_mix, T, 2, SPHEREMIX_TO_MIX, SPHEREMIX_HOW, SPHEREMIX_XY, c.lambda,
                     {.temperature = 0.3}),
      SPHEREMIX_LOSS(l_mix, T, 2, SPHEREMIX_TO_MIX, SPHEREMIX_HOW, SPHEREMIX_XY, c.lambda,
                     {.temperature = 0.3}),
      SPHEREMIX_LOSS(vl_mix, T, 2, SPHEREMIX_TO_MIX, SPHEREMIX_HOW, SPHEREMIX_XY, c.lambda,
                     {.temperature = 0.3, .targets = device::VlTargets::released}),
      SPHEREMIX_GRADIENT_ONLY(m3_mix, T, 2,
                              ({c.loss,
                                c.out[0],
                                c.out[1],
                                {c.lambdas, c.lambdas + c.in[0].rows, c.lambdas + 2 * c.in[0].rows,
                                 c.lambdas + 3 * c.in[0].rows},
                                c.number,
                                c.other}),
                              SPHEREMIX_HOW, SPHEREMIX_XY, {0.3, c.lambda, 0.7, c.lambda},
                              {.temperature = 0.3, .mix_temperature = 0.4}),
      SPHEREMIX_LOSS(sup_con, T, 1, SPHEREMIX_TO_LABELLED, SPHEREMIX_HOW, c.in[0], c.label,
                     {.temperature = 0.3}),
      SPHEREMIX_LOSS(sup_remix, T, 1, SPHEREMIX_TO_LABELLED, SPHEREMIX_HOW, c.in[0], c.label, 0.3,
                     {.temperature = 0.3, .window = 1.5, .detach = false}),
      SPHEREMIX_LOSS(triplet, T, 1, ({c.loss, c.out[0], nullptr, nullptr}), SPHEREMIX_ROWS, c.in[0],
                     c.label, {}),
      SPHEREMIX_LOSS(rank_n_contrast, T, 1, SPHEREMIX_TO_LABELLED, SPHEREMIX_HOW, c.in[0], c.label,
                     {}),
      SPHEREMIX_LOSS(mixup_cross_entropy, T, 1, SPHEREMIX_TO_LOGITS, SPHEREMIX_ROWS, c.in[0],
                     c.first, c.second, c.lambda),
      SPHEREMIX_LOSS(decoupled_mixup, T, 1, SPHEREMIX_TO_LOGITS, SPHEREMIX_ROWS, c.in[0], c.first,
                     c.second, c.lambda, {}),
  };
}

/// A value for value of all that a call wrote.
struct Written {
  double loss = 0, number = 0, other = 0;
  std::vector<double> lambdas;
  std::vector<std::vector<double>> gradients;

  bool operator==(const Written& o) const {
    return loss == o.loss && number == o.number && other == o.other && lambdas == o.lambdas &&
           gradients == o.gradients;
  }
};

/// Rows that belong together loosely, and the memory of a call.
template <class T>
struct Batch {
  using A = gpu::Arithmetic<T>;
  Index n, d;
  std::vector<std::vector<double>> x;

  Batch(std::size_t count, Index rows, Index cols) : n(rows), d(cols) {
    for (std::size_t k = 0; k < count; ++k) {
      x.push_back(unit_rows<T>(n, d, unsigned(1 + k)));
      if (k == 0) continue;
      for (Index i = 0; i < n; ++i) {
        double size = 0;
        for (Index c = i * d; c < (i + 1) * d; ++c) {
          double& v = x[k][std::size_t(c)];
          v = (0.87 - 0.06 * double(k)) * x[0][std::size_t(c)] + (0.13 + 0.06 * double(k)) * v;
          size += v * v;
        }
        for (Index c = i * d; c < (i + 1) * d; ++c)
          x[k][std::size_t(c)] = stored<T>(x[k][std::size_t(c)] / std::sqrt(size));
      }
    }
  }

  double lambda(Index i) const { return double(A(A((3 * i + 1) % 11) / A(11))); }
  double label(Index i) const { return double((2 * i) % 5); }

  /// use(call), and what it has written then.
  template <class Use>
  Written written(const Use& use, Layout layout = {},
                  Precision precision = Precision::exact) const {
    std::vector<A> lambdas;
    std::vector<double> labels;
    std::vector<Index> first, second;
    for (Index i = 0; i < n; ++i) {
      lambdas.push_back(A(lambda(i)));
      labels.push_back(label(i));
      first.push_back(i % d);
      second.push_back((3 * i + 1) % d);
    }
    const Buffer<A> l(lambdas);
    const Buffer<double> y(labels);
    const Buffer<Index> a(first), b(second);
    const Buffer<double> numbers(std::vector<double>(3, 0)),
        to_lambda(std::vector<double>(std::size_t(4 * n), 0));
    std::vector<std::unique_ptr<Rows<T>>> in;
    std::vector<std::unique_ptr<Rows<A>>> out;
    Call<T> call{{},
                 {},
                 l.data(),
                 y.data(),
                 a.data(),
                 b.data(),
                 numbers.data(),
                 numbers.data() + 1,
                 numbers.data() + 2,
                 to_lambda.data(),
                 {precision, 64}};  // several ranges
    for (const auto& rows : x) {
      in.push_back(std::make_unique<Rows<T>>(n, d, rows, layout));
      out.push_back(std::make_unique<Rows<A>>(n, d, layout));
      call.in.push_back(in.back()->input());
      call.out.push_back(out.back()->view());
    }
    use(call);
    const auto number = numbers.values();
    Written w{number[0], number[1], number[2], to_lambda.values(), {}};
    for (const auto& g : out) w.gradients.push_back(g->values());
    return w;
  }

  Written gradient(const Loss<T>& loss, Layout layout = {},
                   Precision precision = Precision::exact) const {
    return written(
        [&](const Call<T>& c) { with_scratch([&](Scratch s) { return loss.gradient(c, s); }); },
        layout, precision);
  }
  double value(const Loss<T>& loss, Precision precision = Precision::exact) const {
    const auto& call = loss.value ? loss.value : loss.gradient;
    return written([&](const Call<T>& c) { with_scratch([&](Scratch s) { return call(c, s); }); },
                   {}, precision)
        .loss;
  }
};

#if !defined(__CUDACC__)
/// A pair alone has no negatives, a row no variance and no other: their own tests say that this is
/// refused.
bool needs_two_rows(const std::string& name, Index n) {
  return n == 1 && (name == "decoupled_contrastive" || name == "vicreg" ||
                    name == "align_uniform" || name == "barlow_twins");
}

/// Against the CPU's case of the same name, in double.
template <class T>
void is_the_cpus(const Loss<T>& loss, const test::LossCase<double>& cpu, Index n, Index d,
                 Precision precision, double tolerance) {
  CAPTURE(n);
  CAPTURE(d);
  const Batch<T> batch(loss.batches, n, d);
  test::LossCall<double> call(loss.batches, n, d);
  for (std::size_t k = 0; k < loss.batches; ++k)
    call.batches[k] = Eigen::Map<const RowMatrix<double>>(batch.x[k].data(), n, d);
  for (Index i = 0; i < n; ++i) call.lambda[i] = batch.lambda(i), call.label[i] = batch.label(i);
  const auto want = cpu.gradient(call);
  const Written got = batch.gradient(loss, {}, precision);
  CHECK(std::abs(got.loss - want.loss) <= tolerance * (1 + std::abs(want.loss)));
  for (std::size_t k = 0; k < loss.batches; ++k) {
    const auto& g = want.gradients[k];
    double away = 0;
    for (Index i = 0; i < n * d; ++i)
      away += std::pow(got.gradients[k][std::size_t(i)] - g.data()[i], 2);
    CHECK(std::sqrt(away) <= tolerance * (0.1 + g.norm()));
  }
  // The CPU's other numbers: dL/d log tau, then the bias or the other log tau, then single lambdas.
  if (!want.numbers.empty() && loss.batches > 1) {
    CHECK(std::abs(got.number - want.numbers[0]) <= tolerance * (1 + std::abs(want.numbers[0])));
    if (want.numbers.size() > 1)
      CHECK(std::abs(got.other - want.numbers[1]) <= tolerance * (1 + std::abs(want.numbers[1])));
  }
  if (want.per_row.size() == 1)
    for (Index i = 0; i < n; ++i)
      CHECK(std::abs(got.lambdas[std::size_t(i)] - want.per_row[0][i]) <=
            tolerance * (1 + std::abs(want.per_row[0][i])));
}

template <class T>
void are_the_cpus(const std::vector<std::pair<Index, Index>>& sizes, Precision precision,
                  double tolerance) {
  const auto on_cpu = test::loss_cases<double>(false);
  for (const auto& loss : losses_of_rows<T>()) {
    CAPTURE(std::string(loss.name));
    std::size_t found = 0;
    for (const auto& cpu : on_cpu) {
      if (cpu.name != loss.name) continue;
      ++found;
      for (const auto& size : sizes)
        if (!needs_two_rows(loss.name, size.first))
          is_the_cpus(loss, cpu, size.first, size.second, precision, tolerance);
    }
    CHECK(found == 1);
  }
}
#endif

}  // namespace

#if !defined(__CUDACC__)
TEST_CASE("cpu: every loss is the CPU's, N off every tile") {
  are_the_cpus<double>({{1, 3}, {2, 17}, {3, 2}, {63, 4}, {65, 5}, {130, 3}}, Precision::exact,
                       1e-10);
  are_the_cpus<float>({{40, 24}}, Precision::exact, 2e-5);
  are_the_cpus<float>({{70, 24}}, Precision::fast, 3e-3);
}
#endif

TEST_CASE("gradient: the slope of the loss along any direction") {
  const Index n = 9, d = 6;
  for (const auto& loss : losses_of_rows<double>()) {
    CAPTURE(std::string(loss.name));
    const Batch<double> batch(loss.batches, n, d);
    const Written g = batch.gradient(loss);
    for (std::size_t k = 0; k < loss.batches; ++k) {
      CAPTURE(k);
      std::vector<double> v = gaussian(n, d, unsigned(50 + k));
      double slope = 0;  // along great circles: gradients through a mixture are tangent
      for (Index i = 0; i < n; ++i) {
        double along = 0;
        for (Index c = i * d; c < (i + 1) * d; ++c)
          along += v[std::size_t(c)] * batch.x[k][std::size_t(c)];
        for (Index c = i * d; c < (i + 1) * d; ++c) {
          v[std::size_t(c)] -= along * batch.x[k][std::size_t(c)];
          slope += v[std::size_t(c)] * g.gradients[k][std::size_t(c)];
        }
      }
      const auto at = [&](double t) {
        Batch<double> moved = batch;
        for (Index i = 0; i < n; ++i) {
          double speed = 0;
          for (Index c = i * d; c < (i + 1) * d; ++c)
            speed += v[std::size_t(c)] * v[std::size_t(c)];
          speed = std::sqrt(speed);
          for (Index c = i * d; c < (i + 1) * d; ++c)
            moved.x[k][std::size_t(c)] = std::cos(t * speed) * batch.x[k][std::size_t(c)] +
                                         std::sin(t * speed) / speed * v[std::size_t(c)];
        }
        return moved.value(loss);
      };
      const double h = 2e-4;
      const double measured = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
      CHECK(std::abs(slope) > 1e-6);  // or the law would say nothing
      CHECK(std::abs(measured - slope) <= 1e-8 * (1 + std::abs(slope)));
    }
  }
}

TEST_CASE_TEMPLATE("order: the same bits in every order and again, the value alone included", T,
                   float, double) {
  for (const Precision precision : {Precision::fast, Precision::exact}) {
    if (precision == Precision::fast && sizeof(T) == 8) continue;  // the same
    for (const auto& loss : losses_of_rows<T>()) {
      CAPTURE(std::string(loss.name));
      const Batch<T> batch(loss.batches, 66, 12);
      const Written first = batch.gradient(loss, {}, precision);
      CHECK(std::isfinite(first.loss));
      in_every_order([&] {
        CHECK(batch.gradient(loss, {}, precision) == first);
        if (loss.value) CHECK(batch.value(loss, precision) == first.loss);
      });
    }
  }
}

TEST_CASE("layout: wherever rows lie in memory") {
  for (const auto& loss : losses_of_rows<float>()) {
    CAPTURE(std::string(loss.name));
    const Batch<float> batch(loss.batches, 66, 12);
    const Written packed = batch.gradient(loss);
    for (const Layout layout : kLayouts) {
      const Written there = batch.gradient(loss, layout);
      CHECK(std::abs(there.loss - packed.loss) <= 1e-6 * (1 + std::abs(packed.loss)));
      for (std::size_t k = 0; k < loss.batches; ++k)
        CHECK(relative_error(there.gradients[k], packed.gradients[k]) <= 1e-6);
    }
  }
}

TEST_CASE("not finite: one bad number never gives a finite loss") {
  const Index n = 66, d = 5;
  for (const auto& loss : losses_of_rows<float>())
    for (std::size_t k = 0; k < loss.batches; ++k)
      for (const double bad : {std::nan(""), double(INFINITY), -double(INFINITY)}) {
        const Index row = bad > 0 ? 0 : n - 1;
        const Precision precision = bad < 0 ? Precision::exact : Precision::fast;
        CAPTURE(std::string(loss.name));
        CAPTURE(k);
        CAPTURE(bad);
        const bool logits = std::string(loss.name).find("mixup") != std::string::npos;
        if (logits && bad < 0) continue;  // a logit of -infinity is a class that is absent
        Batch<float> batch(loss.batches, n, d);
        batch.x[k][std::size_t(row * d + 2)] = bad;
        CHECK(!std::isfinite(batch.gradient(loss, {}, precision).loss));
        if (loss.value) CHECK(!std::isfinite(batch.value(loss, precision)));
      }
}

TEST_CASE("refused: shapes, no rows, overlaps, missing places and too little scratch") {
  const Index n = 6, d = 4;
  for (const auto& loss : losses_of_rows<float>()) {
    CAPTURE(std::string(loss.name));
    const Batch<float> batch(loss.batches, n, d);
    const Written untouched_places = batch.written([](const Call<float>&) {});
    const auto refuses = [&](const char* what, const auto& change, std::size_t less = 0) {
      CAPTURE(std::string(what));
      const Written after = batch.written([&](const Call<float>& good) {
        Call<float> c = good;
        const Buffer<char> scratch(
            gpu::scratch_needed([&](Scratch s) { return loss.gradient(good, s); }));
        change(c);
        Scratch s = scratch.scratch();
        s.bytes -= std::min(s.bytes, less);
        const Status status = loss.gradient(c, s);
        CHECK(!status.ok());
        CHECK(std::string(status.text).size() > 5);
        must(cudaDeviceSynchronize(), "nothing");
      });
      CHECK(after.loss == untouched_places.loss);
    };
    for (std::size_t k = 0; k < loss.batches; ++k) {
      if (loss.batches > 1) {
        refuses("fewer rows", [&](Call<float>& c) { c.in[k].rows = n - 1; });
        refuses("fewer columns", [&](Call<float>& c) { c.in[k].cols = d - 1; });
      }
      refuses("a place that is missing", [&](Call<float>& c) { c.out[k].data = nullptr; });
      refuses("a gradient over a part of its own batch",
              [&](Call<float>& c) { c.out[k].data = const_cast<float*>(c.in[k].data) + 1; });
      if (k > 0)
        refuses("two gradients in one place", [&](Call<float>& c) { c.out[k] = c.out[0]; });
    }
    refuses("no place for the loss", [](Call<float>& c) { c.loss = nullptr; });
    refuses("no rows", [](Call<float>& c) {
      for (auto& x : c.in) x.rows = 0;
      for (auto& g : c.out) g.rows = 0;
    });
    refuses(
        "too little scratch", [](Call<float>&) {}, 1);
  }
}
