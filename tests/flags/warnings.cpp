// What a consumer with strict warnings instantiates of ours: the library included as source (no -isystem).
#include <spheremix/spheremix.hpp>

#include <cstdio>

using namespace spheremix;

template <class T>
double use() {
  core::Philox rng(1);
  const auto x = sphere::sample_uniform<T>(8, 4, rng), other = sphere::sample_uniform<T>(8, 4, rng);
  const Vector<T> lambda = mixup::beta<T>(8, 0.5, 0.5, rng);
  const auto y = mixup::geodesic(x, other, lambda);
  const Vector<double> label = Vector<double>::LinSpaced(8, 0, 7);
  double sum = losses::clip_with_gradient(x, y).loss + losses::info_nce(x, y) + losses::siglip(x, y);
  sum += losses::clip_m2_mix_with_gradient(x, y, lambda).loss + losses::sup_con_with_gradient(x, label).loss;
  sum += losses::nt_xent(x, y) + losses::hard_negative(x, y) + losses::cyclip(x, y);
  sum += losses::vicreg(x, y) + losses::decoupled_contrastive(x, y) + losses::align_uniform(x, y);
  sum += losses::m3_mix(x, y, losses::MixLambdas{0.5, 0.5, 0.5, 0.5});
  sum += metrics::uniformity_with_gradient(x).value + metrics::alignment(x, y) + metrics::modality_gap(x, y);
  sum += metrics::retrieval(x, y).mrr + metrics::effective_rank(x) + metrics::linear_cka(x, y);
  sum += double(sphere::slerp_rows_vjp(x, y, 0.5, x).t) + double(sphere::geodesic_distance_matrix(x, y)(0, 1));
  sum += double(sphere::frechet_mean(x).residual) + double(sphere::normalize_rows(x)(0, 0));
  return sum;
}

int main() { std::printf("%g\n", use<float>() + use<double>()); }
