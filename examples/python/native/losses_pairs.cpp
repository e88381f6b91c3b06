// Losses of two batches, and of more, without labels and mixing.
#include "losses.hpp"
#include "spheremix/losses/align_uniform.hpp"
#include "spheremix/losses/brownian_bridge.hpp"
#include "spheremix/losses/clip.hpp"
#include "spheremix/losses/clip_bf16.hpp"
#include "spheremix/losses/cyclip.hpp"
#include "spheremix/losses/decoupled_contrastive.hpp"
#include "spheremix/losses/feature_separation.hpp"
#include "spheremix/losses/geometric_consistency.hpp"
#include "spheremix/losses/hard_negative.hpp"
#include "spheremix/losses/info_nce.hpp"
#include "spheremix/losses/info_nce_bf16.hpp"
#include "spheremix/losses/margin_nce.hpp"
#include "spheremix/losses/nt_xent.hpp"
#include "spheremix/losses/siglip.hpp"
#include "spheremix/losses/targets.hpp"
#include "spheremix/losses/teacher.hpp"
#include "spheremix/losses/temperature.hpp"
#include "spheremix/losses/vicreg.hpp"

SPHEREMIX_RECORD(ClampedLogScale)

namespace spheremix::python {

using namespace losses;

template <>
struct EnumNames<DclWeighting> {
  static constexpr std::pair<const char*, DclWeighting> all[] = {
      {"none", DclWeighting::none}, {"von_mises_fisher", DclWeighting::von_mises_fisher}};
};
template <>
struct EnumNames<Denominator> {
  static constexpr std::pair<const char*, Denominator> all[] = {
      {"printed", Denominator::printed}, {"augmented", Denominator::augmented}};
};
template <>
struct EnumNames<UniformityReading> {
  static constexpr std::pair<const char*, UniformityReading> all[] = {
      {"joint", UniformityReading::joint}, {"separate", UniformityReading::separate}};
};

namespace {

// The records, from gradients and the numbers of `out`.
constexpr auto as_pair = [](Array x, Array y, const auto& out) {
  return record("PairGradient", out.loss, x, y);
};
constexpr auto as_contrastive = [](Array x, Array y, const auto& out) {
  return record("ContrastiveGradient", out.loss, x, y, out.log_temperature);
};
constexpr auto as_siglip = [](Array x, Array y, const auto& out) {
  return record("SiglipGradient", out.loss, x, y, out.log_temperature, out.bias);
};
constexpr auto as_margin_nce = [](Array x, Array y, const auto& out) {
  return record("MarginNceGradient", out.loss, x, y, out.log_temperature, out.margin);
};

#define LOSS(NAME) \
#NAME, #NAME "_with_gradient", false,                                              \
      [](const auto& x, const auto& y, const auto& o) { return NAME(x, y, o); },     \
      [](const auto& x, const auto& y, const auto& o, auto& workspace, auto& out) {  \
        NAME##_with_gradient(x, y, o, workspace, out);                               \
      }

/// With targets, or the diagonal.
#define TARGET_LOSS(NAME) \
#NAME, #NAME "_with_gradient", false,                                                     \
      [](const auto& x, const auto& y, const auto& o, const Targets* t) {                   \
        return t ? NAME(x, y, *t, o) : NAME(x, y, o);                                       \
      },                                                                                    \
      [](const auto& x, const auto& y, const auto& o, auto& workspace, auto& out,           \
         const Targets* t) {                                                                \
        if (t)                                                                              \
          NAME##_with_gradient(x, y, *t, o, workspace, out);                                \
        else                                                                                \
          NAME##_with_gradient(x, y, o, workspace, out);                                    \
      }

/// float64 is refused before.
#define FLOAT_LOSS(NAME) \
#NAME, #NAME "_with_gradient", true,                                                      \
      [](const auto& x, const auto& y, const auto& o, const Targets* t) {                   \
        if constexpr (sizeof(x(0, 0)) == 4)                                                 \
          return t ? NAME(x, y, *t, o) : NAME(x, y, o);                                     \
        else                                                                                \
          return 0.0;                                                                       \
      },                                                                                    \
      [](const auto& x, const auto& y, const auto& o, auto& workspace, auto& out,           \
         const Targets* t) {                                                                \
        if constexpr (sizeof(x(0, 0)) == 4) {                                               \
          if (t)                                                                            \
            NAME##_with_gradient(x, y, *t, o, workspace, out);                              \
          else                                                                              \
            NAME##_with_gradient(x, y, o, workspace, out);                                  \
        }                                                                                   \
      }

#define FIELD(OPTIONS, NAME) field(#NAME, &OPTIONS::NAME)

void bind_targets(nb::module_& m) {
  nb::class_<HeldTargets>(m, "Targets", doc("losses::Targets"));
  m.def(
      "ids",
      [](Arg a, Arg b) {
        auto rows = Numbers("ids", "a", a).indices();
        return HeldTargets{ids(std::move(rows), Numbers("ids", "b", b).indices())};
      },
      nb::arg("a"), nb::arg("b"), doc("losses::ids"));
  m.def(
      "pairs",
      [](Arg rows, Arg cols, Arg weights) {
        auto from = Numbers("pairs", "rows", rows).indices();
        auto to = Numbers("pairs", "cols", cols).indices();
        if (weights.value.is_none()) return HeldTargets{pairs(std::move(from), std::move(to))};
        auto each = Numbers("pairs", "weights", weights).reals();
        return HeldTargets{pairs(std::move(from), std::move(to), std::move(each))};
      },
      nb::arg("rows"), nb::arg("cols"), nb::arg("weights").none() = nb::none(),
      doc("losses::pairs"));
  m.def(
      "soft",
      [](Arg p) {
        const auto held = std::make_shared<const Rows>("soft", "p", p);
        return by_type(held->is_double(), [&]<class T>() {
          const auto rows = held->map<T>();
          return HeldTargets{soft(rows), held};  // borrowed: read in place
        });
      },
      nb::arg("p"), doc("losses::soft"));
}

void bind_teacher(nb::module_& m) {
  m.def(
      "teacher_rows",
      [](Arg s, double temperature) {
        const Rows a("teacher_rows", "s", s);
        Output out(a.kind(), a.is_double(), a.rows(), a.cols());
        by_type(a.is_double(), [&]<class T>() {
          auto to = out.map<T>();
          run([&] { teacher_rows(a.map<T>(), temperature, to); });
        });
        return out.finish();
      },
      nb::arg("s"), nb::arg("temperature"), doc("losses::teacher_rows"));
  m.def(
      "teacher_table",
      [](Arg s, double temperature) {
        const Rows a("teacher_table", "s", s);
        Output out(a.kind(), true, a.rows(), a.cols());
        by_type(a.is_double(), [&]<class T>() {
          auto to = out.map<double>();
          run([&] { teacher_table(a.map<T>(), temperature, to); });
        });
        return out.finish();
      },
      nb::arg("s"), nb::arg("temperature"), doc("losses::teacher_table"));
}

void bind_bridge(nb::module_& m) {
  constexpr auto* name = "brownian_bridge";
  constexpr auto* with = "brownian_bridge_with_gradient";
  const auto ratio = FIELD(BrownianBridgeOptions, ratio);
  m.def(
      name,
      [=](Arg augmented, Arg x, Arg y, double r) -> double {
        const Rows a(name, "augmented", augmented), b(name, "x", x), c(name, "y", y);
        expects_one_type(name, {&a, &b, &c});
        return by_type(a.is_double(), [&]<class T>() {
          const auto p = a.map<T>(), q = b.map<T>(), s = c.map<T>();
          return run([&] { return brownian_bridge(p, q, s, {.ratio = r}); });
        });
      },
      nb::arg("augmented"), nb::arg("x"), nb::arg("y"), nb::kw_only(), default_of(ratio),
      doc("losses::brownian_bridge"));
  m.def(
      with,
      [=](Arg augmented, Arg x, Arg y, double r) -> BrownianBridgeGradientRecord {
        const Rows a(with, "augmented", augmented), b(with, "x", x), c(with, "y", y);
        expects_one_type(with, {&a, &b, &c});
        Output da(a.kind(), a.is_double(), a.rows(), a.cols()),
            dx(a.kind(), a.is_double(), b.rows(), b.cols()),
            dy(a.kind(), a.is_double(), c.rows(), c.cols());
        return by_type(a.is_double(), [&]<class T>() -> BrownianBridgeGradientRecord {
          const auto p = a.map<T>(), q = b.map<T>(), s = c.map<T>();
          BrownianBridgeGradient<Map<T>> out{0, da.map<T>(), dx.map<T>(), dy.map<T>()};
          run([&] {
            core::Workspace workspace;
            brownian_bridge_with_gradient(p, q, s, {.ratio = r}, workspace, out);
          });
          return {
              record("BrownianBridgeGradient", out.loss, da.finish(), dx.finish(), dy.finish())};
        });
      },
      nb::arg("augmented"), nb::arg("x"), nb::arg("y"), nb::kw_only(), default_of(ratio),
      doc("losses::brownian_bridge_with_gradient"));
}

void bind_augmented_consistency(nb::module_& m) {
  constexpr auto* name = "augmented_geometric_consistency";
  constexpr auto* with = "augmented_geometric_consistency_with_gradient";
  using Options = GeometricConsistencyOptions;
  m.def(
      name,
      [=](Arg x, Arg y, Arg xa, Arg ya, double cross, double within) -> double {
        const Rows a(name, "x", x), b(name, "y", y), c(name, "x_augmented", xa),
            d(name, "y_augmented", ya);
        expects_one_type(name, {&a, &b, &c, &d});
        const Options options{cross, within};
        return by_type(a.is_double(), [&]<class T>() {
          const auto p = a.map<T>(), q = b.map<T>(), r = c.map<T>(), s = d.map<T>();
          return run([&] { return augmented_geometric_consistency(p, q, r, s, options); });
        });
      },
      nb::arg("x"), nb::arg("y"), nb::arg("x_augmented"), nb::arg("y_augmented"), nb::kw_only(),
      default_of(FIELD(Options, cross_weight)), default_of(FIELD(Options, in_modal_weight)),
      doc("losses::augmented_geometric_consistency"));
  m.def(
      with,
      [=](Arg x, Arg y, Arg xa, Arg ya, double cross,
          double within) -> AugmentedConsistencyGradientRecord {
        const Rows a(with, "x", x), b(with, "y", y), c(with, "x_augmented", xa),
            d(with, "y_augmented", ya);
        expects_one_type(with, {&a, &b, &c, &d});
        const Options options{cross, within};
        const auto like = [&](const Rows& of) {
          return Output(a.kind(), a.is_double(), of.rows(), of.cols());
        };
        Output da = like(a), db = like(b), dc = like(c), dd = like(d);
        return by_type(a.is_double(), [&]<class T>() -> AugmentedConsistencyGradientRecord {
          const auto p = a.map<T>(), q = b.map<T>(), r = c.map<T>(), s = d.map<T>();
          AugmentedConsistencyGradient<Map<T>> out{0, da.map<T>(), db.map<T>(), dc.map<T>(),
                                                   dd.map<T>()};
          run([&] {
            core::Workspace workspace;
            augmented_geometric_consistency_with_gradient(p, q, r, s, options, workspace, out);
          });
          return {record("AugmentedConsistencyGradient", out.loss, da.finish(), db.finish(),
                         dc.finish(), dd.finish())};
        });
      },
      nb::arg("x"), nb::arg("y"), nb::arg("x_augmented"), nb::arg("y_augmented"), nb::kw_only(),
      default_of(FIELD(Options, cross_weight)), default_of(FIELD(Options, in_modal_weight)),
      doc("losses::augmented_geometric_consistency_with_gradient"));
}

template <class... M>
void bind_separation(nb::module_& m, Field<FeatureSeparationOptions, M>... fields) {
  constexpr auto* name = "feature_separation";
  constexpr auto* with = "feature_separation_with_gradient";
  using Options = FeatureSeparationOptions;
  m.def(
      name,
      [=](Arg x, Arg y, Arg xi, Arg yi, Arg xa, Arg ya, Given<M>... given) -> double {
        Options options;
        (set(options, name, fields, given), ...);
        const Rows a(name, "x", x), b(name, "y", y), c(name, "x_independent", xi),
            d(name, "y_independent", yi), e(name, "x_augmented", xa), f(name, "y_augmented", ya);
        expects_one_type(name, {&a, &b, &c, &d, &e, &f});
        return by_type(a.is_double(), [&]<class T>() {
          const auto p = a.map<T>(), q = b.map<T>(), r = c.map<T>(), s = d.map<T>(), t = e.map<T>(),
                     u = f.map<T>();
          return run([&] { return feature_separation(p, q, r, s, t, u, options); });
        });
      },
      nb::arg("x"), nb::arg("y"), nb::arg("x_independent"), nb::arg("y_independent"),
      nb::arg("x_augmented"), nb::arg("y_augmented"), nb::kw_only(), default_of(fields)...,
      doc("losses::feature_separation"));
  m.def(
      with,
      [=](Arg x, Arg y, Arg xi, Arg yi, Arg xa, Arg ya,
          Given<M>... given) -> FeatureSeparationGradientRecord {
        Options options;
        (set(options, with, fields, given), ...);
        const Rows a(with, "x", x), b(with, "y", y), c(with, "x_independent", xi),
            d(with, "y_independent", yi), e(with, "x_augmented", xa), f(with, "y_augmented", ya);
        expects_one_type(with, {&a, &b, &c, &d, &e, &f});
        const auto like = [&](const Rows& of) {
          return Output(a.kind(), a.is_double(), of.rows(), of.cols());
        };
        Output da = like(a), db = like(b), dc = like(c), dd = like(d), de = like(e), df = like(f);
        return by_type(a.is_double(), [&]<class T>() -> FeatureSeparationGradientRecord {
          const auto p = a.map<T>(), q = b.map<T>(), r = c.map<T>(), s = d.map<T>(), t = e.map<T>(),
                     u = f.map<T>();
          FeatureSeparationGradient<Map<T>> out{0,           da.map<T>(), db.map<T>(), dc.map<T>(),
                                                dd.map<T>(), de.map<T>(), df.map<T>(), 0};
          run([&] {
            core::Workspace workspace;
            feature_separation_with_gradient(p, q, r, s, t, u, options, workspace, out);
          });
          return {record("FeatureSeparationGradient", out.loss, da.finish(), db.finish(),
                         dc.finish(), dd.finish(), de.finish(), df.finish(), out.log_temperature)};
        });
      },
      nb::arg("x"), nb::arg("y"), nb::arg("x_independent"), nb::arg("y_independent"),
      nb::arg("x_augmented"), nb::arg("y_augmented"), nb::kw_only(), default_of(fields)...,
      doc("losses::feature_separation_with_gradient"));
}

}  // namespace

void bind_losses_of_pairs(nb::module_& m) {
  bind_enum<DclWeighting>(m, "DclWeighting", "Weights of the positives in decoupled_contrastive.");
  bind_enum<Denominator>(m, "Denominator", "Keys of feature_separation's contrast.");
  bind_enum<UniformityReading>(m, "UniformityReading", "How feature_separation adds uniformities.");

  bind_targets(m);
  bind_teacher(m);
  const auto softmax = [&](auto options, auto... loss) {
    using Options = decltype(options);
    bind_pair_loss<ContrastiveGradientRecord, TargetsArg>(
        m, loss..., as_contrastive, FIELD(Options, temperature), FIELD(Options, memory_budget),
        FIELD(Options, label_smoothing), FIELD(Options, exclude), FIELD(Options, row_weights));
  };
  softmax(InfoNceOptions{}, TARGET_LOSS(info_nce));
  softmax(InfoNceOptions{}, FLOAT_LOSS(info_nce_bf16));
  softmax(ClipOptions{}, TARGET_LOSS(clip));
  softmax(ClipOptions{}, FLOAT_LOSS(clip_bf16));
  bind_pair_loss<SiglipGradientRecord, TargetsArg>(
      m, TARGET_LOSS(siglip), as_siglip, FIELD(SiglipOptions, temperature),
      FIELD(SiglipOptions, bias), FIELD(SiglipOptions, memory_budget),
      FIELD(SiglipOptions, exclude), FIELD(SiglipOptions, row_weights));
  bind_pair_loss<MarginNceGradientRecord>(
      m, LOSS(margin_nce), as_margin_nce, FIELD(MarginNceOptions, temperature),
      FIELD(MarginNceOptions, margin), FIELD(MarginNceOptions, memory_budget));
  bind_pair_loss<ContrastiveGradientRecord>(m, LOSS(nt_xent), as_contrastive,
                                            FIELD(NtXentOptions, temperature),
                                            FIELD(NtXentOptions, memory_budget));
  using Dcl = DecoupledContrastiveOptions;
  bind_pair_loss<ContrastiveGradientRecord>(m, LOSS(decoupled_contrastive), as_contrastive,
                                            FIELD(Dcl, temperature), FIELD(Dcl, sigma),
                                            FIELD(Dcl, weighting), FIELD(Dcl, memory_budget));
  using Hard = HardNegativeOptions;
  bind_pair_loss<ContrastiveGradientRecord>(m, LOSS(hard_negative), as_contrastive,
                                            FIELD(Hard, temperature), FIELD(Hard, beta),
                                            FIELD(Hard, tau_plus), FIELD(Hard, memory_budget));
  bind_pair_loss<ContrastiveGradientRecord>(
      m, LOSS(cyclip), as_contrastive, FIELD(CyclipOptions, temperature),
      FIELD(CyclipOptions, cross_weight), FIELD(CyclipOptions, in_modal_weight),
      FIELD(CyclipOptions, memory_budget));
  using Consistency = GeometricConsistencyOptions;
  bind_pair_loss<PairGradientRecord>(m, LOSS(geometric_consistency), as_pair,
                                     FIELD(Consistency, cross_weight),
                                     FIELD(Consistency, in_modal_weight));
  bind_pair_loss<PairGradientRecord>(
      m, LOSS(align_uniform), as_pair, FIELD(AlignUniformOptions, alpha),
      FIELD(AlignUniformOptions, t), FIELD(AlignUniformOptions, align_weight),
      FIELD(AlignUniformOptions, uniform_weight));
  bind_pair_loss<PairGradientRecord>(
      m, LOSS(vicreg), as_pair, FIELD(VicregOptions, invariance_weight),
      FIELD(VicregOptions, variance_weight), FIELD(VicregOptions, covariance_weight),
      FIELD(VicregOptions, gamma), FIELD(VicregOptions, epsilon));

  bind_bridge(m);
  bind_augmented_consistency(m);
  using Separation = FeatureSeparationOptions;
  bind_separation(m, FIELD(Separation, temperature), FIELD(Separation, ortho_weight),
                  FIELD(Separation, contrast_weight), FIELD(Separation, uniformity_weight),
                  FIELD(Separation, denominator), FIELD(Separation, uniformity),
                  FIELD(Separation, memory_budget));

  m.def(
      "clamp_log_scale",
      [](double log_scale, double low, double high) -> ClampedLogScaleRecord {
        const auto clamped = clamp_log_scale(log_scale, low, high);
        return {record("ClampedLogScale", clamped.value, clamped.gradient)};
      },
      nb::arg("log_scale"), nb::arg("low") = 0.0, nb::arg("high") = 4.605170185988092,
      doc("losses::clamp_log_scale"));
}

}  // namespace spheremix::python
