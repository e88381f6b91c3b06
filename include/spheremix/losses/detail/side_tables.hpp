// V-Mix, L-Mix and VL-Mix from views: rows mixed with their partners inside a modality, against
// soft targets.
#pragma once

#include "spheremix/core/compiled.hpp"
#include "spheremix/formula/partner_mix.hpp"
#include "spheremix/losses/detail/mix_table.hpp"
#include "spheremix/losses/detail/mixing.hpp"

namespace spheremix::losses {

namespace detail {

/// One loss with mixed sides as part of a larger one; gradients are added to what is there.
template <class T>
struct SideCall {
  const char* function;
  MatrixView<const T> x, y;
  RowParameter<T> lambda;
  const std::vector<Index>& partners;
  double temperature;
  double weight = 1;
  bool mix_x = true, mix_y = false;
  VlTargets targets = VlTargets::identity;  ///< when both sides are mixed
  const MixExtras* extras = nullptr;
  bool exchanged = false;  ///< are these rows of Y and rows of X?
};

/// The partners and lambda of a call, by row.
template <class T>
struct SidePartners {
  const SideCall<T>& call;
  Index to(Index i) const { return partner_of(call.partners, call.x.rows, i); }
};
template <class T>
struct SideLambda {
  const SideCall<T>& call;
  double operator()(Index i) const { return double(call.lambda[i]); }
};

/// A side of the table: the rows themselves, or mixed with their partners'.
template <class T>
struct Side {
  MatrixView<const T> rows;          ///< as given
  MatrixView<T> mixed{}, partner{};  ///< partner's rows as b, own rows as a
  MatrixView<T> gradient{};          ///< dL/d(mixed)
  bool is_mixed = false;

  MatrixView<const T> table() const { return is_mixed ? MatrixView<const T>(mixed) : rows; }
};

template <class T>
Side<T> take_side(MatrixView<const T> rows, bool is_mixed, bool gradients,
                  Workspace::Frame& frame) {
  Side<T> side{rows};
  side.is_mixed = is_mixed;
  if (!is_mixed) return side;
  side.mixed = take_rows<T>(frame, rows.rows, rows.cols);
  side.partner = take_rows<T>(frame, rows.rows, rows.cols);
  if (gradients) side.gradient = take_rows<T>(frame, rows.rows, rows.cols);
  return side;
}

/// The arrays of one call besides the sweeps' own.
template <class T>
struct SideArrays {
  Side<T> x, y;
  Index* special;                    ///< two a row: itself and its partner
  double *target, *target_gradient;  ///< of each of them
  T* scratch;
  ContrastArrays<T> contrast;
  std::optional<MixTable<T>> table;

  SideArrays(const SideCall<T>& call, bool gradients, Workspace::Frame& frame)
      : x(take_side(call.x, call.mix_x, gradients, frame)),
        y(take_side(call.y, call.mix_y, gradients, frame)),
        special(frame.take<Index>(std::size_t(2 * call.x.rows))),
        target(frame.take<double>(std::size_t(2 * call.x.rows))),
        target_gradient(frame.take<double>(std::size_t(2 * call.x.rows))),
        scratch(frame.take<T>(std::size_t(call.x.rows))),
        contrast(call.x.rows, call.x.rows, 2, true, gradients, frame) {
    if (call.extras) table.emplace(*call.extras, frame);
  }
};

/// other_bytes: of the budget, what the caller needs itself.
template <class T>
pairwise::Plan<T> side_plan(const SideCall<T>& call, bool gradients, std::size_t budget,
                            std::size_t other_bytes) {
  using Policy = formula::SoftmaxPair<T, true, true>;
  return pairwise::make_plan<T>(call.function, call.x.rows, call.x.rows, call.x.cols,
                                pairwise::keep_for<Policy>(gradients), budget,
                                other_bytes + core::bytes_of<SideArrays<T>>(call, gradients));
}

/// The mixtures of a mixed side.
template <class T>
void mix_side(const SideCall<T>& call, const Side<T>& side) {
  if (!side.is_mixed) return;
  const Index n = side.rows.rows, d = side.rows.cols;
  for (Index i = 0; i < n; ++i)
    std::copy_n(side.rows.row(partner_of(call.partners, n, i)), d, side.partner.row(i));
  mix_rows<T>(call.function, side.rows, side.partner, call.lambda, side.mixed);
}

/// dL/d(rows) from dL/d(mixed): rows' own part in place, the partners' parts added in the order of
/// the rows.
template <class T>
void pull_side_back(const SideCall<T>& call, const Side<T>& side, MatrixView<T> to, bool add,
                    T* scratch, double* out_lambda) {
  if (!side.is_mixed) return;
  const Index n = to.rows, d = to.cols;
  mix_rows_vjp<T>(side.rows, side.partner, call.lambda, side.gradient, side.gradient, side.partner,
                  scratch, out_lambda);
  put_rows<T>(to, side.gradient, add);
  for (Index i = 0; i < n; ++i) {
    T* row = to.row(partner_of(call.partners, n, i));
    const T* part = side.partner.row(i);
    for (Index k = 0; k < d; ++k) row[k] += part[k];
  }
}

/// Value, and with out.dx gradients. Both directions, each half of the mean over its lines.
template <class T>
ContrastResult run_side(const SideCall<T>& call, const pairwise::Plan<T>& plan,
                        Workspace::Frame frame, const pairwise::PairGradients<T>& out,
                        double* out_lambda) {
  const Index n = call.x.rows;
  const bool gradients = out.dx.data != nullptr, both = call.mix_x && call.mix_y;
  const SideArrays<T> arrays(call, gradients, frame);
  const auto& [x, y, special, target, target_gradient, scratch, memory, table] = arrays;
  mix_side(call, x);
  mix_side(call, y);
  std::fill(target_gradient, target_gradient + 2 * n, 0.0);
  using Targets = formula::PartnerTargets<double, SideLambda<T>, SidePartners<T>>;
  const Targets targets{partner_weights(both, call.targets), {call}, {call}};
  put_apart(targets, n, special, target);
  Contrast<T> contrast{.x = x.table(),
                       .y = y.table(),
                       .temperature = call.temperature,
                       .weight = 0.5 * call.weight,
                       .slot_count = Targets::kSlots,
                       .target_slots = Targets::kTargets,
                       .special = special,
                       .targets = target,
                       .target_gradient = target_gradient};
  pairwise::TileSteps<T> steps;
  if (table) table->put(contrast, call.exchanged, steps);
  pairwise::PairGradients<T> to{};
  if (gradients)
    to = {call.mix_x ? x.gradient : out.dx, call.mix_y ? y.gradient : out.dy,
          !call.mix_x && out.add_x, !call.mix_y && out.add_y};
  const ContrastResult result = run_contrast<T, true>(contrast, memory, plan, frame, to);
  if (!gradients) return result;
  pull_side_back(call, x, out.dx, out.add_x, scratch, out_lambda);
  pull_side_back(call, y, out.dy, out.add_y, scratch, out_lambda);
  if (targets.mixed())  // lambda and 1 - lambda move with lambda too
    for (Index i = 0; i < n; ++i)
      if (targets.second(i)) out_lambda[i] += target_gradient[2 * i] - target_gradient[2 * i + 1];
  return result;
}

}  // namespace detail
}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_SIDE_TABLES(T)                                                          \
  ContrastResult run_side(const SideCall<T>&, const pairwise::Plan<T>&, Workspace::Frame, \
                          const pairwise::PairGradients<T>&, double*)
SPHEREMIX_ELSEWHERE(SPHEREMIX_SIDE_TABLES)
}  // namespace spheremix::losses::detail
