// A softmax loss with targets beyond the diagonal: what the two sweeps (pairwise/softmax_sweeps.hpp)
// do besides, and the step between them. Formula in formula/targets.hpp.
//
//   first sweep    pairs set apart are lifted out, excluded pairs become -infinity; of the other
//                  targets sums of t and t z, with label smoothing sums of all z, tile by tile
//   second sweep   dL/ds -= t' / tau at those targets, with label smoothing everywhere else
//
// Partial sums are merged in the order of the tiles: the same bits for any number of threads.
#pragma once

#include "spheremix/losses/detail/contrastive.hpp"
#include "spheremix/losses/detail/target_table.hpp"

namespace spheremix::losses::detail {

/// Sums over pairs of a line that are not set apart.
struct LineSums {
  double weight = 0, pull = 0;  ///< of its targets: t, t z
  double all = 0, count = 0;    ///< of what is not excluded: z, 1

  void add_target(double t, double z) {
    weight += t;
    pull += t * z;
  }
  void add_any(double z) {
    all += z;
    count += 1;
  }
  void operator+=(const LineSums& o) {
    weight += o.weight;
    pull += o.pull;
    all += o.all;
    count += o.count;
  }
};

/// A line and its pairs that are set apart.
template <class T>
struct ApartLine {
  T top;  ///< largest logit of the line
  Index best = -1, count = 0;
  double others = 0;  ///< sum of e^(z - top), the best left out
  double below = 0;   ///< sum of t (top - z)
  double all = 0;     ///< sum of z
  double weight = 0;  ///< sum of t, the best left out; of all the line's other targets in the end
  formula::TargetLine<double> line{};

  void raise(Index k, T z) {
    ++count;
    all += double(z);
    if (z >= top) top = z, best = k;
  }
  void add(Index k, T z, double t) {
    below += t * (double(top) - double(z));
    if (k == best) return;
    others += std::exp(double(z) - double(top));
    weight += t;
  }
};

/// What the lines of one direction have.
struct TargetLineArrays {
  LineSums* sums;
  double *slope, *even;  ///< dL/ds = -(slope w) at a target of weight w, -even everywhere

  TargetLineArrays(Index lines, Workspace::Frame& frame)
      : sums(frame.take<LineSums>(std::size_t(lines))),
        slope(frame.take<double>(std::size_t(lines))),
        even(frame.take<double>(std::size_t(lines))) {
    if (frame.counts()) return;
    for (Index i = 0; i < lines; ++i) sums[i] = {}, slope[i] = even[i] = 0;
  }
};

template <class T>
struct TargetArrays {
  TargetTable table;
  TargetLineArrays rows, cols;
  ApartLine<T>* lines = nullptr;  ///< m, of columns
  pairwise::SoftmaxStatistics<T> stats{};
  pairwise::SoftmaxWeights<T> weights{};

  TargetArrays(const TargetOptions& o, Index n, Index m, bool both, bool gradients,
               Workspace::Frame& frame)
      : table(o, n, m, both, frame), rows(n, frame), cols(both ? m : 0, frame) {
    const Index apart = both ? n + m : n;
    const auto take = [&]<class U>(U*& array, Index count) {
      array = frame.take<U>(std::size_t(count));
    };
    take(stats.row_max, n);
    take(stats.row_sum, n);
    take(stats.special, apart);
    if (gradients) {
      take(weights.row_shift, n);
      take(weights.row_scale, n);
      take(weights.special, apart);
    }
    if (!both) return;
    take(lines, m);
    take(stats.col_max, m);
    take(stats.col_sum, m);
    if (gradients) {
      take(weights.col_shift, m);
      take(weights.col_scale, m);
    }
  }
};

/// The table's part in the sweeps. Both: columns as well as rows.
template <class T, bool Both>
class TargetSweep {
 public:
  /// weight: of the mean over the lines of each direction.
  TargetSweep(const TargetArrays<T>& arrays, const pairwise::Plan<T>& plan, T scale, double weight,
              double smoothing)
      : a_(arrays),
        t_(arrays.table),
        plan_(plan),
        scale_(scale),
        row_unit_(weight * t_.rows.unit),
        col_unit_(weight * t_.cols.unit),
        smoothing_(smoothing),
        sums_(t_.more || smoothing > 0) {}
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

  /// Rows [first, first + count) between the sweeps: their loss and weights, and *sets* what their
  /// pairs set apart get from them.
  void rows(Index first, Index count) {
    for (Index i = first; i < first + count; ++i) {
      ApartLine<T> line{a_.stats.row_max[i]};
      const Index from = t_.first[i], to = t_.first[i + 1];
      for (Index k = from; k < to; ++k) line.raise(k, logit(k));
      for (Index k = from; k < to; ++k) line.add(k, logit(k), t_.weight[k]);
      close(line, a_.stats.row_max[i], a_.stats.row_sum[i], a_.rows, t_.rows, i, row_unit_,
            plan_.m);
      if (!a_.weights.special) continue;
      put(line, t_.rows.weight[i], a_.weights.row_shift[i], a_.weights.row_scale[i]);
      for (Index k = from; k < to; ++k)
        a_.weights.special[k] = slope(line, k, t_.rows, i, row_unit_);
    }
  }

  /// All columns, likewise; *adds* to what those set apart get.
  void cols() {
    ApartLine<T>* const lines = a_.lines;
    const Index apart = t_.first[plan_.n];
    for (Index j = 0; j < plan_.m; ++j) lines[j] = {a_.stats.col_max[j]};
    for (Index k = 0; k < apart; ++k) lines[t_.column[k]].raise(k, logit(k));
    for (Index k = 0; k < apart; ++k) lines[t_.column[k]].add(k, logit(k), t_.weight[k]);
    for (Index j = 0; j < plan_.m; ++j) {
      close(lines[j], a_.stats.col_max[j], a_.stats.col_sum[j], a_.cols, t_.cols, j, col_unit_,
            plan_.n);
      if (a_.weights.special)
        put(lines[j], t_.cols.weight[j], a_.weights.col_shift[j], a_.weights.col_scale[j]);
    }
    for (Index k = 0; a_.weights.special && k < apart; ++k)
      a_.weights.special[k] += slope(lines[t_.column[k]], k, t_.cols, t_.column[k], col_unit_);
  }

  double loss() const { return loss_; }

  /// Sum of G o S over what the sweeps leave out: targets, smoothing, pairs set apart.
  double moment() const {
    double moment = moment_;
    for (Index k = 0; k < t_.first[plan_.n]; ++k)
      moment += a_.weights.special[k] * double(a_.stats.special[k]);
    return moment;
  }

 private:
  T logit_of(T cosine) const { return core::rounded(scale_ * cosine); }
  T logit(Index k) const { return logit_of(a_.stats.special[k]); }

  /// The line's formula from its statistics, and its loss, slopes and part of the moment. `entries`:
  /// pairs in the line.
  void close(ApartLine<T>& line, T top, double sum, const TargetLineArrays& to,
             const LineWeights& weights, Index at, double unit, Index entries) {
    const double total = weights.total[at], q = weights.weight[at] * unit;
    const LineSums& sums = to.sums[at];
    const double rest = sum > 0 ? sum * std::exp(double(top) - double(line.top)) : 0;
    auto& of = line.line;
    of = {{rest + line.others, line.best >= 0}, double(line.top), 0, 0, 0, smoothing_, 0, 0};
    if (!(total > 0)) return;
    line.weight += sums.weight;
    of.below = line.below / total;
    of.share = sums.weight / total;
    of.pull = sums.pull / total;
    if (smoothing_ > 0) {
      const double count = t_.excludes ? sums.count + double(line.count) : double(entries);
      of.mean = (sums.all + line.all) / count;
      of.even = smoothing_ / count;
    }
    loss_ += q * of.loss();
    moment_ -= q * ((1 - smoothing_) * of.pull + of.even * sums.all);
    to.slope[at] = double(scale_) * q * (1 - smoothing_) / total;
    to.even[at] = double(scale_) * q * of.even;
  }

  /// p = e^(z - shift) scale of a line, over its unit.
  void put(const ApartLine<T>& line, double weight, T& shift, T& scale) const {
    const double total = line.line.softmax.total();
    shift = line.top > -core::infinity<T> ? line.top : T(0);
    scale = total > 0 ? T(weight / total) : T(0);
  }

  /// What pair k, set apart, gets from a line.
  double slope(const ApartLine<T>& line, Index k, const LineWeights& weights, Index at,
               double unit) const {
    const bool best = k == line.best;
    const double x = best ? 1.0 : std::exp(double(logit(k)) - double(line.top));
    const double t = t_.weight[k] / weights.total[at];
    return weights.weight[at] * unit * double(scale_) *
           line.line.slope(best, x, t, best ? line.weight / weights.total[at] : 1 - t);
  }

  /// Calls body(j) for the excluded columns of row i in [j0, j1): a target is never one.
  template <class Body>
  void for_excluded(Index i, Index j0, Index j1, const Body& body) const {
    if (t_.excludes)
      t_.excluded.each(i, j0, j1, [&](Index j, double) {
        if (!(t_.targets.at(i, j) > 0)) body(j);
      });
  }

  void cosines(Index i0, Index j0, MatrixView<T> s, bool again) const {
    for (Index r = 0; r < s.rows; ++r)
      for_excluded(i0 + r, j0, j0 + s.cols, [&](Index j) { s(r, j - j0) = -core::infinity<T>; });
    if (again || !sums_) return;
    const Index in_strip = i0 % plan_.strip_rows;
    LineSums* const row = row_part_ + j0 / plan_.col_tile * plan_.strip_rows + in_strip;
    LineSums* const col = Both ? col_part_ + in_strip / plan_.row_tile * plan_.m + j0 : nullptr;
    for (Index c = 0; Both && c < s.cols; ++c) col[c] = {};
    for (Index r = 0; r < s.rows; ++r) {
      row[r] = {};
      if (t_.more)
        t_.targets.each(i0 + r, j0, j0 + s.cols, [&](Index j, double w) {
          const T cosine = s(r, j - j0);
          if (!(cosine > -core::infinity<T>)) return;  // set apart
          const double z = double(logit_of(cosine));
          row[r].add_target(w, z);
          if constexpr (Both) col[j - j0].add_target(w, z);
        });
      if (smoothing_ > 0)
        for (Index c = 0; c < s.cols; ++c) {
          if (!(s(r, c) > -core::infinity<T>)) continue;
          const double z = double(logit_of(s(r, c)));
          row[r].add_any(z);
          if constexpr (Both) col[c].add_any(z);
        }
    }
  }

  void strip(Index s) const {
    if (!sums_) return;
    const Index first = plan_.strip_first(s), rows = plan_.strip_count(s);
    for (Index c = 0; c < pairwise::tiles(plan_.m, plan_.col_tile); ++c)
      for (Index r = 0; r < rows; ++r)
        a_.rows.sums[first + r] += row_part_[c * plan_.strip_rows + r];
    for (Index r = 0; Both && r < pairwise::tiles(rows, plan_.row_tile); ++r)
      for (Index j = 0; j < plan_.m; ++j) a_.cols.sums[j] += col_part_[r * plan_.m + j];
  }

  void gradient(Index i0, Index j0, MatrixView<T> g) const {
    const auto of_col = [&](const double* values, Index j) { return Both ? values[j] : 0.0; };
    for (Index r = 0; r < g.rows; ++r) {
      const Index i = i0 + r;
      if (smoothing_ > 0) {
        for (Index c = 0; c < g.cols; ++c)
          g(r, c) -= T(a_.rows.even[i] + of_col(a_.cols.even, j0 + c));
        for_excluded(i, j0, j0 + g.cols, [&](Index j) { g(r, j - j0) = 0; });
      }
      if (t_.more)
        t_.targets.each(i, j0, j0 + g.cols, [&](Index j, double w) {
          g(r, j - j0) -= T(w * (a_.rows.slope[i] + of_col(a_.cols.slope, j)));
        });
    }
  }

  const TargetArrays<T>& a_;
  const TargetTable& t_;
  const pairwise::Plan<T>& plan_;
  T scale_;
  double row_unit_, col_unit_, smoothing_;
  bool sums_;
  LineSums *row_part_ = nullptr, *col_part_ = nullptr;  ///< of the tiles of a strip
  pairwise::TileSteps<T> steps_{};
  double loss_ = 0, moment_ = 0;
};

/// info_nce, or clip if Both, of the table that `o` says.
template <bool Both, class T, class Products>
ContrastResult target_loss_on_views(const char* function, MatrixView<const T> x,
                                    MatrixView<const T> y, double temperature, std::size_t budget,
                                    const TargetOptions& o, Workspace& workspace,
                                    const pairwise::PairGradients<T>& out) {
  expects_temperature<T>(function, "temperature", temperature);
  const Index n = x.rows, m = y.rows;
  o.expect(function, n, m, 1e300);
  const bool gradients = out.wanted();
  constexpr auto keep = pairwise::keep_for<formula::SoftmaxPair<T, true, Both>>;
  const auto plan = pairwise::make_plan<T>(
      function, n, m, x.cols, keep(gradients), budget,
      core::bytes_of<TargetArrays<T>>(o, n, m, Both, gradients), sizeof(LineSums));
  if (!computable(x, y, temperature)) {
    fill_nan(out.dx);
    fill_nan(out.dy);
    return {core::nan<double>, core::nan<double>, nullptr};
  }
  Workspace::Frame frame = workspace.frame(plan.bytes);
  const TargetArrays<T> arrays(o, n, m, Both, gradients, frame);
  const TargetTable& targets = arrays.table;
  targets.expects_lines(function, Both);
  const T scale = T(1 / temperature);
  const double weight = Both ? 0.5 : 1.0;
  TargetSweep<T, Both> sweep(arrays, plan, scale, weight, o.smoothing);
  const pairwise::PairTable<T> table{x, y, 1, targets.column, targets.first, sweep.steps()};
  const formula::SoftmaxPair<T, true, Both> policy{scale, T(weight * targets.rows.unit),
                                                   Both ? T(weight * targets.cols.unit) : T(0)};
  const double moment = pairwise::softmax_sweeps<Products>(table, policy, plan, frame, arrays.stats,
                                                           arrays.weights, sweep, out);
  ContrastResult result{sweep.loss()};
  if (gradients) result.log_temperature = -(moment + sweep.moment());
  return result;
}

}  // namespace spheremix::losses::detail
