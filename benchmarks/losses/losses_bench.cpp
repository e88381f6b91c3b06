// Losses with their gradients. Who: spheremix; eigen, the materialised form; products, the bare
// matrix products of the loss with no softmax between them, the bound.
#include "spheremix/losses/clip.hpp"
#include "spheremix/losses/clip_m2_mix.hpp"
#include "spheremix/losses/info_nce.hpp"
#include "spheremix/losses/m2_mix.hpp"
#include "spheremix/losses/nt_xent.hpp"
#include "spheremix/losses/siglip.hpp"
#include "support/eigen_forms.hpp"
#include "support/measure.hpp"
#include "support/products.hpp"

namespace {

using namespace bench;
namespace losses = spheremix::losses;
constexpr double kTau = 0.07, kLambda = 0.3, kWeight = 0.5;

/// `factor` n^2 d flops; the materialised form holds `tables` n x n tables.
auto cost(double factor, double tables = 0) {
  return [=](const Case& c) {
    const double n = double(c.n);
    return Cost{.flops = factor * n * n * double(c.d),
                .tables = tables * n * n * double(c.scalar())};
  };
}

/// f_with_gradient(X, Y, options, workspace, out) of a loss of two batches. A Workspace and `out`
/// are kept from call to call, as a training loop keeps them.
template <template <class> class Gradient, class Options, class Function>
auto pair_loss(Options options, Function function) {
  return [=]<class T>(const Case& c, const Batch<T>& b) -> Run {
    struct State {
      spheremix::core::Workspace workspace;
      Gradient<RowMatrix<T>> out;
      Options options;
    };
    const auto s = std::make_shared<State>();
    s->out.x.resize(c.n, c.d);
    s->out.y.resize(c.n, c.d);
    s->options = options;
    s->options.memory_budget = c.budget;
    return {[=, &b] { function(b.x, b.y, s->options, s->workspace, s->out); },
            [=] {
              return std::vector{as_result(s->out.loss), as_result(s->out.x), as_result(s->out.y)};
            }};
  };
}

template <class M>
using MixOut = losses::MixGradient<M, double>;
template <class M>
using TwoOut = losses::TwoTemperatureGradient<M, double>;

/// The same for a loss that mixes: its mixing part has no gradient along the rows themselves, so
/// results are compared in their tangent part.
template <template <class> class Gradient, class Options, class Function>
auto mix_loss(Options options, Function function) {
  const auto plain = pair_loss<Gradient>(options, function);
  return [=]<class T>(const Case& c, const Batch<T>& b) -> Run {
    Run r = plain(c, b);
    r.results = [all = r.results, &b] {
      auto list = all();
      list[1] = eigen::tangent(list[1], b.x.template cast<double>());
      list[2] = eigen::tangent(list[2], b.y.template cast<double>());
      return list;
    };
    return r;
  };
}

/// A materialised form: body(batch, out).
template <class Body>
auto materialised(bool tangent, Body body) {
  return [=]<class T>(const Case&, const Batch<T>& b) -> Run {
    const auto out = std::make_shared<eigen::Gradients<T>>();
    return {[=, &b] { body(b, *out); },
            [=, &b] {
              std::vector list{as_result(out->loss), as_result(out->x), as_result(out->y)};
              if (tangent) {
                list[1] = eigen::tangent(list[1], b.x.template cast<double>());
                list[2] = eigen::tangent(list[2], b.y.template cast<double>());
              }
              return list;
            }};
  };
}

/// `rounds` times the three products of a contrastive loss.
auto bare(int rounds) {
  return [=]<class T>(const Case& c, const Batch<T>& b) -> Run {
    struct State {
      Products<T> product;
      RowMatrix<T> s, x, y;
    };
    const auto s =
        std::make_shared<State>(State{Products<T>(c.threads), RowMatrix<T>(c.n, c.n), b.x, b.y});
    return {[=, &b] {
              for (int k = 0; k < rounds; ++k) {
                s->product(Form::times_transposed, s->s, b.x, b.y);
                s->product(Form::times, s->x, s->s, b.y);
                s->product(Form::transposed_times, s->y, s->s, b.x);
              }
            },
            {}};
  };
}

void enter(const Sweep& sweep) {
  const auto ours = "spheremix";
  add(sweep, "clip", ours, true, cost(6),
      pair_loss<losses::ContrastiveGradient>(
          losses::ClipOptions{.temperature = kTau},
          [](auto&&... a) { losses::clip_with_gradient(a...); }));
  add(sweep, "clip", "eigen", false, cost(6, 5),
      materialised(false, []<class T>(const Batch<T>& b, auto& out) {
        eigen::contrastive(b.x, b.y, T(kTau), true, out);
      }));
  add(sweep, "clip", "products", false, cost(6, 1), bare(1));

  add(sweep, "info_nce", ours, true, cost(6),
      pair_loss<losses::ContrastiveGradient>(
          losses::InfoNceOptions{.temperature = kTau},
          [](auto&&... a) { losses::info_nce_with_gradient(a...); }));
  add(sweep, "info_nce", "eigen", false, cost(6, 3),
      materialised(false, []<class T>(const Batch<T>& b, auto& out) {
        eigen::contrastive(b.x, b.y, T(kTau), false, out);
      }));

  add(sweep, "m2_mix", ours, true, cost(12),
      mix_loss<MixOut>(losses::M2MixOptions{.temperature = kTau}, [](auto& x, auto& y, auto&... a) {
        losses::m2_mix_with_gradient(x, y, kLambda, a...);
      }));
  add(sweep, "m2_mix", "eigen", false, cost(12, 4),
      materialised(true, []<class T>(const Batch<T>& b, auto& out) {
        eigen::m2_mix(b.x, b.y, T(kLambda), T(kTau), out);
      }));
  add(sweep, "m2_mix", "products", false, cost(12, 1), bare(2));

  add(sweep, "clip_m2_mix", ours, true, cost(12),
      mix_loss<TwoOut>(
          losses::ClipM2MixOptions{.temperature = kTau, .mix_temperature = kTau, .weight = kWeight},
          [](auto& x, auto& y, auto&... a) {
            losses::clip_m2_mix_with_gradient(x, y, kLambda, a...);
          }));
  add(sweep, "clip_m2_mix", "eigen", false, cost(12, 5),
      materialised(true, []<class T>(const Batch<T>& b, auto& out) {
        eigen::Gradients<T> clip;
        eigen::contrastive(b.x, b.y, T(kTau), true, clip);
        eigen::m2_mix(b.x, b.y, T(kLambda), T(kTau), out);
        out.loss = clip.loss + kWeight * out.loss;
        out.x = clip.x + T(kWeight) * out.x;
        out.y = clip.y + T(kWeight) * out.y;
      }));

  add(sweep, "nt_xent", ours, true,
      cost(12),  // 3 (2n)^2 d: one triangle of Z Z^T, then (G + G^T) Z
      pair_loss<losses::ContrastiveGradient>(
          losses::NtXentOptions{}, [](auto&&... a) { losses::nt_xent_with_gradient(a...); }));
  add(sweep, "siglip", ours, true, cost(6),
      pair_loss<losses::SiglipGradient>(losses::SiglipOptions{},
                                        [](auto&&... a) { losses::siglip_with_gradient(a...); }));
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv, {"256", "1024", "4096"}, enter); }
