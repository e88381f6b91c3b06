// A whole trainer on the library's gradients: two linear heads, CLIP + m2-Mix, AdamW, no framework.
//
//   trainer [DATA_FOLDER [EPOCHS]]
//
// Forward    u = W x + b,  y = u / |u|      for each modality
// Backward   dY from the loss,  dU = normalize_rows_vjp(U, dY),  dW = dU^T X,  db = sum of dU's
// rows
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <spheremix/spheremix.hpp>
#include <string>
#include <vector>

using namespace spheremix;
using Matrix = RowMatrix<float>;

// A parameter with its gradient and AdamW's moments.
struct Parameter {
  Matrix value, gradient, m, v;

  Parameter(Index rows, Index cols, float bound, core::Philox& rng) : value(rows, cols) {
    const auto step = rng.take_step();
    for (Index i = 0; i < value.size(); ++i)
      value.data()[i] = bound * (2 * rng.stream(step, std::uint64_t(i)).uniform<float>() - 1);
    m = v = Matrix::Zero(rows, cols);
  }

  void adamw(double rate, int t, float decay = 0.01f) {  // t = 1, 2, ...
    m = 0.9f * m + 0.1f * gradient;
    v = 0.999f * v + 0.001f * gradient.cwiseAbs2();
    const auto first = float(rate / (1 - std::pow(0.9, t))),
               second = float(1 / (1 - std::pow(0.999, t)));
    value.array() -= float(rate) * decay * value.array() +
                     first * m.array() / ((second * v.array()).sqrt() + 1e-8f);
  }
};

// One linear layer onto the sphere.
struct Head {
  Parameter weight, bias;
  Matrix x, u, y;  // of the last forward()

  Head(Index in, Index out, core::Philox& rng)
      : weight(out, in, 1 / std::sqrt(float(in)), rng),
        bias(1, out, 1 / std::sqrt(float(in)), rng) {}

  const Matrix& forward(const Matrix& input) {
    x = input;
    u = (x * weight.value.transpose()).rowwise() + bias.value.row(0);
    sphere::normalize_rows(u, y);
    return y;
  }

  void backward(const Matrix& dy) {
    const Matrix du = sphere::normalize_rows_vjp(u, dy);
    weight.gradient = du.transpose() * x;
    bias.gradient = du.colwise().sum();
  }

  void adamw(double rate, int t) {
    weight.adamw(rate, t);
    bias.adamw(rate, t);
  }
};

void train(const std::string& folder, int epochs) {
  const Matrix images = io::load_npy<float>(folder + "/image_feat_256_f16.npy");
  const Matrix texts = io::load_npy<float>(folder + "/text_feat_256_f16.npy");
  core::Philox rng(1);
  const std::vector<Index> order =
      mixup::random_partners(images.rows(), rng);  // a random permutation
  const std::vector<Index> held(order.begin(), order.begin() + images.rows() / 4),
      rest(order.begin() + images.rows() / 4, order.end());
  const Matrix held_images = images(held, Eigen::all), held_texts = texts(held, Eigen::all);

  Head image(images.cols(), 256, rng), text(texts.cols(), 256, rng);
  const Index batch = 256, batches = Index(rest.size()) / batch;
  core::Workspace workspace;
  losses::TwoTemperatureGradient<Matrix> g;
  int step = 0;
  for (int epoch = 0; epoch <= epochs; ++epoch) {
    double loss = 0;
    const std::vector<Index> shuffled = mixup::random_partners(Index(rest.size()), rng);
    for (Index b = 0; epoch > 0 && b < batches; ++b) {
      std::vector<Index> rows(shuffled.begin() + b * batch, shuffled.begin() + (b + 1) * batch);
      for (Index& row : rows) row = rest[std::size_t(row)];
      image.forward(images(rows, Eigen::all));
      text.forward(texts(rows, Eigen::all));
      const double lambda = mixup::beta<double>(1, 0.5, 0.5, rng)[0];
      losses::clip_m2_mix_with_gradient(
          image.y, text.y, lambda,
          {.temperature = 0.01, .mix_temperature = 0.07, .reduction = losses::Reduction::mean},
          workspace, g);
      loss += g.loss / double(batches);
      image.backward(g.x);
      text.backward(g.y);
      const double rate =
          1e-3 *
          (1 + std::cos(core::pi<double> * step / double(epochs * batches)));  // 2e-3 down to 0
      ++step;
      image.adamw(rate, step);
      text.adamw(rate, step);
    }
    if (epoch % 10 != 0 && epoch != epochs) continue;
    const Matrix &v = image.forward(held_images), &t = text.forward(held_texts);
    std::printf("epoch %2d  loss %s  R@1 %.3f  gap %.3f\n", epoch,
                epoch > 0 ? std::to_string(loss).c_str() : "       -",
                metrics::retrieval(v, t, {.k = {1}}).recall[0], metrics::modality_gap(v, t));
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
