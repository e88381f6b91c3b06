// Cross entropy of softmax rows or columns against few targets a line: the step between the two
// sweeps.
//
// A line is a row (or a column) of the table of logits; its special pairs are the entries set apart
// (formula/softmax_line.hpp), of a row in the slots of formula/set_apart.hpp.
#pragma once

#include <cmath>

#include "spheremix/formula/set_apart.hpp"
#include "spheremix/formula/softmax_line.hpp"
#include "spheremix/pairwise/softmax_sweeps.hpp"

namespace spheremix::losses::detail {

/// What a loss knows of its special pairs.
template <class T>
struct SpecialTargets {
  const pairwise::PairTable<T>& table;
  const double* weight;  ///< of n x slot_count pairs, or null: 1
  Index target_slots;    ///< of a row: the pairs in its others are excluded
  T scale;               ///< 1 / tau
  double* gradient =
      nullptr;   ///< n x slot_count: dL/dw_c = weight * -log p_c is added here, unless null
  T margin = 0;  ///< off the cosine of every special pair
  const double* line = nullptr;  ///< weights of rows, and of columns; null: 1

  double of_line(Index i) const { return line ? line[i] : 1.0; }
  bool present(Index i, Index c) const {
    return c < target_slots && table.special[i * table.slot_count + c] != formula::kAbsent;
  }
  /// z of a special pair: rounded, because the largest of a line is subtracted from itself.
  T logit(T cosine) const { return core::rounded(scale * (cosine - margin)); }
  double target(Index pair) const { return weight ? weight[pair] : 1.0; }
};

/// One direction of the loss. `loss` is the weighted sum over lines of -sum_c w_c log p_c.
template <class T>
class SoftTargetRows {
 public:
  using Entries = formula::ApartEntries<T>;

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
      const auto each_target = [&](const auto& body) {
        for (Index c = 0; c < slot_count; ++c)
          if (targets_.present(i, c)) body(i * slot_count + c);
      };
      for (Index c = 0; out_.special && c < slot_count; ++c) out_.special[i * slot_count + c] = 0;
      Entries entries{stats_.row_max[i]};
      each_target([&](Index pair) { raise(entries, pair); });
      each_target([&](Index pair) { entries.add(pair, logit(pair)); });
      const auto line = entries.softmax(stats_.row_max[i], stats_.row_sum[i]);
      each_target([&](Index pair) {
        add(pair, targets_.target(pair), entries, line, targets_.of_line(i));
      });
      if (out_.special) {
        out_.row_shift[i] = entries.top;
        out_.row_scale[i] = T(targets_.of_line(i) * entries.weight / line.total());
      }
    }
  }

  double loss() const { return weight_ * loss_; }

 protected:
  T logit(Index pair) const { return targets_.logit(stats_.special[pair]); }

  void raise(Entries& entries, Index pair) const {
    entries.weight += targets_.target(pair);
    entries.raise(pair, logit(pair));
  }

  /// One special pair of a line, q the line's weight.
  void add(Index pair, double w, const Entries& entries, const formula::SoftmaxLine<double>& line,
           double q) {
    const T z = logit(pair);
    const double surprise = line.surprise(double(entries.top) - double(z));
    loss_ += q * w * surprise;
    if (targets_.gradient) targets_.gradient[pair] += q * weight_ * surprise;
    const bool best = pair == entries.best;
    if (out_.special)
      out_.special[pair] +=
          q * weight_ * double(targets_.scale) *
          line.slope(best, best ? 1.0 : entries.exponential(z), w, entries.weight);
  }

  const SpecialTargets<T>& targets_;
  double weight_;
  const pairwise::SoftmaxStatistics<T>& stats_;
  const pairwise::SoftmaxWeights<T>& out_;
  double loss_ = 0;
};

/// Both directions: columns take the same special pairs, with their targets as they are.
template <class T>
class SoftTargetLines : public SoftTargetRows<T> {
 public:
  using typename SoftTargetRows<T>::Entries;

  SoftTargetLines(const SpecialTargets<T>& targets, double weight,
                  const pairwise::SoftmaxStatistics<T>& stats,
                  const pairwise::SoftmaxWeights<T>& out, Entries* lines)
      : SoftTargetRows<T>(targets, weight, stats, out), lines_(lines) {}

  /// All columns: sets col_shift and col_scale. Adds the loss of the special pairs of rows [from, to)
  /// as columns, and to weights.special.
  void cols(Index from, Index to) {
    const auto& t = this->targets_;
    const Index n = t.table.x.rows, m = t.table.y.rows;
    for (Index j = 0; j < m; ++j) lines_[j] = {this->stats_.col_max[j]};
    each_pair(0, n, [&](Index pair, Index j) { this->raise(lines_[j], pair); });
    each_pair(0, n, [&](Index pair, Index j) { lines_[j].add(pair, this->logit(pair)); });
    each_pair(from, to, [&](Index pair, Index j) {
      this->add(pair, t.target(pair), lines_[j], softmax(j), t.of_line(j));
    });
    if (!this->out_.special) return;
    for (Index j = 0; j < m; ++j) {
      this->out_.col_shift[j] = lines_[j].top;
      this->out_.col_scale[j] = T(t.of_line(j) * lines_[j].weight / softmax(j).total());
    }
  }

 private:
  /// body(pair, column) for the targets of rows [from, to) that have a column.
  template <class Body>
  void each_pair(Index from, Index to, const Body& body) const {
    const auto& table = this->targets_.table;
    for (Index i = from; i < to; ++i)
      for (Index c = 0; c < this->targets_.target_slots; ++c) {
        const Index pair = i * table.slot_count + c;
        if (table.special[pair] >= 0) body(pair, table.special[pair]);
      }
  }
  formula::SoftmaxLine<double> softmax(Index j) const {
    return lines_[j].softmax(this->stats_.col_max[j], this->stats_.col_sum[j]);
  }

  Entries* lines_;
};

}  // namespace spheremix::losses::detail
