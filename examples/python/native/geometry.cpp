// core, sphere and mixup.
#include <nanobind/stl/vector.h>

#include "options.hpp"
#include "spheremix/mixup/barycentre.hpp"
#include "spheremix/mixup/beta.hpp"
#include "spheremix/mixup/dirichlet.hpp"
#include "spheremix/mixup/geodesic.hpp"
#include "spheremix/mixup/linear.hpp"
#include "spheremix/mixup/partners.hpp"
#include "spheremix/sphere/distance.hpp"
#include "spheremix/sphere/distance_matrix.hpp"
#include "spheremix/sphere/exp_log.hpp"
#include "spheremix/sphere/frechet_mean.hpp"
#include "spheremix/sphere/normalize.hpp"
#include "spheremix/sphere/sampling.hpp"
#include "spheremix/sphere/slerp.hpp"
#include "spheremix/sphere/slerp_rows.hpp"

SPHEREMIX_RECORD(DistanceGradient)
SPHEREMIX_RECORD(SlerpGradient)
SPHEREMIX_RECORD(FrechetMean)
SPHEREMIX_RECORD(MixupGradient)
SPHEREMIX_RECORD(BarycentreGradient)

namespace spheremix::python {

using sphere::ZeroPolicy;

template <>
struct EnumNames<ZeroPolicy> {
  static constexpr std::pair<const char*, ZeroPolicy> all[] = {{"error", ZeroPolicy::error},
                                                               {"zero", ZeroPolicy::zero}};
};

namespace {

template <class T>
using RowMap = Eigen::Map<Eigen::Matrix<T, 1, Eigen::Dynamic, Eigen::RowMajor>>;

/// A point shaped as the first one.
Output point_like(const Rows& x) { return Output(x.kind(), x.is_double(), x.shape()); }

constexpr auto kPoint = Rows::Rank::vector;

/// A function of points that gives a point: body(a, b, ..., out).
template <class Body, class... R>
Array point(const char* function, const Body& body, const Rows& first, const R&... others) {
  expects_one_type(function, {&first, &others...});
  Output out = point_like(first);
  by_type(first.is_double(), [&]<class T>() {
    auto to = out.row<T>();
    run([&] { body(first.map<T>().row(0), others.template map<T>().row(0)..., to); });
  });
  return out.finish();
}

using Zero = Choice<ZeroPolicy>;

void bind_normalize(nb::module_& m) {
  m.def(
      "normalize",
      [](Arg x, Zero zero) {
        const Rows a("normalize", "x", x, kPoint);
        const sphere::NormalizeOptions options{chosen<ZeroPolicy>("normalize", "zero", zero.value)};
        return point(
            "normalize", [&](const auto& p, auto& out) { sphere::normalize(p, options, out); }, a);
      },
      nb::arg("x"), nb::kw_only(), nb::arg("zero") = "error", doc("sphere::normalize"));
  m.def(
      "normalize_rows",
      [](Arg x, Zero zero) {
        constexpr auto* name = "normalize_rows";
        const Rows a(name, "x", x);
        const sphere::NormalizeOptions options{chosen<ZeroPolicy>(name, "zero", zero.value)};
        Output out = like(a);
        by_type(a.is_double(), [&]<class T>() {
          auto to = out.map<T>();
          run([&] { sphere::normalize_rows(a.map<T>(), options, to); });
        });
        return out.finish();
      },
      nb::arg("x"), nb::kw_only(), nb::arg("zero") = "error", doc("sphere::normalize_rows"));
  m.def(
      "normalize_rows_vjp",
      [](Arg x, Arg g, Zero zero) {
        constexpr auto* name = "normalize_rows_vjp";
        const Rows a(name, "x", x), b(name, "g", g);
        expects_one_type(name, {&a, &b});
        const sphere::NormalizeOptions options{chosen<ZeroPolicy>(name, "zero", zero.value)};
        Output out = like(a);
        by_type(a.is_double(), [&]<class T>() {
          auto to = out.map<T>();
          run([&] { sphere::normalize_rows_vjp(a.map<T>(), b.map<T>(), options, to); });
        });
        return out.finish();
      },
      nb::arg("x"), nb::arg("g"), nb::kw_only(), nb::arg("zero") = "error",
      doc("sphere::normalize_rows_vjp"));
}

void bind_distance(nb::module_& m) {
  m.def(
      "geodesic_distance",
      [](Arg u, Arg v) {
        constexpr auto* name = "geodesic_distance";
        const Rows a(name, "u", u, kPoint), b(name, "v", v, kPoint);
        expects_one_type(name, {&a, &b});
        return by_type(a.is_double(), [&]<class T>() {
          return run([&] { return double(sphere::geodesic_distance(a.map<T>(), b.map<T>())); });
        });
      },
      nb::arg("u"), nb::arg("v"), doc("sphere::geodesic_distance"));
  m.def(
      "geodesic_distance_rows",
      [](Arg u, Arg v) {
        constexpr auto* name = "geodesic_distance_rows";
        const Rows a(name, "u", u), b(name, "v", v);
        expects_one_type(name, {&a, &b});
        Output out = vector_of(a);
        by_type(a.is_double(), [&]<class T>() {
          auto to = out.column<T>();
          run([&] { sphere::geodesic_distance_rows(a.map<T>(), b.map<T>(), to); });
        });
        return out.finish();
      },
      nb::arg("u"), nb::arg("v"), doc("sphere::geodesic_distance_rows"));
  m.def(
      "geodesic_distance_matrix",
      [](Arg u, Arg v) {
        constexpr auto* name = "geodesic_distance_matrix";
        const Rows a(name, "u", u), b(name, "v", v);
        expects_one_type(name, {&a, &b});
        Output out(a.kind(), a.is_double(), a.rows(), b.rows());
        by_type(a.is_double(), [&]<class T>() {
          auto to = out.map<T>();
          run([&] { sphere::geodesic_distance_matrix(a.map<T>(), b.map<T>(), to); });
        });
        return out.finish();
      },
      nb::arg("u"), nb::arg("v"), doc("sphere::geodesic_distance_matrix"));
  m.def(
      "geodesic_distance_rows_vjp",
      [](Arg u, Arg v, Arg g) -> DistanceGradientRecord {
        constexpr auto* name = "geodesic_distance_rows_vjp";
        const Rows a(name, "u", u), b(name, "v", v);
        expects_one_type(name, {&a, &b});
        const Numbers c(name, "g", g);
        Output du = like(a), dv = like(b);
        by_type(a.is_double(), [&]<class T>() {
          sphere::DistanceGradient<Map<T>> out{du.map<T>(), dv.map<T>()};
          const Vector<T> each = c.vector<T>();
          run([&] { sphere::geodesic_distance_rows_vjp(a.map<T>(), b.map<T>(), each, out); });
        });
        return {record("DistanceGradient", du.finish(), dv.finish())};
      },
      nb::arg("u"), nb::arg("v"), nb::arg("g"), doc("sphere::geodesic_distance_rows_vjp"));
}

void bind_tangent_space(nb::module_& m) {
  m.def(
      "tangent",
      [](Arg x, Arg g) {
        const Rows p0("tangent", "x", x, kPoint), p1("tangent", "g", g, kPoint);
        return point(
            "tangent", [](const auto& p, const auto& q, auto& out) { sphere::tangent(p, q, out); },
            p0, p1);
      },
      nb::arg("x"), nb::arg("g"), doc("sphere::tangent"));
  m.def(
      "exp_map",
      [](Arg x, Arg v) {
        const Rows p0("exp_map", "x", x, kPoint), p1("exp_map", "v", v, kPoint);
        return point(
            "exp_map", [](const auto& p, const auto& q, auto& out) { sphere::exp_map(p, q, out); },
            p0, p1);
      },
      nb::arg("x"), nb::arg("v"), doc("sphere::exp_map"));
  m.def(
      "log_map",
      [](Arg x, Arg y) {
        const Rows p0("log_map", "x", x, kPoint), p1("log_map", "y", y, kPoint);
        return point(
            "log_map", [](const auto& p, const auto& q, auto& out) { sphere::log_map(p, q, out); },
            p0, p1);
      },
      nb::arg("x"), nb::arg("y"), doc("sphere::log_map"));
  m.def(
      "parallel_transport",
      [](Arg x, Arg y, Arg v) {
        constexpr auto* name = "parallel_transport";
        const Rows p0(name, "x", x, kPoint), p1(name, "y", y, kPoint), p2(name, "v", v, kPoint);
        return point(
            name,
            [](const auto& p, const auto& q, const auto& r, auto& out) {
              sphere::parallel_transport(p, q, r, out);
            },
            p0, p1, p2);
      },
      nb::arg("x"), nb::arg("y"), nb::arg("v"), doc("sphere::parallel_transport"));
}

void bind_mean(nb::module_& m) {
  const auto tolerance = field("tolerance", &sphere::FrechetMeanOptions::tolerance);
  const auto most = field("max_iterations", &sphere::FrechetMeanOptions::max_iterations);
  m.def(
      "frechet_mean",
      [](Arg x, Arg weights, double tolerance, int max_iterations) -> FrechetMeanRecord {
        constexpr auto* name = "frechet_mean";
        const Rows a(name, "x", x);
        const sphere::FrechetMeanOptions options{tolerance, max_iterations};
        Output mean(a.kind(), a.is_double(), {std::size_t(a.cols())});
        return by_type(a.is_double(), [&]<class T>() -> FrechetMeanRecord {
          sphere::FrechetMean<Eigen::Map<Vector<T>>> out{mean.column<T>()};
          if (weights.value.is_none()) {
            run([&] { sphere::frechet_mean(a.map<T>(), options, out); });
          } else {
            const Vector<double> each = Numbers(name, "weights", weights).vector<double>();
            run([&] { sphere::frechet_mean(a.map<T>(), each, options, out); });
          }
          return {record("FrechetMean", mean.finish(), out.iterations, out.residual)};
        });
      },
      nb::arg("x"), nb::arg("weights").none() = nb::none(), nb::kw_only(), default_of(tolerance),
      default_of(most), doc("sphere::frechet_mean"));
}

/// What a mixture of two batches is called: its folder, arguments and record.
struct MixingNames {
  const char *folder, *x, *y, *weight, *record;
};

/// Mixtures of rows, by a weight or one a row: mix(x, y, weight, out) and pull(x, y, weight, g, out), where out is a
/// Gradient of x, y and the weight.
template <class Record, template <class, class> class Gradient, class Mix, class Pull>
void bind_mixing(nb::module_& m, const char* name, const char* vjp, const MixingNames& names,
                 Mix mix, Pull pull) {
  m.def(
      name,
      [=](Arg x, Arg y, Arg weight) {
        const Rows a(name, names.x, x), b(name, names.y, y);
        expects_one_type(name, {&a, &b});
        const Numbers weights(name, names.weight, weight);
        Output out = like(a);
        by_type(a.is_double(), [&]<class T>() {
          auto to = out.map<T>();
          with_weights<T>(weights, [&](const auto& each) {
            run([&] { mix(a.map<T>(), b.map<T>(), each, to); });
          });
        });
        return out.finish();
      },
      nb::arg(names.x), nb::arg(names.y), nb::arg(names.weight),
      doc(std::string(names.folder) + "::" + name));
  m.def(
      vjp,
      [=](Arg x, Arg y, Arg weight, Arg g) -> Record {
        const Rows a(vjp, names.x, x), b(vjp, names.y, y), c(vjp, "g", g);
        expects_one_type(vjp, {&a, &b, &c});
        const Numbers weights(vjp, names.weight, weight);
        Output dx = like(a), dy = like(b);
        return by_type(a.is_double(), [&]<class T>() -> Record {
          if (weights.is_number()) {
            Gradient<Map<T>, double> out{dx.map<T>(), dy.map<T>(), 0};
            run([&] { pull(a.map<T>(), b.map<T>(), weights.number(), c.map<T>(), out); });
            const auto& [of_x, of_y, of_weight] = out;
            return {record(names.record, dx.finish(), dy.finish(), of_weight)};
          }
          Output dw = vector_of(a);
          const Vector<T> each = weights.vector<T>();
          Gradient<Map<T>, Eigen::Map<Vector<T>>> out{dx.map<T>(), dy.map<T>(), dw.column<T>()};
          run([&] { pull(a.map<T>(), b.map<T>(), each, c.map<T>(), out); });
          return {record(names.record, dx.finish(), dy.finish(), dw.finish())};
        });
      },
      nb::arg(names.x), nb::arg(names.y), nb::arg(names.weight), nb::arg("g"),
      doc(std::string(names.folder) + "::" + vjp));
}

/// The function of that name and its gradient, as bind_mixing takes them.
#define MIXING(FOLDER, NAME)                                                           \
  [](const auto& x, const auto& y, const auto& weight, auto& out) {                    \
    FOLDER::NAME(x, y, weight, out);                                                   \
  },                                                                                   \
      [](const auto& x, const auto& y, const auto& weight, const auto& g, auto& out) { \
        FOLDER::NAME##_vjp(x, y, weight, g, out);                                      \
      }

void bind_slerp(nb::module_& m) {
  m.def(
      "slerp",
      [](Arg u, Arg v, double t) {
        const Rows p0("slerp", "u", u, kPoint), p1("slerp", "v", v, kPoint);
        return point(
            "slerp", [t](const auto& p, const auto& q, auto& out) { sphere::slerp(p, q, t, out); },
            p0, p1);
      },
      nb::arg("u"), nb::arg("v"), nb::arg("t"), doc("sphere::slerp"));
  m.def(
      "slerp_vjp",
      [](Arg u, Arg v, double t, Arg g) -> SlerpGradientRecord {
        constexpr auto* name = "slerp_vjp";
        const Rows a(name, "u", u, kPoint), b(name, "v", v, kPoint), c(name, "g", g, kPoint);
        expects_one_type(name, {&a, &b, &c});
        Output du = point_like(a), dv = point_like(b);
        double dt = 0;
        by_type(a.is_double(), [&]<class T>() {
          sphere::SlerpGradient<RowMap<T>> out{du.row<T>(), dv.row<T>(), 0};
          run([&] { sphere::slerp_vjp(a.map<T>(), b.map<T>(), t, c.map<T>(), out); });
          dt = out.t;
        });
        return {record("SlerpGradient", du.finish(), dv.finish(), dt)};
      },
      nb::arg("u"), nb::arg("v"), nb::arg("t"), nb::arg("g"), doc("sphere::slerp_vjp"));
  bind_mixing<SlerpGradientRecord, sphere::SlerpGradient>(
      m, "slerp_rows", "slerp_rows_vjp", {"sphere", "u", "v", "t", "SlerpGradient"},
      MIXING(sphere, slerp_rows));
}

void bind_sampling(nb::module_& m) {
  m.def(
      "sample_uniform",
      [](Index n, Index d, core::Philox& rng, Array dtype) {
        constexpr auto* name = "sample_uniform";
        if (n < 0 || d < 1)  // before memory for n x d is asked for
          core::expects(false, name, "n is ", n, " and d is ", d, ", needs n >= 0 and d >= 1");
        Output out({}, is_double_type(name, dtype.value), n, d);
        drawn(rng, [&](core::Philox& mine) {
          by_type(is_double_type(name, dtype.value), [&]<class T>() {
            auto to = out.map<T>();
            run([&] { sphere::sample_uniform(n, d, mine, to); });
          });
        });
        return out.finish();
      },
      nb::arg("n"), nb::arg("d"), nb::arg("rng"), nb::kw_only(), nb::arg("dtype") = "float64",
      doc("sphere::sample_uniform"));
  m.def(
      "sample_von_mises_fisher",
      [](Arg mean, double kappa, Index n, core::Philox& rng) {
        constexpr auto* name = "sample_von_mises_fisher";
        const Rows mu(name, "mean", mean, kPoint);
        core::expects(n >= 0, name, "n is ", n, ", which must be at least 0");
        Output out(mu.kind(), mu.is_double(), n, mu.cols());
        drawn(rng, [&](core::Philox& mine) {
          by_type(mu.is_double(), [&]<class T>() {
            auto to = out.map<T>();
            run([&] { sphere::sample_von_mises_fisher(mu.map<T>(), kappa, n, mine, to); });
          });
        });
        return out.finish();
      },
      nb::arg("mean"), nb::arg("kappa"), nb::arg("n"), nb::arg("rng"),
      doc("sphere::sample_von_mises_fisher"));
}

// ---- mixup ----

mixup::Members members_of(const Numbers& given) {
  const std::vector<Index> all = given.indices();
  return Eigen::Map<const mixup::Members>(all.data(), given.rows(), given.cols());
}

void bind_barycentre(nb::module_& m) {
  m.def(
      "barycentre",
      [](Arg x, Arg members, Arg weights) {
        constexpr auto* name = "barycentre";
        const Rows a(name, "x", x), w(name, "weights", weights);
        expects_one_type(name, {&a, &w});
        const mixup::Members who = members_of(Numbers(name, "members", members));
        Output out(a.kind(), a.is_double(), who.rows(), a.cols());
        by_type(a.is_double(), [&]<class T>() {
          auto to = out.map<T>();
          run([&] { mixup::barycentre(a.map<T>(), who, w.map<T>(), to); });
        });
        return out.finish();
      },
      nb::arg("x"), nb::arg("members"), nb::arg("weights"), doc("mixup::barycentre"));
  m.def(
      "barycentre_vjp",
      [](Arg x, Arg members, Arg weights, Arg g) -> BarycentreGradientRecord {
        constexpr auto* name = "barycentre_vjp";
        const Rows a(name, "x", x), w(name, "weights", weights), c(name, "g", g);
        expects_one_type(name, {&a, &w, &c});
        const mixup::Members who = members_of(Numbers(name, "members", members));
        Output dx = like(a), dw(a.kind(), a.is_double(), who.rows(), who.cols());
        by_type(a.is_double(), [&]<class T>() {
          mixup::BarycentreGradient<Map<T>> out{dx.map<T>(), dw.map<T>()};
          run([&] { mixup::barycentre_vjp(a.map<T>(), who, w.map<T>(), c.map<T>(), out); });
        });
        return {record("BarycentreGradient", dx.finish(), dw.finish())};
      },
      nb::arg("x"), nb::arg("members"), nb::arg("weights"), nb::arg("g"),
      doc("mixup::barycentre_vjp"));
}

void bind_draws(nb::module_& m) {
  m.def(
      "beta",
      [](Index n, double a, double b, core::Philox& rng, Array dtype) {
        core::expects(n >= 0, "beta", "n is ", n);
        Output out({}, is_double_type("beta", dtype.value), {std::size_t(n)});
        drawn(rng, [&](core::Philox& mine) {
          by_type(is_double_type("beta", dtype.value), [&]<class T>() {
            auto to = out.column<T>();
            run([&] { mixup::beta(n, a, b, mine, to); });
          });
        });
        return out.finish();
      },
      nb::arg("n"), nb::arg("a"), nb::arg("b"), nb::arg("rng"), nb::kw_only(),
      nb::arg("dtype") = "float64", doc("mixup::beta"));
  m.def(
      "dirichlet",
      [](Index n, Index k, double alpha, core::Philox& rng, Array dtype) {
        return drawn(rng, [&](core::Philox& mine) {
          return by_type(is_double_type("dirichlet", dtype.value), [&]<class T>() {
            const auto all = run([&] { return mixup::dirichlet<T>(n, k, alpha, mine); });
            return matrix<T>({}, all);
          });
        });
      },
      nb::arg("n"), nb::arg("k"), nb::arg("alpha"), nb::arg("rng"), nb::kw_only(),
      nb::arg("dtype") = "float64", doc("mixup::dirichlet"));
  m.def(
      "flip_partners", [](Index n) { return indices({}, mixup::flip_partners(n)); }, nb::arg("n"),
      doc("mixup::flip_partners"));
  m.def(
      "random_partners",
      [](Index n, core::Philox& rng) {
        return drawn(rng, [&](core::Philox& mine) {
          return indices({}, run([&] { return mixup::random_partners(n, mine); }));
        });
      },
      nb::arg("n"), nb::arg("rng"), doc("mixup::random_partners"));
  m.def(
      "derangement",
      [](Index n, core::Philox& rng) {
        return drawn(rng, [&](core::Philox& mine) {
          return indices({}, run([&] { return mixup::derangement(n, mine); }));
        });
      },
      nb::arg("n"), nb::arg("rng"), doc("mixup::derangement"));
}

}  // namespace

void bind_core(nb::module_& m) {
  nb::class_<core::Philox>(m, "Philox", doc("core::Philox"))
      .def(nb::init<std::uint64_t, std::uint32_t>(), nb::arg("seed"), nb::arg("step") = 0)
      .def("seed", &core::Philox::seed, "The seed.")
      .def("step", &core::Philox::step, "The step that the next draw takes.")
      .def("take_step", &core::Philox::take_step,
           "The step to draw with now; the next call gets the next one.")
      .def("__repr__", [](const core::Philox& rng) {
        return "Philox(seed=" + std::to_string(rng.seed()) +
               ", step=" + std::to_string(rng.step()) + ")";
      });
}

void bind_sphere(nb::module_& m) {
  bind_enum<ZeroPolicy>(m, "ZeroPolicy", "What normalising a zero vector gives.");
  bind_normalize(m);
  bind_distance(m);
  bind_tangent_space(m);
  bind_mean(m);
  bind_slerp(m);
  bind_sampling(m);
}

void bind_mixup(nb::module_& m) {
  const MixingNames names{"mixup", "x", "y", "lambda_", "MixupGradient"};
  bind_mixing<MixupGradientRecord, mixup::MixGradient>(m, "geodesic", "geodesic_vjp", names,
                                                       MIXING(mixup, geodesic));
  bind_mixing<MixupGradientRecord, mixup::MixGradient>(m, "linear", "linear_vjp", names,
                                                       MIXING(mixup, linear));
  bind_barycentre(m);
  bind_draws(m);
}

}  // namespace spheremix::python
