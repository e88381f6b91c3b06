// softmax_sweeps.hpp on one rank of several, block by block of the columns (core/ring.hpp):
//
//   forward   S = X Y_b^T of each block; rows merge their statistics here, block after block; those of
//             the columns of b travel with b, merging on every rank, and end at its owner
//   between   finish: every rank its own rows and columns, whose special pairs are all in its own block
//   back      G in place of S, dX += G Y_b, dY_b += G^T X; shift and scale of b's columns travel with b
//
// Merges come in the order of the steps, so no bit depends on timing.
// Cost      8 n M d multiply-adds for n rows here and M columns in all, less 2 n d for each column of
//           the block that came last, whose S is kept where the budget allows.
// Errors    as softmax_sweeps; all ranks agree before they call.
#pragma once

#include "spheremix/core/ring.hpp"
#include "spheremix/pairwise/softmax_sweeps.hpp"

namespace spheremix::pairwise {

/// Statistics of one block, and those of columns on their way.
template <class T>
struct RingLines {
  SoftmaxStatistics<T> block{};
  T *top[2] = {}, *shift[2] = {}, *scale[2] = {};
  double* sum[2] = {};

  /// n rows here, blocks of up to m columns.
  RingLines(Index n, Index m, bool cols, core::Workspace::Frame& frame) {
    const auto take = [&]<class U>(U*& array, Index count) {
      array = frame.take<U>(std::size_t(count));
    };
    take(block.row_max, n);
    take(block.row_sum, n);
    if (!cols) return;
    take(block.col_max, m);
    take(block.col_sum, m);
    for (int k = 0; k < 2; ++k) {
      take(top[k], m);
      take(sum[k], m);
      take(shift[k], m);
      take(scale[k], m);
    }
  }
};

namespace detail {

template <class T>
void merge_lines(T* top, double* sum, const T* other_top, const double* other_sum, Index count) {
  for (Index i = 0; i < count; ++i)
    formula::merge_softmax(top[i], sum[i], other_top[i], other_sum[i]);
}

/// A block as a table: special pairs are those of this rank's own.
template <class T>
PairTable<T> block_table(const PairTable<T>& own, const core::RingBlock<T>& block) {
  if (block.step == 0) return {own.x, block.y, own.slot_count, own.special};
  return {own.x, block.y, 0, nullptr};
}

/// The plan of a block with fewer columns than the largest.
template <class T>
Plan<T> block_plan(const Plan<T>& plan, Index m) {
  Plan<T> p = plan;
  p.m = m;
  return p;
}

}  // namespace detail

/// Runs both sweeps (the first alone without gradients) of this rank's rows against the columns of all.
/// own: X and its own columns. plan: of its rows and the largest block, Keep::all with gradients.
/// stats, weights: of its own rows and columns. finish as softmax_sweeps has it. Returns sum G o S over
/// the pairs of its rows that are not special.
template <class Products = PlainProducts, class T, class Policy, class Finish>
double ring_sweeps(const PairTable<T>& own, const Policy& policy, const Plan<T>& plan,
                   core::Workspace::Frame frame, const core::Ring<T>& ring, bool gradients,
                   const SoftmaxStatistics<T>& stats, const SoftmaxWeights<T>& weights,
                   Finish& finish, const PairGradients<T>& out) {
  constexpr bool cols = Policy::kCols;
  const Keep keep = gradients ? Keep::all : Keep::nothing;
  const Index n = own.x.rows, m = own.y.rows;
  const int last = ring.size() - 1;
  RingLines<T> lines(n, ring.most(), cols, frame);
  SoftmaxStatistics<T>& found = lines.block;
  found.special = stats.special;
  std::fill_n(stats.row_max, n, -core::infinity<T>);
  std::fill_n(stats.row_sum, n, 0.0);
  ring.forward(
      own.y, {},
      [&](const core::RingBlock<T>& block) {
        const Index count = block.y.rows;
        if constexpr (cols) {
          std::fill_n(found.col_max, count, -core::infinity<T>);
          std::fill_n(found.col_sum, count, 0.0);
        }
        if (n > 0 && count > 0) {
          core::Workspace::Frame rest = frame;
          const Plan<T> p = detail::block_plan(plan, count);
          SweepMemory<T> memory(p, keep, rest);
          for (Index s = 0; s < p.strips; ++s)
            detail::strip_statistics<Products>(detail::block_table(own, block), policy, p, keep, s,
                                               memory, found);
          detail::merge_lines(stats.row_max, stats.row_sum, found.row_max, found.row_sum, n);
        }
        if constexpr (cols) {
          if (block.step == 0) {
            std::fill_n(lines.top[0], count, -core::infinity<T>);
            std::fill_n(lines.sum[0], count, 0.0);
          }
          detail::merge_lines(lines.top[0], lines.sum[0], found.col_max, found.col_sum, count);
        }
      },
      [&](int step) {
        if constexpr (cols) {
          ring.pass(false, step, 1, lines.top[0], lines.top[1]);
          ring.pass(false, step, 1, lines.sum[0], lines.sum[1]);
          std::swap(lines.top[0], lines.top[1]);
          std::swap(lines.sum[0], lines.sum[1]);
        }
      });
  if constexpr (Policy::kRows) finish.rows(0, n);
  if constexpr (cols) {
    std::copy_n(lines.top[0], m, stats.col_max);
    std::copy_n(lines.sum[0], m, stats.col_sum);
    finish.cols(0, n);
  }
  if (!gradients) return 0;

  const auto pass_weights = [&](int step, const T* shift, const T* scale) {
    ring.pass(true, step, 1, shift, lines.shift[1]);
    ring.pass(true, step, 1, scale, lines.scale[1]);
    std::swap(lines.shift[0], lines.shift[1]);
    std::swap(lines.scale[0], lines.scale[1]);
  };
  if constexpr (cols) pass_weights(0, weights.col_shift, weights.col_scale);
  double moment = 0;
  bool add_x = out.add_x;
  ring.back(
      own.y, out.dy,
      [&](const core::RingBlock<T>& block) {
        const Index count = block.y.rows;
        const bool home = block.step == 0;
        bool add_y = home ? out.add_y : block.add;
        if (n > 0 && count > 0) {
          core::Workspace::Frame rest = frame;
          const Plan<T> p = detail::block_plan(plan, count);
          SweepMemory<T> memory(p, keep, rest);
          SoftmaxWeights<T> of_block = weights;
          if (cols && !home)
            of_block.col_shift = lines.shift[0], of_block.col_scale = lines.scale[0];
          const PairGradients<T> to{out.dx, block.dy, add_x, false};
          for (Index s = p.strips - 1; s >= 0; --s) {
            const bool has_s = block.step == last && (s < p.kept_strips - 1 || s == p.strips - 1 ||
                                                      p.kept_strips == p.strips);
            moment += detail::strip_gradient<Products>(detail::block_table(own, block), policy, p,
                                                       s, has_s, memory, of_block, to, add_y);
            add_y = true;
          }
          add_x = true;
        } else if (!add_y && block.dy.data) {
          block.dy.middle_rows(0, count).fill(T(0));
        }
      },
      [&](int step) {
        if (cols && step > 1) pass_weights(step, lines.shift[0], lines.scale[0]);
      });
  return moment;
}

}  // namespace spheremix::pairwise
