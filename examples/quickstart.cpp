#include <cstdio>
#include <spheremix/spheremix.hpp>
using namespace spheremix;

int main() {
  core::Philox rng(1);
  const auto image = sphere::sample_uniform<double>(256, 64, rng);  // 256 unit rows
  const auto other = sphere::sample_uniform<double>(256, 64, rng);
  const auto text = mixup::geodesic(image, other, 0.3);  // 3/10 of the way from other to image
  const double lambda = mixup::beta<double>(1, 0.5, 0.5, rng)[0];
  const auto g = losses::clip_m2_mix_with_gradient(image, text, lambda, {.temperature = 0.05});
  const auto found = metrics::retrieval(image, text, {.k = {1}});
  std::printf("loss %.4f  |dL/dimage| %.4f  dL/dln(tau) %.4f\n", g.loss, g.x.norm(),
              g.log_temperature);
  std::printf("gap %.4f  alignment %.4f  R@1 %.3f\n", metrics::modality_gap(image, text),
              metrics::alignment(image, text), found.recall[0]);
}
