// The contrast of feature_separation as printed: every row among the keys, its own included.
#pragma once

#include "spheremix/losses/detail/contrastive.hpp"
#include "spheremix/pairwise/row_sweep.hpp"

namespace spheremix::losses::detail {

template <class T>
struct PrintedContrastArrays {
  LineResults lines;
  double* pair;           ///< dL/d(x_j . p_j)
  MatrixView<T> other{};  ///< dX as keys

  PrintedContrastArrays(Index n, Index d, bool gradients, Workspace::Frame& frame)
      : lines(n, frame), pair(frame.take<double>(std::size_t(n))) {
    if (frame.share()) std::fill_n(pair, n, 0.0);
    if (gradients) other = take_rows<T>(frame, n, d);
  }
};

/// weight/n sum_j ( lse_k x_j.x_k/tau - x_j.p_j/tau ); gradients are added to dx and dp.
template <class T>
ContrastResult printed_contrast(const char* function, MatrixView<const T> x, MatrixView<const T> p,
                                double temperature, double weight, std::size_t budget,
                                Workspace& workspace, MatrixView<T> dx, MatrixView<T> dp) {
  const Index n = x.rows, d = x.cols;
  const bool gradients = dx.data != nullptr;
  const auto plan =
      pairwise::make_row_plan<T>(function, n, n, d, gradients ? 1 : 0, false, budget,
                                 core::bytes_of<PrintedContrastArrays<T>>(n, d, gradients));
  if (!computable(x, x, temperature) || !computable(x, p, temperature)) {
    if (gradients) fill_nan(dx), fill_nan(dp);
    return {core::nan<double>, core::nan<double>, nullptr};
  }
  Workspace::Frame frame = workspace.frame(plan.bytes);
  const PrintedContrastArrays<T> arrays(n, d, gradients, frame);
  double *const loss = arrays.lines.loss, *const moment = arrays.lines.moment;
  double* const pair = arrays.pair;
  const MatrixView<T> other = arrays.other;
  const T scale = T(1 / temperature);
  const double line = weight / double(n);
  pairwise::row_sweep<T>(
      x, x, plan, frame,
      [&](const pairwise::PairRow<T>& row) {
        const double positive = row_product(x.row(row.i), p.row(row.i), d) / temperature;
        const T top = scale * SPHEREMIX_DISPATCH(row_largest<T>)(row.s, n);
        const double sum = SPHEREMIX_DISPATCH(row_exponential<T>)(
            row.s, scale, top, gradients ? row.scratch : nullptr, n);
        loss[row.i] = double(top) + std::log(sum) - positive;
        const double mean = gradients ? SPHEREMIX_DISPATCH(row_weights<T>)(
                                            row.s, row.scratch, T(line / sum / temperature), n)
                                      : 0;
        moment[row.i] = mean - line * positive;
        pair[row.i] = -line / temperature;
      },
      {dx, other, true, false});
  if (gradients) {
    put_rows<T>(dx, other, true);
    add_pairs<T>(dx, dp, x, p, pair);
  }
  ContrastResult result;
  for (Index i = 0; i < n; ++i) {
    result.loss += line * loss[i];
    result.log_temperature -= moment[i];
  }
  return result;
}

}  // namespace spheremix::losses::detail
