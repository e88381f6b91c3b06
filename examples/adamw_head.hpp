// What trainer.cpp and trainer_siglip.cpp are made of: parameters under AdamW, a linear layer onto
// the sphere, and the bundled pairs in shuffled batches.
//
// Forward    u = W x + b,  y = u / |u|
// Backward   dU = normalize_rows_vjp(U, dY),  dW = dU^T X,  db = sum of dU's rows
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <spheremix/spheremix.hpp>
#include <string>
#include <vector>

using namespace spheremix;
using Matrix = RowMatrix<float>;

/// A parameter with its gradient and AdamW's moments.
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

/// A learned number under Adam: no decay.
struct Scalar {
  double value, m = 0, v = 0;

  void adam(double gradient, double rate, int t) {
    m = 0.9 * m + 0.1 * gradient;
    v = 0.999 * v + 0.001 * gradient * gradient;
    value -= rate * m / (1 - std::pow(0.9, t)) / (std::sqrt(v / (1 - std::pow(0.999, t))) + 1e-8);
  }
};

/// One linear layer onto the sphere.
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

/// Pairs of a picture's and its name's embedding: a quarter held out, the rest in shuffled batches.
struct Pairs {
  static constexpr Index kBatch = 256;
  Matrix images, texts, held_images, held_texts;
  std::vector<Index> rest, shuffled;

  Pairs(const std::string& folder, core::Philox& rng)
      : images(io::load_npy<float>(folder + "/image_feat_256_f16.npy")),
        texts(io::load_npy<float>(folder + "/text_feat_256_f16.npy")) {
    const std::vector<Index> order = mixup::random_partners(images.rows(), rng);  // a permutation
    const std::vector<Index> held(order.begin(), order.begin() + images.rows() / 4);
    rest.assign(order.begin() + images.rows() / 4, order.end());
    held_images = images(held, Eigen::all), held_texts = texts(held, Eigen::all);
  }
  Index batches() const { return Index(rest.size()) / kBatch; }
  void shuffle(core::Philox& rng) { shuffled = mixup::random_partners(Index(rest.size()), rng); }

  /// Both heads on batch b of the shuffled rows.
  void forward(Index b, Head& image, Head& text) const {
    std::vector<Index> rows(shuffled.begin() + b * kBatch, shuffled.begin() + (b + 1) * kBatch);
    for (Index& row : rows) row = rest[std::size_t(row)];
    image.forward(images(rows, Eigen::all));
    text.forward(texts(rows, Eigen::all));
  }
};

/// A rate that falls from 2e-3 to 0 along a cosine.
inline double cosine_rate(int step, double steps) {
  return 1e-3 * (1 + std::cos(core::pi<double> * step / steps));
}

/// One line: the epoch's loss, and what the heads do with the pairs that were held out.
inline void report(int epoch, double loss, const Pairs& pairs, Head& image, Head& text,
                   double log_scale) {
  const Matrix &v = image.forward(pairs.held_images), &t = text.forward(pairs.held_texts);
  std::printf("epoch %2d  loss %s  R@1 %.3f  gap %.3f  scale %.2f", epoch,
              epoch > 0 ? std::to_string(loss).c_str() : "       -",
              metrics::retrieval(v, t, {.k = {1}}).recall[0], metrics::modality_gap(v, t),
              std::exp(log_scale));
}
