// The way in and out of every loss of batches of rows: Eigen arguments to views, gradients back to
// where they belong.
//
//   value(function, loss, x, y, ...)                        -> what the loss returns
//   into(function, loss, workspace, out, x, y, ...)         gradients into `out`
//   by_value<Gradient>(into)                                a Gradient with memory of its own
//
// A loss says
//
//   kFields             names of its gradients in `out`, in the order of its batches
//   fields(out)         those matrices, as a tuple of references
//                       (fields_if_there: those that `out` has, out[k].data is null for others)
//   expects(function, in)                                   throws for shapes it does not take
//   operator()(function, in, workspace, out) -> Result      in[k], out[k]: views of batch k and its
//                                                           gradient; out[k].data is null where only
//                                                           the value is wanted
//
// and its Result has loss and put(out), which hands over the numbers. With over(options, world...)
// after the loss, the batches are those of one rank of several (losses/detail/across.hpp).
#pragma once

#include <array>
#include <tuple>
#include <utility>

#include "spheremix/core/communicator.hpp"
#include "spheremix/core/compiled.hpp"
#include "spheremix/core/eigen.hpp"
#include "spheremix/core/workspace.hpp"
#include "spheremix/losses/detail/inputs.hpp"

namespace spheremix::losses::detail {

/// rows x cols values of a frame.
template <class T>
MatrixView<T> take_rows(Workspace::Frame& frame, Index rows, Index cols) {
  return {frame.take<T>(std::size_t(rows * cols)), rows, cols, cols};
}

/// A loss of X and Y.
struct OfTwoBatches {
  static constexpr const char* kFields[] = {"out.x", "out.y"};

  template <class Out>
  static auto fields(Out& out) {
    return std::tie(out.x, out.y);
  }
  template <class T>
  static void expects(const char* function, const Inputs<T, 2>& in) {
    core::expects_same_shape(function, "X", in[0].rows, in[0].cols, "Y", in[1].rows, in[1].cols);
    core::expects(in[0].rows >= 1, function, "X has no rows");
  }
};

/// The same, which says itself how many rows it needs.
struct OfTwoViews : OfTwoBatches {
  template <class T>
  static void expects(const char* function, const Inputs<T, 2>& in) {
    core::expects_same_shape(function, "X", in[0].rows, in[0].cols, "Y", in[1].rows, in[1].cols);
  }
};

/// In place of a gradient that `out` has no field for: none is computed.
struct NoField {};
inline NoField no_field;

/// Of a loss whose gradients may be asked for one by one: the fields x and y, if they are there.
template <class Out>
auto fields_if_there(Out& out) {
  const auto x = [&]() -> auto& {
    if constexpr (requires { out.x; })
      return out.x;
    else
      return no_field;
  };
  const auto y = [&]() -> auto& {
    if constexpr (requires { out.y; })
      return out.y;
    else
      return no_field;
  };
  return std::tie(x(), y());
}

/// X: n x d, Y: m x d; m = n unless `any`, and m >= n if `more`.
template <class T>
void expects_table(const char* function, const Inputs<T, 2>& in, bool any, bool more) {
  const bool fits = in[0].cols == in[1].cols && in[1].rows >= 1 &&
                    (any || in[0].rows == in[1].rows || (more && in[0].rows < in[1].rows));
  if (!fits)
    core::expects_same_shape(function, "X", in[0].rows, in[0].cols, "Y", in[1].rows, in[1].cols);
  core::expects(in[0].rows >= 1, function, "X has no rows");
  core::expects(fits, function, "Y has no rows");
}

/// Throws where an output shares memory with an input or with another output.
template <class T, std::size_t K, std::size_t N>
void expects_outputs_apart(const char* function, const Outputs<T, K>& outputs,
                           const char* const* names, const Inputs<T, N>& inputs) {
  for (std::size_t a = 0; a < K; ++a) {
    if (!outputs[a].data) continue;
    for (const auto& in : inputs) core::expects_apart(function, outputs[a], in);
    for (std::size_t b = a + 1; b < K; ++b)
      core::expects(!core::overlap(outputs[a], outputs[b]), function, names[a], " and ", names[b],
                    " overlap");
  }
}

/// The matrices of a gradient struct as rows to write to.
template <class T, class... M>
struct OutputBatches {
  OutputBatches(const char*, const char* const*, const MatrixView<const T>*) {}
  void views(MatrixView<T>*) const {}
  void commit() {}
};

template <class T, class M, class... Rest>
struct OutputBatches<T, M, Rest...> {
  core::OutputRows<M> first;
  OutputBatches<T, Rest...> rest;

  OutputBatches(const char* function, const char* const* names, const MatrixView<const T>* in,
                M& out, Rest&... others)
      : first(function, *names, out, in->rows, in->cols),
        rest(function, names + 1, in + 1, others...) {}
  void views(MatrixView<T>* to) const {
    *to = first.view();
    rest.views(to + 1);
  }
  void commit() {
    first.commit();
    rest.commit();
  }
};

/// A gradient that is not asked for: a shape without memory.
template <class T, class... Rest>
struct OutputBatches<T, NoField, Rest...> {
  Index rows, cols;
  OutputBatches<T, Rest...> rest;

  OutputBatches(const char* function, const char* const* names, const MatrixView<const T>* in,
                NoField&, Rest&... others)
      : rows(in->rows), cols(in->cols), rest(function, names + 1, in + 1, others...) {}
  void views(MatrixView<T>* to) const {
    *to = {nullptr, rows, cols, cols};
    rest.views(to + 1);
  }
  void commit() { rest.commit(); }
};

/// Rows of core::Real<X>: of Eigen::half or Eigen::bfloat16 in float, others as they are.
template <class X>
decltype(auto) widened_rows(const Eigen::MatrixBase<X>& x) {
  using Scalar = typename X::Scalar;
  if constexpr (core::is_real<Scalar>) {
    return (x);
  } else if constexpr (core::is_half<Scalar>) {
    return RowMatrix<float>(x.template cast<float>());
  } else {
    core::expects_scalar<Scalar, float>();
    return RowMatrix<float>();
  }
}

/// Calls body(rows...) with each batch as rows in memory, of one scalar type.
template <class Body, class First, class... X>
auto with_rows(const Body& body, const Eigen::MatrixBase<First>& first,
               const Eigen::MatrixBase<X>&... others) {
  using Scalar = typename First::Scalar;
  static_assert((std::is_same_v<Scalar, typename X::Scalar> && ...) ||
                    !(core::is_half<Scalar> || ... || core::is_half<typename X::Scalar>),
                "spheremix: arguments need one scalar type; convert by .cast<...>()");
  using T = core::Real<First>;
  return body(core::InputRows<T>(widened_rows(first)).view(),
              core::InputRows<T>(widened_rows(others)).view()...);
}

/// The whole loss on views: one function a loss and type, whatever Eigen expressions came in.
template <class Loss, class T, std::size_t K>
auto run(const Loss& loss, const char* function, const Inputs<T, K>& in, Workspace& workspace,
         const Outputs<T, K>& out) -> decltype(loss(function, in, workspace, out)) {
  return loss(function, in, workspace, out);
}

/// Where a call runs: in this process, whole or a share of it (core/share.hpp), or on one rank of several.
struct Local {
  const core::Share* share = nullptr;
};
template <class World, class Options>
struct Over {
  const Options& options;
  World& world;
};
template <class Options>
Local over(const Options&) {
  return {};
}
template <class Options, class World>
Over<World, Options> over(const Options& options, World& world) {
  return {options, world};
}

/// The loss of a call into `out`: some compute more where `out` has a field for it.
template <class Loss, class Out, class T, std::size_t K>
decltype(auto) loss_into(const char* function, const Loss& loss, Out& out, const Inputs<T, K>& in) {
  if constexpr (requires { loss.to(function, out, in); })
    return loss.to(function, out, in);
  else
    return (loss);
}

template <class Loss, class... X>
auto value(const char* function, const Loss& loss, Local here,
           const Eigen::MatrixBase<X>&... batches) {
  return with_rows(
      [&]<class T>(MatrixView<const T> first, auto... others) {
        const Inputs<T, sizeof...(X)> in{{first, others...}};
        loss.expects(function, in);
        Workspace workspace;
        workspace.work_on(here.share);
        return run(loss, function, in, workspace, Outputs<T, sizeof...(X)>{});
      },
      batches...);
}

template <class Loss, class Out, class... X>
void into(const char* function, const Loss& loss, Workspace& workspace, Out& out,
          const Eigen::MatrixBase<X>&... batches) {
  with_rows(
      [&]<class T>(MatrixView<const T> first, auto... others) {
        constexpr std::size_t count = sizeof...(X);
        const Inputs<T, count> in{{first, others...}};
        loss.expects(function, in);
        const auto& asked = loss_into(function, loss, out, in);
        std::apply(
            [&]<class... M>(M&... matrices) {
              OutputBatches<T, M...> rows(function, Loss::kFields, in.data(), matrices...);
              Outputs<T, count> to;
              rows.views(to.data());
              expects_outputs_apart(function, to, Loss::kFields, in);
              const auto result = run(asked, function, in, workspace, to);
              rows.commit();
              result.put(out);
            },
            Loss::fields(out));
      },
      batches...);
}

template <class Loss, class... X>
auto value(const char* function, const Loss& loss, const Eigen::MatrixBase<X>&... batches) {
  return value(function, loss, Local{}, batches...);
}

template <class Loss, class Out, class... X>
void into(const char* function, const Loss& loss, Local, Workspace& workspace, Out& out,
          const Eigen::MatrixBase<X>&... batches) {
  into(function, loss, workspace, out, batches...);
}

/// A Gradient filled by run(workspace, gradient), with memory of its own.
template <class Gradient, class Run>
Gradient by_value(const Run& run) {
  Workspace workspace;
  Gradient out;
  run(workspace, out);
  return out;
}

}  // namespace spheremix::losses::detail

#include "spheremix/losses/detail/across.hpp"
