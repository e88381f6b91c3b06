// The trainer of trainer.cpp on a GPU, its temperatures fixed at .01 and .07: the same data, first
// weights, batches and lambdas, and the figures of such a run on the CPU to the rounding of f32 and,
// by default, of fp16 tensor cores.
//
//   training_gpu [DATA_FOLDER [EPOCHS [CHUNK [exact]]]]
//
// CHUNK (256, the batch): fewer means GradCache, activations of CHUNK rows at a time for the same
// gradient. exact: f32 throughout, no tensor cores.
//
// Checks itself: the first step by GradCache against the whole batch at once, three steps of AdamW
// against Eigen, and the last step of every epoch that is printed against the CPU library in double
// from the same heads. Exit status 1 where the loss is off by more than 1e-4 (exact: 1e-5) or a
// gradient by more than 5e-3 (exact: 2e-5) of its length; 77 where there is no GPU. The figures
// after many steps are not compared: a run amplifies rounding.
//
// No GPU has run this program yet (training_gpu.cu says what was done instead).
#include "training_gpu.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <spheremix/spheremix.hpp>

using namespace spheremix;
using Matrix = RowMatrix<float>;
using Wide = RowMatrix<double>;

namespace {

/// |a - b| / |b|.
double off(const Wide& a, const Wide& b) { return (a - b).norm() / b.norm(); }

/// The features with a column of ones.
Matrix with_ones(const Matrix& x) {
  Matrix out(x.rows(), x.cols() + 1);
  out << x, Matrix::Ones(x.rows(), 1);
  return out;
}

/// trainer.cpp's first weights and biases, weights transposed.
Matrix first_head(Index in, Index out, core::Philox& rng) {
  const float bound = 1 / std::sqrt(float(in));
  const auto draw = [&](Index rows, Index cols) {
    Matrix values(rows, cols);
    const auto step = rng.take_step();
    for (Index i = 0; i < values.size(); ++i)
      values.data()[i] = bound * (2 * rng.stream(step, std::uint64_t(i)).uniform<float>() - 1);
    return values;
  };
  Matrix head(in + 1, out);
  head.topRows(in) = draw(out, in).transpose();
  head.bottomRows(1) = draw(1, out);
  return head;
}

Matrix as_head(const std::vector<float>& values, Index in, Index out) {
  return Eigen::Map<const Matrix>(values.data(), in + 1, out);
}

/// A head under AdamW on the CPU, as trainer.cpp has it.
struct HostHead {
  Matrix value, m = Matrix::Zero(value.rows(), value.cols()), v = m;

  void adamw(const Matrix& gradient, double rate, int t) {
    m = 0.9f * m + 0.1f * gradient;
    v = 0.999f * v + 0.001f * gradient.cwiseAbs2();
    const auto first = float(rate / (1 - std::pow(0.9, t))),
               second = float(1 / (1 - std::pow(0.999, t)));
    value.array() -= float(rate) * 0.01f * value.array() +
                     first * m.array() / ((second * v.array()).sqrt() + 1e-8f);
  }
};

/// One step on the CPU in double.
struct Step {
  double loss;
  Wide gradient[2];

  Step(const Matrix& images, const Matrix& texts, const Matrix (&heads)[2], double lambda) {
    const Wide x[2] = {images.cast<double>(), texts.cast<double>()},
               u[2] = {x[0] * heads[0].cast<double>(), x[1] * heads[1].cast<double>()};
    const auto g = losses::clip_m2_mix_with_gradient(
        sphere::normalize_rows(u[0]), sphere::normalize_rows(u[1]), lambda,
        {.temperature = 0.01, .mix_temperature = 0.07, .reduction = losses::Reduction::mean});
    loss = g.loss;
    gradient[0] = x[0].transpose() * sphere::normalize_rows_vjp(u[0], g.x);
    gradient[1] = x[1].transpose() * sphere::normalize_rows_vjp(u[1], g.y);
  }
};

bool train(const std::string& folder, int epochs, Index chunk, bool exact) {
  const Matrix images = with_ones(io::load_npy<float>(folder + "/image_feat_256_f16.npy"));
  const Matrix texts = with_ones(io::load_npy<float>(folder + "/text_feat_256_f16.npy"));
  core::Philox rng(1);
  const std::vector<Index> order = mixup::random_partners(images.rows(), rng);
  const std::vector<Index> held(order.begin(), order.begin() + images.rows() / 4),
      rest(order.begin() + images.rows() / 4, order.end());
  const Index in = images.cols() - 1, out = 256, batch = 256, batches = Index(rest.size()) / batch;

  training_gpu::Trainer trainer({images.rows(), in, out, batch}, images.data(), texts.data(),
                                exact);
  HostHead host[2] = {{first_head(in, out, rng)}, {first_head(in, out, rng)}};
  for (const int side : {0, 1}) trainer.set_head(side, host[side].value.data());
  const auto gradient = [&](int side) {
    return as_head(trainer.gradient(side), in, out).cast<double>().eval();
  };
  const double most_loss = exact ? 1e-5 : 1e-4, most_gradient = exact ? 2e-5 : 5e-3;
  double worst_loss = 0, worst_gradient = 0, worst_cache = 0, worst_adamw = 0;
  int step = 0;
  for (int epoch = 0; epoch <= epochs; ++epoch) {
    const bool printed = epoch % 10 == 0 || epoch == epochs;
    const std::vector<Index> shuffled = mixup::random_partners(Index(rest.size()), rng);
    for (Index b = 0; epoch > 0 && b < batches; ++b) {
      std::vector<Index> rows(shuffled.begin() + b * batch, shuffled.begin() + (b + 1) * batch);
      for (Index& row : rows) row = rest[std::size_t(row)];
      const double lambda = mixup::beta<double>(1, 0.5, 0.5, rng)[0];
      if (step == 0) {  // GradCache gives the gradient of the whole batch
        trainer.backward(rows.data(), lambda, batch, 0);
        const Wide whole[2] = {gradient(0), gradient(1)};
        trainer.backward(rows.data(), lambda, 96, 0);
        for (const int side : {0, 1})
          worst_cache = std::max(worst_cache, off(gradient(side), whole[side]));
      }
      trainer.backward(rows.data(), lambda, chunk, int(b));
      if (printed && b + 1 == batches) {
        const Matrix heads[2] = {as_head(trainer.head(0), in, out),
                                 as_head(trainer.head(1), in, out)};
        const Step cpu(images(rows, Eigen::all), texts(rows, Eigen::all), heads, lambda);
        const double loss = trainer.losses(int(batches)).back();
        worst_loss = std::max(worst_loss, std::abs(loss - cpu.loss) / cpu.loss);
        for (const int side : {0, 1})
          worst_gradient = std::max(worst_gradient, off(gradient(side), cpu.gradient[side]));
      }
      const double rate = 1e-3 * (1 + std::cos(core::pi<double> * step / double(epochs * batches)));
      ++step;
      trainer.adamw(rate, step);
      for (const int side : {0, 1}) {  // AdamW alone, from the device's gradients
        if (step > 3) break;
        host[side].adamw(as_head(trainer.gradient(side), in, out), rate, step);
        worst_adamw = std::max(worst_adamw, off(as_head(trainer.head(side), in, out).cast<double>(),
                                                host[side].value.cast<double>()));
      }
    }
    if (!printed) continue;
    double loss = 0;
    for (const double l : trainer.losses(epoch > 0 ? int(batches) : 0)) loss += l / double(batches);
    const Index count = Index(held.size());
    const std::vector<float> v = trainer.embed(0, held.data(), count),
                             t = trainer.embed(1, held.data(), count);
    const Eigen::Map<const Matrix> image(v.data(), count, out), text(t.data(), count, out);
    std::printf("epoch %2d  loss %s  R@1 %.3f  gap %.3f\n", epoch,
                epoch > 0 ? std::to_string(loss).c_str() : "       -",
                metrics::retrieval(image, text, {.k = {1}}).recall[0],
                metrics::modality_gap(image, text));
    std::fflush(stdout);
  }
  std::printf("off the CPU's steps by at most: loss %.1e (allowed %.0e), gradient %.1e (%.0e)\n",
              worst_loss, most_loss, worst_gradient, most_gradient);
  std::printf("GradCache in chunks of 96 off the whole batch: gradient %.1e (allowed 1e-05)\n",
              worst_cache);
  std::printf("three steps of AdamW off the CPU's: %.1e (allowed 1e-06)\n", worst_adamw);
  return worst_loss <= most_loss && worst_gradient <= most_gradient && worst_cache <= 1e-5 &&
         worst_adamw <= 1e-6;
}

}  // namespace

int main(int argc, char** argv) try {
  if (const std::string why = training_gpu::no_gpu(); !why.empty()) {
    std::printf("skipped: no GPU here (%s)\n", why.c_str());
    return 77;
  }
  const bool right = train(argc > 1 ? argv[1] : SPHEREMIX_EXAMPLES_DIR "/data",
                           argc > 2 ? std::max(1, std::atoi(argv[2])) : 60,
                           argc > 3 ? std::max(1, std::atoi(argv[3])) : 256,
                           argc > 4 && std::string(argv[4]) == "exact");
  return right ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "training_gpu: %s\n", error.what());
  return 2;
}
