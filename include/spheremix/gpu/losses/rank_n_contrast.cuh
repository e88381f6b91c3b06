// rank_n_contrast on the device: formula, gradient and options in formula/rank_n_contrast.hpp.
//
// Shapes   X: N x D, float, double, Half or Bfloat16; labels: N numbers, on a line (distances of the
//          caller's are the CPU's).
// Cost     6 N^2 D flops without tensor cores, in f32 (f64 for double rows), O(log N) and four
//          exponentials a pair; N^2 comparisons of labels. Label order and log-sum-exps in double.
// Memory   scratch: 16 N D bytes (32 N D for double rows) and 44 or 48 bytes a pair of a strip of
//          rows: at most 33 MiB, or 64 rows.
// Errors   as in clip.cuh, label_tolerance < 0. A label that is not finite gives NaN. N = 1: L = 0.
#pragma once

#include <algorithm>

#include "spheremix/gpu/losses/detail/rank_rows.cuh"
#include "spheremix/gpu/pairwise/products.cuh"

namespace spheremix::gpu::losses {

using spheremix::losses::RankNContrastOptions;
using spheremix::losses::RankSimilarity;

namespace detail {

template <class T>
void rank_n_contrast(Work& work, const core::MatrixView<const T>& x, const Labels& from,
                     const RankNContrastOptions& options, const SupervisedGradient<T>& out,
                     Index asked) {
  using A = Arithmetic<T>;
  using Tile = pairwise::ExactTile<A>;
  using Places = RankPlacesKernel<T>;
  using Columns = StripColumnsKernel<A>;
  using Gradient = RankGradientKernel<A>;
  const Index n = x.rows, d = x.cols;
  const bool cosine = options.similarity == RankSimilarity::cosine, gradient = out.x.data;
  const Index fitting = (Index(32) << 20) / (n * Index(sizeof(A) + 40)),
              strip = (std::min)(n, asked > 0 ? asked : (std::max)(fitting, Index(64)));
  const auto batch = [&] { return core::MatrixView<A>{work.take<A>(n * d), n, d, d}; };
  const core::MatrixView<A> rows = batch();
  A* const transposed = work.take<A>(n * d);
  const core::MatrixView<A> one = gradient ? batch() : core::MatrixView<A>{},
                            other = gradient ? batch() : core::MatrixView<A>{};
  auto* const labels = work.take<ExactNumber>(n);
  auto* const sorted = work.take<ExactNumber>(n);
  Index* const place = work.take<Index>(n);
  double* const slack = work.take<double>(1);
  double* const squares = work.take<double>(n);
  double* const losses = work.take<double>(n);
  double* const moments = work.take<double>(n);
  double* const pulls = work.take<double>(n);
  double* const columns = work.take<double>(n);
  A* const table = work.take<A>(strip * n);
  RankRoom room{};
  for (double** const to : {&room.z, &room.apart, &room.total, &room.chain})
    *to = work.take<double>(strip * n);
  room.other = work.take<int>(strip * n);
  room.end = work.take<int>(strip * n);

  pairwise::start(
      work, RankLabelsKernel{from, n, options.label_tolerance, labels, slack, out.skipped}, 1);
  pairwise::start(work, Places{x, labels, cosine, sorted, place, rows, transposed, squares},
                  pairwise::ceil_div(n, Places::kRowsEach));
  const pairwise::KernelProducts how{};
  for (Index i = 0; i < n; i += strip) {
    const Index count = (std::min)(strip, n - i);
    const core::MatrixView<A> part{table, count, n, n};
    pairwise::multiply<Tile>(
        work, how, {rows.data + i * d, d, false, {transposed, d, n, n}, part, A(1), false}, {});
    pairwise::start(work,
                    RankAnchorKernel<A>{rows, sorted, squares, slack, options.temperature, cosine,
                                        gradient, i, table, room, losses, moments, pulls},
                    count);
    if (!gradient) continue;
    pairwise::multiply<Tile>(work, how,
                             {table, n, false, rows, one.middle_rows(i, count), A(1), false},
                             {table, n, true, rows.middle_rows(i, count), other, A(1), i > 0});
    if (!cosine)
      pairwise::start(work, Columns{part, i > 0, columns},
                      pairwise::ceil_div(n, Columns::kThreads));
  }
  pairwise::ReduceKernel reduce{};
  reduce.sum[0] = {losses, n, 1, out.loss};
  reduce.sum[1] = {moments, n, -1, out.log_temperature};
  pairwise::start(work, reduce, gradient && out.log_temperature ? 2 : 1);
  if (gradient)
    pairwise::start(work,
                    Gradient{rows, one, other, cosine ? nullptr : pulls, columns, place, out.x},
                    pairwise::ceil_div(n, Gradient::kRowsEach));
}

template <class T>
Status rank_n_contrast_checked(const core::MatrixView<const T>& x, const Labels& labels,
                               const RankNContrastOptions& options,
                               const SupervisedGradient<T>& out, Scratch scratch,
                               cudaStream_t stream, Index strip) {
  if (const char* wrong =
          supervised_error(x, labels, options.temperature, options.label_tolerance, out))
    return invalid(wrong);
  return enqueue(scratch, stream,
                 [&](Work& work) { rank_n_contrast(work, x, labels, options, out, strip); });
}

}  // namespace detail

/// *loss (device memory). Of `how` only the block is heard: rows of a strip.
template <class T, class Products = pairwise::KernelProducts>
Status rank_n_contrast(core::MatrixView<const T> x, Labels labels,
                       const RankNContrastOptions& options, double* loss, Scratch scratch,
                       cudaStream_t stream = nullptr, const Products& how = {}) {
  return detail::rank_n_contrast_checked(x, labels, options,
                                         SupervisedGradient<T>{loss, {}, nullptr, nullptr}, scratch,
                                         stream, pairwise::asked_block(how));
}

/// Loss, gradient and dL/d log tau, all overwritten.
template <class T, class Products = pairwise::KernelProducts>
Status rank_n_contrast_with_gradient(core::MatrixView<const T> x, Labels labels,
                                     const RankNContrastOptions& options,
                                     const SupervisedGradient<T>& out, Scratch scratch,
                                     cudaStream_t stream = nullptr, const Products& how = {}) {
  if (!out.x.data) return invalid("no place for the gradient");
  return detail::rank_n_contrast_checked(x, labels, options, out, scratch, stream,
                                         pairwise::asked_block(how));
}

}  // namespace spheremix::gpu::losses
