// The twin of trainer.cpp with SigLIP: a sigmoid for every pair of the batch, temperature and bias
// learned.
//
//   trainer_siglip [DATA_FOLDER [EPOCHS]]
//
// Learned    log_scale = ln(1 / tau), as in trainer.cpp, and the bias. It starts where a pair taken
//            at random is a match as often as it is one in the batch: ln(1 / (N - 1))
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
  Scalar log_scale{std::log(10.)}, bias{-std::log(double(Pairs::kBatch - 1))};
  core::Workspace workspace;
  losses::SiglipGradient<Matrix> g;
  int step = 0;
  for (int epoch = 0; epoch <= epochs; ++epoch) {
    double loss = 0;
    pairs.shuffle(rng);
    for (Index b = 0; epoch > 0 && b < pairs.batches(); ++b) {
      pairs.forward(b, image, text);
      losses::siglip_with_gradient(image.y, text.y,
                                   {.temperature = std::exp(-log_scale.value), .bias = bias.value},
                                   workspace, g);
      loss += g.loss / double(pairs.batches());
      image.backward(g.x);
      text.backward(g.y);
      const double rate = cosine_rate(step++, double(epochs * pairs.batches()));
      image.adamw(rate, step);
      text.adamw(rate, step);
      log_scale.adam(-g.log_temperature, rate, step);
      log_scale.value = losses::clamp_log_scale(log_scale.value).value;
      bias.adam(g.bias, rate, step);
    }
    if (epoch % 10 != 0 && epoch != epochs) continue;
    report(epoch, loss, pairs, image, text, log_scale.value);
    std::printf("  bias %.3f\n", bias.value);
    std::fflush(stdout);
  }
}

int main(int argc, char** argv) try {
  train(argc > 1 ? argv[1] : SPHEREMIX_EXAMPLES_DIR "/data",
        argc > 2 ? std::max(1, std::atoi(argv[2])) : 60);
} catch (const std::exception& error) {
  std::fprintf(stderr, "trainer_siglip: %s\n", error.what());
  return 2;
}
