// How a loss is bound: value and value with gradients, options as keywords (options.hpp), results as records.
#pragma once

#include "options.hpp"
#include "spheremix/core/workspace.hpp"

SPHEREMIX_RECORD(PairGradient)
SPHEREMIX_RECORD(ContrastiveGradient)
SPHEREMIX_RECORD(SiglipGradient)
SPHEREMIX_RECORD(MarginNceGradient)
SPHEREMIX_RECORD(MixGradient)
SPHEREMIX_RECORD(TwoTemperatureGradient)
SPHEREMIX_RECORD(BrownianBridgeGradient)
SPHEREMIX_RECORD(AugmentedConsistencyGradient)
SPHEREMIX_RECORD(FeatureSeparationGradient)
SPHEREMIX_RECORD(SupervisedGradient)
SPHEREMIX_RECORD(TripletGradient)
SPHEREMIX_RECORD(MixedLabelGradient)
SPHEREMIX_RECORD(LogitGradient)

namespace spheremix::python {

void bind_losses_of_pairs(nb::module_& m);
void bind_losses_that_mix(nb::module_& m);
void bind_losses_of_labels(nb::module_& m);

/// Gradients of a loss of two batches, in Python's memory. A loss fills the numbers that it has.
template <class T, class Lambda = double>
struct PairOut {
  Map<T> x, y;
  Lambda lambda;
  double loss = 0, log_temperature = 0, log_mix_temperature = 0, bias = 0, margin = 0;
};

/// What a loss takes between Y and its options: nothing, or targets.
template <class Extra>
auto extra_argument() {
  return nb::arg("targets").none() = nb::none();
}

/// A loss of X and Y: value(x, y, options, targets...), gradient(x, y, options, workspace, out, targets...).
/// finish(x, y, out) makes the record.
template <class Record, class... Extra, class Options, class Value, class Gradient, class Finish,
          class... M>
void bind_pair_loss(nb::module_& m, const char* name, const char* with, bool float_only,
                    Value value, Gradient gradient, Finish finish, Field<Options, M>... fields) {
  const auto expects_type = [float_only](const char* function, const Rows& x, const Rows& y) {
    expects_one_type(function, {&x, &y});
    if (float_only && x.is_double())
      type_error(function,
                 "x is float64, where float32 or float16 is needed: bf16 is for float rows");
  };
  const std::string documented = std::string("losses::") + name;
  m.def(
      name,
      [=](Arg x, Arg y, Extra... extra, Given<M>... given) -> double {
        const auto options = options_of<Options>(name, setting(fields, given)...);
        const Rows a(name, "x", x), b(name, "y", y);
        expects_type(name, a, b);
        const auto call = [&](const auto*... targets) {
          return by_type(a.is_double(), [&]<class T>() {
            const auto p = a.map<T>(), q = b.map<T>();
            return run([&] { return value(p, q, options, targets...); });
          });
        };
        return call(targets_of(name, "targets", extra.value)...);
      },
      nb::arg("x"), nb::arg("y"), extra_argument<Extra>()..., nb::kw_only(), default_of(fields)...,
      doc(documented));
  m.def(
      with,
      [=](Arg x, Arg y, Extra... extra, Given<M>... given) -> Record {
        const auto options = options_of<Options>(with, setting(fields, given)...);
        const Rows a(with, "x", x), b(with, "y", y);
        expects_type(with, a, b);
        Output dx = like(a);
        Output dy = like(a, b);
        const auto call = [&](const auto*... targets) {
          return by_type(a.is_double(), [&]<class T>() {
            const auto p = a.map<T>(), q = b.map<T>();
            PairOut<T> out{dx.map<T>(), dy.map<T>(), 0};
            run([&] {
              core::Workspace workspace;
              gradient(p, q, options, workspace, out, targets...);
            });
            return Record{finish(dx.finish(), dy.finish(), out)};
          });
        };
        return call(targets_of(with, "targets", extra.value)...);
      },
      nb::arg("x"), nb::arg("y"), extra_argument<Extra>()..., nb::kw_only(), default_of(fields)...,
      doc(documented + "_with_gradient"));
}

}  // namespace spheremix::python
