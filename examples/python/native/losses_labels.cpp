// Losses of labelled rows and of logits.
#include "losses.hpp"
#include "spheremix/losses/decoupled_mixup.hpp"
#include "spheremix/losses/label_distances.hpp"
#include "spheremix/losses/mixup_cross_entropy.hpp"
#include "spheremix/losses/rank_n_contrast.hpp"
#include "spheremix/losses/sup_con.hpp"
#include "spheremix/losses/sup_remix.hpp"
#include "spheremix/losses/triplet.hpp"

namespace spheremix::python {

using namespace losses;

template <>
struct EnumNames<RemixWeighting> {
  static constexpr std::pair<const char*, RemixWeighting> all[] = {
      {"absolute", RemixWeighting::absolute},
      {"squared", RemixWeighting::squared},
      {"none", RemixWeighting::none}};
};
template <>
struct EnumNames<RankSimilarity> {
  static constexpr std::pair<const char*, RankSimilarity> all[] = {
      {"negative_distance", RankSimilarity::negative_distance}, {"cosine", RankSimilarity::cosine}};
};
template <>
struct EnumNames<TripletMining> {
  static constexpr std::pair<const char*, TripletMining> all[] = {
      {"batch_hard", TripletMining::batch_hard}, {"semi_hard", TripletMining::semi_hard}};
};
template <>
struct EnumNames<TripletDistance> {
  static constexpr std::pair<const char*, TripletDistance> all[] = {
      {"euclidean", TripletDistance::euclidean}, {"squared", TripletDistance::squared}};
};
template <>
struct EnumNames<TripletMargin> {
  static constexpr std::pair<const char*, TripletMargin> all[] = {{"hinge", TripletMargin::hinge},
                                                                  {"soft", TripletMargin::soft}};
};
template <>
struct EnumNames<DecoupledForm> {
  static constexpr std::pair<const char*, DecoupledForm> all[] = {
      {"cross_entropy", DecoupledForm::cross_entropy}, {"binary", DecoupledForm::binary}};
};
template <>
struct EnumNames<DecoupledWeighting> {
  static constexpr std::pair<const char*, DecoupledWeighting> all[] = {
      {"constant", DecoupledWeighting::constant},
      {"lambda", DecoupledWeighting::lambda},
      {"rescaled", DecoupledWeighting::rescaled}};
};
template <>
struct EnumNames<DecoupledDirection> {
  static constexpr std::pair<const char*, DecoupledDirection> all[] = {
      {"both", DecoupledDirection::both},
      {"minority", DecoupledDirection::minority},
      {"majority", DecoupledDirection::majority},
      {"labelled", DecoupledDirection::labelled}};
};

namespace {

/// Calls body with the labels: as whole numbers where they are, else as double.
template <class Body>
auto with_labels(const char* function, nb::handle labels, const Body& body) {
  const Numbers given(function, "labels", labels);
  if (given.is_number()) type_error(function, "labels is one number where a vector is needed");
  if (given.cols() != 1 && given.rows() != 1)
    value_error(function, "labels are " + std::to_string(given.rows()) + " x " +
                              std::to_string(given.cols()) + ", not a vector");
  if (given.are_integers()) {
    const std::vector<Index> whole = given.indices();
    return body(Eigen::Map<const Vector<Index>>(whole.data(), Index(whole.size())));
  }
  const std::vector<double> numbers = given.reals();
  return body(Eigen::Map<const Vector<double>>(numbers.data(), Index(numbers.size())));
}

/// The same, or distances of labels where the loss takes them.
template <bool Distances, class Body>
auto with_given_labels(const char* function, nb::handle labels, const Body& body) {
  if constexpr (Distances)
    if (nb::isinstance<LabelDistances>(labels))
      return body(nb::cast<const LabelDistances&>(labels));
  return with_labels(function, labels, body);
}

template <class T>
struct LabelledOut {
  Map<T> x;
  double loss = 0, log_temperature = 0;
  Index skipped = 0, active = 0;
};

/// A loss of X and labels. finish(x, out) makes the record.
template <class Options, class Record, bool Distances = false, class Value, class Gradient,
          class Finish, class... M>
void bind_labelled_loss(nb::module_& m, const char* name, const char* with, Value value,
                        Gradient gradient, Finish finish, Field<Options, M>... fields) {
  const std::string documented = std::string("losses::") + name;
  m.def(
      name,
      [=](Arg x, Arg labels, Given<M>... given) -> double {
        const auto options = options_of<Options>(name, setting(fields, given)...);
        const Rows a(name, "x", x);
        return by_type(a.is_double(), [&]<class T>() {
          const auto p = a.map<T>();
          return with_given_labels<Distances>(name, labels.value, [&](const auto& y) {
            return run([&] { return value(p, y, options); });
          });
        });
      },
      nb::arg("x"), nb::arg("labels"), nb::kw_only(), default_of(fields)..., doc(documented));
  m.def(
      with,
      [=](Arg x, Arg labels, Given<M>... given) -> Record {
        const auto options = options_of<Options>(with, setting(fields, given)...);
        const Rows a(with, "x", x);
        Output dx = like(a);
        return by_type(a.is_double(), [&]<class T>() -> Record {
          const auto p = a.map<T>();
          LabelledOut<T> out{dx.map<T>()};
          with_given_labels<Distances>(with, labels.value, [&](const auto& y) {
            run([&] {
              core::Workspace workspace;
              gradient(p, y, options, workspace, out);
            });
          });
          return {finish(dx.finish(), out)};
        });
      },
      nb::arg("x"), nb::arg("labels"), nb::kw_only(), default_of(fields)...,
      doc(documented + "_with_gradient"));
}

/// triplet_of: a loss of X and three lists of rows.
template <class... M>
void bind_triplet_of(nb::module_& m, Field<TripletOptions, M>... fields) {
  constexpr auto* name = "triplet_of";
  constexpr auto* with = "triplet_of_with_gradient";
  struct Lists {
    std::vector<Index> anchors, positives, negatives;
    Lists(const char* function, Arg a, Arg p, Arg n)
        : anchors(Numbers(function, "anchors", a).indices()),
          positives(Numbers(function, "positives", p).indices()),
          negatives(Numbers(function, "negatives", n).indices()) {}
  };
  m.def(
      name,
      [=](Arg x, Arg anchors, Arg positives, Arg negatives, Given<M>... given) -> double {
        const auto options = options_of<TripletOptions>(name, setting(fields, given)...);
        const Rows a(name, "x", x);
        const Lists lists(name, anchors, positives, negatives);
        return by_type(a.is_double(), [&]<class T>() {
          const auto p = a.map<T>();
          return run([&] {
            return triplet_of(p, lists.anchors, lists.positives, lists.negatives, options);
          });
        });
      },
      nb::arg("x"), nb::arg("anchors"), nb::arg("positives"), nb::arg("negatives"), nb::kw_only(),
      default_of(fields)..., doc("losses::triplet_of"));
  m.def(
      with,
      [=](Arg x, Arg anchors, Arg positives, Arg negatives,
          Given<M>... given) -> TripletGradientRecord {
        const auto options = options_of<TripletOptions>(with, setting(fields, given)...);
        const Rows a(with, "x", x);
        const Lists lists(with, anchors, positives, negatives);
        Output dx = like(a);
        return by_type(a.is_double(), [&]<class T>() -> TripletGradientRecord {
          const auto p = a.map<T>();
          LabelledOut<T> out{dx.map<T>()};
          run([&] {
            core::Workspace workspace;
            triplet_of_with_gradient(p, lists.anchors, lists.positives, lists.negatives, options,
                                     workspace, out);
          });
          return {record("TripletGradient", out.loss, dx.finish(), out.active, out.skipped)};
        });
      },
      nb::arg("x"), nb::arg("anchors"), nb::arg("positives"), nb::arg("negatives"), nb::kw_only(),
      default_of(fields)..., doc("losses::triplet_of_with_gradient"));
}

/// Labels of sup_remix: numbers, or distances.
template <class Body>
auto with_remix_labels(const char* function, nb::handle labels, const Body& body) {
  if (nb::isinstance<LabelDistances>(labels)) return body(nb::cast<const LabelDistances&>(labels));
  const Vector<double> numbers = with_labels(
      function, labels, [](const auto& y) { return Vector<double>(y.template cast<double>()); });
  return body(numbers);
}

void bind_label_distances(nb::module_& m) {
  nb::class_<LabelDistances>(m, "LabelDistances", doc("losses::LabelDistances"));
  m.def(
      "label_distances",
      [](nb::object labels, nb::object distance) {
        const Numbers given("label_distances", "labels", labels);
        if (distance.is_none()) {
          const std::vector<double> all = given.reals();
          return LabelDistances(
              Eigen::Map<const RowMatrix<double>>(all.data(), given.rows(), given.cols()));
        }
        const nb::handle to_float(reinterpret_cast<PyObject*>(&PyFloat_Type));
        RowMatrix<double> table(given.rows(), given.rows());
        for (Index i = 0; i < given.rows(); ++i)
          for (Index k = 0; k < given.rows(); ++k)
            table(i, k) = nb::cast<double>(to_float(distance(labels[i], labels[k])));
        return LabelDistances(std::move(table));
      },
      nb::arg("labels"), nb::arg("distance").none() = nb::none(), doc("losses::label_distances"));
}

/// lambda of sup_remix: a number, an n x n matrix, or a Philox to draw from.
template <class T, class Body>
auto with_remix_weights(const char* function, nb::handle lambda, const Body& body) {
  if (nb::isinstance<core::Philox>(lambda)) return drawn(nb::cast<core::Philox&>(lambda), body);
  const Numbers given(function, "lambda_", lambda);
  if (given.is_number()) {
    double one = given.number();
    return body(one);
  }
  const std::vector<double> all = given.reals();
  RowMatrix<T> each = Eigen::Map<const RowMatrix<double>>(all.data(), given.rows(), given.cols())
                          .template cast<T>();
  return body(each);
}

template <class... M>
void bind_sup_remix(nb::module_& m, Field<SupRemixOptions, M>... fields) {
  constexpr auto* name = "sup_remix";
  constexpr auto* with = "sup_remix_with_gradient";
  m.def(
      name,
      [=](Arg x, Arg labels, ArrayOrPhilox lambda, Given<M>... given) -> double {
        const auto options = options_of<SupRemixOptions>(name, setting(fields, given)...);
        const Rows a(name, "x", x);
        return by_type(a.is_double(), [&]<class T>() {
          const auto p = a.map<T>();
          return with_remix_labels(name, labels.value, [&](const auto& y) {
            return with_remix_weights<T>(name, lambda.value, [&](auto& l) -> double {
              return run([&] { return sup_remix(p, y, l, options); });
            });
          });
        });
      },
      nb::arg("x"), nb::arg("labels"), nb::arg("lambda_"), nb::kw_only(), default_of(fields)...,
      doc("losses::sup_remix"));
  m.def(
      with,
      [=](Arg x, Arg labels, ArrayOrPhilox lambda, Given<M>... given) -> SupervisedGradientRecord {
        const auto options = options_of<SupRemixOptions>(with, setting(fields, given)...);
        const Rows a(with, "x", x);
        Output dx = like(a);
        return by_type(a.is_double(), [&]<class T>() -> SupervisedGradientRecord {
          const auto p = a.map<T>();
          LabelledOut<T> out{dx.map<T>()};
          with_remix_labels(with, labels.value, [&](const auto& y) {
            return with_remix_weights<T>(with, lambda.value, [&](auto& l) {
              return run([&] {
                core::Workspace workspace;
                sup_remix_with_gradient(p, y, l, options, workspace, out);
                return true;
              });
            });
          });
          return {record("SupervisedGradient", out.loss, dx.finish(), out.log_temperature,
                         out.skipped)};
        });
      },
      nb::arg("x"), nb::arg("labels"), nb::arg("lambda_"), nb::kw_only(), default_of(fields)...,
      doc("losses::sup_remix_with_gradient"));
}

// ---- Losses of logits ----

LabelMatrix label_matrix(const Numbers& labels) {
  const std::vector<Index> all = labels.indices();
  return Eigen::Map<const LabelMatrix>(all.data(), labels.rows(), labels.cols());
}

/// The gradients of a loss of logits and two labels a row.
template <class T, class Lambda = double>
struct LogitOut {
  Map<T> logits;
  Lambda lambda;
  double loss = 0;
};

/// A loss of logits, with two labels a row and with k. fields... is empty for mixup_cross_entropy.
template <class Value, class Gradient, class Value_k, class Gradient_k, class Options, class... M>
void bind_logit_loss(nb::module_& m, const char* name, const char* with, const char* name_k,
                     const char* with_k, Options, Value value, Gradient gradient, Value_k value_k,
                     Gradient_k gradient_k, Field<Options, M>... fields) {
  with_keywords(
      [&](const auto&... keywords) {
        m.def(
            name,
            [=](Arg logits, Arg a, Arg b, Arg lambda, Given<M>... given) -> double {
              const auto options = options_of<Options>(name, setting(fields, given)...);
              const Rows z(name, "logits", logits);
              const auto first = Numbers(name, "a", a).indices();
              const auto second = Numbers(name, "b", b).indices();
              const Numbers weights(name, "lambda_", lambda);
              return by_type(z.is_double(), [&]<class T>() {
                const auto p = z.map<T>();
                return with_weights<T>(weights, [&](const auto& l) {
                  return run([&] { return value(p, first, second, l, options); });
                });
              });
            },
            nb::arg("logits"), nb::arg("a"), nb::arg("b"), nb::arg("lambda_"), keywords...,
            doc(std::string("losses::") + name));
        m.def(
            with,
            [=](Arg logits, Arg a, Arg b, Arg lambda,
                Given<M>... given) -> MixedLabelGradientRecord {
              const auto options = options_of<Options>(with, setting(fields, given)...);
              const Rows z(with, "logits", logits);
              const auto first = Numbers(with, "a", a).indices();
              const auto second = Numbers(with, "b", b).indices();
              const Numbers weights(with, "lambda_", lambda);
              Output dz = like(z);
              return by_type(z.is_double(), [&]<class T>() -> MixedLabelGradientRecord {
                const auto p = z.map<T>();
                const auto call = [&](const auto& l, auto& out) {
                  run([&] {
                    core::Workspace workspace;
                    gradient(p, first, second, l, options, workspace, out);
                  });
                };
                if (weights.is_number()) {
                  LogitOut<T> out{dz.map<T>(), 0};
                  call(weights.number(), out);
                  return {record("MixedLabelGradient", out.loss, dz.finish(), out.lambda)};
                }
                const Vector<T> each = weights.vector<T>();
                Output dl = vector_of(z);
                LogitOut<T, Eigen::Map<Vector<T>>> out{dz.map<T>(), dl.column<T>()};
                call(each, out);
                return {record("MixedLabelGradient", out.loss, dz.finish(), dl.finish())};
              });
            },
            nb::arg("logits"), nb::arg("a"), nb::arg("b"), nb::arg("lambda_"), keywords...,
            doc(std::string("losses::") + with));
      },
      fields...);
  with_keywords(
      [&](const auto&... keywords) {
        m.def(
            name_k,
            [=](Arg logits, Arg labels, Arg weights, Given<M>... given) -> double {
              const auto options = options_of<Options>(name_k, setting(fields, given)...);
              const Rows z(name_k, "logits", logits), w(name_k, "weights", weights);
              expects_one_type(name_k, {&z, &w});
              const LabelMatrix c = label_matrix(Numbers(name_k, "labels", labels));
              return by_type(z.is_double(), [&]<class T>() {
                const auto p = z.map<T>(), q = w.map<T>();
                return run([&] { return value_k(p, c, q, options); });
              });
            },
            nb::arg("logits"), nb::arg("labels"), nb::arg("weights"), keywords...,
            doc(std::string("losses::") + name_k));
        m.def(
            with_k,
            [=](Arg logits, Arg labels, Arg weights, Given<M>... given) -> LogitGradientRecord {
              const auto options = options_of<Options>(with_k, setting(fields, given)...);
              const Rows z(with_k, "logits", logits), w(with_k, "weights", weights);
              expects_one_type(with_k, {&z, &w});
              const LabelMatrix c = label_matrix(Numbers(with_k, "labels", labels));
              Output dz = like(z);
              return by_type(z.is_double(), [&]<class T>() -> LogitGradientRecord {
                const auto p = z.map<T>(), q = w.map<T>();
                LogitOut<T> out{dz.map<T>(), 0};
                run([&] {
                  core::Workspace workspace;
                  gradient_k(p, c, q, options, workspace, out);
                });
                return {record("LogitGradient", out.loss, dz.finish())};
              });
            },
            nb::arg("logits"), nb::arg("labels"), nb::arg("weights"), keywords...,
            doc(std::string("losses::") + with_k));
      },
      fields...);
}

}  // namespace

void bind_losses_of_labels(nb::module_& m) {
  bind_enum<RemixWeighting>(m, "RemixWeighting", "Weight of a key by how far its label is.");
  bind_enum<RankSimilarity>(m, "RankSimilarity", "What rank_n_contrast compares rows by.");
  bind_enum<TripletMining>(m, "TripletMining", "Which triplets of the batch count.");
  bind_enum<TripletMargin>(m, "TripletMargin", "A hinge with a margin, or softplus without one.");
  bind_enum<TripletDistance>(m, "TripletDistance", "The distance of triplet, or its square.");
  bind_enum<DecoupledForm>(m, "DecoupledForm", "Cross entropy or its binary form.");
  nb::enum_<DecoupledWeighting> weighting(m, "DecoupledWeighting",
                                          "Weights of the decoupled regulariser.");
  weighting.value("constant", DecoupledWeighting::constant)
      .value("lambda_", DecoupledWeighting::lambda)
      .value("rescaled", DecoupledWeighting::rescaled);
  bind_enum<DecoupledDirection>(m, "DecoupledDirection", "Which of the mixed classes are kept.");

  const auto as_supervised = [](Array x, const auto& out) {
    return record("SupervisedGradient", out.loss, x, out.log_temperature, out.skipped);
  };
  const auto as_triplet = [](Array x, const auto& out) {
    return record("TripletGradient", out.loss, x, out.active, out.skipped);
  };
#define LABELLED_LOSS(NAME) \
#NAME, #NAME "_with_gradient",                                                       \
      [](const auto& x, const auto& y, const auto& o) { return NAME(x, y, o); },       \
      [](const auto& x, const auto& y, const auto& o, auto& workspace, auto& out) {    \
        NAME##_with_gradient(x, y, o, workspace, out);                                 \
      }
  bind_labelled_loss<SupConOptions, SupervisedGradientRecord>(
      m, LABELLED_LOSS(sup_con), as_supervised, FIELD(SupConOptions, temperature),
      FIELD(SupConOptions, label_tolerance), FIELD(SupConOptions, memory_budget));
  bind_labelled_loss<TripletOptions, TripletGradientRecord>(
      m, LABELLED_LOSS(triplet), as_triplet, FIELD(TripletOptions, margin),
      FIELD(TripletOptions, mining), FIELD(TripletOptions, distance),
      FIELD(TripletOptions, memory_budget), FIELD(TripletOptions, form));
  bind_triplet_of(m, FIELD(TripletOptions, margin), FIELD(TripletOptions, distance),
                  FIELD(TripletOptions, memory_budget), FIELD(TripletOptions, form));
  bind_label_distances(m);
  using Rank = RankNContrastOptions;
  bind_labelled_loss<Rank, SupervisedGradientRecord, true>(
      m, LABELLED_LOSS(rank_n_contrast), as_supervised, FIELD(Rank, temperature),
      FIELD(Rank, label_tolerance), FIELD(Rank, similarity), FIELD(Rank, memory_budget));
  using Remix = SupRemixOptions;
  bind_sup_remix(m, FIELD(Remix, temperature), FIELD(Remix, window), FIELD(Remix, label_tolerance),
                 FIELD(Remix, beta_a), FIELD(Remix, beta_b), FIELD(Remix, weighting),
                 FIELD(Remix, mix_negatives), FIELD(Remix, mix_positives), FIELD(Remix, detach),
                 FIELD(Remix, renormalise), FIELD(Remix, memory_budget));

  bind_logit_loss(
      m, "mixup_cross_entropy", "mixup_cross_entropy_with_gradient", "mixup_cross_entropy_k",
      "mixup_cross_entropy_k_with_gradient", NoOptions{},
      [](const auto& z, const auto& a, const auto& b, const auto& l, NoOptions) {
        return mixup_cross_entropy(z, a, b, l);
      },
      [](const auto& z, const auto& a, const auto& b, const auto& l, NoOptions, auto& workspace,
         auto& out) { mixup_cross_entropy_with_gradient(z, a, b, l, workspace, out); },
      [](const auto& z, const auto& c, const auto& w, NoOptions) {
        return mixup_cross_entropy_k(z, c, w);
      },
      [](const auto& z, const auto& c, const auto& w, NoOptions, auto& workspace, auto& out) {
        mixup_cross_entropy_k_with_gradient(z, c, w, workspace, out);
      });
  using Mixup = DecoupledMixupOptions;
  bind_logit_loss(
      m, "decoupled_mixup", "decoupled_mixup_with_gradient", "decoupled_mixup_k",
      "decoupled_mixup_k_with_gradient", Mixup{},
      [](const auto& z, const auto& a, const auto& b, const auto& l, const Mixup& o) {
        return decoupled_mixup(z, a, b, l, o);
      },
      [](const auto& z, const auto& a, const auto& b, const auto& l, const Mixup& o,
         auto& workspace,
         auto& out) { decoupled_mixup_with_gradient(z, a, b, l, o, workspace, out); },
      [](const auto& z, const auto& c, const auto& w, const Mixup& o) {
        return decoupled_mixup_k(z, c, w, o);
      },
      [](const auto& z, const auto& c, const auto& w, const Mixup& o, auto& workspace, auto& out) {
        decoupled_mixup_k_with_gradient(z, c, w, o, workspace, out);
      },
      FIELD(Mixup, weight), FIELD(Mixup, threshold), FIELD(Mixup, power), FIELD(Mixup, form),
      FIELD(Mixup, weighting), FIELD(Mixup, direction));
}

}  // namespace spheremix::python
