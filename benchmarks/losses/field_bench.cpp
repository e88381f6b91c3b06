// The losses beside CLIP and m2-Mix, with their gradients: views, labels, structures, logits. clip
// is here again as the yardstick: a pairwise loss should run at its rate of flops.
#include <vector>

#include "spheremix/losses/align_uniform.hpp"
#include "spheremix/losses/barlow_twins.hpp"
#include "spheremix/losses/brownian_bridge.hpp"
#include "spheremix/losses/clip.hpp"
#include "spheremix/losses/cyclip.hpp"
#include "spheremix/losses/decoupled_contrastive.hpp"
#include "spheremix/losses/decoupled_mixup.hpp"
#include "spheremix/losses/feature_separation.hpp"
#include "spheremix/losses/geometric_consistency.hpp"
#include "spheremix/losses/hard_negative.hpp"
#include "spheremix/losses/hn_nce.hpp"
#include "spheremix/losses/info_nce.hpp"
#include "spheremix/losses/margin_nce.hpp"
#include "spheremix/losses/mixup_cross_entropy.hpp"
#include "spheremix/losses/rank_n_contrast.hpp"
#include "spheremix/losses/sup_con.hpp"
#include "spheremix/losses/sup_remix.hpp"
#include "spheremix/losses/triplet.hpp"
#include "spheremix/losses/vicreg.hpp"
#include "support/measure.hpp"

namespace {

using namespace bench;
namespace losses = spheremix::losses;
using spheremix::core::Workspace;
using Labels = Eigen::Matrix<int, Eigen::Dynamic, 1>;

/// `pairs` n^2 d and `products` n d^2 flops.
auto cost(double pairs, double products = 0) {
  return [=](const Case& c) {
    const double n = double(c.n), d = double(c.d);
    return Cost{.flops = pairs * n * n * d + products * n * d * d};
  };
}
/// `batches` matrices of n x d read or written.
auto rows(double batches) {
  return [=](const Case& c) {
    return Cost{.bytes = batches * double(c.n) * double(c.d) * double(c.scalar())};
  };
}

/// body(case, batch, workspace, out): one call of a loss, with what it keeps from call to call.
template <template <class> class Gradient, class Body>
auto loss(Body body) {
  return [=]<class T>(const Case& c, const Batch<T>& b) -> Run {
    struct State {
      Workspace workspace;
      Gradient<RowMatrix<T>> out{};
    };
    const auto s = std::make_shared<State>();
    body(c, b, s->workspace, s->out);  // gives the outputs their size
    s->workspace.release();
    return {[=, &b] { body(c, b, s->workspace, s->out); },
            [=] { return std::vector{as_result(s->out.loss)}; }};
  };
}
template <class M>
using OneLambda = losses::MixedLabelGradient<M, double>;

/// 64 classes, taken in turn.
const Labels& classes(Index n) {
  static Labels labels;
  if (labels.size() != n) {
    labels.resize(n);
    for (Index i = 0; i < n; ++i) labels[i] = int(i % 64);
  }
  return labels;
}
/// A regression's labels, in [0, 1), a few rows to each.
template <class T>
Column<T> numbers(Index n) {
  Column<T> labels(n);
  for (Index i = 0; i < n; ++i) labels[i] = T(i % (n / 4 + 1)) / T(n / 4 + 1);
  return labels;
}
/// Each row's two classes of the n x d logits.
struct TwoClasses {
  std::vector<Index> a, b;
  TwoClasses(Index n, Index d) {
    for (Index i = 0; i < n; ++i) a.push_back(i % d), b.push_back((7 * i + 1) % d);
  }
};
const TwoClasses& two_classes(Index n, Index d) {
  static TwoClasses two(0, 1);
  if (Index(two.a.size()) != n) two = TwoClasses(n, d);
  return two;
}

/// Five captions an image: ids of n rows, five of each.
const Labels& fives(Index n) {
  static Labels ids;
  if (ids.size() != n) {
    ids.resize(n);
    for (Index i = 0; i < n; ++i) ids[i] = int(i / 5);
  }
  return ids;
}

/// Probabilities of n x n pairs, each row's.
const RowMatrix<float>& probabilities(Index n) {
  static RowMatrix<float> p;
  if (p.rows() != n) {
    p = RowMatrix<float>::Random(n, n).cwiseAbs();
    for (Index i = 0; i < n; ++i) p.row(i) /= p.row(i).sum();
  }
  return p;
}

void enter(const Sweep& sweep) {
  const auto ours = "spheremix";
  add(sweep, "clip", ours, false, cost(6),
      loss<losses::ContrastiveGradient>([](auto&, auto& b, auto& workspace, auto& out) {
        losses::clip_with_gradient(b.x, b.y, {}, workspace, out);
      }));
  add(sweep, "clip_ids", ours, false, cost(6),
      loss<losses::ContrastiveGradient>([](auto& c, auto& b, auto& workspace, auto& out) {
        const auto targets = losses::ids(fives(c.n), fives(c.n));
        losses::clip_with_gradient(b.x, b.y, targets, {}, workspace, out);
      }));
  // Three passes over P besides, 12 n^2 bytes.
  add(sweep, "clip_soft", ours, false, cost(6),
      loss<losses::ContrastiveGradient>([](auto& c, auto& b, auto& workspace, auto& out) {
        losses::clip_with_gradient(b.x, b.y, losses::soft(probabilities(c.n)), {}, workspace, out);
      }));
  add(sweep, "clip_smoothed", ours, false, cost(6),
      loss<losses::ContrastiveGradient>([](auto&, auto& b, auto& workspace, auto& out) {
        losses::clip_with_gradient(b.x, b.y, {.label_smoothing = 0.1}, workspace, out);
      }));
  add(sweep, "info_nce", ours, false, cost(6),
      loss<losses::ContrastiveGradient>([](auto&, auto& b, auto& workspace, auto& out) {
        losses::info_nce_with_gradient(b.x, b.y, {}, workspace, out);
      }));
  add(sweep, "info_nce_ids", ours, false, cost(6),
      loss<losses::ContrastiveGradient>([](auto& c, auto& b, auto& workspace, auto& out) {
        const auto targets = losses::ids(fives(c.n), fives(c.n));
        losses::info_nce_with_gradient(b.x, b.y, targets, {}, workspace, out);
      }));
  add(sweep, "info_nce_soft", ours, false, cost(6),
      loss<losses::ContrastiveGradient>([](auto& c, auto& b, auto& workspace, auto& out) {
        losses::info_nce_with_gradient(b.x, b.y, losses::soft(probabilities(c.n)), {}, workspace,
                                       out);
      }));
  add(sweep, "info_nce_smoothed", ours, false, cost(6),
      loss<losses::ContrastiveGradient>([](auto&, auto& b, auto& workspace, auto& out) {
        losses::info_nce_with_gradient(b.x, b.y, {.label_smoothing = 0.1}, workspace, out);
      }));
  add(sweep, "margin_nce", ours, false, cost(6),
      loss<losses::MarginNceGradient>([](auto&, auto& b, auto& workspace, auto& out) {
        losses::margin_nce_with_gradient(b.x, b.y, {}, workspace, out);
      }));
  // Two views of n rows: 3 (2n)^2 d, one triangle of Z Z^T and then (G + G^T) Z.
  add(sweep, "hard_negative", ours, false, cost(12),
      loss<losses::ContrastiveGradient>([](auto&, auto& b, auto& workspace, auto& out) {
        losses::hard_negative_with_gradient(b.x, b.y, {}, workspace, out);
      }));
  add(sweep, "hn_nce", ours, false, cost(12),
      loss<losses::ContrastiveGradient>([](auto&, auto& b, auto& workspace, auto& out) {
        losses::hn_nce_with_gradient(b.x, b.y, {}, workspace, out);
      }));
  add(sweep, "decoupled_contrastive", ours, false, cost(12),
      loss<losses::ContrastiveGradient>([](auto&, auto& b, auto& workspace, auto& out) {
        losses::decoupled_contrastive_with_gradient(b.x, b.y, {}, workspace, out);
      }));
  // One batch against itself: 3 n^2 d.
  add(sweep, "sup_con", ours, false, cost(3),
      loss<losses::SupervisedGradient>([](auto& c, auto& b, auto& workspace, auto& out) {
        losses::sup_con_with_gradient(b.x, classes(c.n), {}, workspace, out);
      }));
  // Both gradients of the one batch: 6 n^2 d, and four exponentials a pair.
  add(sweep, "rank_n_contrast", ours, false, cost(6),
      loss<losses::SupervisedGradient>([](auto& c, auto& b, auto& workspace, auto& out) {
        losses::rank_n_contrast_with_gradient(b.x, classes(c.n), {}, workspace, out);
      }));
  add(sweep, "sup_remix", ours, false, cost(3), [](const auto& c, const auto& b) -> Run {
    using T = typename std::remove_cvref_t<decltype(b.x)>::Scalar;
    struct State {
      Workspace workspace;
      losses::SupervisedGradient<RowMatrix<T>> out{};
      Column<T> labels;
    };
    const auto s = std::make_shared<State>();
    s->labels = numbers<T>(c.n);
    s->out.x.resize(c.n, c.d);
    return {[=, &b] {
              losses::sup_remix_with_gradient(b.x, s->labels, 0.2, {.window = 0.05}, s->workspace,
                                              s->out);
            },
            [=] { return std::vector{as_result(s->out.loss)}; }};
  });
  add(sweep, "triplet", ours, false, cost(1),
      loss<losses::TripletGradient>([](auto& c, auto& b, auto& workspace, auto& out) {
        losses::triplet_with_gradient(b.x, classes(c.n), {}, workspace, out);
      }));
  add(sweep, "align_uniform", ours, false, cost(6),
      loss<losses::PairGradient>([](auto&, auto& b, auto& workspace, auto& out) {
        losses::align_uniform_with_gradient(b.x, b.y, {}, workspace, out);
      }));
  // Two contrasts inside a modality, 6 n^2 d each, and the uniformity of both, 3 each.
  add(sweep, "feature_separation", ours, false, cost(18),
      loss<losses::FeatureSeparationGradient>([](auto&, auto& b, auto& workspace, auto& out) {
        losses::feature_separation_with_gradient(b.x, b.y, b.g, b.g, b.y, b.x, {}, workspace, out);
      }));
  // Through products of d x d: time linear in n.
  add(sweep, "geometric_consistency", ours, false, cost(0, 12),
      loss<losses::PairGradient>([](auto&, auto& b, auto& workspace, auto& out) {
        losses::geometric_consistency_with_gradient(b.x, b.y, {}, workspace, out);
      }));
  add(sweep, "augmented_geometric_consistency", ours, false, cost(0, 24),
      loss<losses::AugmentedConsistencyGradient>([](auto&, auto& b, auto& workspace, auto& out) {
        losses::augmented_geometric_consistency_with_gradient(b.x, b.y, b.g, b.g, {}, workspace,
                                                              out);
      }));
  add(sweep, "cyclip", ours, false, cost(6, 12),
      loss<losses::ContrastiveGradient>([](auto&, auto& b, auto& workspace, auto& out) {
        losses::cyclip_with_gradient(b.x, b.y, {}, workspace, out);
      }));
  add(sweep, "vicreg", ours, false, cost(0, 6),
      loss<losses::PairGradient>([](auto&, auto& b, auto& workspace, auto& out) {
        losses::vicreg_with_gradient(b.x, b.y, {}, workspace, out);
      }));
  add(sweep, "barlow_twins", ours, false, cost(0, 6),
      loss<losses::PairGradient>([](auto&, auto& b, auto& workspace, auto& out) {
        losses::barlow_twins_with_gradient(b.x, b.y, {}, workspace, out);
      }));
  add(sweep, "brownian_bridge", ours, false, rows(6),
      loss<losses::BrownianBridgeGradient>([](auto&, auto& b, auto& workspace, auto& out) {
        losses::brownian_bridge_with_gradient(b.g, b.x, b.y, {}, workspace, out);
      }));
  // Logits of d classes.
  add(sweep, "mixup_cross_entropy", ours, false, rows(2),
      loss<OneLambda>([](auto& c, auto& b, auto& workspace, auto& out) {
        const TwoClasses& two = two_classes(c.n, c.d);
        losses::mixup_cross_entropy_with_gradient(b.x, two.a, two.b, 0.3, workspace, out);
      }));
  add(sweep, "decoupled_mixup", ours, false, rows(2),
      loss<OneLambda>([](auto& c, auto& b, auto& workspace, auto& out) {
        const TwoClasses& two = two_classes(c.n, c.d);
        losses::decoupled_mixup_with_gradient(b.x, two.a, two.b, 0.3, {}, workspace, out);
      }));
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv, {"1024", "4096"}, enter); }
