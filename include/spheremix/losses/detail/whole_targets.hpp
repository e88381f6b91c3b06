// Targets of one rank's rows (formula/targets.hpp) to those of the whole batch, on every rank.
//
//   ids     those of the rank's own rows of X and of Y
//   pairs   rows are the rank's own, columns are row numbers in the whole of Y
//   soft    a row for each of the rank's own, a column for each row of the whole of Y
#pragma once

#include <vector>

#include "spheremix/core/collectives.hpp"
#include "spheremix/core/digest.hpp"
#include "spheremix/formula/targets.hpp"

namespace spheremix::losses::detail {

template <class T>
TargetNumbers<T> numbers_in(const std::vector<T>& values) {
  return {values.data(), Index(values.size()), 1,
          [](const void* data, Index at) { return static_cast<const T*>(data)[at]; }};
}

/// Takes the places [place, place + 3) of the meeting's batches. what: "targets" or "exclude".
template <class Meeting>
class WholeTargets {
 public:
  WholeTargets(Meeting& meeting, int place, const char* what, const Targets* own, Index n, Index m)
      : meeting_(meeting), place_(place), parts_(own ? &own->parts() : nullptr) {
    const int kind = parts_ ? 1 + int(parts_->kind) : 0;
    meeting.mine.options ^= core::digest_of(place, kind);
    if (!parts_) return;
    const char* const function = meeting.function();
    const auto expects_count = [&](const char* of, Index got, Index want) {
      core::expects(got == want, function, what, " has ", got, of, " where this rank has ", want);
    };
    if (parts_->kind == TargetKind::soft) {
      expects_count(" rows", parts_->soft.rows, n);
      put_soft();
      bring(0, n, parts_->soft.cols);
      return;
    }
    if (parts_->kind == TargetKind::ids) {
      expects_count(" ids of rows", parts_->a.size, n);
      expects_count(" ids of columns", parts_->b.size, m);
    } else {
      expects_count(" columns", parts_->b.size, parts_->a.size);
      if (parts_->weights.data) expects_count(" weights", parts_->weights.size, parts_->a.size);
    }
    for (Index i = 0; i < parts_->a.size; ++i) {
      own_a_.push_back(parts_->a[i]);
      if (parts_->kind == TargetKind::ids) continue;
      core::expects(!own_a_.back().negative && own_a_.back().bits < std::uint64_t(n), function,
                    what, ": pair ", i, " is of a row that this rank's ", n, " rows do not have");
      own_w_.push_back(parts_->weights.data ? parts_->weights[i] : 1);
    }
    for (Index i = 0; i < parts_->b.size; ++i) own_b_.push_back(parts_->b[i]);
    bring(0, Index(own_a_.size()), 1);
    bring(1, Index(own_b_.size()), 1);
    bring(2, Index(own_w_.size()), 1);
  }

  /// After an agreement.
  void make_room() {
    a_.resize(total(0));
    b_.resize(total(1));
    w_.resize(total(2));
    if (parts_ && parts_->kind == TargetKind::soft) {
      w_.resize(total(0) * std::size_t(parts_->soft.cols));
      a_.clear();
    }
  }
  /// After another.
  void gather() {
    if (!parts_) return;
    if (parts_->kind == TargetKind::soft) {
      const Index d = parts_->soft.cols, n = Index(own_w_.size()) / (std::max)(d, Index(1));
      core::gather_rows<double>(meeting_, place_, {own_w_.data(), n, d, d},
                                {w_.data(), meeting_.total(place_), d, d});
      return;
    }
    part(0, own_a_, a_);
    part(1, own_b_, b_);
    part(2, own_w_, w_);
    if (parts_->kind != TargetKind::pairs) return;
    for (int r = 0; r < meeting_.ranks().size(); ++r)
      for (Index k = meeting_.first(place_, r); k < meeting_.first(place_, r + 1); ++k)
        a_[std::size_t(k)].bits += std::uint64_t(meeting_.first(0, r));
  }
  /// Of all ranks; borrows from this.
  Targets all() const {
    TargetParts p{parts_->kind};
    p.code = parts_->code;
    if (p.kind == TargetKind::soft) {
      const Index d = parts_->soft.cols;
      p.soft = {w_.data(), meeting_.total(place_), d, d, 1, false};
    } else {
      p.a = numbers_in(a_);
      p.b = numbers_in(b_);
      if (p.kind == TargetKind::pairs) p.weights = numbers_in(w_);
    }
    return Targets(std::move(p));
  }

 private:
  void bring(int k, Index rows, Index cols) {
    meeting_.mine.rows[place_ + k] = rows;
    meeting_.mine.cols[place_ + k] = cols;
  }
  std::size_t total(int k) const { return std::size_t(meeting_.total(place_ + k)); }
  void put_soft() {
    for (Index i = 0; i < parts_->soft.rows; ++i)
      for (Index j = 0; j < parts_->soft.cols; ++j) own_w_.push_back(parts_->soft(i, j));
  }
  template <class V>
  void part(int k, const V& own, V& all) {
    using U = typename V::value_type;
    core::gather_rows<U>(meeting_, place_ + k, {own.data(), Index(own.size()), 1, 1},
                         {all.data(), Index(all.size()), 1, 1});
  }

  Meeting& meeting_;
  int place_;
  const TargetParts* parts_;
  std::vector<Id> own_a_, own_b_, a_, b_;
  std::vector<double> own_w_, w_;
};

}  // namespace spheremix::losses::detail
