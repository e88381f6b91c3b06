// metrics.
#include <nanobind/stl/vector.h>

#include "options.hpp"
#include "spheremix/metrics/alignment.hpp"
#include "spheremix/metrics/average_precision.hpp"
#include "spheremix/metrics/calibration.hpp"
#include "spheremix/metrics/caption_retrieval.hpp"
#include "spheremix/metrics/cka.hpp"
#include "spheremix/metrics/contrastive_calibration.hpp"
#include "spheremix/metrics/distribution_gap.hpp"
#include "spheremix/metrics/embedding_arithmetic.hpp"
#include "spheremix/metrics/hardness.hpp"
#include "spheremix/metrics/hubness.hpp"
#include "spheremix/metrics/judged_retrieval.hpp"
#include "spheremix/metrics/modality_gap.hpp"
#include "spheremix/metrics/nearest.hpp"
#include "spheremix/metrics/relative_alignment.hpp"
#include "spheremix/metrics/retrieval.hpp"
#include "spheremix/metrics/spectrum.hpp"
#include "spheremix/metrics/uniformity.hpp"
#include "spheremix/metrics/zero_shot.hpp"

SPHEREMIX_RECORD(AlignmentGradient)
SPHEREMIX_RECORD(UniformityGradient)
SPHEREMIX_RECORD(ModalityGapGradient)
SPHEREMIX_RECORD(RetrievalResult)
SPHEREMIX_RECORD(RetrievalBothResult)
SPHEREMIX_RECORD(AveragePrecisionResult)
SPHEREMIX_RECORD(ContrastiveCalibrationResult)
SPHEREMIX_RECORD(EmbeddingArithmeticResult)
SPHEREMIX_RECORD(HubnessResult)
SPHEREMIX_RECORD(JudgedRetrievalResult)
SPHEREMIX_RECORD(NearestResult)

namespace spheremix::python {

using namespace metrics;

namespace {

/// body(x) on the rows, without Python's lock.
template <class Body>
auto of_rows(const Rows& x, const Body& body) {
  return by_type(x.is_double(), [&]<class T>() {
    const auto p = x.map<T>();
    return run([&] { return body(p); });
  });
}
template <class Body>
auto of_pairs(const char* function, const Rows& x, const Rows& y, const Body& body) {
  expects_one_type(function, {&x, &y});
  return by_type(x.is_double(), [&]<class T>() {
    const auto p = x.map<T>(), q = y.map<T>();
    return run([&] { return body(p, q); });
  });
}

/// A number of one batch.
template <class Options, class Body, class... M>
void bind_of_rows(nb::module_& m, const char* name, Options, Body body,
                  Field<Options, M>... fields) {
  const auto function = [=](Arg x, Given<M>... given) -> double {
    const auto options = options_of<Options>(name, setting(fields, given)...);
    return of_rows(Rows(name, "x", x), [&](const auto& p) { return body(p, options); });
  };
  with_keywords(
      [&](const auto&... keywords) {
        m.def(name, function, nb::arg("x"), keywords..., doc(std::string("metrics::") + name));
      },
      fields...);
}
/// A number of two.
template <class Options, class Body, class... M>
void bind_of_pairs(nb::module_& m, const char* name, Options, Body body,
                   Field<Options, M>... fields) {
  const auto function = [=](Arg x, Arg y, Given<M>... given) -> double {
    const auto options = options_of<Options>(name, setting(fields, given)...);
    const Rows a(name, "x", x), b(name, "y", y);
    return of_pairs(name, a, b, [&](const auto& p, const auto& q) { return body(p, q, options); });
  };
  with_keywords(
      [&](const auto&... keywords) {
        m.def(name, function, nb::arg("x"), nb::arg("y"), keywords...,
              doc(std::string("metrics::") + name));
      },
      fields...);
}

void bind_gradients(nb::module_& m) {
  m.def(
      "alignment_with_gradient",
      [](Arg x, Arg y, double alpha) -> AlignmentGradientRecord {
        constexpr auto* name = "alignment_with_gradient";
        const Rows a(name, "x", x), b(name, "y", y);
        expects_one_type(name, {&a, &b});
        Output dx = like(a), dy = like(b);
        return by_type(a.is_double(), [&]<class T>() -> AlignmentGradientRecord {
          AlignmentGradient<Map<T>> out{0, dx.map<T>(), dy.map<T>()};
          run([&] { alignment_with_gradient(a.map<T>(), b.map<T>(), {alpha}, out); });
          return {record("AlignmentGradient", out.value, dx.finish(), dy.finish())};
        });
      },
      nb::arg("x"), nb::arg("y"), nb::kw_only(), default_of(FIELD(AlignmentOptions, alpha)),
      doc("metrics::alignment_with_gradient"));
  m.def(
      "uniformity_with_gradient",
      [](Arg x, double t) -> UniformityGradientRecord {
        const Rows a("uniformity_with_gradient", "x", x);
        Output dx = like(a);
        return by_type(a.is_double(), [&]<class T>() -> UniformityGradientRecord {
          UniformityGradient<Map<T>> out{0, dx.map<T>()};
          run([&] { uniformity_with_gradient(a.map<T>(), {t}, out); });
          return {record("UniformityGradient", out.value, dx.finish())};
        });
      },
      nb::arg("x"), nb::kw_only(), default_of(FIELD(UniformityOptions, t)),
      doc("metrics::uniformity_with_gradient"));
  m.def(
      "modality_gap_with_gradient",
      [](Arg x, Arg y) -> ModalityGapGradientRecord {
        constexpr auto* name = "modality_gap_with_gradient";
        const Rows a(name, "x", x), b(name, "y", y);
        expects_one_type(name, {&a, &b});
        Output dx = like(a), dy = like(b);
        return by_type(a.is_double(), [&]<class T>() -> ModalityGapGradientRecord {
          ModalityGapGradient<Map<T>> out{0, dx.map<T>(), dy.map<T>()};
          run([&] { modality_gap_with_gradient(a.map<T>(), b.map<T>(), out); });
          return {record("ModalityGapGradient", out.value, dx.finish(), dy.finish())};
        });
      },
      nb::arg("x"), nb::arg("y"), doc("metrics::modality_gap_with_gradient"));
  m.def(
      "modality_gap_vector",
      [](Arg x, Arg y) {
        constexpr auto* name = "modality_gap_vector";
        const Rows a(name, "x", x), b(name, "y", y);
        expects_one_type(name, {&a, &b});
        Output out(a.kind(), a.is_double(), {std::size_t(a.cols())});
        by_type(a.is_double(), [&]<class T>() {
          auto to = out.column<T>();
          run([&] { modality_gap_vector(a.map<T>(), b.map<T>(), to); });
        });
        return out.finish();
      },
      nb::arg("x"), nb::arg("y"), doc("metrics::modality_gap_vector"));
}

nb::object as_record(const RetrievalResult& r) {
  return record("RetrievalResult", nb::cast(Floats{r.recall}), r.median_rank, r.mrr);
}
nb::object as_record(const std::vector<CalibrationBin>& bins) {
  nb::list all;
  for (const CalibrationBin& bin : bins)
    all.append(record("CalibrationBin", bin.count, bin.accuracy, bin.confidence));
  return all;
}

void bind_retrieval(nb::module_& m) {
  const auto k = FIELD(RetrievalOptions, k);
  m.def(
      "retrieval",
      [](Arg x, Arg y, IndexArg k) -> RetrievalResultRecord {
        constexpr auto* name = "retrieval";
        const RetrievalOptions options{index_list(name, "k", k.value)};
        const Rows a(name, "x", x), b(name, "y", y);
        return {as_record(of_pairs(
            name, a, b, [&](const auto& p, const auto& q) { return retrieval(p, q, options); }))};
      },
      nb::arg("x"), nb::arg("y"), nb::kw_only(), default_of(k), doc("metrics::retrieval"));
  m.def(
      "retrieval_both",
      [](Arg x, Arg y, IndexArg k) -> RetrievalBothResultRecord {
        constexpr auto* name = "retrieval_both";
        const RetrievalOptions options{index_list(name, "k", k.value)};
        const Rows a(name, "x", x), b(name, "y", y);
        const auto both = of_pairs(name, a, b, [&](const auto& p, const auto& q) {
          return retrieval_both(p, q, options);
        });
        return {record("RetrievalBothResult", as_record(both.x_to_y), as_record(both.y_to_x))};
      },
      nb::arg("x"), nb::arg("y"), nb::kw_only(), default_of(k), doc("metrics::retrieval_both"));
  m.def(
      "retrieval_ranks",
      [](Arg x, Arg y) {
        constexpr auto* name = "retrieval_ranks";
        const Rows a(name, "x", x), b(name, "y", y);
        return indices(a.kind(), of_pairs(name, a, b, [](const auto& p, const auto& q) {
                         return retrieval_ranks(p, q);
                       }));
      },
      nb::arg("x"), nb::arg("y"), doc("metrics::retrieval_ranks"));
  m.def(
      "caption_retrieval",
      [](Arg x, Arg y, Arg image_of, IndexArg k) -> RetrievalBothResultRecord {
        constexpr auto* name = "caption_retrieval";
        const RetrievalOptions options{index_list(name, "k", k.value)};
        const Rows a(name, "x", x), b(name, "y", y);
        const auto image = Numbers(name, "image_of", image_of).indices();
        const auto both = of_pairs(name, a, b, [&](const auto& p, const auto& q) {
          return caption_retrieval(p, q, image, options);
        });
        return {record("RetrievalBothResult", as_record(both.x_to_y), as_record(both.y_to_x))};
      },
      nb::arg("x"), nb::arg("y"), nb::arg("image_of"), nb::kw_only(), default_of(k),
      doc("metrics::caption_retrieval"));
  m.def(
      "mean_average_precision",
      [](Arg x, Arg y, Arg label_x, Arg label_y) -> AveragePrecisionResultRecord {
        constexpr auto* name = "mean_average_precision";
        const Rows a(name, "x", x), b(name, "y", y);
        const auto of_x = Numbers(name, "label_x", label_x).indices(),
                   of_y = Numbers(name, "label_y", label_y).indices();
        const auto r = of_pairs(name, a, b, [&](const auto& p, const auto& q) {
          return mean_average_precision(p, q, of_x, of_y);
        });
        return {record("AveragePrecisionResult", r.value, r.skipped)};
      },
      nb::arg("x"), nb::arg("y"), nb::arg("label_x"), nb::arg("label_y"),
      doc("metrics::mean_average_precision"));
  m.def(
      "mean_average_precision",
      [](Arg x, Arg labels) -> AveragePrecisionResultRecord {
        constexpr auto* name = "mean_average_precision";
        const auto all = Numbers(name, "labels", labels).indices();
        const auto r = of_rows(Rows(name, "x", x),
                               [&](const auto& p) { return mean_average_precision(p, all); });
        return {record("AveragePrecisionResult", r.value, r.skipped)};
      },
      nb::arg("x"), nb::arg("labels"));
  m.def(
      "judged_retrieval",
      [](Arg x, Arg y, nb::iterable judgements, Index k,
         double tie_width) -> JudgedRetrievalResultRecord {
        constexpr auto* name = "judged_retrieval";
        const Rows a(name, "x", x), b(name, "y", y);
        std::vector<Judgement> judged;
        for (const nb::handle each : judgements) {
          Judgement j;
          if (nb::hasattr(each, "query") && nb::hasattr(each, "grade")) {
            j = {nb::cast<Index>(each.attr("query")), nb::cast<Index>(each.attr("answer")),
                 nb::cast<double>(each.attr("grade"))};
          } else if (nb::isinstance<nb::sequence>(each) &&
                     (nb::len(each) == 2 || nb::len(each) == 3)) {
            j.query = nb::cast<Index>(each[0]), j.answer = nb::cast<Index>(each[1]);
            if (nb::len(each) == 3) j.grade = nb::cast<double>(each[2]);
          } else {
            type_error(name, "judgements are Judgement(query, answer, grade), or tuples like it");
          }
          judged.push_back(j);
        }
        const JudgedRetrievalOptions options{k, tie_width};
        const auto r = of_pairs(name, a, b, [&](const auto& p, const auto& q) {
          return judged_retrieval(p, q, judged, options);
        });
        return {record("JudgedRetrievalResult", r.ndcg, r.map, r.skipped,
                       indices(a.kind(), r.queries), reals(a.kind(), r.of_ndcg),
                       reals(a.kind(), r.of_map))};
      },
      nb::arg("x"), nb::arg("y"), nb::arg("judgements"), nb::kw_only(),
      default_of(FIELD(JudgedRetrievalOptions, k)),
      default_of(FIELD(JudgedRetrievalOptions, tie_width)), doc("metrics::judged_retrieval"));
}

void bind_calibration(nb::module_& m) {
  const auto bins = FIELD(CalibrationOptions, bins);
  m.def(
      "calibration_bins",
      [](Arg confidence, Arg correct, Index bins) {
        constexpr auto* name = "calibration_bins";
        const auto stated = Numbers(name, "confidence", confidence).vector<double>(),
                   right = Numbers(name, "correct", correct).vector<double>();
        return as_record(calibration_bins(stated, right, {bins}));
      },
      nb::arg("confidence"), nb::arg("correct"), nb::kw_only(), default_of(bins),
      doc("metrics::calibration_bins"));
  m.def(
      "expected_calibration_error",
      [](Arg confidence, Arg correct, Index bins) {
        constexpr auto* name = "expected_calibration_error";
        const auto stated = Numbers(name, "confidence", confidence).vector<double>(),
                   right = Numbers(name, "correct", correct).vector<double>();
        return expected_calibration_error(stated, right, {bins});
      },
      nb::arg("confidence"), nb::arg("correct"), nb::kw_only(), default_of(bins),
      doc("metrics::expected_calibration_error"));
  m.def(
      "expected_calibration_error",
      [](nb::list bins) {
        std::vector<CalibrationBin> all;
        for (const nb::handle bin : bins)
          all.push_back({nb::cast<Index>(bin.attr("count")), nb::cast<double>(bin.attr("accuracy")),
                         nb::cast<double>(bin.attr("confidence"))});
        return expected_calibration_error(all);
      },
      nb::arg("bins"));
  using Options = ContrastiveCalibrationOptions;
  m.def(
      "contrastive_calibration",
      [](Arg x, Arg y, double temperature, Index bins) -> ContrastiveCalibrationResultRecord {
        constexpr auto* name = "contrastive_calibration";
        const Rows a(name, "x", x), b(name, "y", y);
        const Options options{temperature, bins};
        const auto r = of_pairs(name, a, b, [&](const auto& p, const auto& q) {
          return contrastive_calibration(p, q, options);
        });
        return {record("ContrastiveCalibrationResult", r.x_to_y, r.y_to_x, as_record(r.x_to_y_bins),
                       as_record(r.y_to_x_bins))};
      },
      nb::arg("x"), nb::arg("y"), nb::kw_only(), default_of(FIELD(Options, temperature)),
      default_of(FIELD(Options, bins)), doc("metrics::contrastive_calibration"));
}

void bind_others(nb::module_& m) {
  m.def(
      "embedding_arithmetic",
      [](Arg images, Arg labels, Arg query, Arg source, Arg target, Arg wanted,
         double scale) -> EmbeddingArithmeticResultRecord {
        constexpr auto* name = "embedding_arithmetic";
        const Rows a(name, "images", images), b(name, "source", source), c(name, "target", target);
        expects_one_type(name, {&a, &b, &c});
        const auto of = Numbers(name, "labels", labels).indices(),
                   from = Numbers(name, "query", query).indices(),
                   want = Numbers(name, "wanted", wanted).indices();
        const auto r = by_type(a.is_double(), [&]<class T>() {
          const auto p = a.map<T>(), q = b.map<T>(), s = c.map<T>();
          return run([&] { return embedding_arithmetic(p, of, from, q, s, want, {scale}); });
        });
        return {record("EmbeddingArithmeticResult", r.accuracy, indices(a.kind(), r.nearest))};
      },
      nb::arg("images"), nb::arg("labels"), nb::arg("query"), nb::arg("source"), nb::arg("target"),
      nb::arg("wanted"), nb::kw_only(), default_of(FIELD(EmbeddingArithmeticOptions, scale)),
      doc("metrics::embedding_arithmetic"));
  m.def(
      "hardness",
      [](Arg x, Arg y, Arg mixed) {
        constexpr auto* name = "hardness";
        const Rows a(name, "x", x), b(name, "y", y);
        expects_one_type(name, {&a, &b});
        const Numbers given(name, "m", mixed);
        if (given.is_number()) {
          const double lambda = given.number();
          return of_pairs(name, a, b,
                          [&](const auto& p, const auto& q) { return hardness(p, q, lambda); });
        }
        const Rows c(name, "m", mixed);
        expects_one_type(name, {&a, &c});
        return by_type(a.is_double(), [&]<class T>() {
          const auto p = a.map<T>(), q = b.map<T>(), r = c.map<T>();
          return run([&] { return hardness(p, q, r); });
        });
      },
      nb::arg("x"), nb::arg("y"), nb::arg("m"), doc("metrics::hardness"));
  const auto k = FIELD(HubnessOptions, k);
  m.def(
      "hubness",
      [](Arg x, Arg y, Index k) -> HubnessResultRecord {
        constexpr auto* name = "hubness";
        const Rows a(name, "x", x);
        HubnessResult r;
        if (y.value.is_none()) {
          r = of_rows(a, [&](const auto& p) { return hubness(p, {k}); });
        } else {
          const Rows b(name, "y", y);
          r = of_pairs(name, a, b,
                       [&](const auto& p, const auto& q) { return hubness(p, q, {k}); });
        }
        return {record("HubnessResult", r.skewness, indices(a.kind(), r.occurrences))};
      },
      nb::arg("x"), nb::arg("y").none() = nb::none(), nb::kw_only(), default_of(k),
      doc("metrics::hubness"));
  m.def(
      "nearest",
      [](Arg x, Arg y, Index k) -> NearestResultRecord {
        constexpr auto* name = "nearest";
        const Rows a(name, "x", x);
        return by_type(a.is_double(), [&]<class T>() -> NearestResultRecord {
          const auto p = a.map<T>();
          NearestResult<RowMatrix<Index>, RowMatrix<T>> r;
          if (y.value.is_none()) {
            r = run([&] { return nearest(p, {k}); });
          } else {
            const Rows b(name, "y", y);
            expects_one_type(name, {&a, &b});
            const auto q = b.map<T>();
            r = run([&] { return nearest(p, q, {k}); });
          }
          return {record("NearestResult", index_matrix(a.kind(), r.ids),
                         matrix<T>(a.kind(), r.cosines))};
        });
      },
      nb::arg("x"), nb::arg("y").none() = nb::none(), nb::kw_only(),
      default_of(FIELD(NearestOptions, k)), doc("metrics::nearest"));
  m.def(
      "singular_values",
      [](Arg x, bool centred) {
        const Rows a("singular_values", "x", x);
        return reals(a.kind(),
                     of_rows(a, [&](const auto& p) { return singular_values(p, {centred}); }));
      },
      nb::arg("x"), nb::kw_only(), default_of(FIELD(SpectrumOptions, centred)),
      doc("metrics::singular_values"));
  m.def(
      "zero_shot_accuracy",
      [](Arg x, Arg prototypes, Arg labels, IndexArg k) -> Floats {
        constexpr auto* name = "zero_shot_accuracy";
        const ZeroShotOptions options{index_list(name, "k", k.value)};
        const Rows a(name, "x", x), b(name, "prototypes", prototypes);
        const auto of = Numbers(name, "labels", labels).indices();
        return {of_pairs(name, a, b, [&](const auto& p, const auto& q) {
          return zero_shot_accuracy(p, q, of, options);
        })};
      },
      nb::arg("x"), nb::arg("prototypes"), nb::arg("labels"), nb::kw_only(),
      default_of(FIELD(ZeroShotOptions, k)), doc("metrics::zero_shot_accuracy"));
  m.def(
      "class_prototypes",
      [](Arg prompts, Arg classes, Index count) {
        constexpr auto* name = "class_prototypes";
        const Rows a(name, "prompts", prompts);
        const auto of = Numbers(name, "classes", classes).indices();
        return by_type(a.is_double(), [&]<class T>() {
          const auto p = a.map<T>();
          const RowMatrix<T> all = run([&] { return class_prototypes(p, of, count); });
          return matrix<T>(a.kind(), all);
        });
      },
      nb::arg("prompts"), nb::arg("classes"), nb::arg("count"), doc("metrics::class_prototypes"));
}

}  // namespace

void bind_metrics(nb::module_& m) {
  bind_of_pairs(
      m, "alignment", AlignmentOptions{},
      [](const auto& x, const auto& y, const auto& o) { return alignment(x, y, o); },
      FIELD(AlignmentOptions, alpha));
  bind_of_rows(
      m, "uniformity", UniformityOptions{},
      [](const auto& x, const auto& o) { return uniformity(x, o); }, FIELD(UniformityOptions, t));
  bind_of_pairs(
      m, "cross_uniformity", UniformityOptions{},
      [](const auto& x, const auto& y, const auto& o) { return cross_uniformity(x, y, o); },
      FIELD(UniformityOptions, t));
  bind_of_pairs(
      m, "joint_uniformity", UniformityOptions{},
      [](const auto& x, const auto& y, const auto& o) { return joint_uniformity(x, y, o); },
      FIELD(UniformityOptions, t));
  bind_of_pairs(
      m, "distribution_gap", UniformityOptions{},
      [](const auto& x, const auto& y, const auto& o) { return distribution_gap(x, y, o); },
      FIELD(UniformityOptions, t));
  bind_of_pairs(m, "modality_gap", NoOptions{},
                [](const auto& x, const auto& y, NoOptions) { return modality_gap(x, y); });
  bind_of_pairs(m, "relative_alignment", NoOptions{},
                [](const auto& x, const auto& y, NoOptions) { return relative_alignment(x, y); });
  bind_of_pairs(m, "linear_cka", NoOptions{},
                [](const auto& x, const auto& y, NoOptions) { return linear_cka(x, y); });
  bind_of_rows(
      m, "effective_rank", EffectiveRankOptions{},
      [](const auto& x, const auto& o) { return effective_rank(x, o); },
      FIELD(EffectiveRankOptions, epsilon), FIELD(EffectiveRankOptions, centred));
  bind_of_rows(m, "isotropy", NoOptions{}, [](const auto& x, NoOptions) { return isotropy(x); });
  bind_of_rows(m, "anisotropy", NoOptions{},
               [](const auto& x, NoOptions) { return anisotropy(x); });
  bind_gradients(m);
  bind_retrieval(m);
  bind_calibration(m);
  bind_others(m);
}

}  // namespace spheremix::python
