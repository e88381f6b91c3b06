// m3_mix on the CPU: formula, gradient and options in formula/m3_mix.hpp.
//
// Shapes, units, errors: as the four losses.
#pragma once

#include "spheremix/core/compiled.hpp"
#include "spheremix/formula/m3_mix.hpp"
#include "spheremix/losses/clip_m2_mix.hpp"
#include "spheremix/losses/detail/side_entry.hpp"

namespace spheremix::losses {

using M3MixOptions = M3MixOptionsOf<std::vector<Index>>;

namespace detail {
template <class L, bool Number = std::is_arithmetic_v<L>>
struct StoredLambda {
  using type = double;
};
template <class L>
struct StoredLambda<L, false> {
  using type = typename L::PlainObject;
};
}  // namespace detail

template <class M2, class V, class L, class Vl>
MixLambdas(M2, V, L, Vl)
    -> MixLambdas<typename detail::StoredLambda<M2>::type, typename detail::StoredLambda<V>::type,
                  typename detail::StoredLambda<L>::type, typename detail::StoredLambda<Vl>::type>;

namespace detail {

template <class T>
struct LambdaViews {
  RowParameter<T> m2, v, l, vl;
};

/// All four on views; each part's dL/dlambda of a row into its n numbers of `lambda` (4 n).
template <class T>
MixResult run_m3(const char* function, MatrixView<const T> x, MatrixView<const T> y,
                 const LambdaViews<T>& lambda, const M3MixOptions& options, Workspace& workspace,
                 const pairwise::PairGradients<T>& out) {
  expects_temperature<T>(function, "temperature", options.temperature);
  expects_temperature<T>(function, "mix_temperature", options.mix_temperature);
  expects_partners(function, options.partners, x.rows);
  for (const double w : {options.weight_m2, options.weight_v, options.weight_l, options.weight_vl})
    core::expects(std::isfinite(w), function, "a weight is ", w);
  const Index n = x.rows;
  const bool gradients = out.dx.data != nullptr;
  const ExtrasOf extras(function, options, n);
  const auto side = [&](MatrixView<const T> a, MatrixView<const T> b,
                        const RowParameter<T>& parameter, double weight, bool both,
                        bool exchanged) {
    return SideCall<T>{
        function, a,    b,    parameter,           options.partners, options.temperature,
        weight,   true, both, VlTargets::identity, extras.get(),     exchanged};
  };
  const M2Call<T> m2{
      function,           x,           y, lambda.m2, options.mix_temperature, options.weight_m2,
      Negatives::replace, extras.get()};
  const SideCall<T> v = side(x, y, lambda.v, options.weight_v, false, false),
                    l = side(y, x, lambda.l, options.weight_l, false, true),
                    vl = side(x, y, lambda.vl, options.weight_vl, true, false);
  const std::size_t lambda_bytes = core::bytes_of<LambdaSlopes>(4 * n);
  const std::size_t budget = options.memory_budget;
  const auto m2_cut = m2_plan(m2, gradients, budget, lambda_bytes);
  const auto side_cut = side_plan(v, gradients, budget, lambda_bytes),
             both_cut = side_plan(vl, gradients, budget, lambda_bytes);
  if (!computable(x, y, (std::min)(options.temperature, options.mix_temperature)))
    return not_a_number(out);

  Workspace::Frame frame =
      workspace.frame((std::max)({m2_cut.bytes, side_cut.bytes, both_cut.bytes}));
  MixResult result{LambdaSlopes(4 * n, frame).each};
  bool started = false;
  const auto to = [&](bool exchange) {
    const bool add = std::exchange(started, true);
    return exchange ? pairwise::PairGradients<T>{out.dy, out.dx, add, add}
                    : pairwise::PairGradients<T>{out.dx, out.dy, add, add};
  };
  if (options.weight_m2 != 0) {
    const ContrastResult part = run_m2(m2, m2_cut, frame, to(false), result.lambda);
    result.loss += part.loss;
    result.log_mix_temperature += part.log_temperature;
  }
  const auto add_side = [&](const SideCall<T>& call, const pairwise::Plan<T>& cut, bool exchange,
                            double* out_lambda) {
    if (call.weight == 0) return;
    const ContrastResult part = run_side(call, cut, frame, to(exchange), out_lambda);
    result.loss += part.loss;
    result.log_temperature += part.log_temperature;
  };
  add_side(v, side_cut, false, result.lambda + n);
  add_side(l, side_cut, true, result.lambda + 2 * n);
  add_side(vl, both_cut, false, result.lambda + 3 * n);
  if (gradients && !started)
    for (Index i = 0; i < n; ++i) {
      std::fill(out.dx.row(i), out.dx.row(i) + x.cols, T(0));
      std::fill(out.dy.row(i), out.dy.row(i) + x.cols, T(0));
    }
  return result;
}

/// The four lambda arguments while the call lasts.
template <class T, class Lambdas>
struct LambdaArguments {
  LambdaArgument<T, decltype(Lambdas::m2)> m2;
  LambdaArgument<T, decltype(Lambdas::v)> v;
  LambdaArgument<T, decltype(Lambdas::l)> l;
  LambdaArgument<T, decltype(Lambdas::vl)> vl;

  LambdaArguments(const char* function, const Lambdas& lambdas, Index n)
      : m2(function, "lambda.m2", lambdas.m2, n),
        v(function, "lambda.v", lambdas.v, n),
        l(function, "lambda.l", lambdas.l, n),
        vl(function, "lambda.vl", lambdas.vl, n) {}
  LambdaViews<T> views() const { return {m2.value(), v.value(), l.value(), vl.value()}; }
};

/// As entry.hpp runs it.
template <class T>
struct M3Loss : OfTwoBatches {
  const M3MixOptions& options;
  LambdaViews<T> lambda;

  struct Result : MixResult {
    const char* function;
    Index n;

    template <class Out>
    void put(Out& out) const {
      MixResult::put(out);
      const auto part = [&](Index k) {
        return MixResult::lambda ? MixResult::lambda + k * n : nullptr;
      };
      put_lambda_gradient(function, part(0), n, out.lambda.m2);
      put_lambda_gradient(function, part(1), n, out.lambda.v);
      put_lambda_gradient(function, part(2), n, out.lambda.l);
      put_lambda_gradient(function, part(3), n, out.lambda.vl);
    }
  };

  Result operator()(const char* function, const Inputs<T, 2>& in, Workspace& workspace,
                    const Outputs<T, 2>& out) const {
    return {run_m3<T>(function, in[0], in[1], lambda, options, workspace, {out[0], out[1]}),
            function, in[0].rows};
  }
};

/// A lambda of all ranks as MixLambdas stores it.
template <class L>
auto stored_lambda(const L& lambda) {
  if constexpr (std::is_arithmetic_v<L>) {
    return lambda;
  } else {
    Vector<double> all(lambda.size());
    for (Index i = 0; i < lambda.size(); ++i) all[i] = lambda[i].high;
    return all;
  }
}

/// From what all ranks have to the arguments of m3_mix.
template <class Call>
auto m3_across(const M3MixOptions& options, const Call& call) {
  return [&options, call](auto&& where, const auto& x, const auto& y, const auto& m2, const auto& v,
                          const auto& l, const auto& vl,
                          const std::vector<Index>& partners) -> decltype(auto) {
    return call(
        where, x, y,
        MixLambdas{stored_lambda(m2), stored_lambda(v), stored_lambda(l), stored_lambda(vl)},
        with_partners(options, partners));
  };
}

template <class X, class Y, class... L>
double m3_value(const char* function, Local here, const Eigen::MatrixBase<X>& x,
                const Eigen::MatrixBase<Y>& y, const MixLambdas<L...>& lambda,
                const M3MixOptions& options) {
  using T = core::Real<X>;
  expects_pairs(function, x, y);
  const LambdaArguments<T, MixLambdas<L...>> weights(function, lambda, x.rows());
  return value(function, M3Loss<T>{{}, options, weights.views()}, here, x, y).loss;
}

}  // namespace detail

/// The loss, in nats, without CLIP.
template <class X, class Y, class... L, class... World>
requires core::Worlds<World...>
[[nodiscard]] double m3_mix(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                            const MixLambdas<L...>& lambda, const M3MixOptions& options = {},
                            World&... world) {
  if constexpr (sizeof...(World) > 0) {
    return detail::value_across("m3_mix", world..., options,
                                detail::m3_across(options,
                                                  [](detail::Local here, const auto&... all) {
                                                    return detail::m3_value("m3_mix", here, all...);
                                                  }),
                                x, core::paired(y), core::per_row(lambda.m2),
                                core::per_row(lambda.v), core::per_row(lambda.l),
                                core::per_row(lambda.vl), core::paired(options.partners));
  } else {
    return detail::m3_value("m3_mix", detail::Local{}, x, y, lambda, options);
  }
}

/// Loss and gradients into `out` (any struct with the fields of TwoTemperatureGradient, out.lambda
/// with the fields of MixLambdas), without an allocation once `workspace` and `out` have their
/// sizes.
template <class X, class Y, class... L, class Out, class... World>
requires core::Worlds<World...>
void m3_mix_with_gradient(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                          const MixLambdas<L...>& lambda, const M3MixOptions& options,
                          core::Workspace& workspace, Out& out, World&... world) {
  if constexpr (sizeof...(World) > 0) {
    detail::gradient_across(
        "m3_mix_with_gradient", world..., options, workspace, out,
        detail::m3_across(
            options, [](auto& memory, const auto&... all) -> auto& {
              auto& part = detail::whole_gradient<decltype(m3_mix_with_gradient(all...))>(memory);
              m3_mix_with_gradient(all..., memory, part);
              return part;
            }),
        x, core::paired(y), core::per_row(lambda.m2), core::per_row(lambda.v),
        core::per_row(lambda.l), core::per_row(lambda.vl), core::paired(options.partners));
  } else {
    using T = core::Real<X>;
    constexpr auto* name = "m3_mix_with_gradient";
    detail::expects_pairs(name, x, y);
    const detail::LambdaArguments<T, MixLambdas<L...>> weights(name, lambda, x.rows());
    detail::into(name, detail::M3Loss<T>{{}, options, weights.views()}, workspace, out, x, y);
  }
}

template <class X, class Y, class... L, class... World>
requires core::Worlds<World...>
[[nodiscard]] auto m3_mix_with_gradient(const Eigen::MatrixBase<X>& x,
                                        const Eigen::MatrixBase<Y>& y,
                                        const MixLambdas<L...>& lambda,
                                        const M3MixOptions& options = {}, World&... world) {
  using T = core::Real<X>;
  return detail::by_value<
      TwoTemperatureGradient<RowMatrix<T>, MixLambdas<detail::LambdaGradient<T, L>...>>>(
      [&](auto& workspace, auto& out) {
        m3_mix_with_gradient(x, y, lambda, options, workspace, out, world...);
      });
}

}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_M3_MIX(T)                                                             \
  M3Loss<T>::Result run(const M3Loss<T>&, const char*, const Inputs<T, 2>&, Workspace&, \
                        const Outputs<T, 2>&)
SPHEREMIX_ELSEWHERE(SPHEREMIX_M3_MIX)
}  // namespace spheremix::losses::detail
