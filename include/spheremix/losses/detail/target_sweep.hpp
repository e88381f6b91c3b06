// A softmax loss with targets beyond the diagonal: what the two sweeps (pairwise/softmax_sweeps.hpp)
// do besides, and the step between them. Formula in formula/targets.hpp.
//
//   first sweep    pairs set apart are lifted out, excluded pairs become -infinity; of the other
//                  targets sums of t and t z, with label smoothing sums of all z, tile by tile
//   second sweep   dL/ds -= t' / tau at those targets, with label smoothing everywhere else
//
// Partial sums are merged in the order of the tiles: the same bits for any number of threads.
#pragma once

#include "spheremix/losses/detail/dense_blocks.hpp"
#include "spheremix/losses/detail/target_lines.hpp"

namespace spheremix::losses::detail {

/// The table's part in the sweeps.
template <class T>
class TargetSweep {
 public:
  /// weight: of the mean over the lines of each direction. both: columns as well as rows. plan: of
  /// the share, if there is one.
  TargetSweep(const TargetArrays<T>& arrays, const pairwise::Plan<T>& plan,
              const core::Share* share, T scale, double weight, const TargetOptions& o, bool both)
      : a_(arrays),
        t_(arrays.table),
        plan_(plan),
        share_(share),
        scale_(scale),
        weight_(weight),
        smoothing_(o.smoothing),
        options_(o),
        both_(both),
        sums_(t_.more || o.smoothing > 0) {}
  TargetSweep(const TargetSweep&) = delete;

  /// For a PairTable; null where the pairs set apart are all that there is.
  const pairwise::TileSteps<T>* steps() {
    steps_ = {this,
              [](void* of, pairwise::SweepMemory<T>& memory) {
                auto& sweep = *static_cast<TargetSweep*>(of);
                sweep.row_part_ = static_cast<LineSums*>(static_cast<void*>(memory.row_part));
                sweep.col_part_ = static_cast<LineSums*>(static_cast<void*>(memory.col_part));
              },
              [](void* of, Index i0, Index j0, MatrixView<T> s, bool again) {
                static_cast<const TargetSweep*>(of)->cosines(i0, j0, s, again);
              },
              [](void* of, Index s) { static_cast<const TargetSweep*>(of)->strip(s); },
              [](void* of, Index i0, Index j0, MatrixView<T> g) {
                static_cast<const TargetSweep*>(of)->gradient(i0, j0, g);
              }};
    return sums_ || t_.excludes ? &steps_ : nullptr;
  }

  /// Rows [first, first + count) between the sweeps: their loss and weights, and what their pairs set
  /// apart get from them.
  void rows(Index first, Index count) {
    for (Index k = t_.first[first]; a_.weights.special && k < t_.first[first + count]; ++k)
      a_.weights.special[k] = 0;
    between({first, count, t_.first[first], t_.first[first + count], plan_.m, t_.row, a_.rows,
             t_.rows, a_.stats.row_max, a_.stats.row_sum, a_.weights.row_shift,
             a_.weights.row_scale, options_.row_losses, core::OwnRows(first, first + count)});
  }
  /// All columns, after the rows: of a share their losses are counted where they belong.
  void cols(Index, Index) {
    if (share_ && sums_) share_->add(LineSums::numbers(a_.cols.sums), 4 * plan_.m);
    between({0, plan_.m, 0, t_.first[plan_.n], plan_.n, t_.column, a_.cols, t_.cols,
             a_.stats.col_max, a_.stats.col_sum, a_.weights.col_shift, a_.weights.col_scale,
             options_.col_losses, core::OwnRows(share_, plan_.m)});
  }

  double loss() const { return loss_; }

  /// Sum of G o S over what the sweeps leave out: targets, smoothing, pairs set apart.
  double moment() const {
    double moment = moment_;
    for (Index k = t_.first[plan_.from]; k < t_.first[plan_.to]; ++k)
      moment += a_.weights.special[k] * double(a_.stats.special[k]);
    return moment;
  }

 private:
  T logit_of(T cosine) const { return core::rounded(scale_ * cosine); }
  T logit(Index k) const { return logit_of(a_.stats.special[k]); }

  /// Lines [first, first + count) of one direction and places [from, to) of their pairs set apart.
  struct Direction {
    Index first, count, from, to, entries;
    const Index* line_of;  ///< of a place
    const TargetLineArrays& arrays;
    const LineWeights& weights;
    const T* top;
    const double* sum;
    T *shift, *scale;
    double* losses;
    core::OwnRows own;  ///< lines whose loss counts here
  };

  SPHEREMIX_COLD void between(const Direction& d) {
    ApartLine<T>* const lines = a_.lines;
    const double unit = weight_ * d.weights.unit;
    for (Index i = d.first; i < d.first + d.count; ++i) lines[i] = {{d.top[i]}};
    for (Index k = d.from; k < d.to; ++k) lines[d.line_of[k]].raise(k, logit(k));
    for (Index k = d.from; k < d.to; ++k) lines[d.line_of[k]].add(k, logit(k), t_.weight[k]);
    for (Index i = d.first; i < d.first + d.count; ++i) close(lines[i], d, i, unit);
    for (Index k = d.from; a_.weights.special && k < d.to; ++k) {
      const Index i = d.line_of[k];
      const ApartLine<T>& line = lines[i];
      const bool best = k == line.best;
      const double x = best ? 1.0 : line.exponential(logit(k));
      const double total = d.weights.total[i], t = t_.weight[k] / total;
      a_.weights.special[k] += d.weights.weight[i] * unit * double(scale_) *
                               line.line.slope(best, x, t, best ? line.weight / total : 1 - t);
    }
  }

  /// The line's formula from its statistics; its loss, weights, slopes and part of the moment.
  void close(ApartLine<T>& line, const Direction& d, Index at, double unit) {
    const double total = d.weights.total[at], q = d.weights.weight[at] * unit;
    const LineSums& sums = d.arrays.sums[at];
    auto& of = line.line;
    of = {line.softmax(d.top[at], d.sum[at]), double(line.top), 0, 0, 0, smoothing_, 0, 0};
    if (d.shift) {
      d.shift[at] = line.top > -core::infinity<T> ? line.top : T(0);
      d.scale[at] = of.softmax.total() > 0 ? T(d.weights.weight[at] / of.softmax.total()) : T(0);
    }
    if (d.losses) d.losses[at] = 0;
    if (!(total > 0)) return;
    line.weight += sums.weight;
    of.below = line.below / total;
    of.share = sums.weight / total;
    of.pull = sums.pull / total;
    if (smoothing_ > 0) {
      const double count = t_.excludes ? sums.count + double(line.count) : double(d.entries);
      of.mean = (sums.all + line.all) / count;
      of.even = smoothing_ / count;
    }
    const double loss = of.loss();
    if (d.losses) d.losses[at] = loss;
    if (at >= d.own.from && at < d.own.to) {
      loss_ += q * loss;
      moment_ -= q * ((1 - smoothing_) * of.pull + of.even * sums.all);
    }
    d.arrays.slope[at] = double(scale_) * q * (1 - smoothing_) / total;
    d.arrays.even[at] = double(scale_) * q * of.even;
  }

  /// The next excluded pair: a target is never one.
  bool step_excluded(PairSet::Walk& w) const {
    while (t_.excluded.step(w))
      if (!(t_.targets.at(w.i, w.j) > 0)) return true;
    return false;
  }
  void put_excluded(Index i0, Index j0, MatrixView<T> s, T value) const {
    for (Index r = 0; t_.excludes && r < s.rows; ++r)
      for (PairSet::Walk w = t_.excluded.walk(i0 + r, j0, j0 + s.cols); step_excluded(w);)
        s(r, w.j - j0) = value;
  }

  void cosines(Index i0, Index j0, MatrixView<T> s, bool again) const {
    put_excluded(i0, j0, s, -core::infinity<T>);
    if (again || !sums_) return;
    const Index in_strip = (i0 - plan_.from) % plan_.strip_rows;
    LineSums* const row = row_part_ + j0 / plan_.col_tile * plan_.strip_rows + in_strip;
    LineSums* const col = col_part_ + in_strip / plan_.row_tile * plan_.m + j0;
    for (Index c = 0; c < s.cols; ++c) col[c] = {};
    for (Index r = 0; r < s.rows; ++r) row[r] = {};
    if (t_.targets.dense()) dense_sums(i0, j0, s, row, col);
    for (Index r = 0; r < s.rows; ++r) {
      if (t_.more && !t_.targets.dense())
        for (PairSet::Walk w = t_.targets.walk(i0 + r, j0, j0 + s.cols); t_.targets.step(w);) {
          const T cosine = s(r, w.j - j0);
          if (!(cosine > -core::infinity<T>)) continue;  // set apart
          const double z = double(logit_of(cosine));
          row[r].add_target(w.weight, z);
          col[w.j - j0].add_target(w.weight, z);
        }
    }
    if (smoothing_ > 0) all_sums(s, row, col);
  }

  /// Columns in blocks, each over all rows: their sums stay at hand.
  void all_sums(MatrixView<T> s, LineSums* row, LineSums* col) const {
    for (Index c = 0; c < s.cols; c += kDenseBlock) {
      const Index count = (std::min)(kDenseBlock, s.cols - c);
      double all[kDenseBlock] = {}, there[kDenseBlock] = {};
      for (Index r = 0; r < s.rows; ++r) {
        double sums[2] = {0, 0};
        SPHEREMIX_DISPATCH(logit_sums<T, double>)(s.row(r) + c, scale_, count, sums, all, there);
        row[r].all += sums[0];
        row[r].count += sums[1];
      }
      for (Index k = 0; k < count; ++k) {
        col[c + k].all = all[k];
        col[c + k].count = there[k];
      }
    }
  }
  void dense_sums(Index i0, Index j0, MatrixView<T> s, LineSums* row, LineSums* col) const {
    for (Index c = 0; c < s.cols; c += kDenseBlock) {
      const Index count = (std::min)(kDenseBlock, s.cols - c);
      double weight[kDenseBlock] = {}, pull[kDenseBlock] = {};
      for (Index r = 0; r < s.rows; ++r)
        for_dense_blocks(t_.targets.from->soft, i0 + r, j0 + c, j0 + c + count,
                         [&](Index, Index block, const double* w) {
                           double sums[2] = {0, 0};
                           SPHEREMIX_DISPATCH(target_sums<T, double>)
                           (w, s.row(r) + c, scale_, block, sums, weight, pull);
                           row[r].weight += sums[0];
                           row[r].pull += sums[1];
                         });
      for (Index k = 0; k < count; ++k) {
        col[c + k].weight = weight[k];
        col[c + k].pull = pull[k];
      }
    }
  }

  void strip(Index s) const {
    if (!sums_) return;
    const Index first = plan_.strip_first(s), rows = plan_.strip_count(s);
    for (Index c = 0; c < pairwise::tiles(plan_.m, plan_.col_tile); ++c)
      for (Index r = 0; r < rows; ++r)
        a_.rows.sums[first + r] += row_part_[c * plan_.strip_rows + r];
    for (Index r = 0; both_ && r < pairwise::tiles(rows, plan_.row_tile); ++r)
      for (Index j = 0; j < plan_.m; ++j) a_.cols.sums[j] += col_part_[r * plan_.m + j];
  }

  void gradient(Index i0, Index j0, MatrixView<T> g) const {
    const auto of_col = [&](const double* values, Index j) { return both_ ? values[j] : 0.0; };
    if (smoothing_ > 0) {
      for (Index r = 0; r < g.rows; ++r) SPHEREMIX_DISPATCH(even_gradient<T, double>)
      (a_.rows.even[i0 + r], both_ ? a_.cols.even + j0 : nullptr, g.row(r), g.cols);
      put_excluded(i0, j0, g, T(0));
    }
    if (t_.targets.dense()) {
      for (Index r = 0; r < g.rows; ++r) {
        const double slope = a_.rows.slope[i0 + r];
        for_dense_blocks(t_.targets.from->soft, i0 + r, j0, j0 + g.cols,
                         [&](Index j, Index block, const double* w) {
                           SPHEREMIX_DISPATCH(target_gradient<T, double>)
                           (w, slope, both_ ? a_.cols.slope + j : nullptr, g.row(r) + (j - j0),
                            block);
                         });
      }
      return;
    }
    for (Index r = 0; t_.more && r < g.rows; ++r)
      for (PairSet::Walk w = t_.targets.walk(i0 + r, j0, j0 + g.cols); t_.targets.step(w);)
        g(r, w.j - j0) -= T(w.weight * (a_.rows.slope[w.i] + of_col(a_.cols.slope, w.j)));
  }

  const TargetArrays<T>& a_;
  const TargetTable& t_;
  const pairwise::Plan<T>& plan_;
  const core::Share* share_;
  T scale_;
  double weight_, smoothing_;
  const TargetOptions& options_;
  bool both_, sums_;
  LineSums *row_part_ = nullptr, *col_part_ = nullptr;  ///< of the tiles of a strip
  pairwise::TileSteps<T> steps_{};
  double loss_ = 0, moment_ = 0;
};

/// info_nce, or clip if Both, of the table that `o` says.
template <bool Both, class T, class Products>
SPHEREMIX_COLD ContrastResult target_loss_on_views(const char* function, MatrixView<const T> x,
                                                   MatrixView<const T> y, double temperature,
                                                   std::size_t budget, const TargetOptions& o,
                                                   Workspace& workspace,
                                                   const pairwise::PairGradients<T>& out) {
  expects_temperature<T>(function, "temperature", temperature);
  const Index n = x.rows, m = y.rows;
  expects_targets(function, o, n, m, 0);
  const bool gradients = out.wanted();
  auto plan = pairwise::make_plan<T>(
      function, n, m, x.cols, pairwise::keep_for<formula::SoftmaxPair<T, true, Both>>(gradients),
      budget, core::bytes_of<TargetArrays<T>>(o, n, m, Both, gradients), sizeof(LineSums));
  if (!computable(x, y, temperature)) {
    fill_nan(out.dx);
    fill_nan(out.dy);
    if (o.row_losses) std::fill_n(o.row_losses, n, core::nan<double>);
    if (o.col_losses) std::fill_n(o.col_losses, m, core::nan<double>);
    return {core::nan<double>, core::nan<double>, nullptr};
  }
  Workspace::Frame frame = workspace.frame(plan.bytes);
  plan = plan.part(frame.share());
  const TargetArrays<T> arrays(o, n, m, Both, gradients, frame);
  const TargetTable& targets = arrays.table;
  targets.expects_lines(function, Both);
  const T scale = T(1 / temperature);
  const double weight = Both ? 0.5 : 1.0;
  TargetSweep<T> sweep(arrays, plan, frame.share(), scale, weight, o, Both);
  const pairwise::PairTable<T> table{x, y, 1, targets.column, targets.first, sweep.steps()};
  const formula::SoftmaxPair<T, true, Both> policy{scale, T(weight * targets.rows.unit),
                                                   Both ? T(weight * targets.cols.unit) : T(0)};
  const double moment = pairwise::softmax_sweeps<Products>(table, policy, plan, frame, arrays.stats,
                                                           arrays.weights, sweep, out);
  if (frame.share() && o.row_losses) frame.share()->gather(o.row_losses, n);
  ContrastResult result{sweep.loss()};
  if (gradients) result.log_temperature = -(moment + sweep.moment());
  return result;
}

}  // namespace spheremix::losses::detail
