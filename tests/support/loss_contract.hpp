// The laws that every loss of rows obeys, whatever it computes. One entry a loss (loss_cases), one
// check a law; what only a family promises is tested in its own file.
//
//   value        the value alone is the loss that comes with the gradients
//   gradient     its slope along any great circle is the gradient's
//   not finite   NaN or infinity in any row of any batch (not -infinity in logits of classes): never a
//                finite loss, never half a gradient
//   rows         every number of rows from 1 on: a loss, or an error that begins with its name
//   reversal     the order of the pairs does not matter
//   threads      the same bits for any number
//   budget       the same loss in the least memory; one byte less is an error that names it
//   memory       a second call allocates nothing, whatever the budget; no workspace grows above it
//   layout       the same bits for blocks, maps, column-major and transposed batches
//   16 bits      batches of Eigen::half or bfloat16: the bits of the same numbers in float
//   shapes       a batch with another number of rows or columns, no rows: an error that begins with
//                the name
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "spheremix/spheremix.hpp"
#include "support/sphere_points.hpp"

namespace spheremix::test {

/// What one call takes: batches of one shape, numbers a row, and settings that laws vary.
template <class T>
struct LossCall {
  std::vector<RowMatrix<T>> batches;
  Vector<T> lambda;                  ///< one a row, in [0, 1]
  Vector<double> label;              ///< one a row
  std::vector<Index> first, second;  ///< two classes a row, below d
  std::size_t budget = std::size_t(1) << 30;

  /// n rows that belong together loosely; nothing of them is symmetric.
  LossCall(std::size_t count, Index n, Index d) : lambda(n), label(n) {
    const RowMatrix<T> anchor = unit_rows<T>(n, d, 1);
    for (std::size_t k = 0; k < count; ++k) {
      const RowMatrix<T> other = unit_rows<T>(n, d, std::uint32_t(10 + k));
      batches.push_back(k == 0 ? anchor : unit_mean(anchor, other, 0.13 + 0.06 * double(k)));
    }
    for (Index i = 0; i < n; ++i) {
      lambda[i] = T((3 * i + 1) % 11) / T(11);
      label[i] = double((2 * i) % 5);
      first.push_back(i % d);
      second.push_back((3 * i + 1) % d);
    }
  }

  /// Rows [at, at + count): a rank's part. The settings stay.
  LossCall part(Index at, Index count) const {
    LossCall p = *this;
    for (auto& x : p.batches) x = RowMatrix<T>(x.middleRows(at, count));
    p.lambda = Vector<T>(lambda.segment(at, count));
    p.label = Vector<double>(label.segment(at, count));
    p.first.assign(first.begin() + at, first.begin() + at + count);
    p.second.assign(second.begin() + at, second.begin() + at + count);
    return p;
  }

  /// Lambdas of m3_mix, two of them one a row, without a copy.
  auto four() const {
    using View = Eigen::Map<const Vector<T>>;
    const View each(lambda.data(), lambda.size());
    return losses::MixLambdas<double, View, double, View>{0.3, each, 0.7, each};
  }

  /// The same pairs in the reverse order: the one that leaves the flip of the mixing losses alone.
  LossCall reversed() const {
    LossCall r = *this;
    for (auto& x : r.batches) x = RowMatrix<T>(x.colwise().reverse());
    r.lambda = Vector<T>(lambda.reverse());
    r.label = Vector<double>(label.reverse());
    std::reverse(r.first.begin(), r.first.end());
    std::reverse(r.second.begin(), r.second.end());
    return r;
  }

 private:
  static RowMatrix<T> unit_mean(const RowMatrix<T>& a, const RowMatrix<T>& b, double share) {
    LongMatrix m =
        (1 - share) * a.template cast<long double>() + share * b.template cast<long double>();
    for (Index i = 0; i < m.rows(); ++i) m.row(i) /= m.row(i).norm();
    return m.template cast<T>();
  }
};

/// What comes back: the loss, the gradient of each batch, and every other number.
template <class T>
struct LossOutcome {
  double loss = 0;
  std::vector<RowMatrix<T>> gradients;
  std::vector<double> numbers;
  std::vector<Vector<double>> per_row;  ///< dL/dlambda where lambda is one a row
};

/// Calls of one loss with a workspace and outputs of their own.
template <class T>
struct RepeatedLoss {
  std::function<void(const LossCall<T>&)> call;
  std::function<std::size_t()> held;  ///< bytes of the workspace
};

template <class T>
struct LossCase {
  std::string name;
  std::size_t batches;
  bool has_budget = true;
  std::function<double(const LossCall<T>&)> value;
  std::function<LossOutcome<T>(const LossCall<T>&)> gradient;
  std::function<RepeatedLoss<T>()> repeated;
  /// The gradients again from batches that are no row-major matrices: blocks of a wider one (0),
  /// column-major (1), transposed (2); of float the same numbers as Eigen::half (3), bfloat16 (4).
  std::function<LossOutcome<T>(const LossCall<T>&, int layout)> elsewhere;
#if defined(SPHEREMIX_TEST_RANKS)
  /// Of a rank's rows of a call, on one of several ranks; with the workspace of earlier calls.
  std::function<LossOutcome<T>(const LossCall<T>&, core::Workspace&, AnyRank&)> across;
  std::function<double(const LossCall<T>&, AnyRank&)> value_across;
#endif
};

namespace detail {

/// Numbers of a gradient struct besides its matrices.
template <class T, class Out>
void collect(const Out& out, LossOutcome<T>& to) {
  to.loss = out.loss;
  const auto add = [&](const auto& x) {
    if constexpr (requires { x.size(); })
      to.per_row.push_back(x.template cast<double>());
    else
      to.numbers.push_back(double(x));
  };
  if constexpr (requires { out.log_temperature; }) add(out.log_temperature);
  if constexpr (requires { out.log_mix_temperature; }) add(out.log_mix_temperature);
  if constexpr (requires { out.bias; }) add(out.bias);
  if constexpr (requires { out.margin; }) add(out.margin);
  if constexpr (requires { out.skipped; }) add(out.skipped);
  if constexpr (requires { out.active; }) add(out.active);
  if constexpr (requires { out.lambda.m2; }) {
    add(out.lambda.m2);
    add(out.lambda.v);
    add(out.lambda.l);
    add(out.lambda.vl);
  } else if constexpr (requires { out.lambda; }) {
    add(out.lambda);
  }
}

/// body(get(0), ..., get(K - 1)).
template <std::size_t K, class Get, class Body>
auto spread(const Get& get, const Body& body) {
  return [&]<std::size_t... I>(std::index_sequence<I...>) { return body(get(I)...); }
  (std::make_index_sequence<K>{});
}

/// Call has value(call, batches...), into(call, workspace, out, batches...), the type of `out`, and
/// fields(out), its matrices in the order of the batches.
template <class T, std::size_t K, class Call>
LossCase<T> loss_case() {
  const auto run = [](const LossCall<T>& call, const auto& get) {
    core::Workspace workspace;
    typename Call::template Gradient<T> out;
    spread<K>(get, [&](const auto&... x) { Call::into(call, workspace, out, x...); });
    LossOutcome<T> result;
    std::apply([&](const auto&... g) { (result.gradients.push_back(g), ...); }, Call::fields(out));
    collect(out, result);
    return result;
  };
  LossCase<T> c;
  c.name = Call::name;
  c.batches = K;
  c.value = [](const LossCall<T>& call) {
    return spread<K>([&](std::size_t k) -> const RowMatrix<T>& { return call.batches[k]; },
                     [&](const auto&... x) { return Call::value(call, x...); });
  };
  c.gradient = [run](const LossCall<T>& call) {
    return run(call, [&](std::size_t k) -> const RowMatrix<T>& { return call.batches[k]; });
  };
  c.repeated = [] {
    struct State {
      core::Workspace workspace;
      typename Call::template Gradient<T> out;
    };
    const auto state = std::make_shared<State>();
    return RepeatedLoss<T>{
        [state](const LossCall<T>& call) {
          spread<K>(
              [&](std::size_t k) -> const RowMatrix<T>& { return call.batches[k]; },
              [&](const auto&... x) { Call::into(call, state->workspace, state->out, x...); });
        },
        [state] { return state->workspace.capacity(); }};
  };
  c.elsewhere = [run](const LossCall<T>& call, int layout) {
    using Columns = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
    std::vector<RowMatrix<T>> wide;
    std::vector<Columns> columns, transposed;
    for (const auto& x : call.batches) {
      wide.push_back(RowMatrix<T>::Constant(x.rows() + 2, x.cols() + 5, T(7)));
      wide.back().block(1, 3, x.rows(), x.cols()) = x;
      columns.push_back(x);
      transposed.push_back(x.transpose());
    }
    const Index n = call.batches[0].rows(), d = call.batches[0].cols();
    if constexpr (std::is_same_v<T, float>) {
      const auto rounded = [&]<class H>(H) {
        return run(call,
                   [&](std::size_t k) { return RowMatrix<H>(call.batches[k].template cast<H>()); });
      };
      if (layout == 3) return rounded(Eigen::half());
      if (layout == 4) return rounded(Eigen::bfloat16());
    }
    if (layout == 0) return run(call, [&](std::size_t k) { return wide[k].block(1, 3, n, d); });
    if (layout == 1) return run(call, [&](std::size_t k) -> const Columns& { return columns[k]; });
    return run(call, [&](std::size_t k) { return transposed[k].transpose(); });
  };
#if defined(SPHEREMIX_TEST_RANKS)
  const auto batch = [](const LossCall<T>& call) {
    return [&call](std::size_t k) -> const RowMatrix<T>& { return call.batches[k]; };
  };
  c.across = [batch](const LossCall<T>& call, core::Workspace& workspace, AnyRank& rank) {
    typename Call::template Gradient<T> out;
    rank.around([&] {
      spread<K>(batch(call),
                [&](const auto&... x) { Call::across(call, workspace, out, rank, x...); });
    });
    LossOutcome<T> result;
    std::apply([&](const auto&... g) { (result.gradients.push_back(g), ...); }, Call::fields(out));
    collect(out, result);
    return result;
  };
  c.value_across = [batch](const LossCall<T>& call, AnyRank& rank) {
    double value = 0;
    rank.around([&] {
      value = spread<K>(batch(call),
                        [&](const auto&... x) { return Call::value_across(call, rank, x...); });
    });
    return value;
  };
#endif
  return c;
}

#define SPHEREMIX_UNWRAP(...) __VA_ARGS__

/// FUNCTION's Call: the type of its gradient struct, that struct's matrices, what follows the batches
/// x..., and its options, if it has any; c is the LossCall.
#define SPHEREMIX_LOSS(TAG, FUNCTION, GRADIENT, FIELDS, ARGUMENTS, ...)                       \
  struct TAG {                                                                                \
    static constexpr const char* name = #FUNCTION;                                            \
    template <class T>                                                                        \
    using Gradient = SPHEREMIX_UNWRAP GRADIENT;                                               \
    template <class Out>                                                                      \
    static auto fields(Out& o) {                                                              \
      return std::tie FIELDS;                                                                 \
    }                                                                                         \
    template <class C, class... X>                                                            \
    static double value(const C& c, const X&... x) {                                          \
      (void)c;                                                                                \
      return losses::FUNCTION(SPHEREMIX_UNWRAP ARGUMENTS __VA_OPT__(, ) __VA_ARGS__);         \
    }                                                                                         \
    template <class C, class Out, class... X>                                                 \
    static void into(const C& c, core::Workspace& workspace, Out& out, const X&... x) {       \
      (void)c;                                                                                \
      losses::FUNCTION##_with_gradient(SPHEREMIX_UNWRAP ARGUMENTS __VA_OPT__(, ) __VA_ARGS__, \
                                       workspace, out);                                       \
    }                                                                                         \
    template <class C, class World, class... X>                                               \
    static double value_across(const C& c, World& world, const X&... x) {                     \
      (void)c;                                                                                \
      return losses::FUNCTION(SPHEREMIX_UNWRAP ARGUMENTS __VA_OPT__(, ) __VA_ARGS__, world);  \
    }                                                                                         \
    template <class C, class Out, class World, class... X>                                    \
    static void across(const C& c, core::Workspace& workspace, Out& out, World& world,        \
                       const X&... x) {                                                       \
      (void)c;                                                                                \
      losses::FUNCTION##_with_gradient(SPHEREMIX_UNWRAP ARGUMENTS __VA_OPT__(, ) __VA_ARGS__, \
                                       workspace, out, world);                                \
    }                                                                                         \
  };

using namespace losses;

#define SPHEREMIX_XY (o.x, o.y)
#define SPHEREMIX_CONTRASTIVE (ContrastiveGradient<RowMatrix<T>>)
#define SPHEREMIX_MIX (MixGradient<RowMatrix<T>, Vector<T>>)
SPHEREMIX_LOSS(InfoNce, info_nce, SPHEREMIX_CONTRASTIVE, SPHEREMIX_XY, (x...),
               InfoNceOptions{.temperature = 0.3, .memory_budget = c.budget})
SPHEREMIX_LOSS(MarginNce, margin_nce, (MarginNceGradient<RowMatrix<T>>), SPHEREMIX_XY, (x...),
               MarginNceOptions{.temperature = 0.3, .memory_budget = c.budget})
SPHEREMIX_LOSS(Clip, clip, SPHEREMIX_CONTRASTIVE, SPHEREMIX_XY, (x...),
               ClipOptions{.temperature = 0.3, .memory_budget = c.budget})
SPHEREMIX_LOSS(InfoNceIds, info_nce, SPHEREMIX_CONTRASTIVE, SPHEREMIX_XY,
               (x..., ids(c.first, c.second)),
               InfoNceOptions{
                   .temperature = 0.3, .memory_budget = c.budget, .label_smoothing = 0.1})
SPHEREMIX_LOSS(ClipIds, clip, SPHEREMIX_CONTRASTIVE, SPHEREMIX_XY, (x..., ids(c.first, c.second)),
               ClipOptions{.temperature = 0.3, .memory_budget = c.budget, .label_smoothing = 0.1})
SPHEREMIX_LOSS(ClipExcludes, clip, SPHEREMIX_CONTRASTIVE, SPHEREMIX_XY, (x...),
               ClipOptions{.temperature = 0.3,
                           .memory_budget = c.budget,
                           .label_smoothing = 0.1,
                           .exclude = ids(c.first, c.second)})
SPHEREMIX_LOSS(SiglipIds, siglip, (SiglipGradient<RowMatrix<T>>), SPHEREMIX_XY,
               (x..., ids(c.first, c.first)),
               SiglipOptions{.temperature = 0.3,
                             .bias = -1,
                             .memory_budget = c.budget,
                             .exclude = ids(c.first, c.second)})
SPHEREMIX_LOSS(Siglip, siglip, (SiglipGradient<RowMatrix<T>>), SPHEREMIX_XY, (x...),
               SiglipOptions{.temperature = 0.3, .bias = -1, .memory_budget = c.budget})
SPHEREMIX_LOSS(NtXent, nt_xent, SPHEREMIX_CONTRASTIVE, SPHEREMIX_XY, (x...),
               NtXentOptions{.temperature = 0.3, .memory_budget = c.budget})
SPHEREMIX_LOSS(Dcl, decoupled_contrastive, SPHEREMIX_CONTRASTIVE, SPHEREMIX_XY, (x...),
               DecoupledContrastiveOptions{.temperature = 0.3,
                                           .weighting = DclWeighting::von_mises_fisher,
                                           .memory_budget = c.budget})
SPHEREMIX_LOSS(HardNegative, hard_negative, SPHEREMIX_CONTRASTIVE, SPHEREMIX_XY, (x...),
               HardNegativeOptions{.memory_budget = c.budget})
SPHEREMIX_LOSS(HnNce, hn_nce, SPHEREMIX_CONTRASTIVE, SPHEREMIX_XY, (x...),
               HnNceOptions{.temperature = 0.3, .memory_budget = c.budget})
SPHEREMIX_LOSS(Cyclip, cyclip, SPHEREMIX_CONTRASTIVE, SPHEREMIX_XY, (x...),
               CyclipOptions{.temperature = 0.3, .memory_budget = c.budget})
SPHEREMIX_LOSS(Consistency, geometric_consistency, (PairGradient<RowMatrix<T>>), SPHEREMIX_XY,
               (x...), GeometricConsistencyOptions{.cross_weight = 0.5})
SPHEREMIX_LOSS(AugmentedConsistency, augmented_geometric_consistency,
               (AugmentedConsistencyGradient<RowMatrix<T>>),
               (o.x, o.y, o.x_augmented, o.y_augmented), (x...), GeometricConsistencyOptions{})
SPHEREMIX_LOSS(Bridge, brownian_bridge, (BrownianBridgeGradient<RowMatrix<T>>),
               (o.augmented, o.x, o.y), (x...), BrownianBridgeOptions{})
SPHEREMIX_LOSS(Vicreg, vicreg, (PairGradient<RowMatrix<T>>), SPHEREMIX_XY, (x...), VicregOptions{})
SPHEREMIX_LOSS(Barlow, barlow_twins, (PairGradient<RowMatrix<T>>), SPHEREMIX_XY, (x...),
               BarlowTwinsOptions{})
SPHEREMIX_LOSS(AlignUniform, align_uniform, (PairGradient<RowMatrix<T>>), SPHEREMIX_XY, (x...),
               AlignUniformOptions{})
SPHEREMIX_LOSS(Separation, feature_separation, (FeatureSeparationGradient<RowMatrix<T>>),
               (o.x, o.y, o.x_independent, o.y_independent, o.x_augmented, o.y_augmented), (x...),
               FeatureSeparationOptions{.temperature = 0.3, .memory_budget = c.budget})
SPHEREMIX_LOSS(M2Mix, m2_mix, SPHEREMIX_MIX, SPHEREMIX_XY, (x..., c.lambda),
               M2MixOptions{.temperature = 0.3, .memory_budget = c.budget})
SPHEREMIX_LOSS(ClipM2Mix, clip_m2_mix, (TwoTemperatureGradient<RowMatrix<T>, Vector<T>>),
               SPHEREMIX_XY, (x..., c.lambda),
               ClipM2MixOptions{
                   .temperature = 0.3, .mix_temperature = 0.4, .memory_budget = c.budget})
SPHEREMIX_LOSS(VMix, v_mix, SPHEREMIX_MIX, SPHEREMIX_XY, (x..., c.lambda),
               VMixOptions{.temperature = 0.3, .memory_budget = c.budget})
SPHEREMIX_LOSS(LMix, l_mix, SPHEREMIX_MIX, SPHEREMIX_XY, (x..., c.lambda),
               LMixOptions{.temperature = 0.3, .memory_budget = c.budget})
SPHEREMIX_LOSS(VlMix, vl_mix, SPHEREMIX_MIX, SPHEREMIX_XY, (x..., c.lambda),
               VlMixOptions{
                   .temperature = 0.3, .targets = VlTargets::released, .memory_budget = c.budget})
SPHEREMIX_LOSS(
    M3Mix, m3_mix,
    (TwoTemperatureGradient<RowMatrix<T>, MixLambdas<double, Vector<T>, double, Vector<T>>>),
    SPHEREMIX_XY, (x..., c.four()),
    M3MixOptions{.temperature = 0.3, .mix_temperature = 0.4, .memory_budget = c.budget})
SPHEREMIX_LOSS(SupCon, sup_con, (SupervisedGradient<RowMatrix<T>>), (o.x), (x..., c.label),
               SupConOptions{.temperature = 0.3, .memory_budget = c.budget})
SPHEREMIX_LOSS(SupRemix, sup_remix, (SupervisedGradient<RowMatrix<T>>), (o.x), (x..., c.label, 0.3),
               SupRemixOptions{
                   .temperature = 0.3, .window = 1.5, .detach = false, .memory_budget = c.budget})
SPHEREMIX_LOSS(RankNContrast, rank_n_contrast, (SupervisedGradient<RowMatrix<T>>), (o.x),
               (x..., c.label), RankNContrastOptions{.memory_budget = c.budget})
SPHEREMIX_LOSS(Triplets, triplet, (TripletGradient<RowMatrix<T>>), (o.x), (x..., c.label),
               TripletOptions{.memory_budget = c.budget})
SPHEREMIX_LOSS(MixupCrossEntropy, mixup_cross_entropy,
               (MixedLabelGradient<RowMatrix<T>, Vector<T>>), (o.logits),
               (x..., c.first, c.second, c.lambda))
SPHEREMIX_LOSS(DecoupledMixup, decoupled_mixup, (MixedLabelGradient<RowMatrix<T>, Vector<T>>),
               (o.logits), (x..., c.first, c.second, c.lambda), DecoupledMixupOptions{})
#undef SPHEREMIX_XY
#undef SPHEREMIX_CONTRASTIVE
#undef SPHEREMIX_MIX
#undef SPHEREMIX_LOSS
#undef SPHEREMIX_UNWRAP

}  // namespace detail

/// Every loss of rows, and some again with targets of their own.
template <class T>
std::vector<LossCase<T>> loss_cases(bool with_targets = true) {
  using namespace detail;
  std::vector<LossCase<T>> all{loss_case<T, 2, InfoNce>(),
                               loss_case<T, 2, MarginNce>(),
                               loss_case<T, 2, Clip>(),
                               loss_case<T, 2, Siglip>(),
                               loss_case<T, 2, NtXent>(),
                               loss_case<T, 2, Dcl>(),
                               loss_case<T, 2, HardNegative>(),
                               loss_case<T, 2, Cyclip>(),
                               loss_case<T, 2, Consistency>(),
                               loss_case<T, 4, AugmentedConsistency>(),
                               loss_case<T, 3, Bridge>(),
                               loss_case<T, 2, Vicreg>(),
                               loss_case<T, 2, AlignUniform>(),
                               loss_case<T, 6, Separation>(),
                               loss_case<T, 2, M2Mix>(),
                               loss_case<T, 2, ClipM2Mix>(),
                               loss_case<T, 2, VMix>(),
                               loss_case<T, 2, LMix>(),
                               loss_case<T, 2, VlMix>(),
                               loss_case<T, 2, M3Mix>(),
                               loss_case<T, 1, SupCon>(),
                               loss_case<T, 1, SupRemix>(),
                               loss_case<T, 2, HnNce>(),
                               loss_case<T, 2, Barlow>(),
                               loss_case<T, 1, RankNContrast>(),
                               loss_case<T, 1, Triplets>(),
                               loss_case<T, 1, MixupCrossEntropy>(),
                               loss_case<T, 1, DecoupledMixup>()};
  if (with_targets)
    for (LossCase<T> c : {loss_case<T, 2, InfoNceIds>(), loss_case<T, 2, ClipIds>(),
                          loss_case<T, 2, ClipExcludes>(), loss_case<T, 2, SiglipIds>()})
      all.push_back(c);
  // Losses that take no budget: to them any is enough.
  for (LossCase<T>& c : all)
    for (const char* name :
         {"geometric_consistency", "augmented_geometric_consistency", "brownian_bridge", "vicreg",
          "barlow_twins", "align_uniform", "mixup_cross_entropy", "decoupled_mixup"})
      if (c.name == name) c.has_budget = false;
  return all;
}

}  // namespace spheremix::test
