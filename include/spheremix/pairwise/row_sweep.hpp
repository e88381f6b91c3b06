// One sweep over all pairs of rows of X (n x d) and Y (m x d) for losses that are a function of
// each whole row of S = X Y^T: strip by strip
//
//   S = X Y^T of the strip
//   body(row i of S): the loss of row i, and dL/dS_i in place of S_i
//   dX = G Y, dY += G^T X
//
// 6 n m d flops in O(strip x m) memory: nothing is computed twice, and the body may ask anything of
// its row (several softmaxes, labels, order statistics). Losses with statistics of columns too go
// through softmax_sweeps.hpp.
//
// Tasks are rows and blocks of products; a body writes only to its own row and to what belongs to
// its i, so no bit depends on the threads.
#pragma once

#include <algorithm>

#include "spheremix/pairwise/softmax_sweeps.hpp"

namespace spheremix::pairwise {

/// What the body of a row works on.
template <class T>
struct PairRow {
  Index i;
  T* s;        ///< m products x_i . y_j; the body leaves dL/dS_ij here where gradients are wanted
  T* other;    ///< m numbers for dY's G where it is not dX's (detached keys); null unless planned
  T* scratch;  ///< of this thread: `scratch` rows of `stride` numbers
  Index stride;
};

/// Rows of scratch that a row of doubles takes.
template <class T>
inline constexpr Index kDoubleRow = Index(sizeof(double) / sizeof(T));

template <class T>
struct RowPlan {
  Plan<T> plan;
  Index scratch;  ///< rows of scratch a thread
  bool two;       ///< dX and dY take different G
  std::size_t bytes;
};

/// What the body of a row works on besides the sweep's own memory.
template <class T>
struct RowScratch {
  T* rows;    ///< of the threads, one after another
  T* second;  ///< the other G of a strip, or null

  RowScratch(Index threads, Index scratch, Index stride, Index second_rows,
             core::Workspace::Frame& frame)
      : rows(frame.take<T>(std::size_t(threads * scratch * stride))),
        second(second_rows > 0 ? frame.take<T>(std::size_t(second_rows * stride)) : nullptr) {}
};

/// Threads that have scratch rows at most: a constant, so that the plan is one for every machine.
inline constexpr int kMostRowThreads = 16;

/// Plans a sweep over rows whose caller needs `other_bytes` of the budget itself.
template <class T>
RowPlan<T> make_row_plan(const char* function, Index n, Index m, Index depth, Index scratch,
                         bool two, std::size_t budget, std::size_t other_bytes) {
  const auto plan = [&](Index second_rows) {
    return make_plan<T>(
        function, n, m, depth, Keep::strip, budget,
        other_bytes + core::bytes_of<RowScratch<T>>(std::clamp<Index>(n, 1, kMostRowThreads),
                                                    scratch, row_stride(m), second_rows));
  };
  RowPlan<T> p{plan(0), scratch, two, 0};
  if (two) p.plan = plan(p.plan.strip_rows);
  p.plan.threads = int(std::min<Index>({p.plan.threads, kMostRowThreads, std::max<Index>(n, 1)}));
  p.bytes = p.plan.bytes;
  return p;
}

/// Runs body(PairRow) over all rows, or those of the frame's share, then the products of the gradients
/// that `out` wants. X and Y must be finite.
template <class T, class Body>
void row_sweep(core::MatrixView<const T> x, core::MatrixView<const T> y,
               const RowPlan<T>& rows_plan, core::Workspace::Frame& frame, const Body& body,
               const PairGradients<T>& out) {
  const core::Share* const share = frame.share();
  const Plan<T> plan = rows_plan.plan.part(share);
  if (share) detail::clear_others(plan, out);
  SweepMemory<T> memory(plan, Keep::strip, frame);
  const RowScratch<T> mine(plan.threads, rows_plan.scratch, plan.stride,
                           rows_plan.two ? plan.strip_rows : 0, frame);
  const PairTable<T> table{x, y, 0, nullptr};
  bool add_y = out.add_y;
  for (Index s = 0; s < plan.strips; ++s) {
    const Index first = plan.strip_first(s);
    const core::MatrixView<T> strip = memory.strip(s);
    const core::MatrixView<T> other{mine.second, strip.rows, plan.m, plan.stride};
    detail::for_tiles(plan, strip.rows, memory,
                      [&](Index, Index, Index i, Index rows, Index j, Index cols, int thread) {
                        detail::cosine_tile<T>(table, first + i, j,
                                               {strip.row(i) + j, rows, cols, strip.stride},
                                               nullptr, memory.pack(thread));
                      });
    core::parallel_for(strip.rows, plan.threads, [&](Index i, int thread) {
      body(PairRow<T>{first + i, strip.row(i), mine.second ? other.row(i) : nullptr,
                      mine.rows + thread * rows_plan.scratch * plan.stride, plan.stride});
    });
    if (out.wanted())
      detail::pair_gradients<T>(x, y, plan, strip, mine.second ? other : strip, first, memory, out,
                                add_y);
    add_y = true;
  }
}

}  // namespace spheremix::pairwise
