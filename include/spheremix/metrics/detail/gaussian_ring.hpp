// log mean of e^(-t |x - y|^2) over the rows of all ranks, on one of them: its own rows against the
// blocks that pass by (pairwise/ring_rows.hpp), tile by tile as in gaussian_pairs.hpp.
//
//   X and Y     this rank's rows of X with every block of Y: W - 1 hops
//   within X    half a ring: the pairs of own rows, then own rows with the blocks of the W / 2
//               ranks before. Of an even number the last two blocks meet at both their ranks: the
//               lower one takes the first half of its rows, the higher one the other half.
//
// So every pair is computed once. Blocks travel as they are, for the differences of
// near-duplicates, and are centred here, by the mean of all rows. Which sums are right is decided
// by all ranks' squares; a rank's sums are added in the order of the steps, those of the ranks in
// theirs.
//
// Cost      flops of one process / W a rank, and O(N d) to centre blocks. The rows go round again
//           where the value ends above -0.5 (sums of expm1) after sums of exp.
// Memory    centred own rows and a centred block, besides the ring's blocks
#pragma once

#include "spheremix/metrics/detail/gaussian_gradient.hpp"
#include "spheremix/pairwise/ring_rows.hpp"

namespace spheremix::metrics::detail {

/// Of the rows of batch ky against n rows: within, those of one batch. gradient: with what
/// gaussian_gradient_ring.hpp takes. threads: 0, as many as are worth while.
template <class T>
struct GaussianRingArrays {
  pairwise::RowsRing<T> ring;
  double* centre;
  CentredRows<T> own, block;
  GaussianSums<T> sums;
  GaussianStrips<T> strips;
  double* line[2] = {};  ///< sums of K of the rows that travel

  GaussianRingArrays(const core::Meeting& meeting, Index n, int ky, core::MatrixView<const T> y,
                     bool within, bool gradient, int threads, core::Workspace::Frame& frame)
      : ring(meeting, ky, y, steps(meeting.ranks().size(), within), gradient, frame),
        centre(frame.take<double>(std::size_t(y.cols))),
        own(n, y.cols, frame),
        block(ring.most(), y.cols, frame),
        sums(n, ring.most(), threads > 0 ? threads : threads_for(n, ring.most(), y.cols), frame),
        strips(gradient ? n : 0, ring.most(), frame) {
    if (gradient)
      for (double*& l : line) l = frame.take<double>(std::size_t(ring.most()));
  }
  /// Blocks besides its own that a rank sees.
  static int steps(int ranks, bool within) { return within ? ranks / 2 : ranks - 1; }
};

template <class T>
class GaussianRing {
 public:
  /// This rank's rows of batches kx and ky; kx == ky: within one.
  GaussianRing(core::Meeting& meeting, int kx, core::MatrixView<const T> x, int ky,
               core::MatrixView<const T> y, double t, core::Workspace& workspace,
               bool gradient = false, int threads = 0)
      : share_(meeting),
        within_(kx == ky),
        t_(t),
        frame_(workspace.frame(core::bytes_of<GaussianRingArrays<T>>(meeting, x.rows, ky, y,
                                                                     within_, gradient, threads))),
        memory_(meeting, x.rows, ky, y, within_, gradient, threads, frame_) {
    centre_of_all(x, y, double(meeting.total(kx) + (within_ ? 0 : meeting.total(ky))));
    double* const number = meeting.mine.number;
    const auto bring = [&](CentredRows<T>& rows, core::MatrixView<const T> of, int k) {
      rows.fill({of}, memory_.centre);
      number[2 * k] = rows.largest_square();
      number[2 * k + 1] = rows.mean_square() * double(of.rows);
    };
    bring(memory_.own, x, 0);
    if (!within_) bring(memory_.block, y, 1);
    meeting.agree();
    const auto among = [&](CentredRows<T>& rows, int batch, int k) {
      const Index total = meeting.total(batch);
      rows.set_among(total, meeting.sum(2 * k + 1) / double(total), meeting.largest(2 * k));
    };
    among(memory_.own, kx, 0);
    among(memory_.block, ky, within_ ? 0 : 1);
  }

  /// The table of the pairs of all ranks, as far as what it decides goes.
  GaussianTable<T> all() const { return {memory_.own, memory_.block, within_, t_}; }
  const pairwise::MeetingShare& share() const { return share_; }
  GaussianRingArrays<T>& memory() { return memory_; }

  /// The same on every rank. `fast` is a value from gradient weights, if there is one.
  double log_mean(const double* fast = nullptr) {
    return log_mean_of(
        all(), [&] { return log_sum(); },
        [&] {
          CompensatedSum sums;
          for_tables([&](const GaussianTable<T>& table, auto&&...) {
            sums.add(gaussian_expm1_sum(table, memory_.sums));
          });
          double sum = sums.value();
          share_.add(&sum, 1);
          return sum;
        },
        fast);
  }

  /// The sum of e^logit over the pairs of all ranks.
  LogSum log_sum() {
    LogSum sum;
    for_tables([&](const GaussianTable<T>& table, auto&&...) {
      const LogSum part = gaussian_sum(table, memory_.sums);
      sum.add(part.top, part.sum);
    });
    share_.merge(&sum.top, &sum.sum, 1);
    return sum;
  }

  /// body(table, block, j) for each block that passes by: row 0 of the table is that of this rank,
  /// column 0 row j of the block. dy, after: as RowsRing has them.
  template <class Body, class After>
  void for_tables(core::MatrixView<T> dy, const Body& body, const After& after) {
    memory_.ring.for_each(
        dy, [&](const core::RingBlock<T>& block) { at(block, body); }, after);
  }
  template <class Body>
  void for_tables(const Body& body) {
    memory_.ring.for_each([&](const core::RingBlock<T>& block) { at(block, body); });
  }

 private:
  /// The mean of `total` rows, those of all ranks: this rank's part is of X and, unless that is X,
  /// of Y.
  void centre_of_all(core::MatrixView<const T> x, core::MatrixView<const T> y, double total) {
    const core::MatrixView<const T> none{nullptr, 0, x.cols, x.cols};
    const StackedRows<T> first{x}, second{within_ ? none : y};
    const double own = double(first.rows() + second.rows());
    centre_of(first, second, memory_.centre);
    for (Index k = 0; k < x.cols; ++k)
      memory_.centre[k] = own > 0 ? memory_.centre[k] * (own / total) : 0;
    share_.add(memory_.centre, x.cols);
  }

  template <class Body>
  void at(const core::RingBlock<T>& block, const Body& body) {
    const CentredRows<T>& own = memory_.own;
    if (within_ && block.step == 0)
      return body(GaussianTable<T>{own, own, true, t_}, block, Index(0));
    CentredRows<T>& other = memory_.block;
    const CentredRows<T> all = other;
    other.fill({block.y}, memory_.centre);
    other.set_among(all.total(), all.mean_square(), all.largest_square());
    const auto with = [&](const CentredRows<T>& x, const CentredRows<T>& y, Index j) {
      body(GaussianTable<T>{x, y, false, t_}, block, j);
    };
    if (!within_ || 2 * block.step < share_.size()) return with(own, other, 0);
    // Half of the table: all rows of the higher rank with a half of the lower one's.
    const bool lower = share_.rank() < memory_.ring.owner(block.step);
    const Index n = lower ? own.original().rows() : block.y.rows, half = n / 2;
    if (lower)
      with(own.part(0, half), other, 0);
    else
      with(own, other.part(half, n - half), half);
  }

  pairwise::MeetingShare share_;
  bool within_;
  double t_;
  core::Workspace::Frame frame_;
  GaussianRingArrays<T> memory_;
};

/// The same on every rank, of batch k alone, or of kx and ky.
template <class T>
double uniformity_by_ring(core::Meeting& meeting, int k, core::MatrixView<const T> x, double t,
                          core::Workspace& workspace, int threads = 0) {
  return GaussianRing<T>(meeting, k, x, k, x, t, workspace, false, threads).log_mean();
}
template <class T>
double cross_uniformity_by_ring(core::Meeting& meeting, core::MatrixView<const T> x,
                                core::MatrixView<const T> y, double t, core::Workspace& workspace) {
  return GaussianRing<T>(meeting, 0, x, 1, y, t, workspace).log_mean();
}

}  // namespace spheremix::metrics::detail
