// A whole trainer on the library's gradients: two linear heads, CLIP + m2-Mix, a learned
// temperature, AdamW, no framework.
//
//   trainer [DATA_FOLDER [EPOCHS]]
//
// Learned    log_scale = ln(1 / tau), clamped to [0, ln 100] after each step as open_clip does, with
//            dL/d log_scale = -log_temperature
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <spheremix/spheremix.hpp>

#include "adamw_head.hpp"

void train(const char* folder, int epochs) {
  core::Philox rng(1);
  Pairs pairs(folder, rng);
  Head image(pairs.images.cols(), 256, rng), text(pairs.texts.cols(), 256, rng);
  Scalar log_scale{std::log(1 / 0.07)};
  core::Workspace workspace;
  losses::TwoTemperatureGradient<Matrix> g;
  int step = 0;
  for (int epoch = 0; epoch <= epochs; ++epoch) {
    double loss = 0;
    pairs.shuffle(rng);
    for (Index b = 0; epoch > 0 && b < pairs.batches(); ++b) {
      pairs.forward(b, image, text);
      const double lambda = mixup::beta<double>(1, 0.5, 0.5, rng)[0];
      losses::clip_m2_mix_with_gradient(image.y, text.y, lambda,
                                        {.temperature = std::exp(-log_scale.value),
                                         .mix_temperature = 0.07,
                                         .reduction = losses::Reduction::mean},
                                        workspace, g);
      loss += g.loss / double(pairs.batches());
      image.backward(g.x);
      text.backward(g.y);
      const double rate = cosine_rate(step++, double(epochs * pairs.batches()));
      image.adamw(rate, step);
      text.adamw(rate, step);
      log_scale.adam(-g.log_temperature, rate, step);
      log_scale.value = losses::clamp_log_scale(log_scale.value).value;
    }
    if (epoch % 10 != 0 && epoch != epochs) continue;
    report(epoch, loss, pairs, image, text, log_scale.value);
    std::printf("\n");
    std::fflush(stdout);
  }
}

int main(int argc, char** argv) try {
  train(argc > 1 ? argv[1] : SPHEREMIX_EXAMPLES_DIR "/data",
        argc > 2 ? std::max(1, std::atoi(argv[2])) : 60);
} catch (const std::exception& error) {
  std::fprintf(stderr, "trainer: %s\n", error.what());
  return 2;
}
