// Every function that spheremix::compiled holds, float and double, each result printed to the last bit (gradients as
// a hash of theirs): the same program header-only and linked with the library must print the same (same.cmake).
#include <cstdint>
#include <cstdio>
#include <spheremix/losses/clip_bf16.hpp>
#include <spheremix/losses/info_nce_bf16.hpp>
#include <spheremix/spheremix.hpp>
#include <vector>

using namespace spheremix;

/// FNV-1a of the numbers' bytes.
template <class M>
static std::uint64_t hash(const Eigen::PlainObjectBase<M>& x) {
  std::uint64_t h = 14695981039346656037u;
  const auto* bytes = reinterpret_cast<const unsigned char*>(x.derived().data());
  for (std::size_t k = 0; k < std::size_t(x.size()) * sizeof(typename M::Scalar); ++k)
    h = (h ^ bytes[k]) * 1099511628211u;
  return h;
}
template <class T>
static void show(const char* name, double number, std::uint64_t bits = 0) {
  std::printf("%s %zu %a %llx\n", name, sizeof(T), number, static_cast<unsigned long long>(bits));
}

template <class T>
static void losses_of_two(const RowMatrix<T>& x, const RowMatrix<T>& y) {
#define SHOW(NAME)                                     \
  {                                                    \
    const auto g = losses::NAME##_with_gradient(x, y); \
    show<T>(#NAME, g.loss, hash(g.x) ^ 3 * hash(g.y)); \
    show<T>(#NAME, losses::NAME(x, y));                \
  }
  SHOW(align_uniform)
  SHOW(barlow_twins)
  SHOW(clip)
  SHOW(cyclip)
  SHOW(decoupled_contrastive)
  SHOW(geometric_consistency)
  SHOW(hard_negative)
  SHOW(hn_nce)
  SHOW(info_nce)
  SHOW(nt_xent)
  SHOW(siglip)
  SHOW(vicreg)
  if constexpr (sizeof(T) == 4) {
    SHOW(clip_bf16)
    SHOW(info_nce_bf16)
  }
#undef SHOW
}

template <class T>
static void losses_that_mix(const RowMatrix<T>& x, const RowMatrix<T>& y) {
  Vector<T> lambda = Vector<T>::LinSpaced(x.rows(), 0, 1);
#define SHOW(NAME)                                                           \
  {                                                                          \
    const auto g = losses::NAME##_with_gradient(x, y, lambda);               \
    show<T>(#NAME, g.loss, hash(g.x) ^ 3 * hash(g.y) ^ 5 * hash(g.lambda));  \
    show<T>(#NAME, losses::NAME(x, y, lambda));                              \
    show<T>(#NAME, losses::NAME##_with_gradient(x, y, 0.3).loss, hash(g.x)); \
  }
  SHOW(clip_m2_mix)
  SHOW(l_mix)
  SHOW(m2_mix)
  SHOW(v_mix)
  SHOW(vl_mix)
#undef SHOW
  const auto m3 = losses::m3_mix_with_gradient(x, y, losses::MixLambdas{0.3, lambda, 0.2, 0.6});
  show<T>("m3_mix", m3.loss, hash(m3.x) ^ 3 * hash(m3.y) ^ 5 * hash(m3.lambda.v));
}

template <class T>
static void all() {
  core::Philox rng(1);
  const RowMatrix<T> x = sphere::sample_uniform<T>(70, 37, rng),
                     other = sphere::sample_uniform<T>(70, 37, rng);
  const RowMatrix<T> y = mixup::linear(x, other, 0.7);
  const Vector<T> t = Vector<T>::LinSpaced(70, 0, 1);
  const Vector<double> label = Vector<double>::LinSpaced(70, 0, 6).array().floor();
  show<T>("sample_uniform", 0, hash(x));
  show<T>("sample_von_mises_fisher", 0,
          hash(sphere::sample_von_mises_fisher(Vector<T>(x.row(0)), 20.0, 70, rng)));
  show<T>("linear", 0, hash(y));
  const auto linear = mixup::linear_vjp(x, other, t, y);
  show<T>("linear_vjp", 0, hash(linear.x) ^ 3 * hash(linear.y));
  show<T>("normalize_rows", 0, hash(sphere::normalize_rows(y)));
  show<T>("normalize_rows_vjp", 0, hash(sphere::normalize_rows_vjp(y, x)));
  show<T>("geodesic_distance_rows", 0, hash(sphere::geodesic_distance_rows(x, y)));
  const auto distance = sphere::geodesic_distance_rows_vjp(x, other, t);
  show<T>("geodesic_distance_rows_vjp", 0, hash(distance.u) ^ 3 * hash(distance.v));
  show<T>("geodesic_distance_matrix", 0, hash(sphere::geodesic_distance_matrix(x, y)));
  show<T>("slerp_rows", 0, hash(sphere::slerp_rows(x, other, t)));
  const auto slerp = sphere::slerp_rows_vjp(x, other, t, y);
  show<T>("slerp_rows_vjp", 0, hash(slerp.u) ^ 3 * hash(slerp.v));
  show<T>("frechet_mean", 0, hash(sphere::frechet_mean(x).mean));
  show<T>("alignment", metrics::alignment(x, y));
  const auto alignment = metrics::alignment_with_gradient(x, y);
  show<T>("alignment_with_gradient", alignment.value, hash(alignment.x));
  const auto uniformity = metrics::uniformity_with_gradient(x);
  show<T>("uniformity", uniformity.value, hash(uniformity.x));
  show<T>("cross_uniformity", metrics::cross_uniformity(x, y));
  show<T>("modality_gap", metrics::modality_gap(x, y), hash(metrics::modality_gap_vector(x, y)));
  show<T>("relative_alignment", metrics::relative_alignment(x, y));
  show<T>("retrieval", metrics::retrieval(x, y).mrr);
  show<T>("effective_rank", metrics::effective_rank(y));
  const auto nearest = metrics::nearest(x, y);
  show<T>("nearest", double(nearest.ids.sum()), hash(nearest.cosines) ^ 3 * hash(nearest.ids));
  losses_of_two(x, y);
  losses_that_mix(x, other);
  const auto sup_con = losses::sup_con_with_gradient(x, label);
  show<T>("sup_con", sup_con.loss, hash(sup_con.x));
  const auto rank = losses::rank_n_contrast_with_gradient(x, label);
  show<T>("rank_n_contrast", rank.loss, hash(rank.x));
  const auto by_table = losses::rank_n_contrast_with_gradient(
      x, losses::label_distances(
             RowMatrix<double>(label.replicate(1, 70).rowwise().sum() * label.transpose())));
  show<T>("rank_n_contrast by distances", by_table.loss, hash(by_table.x));
  const auto triplet = losses::triplet_with_gradient(x, label);
  show<T>("triplet", triplet.loss, hash(triplet.x));
  for (const bool renormalise : {false, true}) {
    const auto g = losses::sup_remix_with_gradient(x, label, 0.3, {.renormalise = renormalise});
    show<T>("sup_remix", g.loss, hash(g.x));
  }
  const auto apart = losses::feature_separation_with_gradient(x, y, other, x, y, other);
  show<T>("feature_separation", apart.loss, hash(apart.x) ^ 3 * hash(apart.y));
  const auto bridge = losses::brownian_bridge_with_gradient(y, x, other);
  show<T>("brownian_bridge", bridge.loss, hash(bridge.x));
}

int main() {
  all<float>();
  all<double>();
}
