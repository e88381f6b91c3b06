// Latent modality structures on real pairs: the emoji pictures and their names.
//
//   spheremix-papers-structures [--data DIR] [--out DIR] [--seeds N] [--epochs N]
//                               [--threads N] [--texts feat,minilm]
//
// Each modality has an encoder: a hidden layer, from it a shared feature (the one CLIP aligns) and
// an independent feature (the one the separation adds). tau .05. Trained with
//
//   CLIP                      on the shared features
//   CyCLIP                    with its weights of 1/4
//   + separation              orthogonality, contrast of views (augmented keys), uniformity
//   + bridge                  the augmented picture near the bridge from text to picture
//   + consistency             geometric consistency of the pairs, and against the augmented views
//   + all three
//   control: + CLIP of views  the same augmented views, aligned by CLIP, and no structure
//
// with weight 1 each, the sums over pairs of the consistency and all three also with weight .1 (the
// text gives none). There are no pixels here: an augmented view is the feature plus noise of
// length .3. All of it for the texts of either encoder (texts.hpp), the same seeds. Measured on a
// held-out quarter: recall at 1; pictures into groups and subgroups by the encoded names of these
// (zero-shot), and by a linear probe on the shared feature, or on both; modality gap, distribution
// gap, and inconsistency, the root of the mean of
// (v_j.t_k - v_k.t_j)^2 + (v_j.v_k - t_j.t_k)^2.
//
// Then theorem 3.1 on random discrete joints: features Z that agree, Z_T = Z_V, lose at least the
// difference of what the modalities know,
//   H(Y|Z) - H(Y|X_T, X_V) >= |H(Y|X_T) - H(Y|X_V)|.
// Source   Jiang et al. 2023, "Understanding and constructing latent modality structures in
//          multi-modal representation learning", arXiv 2303.05952.
#include "program.hpp"
#include "spheremix/losses/brownian_bridge.hpp"
#include "spheremix/losses/clip.hpp"
#include "spheremix/losses/cyclip.hpp"
#include "spheremix/losses/feature_separation.hpp"
#include "spheremix/losses/geometric_consistency.hpp"
#include "spheremix/metrics/distribution_gap.hpp"
#include "spheremix/metrics/modality_gap.hpp"
#include "spheremix/metrics/retrieval.hpp"
#include "spheremix/metrics/zero_shot.hpp"
#include "spheremix/sphere/sampling.hpp"
#include "training.hpp"

namespace {

using namespace papers;
namespace losses = spheremix::losses;
namespace metrics = spheremix::metrics;

constexpr int kEpochs = 20;
constexpr Index kBatch = 256, kJoints = 10000;
constexpr double kRate = 2e-3, kDecay = 0.01, kTemperature = 0.05;
constexpr float kNoise = 0.3f;

struct Task {
  std::string texts;
  Rows image, text, group_names, subgroup_names;
  Indices group, subgroup;
};

std::vector<Task> load(const std::filesystem::path& folder) {
  const auto classes = [&](const std::string& column) {
    return classes_of(demo::read_column(folder / "items.tsv", column),
                      demo::read_column(folder / (column + "s.tsv"), column));
  };
  std::vector<Task> tasks;
  for (const auto& [name, file] : text_encoders) {
    demo::Pairs pairs = demo::load_pairs(folder, file);
    const auto prompts = [&](const std::string& what) {
      return spheremix::io::load_npy<float>((folder / (what + "_" + file)).string());
    };
    tasks.push_back({name, std::move(pairs.image), std::move(pairs.text), prompts("group"),
                     prompts("subgroup"), classes("group"), classes("subgroup")});
  }
  return tasks;
}

/// h = max(0, W x + b), and two heads on h.
class Encoder {
 public:
  Encoder(Index inputs, Index outputs, Philox& rng)
      : hidden_layer_(inputs, inputs, rng),
        shared_(inputs, outputs, rng),
        independent_(inputs, outputs, rng) {}

  void add_to(AdamW& optimizer) {
    for (Head* layer : {&hidden_layer_, &shared_, &independent_}) {
      optimizer.add(layer->weight, layer->weight_gradient);
      optimizer.add(layer->bias, layer->bias_gradient);
    }
  }

  /// The shared features; keeps what backward() and independent() need.
  const Rows& forward(const Rows& x) {
    hidden_.noalias() = x * hidden_layer_.weight.transpose();
    hidden_ = (hidden_.rowwise() + hidden_layer_.bias.transpose()).cwiseMax(0.0f);
    return shared_.forward(hidden_);
  }
  /// The independent features of the same rows.
  const Rows& independent() { return independent_.forward(hidden_); }

  /// All gradients, given x of the last forward(); no rows: the independent features were not used.
  void backward(const Rows& x, const Rows& shared, const Rows& independent) {
    shared_.backward(hidden_, shared);
    Rows back = shared_.input_gradient();
    if (independent.rows() > 0) {
      independent_.backward(hidden_, independent);
      back += independent_.input_gradient();
    }
    back.array() *= (hidden_.array() > 0).cast<float>();
    hidden_layer_.weight_gradient.noalias() = back.transpose() * x;
    hidden_layer_.bias_gradient.noalias() = back.colwise().sum().transpose();
  }

 private:
  Head hidden_layer_;  // its linear part
  Head shared_, independent_;
  Rows hidden_;
};

struct Method {
  std::string name;
  bool cyclip = false, separation = false, bridge = false, consistency = false,
       clip_of_views = false;
  float weight = 1;  ///< of each of the three
  bool views() const { return separation || bridge || consistency || clip_of_views; }
};

const std::vector<Method> kMethods{
    {.name = "CLIP"},
    {.name = "CyCLIP", .cyclip = true},
    {.name = "+ separation", .separation = true},
    {.name = "+ bridge", .bridge = true},
    {.name = "+ consistency", .consistency = true},
    {.name = "+ consistency × .1", .consistency = true, .weight = 0.1f},
    {.name = "+ all three", .separation = true, .bridge = true, .consistency = true},
    {.name = "+ all three × .1",
     .separation = true,
     .bridge = true,
     .consistency = true,
     .weight = 0.1f},
    {.name = "control: + CLIP of views", .clip_of_views = true}};

/// Gradients of a method's loss. Rows: the batch, then its augmented views where the method has
/// them.
struct Gradients {
  Rows image, text, image_independent, text_independent;
};

class Objective {
 public:
  explicit Objective(const Method& method) : method_(method) {}

  /// v, t: shared features; vi, ti: independent ones, used by the separation alone.
  const Gradients& gradient(const Rows& v, const Rows& t, const Rows* vi, const Rows* ti) {
    const Index n = kBatch;
    const auto head = [](const Rows& x) { return x.topRows(kBatch); };
    const auto tail = [](const Rows& x) { return x.bottomRows(kBatch); };
    const float w = method_.weight;
    auto& [dv, dt, dvi, dti] = out_;
    dv.setZero(v.rows(), v.cols());
    dt.setZero(t.rows(), t.cols());
    if (method_.cyclip)
      losses::cyclip_with_gradient(v, t, {.temperature = kTemperature}, workspace_, clip_);
    else
      losses::clip_with_gradient(head(v), head(t), {.temperature = kTemperature}, workspace_,
                                 clip_);
    dv.topRows(n) = clip_.x;
    dt.topRows(n) = clip_.y;
    if (method_.clip_of_views) {
      losses::clip_with_gradient(tail(v), tail(t), {.temperature = kTemperature}, workspace_,
                                 clip_);
      dv.bottomRows(n) = clip_.x;
      dt.bottomRows(n) = clip_.y;
    }
    if (method_.separation) {
      losses::feature_separation_with_gradient(
          head(v), head(t), head(*vi), head(*ti), tail(*vi), tail(*ti),
          {.temperature = kTemperature, .denominator = losses::Denominator::augmented}, workspace_,
          separation_);
      dv.topRows(n) += w * separation_.x;
      dt.topRows(n) += w * separation_.y;
      dvi.resize(2 * n, v.cols());
      dti.resize(2 * n, v.cols());
      dvi << w * separation_.x_independent, w * separation_.x_augmented;
      dti << w * separation_.y_independent, w * separation_.y_augmented;
    }
    if (method_.bridge) {
      losses::brownian_bridge_with_gradient(tail(v), head(v), head(t), {}, workspace_, bridge_);
      dv.topRows(n) += w * bridge_.x;
      dt.topRows(n) += w * bridge_.y;
      dv.bottomRows(n) += w * bridge_.augmented;
    }
    if (method_.consistency) {
      losses::geometric_consistency_with_gradient(head(v), head(t), {}, workspace_, pairs_);
      dv.topRows(n) += w * pairs_.x;
      dt.topRows(n) += w * pairs_.y;
      losses::augmented_geometric_consistency_with_gradient(head(v), head(t), tail(v), tail(t), {},
                                                            workspace_, views_);
      dv.topRows(n) += w * views_.x;
      dt.topRows(n) += w * views_.y;
      dv.bottomRows(n) += w * views_.x_augmented;
      dt.bottomRows(n) += w * views_.y_augmented;
    }
    return out_;
  }

 private:
  const Method& method_;
  spheremix::core::Workspace workspace_;
  losses::ContrastiveGradient<Rows> clip_;
  losses::FeatureSeparationGradient<Rows> separation_;
  losses::BrownianBridgeGradient<Rows> bridge_;
  losses::PairGradient<Rows> pairs_;
  losses::AugmentedConsistencyGradient<Rows> views_;
  Gradients out_;
};

/// The chosen rows, below them the same with noise.
Rows with_views(const Rows& x, const Indices& rows, Philox& rng) {
  const Index n = Index(rows.size());
  Rows out = rows_of(x, rows);
  out.conservativeResize(2 * n, Eigen::NoChange);
  out.bottomRows(n) =
      out.topRows(n) + kNoise * spheremix::sphere::sample_uniform<float>(n, x.cols(), rng);
  return out;
}

const std::vector<Column> kColumns{{"R@1 i→t"},
                                   {"R@1 t→i"},
                                   {"zero-shot, 9 groups"},
                                   {"zero-shot, 99 subgroups"},
                                   {"probe, shared"},
                                   {"probe, both"},
                                   {"gap", 2},
                                   {"distribution gap"},
                                   {"inconsistency"}};

std::vector<double> measure(const Task& task, const Split& split, Encoder& image, Encoder& text) {
  const auto own = [&](const Rows& x, const Indices& rows, Rows& both) {
    Rows shared = image.forward(rows_of(x, rows));
    both.resize(shared.rows(), 2 * shared.cols());
    both << shared, image.independent();
    return shared;
  };
  Rows both, seen_both;
  const Rows v = own(task.image, split.held_out, both),
             seen = own(task.image, split.train, seen_both),
             t = text.forward(rows_of(task.text, split.held_out));
  const Indices group = entries_of(task.group, split.held_out),
                subgroup = entries_of(task.subgroup, split.held_out),
                seen_group = entries_of(task.group, split.train);
  const auto zero_shot = [&](const Rows& names, const Indices& truth) {
    return metrics::zero_shot_accuracy(v, text.forward(names), truth, {.k = {1}})[0];
  };
  const Index groups = task.group_names.rows();
  const auto found = metrics::retrieval_both(v, t, {.k = {1}});
  return {found.x_to_y.recall[0],
          found.y_to_x.recall[0],
          zero_shot(task.group_names, group),
          zero_shot(task.subgroup_names, subgroup),
          linear_probe(seen, seen_group, v, group, groups),
          linear_probe(seen_both, seen_group, both, group, groups),
          metrics::modality_gap(v, t),
          metrics::distribution_gap(v, t),
          std::sqrt(losses::geometric_consistency(v, t) / double(v.rows()))};
}

std::vector<double> train(const Task& task, const Method& method, int epochs, int seed) {
  Philox rng(1000 + std::uint64_t(seed));
  const Split split = make_split(task.image.rows(), rng);
  const Index d = task.image.cols();
  Encoder image(d, d, rng), text(task.text.cols(), d, rng);
  AdamW optimizer(kDecay);
  image.add_to(optimizer);
  text.add_to(optimizer);
  Objective objective(method);
  const int steps = batch_steps(split.train, kBatch, epochs);
  for_batches(split.train, kBatch, epochs, rng, [&](const Indices& rows, int, int step) {
    Philox noise(rng.seed() ^ (0x9E3779B97F4A7C15u * std::uint64_t(step + 1)));
    const Rows x = method.views() ? with_views(task.image, rows, noise) : rows_of(task.image, rows),
               y = method.views() ? with_views(task.text, rows, noise) : rows_of(task.text, rows);
    const Rows &v = image.forward(x), &t = text.forward(y);
    const bool own = method.separation;
    const Gradients& g = objective.gradient(v, t, own ? &image.independent() : nullptr,
                                            own ? &text.independent() : nullptr);
    image.backward(x, g.image, g.image_independent);
    text.backward(y, g.text, g.text_independent);
    optimizer.step(cosine_rate(kRate, step, steps));
  });
  return measure(task, split, image, text);
}

// ---- Theorem 3.1 ----

/// A joint of X_T = (C, A), X_V = (C, B) and Y. What both modalities know is C, so features that
/// agree are functions of C.
struct Joint {
  static constexpr int c = 3, a = 3, b = 4, y = 3;
  double p[c][a][b][y] = {};

  /// H(Y | key), for a key(i, j, k) in [0, 64).
  template <class Key>
  double entropy_given(const Key& key) const {
    double joint[64][y] = {}, entropy = 0;
    for (int i = 0; i < c; ++i)
      for (int j = 0; j < a; ++j)
        for (int k = 0; k < b; ++k)
          for (int l = 0; l < y; ++l) joint[key(i, j, k)][l] += p[i][j][k][l];
    for (const auto& row : joint) {
      double mass = 0;
      for (const double q : row) mass += q;
      for (const double q : row)
        if (q > 0) entropy -= q * std::log(q / mass);
    }
    return entropy;
  }
};

/// Entries e^(sharpness z) with z standard exponential; the sharper, the fewer entries matter. With
/// `bare`, the second modality is C alone.
Joint random_joint(double sharpness, bool bare, Philox& rng) {
  Joint joint;
  auto stream = rng.stream(rng.take_step(), 0);
  double total = 0;
  for (auto& i : joint.p)
    for (auto& j : i)
      for (int k = 0; k < (bare ? 1 : Joint::b); ++k)
        for (double& q : j[k]) total += q = std::pow(stream.uniform<double>() + 1e-300, -sharpness);
  for (auto& i : joint.p)
    for (auto& j : i)
      for (auto& k : j)
        for (double& q : k) q /= total;
  return joint;
}

struct Theorem {
  double least = 1e9;         ///< left less right side over all joints and agreeing features
  double least_coarse = 1e9;  ///< of those, where two values of C share one feature
  double widest_bare = 0;     ///< |left - right| where one modality is C alone: equality
  double fails_apart = 0;     ///< share of joints in which features that keep everything go below
};

Theorem check_theorem() {
  Theorem result;
  Philox rng(7);
  for (Index n = 0; n < kJoints; ++n) {
    const double sharpness = n % 2 == 0 ? 0.5 : 3;
    const Joint joint = random_joint(sharpness, false, rng),
                bare = random_joint(sharpness, true, rng);
    const auto agreeing = [](int i, int, int) { return i; };
    const auto coarse = [](int i, int, int) { return i / 2; };
    const auto everything = [](int i, int j, int k) { return (i * Joint::a + j) * Joint::b + k; };
    const auto one = [](int i, int j, int) { return i * Joint::a + j; };
    const auto other = [](int i, int, int k) { return i * Joint::b + k; };
    const auto slack = [&](const Joint& p, const auto& feature) {
      return p.entropy_given(feature) - p.entropy_given(everything) -
             std::abs(p.entropy_given(one) - p.entropy_given(other));
    };
    result.least = std::min(result.least, slack(joint, agreeing));
    result.least_coarse = std::min(result.least_coarse, slack(joint, coarse));
    result.widest_bare = std::max(result.widest_bare, std::abs(slack(bare, agreeing)));
    result.fails_apart += (slack(joint, everything) < 0) / double(kJoints);
  }
  return result;
}

/// What the seeds tell of each method against CLIP, 1 where it is better.
std::vector<Told> against_clip(const Table& table) {
  struct Compared {
    const char *column, *what;
    int better;  ///< 1: higher is better, -1: lower
  };
  std::vector<Told> told;
  for (const Compared& c : std::initializer_list<Compared>{
           {"zero-shot, 9 groups", "zero-shot", 1}, {"R@1 i→t", "R@1", 1}, {"gap", "gap", -1}})
    for (std::size_t m = 1; m < kMethods.size(); ++m)
      told.push_back(
          {kMethods[m].name + ": " + c.what,
           c.better * demo::direction(table.change(kMethods[m].name, "CLIP", c.column))});
  return told;
}

std::vector<std::string> sentences(const Table& table) {
  const std::string control = kMethods.back().name;
  const auto changes = [&](const char* column, int digits) {
    std::string text;
    for (std::size_t m = 1; m < kMethods.size(); ++m)
      text += (m > 1 ? ", " : "") + kMethods[m].name + " " +
              table.changed(kMethods[m].name, "CLIP", column, digits);
    return text;
  };
  const char* const target = "zero-shot, 9 groups";
  std::string gains, kept;
  for (const Method& m : kMethods) {
    if (!m.separation && !m.bridge && !m.consistency) continue;
    if (demo::direction(table.change(m.name, "CLIP", target)) <= 0) continue;
    gains += (gains.empty() ? "" : ", ") + m.name;
    if (demo::direction(table.change(m.name, control, target)) > 0)
      kept += (kept.empty() ? "" : ", ") + m.name;
  }
  return {std::string("Zero-shot into 9 groups against CLIP: ") + changes(target, 3) +
              ". The paper's gain over CLIP " +
              (gains.empty()  ? "does not appear on this data"
               : kept.empty() ? "appears for " + gains + ", but the control has it too"
                              : "appears for " + gains + ", and beyond the control for " + kept) +
              ".",
          "R@1 from picture to text against CLIP: " + changes("R@1 i→t", 3) + ".",
          "Gap against CLIP: " + changes("gap", 2) + "."};
}

std::string sentence(const Theorem& theorem) {
  char text[400];
  std::snprintf(text, sizeof text,
                "Theorem 3.1 on %td random joints: the left side less the right is at least %.1e "
                "nats, %.1e for "
                "coarser features; where one modality is the shared part alone they differ by %g "
                "at most; features "
                "that keep everything, and so do not agree, fall below the bound in %.0f %%.",
                kJoints, theorem.least, theorem.least_coarse, theorem.widest_bare,
                100 * theorem.fails_apart);
  return text;
}

Reading study(const Task& task, const Options& options) {
  std::vector<std::string> names;
  for (const Method& m : kMethods) names.push_back(m.name);
  Table table(task.texts + ": emoji pairs", kColumns, names, options.seeds);
  demo::Progress progress(table.runs(), "runs");
  table.fill(options.threads, progress, [&](std::size_t m, int seed) {
    return train(task, kMethods[m], options.epochs, seed);
  });
  table.print();
  return {Json::array({table.json()}), sentences(table), against_clip(table)};
}

Json run(const std::vector<Task>& tasks, const Options& options) {
  const Theorem theorem = check_theorem();
  Json json = of_texts(tasks, options, study,
                       {{"theorem",
                         {{"joints", kJoints},
                          {"least", theorem.least},
                          {"least_coarse", theorem.least_coarse},
                          {"widest_bare", theorem.widest_bare},
                          {"fails_apart", theorem.fails_apart}}}},
                       {sentence(theorem)});
  if (theorem.least < -1e-12 || theorem.least_coarse < -1e-12 || theorem.widest_bare > 1e-12)
    throw std::runtime_error("theorem 3.1 does not hold");
  return json;
}

}  // namespace

int main(int argc, char** argv) {
  return program(argc, argv, "structures",
                 "Latent modality structures: each regulariser and all three on emoji pairs.", load,
                 run, kEpochs, true);
}
