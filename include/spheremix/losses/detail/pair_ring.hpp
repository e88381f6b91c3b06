// The contrastive losses by ring: this rank's rows and columns are a table like any other, whose sweeps
// (pairwise/ring_sweeps.hpp) meet the columns of the other ranks, too. What comes out of such a table
// is this rank's part of the loss: those of all ranks are added up here.
#pragma once

#include "spheremix/losses/detail/contrastive.hpp"
#include "spheremix/losses/detail/strip.hpp"
#include "spheremix/pairwise/ring_sweeps.hpp"

namespace spheremix::losses::detail {

template <class T, class Products = pairwise::PlainProducts>
class ContrastRingOf final : public ContrastRing<T> {
 public:
  /// After an agreement on the rows of X and Y, batches 0 and 1, with their largest norms as numbers 0
  /// and 1. bytes: of the budget, what blocks take.
  ContrastRingOf(Meeting& meeting, const core::Ring<T>& ring, bool of_gradients, std::size_t bytes)
      : meeting_(meeting), ring_(ring) {
    this->columns = ring.most();
    this->lines = double(meeting.total(0));
    this->x_norm = meeting.largest(0);
    this->y_norm = meeting.largest(1);
    this->gradients = of_gradients;
    this->held = bytes;
  }

  std::size_t bytes(Index n, bool cols) const override {
    return core::bytes_of<pairwise::RingLines<T>>(n, this->columns, cols);
  }
  double sweeps(const pairwise::PairTable<T>& table,
                const formula::SoftmaxPair<T, true, false>& policy, const pairwise::Plan<T>& plan,
                const Workspace::Frame& frame, const pairwise::SoftmaxStatistics<T>& stats,
                const pairwise::SoftmaxWeights<T>& weights, SoftTargetRows<T>& finish,
                const pairwise::PairGradients<T>& out) const override {
    return run(table, policy, plan, frame, stats, weights, finish, out);
  }
  double sweeps(const pairwise::PairTable<T>& table,
                const formula::SoftmaxPair<T, true, true>& policy, const pairwise::Plan<T>& plan,
                const Workspace::Frame& frame, const pairwise::SoftmaxStatistics<T>& stats,
                const pairwise::SoftmaxWeights<T>& weights, SoftTargetLines<T>& finish,
                const pairwise::PairGradients<T>& out) const override {
    return run(table, policy, plan, frame, stats, weights, finish, out);
  }

 private:
  template <class Policy, class Finish>
  double run(const pairwise::PairTable<T>& table, const Policy& policy,
             const pairwise::Plan<T>& plan, const Workspace::Frame& frame,
             const pairwise::SoftmaxStatistics<T>& stats,
             const pairwise::SoftmaxWeights<T>& weights, Finish& finish,
             const pairwise::PairGradients<T>& out) const {
    meeting_.agree();  // what throws is behind every rank
    return pairwise::ring_sweeps<Products>(table, policy, plan, frame, ring_, this->gradients,
                                           stats, weights, finish, out);
  }

  Meeting& meeting_;
  const core::Ring<T>& ring_;
};

template <bool Both, class Products, class T>
ContrastResult pair_loss_on_ring(const char* function, const Inputs<T, 2>& in, double temperature,
                                 std::size_t budget, Workspace& workspace,
                                 const pairwise::PairGradients<T>& out, T margin,
                                 double* margin_slope, const Strip<T>& strip) {
  const ContrastRingOf<T, Products> ring(strip.meeting(), *strip.ring, strip.gradients, strip.held);
  double slope = 0;
  const ContrastResult part =
      pair_loss_on_views<Both, T, Products>(function, Inputs<T, 2>{{in[0], in[1]}}, temperature,
                                            budget, workspace, out, margin, &slope, nullptr, &ring);
  double sums[] = {part.loss, part.log_temperature, slope};
  strip.sum(sums, 3);
  if (margin_slope && strip.gradients) *margin_slope = sums[2];
  return {sums[0], sums[1], nullptr};
}

}  // namespace spheremix::losses::detail
