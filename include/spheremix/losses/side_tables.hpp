// V-Mix, L-Mix and VL-Mix from views: rows mixed with their partners inside a modality, against
// soft targets.
#pragma once

#include "spheremix/losses/mixing.hpp"

namespace spheremix::losses {

/// What VL-Mix takes for the true pairs.
enum class VlTargets {
  identity,  ///< row i with row i
  released,  ///< row i with row i and with its partner's, as the authors' code has it
};

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
};

/// Bytes of the arrays of one call without the sweeps' own: for each mixed side the mixture, the
/// partners' rows and, with gradients, its gradient.
template <class T>
std::size_t side_bytes(const SideCall<T>& call, bool gradients) {
  const std::size_t n = std::size_t(call.x.rows), d = std::size_t(call.x.cols);
  const std::size_t sides = std::size_t(call.mix_x) + std::size_t(call.mix_y);
  return sides * (gradients ? 3 : 2) * Workspace::bytes_for<T>(n * d) +
         Workspace::bytes_for<Index>(2 * n) + 2 * Workspace::bytes_for<double>(2 * n) +
         Workspace::bytes_for<T>(n) + contrast_bytes<T>(Index(n), Index(n), 2, true, gradients);
}

template <class T>
pairwise::Plan<T> side_plan(const SideCall<T>& call, bool gradients, std::size_t budget) {
  using Policy = math::SoftmaxPair<T, true, true>;
  return pairwise::make_plan<T>(call.function, call.x.rows, call.x.rows, call.x.cols,
                                pairwise::keep_for<Policy>(gradients), budget,
                                side_bytes(call, gradients));
}

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
Side<T> make_side(const SideCall<T>& call, MatrixView<const T> rows, bool is_mixed, bool gradients,
                  Workspace::Frame& frame) {
  Side<T> side{rows};
  side.is_mixed = is_mixed;
  if (!is_mixed) return side;
  const Index n = rows.rows, d = rows.cols;
  const auto take = [&] { return MatrixView<T>{frame.take<T>(std::size_t(n * d)), n, d, d}; };
  side.mixed = take();
  side.partner = take();
  if (gradients) side.gradient = take();
  for (Index i = 0; i < n; ++i) {
    const T* from = rows.row(partner_of(call.partners, n, i));
    std::copy(from, from + d, side.partner.row(i));
  }
  mix_rows<T>(call.function, rows, side.partner, call.lambda, side.mixed);
  return side;
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
  const Side<T> x = make_side(call, call.x, call.mix_x, gradients, frame);
  const Side<T> y = make_side(call, call.y, call.mix_y, gradients, frame);
  Index* special = frame.take<Index>(std::size_t(2 * n));
  double* target = frame.take<double>(std::size_t(2 * n));
  double* target_gradient = frame.take<double>(std::size_t(2 * n));
  T* scratch = frame.take<T>(std::size_t(n));
  std::fill(target_gradient, target_gradient + 2 * n, 0.0);
  for (Index i = 0; i < n; ++i) {
    const Index j = partner_of(call.partners, n, i);
    const bool one_target = both && call.targets == VlTargets::identity;
    const double lambda = double(call.lambda[i]);
    special[2 * i] = i;
    special[2 * i + 1] = one_target || j == i ? pairwise::kAbsent : j;
    target[2 * i] = one_target ? 1 : both ? (j == i ? 2 : 1) : (j == i ? 1 : lambda);
    target[2 * i + 1] = both ? 1 : 1 - lambda;
  }
  const Contrast<T> contrast{x.table(), y.table(), call.temperature, 0.5 * call.weight, 2, special,
                             target,    -1,        nullptr,          target_gradient};
  pairwise::PairGradients<T> to{};
  if (gradients)
    to = {call.mix_x ? x.gradient : out.dx, call.mix_y ? y.gradient : out.dy,
          !call.mix_x && out.add_x, !call.mix_y && out.add_y};
  const ContrastResult result = run_contrast<T, true>(contrast, plan, frame, to);
  if (!gradients) return result;
  pull_side_back(call, x, out.dx, out.add_x, scratch, out_lambda);
  pull_side_back(call, y, out.dy, out.add_y, scratch, out_lambda);
  if (!both)  // the targets lambda and 1 - lambda move with lambda too
    for (Index i = 0; i < n; ++i)
      if (special[2 * i + 1] != pairwise::kAbsent)
        out_lambda[i] += target_gradient[2 * i] - target_gradient[2 * i + 1];
  return result;
}

}  // namespace detail
}  // namespace spheremix::losses
