// info_nce, margin_nce and clip on one rank of several: its rows of the table against all columns,
// the diagonal as targets.
//
// Rows need nothing of the other ranks. A column's largest logit and sum over this rank's rows go to
// the rank that owns the column (it owns the target, too), which merges them, finishes the column
// and tells all its shift and scale.
#pragma once

#include "spheremix/losses/detail/contrastive.hpp"

namespace spheremix::losses::detail {

/// Statistics of columns on their way between ranks.
template <class T>
struct StripColumns {
  T* top;  ///< of this rank's own columns, from another rank
  double* sum;

  StripColumns(Index own, Workspace::Frame& frame)
      : top(frame.take<T>(std::size_t(own))), sum(frame.take<double>(std::size_t(own))) {}
};

template <class T>
struct PairStripArrays {
  Index* diagonal;
  ContrastArrays<T> contrast;
  StripColumns<T> columns;

  PairStripArrays(Index own, Index total, bool both, bool gradients, Workspace::Frame& frame)
      : diagonal(frame.take<Index>(std::size_t(own))),
        contrast(own, total, 1, both, gradients, frame),
        columns(both ? own : 0, frame) {}
};

template <class T>
class StripLines : public SoftTargetRows<T> {
 public:
  StripLines(const SpecialTargets<T>& targets, double weight,
             const pairwise::SoftmaxStatistics<T>& stats, const pairwise::SoftmaxWeights<T>& out,
             const StripColumns<T>& other, const Strip<T>& strip)
      : SoftTargetRows<T>(targets, weight, stats, out), other_(other), strip_(strip) {}

  /// This rank's columns, then the weights of all.
  void cols(Index, Index) {
    const core::Meeting& meeting = strip_.meeting();
    const Index first = strip_.first, own = this->targets_.table.x.rows;
    T* const top = this->stats_.col_max;
    double* const sum = this->stats_.col_sum;
    strip_.sum();
    core::for_peers(meeting.ranks(), [&](int to, int from) {
      send(to, top, from, other_.top);
      send(to, sum, from, other_.sum);
      for (Index i = 0; i < own; ++i)
        formula::merge_softmax(top[first + i], sum[first + i], other_.top[i], other_.sum[i]);
    });
    for (Index i = 0; i < own; ++i) column(i, top[first + i], sum[first + i]);
    if (!this->out_.special) return;
    gather(this->out_.col_shift);
    gather(this->out_.col_scale);
  }

 private:
  /// Column first + i with its target in row i.
  void column(Index i, T largest, double sum) {
    const T cosine = this->stats_.special[i], z = this->targets_.logit(cosine);
    formula::ApartEntries<T> entries{largest};
    entries.raise(i, z);
    entries.add(i, z);
    entries.weight = 1;
    const formula::SoftmaxLine<double> line = entries.softmax(largest, sum);
    this->add(i, 1, entries, line, 1);
    if (!this->out_.special) return;
    this->out_.col_shift[strip_.first + i] = entries.top;
    this->out_.col_scale[strip_.first + i] = T(1 / line.total());
  }
  template <class U>
  void send(int to, const U* columns, int from, U* own) const {
    const core::Meeting& meeting = strip_.meeting();
    meeting.ranks().exchange(to, columns + meeting.first(0, to),
                             std::size_t(meeting.count(0, to)) * sizeof(U), from, own,
                             std::size_t(meeting.count(0, meeting.ranks().rank())) * sizeof(U));
  }
  void gather(T* columns) const {
    const core::MatrixView<T> all{columns, strip_.total, 1, 1};
    const Index own = this->targets_.table.x.rows;
    core::gather_rows<T>(strip_.meeting(), 0, all.middle_rows(strip_.first, own), all);
  }

  StripColumns<T> other_;
  const Strip<T>& strip_;
};

/// pair_loss_on_views on one rank of several.
template <class T>
class PairStripOf : public StripOfMeeting<T> {
 public:
  using StripOfMeeting<T>::StripOfMeeting;
  virtual ContrastResult run(const char* function, const Inputs<T, 2>& in, double temperature,
                             std::size_t budget, Workspace& workspace,
                             const pairwise::PairGradients<T>& out, T margin,
                             double* margin_slope) const = 0;
};

template <class T, bool Both, class Products>
class PairStrip final : public PairStripOf<T> {
 public:
  using PairStripOf<T>::PairStripOf;
  ContrastResult run(const char* function, const Inputs<T, 2>& in, double temperature,
                     std::size_t budget, Workspace& workspace,
                     const pairwise::PairGradients<T>& out, T margin,
                     double* margin_slope) const override;
};

/// The same by ring (pair_ring.hpp).
template <bool Both, class Products, class T>
ContrastResult pair_loss_on_ring(const char* function, const Inputs<T, 2>& in, double temperature,
                                 std::size_t budget, Workspace& workspace,
                                 const pairwise::PairGradients<T>& out, T margin,
                                 double* margin_slope, const Strip<T>& strip);

/// Results are those of the whole batch; dy gets what this rank's rows give to all rows of Y, or by ring
/// what all rows give to this rank's.
template <class T, bool Both, class Products>
ContrastResult PairStrip<T, Both, Products>::run(const char* function, const Inputs<T, 2>& in,
                                                 double temperature, std::size_t budget,
                                                 Workspace& workspace,
                                                 const pairwise::PairGradients<T>& out, T margin,
                                                 double* margin_slope) const {
  const Strip<T>& strip = *this;
  if (strip.ring)
    return pair_loss_on_ring<Both, Products, T>(function, in, temperature, budget, workspace, out,
                                                margin, margin_slope, strip);
  const core::MatrixView<const T> x = in[0], y = in[1];
  const Index own = x.rows, all = this->total;
  using Policy = formula::SoftmaxPair<T, true, Both>;
  const auto plan = pairwise::make_plan<T>(
      function, own, all, x.cols, pairwise::keep_for<Policy>(this->gradients), budget,
      core::bytes_of<PairStripArrays<T>>(own, all, Both, this->gradients));
  Workspace::Frame frame = workspace.frame(plan.bytes);
  if (!computable<T>(strip.x_norm, strip.y_norm, temperature)) {
    strip.sum();
    fill_nan(out.dx);
    fill_nan(out.dy);
    if (margin_slope) *margin_slope = core::nan<double>;
    return {core::nan<double>, core::nan<double>, nullptr};
  }
  const PairStripArrays<T> arrays(own, all, Both, this->gradients, frame);
  const auto& [stats, weights, lines] = arrays.contrast;
  put_apart(formula::Diagonal(strip.first), own, arrays.diagonal);
  const pairwise::PairTable<T> table{x, y, 1, arrays.diagonal};
  const T scale = T(1 / temperature);
  const SpecialTargets<T> targets{table, nullptr, 1, scale, nullptr, margin};
  const double line_weight = (Both ? 0.5 : 1.0) / double(all);
  const Policy policy{scale, T(line_weight), Both ? T(line_weight) : T(0)};
  StripLines<T> finish(targets, line_weight, stats, weights, arrays.columns, strip);
  double sums[3] = {0, 0, 0};  // loss, moment, dL/dS of the targets
  if (own > 0) {
    sums[1] =
        pairwise::softmax_sweeps<Products>(table, policy, plan, frame, stats, weights, finish, out);
  } else {
    if (Both) {
      std::fill_n(stats.col_max, all, -core::infinity<T>);
      std::fill_n(stats.col_sum, all, 0.0);
      finish.cols(0, own);
    }
    if (out.dy.data) out.dy.fill(T(0));
  }
  sums[0] = finish.loss();
  for (Index i = 0; this->gradients && i < own; ++i) {
    sums[1] += weights.special[i] * double(stats.special[i]);
    sums[2] += weights.special[i];
  }
  strip.sum(sums, 3);
  if (margin_slope && this->gradients) *margin_slope = -sums[2];
  return {sums[0], this->gradients ? -sums[1] : 0, nullptr};
}

}  // namespace spheremix::losses::detail
