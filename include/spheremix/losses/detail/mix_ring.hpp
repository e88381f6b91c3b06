// A loss that mixes by ring, with the pairs of this rank's rows and mixtures of them as its part of the
// table: where the rows of all ranks, with their gradients, do not fit memory_budget.
#pragma once

#include "spheremix/losses/detail/mix_entry.hpp"
#include "spheremix/losses/detail/pair_ring.hpp"

namespace spheremix::losses::detail {

/// Of M2Loss and the like: loss and, where `out` has fields for them, gradients into it. False where all
/// rows fit: nothing is done then. After an agreement on the rows of X and Y, batches 0 and 1.
template <class Loss, class Out, class X, class Y, class L>
bool mix_by_ring(Meeting& meeting, const Loss& loss, Workspace& workspace, Out& out,
                 const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y, const L& lambda) {
  using T = core::Real<X>;
  constexpr bool gradients = requires { out.lambda; };
  const char* const function = meeting.function();
  const std::size_t budget = loss.options.memory_budget;
  const Index n = x.rows(), d = x.cols();
  const std::size_t gathered = std::size_t(meeting.total(0) * d) * sizeof(T);
  if ((gradients ? 4 : 2) * gathered <= budget) return false;

  core::expects_same_shape(function, "X", meeting.total(0), d, "Y", meeting.total(1), y.cols());
  const auto& x_rows = widened_rows(x);
  const auto& y_rows = widened_rows(y);
  const core::InputRows<T> xs(x_rows), ys(y_rows);
  const LambdaArgument<T, L> weights(function, "lambda", lambda, n);
  const int size = meeting.ranks().size();
  const Index times = loss.keys_a_row(), values = times * core::largest_block(meeting, 0) * d;
  const std::size_t bytes = core::bytes_of<core::RingArrays<T>>(size, values, false, gradients);
  Workspace::Frame frame = workspace.beside().frame(bytes);
  const core::RingArrays<T> arrays(size, values, false, gradients, frame);
  meeting.mine.number[0] = pairwise::largest_norm(xs.view());
  meeting.mine.number[1] = pairwise::largest_norm(ys.view());
  meeting.agree();
  const core::Ring<T> ring(meeting, 0, times, d, arrays);
  const ContrastRingOf<T> columns(meeting, ring, gradients, bytes);
  const auto run = [&](const Outputs<T, 2>& to) {
    return loss(function, xs.view(), ys.view(), weights.value(), workspace,
                pairwise::PairGradients<T>{to[0], to[1]}, &columns);
  };
  double sums[3] = {};
  const auto add_up = [&](const MixResult& part) {
    sums[0] = part.loss;
    sums[1] = part.log_temperature;
    meeting.add(sums, 3);
    out.loss = sums[0];
  };
  if constexpr (!gradients) {
    add_up(run({}));
  } else {
    using Rows = decltype(core::OutputRows(function, "out.x", out.x, n, d));
    Rows dx(function, "out.x", out.x, n, d), dy(function, "out.y", out.y, n, d);
    const Outputs<T, 2> to{dx.view(), dy.view()};
    expects_outputs_apart(function, to, OfTwoBatches::kFields,
                          Inputs<T, 2>{{xs.view(), ys.view()}});
    const MixResult part = run(to);
    put_lambda_gradient(function, part.lambda, n, out.lambda);
    constexpr bool one = std::is_arithmetic_v<decltype(out.lambda)>;
    if constexpr (one) sums[2] = out.lambda;
    add_up(part);
    if constexpr (one) out.lambda = sums[2];
    out.log_temperature = sums[1];
    dx.commit();
    dy.commit();
  }
  return true;
}

}  // namespace spheremix::losses::detail
