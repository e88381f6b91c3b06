// Twenty functions of the library, each result printed to the last bit: the same program header-only and with
// spheremix::compiled (tests/scripts/compile_time.py).
#include <cstdio>
#include <spheremix/spheremix.hpp>

using namespace spheremix;

static void show(const char* name, double number) { std::printf("%s %a\n", name, number); }

int main() {
  core::Philox rng(1);
  const RowMatrix<float> x = sphere::sample_uniform<float>(70, 37, rng);
  const RowMatrix<float> other = sphere::sample_uniform<float>(70, 37, rng);
  const RowMatrix<float> y = mixup::linear(x, other, 0.7f);
  const Vector<double> label = Vector<double>::LinSpaced(70, 0, 69);
  show("normalize_rows", double(sphere::normalize_rows(y).sum()));
  show("normalize_rows_vjp", double(sphere::normalize_rows_vjp(y, x).sum()));
  show("geodesic_distance_rows", double(sphere::geodesic_distance_rows(x, other).sum()));
  show("geodesic_distance_matrix", double(sphere::geodesic_distance_matrix(x, other).sum()));
  show("slerp_rows", double(sphere::slerp_rows(x, other, 0.3f).sum()));
  show("slerp_rows_vjp", double(sphere::slerp_rows_vjp(x, other, 0.3f, y).u.sum()));
  show("frechet_mean", double(sphere::frechet_mean(x).mean.sum()));
  show("geodesic", double(mixup::geodesic(x, other, 0.3f).sum()));
  show("alignment_with_gradient", double(metrics::alignment_with_gradient(x, y).x.sum()));
  show("uniformity_with_gradient", double(metrics::uniformity_with_gradient(x).x.sum()));
  show("modality_gap", metrics::modality_gap(x, y));
  show("retrieval", metrics::retrieval(x, y).mrr);
  show("clip_with_gradient", double(losses::clip_with_gradient(x, y).x.sum()));
  show("info_nce_with_gradient", double(losses::info_nce_with_gradient(x, y).x.sum()));
  show("siglip_with_gradient", double(losses::siglip_with_gradient(x, y).x.sum()));
  show("nt_xent_with_gradient", double(losses::nt_xent_with_gradient(x, y).x.sum()));
  show("m2_mix_with_gradient", double(losses::m2_mix_with_gradient(x, other, 0.3f).x.sum()));
  show("clip_m2_mix_with_gradient",
       double(losses::clip_m2_mix_with_gradient(x, other, 0.3f).x.sum()));
  show("sup_con_with_gradient", double(losses::sup_con_with_gradient(x, label).x.sum()));
  show("vicreg_with_gradient", double(losses::vicreg_with_gradient(x, y).x.sum()));
}
