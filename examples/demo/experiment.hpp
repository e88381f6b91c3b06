// One run: a random split, two heads trained on it under one loss, the held-out pairs measured on
// the way.
//
// Everything random follows from (seed, split) alone, so the losses are compared on the same
// splits, the same first weights and the same batches, whatever the number of threads.
#pragma once

#include <functional>
#include <vector>

#include "adamw.hpp"
#include "measure.hpp"
#include "pairs.hpp"
#include "spheremix/losses/clip.hpp"
#include "spheremix/losses/clip_m2_mix.hpp"
#include "spheremix/losses/m3_mix.hpp"
#include "spheremix/mixup/beta.hpp"
#include "spheremix/mixup/partners.hpp"

namespace demo {

struct Plan {
  int splits = 8, epochs = 60, batch = 256, curve_every = 3;
  double rate = 2e-3, weight_decay = 0.01;
  double beta = 0.5;  ///< lambda ~ Beta(beta, beta), one a batch
  double mix_temperature =
      0.07;              ///< tau2: of m2, of the one in m3, and of the control's second CLIP
  double m3_weight = 1;  ///< of V-Mix, L-Mix and VL-Mix beside m2 in m3
  std::uint64_t seed = 1;
  std::vector<double> temperatures{0.01, 0.02, 0.05};
};

enum class Loss { before, clip, m2, m3, control };

struct LossName {
  Loss loss;
  const char *key, *name;
};

inline constexpr std::array<LossName, 5> losses{
    {{Loss::before, "before", "before"},
     {Loss::clip, "clip", "CLIP"},
     {Loss::m2, "m2", "CLIP + m2-Mix"},
     {Loss::m3, "m3", "CLIP + m3-Mix"},
     {Loss::control, "control", "control: CLIP + CLIP(τ₂)"}}};

/// The loss to be lowered and its gradients, batch after batch.
class Objective {
 public:
  Objective(Loss loss, double temperature, const Plan& plan, std::uint64_t seed)
      : loss_(loss), temperature_(temperature), plan_(plan), rng_(seed) {}

  /// Sets dv and dt for unit rows v and t.
  void gradient(const Rows& v, const Rows& t, Rows& dv, Rows& dt) {
    namespace l = spheremix::losses;
    if (loss_ == Loss::m2) {
      l::clip_m2_mix_with_gradient(v, t, draw(),
                                   {.temperature = temperature_,
                                    .mix_temperature = plan_.mix_temperature,
                                    .reduction = l::Reduction::mean},
                                   workspace_, m2_);
      dv = m2_.x;
      dt = m2_.y;
      return;
    }
    l::clip_with_gradient(v, t, {.temperature = temperature_}, workspace_, clip_);
    dv = clip_.x;
    dt = clip_.y;
    if (loss_ == Loss::m3) {
      const double m2 = draw(), image = draw(), text = draw(), both = draw();
      l::m3_mix_with_gradient(
          v, t, l::MixLambdas{m2, image, text, both},
          {.temperature = temperature_,
           .mix_temperature = plan_.mix_temperature,
           .weight_m2 = 0.5,  // of the sum over both directions: the half-sum, as above
           .weight_v = plan_.m3_weight,
           .weight_l = plan_.m3_weight,
           .weight_vl = plan_.m3_weight},
          workspace_, m3_);
      dv += m3_.x;
      dt += m3_.y;
    } else if (loss_ == Loss::control) {
      l::clip_with_gradient(v, t, {.temperature = plan_.mix_temperature}, workspace_, clip_);
      dv += clip_.x;
      dt += clip_.y;
    }
  }

 private:
  double draw() { return spheremix::mixup::beta<double>(1, plan_.beta, plan_.beta, rng_)[0]; }

  Loss loss_;
  double temperature_;
  const Plan& plan_;
  spheremix::core::Philox rng_;
  spheremix::core::Workspace workspace_;
  spheremix::losses::ContrastiveGradient<Rows> clip_;
  spheremix::losses::TwoTemperatureGradient<Rows> m2_;
  spheremix::losses::TwoTemperatureGradient<Rows, spheremix::losses::MixLambdas<>> m3_;
};

/// Rows of the pairs, shuffled for one split: the first quarter is held out.
struct Split {
  std::vector<Index> held_out, train;
};

inline Split make_split(Index pairs, spheremix::core::Philox& rng) {
  const std::vector<Index> order = spheremix::mixup::random_partners(pairs, rng);
  const auto middle = order.begin() + pairs / 4;
  return {{order.begin(), middle}, {middle, order.end()}};
}

struct Run {
  Scores scores;              ///< at the end
  std::vector<Glance> curve;  ///< at curve_epochs(plan)
  Rows image, text;           ///< held-out embeddings at the end
  std::vector<Index> held_out;
};

inline std::vector<int> curve_epochs(const Plan& plan) {
  std::vector<int> epochs;
  for (int e = 0; e < plan.epochs; e += plan.curve_every) epochs.push_back(e);
  epochs.push_back(plan.epochs);
  return epochs;
}

/// Trains on split number `split`; calls epoch_done() after every epoch. Loss::before trains
/// nothing.
inline Run run(const Pairs& pairs, const Plan& plan, Loss loss, double temperature, int split,
               const std::function<void()>& epoch_done) {
  spheremix::core::Philox rng(plan.seed * 1000 + std::uint64_t(split));
  Split parts = make_split(pairs.size(), rng);
  Head image(pairs.image.cols(), pairs.image.cols(), rng),
      text(pairs.text.cols(), pairs.image.cols(), rng);
  Rows held_image, held_text;
  gather(pairs.image, parts.held_out.data(), Index(parts.held_out.size()), held_image);
  gather(pairs.text, parts.held_out.data(), Index(parts.held_out.size()), held_text);

  Run result;
  if (loss != Loss::before) {
    AdamW optimizer(plan.weight_decay);
    for (Head* head : {&image, &text}) {
      optimizer.add(head->weight, head->weight_gradient);
      optimizer.add(head->bias, head->bias_gradient);
    }
    Objective objective(loss, temperature, plan, rng.seed() ^ 0x9E3779B97F4A7C15u);
    const auto trained = Index(parts.train.size());
    const int batches = int(trained / plan.batch),
              steps = plan.epochs * batches;  // the last partial batch is dropped
    Rows x, y, dv, dt;
    std::vector<Index> chosen(std::size_t(plan.batch));
    for (int epoch = 0, step = 0; epoch < plan.epochs; ++epoch) {
      if (epoch % plan.curve_every == 0)
        result.curve.push_back(glance(image.forward(held_image), text.forward(held_text)));
      const std::vector<Index> order = spheremix::mixup::random_partners(trained, rng);
      for (int b = 0; b < batches; ++b, ++step) {
        for (int i = 0; i < plan.batch; ++i)
          chosen[std::size_t(i)] = parts.train[std::size_t(order[std::size_t(b * plan.batch + i)])];
        gather(pairs.image, chosen.data(), plan.batch, x);
        gather(pairs.text, chosen.data(), plan.batch, y);
        objective.gradient(image.forward(x), text.forward(y), dv, dt);
        image.backward(x, dv);
        text.backward(y, dt);
        optimizer.step(cosine_rate(plan.rate, step, steps));
      }
      epoch_done();
    }
  }
  result.image = image.forward(held_image);
  result.text = text.forward(held_text);
  result.scores = measure(result.image, result.text, temperature);
  if (loss != Loss::before) result.curve.push_back(glance(result.image, result.text));
  result.held_out = std::move(parts.held_out);
  return result;
}

}  // namespace demo
