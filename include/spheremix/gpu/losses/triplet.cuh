// triplet and triplet_of on the device: formulas and options in formula/triplet.hpp.
//
// Mining compares squares of distances summed from differences in the arithmetic type, in one order
// for every pair: equal rows are equally far, and two distances within D eps of each other may
// change places. The loss and its gradient come from differences in double.
//
// Shapes   X: N x D, N < 2^31, float, double, Half or Bfloat16. Labels: N numbers, equal or not as
//          they are. Lists: numbers of rows in device memory, one length.
// Cost     3 N^2 D operations on the ordinary units, N^2 comparisons of labels; with the gradient
//          3 N numbers are read for each of N rows. triplet_of: 6 D operations a triplet, and with
//          the gradient its three numbers for each row.
// Memory   80 N bytes, and at most 16 N bytes + 1 MiB of what stretches of rows found (twice that for
//          double rows). triplet_of: 22 bytes a triplet and 8 N.
// Errors   as in clip.cuh, margin negative or not finite; semi_hard: refused, the device has no room
//          for as many triplets as there may be. NaN or infinity in a row, a row whose square
//          overflows, a label that is not finite and a number outside [0, N) give NaN.
#pragma once

#include "spheremix/formula/triplet.hpp"
#include "spheremix/gpu/losses/detail/triplet_mining.cuh"

namespace spheremix::gpu::losses {

using spheremix::losses::TripletDistance;
using spheremix::losses::TripletMargin;
using spheremix::losses::TripletMining;
using spheremix::losses::TripletOptions;

/// Results in device memory, f32 gradient (f64 for double rows).
template <class T>
struct TripletGradient {
  double* loss = nullptr;
  core::MatrixView<Arithmetic<T>> x;
  Index* active = nullptr;   ///< triplets with a positive loss; may be null
  Index* skipped = nullptr;  ///< anchors without a positive or a negative; may be null
};

namespace detail {

/// One triplet a warp: its loss, and what its two distances weigh in the gradient.
template <class T>
struct TripletKernel {
  static constexpr unsigned kThreads = 128, kResident = 8, kRowsEach = kThreads / kWarp,
                            kWarps = kRowsEach;
  static constexpr std::size_t kShared = 3 * kWarps * sizeof(double);
  core::MatrixView<const T> x;
  TripletOptions options;
  TripletList list;
  double *to_positive, *to_negative;
  double* partial;  ///< loss, active and counted of a block

  __device__ double distance(Index a, Index b) const {
    double square = 0;
    for (Index k = threadIdx.x % kWarp; k < x.cols; k += kWarp) {
      const double away = double(widen(x(a, k))) - double(widen(x(b, k)));
      square += away * away;
    }
    square = warp_sum(square);
    return options.distance == TripletDistance::squared ? square : std::sqrt(square);
  }

  __device__ void operator()() const {
    const Index t = Index(blockIdx.x) * kRowsEach + threadIdx.x / kWarp;
    double sums[3] = {0, 0, 0};
    if (t < list.count) {
      const Index a = list.anchor(t), p = list.positive[t], n = list.negative[t];
      double pull = 0, push = 0;
      const auto there = [&](Index i) { return i >= 0 && i < x.rows; };
      if (there(a) && there(p) && there(n)) {
        const double near = distance(a, p), far = distance(a, n);
        const formula::TripletTerm term = formula::triplet_term(near, far, options);
        const bool active = !(term.value <= 0);  // NaN counts
        sums[0] = active ? term.value : 0;
        sums[1] = double(active);
        sums[2] = 1;
        if (active) {
          pull = term.slope * formula::triplet_factor(near, options);
          push = -term.slope * formula::triplet_factor(far, options);
        }
      } else if (!list.mined) {  // a number outside
        sums[0] = pull = push = core::nan<double>;
        sums[2] = 1;
      }
      if (threadIdx.x % kWarp == 0 && to_positive) to_positive[t] = pull, to_negative[t] = push;
    }
    if (threadIdx.x % kWarp > 0) sums[0] = sums[1] = sums[2] = 0;
    pairwise::block_sums<kThreads>(sums, 3, reinterpret_cast<double*>(shared_memory()));
    if (threadIdx.x > 0) return;
    for (int k = 0; k < 3; ++k) partial[3 * Index(blockIdx.x) + k] = sums[k];
  }
};

/// The mean over the triplets that are there. One block.
struct TripletMeanKernel {
  static constexpr unsigned kThreads = 256, kResident = 4;
  static constexpr std::size_t kShared = 4 * (kThreads / kWarp) * sizeof(double);
  const double* partial;
  Index blocks;
  const double* sound;  ///< one a row
  Index rows;
  Index count;  ///< triplets there might have been
  double* loss;
  Index *active, *skipped;
  double* each;  ///< 1 over how many there are, NaN next to a NaN loss
  __device__ void operator()() const {
    double sums[4] = {0, 0, 0, 0};
    for (Index b = threadIdx.x; b < blocks; b += kThreads)
      for (int k = 0; k < 3; ++k) sums[k] += partial[3 * b + k];
    for (Index i = threadIdx.x; i < rows; i += kThreads) sums[3] += sound[i];
    pairwise::block_sums<kThreads>(sums, 4, reinterpret_cast<double*>(shared_memory()));
    if (threadIdx.x > 0) return;
    const double mean = (sums[2] > 0 ? sums[0] / sums[2] : 0) + sums[3];
    *loss = mean;
    *each = mean != mean ? mean : sums[2] > 0 ? 1 / sums[2] : 0;
    if (active) *active = Index(sums[1]);
    if (skipped) *skipped = count - Index(sums[2]);
  }
};

/// dL/dx of one row a block: the triplets that it is part of, in their order.
template <class T>
struct TripletRowKernel {
  using A = Arithmetic<T>;
  static constexpr unsigned kThreads = 128, kResident = 8, kColumns = 4,
                            kAcross = kThreads * kColumns;
  struct Shared {
    unsigned mine[kThreads / kWarp];  ///< which threads of a warp found their triplet
  };
  static constexpr std::size_t kShared = sizeof(Shared);
  core::MatrixView<const T> x;
  TripletList list;
  const double *to_positive, *to_negative, *each;
  core::MatrixView<A> dx;

  __device__ void operator()() const {
    Shared& shared = *reinterpret_cast<Shared*>(shared_memory());
    const Index r = Index(blockIdx.x);
    for (Index first = 0; first < x.cols; first += kAcross) {
      double sums[kColumns] = {};
      const auto add = [&](double weight, Index other) {
        if (weight == 0) return;
#pragma unroll
        for (unsigned c = 0; c < kColumns; ++c) {
          const Index k = first + c * kThreads + threadIdx.x;
          if (k < x.cols) sums[c] += weight * (double(widen(x(r, k))) - double(widen(x(other, k))));
        }
      };
      for (Index t0 = 0; t0 < list.count; t0 += kThreads) {
        const Index own = t0 + threadIdx.x;
        const bool part = own < list.count && (list.anchor(own) == r || list.positive[own] == r ||
                                               list.negative[own] == r);
        const unsigned votes = ballot(part);
        if (threadIdx.x % kWarp == 0) shared.mine[threadIdx.x / kWarp] = votes;
        block_barrier();  // every warp's votes are there
        for (unsigned w = 0; w < kThreads / kWarp; ++w)
          for (unsigned left = shared.mine[w]; left; left &= left - 1) {
            const Index t = t0 + w * kWarp + unsigned(__ffs(int(left)) - 1);
            const Index a = list.anchor(t), p = list.positive[t], n = list.negative[t];
            if (!(to_positive[t] - to_positive[t] == 0)) continue;  // *each is NaN
            if (a == r) add(to_positive[t], p), add(to_negative[t], n);
            if (p == r) add(to_positive[t], a);
            if (n == r) add(to_negative[t], a);
          }
        block_barrier();  // the votes are used
      }
#pragma unroll
      for (unsigned c = 0; c < kColumns; ++c) {
        const Index k = first + c * kThreads + threadIdx.x;
        if (k < x.cols) dx(r, k) = A(*each * sums[c]);
      }
    }
  }
};

/// The loss over `list`, whose rows' soundness is known.
template <class T>
void triplet_mean(Work& work, const core::MatrixView<const T>& x, const TripletList& list,
                  const double* sound, const TripletOptions& o, const TripletGradient<T>& out) {
  using Each = TripletKernel<T>;
  const Index blocks = pairwise::ceil_div(list.count, Each::kRowsEach);
  const bool gradient = out.x.data != nullptr;
  double* const to_positive = gradient ? work.take<double>(list.count) : nullptr;
  double* const to_negative = gradient ? work.take<double>(list.count) : nullptr;
  double* const partial = work.take<double>(3 * blocks);
  double* const each = work.take<double>(1);
  pairwise::start(work, Each{x, o, list, to_positive, to_negative, partial}, blocks);
  pairwise::start(work,
                  TripletMeanKernel{partial, blocks, sound, x.rows, list.count, out.loss,
                                    out.active, out.skipped, each},
                  1);
  if (gradient)
    pairwise::start(work, TripletRowKernel<T>{x, list, to_positive, to_negative, each, out.x},
                    x.rows);
}

template <class T>
const char* triplet_error(const core::MatrixView<const T>& x, const TripletOptions& o,
                          const TripletGradient<T>& out) {
  if (!(o.margin >= 0) || !(o.margin <= core::largest<double>))
    return "the margin is not a finite number >= 0";
  return rows_error(x, out.loss, out.x);
}

template <class T>
Status triplet_checked(const core::MatrixView<const T>& x, const Labels& labels,
                       const TripletOptions& o, const TripletGradient<T>& out, Scratch scratch,
                       cudaStream_t stream) {
  if (const char* wrong = triplet_error(x, o, out)) return invalid(wrong);
  if (!labels) return invalid("the labels are a null pointer");
  if (o.mining != TripletMining::batch_hard) return invalid("semi_hard mining is the CPU's");
  return enqueue(scratch, stream, [&](Work& work) {
    double* const sound = work.take<double>(x.rows);
    const TripletList list = mine_batch_hard(work, x, labels, sound);
    triplet_mean(work, x, list, sound, o, out);
  });
}

template <class T>
Status triplet_of_checked(const core::MatrixView<const T>& x, const TripletList& list,
                          const TripletOptions& o, const TripletGradient<T>& out, Scratch scratch,
                          cudaStream_t stream) {
  if (const char* wrong = triplet_error(x, o, out)) return invalid(wrong);
  if (list.count < 1) return invalid("there are no triplets");
  if (!list.anchors || !list.positive || !list.negative)
    return invalid("a list of rows is a null pointer");
  return enqueue(scratch, stream, [&](Work& work) {
    double* const sound = work.take<double>(x.rows);
    find_sound_rows(work, x, sound);
    triplet_mean(work, x, list, sound, o, out);
  });
}

}  // namespace detail

/// *loss (device memory).
template <class T>
Status triplet(core::MatrixView<const T> x, Labels labels, const TripletOptions& options,
               double* loss, Scratch scratch, cudaStream_t stream = nullptr) {
  return detail::triplet_checked(x, labels, options, TripletGradient<T>{loss, {}}, scratch, stream);
}

/// Loss and gradient, overwritten.
template <class T>
Status triplet_with_gradient(core::MatrixView<const T> x, Labels labels,
                             const TripletOptions& options, const TripletGradient<T>& out,
                             Scratch scratch, cudaStream_t stream = nullptr) {
  if (!out.x.data) return invalid("no place for the gradient");
  return detail::triplet_checked(x, labels, options, out, scratch, stream);
}

/// *loss of `count` triplets of rows of X; options.mining is not used.
template <class T>
Status triplet_of(core::MatrixView<const T> x, const Index* anchors, const Index* positives,
                  const Index* negatives, Index count, const TripletOptions& options, double* loss,
                  Scratch scratch, cudaStream_t stream = nullptr) {
  return detail::triplet_of_checked(x, {anchors, positives, negatives, count, false}, options,
                                    TripletGradient<T>{loss, {}}, scratch, stream);
}

/// Loss and gradient, overwritten.
template <class T>
Status triplet_of_with_gradient(core::MatrixView<const T> x, const Index* anchors,
                                const Index* positives, const Index* negatives, Index count,
                                const TripletOptions& options, const TripletGradient<T>& out,
                                Scratch scratch, cudaStream_t stream = nullptr) {
  if (!out.x.data) return invalid("no place for the gradient");
  return detail::triplet_of_checked(x, {anchors, positives, negatives, count, false}, options, out,
                                    scratch, stream);
}

}  // namespace spheremix::gpu::losses
