// One step of each paper's loss on the bundled pairs, GPU against CPU: the losses and how far
// loss and gradients are apart.
//
//   papers_gpu [DATA_FOLDER [PAIRS]]
//
// The device takes f32 rows, by fp16 tensor cores (fast) and by f32 throughout (exact); the CPU
// library takes the same numbers in double. The first PAIRS (256) pairs as unit rows; augmented
// views are the rows plus noise of length .3, independent features are rows of noise, logits are
// the cosines of images and texts over the temperature, row i mixed of the classes i and
// PAIRS - 1 - i. SupCon and SupReMix take i / 4 as the label of pair i.
//
// Exit status: 0; 1 where a loss is off by more than 1e-4 (exact: 1e-5) of itself or a gradient by
// more than 5e-3 (exact: 1e-5) of its length; 77 where there is no GPU. No GPU has run this
// program yet (papers_gpu.cu says what was done instead).
#include "papers_gpu.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <spheremix/spheremix.hpp>
#include <stdexcept>

using namespace spheremix;
using Matrix = RowMatrix<float>;
using Wide = RowMatrix<double>;

namespace {

struct Expected {
  const char* name;
  const char* source;
  double loss;
  std::vector<Wide> gradients;
};

struct Pairs {
  Matrix x, y, x_view, y_view, x_independent, y_independent, logits;
  std::vector<Index> first, second, level;
  float lambda = 0.3f;

  Pairs(const std::string& folder, Index n) {
    const auto load = [&](const char* file) {
      const Matrix all = io::load_npy<float>(folder + "/" + file);
      if (n < 2 || n > all.rows()) throw std::runtime_error("there are not so many pairs");
      return sphere::normalize_rows(Matrix(all.topRows(n)));
    };
    x = load("image_feat_256_f16.npy");
    y = load("text_feat_256_f16.npy");
    core::Philox rng(1);
    const auto noise = [&] { return sphere::sample_uniform<float>(n, x.cols(), rng); };
    x_view = sphere::normalize_rows(Matrix(x + 0.3f * noise()));
    y_view = sphere::normalize_rows(Matrix(y + 0.3f * noise()));
    x_independent = sphere::normalize_rows(Matrix(x + 2.0f * noise()));
    y_independent = sphere::normalize_rows(Matrix(y + 2.0f * noise()));
    logits = x * y.transpose() / float(papers_gpu::kTemperature);
    for (Index i = 0; i < n; ++i)
      first.push_back(i), second.push_back(n - 1 - i), level.push_back(i / 4);
  }

  papers_gpu::Batch batch() const {
    return {x.rows(),
            x.cols(),
            x.data(),
            y.data(),
            x_view.data(),
            y_view.data(),
            x_independent.data(),
            y_independent.data(),
            logits.data(),
            first.data(),
            second.data(),
            level.data(),
            lambda};
  }
};

std::vector<Expected> on_cpu(const Pairs& p) {
  const Wide x = p.x.cast<double>(), y = p.y.cast<double>(), xa = p.x_view.cast<double>(),
             ya = p.y_view.cast<double>(), xi = p.x_independent.cast<double>(),
             yi = p.y_independent.cast<double>(), z = p.logits.cast<double>();
  const double tau = papers_gpu::kTemperature, mix = papers_gpu::kMixTemperature,
               weight = papers_gpu::kWeight, lambda = double(p.lambda);
  std::vector<Expected> all;
  const auto pair = [&](const char* name, const char* source, const auto& g) {
    all.push_back({name, source, g.loss, {g.x, g.y}});
  };
  pair("CLIP", "2103.00020", losses::clip_with_gradient(x, y, {.temperature = tau}));
  pair("SigLIP", "2303.15343", losses::siglip_with_gradient(x, y));
  pair("NT-Xent", "2002.05709", losses::nt_xent_with_gradient(x, y, {.temperature = tau}));
  pair("DCL", "2110.06848",
       losses::decoupled_contrastive_with_gradient(x, y, {.temperature = tau}));
  pair("HCL", "2010.04592", losses::hard_negative_with_gradient(x, y));
  pair("CyCLIP", "2205.14459", losses::cyclip_with_gradient(x, y, {.temperature = tau}));
  const auto alignment = metrics::alignment_with_gradient(x, y);
  all.push_back({"alignment", "2005.10242", alignment.value, {alignment.x, alignment.y}});
  const auto uniformity = metrics::uniformity_with_gradient(x);
  all.push_back({"uniformity", "2005.10242", uniformity.value, {uniformity.x}});
  pair("m2-Mix", "2203.03897", losses::m2_mix_with_gradient(x, y, lambda, {.temperature = mix}));
  pair("CLIP + m2-Mix", "2203.03897",
       losses::clip_m2_mix_with_gradient(
           x, y, lambda, {.temperature = tau, .mix_temperature = mix, .weight = weight}));
  pair("m3-Mix", "2203.03897",
       losses::m3_mix_with_gradient(
           x, y, losses::MixLambdas<double, double, double, double>{lambda, lambda, lambda, lambda},
           {.temperature = tau,
            .mix_temperature = mix,
            .weight_m2 = weight,
            .weight_v = weight,
            .weight_l = weight,
            .weight_vl = weight}));
  const auto logits = [&](const char* name, const char* source, const auto& g) {
    all.push_back({name, source, g.loss, {g.logits}});
  };
  logits("mixup CE", "1710.09412",
         losses::mixup_cross_entropy_with_gradient(z, p.first, p.second, lambda));
  logits("DM(CE)", "2203.10761",
         losses::decoupled_mixup_with_gradient(z, p.first, p.second, lambda));
  logits("DM(BCE)", "2203.10761",
         losses::decoupled_mixup_with_gradient(z, p.first, p.second, lambda,
                                               {.form = losses::DecoupledForm::binary}));
  Vector<double> level(x.rows());
  for (Index i = 0; i < x.rows(); ++i) level[i] = double(p.level[std::size_t(i)]);
  const auto sup_con = losses::sup_con_with_gradient(x, level);
  all.push_back({"SupCon", "2004.11362", sup_con.loss, {sup_con.x}});
  const auto remix =
      losses::sup_remix_with_gradient(x, level, lambda, {.window = papers_gpu::kWindow});
  all.push_back({"SupReMix", "2309.16633", remix.loss, {remix.x}});
  for (const auto keys : {losses::Denominator::printed, losses::Denominator::augmented}) {
    const auto g = losses::feature_separation_with_gradient(
        x, y, xi, yi, xa, ya, {.temperature = tau, .denominator = keys});
    all.push_back(
        {keys == losses::Denominator::printed ? "separation (printed)" : "separation (augmented)",
         "2303.05952",
         g.loss,
         {g.x, g.y, g.x_independent, g.y_independent, g.x_augmented, g.y_augmented}});
  }
  const auto bridge = losses::brownian_bridge_with_gradient(xa, x, y);
  all.push_back(
      {"Brownian bridge", "2303.05952", bridge.loss, {bridge.augmented, bridge.x, bridge.y}});
  pair("geometric consistency", "2303.05952", losses::geometric_consistency_with_gradient(x, y));
  const auto views = losses::augmented_geometric_consistency_with_gradient(x, y, xa, ya);
  all.push_back({"augmented consistency",
                 "2303.05952",
                 views.loss,
                 {views.x, views.y, views.x_augmented, views.y_augmented}});
  return all;
}

/// The largest |a - b| / |b| of the gradients.
double off(const std::vector<std::vector<float>>& got, const std::vector<Wide>& want) {
  double worst = got.size() == want.size() ? 0 : core::infinity<double>;
  for (std::size_t k = 0; k < std::min(got.size(), want.size()); ++k) {
    const Eigen::Map<const Matrix> g(got[k].data(), want[k].rows(), want[k].cols());
    const double error = (g.cast<double>() - want[k]).norm() / want[k].norm();
    if (!(error <= worst)) worst = error;  // NaN stays
  }
  return worst;
}

int compare(const std::string& folder, Index n) {
  const Pairs pairs(folder, n);
  const auto want = on_cpu(pairs);
  const auto fast = papers_gpu::on_device(pairs.batch(), false),
             exact = papers_gpu::on_device(pairs.batch(), true);
  if (fast.size() != want.size() || exact.size() != want.size())
    throw std::runtime_error("the two halves of this program hold different losses");
  std::printf("%td pairs                                           off the CPU by\n", n);
  std::printf(
      "loss                     arXiv           on the GPU   fast: loss  gradient   exact: loss  "
      "gradient\n");
  int wrong = 0;
  for (std::size_t k = 0; k < want.size(); ++k) {
    if (want[k].name != fast[k].name) throw std::runtime_error("the losses are out of order");
    const auto loss_off = [&](const papers_gpu::Answer& a) {
      return std::abs(a.loss - want[k].loss) / std::abs(want[k].loss);
    };
    const double errors[] = {loss_off(fast[k]), off(fast[k].gradients, want[k].gradients),
                             loss_off(exact[k]), off(exact[k].gradients, want[k].gradients)};
    const bool right =
        errors[0] <= 1e-4 && errors[1] <= 5e-3 && errors[2] <= 1e-5 && errors[3] <= 1e-5;
    wrong += !right;
    std::printf("%-24s %-10s %15.9f   %10.1e %9.1e   %11.1e %9.1e%s\n", want[k].name,
                want[k].source, fast[k].loss, errors[0], errors[1], errors[2], errors[3],
                right ? "" : "   TOO FAR");
  }
  return wrong > 0;
}

}  // namespace

int main(int argc, char** argv) try {
  if (const std::string why = papers_gpu::no_gpu(); !why.empty()) {
    std::printf("skipped: no GPU here (%s)\n", why.c_str());
    return 77;
  }
  return compare(argc > 1 ? argv[1] : SPHEREMIX_EXAMPLES_DIR "/data",
                 argc > 2 ? std::atoi(argv[2]) : 256);
} catch (const std::exception& error) {
  std::fprintf(stderr, "papers_gpu: %s\n", error.what());
  return 2;
}
