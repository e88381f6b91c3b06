// Losses of two batches, and of more, without labels and mixing.
#include <array>

#include "losses.hpp"
#include "spheremix/losses/align_uniform.hpp"
#include "spheremix/losses/barlow_twins.hpp"
#include "spheremix/losses/brownian_bridge.hpp"
#include "spheremix/losses/clip.hpp"
#include "spheremix/losses/clip_bf16.hpp"
#include "spheremix/losses/cyclip.hpp"
#include "spheremix/losses/decoupled_contrastive.hpp"
#include "spheremix/losses/feature_separation.hpp"
#include "spheremix/losses/geometric_consistency.hpp"
#include "spheremix/losses/hard_negative.hpp"
#include "spheremix/losses/hn_nce.hpp"
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
        Output out = like(a);
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

/// An argument, once for each I.
template <std::size_t I>
struct Batch {
  using type = Arg;
};

/// A loss of the batches called names: value(options, batches...), gradient(options, workspace, out, batches...), where
/// out is a Gradient<Map<T>>, the loss before one map a batch. finish(out, gradients...) makes the record.
template <class Record, template <class> class Gradient, std::size_t... I, class Options,
          class Value, class Call, class Finish, class... M>
void bind_batches(nb::module_& m, std::index_sequence<I...>,
                  const std::array<const char*, sizeof...(I)>& names, const char* name,
                  const char* with, Options, Value value, Call gradient, Finish finish,
                  Field<Options, M>... fields) {
  const std::string documented = std::string("losses::") + name;
  m.def(
      name,
      [=](typename Batch<I>::type... batches, Given<M>... given) -> double {
        const auto options = options_of<Options>(name, setting(fields, given)...);
        const Rows rows[] = {Rows(name, names[I], batches)...};
        expects_one_type(name, {&rows[I]...});
        return by_type(rows[0].is_double(), [&]<class T>() {
          return run([&] { return value(options, rows[I].template map<T>()...); });
        });
      },
      nb::arg(names[I])..., nb::kw_only(), default_of(fields)..., doc(documented));
  m.def(
      with,
      [=](typename Batch<I>::type... batches, Given<M>... given) -> Record {
        const auto options = options_of<Options>(with, setting(fields, given)...);
        const Rows rows[] = {Rows(with, names[I], batches)...};
        expects_one_type(with, {&rows[I]...});
        Output to[] = {like(rows[0], rows[I])...};
        return by_type(rows[0].is_double(), [&]<class T>() -> Record {
          Gradient<Map<T>> out{0, to[I].template map<T>()...};
          run([&] {
            core::Workspace workspace;
            gradient(options, workspace, out, rows[I].template map<T>()...);
          });
          return {finish(out, to[I].finish()...)};
        });
      },
      nb::arg(names[I])..., nb::kw_only(), default_of(fields)...,
      doc(documented + "_with_gradient"));
}
template <class Record, template <class> class Gradient, std::size_t K, class... Others>
void bind_batch_loss(nb::module_& m, const std::array<const char*, K>& names,
                     const Others&... others) {
  bind_batches<Record, Gradient>(m, std::make_index_sequence<K>(), names, others...);
}

#define BATCH_LOSS(NAME, OPTIONS) \
#NAME, #NAME "_with_gradient", OPTIONS{},                                          \
      [](const auto& o, const auto&... batches) { return NAME(batches..., o); },     \
      [](const auto& o, auto& workspace, auto& out, const auto&... batches) {        \
        NAME##_with_gradient(batches..., o, workspace, out);                         \
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
      m, LOSS(hn_nce), as_contrastive, FIELD(HnNceOptions, temperature), FIELD(HnNceOptions, beta),
      FIELD(HnNceOptions, tau_plus), FIELD(HnNceOptions, memory_budget));
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
  bind_pair_loss<PairGradientRecord>(m, LOSS(barlow_twins), as_pair,
                                     FIELD(BarlowTwinsOptions, off_diagonal_weight),
                                     FIELD(BarlowTwinsOptions, epsilon));

  bind_batch_loss<BrownianBridgeGradientRecord, BrownianBridgeGradient>(
      m, std::array{"augmented", "x", "y"}, BATCH_LOSS(brownian_bridge, BrownianBridgeOptions),
      [](const auto& out, auto... d) { return record("BrownianBridgeGradient", out.loss, d...); },
      FIELD(BrownianBridgeOptions, ratio), FIELD(BrownianBridgeOptions, ratios));
  bind_batch_loss<AugmentedConsistencyGradientRecord, AugmentedConsistencyGradient>(
      m, std::array{"x", "y", "x_augmented", "y_augmented"},
      BATCH_LOSS(augmented_geometric_consistency, Consistency),
      [](const auto& out, auto... d) {
        return record("AugmentedConsistencyGradient", out.loss, d...);
      },
      FIELD(Consistency, cross_weight), FIELD(Consistency, in_modal_weight));
  using Separation = FeatureSeparationOptions;
  bind_batch_loss<FeatureSeparationGradientRecord, FeatureSeparationGradient>(
      m, std::array{"x", "y", "x_independent", "y_independent", "x_augmented", "y_augmented"},
      BATCH_LOSS(feature_separation, Separation),
      [](const auto& out, auto... d) {
        return record("FeatureSeparationGradient", out.loss, d..., out.log_temperature);
      },
      FIELD(Separation, temperature), FIELD(Separation, ortho_weight),
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
