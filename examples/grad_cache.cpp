// GradCache: a batch of 4096 through two encoders, 64 inputs at a time, gives the gradients of the
// whole batch at once. Each encoder is Linear - ReLU - Linear - normalise; the chunked run holds
// the activations of 64 inputs where the plain one holds those of 4096.
#include "spheremix/losses/grad_cache.hpp"

#include <algorithm>
#include <cstdio>
#include <random>

#include "spheremix/losses/clip.hpp"
#include "spheremix/sphere/normalize.hpp"

using namespace spheremix;

namespace {

using Rows = RowMatrix<double>;

Rows gaussian(Index n, Index d, double scale, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<double> normal(0, scale);
  Rows x(n, d);
  for (Index i = 0; i < x.size(); ++i) x.data()[i] = normal(engine);
  return x;
}

/// Two layers and a normalisation, with the gradients of both matrices added up over calls.
struct Encoder {
  Rows first, second;
  Rows first_gradient = Rows::Zero(first.rows(), first.cols());
  Rows second_gradient = Rows::Zero(second.rows(), second.cols());
  Index largest_batch = 0;  ///< rows of activations held at a time

  Encoder(Index in, Index hidden, Index out, unsigned seed)
      : first(gaussian(in, hidden, 1 / std::sqrt(double(in)), seed)),
        second(gaussian(hidden, out, 1 / std::sqrt(double(hidden)), seed + 1)) {}

  Rows forward(const Rows& input) const {
    return sphere::normalize_rows((input * first).cwiseMax(0.0) * second);
  }
  void backward(const Rows& input, const Rows& gradient) {
    largest_batch = std::max<Index>(largest_batch, input.rows());
    const Rows hidden = (input * first).cwiseMax(0.0), out = hidden * second;
    const Rows g = sphere::normalize_rows_vjp(out, gradient);
    const Rows back = ((g * second.transpose()).array() * (hidden.array() > 0).cast<double>());
    second_gradient += hidden.transpose() * g;
    first_gradient += input.transpose() * back;
  }
};

}  // namespace

int main() {
  const Index n = 4096, chunk = 64, in = 96, hidden = 128, out = 64;
  const Rows images = gaussian(n, in, 1, 1), texts = images + gaussian(n, in, 0.5, 2);
  const auto loss = [](const Rows& x, const Rows& y) {
    return losses::clip_with_gradient(x, y, {.temperature = 0.07});
  };

  Encoder image(in, hidden, out, 10), text(in, hidden, out, 20);
  const auto cached = losses::grad_cache<double>(
      n, chunk, [&](Index i, Index k) { return image.forward(images.middleRows(i, k)); },
      [&](Index i, Index k) { return text.forward(texts.middleRows(i, k)); }, loss,
      [&](Index i, Index k, const Rows& g) { image.backward(images.middleRows(i, k), g); },
      [&](Index i, Index k, const Rows& g) { text.backward(texts.middleRows(i, k), g); });

  Encoder image_full(in, hidden, out, 10), text_full(in, hidden, out, 20);
  const auto full = loss(image_full.forward(images), text_full.forward(texts));
  image_full.backward(images, full.x);
  text_full.backward(texts, full.y);

  double difference = 0, size = 0;
  const auto compare = [&](const Rows& a, const Rows& b) {
    difference = std::max(difference, (a - b).cwiseAbs().maxCoeff());
    size = std::max(size, b.cwiseAbs().maxCoeff());
  };
  compare(image.first_gradient, image_full.first_gradient);
  compare(image.second_gradient, image_full.second_gradient);
  compare(text.first_gradient, text_full.first_gradient);
  compare(text.second_gradient, text_full.second_gradient);
  std::printf("batch %td in chunks of %td: loss %.12f, whole batch %.12f\n", n, image.largest_batch,
              cached.loss, full.loss);
  std::printf("largest difference of a parameter's gradient: %.2e (largest gradient %.2e)\n",
              difference, size);
  return difference <= 1e-12 * size ? 0 : 1;
}
