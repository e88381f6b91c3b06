// From two float arrays to a trained head: the program of docs/tutorial.md.
#include <cmath>
#include <cstdio>
#include <spheremix/spheremix.hpp>
#include <vector>

using namespace spheremix;
using Matrix = RowMatrix<float>;

void report(const char* when, const Matrix& z, const Matrix& y) {
  std::printf("%s  R@1 %.2f  gap %.2f  alignment %.2f\n", when,
              metrics::retrieval(z, y, {.k = {1}}).recall[0], metrics::modality_gap(z, y),
              metrics::alignment(z, y));
}

int main() {
  // 1. Two arrays of floats, 1024 pictures and 1024 texts. Here they are made up: a text is its
  // picture, turned by an unknown matrix, and noise.
  const Index n = 1024, in = 32, out = 16;
  core::Philox rng(1);
  const Matrix made = sphere::sample_uniform<float>(n, in, rng);
  const Matrix turned = made * sphere::sample_uniform<float>(in, out, rng) +
                        0.8f * sphere::sample_uniform<float>(n, out, rng);
  const std::vector<float> pictures(made.data(), made.data() + made.size());
  const std::vector<float> texts(turned.data(), turned.data() + turned.size());

  // 2. The arrays as matrices, without a copy. The losses take rows of length 1.
  const Eigen::Map<const Matrix> x(pictures.data(), n, in), t(texts.data(), n, out);
  const Matrix y = sphere::normalize_rows(t);
  const Index half = n / 2;  // the first half to learn from, the other to judge by
  const Matrix x_train = x.topRows(half), y_train = y.topRows(half);

  // 3. A head: one matrix, its output brought to the sphere.
  Matrix w = sphere::sample_uniform<float>(in, out, rng);
  const auto head = [&](const auto& rows) { return sphere::normalize_rows(rows * w); };
  report("before", head(x.bottomRows(half)), y.bottomRows(half));

  // 4. The loss with its gradients: dL/dz, dL/dy, and dL/d ln(tau) for a temperature that is learned.
  double log_scale = std::log(1 / 0.1);  // ln(1 / tau), as CLIP learns it
  const auto g = losses::clip_with_gradient(head(x_train), y_train, {.temperature = 0.1});
  std::printf("loss %.2f, by chance %.2f\n", g.loss, std::log(double(half)));

  // 5. Back through the normalisation, then through the product: a step of descent.
  for (int step = 1; step <= 100; ++step) {
    const Matrix u = x_train * w, z = sphere::normalize_rows(u);
    const auto now =
        losses::clip_with_gradient(z, y_train, {.temperature = std::exp(-log_scale)});
    w -= 1.0f * x_train.transpose() * sphere::normalize_rows_vjp(u, now.x);
    log_scale += 0.03 * now.log_temperature;  // dL/d log_scale = -dL/d ln(tau)
    log_scale = losses::clamp_log_scale(log_scale).value;
    if (step % 25 == 0) std::printf("step %3d  loss %.2f\n", step, now.loss);
  }

  // 6. What came of it, on the half that was never seen.
  report("after ", head(x.bottomRows(half)), y.bottomRows(half));
  std::printf("tau %.2f\n", std::exp(-log_scale));
}
