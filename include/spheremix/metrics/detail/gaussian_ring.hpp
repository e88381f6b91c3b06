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

#include "spheremix/metrics/detail/gaussian_pairs.hpp"
#include "spheremix/pairwise/ring_rows.hpp"

namespace spheremix::metrics::detail {

template <class T>
struct GaussianRingArrays {
  double* centre;
  CentredRows<T> own, block;
  GaussianSums<T> sums;

  GaussianRingArrays(Index n, Index most, Index d, int threads, core::Workspace::Frame& frame)
      : centre(frame.take<double>(std::size_t(d))),
        own(n, d, frame),
        block(most, d, frame),
        sums(n, most, threads, frame) {}
};

template <class T>
class GaussianRing {
 public:
  /// This rank's rows of batches kx and ky; kx == ky: within one.
  GaussianRing(core::Meeting& meeting, int kx, core::MatrixView<const T> x, int ky,
               core::MatrixView<const T> y, double t)
      : share_(meeting),
        within_(kx == ky),
        t_(t),
        ring_(meeting, ky, y, within_ ? share_.size() / 2 : share_.size() - 1),
        arrays_(x.rows, ring_.most(), x.cols, threads_for(x.rows, ring_.most(), x.cols)),
        memory_(*arrays_) {
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

  /// The same on every rank.
  double log_mean() {
    return log_mean_of(
        GaussianTable<T>{memory_.own, memory_.block, within_, t_},
        [&] {
          LogSum sum;
          for_tables([&](const GaussianTable<T>& table) {
            const LogSum part = gaussian_sum(table, memory_.sums);
            sum.add(part.top, part.sum);
          });
          share_.merge(&sum.top, &sum.sum, 1);
          return sum;
        },
        [&] {
          CompensatedSum sums;
          for_tables([&](const GaussianTable<T>& table) {
            sums.add(gaussian_expm1_sum(table, memory_.sums));
          });
          double sum = sums.value();
          share_.add(&sum, 1);
          return sum;
        });
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

  /// body(table) for each block that passes by.
  template <class Body>
  void for_tables(const Body& body) {
    ring_.for_each([&](const core::RingBlock<T>& block) {
      const CentredRows<T>& own = memory_.own;
      if (within_ && block.step == 0) return body({own, own, true, t_});
      CentredRows<T>& other = memory_.block;
      const CentredRows<T> all = other;
      other.fill({block.y}, memory_.centre);
      other.set_among(all.total(), all.mean_square(), all.largest_square());
      if (!within_ || 2 * block.step < share_.size()) return body({own, other, false, t_});
      // Half of the table: all rows of the higher rank with a half of the lower one's.
      const bool lower = share_.rank() < ring_.owner(block.step);
      const Index n = lower ? own.original().rows() : block.y.rows, half = n / 2;
      if (lower)
        body({own.part(0, half), other, false, t_});
      else
        body({own, other.part(half, n - half), false, t_});
    });
  }

  pairwise::MeetingShare share_;
  bool within_;
  double t_;
  pairwise::RowsRing<T> ring_;
  core::Owned<GaussianRingArrays<T>> arrays_;
  GaussianRingArrays<T>& memory_;
};

/// The same on every rank, of batch k alone, or of kx and ky.
template <class T>
double uniformity_by_ring(core::Meeting& meeting, int k, core::MatrixView<const T> x, double t) {
  return GaussianRing<T>(meeting, k, x, k, x, t).log_mean();
}
template <class T>
double cross_uniformity_by_ring(core::Meeting& meeting, core::MatrixView<const T> x,
                                core::MatrixView<const T> y, double t) {
  return GaussianRing<T>(meeting, 0, x, 1, y, t).log_mean();
}

}  // namespace spheremix::metrics::detail
