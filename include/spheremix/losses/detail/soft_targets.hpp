// Cross entropy of softmax rows or columns against few targets a line: the step between the two
// sweeps.
//
// A line is a row (or a column) of the table of logits; its special pairs are the entries set apart
// (formula/softmax_line.hpp), (m, s) the largest logit and the sum of e^(z - m) of all its others.
#pragma once

#include <cmath>

#include "spheremix/formula/softmax_line.hpp"
#include "spheremix/pairwise/softmax_sweeps.hpp"

namespace spheremix::losses::detail {

/// What a loss knows of its special pairs: n x slot_count targets, and which slot_count are left out of
/// everything.
template <class T>
struct SpecialTargets {
  const pairwise::PairTable<T>& table;
  const double* weight;  ///< n x slot_count, or null: 1 in the first slot that is not masked
  Index masked = -1;     ///< slot whose pairs take no part, or -1
  T scale;               ///< 1 / tau
  double* gradient =
      nullptr;   ///< n x slot_count: dL/dw_c = weight * -log p_c is added here, unless null
  T margin = 0;  ///< off the cosine of every special pair
  const double* line = nullptr;  ///< weights of rows, and of columns; null: 1

  double of_line(Index i) const { return line ? line[i] : 1.0; }
  bool present(Index i, Index c) const {
    return c != masked && table.special[i * table.slot_count + c] != pairwise::kAbsent;
  }
  /// z of a special pair: rounded, because the largest of a line is subtracted from itself.
  T logit(T cosine) const { return core::rounded(scale * (cosine - margin)); }
  double target(Index i, Index c) const { return weight ? weight[i * table.slot_count + c] : 1.0; }
};

/// One direction of the loss. `loss` is the weighted sum over lines of -sum_c w_c log p_c.
template <class T>
class SoftTargetRows {
 public:
  /// weight: dL/d(loss of a line).
  SoftTargetRows(const SpecialTargets<T>& targets, double weight,
                 const pairwise::SoftmaxStatistics<T>& stats,
                 const pairwise::SoftmaxWeights<T>& out)
      : targets_(targets), weight_(weight), stats_(stats), out_(out) {}

  /// Rows [first, first + count): adds their loss, sets row_shift and row_scale, and *sets*
  /// weights.special.
  void rows(Index first, Index count) {
    const Index slot_count = targets_.table.slot_count;
    for (Index i = first; i < first + count; ++i) {
      const T* z_cos = stats_.special + i * slot_count;
      double* g = out_.special ? out_.special + i * slot_count : nullptr;
      T top = stats_.row_max[i];
      double r = 0;
      Index best = -1;
      for (Index c = 0; c < slot_count; ++c) {
        if (g) g[c] = 0;
        if (!targets_.present(i, c)) continue;
        r += targets_.target(i, c);
        const T z = targets_.logit(z_cos[c]);
        if (z >= top) top = z, best = c;
      }
      double others = top > -core::infinity<T>
                          ? stats_.row_sum[i] * std::exp(double(stats_.row_max[i]) - double(top))
                          : 0;
      if (!(stats_.row_sum[i] > 0)) others = 0;
      double specials = 0;  // all but the best
      for (Index c = 0; c < slot_count; ++c)
        if (c != best && targets_.present(i, c)) specials += exponential(z_cos[c], top);
      const formula::SoftmaxLine<double> line{others + specials, best >= 0};
      for (Index c = 0; c < slot_count; ++c)
        if (targets_.present(i, c))
          add(i * slot_count + c, targets_.target(i, c), r, z_cos[c], top, c == best, line,
              targets_.of_line(i));
      if (g) {
        out_.row_shift[i] = top;
        out_.row_scale[i] = T(targets_.of_line(i) * r / line.total());
      }
    }
  }

  double loss() const { return weight_ * loss_; }

 protected:
  double exponential(T cosine, T top) const {
    return std::exp(double(targets_.logit(cosine)) - double(top));
  }

  /// One special pair of a line with largest logit `top`.
  void add(Index pair, double w, double r, T cosine, T top, bool best,
           const formula::SoftmaxLine<double>& line, double q) {
    const double surprise = line.surprise(double(top) - double(targets_.logit(cosine)));
    loss_ += q * w * surprise;
    if (targets_.gradient) targets_.gradient[pair] += q * weight_ * surprise;
    if (out_.special)
      out_.special[pair] += q * weight_ * double(targets_.scale) *
                            line.slope(best, best ? 1.0 : exponential(cosine, top), w, r);
  }

  const SpecialTargets<T>& targets_;
  double weight_;
  const pairwise::SoftmaxStatistics<T>& stats_;
  const pairwise::SoftmaxWeights<T>& out_;
  double loss_ = 0;
};

/// Memory of one line of columns: what its special pairs amount to.
template <class T>
struct ColumnLine {
  T top;                ///< M
  Index best = -1;      ///< number of the special pair with logit M, or -1
  double specials = 0;  ///< sum of e^(z_c - M) over the others
  double r = 0;         ///< sum of targets
};

/// Both directions: columns take the same special pairs, with their targets as they are.
template <class T>
class SoftTargetLines : public SoftTargetRows<T> {
 public:
  SoftTargetLines(const SpecialTargets<T>& targets, double weight,
                  const pairwise::SoftmaxStatistics<T>& stats,
                  const pairwise::SoftmaxWeights<T>& out, ColumnLine<T>* lines)
      : SoftTargetRows<T>(targets, weight, stats, out), lines_(lines) {}

  /// All columns: sets col_shift and col_scale. Adds the loss of the special pairs of rows [from, to)
  /// as columns, and to weights.special.
  void cols(Index from, Index to) {
    const auto& t = this->targets_;
    const Index n = t.table.x.rows, m = t.table.y.rows, slot_count = t.table.slot_count;
    for (Index j = 0; j < m; ++j) lines_[j] = {this->stats_.col_max[j]};
    each_pair(0, n, slot_count, [&](Index pair, Index j, Index i, Index c) {
      auto& line = lines_[j];
      const T z = t.logit(this->stats_.special[pair]);
      line.r += t.target(i, c);
      if (z >= line.top) line.top = z, line.best = pair;
    });
    each_pair(0, n, slot_count, [&](Index pair, Index j, Index, Index) {
      if (pair != lines_[j].best)
        lines_[j].specials += this->exponential(this->stats_.special[pair], lines_[j].top);
    });
    each_pair(from, to, slot_count, [&](Index pair, Index j, Index i, Index c) {
      const auto& line = lines_[j];
      this->add(pair, t.target(i, c), line.r, this->stats_.special[pair], line.top,
                pair == line.best, softmax(j), t.of_line(j));
    });
    if (!this->out_.special) return;
    for (Index j = 0; j < m; ++j) {
      this->out_.col_shift[j] = lines_[j].top;
      this->out_.col_scale[j] = T(this->targets_.of_line(j) * lines_[j].r / softmax(j).total());
    }
  }

 private:
  template <class Body>
  void each_pair(Index from, Index to, Index slot_count, const Body& body) const {
    for (Index i = from; i < to; ++i)
      for (Index c = 0; c < slot_count; ++c)
        if (const Index j = this->targets_.table.special[i * slot_count + c];
            j >= 0 && c != this->targets_.masked)
          body(i * slot_count + c, j, i, c);
  }
  double others(Index j) const {
    return this->stats_.col_sum[j] > 0
               ? this->stats_.col_sum[j] *
                     std::exp(double(this->stats_.col_max[j]) - double(lines_[j].top))
               : 0;
  }
  formula::SoftmaxLine<double> softmax(Index j) const {
    return {others(j) + lines_[j].specials, lines_[j].best >= 0};
  }

  ColumnLine<T>* lines_;
};

}  // namespace spheremix::losses::detail
