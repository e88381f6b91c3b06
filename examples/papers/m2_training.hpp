// The methods that the m2-Mix program compares, and two heads trained with one of them.
//
//   L = clip(tau) [ + clip(second), the control without mixing ]
//       + k_e ( w_m2 m2 + w_v V + w_l L + w_vl VL ),   k_e = 1, or 1 / (epoch + 1) as released
//
// One lambda a batch for each mix, drawn in every method alike, so the batches stay the same.
#pragma once

#include "spheremix/losses/clip.hpp"
#include "spheremix/losses/m3_mix.hpp"
#include "spheremix/mixup/beta.hpp"
#include "training.hpp"

namespace papers {

struct MixMethod {
  const char* name;
  double temperature = 0.01;
  double second = 0;                    ///< temperature of the control's second CLIP; 0: none
  double m2 = 0, v = 0, l = 0, vl = 0;  ///< weights; m2's is of the half-sum over directions
  bool schedule = false;                ///< weights fall as 1 / (epoch + 1)
  double beta = 0.5, beta_vl = 0.5;     ///< lambda ~ Beta(beta, beta)
  static constexpr double mix_temperature = 0.07;  ///< of m2
};

// The released settings: sums over directions (twice the half-sum), arXiv 2203.03897 and its code.
inline const std::vector<MixMethod> mix_methods{
    {.name = "CLIP"},
    {.name = "CLIP, τ .05", .temperature = 0.05},
    {.name = "CLIP + CLIP(.07)", .second = 0.07},
    {.name = "+ m2", .m2 = 1},
    {.name = "+ m2, τ .05", .temperature = 0.05, .m2 = 1},
    {.name = "+ m2, released", .m2 = 0.1, .schedule = true},
    {.name = "+ V", .v = 1},
    {.name = "+ L", .l = 1},
    {.name = "+ VL", .vl = 1},
    {.name = "+ m3", .m2 = 1, .v = 1, .l = 1, .vl = 1},
    {.name = "+ m3, released",
     .m2 = 0.02,
     .v = 0.05,
     .l = 0.05,
     .vl = 0.1,
     .schedule = true,
     .beta_vl = 0.2}};

inline const MixMethod& mix_method(const std::string& name) {
  for (const MixMethod& m : mix_methods)
    if (name == m.name) return m;
  throw std::logic_error("no method " + name);
}

/// Rows of pictures and texts, one a pair.
struct Domain {
  Rows image, text;
};

struct Heads {
  Head image, text;

  /// Heads for the rows of a domain, onto as many numbers as its pictures have.
  Heads(const Domain& domain, Philox& rng)
      : image(domain.image.cols(), domain.image.cols(), rng),
        text(domain.text.cols(), domain.image.cols(), rng) {}
};

/// The loss of a method and its gradients, batch after batch.
class MixObjective {
 public:
  MixObjective(const MixMethod& method, std::uint64_t seed) : method_(method), rng_(seed) {}

  /// Sets dv and dt for unit rows v and t.
  void gradient(const Rows& v, const Rows& t, int epoch, Rows& dv, Rows& dt) {
    namespace l = spheremix::losses;
    const auto draw = [&](double b) { return spheremix::mixup::beta<double>(1, b, b, rng_)[0]; };
    const double m2 = draw(method_.beta), image = draw(method_.beta), text = draw(method_.beta),
                 both = draw(method_.beta_vl);
    l::clip_with_gradient(v, t, {.temperature = method_.temperature}, workspace_, clip_);
    dv = clip_.x;
    dt = clip_.y;
    if (method_.second > 0) {
      l::clip_with_gradient(v, t, {.temperature = method_.second}, workspace_, clip_);
      dv += clip_.x;
      dt += clip_.y;
    }
    if (method_.m2 + method_.v + method_.l + method_.vl == 0) return;
    const double k = method_.schedule ? 1.0 / (epoch + 1) : 1;
    l::m3_mix_with_gradient(v, t, l::MixLambdas{m2, image, text, both},
                            {.temperature = method_.temperature,
                             .mix_temperature = MixMethod::mix_temperature,
                             .weight_m2 = k * method_.m2 / 2,  // of the sum over directions
                             .weight_v = k * method_.v,
                             .weight_l = k * method_.l,
                             .weight_vl = k * method_.vl},
                            workspace_, mixed_);
    dv += mixed_.x;
    dt += mixed_.y;
  }

 private:
  const MixMethod& method_;
  Philox rng_;
  spheremix::core::Workspace workspace_;
  spheremix::losses::ContrastiveGradient<Rows> clip_;
  spheremix::losses::TwoTemperatureGradient<Rows, spheremix::losses::MixLambdas<>> mixed_;
};

struct TrainingPlan {
  int epochs = 30;
  Index batch = 256;
  double rate = 2e-3, weight_decay = 0.01;
};

/// Trains the heads on the rows of a domain; epoch_begins(epoch) is called before each epoch.
template <class EpochBegins>
void train_heads(Heads& heads, const Domain& domain, const Indices& rows, const MixMethod& method,
                 const TrainingPlan& plan, std::uint64_t seed, const EpochBegins& epoch_begins) {
  Philox rng(seed);
  MixObjective objective(method, seed ^ 0x9E3779B97F4A7C15u);
  AdamW optimizer(plan.weight_decay);
  for (Head* head : {&heads.image, &heads.text}) {
    optimizer.add(head->weight, head->weight_gradient);
    optimizer.add(head->bias, head->bias_gradient);
  }
  const int steps = batch_steps(rows, plan.batch, plan.epochs);
  int begun = 0;
  Rows dv, dt;
  for_batches(rows, plan.batch, plan.epochs, rng, [&](const Indices& chosen, int epoch, int step) {
    if (epoch == begun) epoch_begins(begun++);
    const Rows x = rows_of(domain.image, chosen), y = rows_of(domain.text, chosen);
    objective.gradient(heads.image.forward(x), heads.text.forward(y), epoch, dv, dt);
    heads.image.backward(x, dv);
    heads.text.backward(y, dt);
    optimizer.step(cosine_rate(plan.rate, step, steps));
  });
}

}  // namespace papers
