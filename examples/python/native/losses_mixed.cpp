// The losses that mix rows: m2-Mix and its family. lambda_ is a number or a vector of one a row.
#include "losses.hpp"
#include "spheremix/losses/clip_m2_mix.hpp"
#include "spheremix/losses/l_mix.hpp"
#include "spheremix/losses/m2_mix.hpp"
#include "spheremix/losses/m3_mix.hpp"
#include "spheremix/losses/targets.hpp"
#include "spheremix/losses/v_mix.hpp"
#include "spheremix/losses/vl_mix.hpp"

namespace spheremix::python {

using namespace losses;

template <>
struct EnumNames<Reduction> {
  static constexpr std::pair<const char*, Reduction> all[] = {{"sum", Reduction::sum},
                                                              {"mean", Reduction::mean}};
};
template <>
struct EnumNames<Negatives> {
  static constexpr std::pair<const char*, Negatives> all[] = {{"replace", Negatives::replace},
                                                              {"append", Negatives::append}};
};
template <>
struct EnumNames<VlTargets> {
  static constexpr std::pair<const char*, VlTargets> all[] = {{"identity", VlTargets::identity},
                                                              {"released", VlTargets::released}};
};

namespace {

constexpr auto as_mix = [](Array x, Array y, nb::object lambda, const auto& out) {
  return record("MixGradient", out.loss, x, y, lambda, out.log_temperature);
};
constexpr auto as_two = [](Array x, Array y, nb::object lambda, const auto& out) {
  return record("TwoTemperatureGradient", out.loss, x, y, lambda, out.log_temperature,
                out.log_mix_temperature);
};

/// A loss of X, Y and lambda.
template <class Options, class Record, class Value, class Gradient, class Finish, class... M>
void bind_mixing_loss(nb::module_& m, const char* name, const char* with, Value value,
                      Gradient gradient, Finish finish, Field<Options, M>... fields) {
  const std::string documented = std::string("losses::") + name;
  m.def(
      name,
      [=](Arg x, Arg y, Arg lambda, Given<M>... given) -> double {
        const auto options = options_of<Options>(name, setting(fields, given)...);
        const Rows a(name, "x", x), b(name, "y", y);
        expects_one_type(name, {&a, &b});
        const Numbers weights(name, "lambda_", lambda);
        return by_type(a.is_double(), [&]<class T>() {
          const auto p = a.map<T>(), q = b.map<T>();
          return with_weights<T>(
              weights, [&](const auto& l) { return run([&] { return value(p, q, l, options); }); });
        });
      },
      nb::arg("x"), nb::arg("y"), nb::arg("lambda_"), nb::kw_only(), default_of(fields)...,
      doc(documented));
  m.def(
      with,
      [=](Arg x, Arg y, Arg lambda, Given<M>... given) -> Record {
        const auto options = options_of<Options>(with, setting(fields, given)...);
        const Rows a(with, "x", x), b(with, "y", y);
        expects_one_type(with, {&a, &b});
        const Numbers weights(with, "lambda_", lambda);
        Output dx = like(a);
        Output dy = like(a, b);
        return by_type(a.is_double(), [&]<class T>() -> Record {
          const auto p = a.map<T>(), q = b.map<T>();
          const auto call = [&](const auto& l, auto& out) {
            run([&] {
              core::Workspace workspace;
              gradient(p, q, l, options, workspace, out);
            });
          };
          if (weights.is_number()) {
            PairOut<T> out{dx.map<T>(), dy.map<T>(), 0};
            call(weights.number(), out);
            return {finish(dx.finish(), dy.finish(), nb::float_(out.lambda), out)};
          }
          const Vector<T> each = weights.vector<T>();
          Output dl = vector_of(a);
          PairOut<T, Eigen::Map<Vector<T>>> out{dx.map<T>(), dy.map<T>(), dl.column<T>()};
          call(each, out);
          return {finish(dx.finish(), dy.finish(), dl.finish().value, out)};
        });
      },
      nb::arg("x"), nb::arg("y"), nb::arg("lambda_"), nb::kw_only(), default_of(fields)...,
      doc(documented + "_with_gradient"));
}

#define MIXING_LOSS(NAME) \
#NAME, #NAME "_with_gradient",                                                        \
      [](const auto& x, const auto& y, const auto& l, const auto& o) {                  \
        return NAME(x, y, l, o);                                                        \
      },                                                                                \
      [](const auto& x, const auto& y, const auto& l, const auto& o, auto& workspace,   \
         auto& out) { NAME##_with_gradient(x, y, l, o, workspace, out); }

/// The four weights of m3_mix: all numbers, or all vectors (a number among vectors stands for n equal ones).
struct FourWeights {
  Numbers m2, v, l, vl;

  FourWeights(const char* function, nb::handle lambda)
      : m2(function, "lambda_.m2", part(function, lambda, "m2", 0)),
        v(function, "lambda_.v", part(function, lambda, "v", 1)),
        l(function, "lambda_.l", part(function, lambda, "l", 2)),
        vl(function, "lambda_.vl", part(function, lambda, "vl", 3)) {}

  bool are_numbers() const {
    return m2.is_number() && v.is_number() && l.is_number() && vl.is_number();
  }
  MixLambdas<double, double, double, double> numbers() const {
    return {m2.number(), v.number(), l.number(), vl.number()};
  }
  template <class T>
  using Each = MixLambdas<Vector<T>, Vector<T>, Vector<T>, Vector<T>>;
  template <class T>
  Each<T> vectors(Index n) const {
    const auto each = [&](const Numbers& w) {
      return w.is_number() ? Vector<T>(Vector<T>::Constant(n, T(w.number()))) : w.vector<T>();
    };
    return {each(m2), each(v), each(l), each(vl)};
  }

  /// The held parts live as long as `lambda` does: attributes of a MixLambdas, items of a tuple.
  static nb::object part(const char* function, nb::handle lambda, const char* name, int at) {
    if (nb::hasattr(lambda, name)) return lambda.attr(name);
    if (nb::isinstance<nb::tuple>(lambda) && nb::len(lambda) == 4)
      return nb::borrow<nb::tuple>(lambda)[at];
    type_error(function, "lambda_ is not a MixLambdas(m2, v, l, vl)");
  }
};

template <class... M>
void bind_m3(nb::module_& m, Field<M3MixOptions, M>... fields) {
  constexpr auto* name = "m3_mix";
  constexpr auto* with = "m3_mix_with_gradient";
  m.def(
      name,
      [=](Arg x, Arg y, FourArg lambda, Given<M>... given) -> double {
        const auto options = options_of<M3MixOptions>(name, setting(fields, given)...);
        const Rows a(name, "x", x), b(name, "y", y);
        expects_one_type(name, {&a, &b});
        const FourWeights weights(name, lambda.value);
        return by_type(a.is_double(), [&]<class T>() -> double {
          const auto p = a.map<T>(), q = b.map<T>();
          if (weights.are_numbers())
            return run([&] { return m3_mix(p, q, weights.numbers(), options); });
          const auto each = weights.vectors<T>(a.rows());
          return run([&] { return m3_mix(p, q, each, options); });
        });
      },
      nb::arg("x"), nb::arg("y"), nb::arg("lambda_"), nb::kw_only(), default_of(fields)...,
      doc("losses::m3_mix"));
  m.def(
      with,
      [=](Arg x, Arg y, FourArg lambda, Given<M>... given) -> TwoTemperatureGradientRecord {
        const auto options = options_of<M3MixOptions>(with, setting(fields, given)...);
        const Rows a(with, "x", x), b(with, "y", y);
        expects_one_type(with, {&a, &b});
        const FourWeights weights(with, lambda.value);
        Output dx = like(a);
        Output dy = like(a, b);
        return by_type(a.is_double(), [&]<class T>() -> TwoTemperatureGradientRecord {
          const auto p = a.map<T>(), q = b.map<T>();
          const auto call = [&](const auto& l, auto& out) {
            run([&] {
              core::Workspace workspace;
              m3_mix_with_gradient(p, q, l, options, workspace, out);
            });
          };
          if (weights.are_numbers()) {
            PairOut<T, MixLambdas<double, double, double, double>> out{
                dx.map<T>(), dy.map<T>(), {}};
            call(weights.numbers(), out);
            return {as_two(
                dx.finish(), dy.finish(),
                record("MixLambdas", out.lambda.m2, out.lambda.v, out.lambda.l, out.lambda.vl),
                out)};
          }
          const auto each = weights.vectors<T>(a.rows());
          PairOut<T, FourWeights::Each<T>> out{dx.map<T>(), dy.map<T>(), {}};
          call(each, out);
          const auto back = [&](const Numbers& given_as, const Vector<T>& g) -> nb::object {
            if (given_as.is_number()) return nb::float_(g.template cast<double>().sum());
            Output to(a.kind(), a.is_double(), {std::size_t(g.size())});
            to.column<T>() = g;
            return to.finish().value;
          };
          return {as_two(
              dx.finish(), dy.finish(),
              record("MixLambdas", back(weights.m2, out.lambda.m2), back(weights.v, out.lambda.v),
                     back(weights.l, out.lambda.l), back(weights.vl, out.lambda.vl)),
              out)};
        });
      },
      nb::arg("x"), nb::arg("y"), nb::arg("lambda_"), nb::kw_only(), default_of(fields)...,
      doc("losses::m3_mix_with_gradient"));
}

}  // namespace

void bind_losses_that_mix(nb::module_& m) {
  bind_enum<Reduction>(m, "Reduction", "What the two directions of m2_mix are added up to.");
  bind_enum<Negatives>(m, "Negatives", "What mixed rows are to the ordinary negatives.");
  bind_enum<VlTargets>(m, "VlTargets", "What vl_mix takes for the true pairs.");

  bind_mixing_loss<M2MixOptions, MixGradientRecord>(
      m, MIXING_LOSS(m2_mix), as_mix, FIELD(M2MixOptions, temperature),
      FIELD(M2MixOptions, reduction), FIELD(M2MixOptions, negatives),
      FIELD(M2MixOptions, memory_budget), FIELD(M2MixOptions, exclude),
      FIELD(M2MixOptions, row_weights));
  using Both = ClipM2MixOptions;
  bind_mixing_loss<Both, TwoTemperatureGradientRecord>(
      m, MIXING_LOSS(clip_m2_mix), as_two, FIELD(Both, temperature), FIELD(Both, mix_temperature),
      FIELD(Both, weight), FIELD(Both, reduction), FIELD(Both, negatives),
      FIELD(Both, memory_budget), FIELD(Both, shared), FIELD(Both, exclude),
      FIELD(Both, row_weights));
  bind_mixing_loss<VMixOptions, MixGradientRecord>(
      m, MIXING_LOSS(v_mix), as_mix, FIELD(VMixOptions, temperature), FIELD(VMixOptions, partners),
      FIELD(VMixOptions, memory_budget), FIELD(VMixOptions, exclude),
      FIELD(VMixOptions, row_weights));
  bind_mixing_loss<LMixOptions, MixGradientRecord>(
      m, MIXING_LOSS(l_mix), as_mix, FIELD(LMixOptions, temperature), FIELD(LMixOptions, partners),
      FIELD(LMixOptions, memory_budget), FIELD(LMixOptions, exclude),
      FIELD(LMixOptions, row_weights));
  bind_mixing_loss<VlMixOptions, MixGradientRecord>(
      m, MIXING_LOSS(vl_mix), as_mix, FIELD(VlMixOptions, temperature),
      FIELD(VlMixOptions, targets), FIELD(VlMixOptions, partners),
      FIELD(VlMixOptions, memory_budget), FIELD(VlMixOptions, exclude),
      FIELD(VlMixOptions, row_weights));
  bind_m3(m, FIELD(M3MixOptions, temperature), FIELD(M3MixOptions, mix_temperature),
          FIELD(M3MixOptions, weight_m2), FIELD(M3MixOptions, weight_v),
          FIELD(M3MixOptions, weight_l), FIELD(M3MixOptions, weight_vl),
          FIELD(M3MixOptions, partners), FIELD(M3MixOptions, memory_budget),
          FIELD(M3MixOptions, exclude), FIELD(M3MixOptions, row_weights));
}

}  // namespace spheremix::python
