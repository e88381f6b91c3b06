// sup_con on the device: formula and options in formula/sup_con.hpp.
//
// X X^T is symmetric: C + C^T comes from one tile, and one product gives all of dX;
// dL/d log tau = -(1/2) sum_i x_i . dX_i. A row's only positive is left out of its statistics, so
// that nothing cancels where it dominates: c = -sigmoid then, as in pairwise/rows.cuh.
//
// Shapes   X: N x D, float, double, Half or Bfloat16; labels: N numbers. Anchors without a positive
//          are left out and counted; a batch of such anchors alone has loss 0 and no gradient.
// Cost     6 N^2 D flops and N^2 comparisons of labels.
// Memory   the operand (2 N D bytes unless fp16 and aligned), 31 N bytes and at most 33 MiB.
// Errors   as in clip.cuh, label_tolerance < 0. A label that is not finite gives NaN.
#pragma once

#include "spheremix/formula/sup_con.hpp"
#include "spheremix/gpu/losses/detail/supervised.cuh"
#include "spheremix/gpu/pairwise/one_sweep.cuh"

namespace spheremix::gpu::losses {

using spheremix::losses::SupConOptions;

namespace detail {

/// An anchor's only positive is no part of its softmax.
template <class T>
struct SupConStatistics {
  static constexpr bool kRows = true, kCols = false, kRowSums = true;
  T cosine_scale;
  const LabelWindow* windows;

  struct Row {
    int first, count, alone;  ///< alone: as count where the positive is the only one, else 0
  };
  struct Col {
    int rank;
  };
  __device__ __forceinline__ Row row(Index i) const {
    const LabelWindow w = windows[i];
    return {w.first, w.count, w.others() == 1 ? w.count : 0};
  }
  __device__ __forceinline__ Col col(Index j) const { return {windows[j].rank}; }

  __device__ __forceinline__ T logit(T s, Row row, Col col) const {
    return unsigned(col.rank - row.first) < unsigned(row.alone) ? -core::infinity<T>
                                                                : cosine_scale * s;
  }
  __device__ __forceinline__ T wanted(T s, Row row, Col col) const {
    const bool equal = unsigned(col.rank - row.first) < unsigned(row.count);
    return equal && s != -core::infinity<T> ? s : T(0);
  }
};

/// c_ij + c_ji. rows[i].b: 1 / |P(i)|, or c of the only positive, which is not above 0: then it
/// stands in the softmax' place, which leaves the pair out.
template <class T>
struct SupConWeights {
  static constexpr bool kRows = true, kCols = true;
  T scale, unit;
  const LabelWindow* windows;
  const pairwise::RowPair<T>* rows;

  struct Target {
    T most, added;  ///< of an equal pair: min(p, most) + added
  };
  struct Row {
    int first, count;
    Target target;
  };
  struct Col {
    int rank;
    Target target;
  };
  __device__ __forceinline__ Target target(Index i) const {
    const T b = rows[i].b;
    return b > 0 ? Target{core::infinity<T>, -unit * b} : Target{T(0), unit * b};
  }
  __device__ __forceinline__ Row row(Index i) const {
    return {windows[i].first, windows[i].count, target(i)};
  }
  __device__ __forceinline__ Col col(Index j) const { return {windows[j].rank, target(j)}; }
  __device__ T row_unit() const { return unit; }
  __device__ T col_unit() const { return unit; }

  __device__ __forceinline__ T gradient(T, T p, T q, const Row& row, const Col& col) const {
    const bool equal = unsigned(col.rank - row.first) < unsigned(row.count);
    const T capped = (pairwise::lesser(p, row.target.most) + row.target.added) +
                     (pairwise::lesser(q, col.target.most) + col.target.added);
    return equal ? capped : p + q;
  }
};

/// Statistics of the anchors -> (log-sum-exp, b), the sums of their losses and how many they are.
template <class T>
struct SupConFinishKernel {
  static constexpr unsigned kThreads = 128, kResident = 8, kWarps = kThreads / kWarp;
  static constexpr std::size_t kShared = 2 * kWarps * sizeof(double);

  Index n;
  const LabelWindow* windows;
  const T* squares;   ///< x_i . x_i
  const T* positive;  ///< sums of the positives' cosines
  T scale;
  pairwise::RowPair<T>* rows;
  double* losses;
  double* anchors;

  __device__ void operator()() const {
    const Index i = Index(blockIdx.x) * kThreads + threadIdx.x;
    double loss = 0;
    bool anchor = false;
    if (i < n) {
      const int count = windows[i].others();
      const pairwise::RowPair<T> others = rows[i];
      if (count <= 0) {
        rows[i] = {core::infinity<T>, T(0)};
      } else if (count == 1) {
        const pairwise::RowOutcome<T> outcome(others, scale * positive[i]);
        loss = double(outcome.loss);
        rows[i] = outcome.kept;
      } else {
        constexpr double kLn2 = 0.693147180559945309417;
        const double lse = double(others.a) + std::log2(double(others.b)),
                     top = kLn2 * double(others.a),
                     wanted = kLn2 * double(scale) * double(positive[i]);
        loss = formula::sup_con_line({double(others.b), false}, top, count * top - wanted,
                                     double(count))
                   .loss();
        rows[i] = {T(lse), T(1 / double(count))};
      }
      anchor = count > 0;
      if (count < 0 || squares[i] - squares[i] != 0) loss = core::nan<double>;
    }
    double sums[2] = {loss, double(anchor)};
    pairwise::block_sums<kThreads>(sums, 2, reinterpret_cast<double*>(shared_memory()));
    if (threadIdx.x > 0) return;
    losses[blockIdx.x] = sums[0];
    anchors[blockIdx.x] = sums[1];
  }
};

template <class Tile, class T, class Products>
void sup_con(Work& work, const core::MatrixView<const T>& x, const Labels& from,
             const SupConOptions& options, Index block, const SupervisedGradient<T>& out,
             const Products& how) {
  using Sum = typename Tile::Sum;
  using Finish = SupConFinishKernel<Sum>;
  using Line = LineKernel<T>;
  const Index n = x.rows, blocks = pairwise::ceil_div(n, Finish::kThreads),
              row_blocks = pairwise::ceil_div(n, Line::kRowsEach);
  const auto rows = pairwise::make_operand<Tile>(work, x);
  auto* const windows = work.take<LabelWindow>(n);
  Sum* const squares = work.take<Sum>(n);
  Sum* const positive = work.take<Sum>(n);
  auto* const statistics = work.take<pairwise::RowPair<Sum>>(n);
  double* const losses = work.take<double>(blocks);
  double* const anchors = work.take<double>(blocks);
  double* const along = work.take<double>(row_blocks);
  Sum* const line = work.take<Sum>(1);
  {
    const Work::Part part(work);  // the labels lie where the sweeps will
    auto* const labels = work.take<core::ExactNumber>(n);
    pairwise::start(work, LabelsKernel{from, n, labels},
                    pairwise::ceil_div(n, LabelsKernel::kThreads));
    pairwise::start(
        work,
        WindowKernel{labels, n, options.label_tolerance, LabelDistance{from.resolution()}, windows},
        pairwise::ceil_div(n, WindowKernel::kRowsEach));
  }
  pairwise::fill(work, core::MatrixView<Sum>{positive, 1, n, n}, Sum(0));

  const Sum scale = Sum(1 / (options.temperature * 0.693147180559945309417));
  const pairwise::RangeLimits limits = pairwise::range_limits<Tile>(n, n, block);
  pairwise::Table<Tile, SupConStatistics<Sum>> first;
  first.x = first.y = rows;
  first.policy = {scale, windows};
  first.excluded = pairwise::set_apart(formula::Diagonal());
  first.positives = squares;
  first.rows = statistics;
  first.row_sums = positive;
  pairwise::sweep_statistics(work, first, limits, how);
  pairwise::start(work, Finish{n, windows, squares, positive, scale, statistics, losses, anchors},
                  blocks);
  pairwise::start(work, AnchorsKernel<Sum>{losses, anchors, blocks, n, out.loss, out.skipped, line},
                  1);
  if (!out.x.data) return;

  pairwise::Table<Tile, SupConWeights<Sum>> second;
  second.x = second.y = rows;
  second.policy = {scale, Tile::kWeightScale, windows, statistics};
  second.excluded = first.excluded;
  second.rows = second.cols = statistics;
  pairwise::sweep_gradients(work, second, {out.x, {}},
                            Sum(1 / (options.temperature * double(Tile::kWeightScale))), limits,
                            how);
  pairwise::start(work, Line{x, line, out.x, along}, row_blocks);
  if (!out.log_temperature) return;
  pairwise::ReduceKernel reduce{};
  reduce.sum[0] = {along, row_blocks, -0.5, out.log_temperature};
  pairwise::start(work, reduce, 1);
}

template <class T, class Products>
Status sup_con_checked(const core::MatrixView<const T>& x, const Labels& labels,
                       const SupConOptions& options, const SupervisedGradient<T>& out,
                       Scratch scratch, cudaStream_t stream, const Products& how) {
  if (const char* wrong =
          supervised_error(x, labels, options.temperature, options.label_tolerance, out))
    return invalid(wrong);
  return pairwise::enqueue_tiles<T>(how, scratch, stream, [&]<class Tile>(Work& work, Index block) {
    sup_con<Tile>(work, x, labels, options, block, out, how);
  });
}

}  // namespace detail

/// *loss (device memory).
template <class T, class Products = pairwise::KernelProducts>
Status sup_con(core::MatrixView<const T> x, Labels labels, const SupConOptions& options,
               double* loss, Scratch scratch, cudaStream_t stream = nullptr,
               const Products& how = {}) {
  return detail::sup_con_checked(
      x, labels, options, SupervisedGradient<T>{loss, {}, nullptr, nullptr}, scratch, stream, how);
}

/// Loss, gradient and dL/d log tau, all overwritten.
template <class T, class Products = pairwise::KernelProducts>
Status sup_con_with_gradient(core::MatrixView<const T> x, Labels labels,
                             const SupConOptions& options, const SupervisedGradient<T>& out,
                             Scratch scratch, cudaStream_t stream = nullptr,
                             const Products& how = {}) {
  if (!out.x.data) return invalid("no place for the gradient");
  return detail::sup_con_checked(x, labels, options, out, scratch, stream, how);
}

}  // namespace spheremix::gpu::losses
