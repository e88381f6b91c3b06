// A trainer on LibTorch: its modules and AdamW, this library's CLIP as an autograd function.
//
//   libtorch_trainer [DATA_FOLDER [EPOCHS]]      tests/scripts/libtorch.sh compiles it
//
// Float tensors on the CPU are read where they lie. First, value and gradients are compared with
// torch's autograd of the same loss in double. Status 1: they differ, or the loss does not fall.
#include <torch/torch.h>

#include <cstdio>
#include <spheremix/io/npy.hpp>
#include <spheremix/losses/clip.hpp>
#include <spheremix/metrics/retrieval.hpp>

using namespace spheremix;
using torch::Tensor, torch::autograd::AutogradContext, torch::autograd::variable_list;
using torch::nn::functional::normalize;
using Rows = Eigen::Map<RowMatrix<float>>;

Rows rows(const Tensor& t) {  // the tensor's memory as a matrix
  TORCH_CHECK(t.device().is_cpu() && t.dim() == 2 && t.is_contiguous(), "rows on the CPU needed");
  return {t.data_ptr<float>(), t.size(0), t.size(1)};
}

struct Clip : torch::autograd::Function<Clip> {
  static Tensor forward(AutogradContext* ctx, Tensor x, Tensor y, Tensor log_tau) {
    x = x.contiguous(), y = y.contiguous();
    const Tensor dx = torch::empty_like(x), dy = torch::empty_like(y);
    losses::ContrastiveGradient<Rows> out{0, rows(dx), rows(dy), 0};
    core::Workspace workspace;
    const losses::ClipOptions options{.temperature = std::exp(log_tau.item<double>())};
    losses::clip_with_gradient(rows(x), rows(y), options, workspace, out);
    ctx->save_for_backward({dx, dy, torch::full_like(log_tau, out.log_temperature)});
    return torch::full({}, out.loss, x.options());
  }
  static variable_list backward(AutogradContext* ctx, variable_list up) {
    TORCH_CHECK(!torch::GradMode::is_enabled(), "Clip can be differentiated once");
    const variable_list d = ctx->get_saved_variables();
    return {d[0] * up[0], d[1] * up[0], d[2] * up[0]};
  }
};

// The largest difference from torch's autograd, gradients in parts of their largest number.
double difference() {
  const Tensor x = normalize(torch::randn({48, 200}).t()).requires_grad_();  // columns are strided
  const Tensor y = normalize(x + 0.1 * torch::randn({200, 48})).detach().requires_grad_();
  const Tensor log_tau = torch::full({}, std::log(0.05), torch::requires_grad());
  const auto wide = [](const Tensor& t) { return t.to(torch::kDouble); };
  const Tensor s = torch::mm(wide(x), wide(y).t()) / wide(log_tau).exp(), own = torch::arange(200);
  const auto entropy = [&](const Tensor& z) { return torch::cross_entropy_loss(z, own); };
  const Tensor theirs = (entropy(s) + entropy(s.t())) / 2, ours = Clip::apply(x, y, log_tau);
  const auto expected = torch::autograd::grad({3 * theirs}, {x, y, log_tau});
  const auto found = torch::autograd::grad({3 * ours}, {x, y, log_tau});
  Tensor worst = (ours - theirs).abs();
  for (std::size_t i = 0; i < expected.size(); ++i)
    worst = worst.maximum((found[i] - expected[i]).abs().max() / expected[i].abs().max());
  return worst.item<double>();
}

int main(int argc, char** argv) {
  torch::manual_seed(1);
  const double off = difference();
  std::printf("value and gradients: within %.1e of torch's autograd\n", off);
  if (!(off < 1e-5)) return 1;
  const std::string folder = argc > 1 ? argv[1] : "examples/data";
  auto images = io::load_npy<float>(folder + "/image_feat_256_f16.npy");
  auto texts = io::load_npy<float>(folder + "/text_feat_256_f16.npy");
  const Tensor u = torch::from_blob(images.data(), {images.rows(), images.cols()});
  const Tensor v = torch::from_blob(texts.data(), {texts.rows(), texts.cols()});
  torch::nn::Linear image(u.size(1), 256), text(v.size(1), 256);
  const Tensor log_tau = torch::full({}, std::log(0.07), torch::requires_grad());
  variable_list parameters{image->weight, image->bias, text->weight, text->bias, log_tau};
  torch::optim::AdamW optimizer(parameters, torch::optim::AdamWOptions(2e-3));
  Tensor x, y;
  const auto forward = [&](const Tensor& pairs) {
    x = normalize(image(u.index_select(0, pairs)));
    y = normalize(text(v.index_select(0, pairs)));
  };
  const std::vector<Tensor> fold = torch::randperm(u.size(0)).split({470, u.size(0) - 470});
  double first = 0, last = 0;
  for (int epoch = 1; epoch <= (argc > 2 ? std::atoi(argv[2]) : 20); ++epoch) {
    const auto batches = fold[1].index_select(0, torch::randperm(fold[1].size(0))).split(280);
    last = 0;
    for (const Tensor& batch : batches) {
      forward(batch);
      const Tensor loss = Clip::apply(x, y, log_tau);
      optimizer.zero_grad();
      loss.backward();
      optimizer.step();
      log_tau.data().clamp_min_(std::log(0.01));  // open_clip's bound: a scale of at most 100
      last += loss.item<double>() / double(batches.size());
    }
    if (epoch == 1) first = last;
    std::printf("epoch %2d  loss %.3f  tau %.3f\n", epoch, last, std::exp(log_tau.item<double>()));
  }
  forward(fold[0]);
  const auto found = metrics::retrieval(rows(x), rows(y), {.k = {1}});
  std::printf("R@1 of 470 held-out pairs: %.3f\n", found.recall[0]);
  return last < first ? 0 : 1;
}
