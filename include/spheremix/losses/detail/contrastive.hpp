// What the contrastive losses share: results, checks, and one run of both sweeps with soft targets.
#pragma once

#include <cmath>
#include <cstddef>
#include <stdexcept>

#include "spheremix/core/compiled.hpp"
#include "spheremix/core/lanes.hpp"
#include "spheremix/formula/results.hpp"
#include "spheremix/formula/set_apart.hpp"
#include "spheremix/formula/softmax_pair.hpp"
#include "spheremix/formula/targets.hpp"
#include "spheremix/losses/detail/entry.hpp"
#include "spheremix/losses/detail/soft_targets.hpp"
#include "spheremix/losses/temperature.hpp"  // the clamp comes with every loss of a temperature
#include "spheremix/pairwise/norms.hpp"
#include "spheremix/pairwise/softmax_sweeps.hpp"

namespace spheremix::losses {

namespace detail {

using core::row_product;

/// Of a table on one of several ranks, the columns that are other ranks' (losses/detail/pair_ring.hpp).
template <class T>
struct ContrastRing {
  Index columns;          ///< of the largest block
  double lines;           ///< rows of all ranks
  double x_norm, y_norm;  ///< pairwise::largest_norm of all rows
  bool gradients;         ///< are any wanted? An empty block has none to show it.
  std::size_t held;       ///< bytes that blocks take

  virtual std::size_t bytes(Index n, bool cols) const = 0;  ///< that sweeps take besides
  virtual double sweeps(const pairwise::PairTable<T>& table,
                        const formula::SoftmaxPair<T, true, false>& policy,
                        const pairwise::Plan<T>& plan, const Workspace::Frame& frame,
                        const pairwise::SoftmaxStatistics<T>& stats,
                        const pairwise::SoftmaxWeights<T>& weights, SoftTargetRows<T>& finish,
                        const pairwise::PairGradients<T>& out) const = 0;
  virtual double sweeps(const pairwise::PairTable<T>& table,
                        const formula::SoftmaxPair<T, true, true>& policy,
                        const pairwise::Plan<T>& plan, const Workspace::Frame& frame,
                        const pairwise::SoftmaxStatistics<T>& stats,
                        const pairwise::SoftmaxWeights<T>& weights, SoftTargetLines<T>& finish,
                        const pairwise::PairGradients<T>& out) const = 0;

 protected:
  ~ContrastRing() = default;
};

/// plan(budget) beside blocks that hold some of it.
template <class Plan>
auto plan_beside(std::size_t held, std::size_t budget, const Plan& plan) {
  if (held == 0) return plan(budget);
  try {
    return plan(core::budget_left(budget, held));
  } catch (const std::invalid_argument&) {  // too little is left
    return plan(budget);
  }
}

/// The plan of a table of n x m pairs, m of the largest block where there is a ring.
template <class Policy, class T>
pairwise::Plan<T> make_plan_on(const ContrastRing<T>* ring, const char* function, Index n, Index m,
                               Index depth, bool gradients, std::size_t budget, std::size_t bytes) {
  if (ring) m = ring->columns, bytes += ring->bytes(n, Policy::kCols);
  const auto keep = ring && gradients ? pairwise::Keep::all : pairwise::keep_for<Policy>(gradients);
  return plan_beside(ring ? ring->held : 0, budget, [&](std::size_t left) {
    return pairwise::make_plan<T>(function, n, m, depth, keep, left, bytes);
  });
}

/// One table of pairs with its targets.
template <class T>
struct Contrast {
  MatrixView<const T> x, y;
  double temperature;
  double weight;  ///< of the mean over lines: 1 for info_nce, 1/2 for each direction of clip
  Index slot_count = 1, target_slots = 1;  ///< of a row, set apart (formula/set_apart.hpp)
  const Index* special = nullptr;          ///< n x slot_count
  const double* targets = nullptr;         ///< n x slot_count weights, or null: 1
  const T* outside = nullptr;              ///< n cosines of the targets marked kOutside
  double* target_gradient = nullptr;       ///< n x slot_count, or null: dL/d(target) is added here
  T margin = 0;                            ///< off the cosine of every special pair
  const double* line = nullptr;            ///< weights of rows, and of columns, n; null: 1
  double lines = 0;                        ///< what a mean divides by; 0: n
  const pairwise::TileSteps<T>* steps = nullptr;
  const ContrastRing<T>* ring = nullptr;  ///< X and Y are this rank's, special pairs among those
};

/// The columns of the pairs that an instance of formula/set_apart.hpp sets apart from n rows, and
/// their weights.
template <class Pairs>
void put_apart(const Pairs& pairs, Index n, Index* special, double* weight = nullptr) {
  for (Index i = 0; i < n; ++i)
    for (Index c = 0; c < Pairs::kSlots; ++c) {
      *special++ = pairs.column(i, c);
      if (weight) *weight++ = pairs.weight(i, c);
    }
}

/// What a call says of targets beyond the diagonal; null and 0: nothing.
struct TargetOptions {
  const Targets* targets;
  const Targets* exclude;
  const std::vector<double>* row_weights;
  double smoothing = 0;
  double *row_losses = nullptr, *col_losses = nullptr;  ///< n, m: where each line's loss goes

  template <class Options>
  explicit TargetOptions(const Options& options, const Targets* of = nullptr)
      : targets(of),
        exclude(options.exclude ? &*options.exclude : nullptr),
        row_weights(options.row_weights.empty() ? nullptr : &options.row_weights) {
    if constexpr (requires { options.label_smoothing; }) smoothing = options.label_smoothing;
  }

  /// Sizes the fields row_losses and col_losses of `out`, where it has them.
  template <class Out>
  void want_losses(const char* function, Out& out, Index n, Index m) {
    if constexpr (requires { out.row_losses; })
      row_losses = sized(function, "out.row_losses", out.row_losses, n);
    if constexpr (requires { out.col_losses; })
      col_losses = sized(function, "out.col_losses", out.col_losses, m);
  }

  bool plain() const {
    return !targets && !exclude && !row_weights && smoothing == 0 && !row_losses && !col_losses;
  }

 private:
  /// Eigen's maps and fixed sizes have a resize that must not be called.
  template <class V>
  static constexpr bool resizable = [] {
    if constexpr (requires { typename V::PlainObject; })
      return std::is_base_of_v<Eigen::PlainObjectBase<V>, V> && V::IsVectorAtCompileTime &&
             V::SizeAtCompileTime == Eigen::Dynamic;
    else
      return requires(V & v, Index size) { v.resize(std::size_t(size)); };
  }();
  template <class V>
  static double* sized(const char* function, const char* name, V& v, Index size) {
    if constexpr (resizable<V>)
      if (Index(v.size()) != size) v.resize(decltype(v.size())(size));
    core::expects_size(function, name, Index(v.size()), size);
    static double none;  // without rows there is no memory, but losses are asked for, too
    return size > 0 ? v.data() : &none;
  }
};

/// A loss of X and Y whose targets may be others than the diagonal. More: without them, may Y have
/// further rows?
template <class Loss, bool More, class Base = OfTwoBatches>
struct OfTargets : Base {
  TargetOptions targets;

  template <class Options>
  OfTargets(const Options& options, const Targets* of) : targets(options, of) {}

  /// For a call into `out`, which may ask for the losses of lines.
  template <class Out, class T>
  Loss to(const char* function, Out& out, const Inputs<T, 2>& in) const {
    Loss loss = static_cast<const Loss&>(*this);
    loss.targets.want_losses(function, out, in[0].rows, in[1].rows);
    return loss;
  }
  template <class Out>
  static auto fields(Out& out) {
    return fields_if_there(out);
  }
  template <class T>
  void expects(const char* function, const Inputs<T, 2>& in) const {
    expects_table(function, in, targets.targets != nullptr, More);
  }
};

/// What comes back besides the gradients.
struct ContrastResult {
  double loss = 0;
  double log_temperature = 0;  ///< of this table
  const double* special =
      nullptr;  ///< n x slot_count: dL/dS of the special pairs, while the frame lives

  template <class Out>
  void put(Out& out) const {
    out.loss = loss;
    out.log_temperature = log_temperature;
  }
};

/// Of a loss without a temperature.
struct LossResult {
  double loss;

  template <class Out>
  void put(Out& out) const {
    out.loss = loss;
  }
};

/// A loss and its part of dL/d ln(tau) for each of n lines.
struct LineResults {
  double *loss, *moment;

  LineResults(Index n, Workspace::Frame& frame)
      : loss(frame.take<double>(std::size_t(n))), moment(frame.take<double>(std::size_t(n))) {
    if (frame.share()) std::fill_n(loss, n, 0.0), std::fill_n(moment, n, 0.0);
  }
};

/// The arrays of one run besides the sweeps' own.
template <class T>
struct ContrastArrays {
  pairwise::SoftmaxStatistics<T> stats{};
  pairwise::SoftmaxWeights<T> weights{};
  formula::ApartEntries<T>* lines = nullptr;

  ContrastArrays(Index n, Index m, Index slot_count, bool cols, bool gradients,
                 Workspace::Frame& frame) {
    const auto take = [&]<class U>(U*& array, Index count) {
      array = frame.take<U>(std::size_t(count));
    };
    take(stats.row_max, n);
    take(stats.row_sum, n);
    take(stats.special, n * slot_count);
    if (gradients) {
      take(weights.row_shift, n);
      take(weights.row_scale, n);
      take(weights.special, n * slot_count);
    }
    if (!cols) return;
    take(stats.col_max, m);
    take(stats.col_sum, m);
    take(lines, m);
    if (gradients) {
      take(weights.col_shift, m);
      take(weights.col_scale, m);
    }
  }
};

/// Throws unless tau > 0 and 1/tau is finite in T.
template <class T>
void expects_temperature(const char* function, const char* name, double tau) {
  core::expects(tau > 0 && std::isfinite(tau) && T(1 / tau) > 0 && std::isfinite(T(1 / tau)),
                function, name, " is ", tau,
                ", which must be positive and neither it nor its inverse may overflow");
}

/// Can the table be computed? False when a component is not finite or a logit would overflow: the
/// loss and its gradients are NaN then.
template <class T>
bool computable(double x_norm, double y_norm, double temperature) {
  const double bound = x_norm * y_norm;
  return bound * (std::max)(1.0, 1 / temperature) < 0.25 * double(core::largest<T>);
}
template <class T>
bool computable(MatrixView<const T> x, MatrixView<const T> y, double temperature,
                const std::type_identity_t<ContrastRing<T>>* ring = nullptr) {
  if (ring) return computable<T>(ring->x_norm, ring->y_norm, temperature);
  return computable<T>(pairwise::largest_norm(x), pairwise::largest_norm(y), temperature);
}
/// Of X and Y, those of all ranks where there are several.
template <class T>
bool computable(const Inputs<T, 2>& in, double temperature) {
  return in.strip ? computable<T>(in.strip->x_norm, in.strip->y_norm, temperature)
                  : computable(in[0], in[1], temperature);
}

template <class T>
void fill_nan(MatrixView<T> x) {
  if (x.data) x.fill(core::nan<T>);
}

/// Runs the table through both sweeps (the first alone unless out.wanted()). arrays: for the shape of
/// the table, with columns if Cols and with gradients if out.wanted().
template <class T, bool Cols, class Products = pairwise::PlainProducts>
ContrastResult run_contrast(const Contrast<T>& contrast, const ContrastArrays<T>& arrays,
                            const pairwise::Plan<T>& plan, Workspace::Frame& frame,
                            const pairwise::PairGradients<T>& out) {
  const Index n = contrast.x.rows, slot_count = contrast.slot_count;
  const ContrastRing<T>* const ring = contrast.ring;
  const bool gradients = ring ? ring->gradients : out.wanted();
  const auto& stats = arrays.stats;
  const auto& weights = arrays.weights;
  const pairwise::PairTable<T> table{contrast.x,       contrast.y, slot_count,
                                     contrast.special, nullptr,    contrast.steps};
  if (contrast.outside)
    for (Index i = 0; i < n * slot_count; ++i)
      if (contrast.special[i] == formula::kOutside)
        stats.special[i] = contrast.outside[i / slot_count];
  const T scale = T(1 / contrast.temperature);
  const SpecialTargets<T> targets{table,        contrast.targets,         contrast.target_slots,
                                  scale,        contrast.target_gradient, contrast.margin,
                                  contrast.line};
  const double line_weight = contrast.weight / (contrast.lines > 0 ? contrast.lines : double(n));
  const formula::SoftmaxPair<T, true, Cols> policy{scale, T(line_weight),
                                                   Cols ? T(line_weight) : T(0)};

  ContrastResult result;
  double moment = 0;
  const auto run = [&](auto finish) {
    moment = ring ? ring->sweeps(table, policy, plan, frame, stats, weights, finish, out)
                  : pairwise::softmax_sweeps<Products>(table, policy, plan, frame, stats, weights,
                                                       finish, out);
    result.loss = finish.loss();
  };
  if constexpr (Cols)
    run(SoftTargetLines<T>(targets, line_weight, stats, weights, arrays.lines));
  else
    run(SoftTargetRows<T>(targets, line_weight, stats, weights));
  if (gradients) {
    result.special = weights.special;
    const auto rows = plan.part(frame.share());
    for (Index i = rows.from * slot_count; i < rows.to * slot_count; ++i)
      if (targets.present(i / slot_count, i % slot_count))
        moment += weights.special[i] * double(stats.special[i]);
    result.log_temperature = -moment;
  }
  return result;
}

}  // namespace detail
}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_CONTRAST_OF_ROWS(T)                                                 \
  ContrastResult run_contrast<T, false>(const Contrast<T>&, const ContrastArrays<T>&, \
                                        const pairwise::Plan<T>&, Workspace::Frame&,  \
                                        const pairwise::PairGradients<T>&)
SPHEREMIX_ELSEWHERE(SPHEREMIX_CONTRAST_OF_ROWS)
#define SPHEREMIX_CONTRAST_OF_BOTH(T)                                                \
  ContrastResult run_contrast<T, true>(const Contrast<T>&, const ContrastArrays<T>&, \
                                       const pairwise::Plan<T>&, Workspace::Frame&,  \
                                       const pairwise::PairGradients<T>&)
SPHEREMIX_ELSEWHERE(SPHEREMIX_CONTRAST_OF_BOTH)
}  // namespace spheremix::losses::detail
