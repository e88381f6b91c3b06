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
#include "spheremix/gpu/losses/detail/triplet_rows.cuh"

namespace spheremix::gpu::losses {

using spheremix::losses::TripletDistance;
using spheremix::losses::TripletMargin;
using spheremix::losses::TripletMining;
using spheremix::losses::TripletOptions;

/// In device memory; gradients f32 (f64 for double rows); any number but the loss may be null.
template <class T>
using TripletGradient = spheremix::losses::TripletGradient<Places<T>>;

namespace detail {

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
