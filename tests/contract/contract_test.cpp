// Every public name as programs outside the project write it: this file is the promise that they go
// on compiling. Through the one header, in float and double, with every form of argument that the
// documentation names.
#include <doctest/doctest.h>

#include <cstdio>
#include <filesystem>
#include <spheremix/spheremix.hpp>
#include <type_traits>

namespace sm = spheremix;
using sm::RowMatrix;
using sm::Vector;

namespace {

template <class T>
RowMatrix<T> rows(int n, int d, std::uint64_t seed) {
  sm::core::Philox rng(seed);
  return sm::sphere::sample_uniform<T>(n, d, rng);
}

template <class A, class B>
constexpr bool is = std::is_same_v<A, B>;

}  // namespace

TEST_CASE_TEMPLATE("sphere", T, float, double) {
  const RowMatrix<T> u = rows<T>(4, 3, 1), v = rows<T>(4, 3, 2), g = rows<T>(4, 3, 3);
  const Vector<T> a = u.row(0), b = v.row(0), c = g.row(0), t = Vector<T>::Constant(4, T(0.25));

  CHECK(sm::sphere::normalize(a).size() == 3);
  RowMatrix<T> out = sm::sphere::normalize_rows(u);
  static_assert(is<decltype(sm::sphere::normalize_rows_vjp(u, g)), RowMatrix<T>>);
  out = sm::sphere::normalize_rows_vjp(u, g);
  CHECK(sm::sphere::geodesic_distance(a, b) > 0);
  CHECK(sm::sphere::geodesic_distance(a, b.transpose()) > 0);
  CHECK(sm::sphere::geodesic_distance(a.array().matrix(), b) > 0);
  CHECK(sm::sphere::geodesic_distance_rows(u, v).size() == 4);
  CHECK(sm::sphere::geodesic_distance_matrix(u, v).cols() == 4);
  const auto gd = sm::sphere::geodesic_distance_rows_vjp(u, v, t);
  CHECK(gd.u.rows() == gd.v.rows());
  CHECK(sm::sphere::tangent(a, c).size() == 3);
  CHECK(sm::sphere::slerp(a, b, T(0.5)).size() == 3);
  CHECK(sm::sphere::slerp(a, b, 0.5).size() == 3);
  CHECK(sm::sphere::slerp(u.row(0), b, 0.5).cols() ==
        3);  // the result takes the first argument's orientation
  const auto one = sm::sphere::slerp_vjp(a, b, 0.5, c);
  CHECK(one.u.size() + one.v.size() == 6);
  const T one_t = T(one.t);
  CHECK(std::isfinite(one_t));
  CHECK(sm::sphere::slerp_rows(u, v, 0.5).rows() == 4);
  CHECK(sm::sphere::slerp_rows(u, v, t).rows() == 4);
  CHECK(sm::sphere::slerp_rows(u, v, t.transpose()).rows() == 4);
  const auto each = sm::sphere::slerp_rows_vjp(u, v, t, g);
  CHECK(each.t.size() == 4);
  auto all = sm::sphere::slerp_rows_vjp(u, v, 0.5, g);
  const double all_t = all.t;
  CHECK(std::isfinite(all_t));
  CHECK(sm::sphere::exp_map(a, c).size() == 3);
  CHECK(sm::sphere::log_map(a, b).size() == 3);
  CHECK(sm::sphere::parallel_transport(a, b, c).size() == 3);
  const auto mean = sm::sphere::frechet_mean(u.topRows(2));
  CHECK(mean.mean.size() == 3);
  CHECK(mean.mean.cols() == 1);
  CHECK(mean.iterations >= 0);
  CHECK(mean.residual >= 0);
  CHECK(sm::sphere::frechet_mean(u.topRows(2), Vector<T>::Ones(2)).mean.size() == 3);
  sm::core::Philox rng(5);
  CHECK(sm::sphere::sample_uniform<T>(2, 3, rng).rows() == 2);
  CHECK(sm::sphere::sample_von_mises_fisher(a, 10.0, 5, rng).rows() == 5);

  // The same into the caller's memory.
  sm::sphere::normalize_rows(u, out);
  sm::sphere::normalize_rows_vjp(u, g, out);
  sm::sphere::slerp_rows(u, v, 0.5, out);
  sm::sphere::slerp_rows(u, v, t, out);
  sm::sphere::slerp_rows_vjp(u, v, 0.5, g, all);
  sm::sphere::geodesic_distance_matrix(u, v, out);
  CHECK(out.rows() == 4);
  std::vector<T> buffer(12);
  Eigen::Map<RowMatrix<T>> map(buffer.data(), 4, 3);
  sm::sphere::slerp_rows(u, v, 0.5, map);
  RowMatrix<T> in_place = u;
  sm::sphere::slerp_rows(in_place, v, 0.5, in_place);
  CHECK(in_place == RowMatrix<T>(map));
}

TEST_CASE_TEMPLATE("mixup", T, float, double) {
  const RowMatrix<T> x = rows<T>(4, 3, 1), y = rows<T>(4, 3, 2), g = rows<T>(4, 3, 3);
  sm::core::Philox rng(7);
  const Vector<T> lambda = sm::mixup::beta<T>(4, 0.5, 0.5, rng);
  const std::vector<Eigen::Index> flip = sm::mixup::flip_partners(4),
                                  any = sm::mixup::random_partners(4, rng),
                                  none = sm::mixup::derangement(4, rng);
  CHECK(flip.size() + any.size() + none.size() == 12);
  RowMatrix<T> out = sm::mixup::geodesic(x, y, lambda);
  out = sm::mixup::geodesic(x, y, 0.3);
  out = sm::mixup::linear(x, y, lambda);
  out = sm::mixup::linear(x, y, 0.3);
  auto a = sm::mixup::geodesic_vjp(x, y, 0.3, g);
  const auto b = sm::mixup::geodesic_vjp(x, y, lambda, g);
  const auto c = sm::mixup::linear_vjp(x, y, 0.3, g);
  const auto d = sm::mixup::linear_vjp(x, y, lambda, g);
  CHECK(b.lambda.size() == d.lambda.size());
  CHECK(std::isfinite(double(a.lambda) + double(c.lambda)));
  CHECK(a.x.rows() == a.y.rows());
  sm::mixup::geodesic(x, y, 0.3, out);
  sm::mixup::linear(x, y, lambda, out);
  sm::mixup::geodesic_vjp(x, y, 0.3, g, a);
}

TEST_CASE_TEMPLATE("metrics", T, float, double) {
  const RowMatrix<T> x = rows<T>(12, 3, 1), y = rows<T>(12, 3, 2);
  static_assert(is<decltype(sm::metrics::alignment(x, y)), double>);
  CHECK(sm::metrics::alignment(x, y, {.alpha = 2}) == sm::metrics::alignment(x, y));
  auto a = sm::metrics::alignment_with_gradient(x, y);
  CHECK(a.value + double(a.x.sum() + a.y.sum()) != 0);
  CHECK(sm::metrics::uniformity(x, {.t = 2}) == sm::metrics::uniformity(x));
  auto u = sm::metrics::uniformity_with_gradient(x);
  CHECK(u.x.rows() == 12);
  CHECK(u.value < 0);
  CHECK(sm::metrics::cross_uniformity(x, y, {.t = 2}) < 0);
  CHECK(sm::metrics::joint_uniformity(x, y, {.t = 2}) < 0);
  CHECK(std::isfinite(sm::metrics::relative_alignment(x, y)));
  static_assert(is<decltype(sm::metrics::modality_gap(x, y)), double>);
  CHECK(sm::metrics::modality_gap(x, y) > 0);
  CHECK(sm::metrics::modality_gap_vector(x, y).size() == 3);
  const auto r = sm::metrics::retrieval(x, y, {.k = {1, 5, 10}});
  CHECK(r.recall.size() == 3);
  CHECK(r.recall[2] >= r.recall[0]);
  CHECK(r.median_rank >= 1);
  CHECK(r.mrr > 0);
  CHECK(sm::metrics::retrieval(x, y).recall.size() == 3);
  const auto near = sm::metrics::nearest(x, y, {.k = 2});
  static_assert(std::is_same_v<std::decay_t<decltype(near.ids(0, 0))>, Eigen::Index>);
  static_assert(is<std::decay_t<decltype(near.cosines)>, sm::RowMatrix<T>>);
  CHECK((near.ids.rows() == x.rows() && near.ids.cols() == 2 && near.cosines.cols() == 2));
  sm::metrics::alignment_with_gradient(x, y, {}, a);
  sm::metrics::uniformity_with_gradient(x, {}, u);
}

TEST_CASE_TEMPLATE("losses", T, float, double) {
  const RowMatrix<T> x = rows<T>(6, 4, 1), y = rows<T>(6, 4, 2);
  const Vector<T> lambda = Vector<T>::Constant(6, T(0.3));
  namespace losses = sm::losses;
  sm::core::Workspace workspace;

  static_assert(is<decltype(losses::info_nce(x, y)), double>);
  CHECK(losses::info_nce(x, y, {.temperature = 0.07}) == losses::info_nce(x, y));
  CHECK(losses::clip(x, y, {.temperature = 0.07}) == losses::clip(x, y));
  auto clip = losses::clip_with_gradient(
      x, y, {.temperature = 0.07, .memory_budget = std::size_t(1) << 28});
  static_assert(is<decltype(clip.loss), double> && is<decltype(clip.log_temperature), double>);
  static_assert(is<decltype(clip.x), RowMatrix<T>> && is<decltype(clip.y), RowMatrix<T>>);
  losses::clip_with_gradient(x, y, {.temperature = 0.07}, workspace, clip);
  losses::info_nce_with_gradient(x, y, {.temperature = 0.07}, workspace, clip);
  auto [loss, gx, gy, log_temperature] = losses::info_nce_with_gradient(x, y);
  CHECK(loss == clip.loss);
  CHECK(gx == clip.x);
  CHECK(gy == clip.y);
  CHECK(log_temperature == clip.log_temperature);

  CHECK(losses::m2_mix(x, y, 0.3,
                       {.temperature = 0.07,
                        .reduction = losses::Reduction::sum,
                        .negatives = losses::Negatives::replace}) == losses::m2_mix(x, y, 0.3));
  CHECK(losses::m2_mix(
            x, y, lambda,
            {.reduction = losses::Reduction::mean, .negatives = losses::Negatives::append}) > 0);
  auto m2 = losses::m2_mix_with_gradient(x, y, 0.3);
  static_assert(is<decltype(m2.lambda), double>);
  losses::m2_mix_with_gradient(x, y, 0.3, {}, workspace, m2);
  auto m2_rows = losses::m2_mix_with_gradient(x, y, lambda);
  CHECK(m2_rows.lambda.size() == 6);
  losses::m2_mix_with_gradient(x, y, lambda, {}, workspace, m2_rows);
  CHECK(m2_rows.log_temperature != 0);

  CHECK(losses::clip_m2_mix(x, y, 0.3,
                            {.temperature = 0.01,
                             .mix_temperature = 0.07,
                             .weight = 1,
                             .reduction = losses::Reduction::sum,
                             .negatives = losses::Negatives::replace}) ==
        losses::clip_m2_mix(x, y, 0.3));
  auto both = losses::clip_m2_mix_with_gradient(x, y, 0.3);
  CHECK(both.log_temperature + both.log_mix_temperature + both.lambda + both.loss != 0);
  losses::clip_m2_mix_with_gradient(x, y, 0.3, {}, workspace, both);

  const std::vector<Eigen::Index> partners = sm::mixup::flip_partners(6);
  CHECK(losses::v_mix(x, y, 0.3, {.temperature = 0.01, .partners = partners}) ==
        losses::v_mix(x, y, 0.3));
  CHECK(losses::l_mix(x, y, lambda, {.temperature = 0.01, .partners = {}}) ==
        losses::l_mix(x, y, lambda));
  CHECK(losses::vl_mix(x, y, 0.3, {.temperature = 0.01, .targets = losses::VlTargets::identity}) ==
        losses::vl_mix(x, y, 0.3));
  auto v = losses::v_mix_with_gradient(x, y, 0.3);
  auto l = losses::l_mix_with_gradient(x, y, 0.3);
  auto vl = losses::vl_mix_with_gradient(x, y, 0.3, {.targets = losses::VlTargets::released});
  CHECK(v.loss + l.loss + vl.loss > 0);
  losses::v_mix_with_gradient(x, y, 0.3, {}, workspace, v);
  losses::l_mix_with_gradient(x, y, 0.3, {}, workspace, l);
  losses::vl_mix_with_gradient(x, y, 0.3, {}, workspace, vl);

  CHECK(losses::m3_mix(x, y, losses::MixLambdas{0.3, 0.4, 0.5, 0.6},
                       {.temperature = .01,
                        .mix_temperature = .07,
                        .weight_m2 = 1,
                        .weight_v = 1,
                        .weight_l = 1,
                        .weight_vl = 1,
                        .partners = partners}) ==
        losses::m3_mix(x, y, losses::MixLambdas<>{.m2 = 0.3, .v = 0.4, .l = 0.5, .vl = 0.6}));
  auto m3 = losses::m3_mix_with_gradient(x, y, losses::MixLambdas{0.3, 0.4, 0.5, 0.6});
  CHECK(m3.lambda.m2 + m3.lambda.v + m3.lambda.l + m3.lambda.vl != 0);
  losses::m3_mix_with_gradient(x, y, losses::MixLambdas{0.3, 0.4, 0.5, 0.6}, {}, workspace, m3);
  const auto m3_rows =
      losses::m3_mix_with_gradient(x, y, losses::MixLambdas{lambda, lambda, lambda, lambda});
  CHECK(m3_rows.lambda.vl.size() == 6);
  losses::MixLambdas late;
  late.m2 = 0.5;
  CHECK(losses::m3_mix(x, y, late) > 0);

  // Gradients straight into the caller's buffers.
  std::vector<T> bx(24), by(24);
  struct Mine {
    double loss;
    Eigen::Map<RowMatrix<T>> x, y;
    double log_temperature;
  } mine{0, {bx.data(), 6, 4}, {by.data(), 6, 4}, 0};
  losses::clip_with_gradient(x, y, {}, workspace, mine);
  CHECK(mine.x == losses::clip_with_gradient(x, y).x);
}

TEST_CASE_TEMPLATE("io", T, float, double) {
  const RowMatrix<T> x = rows<T>(5, 3, 1);
  const auto path = std::filesystem::temp_directory_path() /
                    ("spheremix_contract_" + std::to_string(sizeof(T)) + ".npy");
  sm::io::save_npy(path.string(), x);
  static_assert(is<decltype(sm::io::load_npy<T>(path.string())), RowMatrix<T>>);
  CHECK(sm::io::load_npy<T>(path.string()) == x);
  CHECK(sm::io::load_npy<T>(path) == x);
  {
    const sm::io::NpyFile file(path.string());
    CHECK(file.shape().size() == 2);
    CHECK(file.shape()[0] == 5);
    const RowMatrix<T> part = file.template rows<T>(1, 2);
    CHECK(part == x.middleRows(1, 2));
    (void)file.dtype();
  }
  std::filesystem::remove(path);
}
