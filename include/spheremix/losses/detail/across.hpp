// entry.hpp over several processes: what of a batch goes to which rank, for every loss that comes in
// there. Nothing here is compiled before a program passes a communicator.
//
//   by shares      (Loss::kShared) all rows to all ranks, each computes its share of the rows of every
//                  table (core/share.hpp); gradients are summed at the owners of their rows
//   by the whole   (every other loss) all rows to all ranks, each computes what one process would and
//                  keeps its rows of the gradients: the bits of one process, no gain in time
//   by strip       (Loss::StripType, two batches; losses/detail/strip.hpp) the rows of Y to all ranks,
//                  each computes its rows of the table; dY is summed at the owners of its rows
//   by ring        the same, block by block, where all rows of Y are too much for the budget; or
//                  as the loss itself has it (Loss::by_ring)
//   by rows        (Loss::kMeanOfRows) no row leaves its rank
#pragma once

#include "spheremix/core/mean_over_ranks.hpp"
#include "spheremix/core/whole.hpp"
#include "spheremix/losses/detail/entry.hpp"
#include "spheremix/losses/detail/strip.hpp"
#include "spheremix/losses/detail/whole_targets.hpp"
#include "spheremix/pairwise/shares.hpp"
#include "spheremix/sphere/detail/arguments.hpp"

namespace spheremix::losses::detail {

/// Adds up over the ranks what their shares give to the numbers of a result.
template <class Result>
void add_parts(const core::Share& share, Result& result) {
  double parts[core::Record::kNumbers];
  Index count = 0;
  const auto each = [&](const auto& body) {
    body(result.loss);
    if constexpr (requires { result.log_temperature; }) body(result.log_temperature);
    if constexpr (requires { result.log_mix_temperature; }) body(result.log_mix_temperature);
    if constexpr (requires { result.bias; }) body(result.bias);
    if constexpr (requires { result.active; }) body(result.active);
  };
  each([&](const auto& number) { parts[count++] = double(number); });
  share.add(parts, count);
  count = 0;
  each([&]<class N>(N& number) { number = static_cast<N>(parts[count++]); });
}

template <class T, std::size_t K>
struct WholeArrays {
  MatrixView<T> all[K], gradient[K];
  T* other = nullptr;  ///< a gradient of this rank's rows as another rank has it

  WholeArrays(const Meeting& meeting, const Inputs<T, K>& in, const Outputs<T, K>& out,
              bool gradients, Workspace::Frame& frame) {
    for (std::size_t k = 0; k < K; ++k) {
      const Index n = meeting.total(int(k)), d = in[k].cols;
      all[k] = take_rows<T>(frame, n, d);
      if (!gradients) continue;
      gradient[k] = out[k].data ? take_rows<T>(frame, n, d) : MatrixView<T>{nullptr, n, d, d};
    }
    Index most = 0;
    for (std::size_t k = 0; k < K; ++k) most = (std::max)(most, in[k].rows * in[k].cols);
    if (gradients) other = frame.take<T>(std::size_t(most));
  }
};

/// Every loss, with the rows of all ranks: as one process, or a share of it.
template <class Loss, class T, std::size_t K>
auto by_whole(Meeting& meeting, const Loss& loss, const Inputs<T, K>& in, Workspace& workspace,
              const Outputs<T, K>& out, bool gradients) {
  Workspace::Frame frame =
      workspace.beside().frame(core::bytes_of<WholeArrays<T, K>>(meeting, in, out, gradients));
  const WholeArrays<T, K> arrays(meeting, in, out, gradients, frame);
  meeting.agree();
  Inputs<T, K> all{};
  Outputs<T, K> to{};
  for (std::size_t k = 0; k < K; ++k) {
    core::gather_rows<T>(meeting, int(k), in[k], arrays.all[k]);
    all[k] = arrays.all[k];
    to[k] = arrays.gradient[k];
  }
  if constexpr (requires { Loss::kShared; }) {
    const pairwise::MeetingShare share(meeting);
    auto result = [&] {
      const pairwise::OnShare on(workspace, share.get());
      return run(loss, meeting.function(), all, workspace, to);
    }();
    add_parts(share, result);
    for (std::size_t k = 0; k < K; ++k)
      if (to[k].data) core::reduce_scatter_rows<T>(meeting, int(k), to[k], out[k], arrays.other);
    return result;
  } else {
    const auto result = run(loss, meeting.function(), all, workspace, to);
    for (std::size_t k = 0; k < K; ++k)
      if (to[k].data)
        core::copy_rows<T>(
            to[k].middle_rows(meeting.first(int(k), meeting.ranks().rank()), in[k].rows), out[k]);
    return result;
  }
}

/// A mean over rows of terms of one row each: of n of N rows the n / N-th part.
template <class Loss, class T, std::size_t K>
auto by_rows(Meeting& meeting, const Loss& loss, const Inputs<T, K>& in, Workspace& workspace,
             const Outputs<T, K>& out) {
  decltype(run(loss, meeting.function(), in, workspace, out)) result{};
  const double share = double(in[0].rows) / double(meeting.total(0));
  if (in[0].rows > 0) result = run(loss, meeting.function(), in, workspace, out);
  for (std::size_t k = 0; k < K; ++k)
    for (Index i = 0; out[k].data && i < out[k].rows; ++i)
      for (Index j = 0; j < out[k].cols; ++j) out[k](i, j) = T(share * double(out[k](i, j)));
  meeting.mine.number[0] = in[0].rows > 0 ? share * result.loss : 0;
  meeting.agree();
  result.loss = meeting.sum(0);
  return result;
}

/// A loss with targets beyond the diagonal, excluded pairs, weights of rows or label smoothing: those
/// of all ranks, then by shares. Which of these a rank has must not depend on its rows.
template <class Loss, class T>
class AcrossTargets {
 public:
  AcrossTargets(Meeting& meeting, const Loss& loss, const Inputs<T, 2>& in)
      : meeting_(meeting),
        loss_(loss),
        targets_(meeting, 2, "targets", loss.targets.targets, in[0].rows, in[1].rows),
        exclude_(meeting, 5, "exclude", loss.targets.exclude, in[0].rows, in[1].rows) {
    const char* const function = meeting.function();
    if (!loss.targets.targets)
      core::expects_same_shape(function, "X", in[0].rows, in[0].cols, "Y", in[1].rows, in[1].cols);
    const auto* const weights = loss.targets.row_weights;
    if (weights) core::expects_size(function, "row_weights", Index(weights->size()), in[0].rows);
    meeting.mine.rows[8] = weights ? in[0].rows : 0;
    meeting.mine.number[5] = loss.targets.plain() ? 0 : 1;
    meeting.mine.options ^= core::digest_of(200, loss.targets.row_losses != nullptr,
                                            loss.targets.col_losses != nullptr);
  }
  /// From the agreement: has any rank such?
  bool any() const { return meeting_.largest(5) > 0; }

  auto operator()(const Inputs<T, 2>& in, Workspace& workspace, const Outputs<T, 2>& out,
                  bool gradients) {
    const bool weighed = meeting_.total(8) > 0;
    core::expects(!weighed || meeting_.total(8) == meeting_.total(0), meeting_.function(),
                  "row_weights has ", meeting_.total(8), " elements on all ranks where ",
                  meeting_.total(0), " are needed");
    std::vector<double> weights(std::size_t(meeting_.total(8))),
        rows(std::size_t(meeting_.total(0))), cols(std::size_t(meeting_.total(1)));
    targets_.make_room();
    exclude_.make_room();
    meeting_.agree();
    const bool own = weighed && in[0].rows > 0;
    core::gather_rows<double>(
        meeting_, 8,
        {own ? loss_.targets.row_weights->data() : nullptr, own ? in[0].rows : 0, 1, 1},
        {weights.data(), meeting_.total(8), 1, 1});
    targets_.gather();
    exclude_.gather();
    Loss whole = loss_;
    if (whole.targets.row_losses) whole.targets.row_losses = rows.data();
    if (whole.targets.col_losses) whole.targets.col_losses = cols.data();
    std::optional<Targets> of, without;
    if (whole.targets.targets) whole.targets.targets = &of.emplace(targets_.all());
    if (whole.targets.exclude) whole.targets.exclude = &without.emplace(exclude_.all());
    if (weighed) whole.targets.row_weights = &weights;
    const auto result = by_whole<Loss, T, 2>(meeting_, whole, in, workspace, out, gradients);
    const int me = meeting_.ranks().rank();
    const auto put = [&](double* to, const std::vector<double>& all, int k) {
      if (to) std::copy_n(all.data() + meeting_.first(k, me), meeting_.count(k, me), to);
    };
    put(loss_.targets.row_losses, rows, 0);
    put(loss_.targets.col_losses, cols, 1);
    return result;
  }

 private:
  Meeting& meeting_;
  const Loss& loss_;
  WholeTargets<Meeting> targets_, exclude_;
};

template <class Loss, class T, std::size_t K>
auto across(Meeting& meeting, const Loss& loss, const Inputs<T, K>& in, Workspace& workspace,
            const Outputs<T, K>& out, bool gradients, std::size_t budget) {
  const char* const function = meeting.function();
  bool empty = true;
  for (std::size_t k = 0; k < K; ++k) {
    meeting.bring<T>(int(k), in[k].rows, in[k].cols);
    empty = empty && in[k].rows == 0;
  }
  constexpr bool has_targets = requires { loss.targets; };
  if (!empty && !has_targets) loss.expects(function, in);
  for (std::size_t k = 0; k < K; ++k)  // all ranks ask for the same gradients
    meeting.mine.options ^= core::digest_of(100 + int(k), out[k].data != nullptr);
  const auto own = [&] {
    if constexpr (has_targets)
      return AcrossTargets<Loss, T>(meeting, loss, in);
    else
      return Local{};
  };
  auto targets = own();
  meeting.agree();
  Inputs<T, K> shapes{};
  for (std::size_t k = 0; k < K; ++k)
    shapes[k] = {nullptr, meeting.total(int(k)), in[k].cols, in[k].cols};
  loss.expects(function, shapes);
  if constexpr (has_targets)
    if (targets.any()) return targets(in, workspace, out, gradients);
  if constexpr (requires { typename Loss::template StripType<T>; })
    return by_strip<Loss, T>(meeting, loss, in, workspace, out, gradients, budget);
  else if constexpr (requires { loss.by_ring(meeting, in, workspace, out, gradients); })
    return loss.by_ring(meeting, in, workspace, out, gradients);
  else if constexpr (requires { Loss::kMeanOfRows; })
    return by_rows<Loss, T, K>(meeting, loss, in, workspace, out);
  else
    return by_whole<Loss, T, K>(meeting, loss, in, workspace, out, gradients);
}

// ---- Losses of more than batches: their public functions on the rows of all ranks ----

/// A number, or one a row.
template <class Out, class All>
void put_lambda_across(Meeting& meeting, const core::Share* share, const char* name, Out& out,
                       const All& all) {
  if constexpr (std::is_arithmetic_v<All>) {
    double sum = all;
    if (share) share->add(&sum, 1);
    out = sum;
  } else {
    const int rank = meeting.ranks().rank();
    const Index own = meeting.count(0, rank);
    std::vector<double> each(all.data(), all.data() + all.size());
    sphere::detail::OutputVector to(meeting.function(), name, out, own, 1);
    if (share) share->add(each.data(), Index(each.size()));
    for (Index i = 0; i < own; ++i)
      to.data()[i] = typename Out::Scalar(each[std::size_t(meeting.first(0, rank) + i)]);
    to.commit();
  }
}

/// Of `all`, a gradient struct of the whole batch or a share's part of it, this rank's rows and the
/// numbers to `out`.
template <class Out, class All>
void put_gradient_across(Meeting& meeting, const core::Share* share, Out& out, All& all) {
  if (share) add_parts(*share, all);
  if constexpr (requires { all.x; })
    pairwise::put_rows_across(meeting, share, 0, "out.x", out.x, all.x);
  if constexpr (requires { all.y; })
    pairwise::put_rows_across(meeting, share, 1, "out.y", out.y, all.y);
  const auto put_lambda = [&](const char* name, auto& to, const auto& from) {
    put_lambda_across(meeting, share, name, to, from);
  };
  if constexpr (requires { all.lambda.m2; }) {
    put_lambda("out.lambda.m2", out.lambda.m2, all.lambda.m2);
    put_lambda("out.lambda.v", out.lambda.v, all.lambda.v);
    put_lambda("out.lambda.l", out.lambda.l, all.lambda.l);
    put_lambda("out.lambda.vl", out.lambda.vl, all.lambda.vl);
  } else if constexpr (requires { all.lambda; }) {
    put_lambda("out.lambda", out.lambda, all.lambda);
  }
  out.loss = all.loss;
  if constexpr (requires { all.log_temperature; }) out.log_temperature = all.log_temperature;
  if constexpr (requires { all.log_mix_temperature; })
    out.log_mix_temperature = all.log_mix_temperature;
  if constexpr (requires { all.skipped; }) out.skipped = all.skipped;
  if constexpr (requires { all.active; }) out.active = all.active;
}

/// Where the gradient of a whole batch stays from call to call.
template <class Gradient>
Gradient& whole_gradient(Workspace& workspace) {
  return workspace.kept<Gradient>(core::Record::kBatches);
}

/// Gradients into `out` from call(workspace, arguments of all ranks...), which returns a gradient
/// struct of the workspace's share. What is gathered stays in the workspace, too.
template <class World, class Options, class Out, class Call, class... Arguments>
void gradient_across(const char* function, World& world, const Options& options,
                     Workspace& workspace, Out& out, const Call& call,
                     const Arguments&... arguments) {
  pairwise::over_shares(
      function, world, options, &workspace,
      [&](Meeting& meeting, const core::Share* share, auto&... all) {
        const pairwise::OnShare on(workspace, share);
        put_gradient_across(meeting, share, out, call(workspace, all...));
      },
      arguments...);
}

/// The loss, from call(here, arguments of all ranks...).
template <class World, class Options, class Call, class... Arguments>
double value_across(const char* function, World& world, const Options& options, const Call& call,
                    const Arguments&... arguments) {
  double value = 0;
  pairwise::over_shares(
      function, world, options, nullptr,
      [&](Meeting&, const core::Share* share, auto&... all) {
        value = call(Local{share}, all...);
        if (share) share->add(&value, 1);
      },
      arguments...);
  return value;
}

/// Options with the partners of all rows, where a loss has any.
template <class Options>
Options with_partners(const Options& options, const std::vector<Index>& partners) {
  Options all = options;
  if constexpr (requires { all.partners; }) all.partners = partners;
  return all;
}

/// By rows: call() is the mean over this rank's rows of logits, which have as many columns on all.
template <class World, class Options, class Z, class Call>
double mean_across(const char* function, World& world, const Options& options,
                   const Eigen::MatrixBase<Z>& z, const Call& call) {
  return core::mean_over_ranks<typename Z::Scalar>(
      function, world, options, z.rows(), z.cols(), "there are no rows", [] {},
      [&](const Meeting&) { return z.rows() > 0 ? call() : 0.0; });
}

/// The same with gradients: call() puts those of this rank's mean to `out`.
template <class World, class Options, class Z, class Out, class Call>
void mean_gradient_across(const char* function, World& world, const Options& options,
                          const Eigen::MatrixBase<Z>& z, Out& out, const Call& call) {
  using T = core::Real<Z>;
  core::RanksOf<World> ranks(world);
  core::over_ranks(ranks, function, [&](Meeting& meeting) {
    meeting.mine.options = core::digest_of(options);
    meeting.bring<typename Z::Scalar>(0, z.rows(), z.cols());
    meeting.agree();
    core::expects(meeting.total(0) > 0, function, "there are no rows");
    const double share = double(z.rows()) / double(meeting.total(0));
    constexpr bool one_lambda = requires { requires std::is_arithmetic_v<decltype(out.lambda)>; };
    constexpr bool each_lambda = requires { out.lambda.size(); };
    if (z.rows() > 0) {
      call();
      out.logits *= T(share);
      if constexpr (each_lambda) out.lambda *= static_cast<T>(share);
      if constexpr (one_lambda) meeting.mine.number[1] = share * out.lambda;
      meeting.mine.number[0] = share * out.loss;
    } else {
      core::OutputRows(function, "out.logits", out.logits, 0, z.cols()).commit();
      if constexpr (each_lambda)
        sphere::detail::OutputVector(function, "out.lambda", out.lambda, 0, 1).commit();
    }
    meeting.agree();
    out.loss = meeting.sum(0);
    if constexpr (one_lambda) out.lambda = meeting.sum(1);
  });
}

template <class Loss, class World, class Options, class... X>
auto value(const char* function, const Loss& loss, const Over<World, Options>& over,
           const Eigen::MatrixBase<X>&... batches) {
  decltype(value(function, loss, batches...)) result{};
  if (over.world.size() == 1) return result = value(function, loss, batches...);
  Workspace workspace;
  core::RanksOf<World> ranks(over.world);
  core::over_ranks(ranks, function, [&](Meeting& meeting) {
    meeting.mine.options = core::digest_of(over.options);
    with_rows(
        [&]<class T>(MatrixView<const T> first, auto... others) {
          const Inputs<T, sizeof...(X)> in{{first, others...}};
          result = across(meeting, loss, in, workspace, Outputs<T, sizeof...(X)>{}, false,
                          budget_of(over.options));
        },
        batches...);
  });
  return result;
}

template <class Loss, class World, class Options, class Out, class... X>
void into(const char* function, const Loss& loss, const Over<World, Options>& over,
          Workspace& workspace, Out& out, const Eigen::MatrixBase<X>&... batches) {
  if (over.world.size() == 1) return into(function, loss, workspace, out, batches...);
  core::RanksOf<World> ranks(over.world);
  core::over_ranks(ranks, function, [&](Meeting& meeting) {
    meeting.mine.options = core::digest_of(over.options);
    with_rows(
        [&]<class T>(MatrixView<const T> first, auto... others) {
          constexpr std::size_t count = sizeof...(X);
          const Inputs<T, count> in{{first, others...}};
          const auto& wanted = loss_into(function, loss, out, in);
          std::apply(
              [&]<class... M>(M&... matrices) {
                OutputBatches<T, M...> rows(function, Loss::kFields, in.data(), matrices...);
                Outputs<T, count> to;
                rows.views(to.data());
                expects_outputs_apart(function, to, Loss::kFields, in);
                T nothing{};  // an empty block has no memory, but asks for gradients, too
                constexpr bool asked[] = {!std::is_same_v<M, NoField>...};
                for (std::size_t k = 0; k < count; ++k)
                  if (asked[k] && !to[k].data) to[k].data = &nothing;
                const auto result =
                    across(meeting, wanted, in, workspace, to, true, budget_of(over.options));
                rows.commit();
                result.put(out);
              },
              Loss::fields(out));
        },
        batches...);
  });
}

}  // namespace spheremix::losses::detail
