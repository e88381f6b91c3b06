// A whole trainer on the library's gradients: two linear heads, CLIP + m2-Mix or SigLIP, a learned
// temperature, AdamW, no framework.
//
//   trainer [DATA_FOLDER [EPOCHS [clip | siglip]]]
//
// Forward    u = W x + b,  y = u / |u|      for each modality
// Backward   dY from the loss,  dU = normalize_rows_vjp(U, dY),  dW = dU^T X,  db = sum of dU's
// rows
// Learned    log_scale = ln(1 / tau), clamped to [0, ln 100] after each step as open_clip does, with
//            dL/d log_scale = -log_temperature; of SigLIP the bias, too, which starts where a pair of
//            the batch taken at random is a match as often as it is one: ln(1 / (N - 1))
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

// A learned number under Adam: no decay.
struct Scalar {
  double value, m = 0, v = 0;

  void adam(double gradient, double rate, int t) {
    m = 0.9 * m + 0.1 * gradient;
    v = 0.999 * v + 0.001 * gradient * gradient;
    value -= rate * m / (1 - std::pow(0.9, t)) / (std::sqrt(v / (1 - std::pow(0.999, t))) + 1e-8);
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

void train(const std::string& folder, int epochs, bool siglip) {
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
  losses::TwoTemperatureGradient<Matrix> mixed;
  losses::SiglipGradient<Matrix> pairs;
  Scalar log_scale{std::log(siglip ? 10 : 1 / 0.07)}, bias{-std::log(double(batch - 1))};
  int step = 0;
  for (int epoch = 0; epoch <= epochs; ++epoch) {
    double loss = 0;
    const std::vector<Index> shuffled = mixup::random_partners(Index(rest.size()), rng);
    for (Index b = 0; epoch > 0 && b < batches; ++b) {
      std::vector<Index> rows(shuffled.begin() + b * batch, shuffled.begin() + (b + 1) * batch);
      for (Index& row : rows) row = rest[std::size_t(row)];
      image.forward(images(rows, Eigen::all));
      text.forward(texts(rows, Eigen::all));
      const double tau = std::exp(-log_scale.value);
      if (siglip) {
        losses::siglip_with_gradient(image.y, text.y, {.temperature = tau, .bias = bias.value},
                                     workspace, pairs);
      } else {
        const double lambda = mixup::beta<double>(1, 0.5, 0.5, rng)[0];
        losses::clip_m2_mix_with_gradient(
            image.y, text.y, lambda,
            {.temperature = tau, .mix_temperature = 0.07, .reduction = losses::Reduction::mean},
            workspace, mixed);
      }
      loss += (siglip ? pairs.loss : mixed.loss) / double(batches);
      image.backward(siglip ? pairs.x : mixed.x);
      text.backward(siglip ? pairs.y : mixed.y);
      const double rate =
          1e-3 *
          (1 + std::cos(core::pi<double> * step / double(epochs * batches)));  // 2e-3 down to 0
      ++step;
      image.adamw(rate, step);
      text.adamw(rate, step);
      log_scale.adam(-(siglip ? pairs.log_temperature : mixed.log_temperature), rate, step);
      log_scale.value = losses::clamp_log_scale(log_scale.value).value;
      if (siglip) bias.adam(pairs.bias, rate, step);
    }
    if (epoch % 10 != 0 && epoch != epochs) continue;
    const Matrix &v = image.forward(held_images), &t = text.forward(held_texts);
    std::printf("epoch %2d  loss %s  R@1 %.3f  gap %.3f  scale %.2f", epoch,
                epoch > 0 ? std::to_string(loss).c_str() : "       -",
                metrics::retrieval(v, t, {.k = {1}}).recall[0], metrics::modality_gap(v, t),
                std::exp(log_scale.value));
    if (siglip) std::printf("  bias %.3f", bias.value);
    std::printf("\n");
    std::fflush(stdout);
  }
}

int main(int argc, char** argv) try {
  train(argc > 1 ? argv[1] : SPHEREMIX_EXAMPLES_DIR "/data",
        argc > 2 ? std::max(1, std::atoi(argv[2])) : 60,
        argc > 3 && std::string(argv[3]) == "siglip");
} catch (const std::exception& error) {
  std::fprintf(stderr, "trainer: %s\n", error.what());
  return 2;
}
