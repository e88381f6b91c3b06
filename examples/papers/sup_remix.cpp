// SupReMix, arXiv 2309.16633: representations for regression learned by contrast with mixtures, on
// two real data sets, diabetes (442 patients) and diamonds (4146 prices).
//
//   spheremix-papers-sup_remix [--data DIR] [--out DIR] [--seeds N] [--epochs N]
//                             [--threads N]
//
// First an encoder (one hidden layer, 64 numbers on the sphere) is trained by a contrastive loss
// on two noisy views of each row, with the labels rounded to about 35 levels and Mix-pos from
// parents up to 5 levels away (the paper's window for ages in years). Frozen, a linear layer on it
// is fitted by L1; then all of it is trained on by L1 ("tuned"). Measured on a held-out quarter:
// the mean absolute error of both, and the order of the frozen representation, Spearman's
// correlation of the distance of two rows with the distance of their labels.
//
// Controls: the training median, a linear layer on the inputs; the same network trained first by
// L1 (tuned: twice as long), on the sphere or not, with mixed inputs, or by nothing (tuned: an
// L1 regressor); contrast without mixtures (SupCon), with the weights alone, and with either
// mixture alone.
#include "spheremix/losses/sup_remix.hpp"

#include <algorithm>
#include <cmath>

#include "program.hpp"
#include "spheremix/losses/sup_con.hpp"
#include "spheremix/math/normal.hpp"
#include "spheremix/mixup/beta.hpp"
#include "spheremix/sphere/distance_matrix.hpp"
#include "training.hpp"

namespace {

using namespace papers;
namespace losses = spheremix::losses;
namespace sphere = spheremix::sphere;
using Labels = spheremix::Vector<double>;

struct Regression {
  std::string name;
  Rows x;
  Labels y;      ///< what is predicted
  double level;  ///< labels are rounded to multiples of it for contrast
  float noise;   ///< of the two views, in standard deviations of the inputs
  int digits;    ///< of its errors
};

std::vector<Regression> load(const std::filesystem::path& data) {
  if (!std::filesystem::is_directory(data)) throw std::runtime_error("no folder " + data.string());
  const auto read = [&](const char* name, const char* file, bool logarithm, double level,
                        float noise, int digits) {
    const Rows all = spheremix::io::load_npy<float>((data / file).string());
    Labels y = all.rightCols(1).cast<double>();
    if (logarithm) y = y.array().log10();
    return Regression{name, all.leftCols(all.cols() - 1), y, level, noise, digits};
  };
  return {read("diabetes", "diabetes_f32.npy", false, 10, 0.3f, 1),
          read("diamonds, log10 price", "diamonds_f32.npy", true, 0.05, 0.02f, 4)};
}

Labels entries_of(const Labels& y, const Indices& rows) {
  Labels some(Index(rows.size()));
  for (Index i = 0; i < some.size(); ++i) some[i] = y[rows[std::size_t(i)]];
  return some;
}

double median(Labels y) {
  const auto middle = y.data() + y.size() / 2;
  std::nth_element(y.data(), middle, y.data() + y.size());
  return *middle;
}

/// Ranks from 0; equal values share their mean rank.
std::vector<double> ranks_of(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t first = 0, last; first < order.size(); first = last) {
    for (last = first; last < order.size() && values[order[last]] == values[order[first]]; ++last) {
    }
    for (std::size_t k = first; k < last; ++k) ranks[order[k]] = double(first + last - 1) / 2;
  }
  return ranks;
}

/// Pearson's correlation of the ranks.
double spearman(const std::vector<double>& a, const std::vector<double>& b) {
  const std::vector<double> p = ranks_of(a), q = ranks_of(b);
  const double mean = double(p.size() - 1) / 2;
  double pq = 0, pp = 0, qq = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    pq += (p[i] - mean) * (q[i] - mean);
    pp += (p[i] - mean) * (p[i] - mean);
    qq += (q[i] - mean) * (q[i] - mean);
  }
  return pp > 0 && qq > 0 ? pq / std::sqrt(pp * qq) : 0;
}

/// Of the pairs of rows: distance in `distances` against that of the labels.
double order_of(const Rows& distances, const Labels& y) {
  std::vector<double> apart, labels;
  for (Index i = 0; i < y.size(); ++i)
    for (Index j = 0; j < i; ++j) {
      apart.push_back(double(distances(i, j)));
      labels.push_back(std::abs(y[i] - y[j]));
    }
  return spearman(apart, labels);
}

Rows euclidean_distances(const Rows& x) {
  Rows d(x.rows(), x.rows());
  for (Index i = 0; i < x.rows(); ++i) d.row(i) = (x.rowwise() - x.row(i)).rowwise().norm();
  return d;
}

/// One linear layer to one number, fitted by L1.
struct Linear {
  Rows weight, weight_gradient;
  spheremix::Vector<float> bias, bias_gradient;

  explicit Linear(Index inputs)
      : weight(Rows::Zero(1, inputs)),
        weight_gradient(weight),
        bias(decltype(bias)::Zero(1)),
        bias_gradient(bias) {}

  void add_to(AdamW& optimizer) {
    optimizer.add(weight, weight_gradient);
    optimizer.add(bias, bias_gradient);
  }
  Labels predict(const Rows& x) const {
    return (x * weight.transpose()).col(0).cast<double>().array() + double(bias[0]);
  }
  /// Gradients of mean |prediction - y|; returns dL/dprediction.
  Rows l1_gradient(const Rows& x, const Labels& y) {
    const Rows g = ((predict(x) - y).array().sign() / double(y.size())).cast<float>().matrix();
    weight_gradient.noalias() = g.transpose() * x;
    bias_gradient[0] = g.sum();
    return g;
  }
  /// Full batches.
  void fit(const Rows& x, const Labels& y, int steps = 1000, double rate = 0.1) {
    AdamW optimizer(0);
    add_to(optimizer);
    for (int step = 0; step < steps; ++step) {
      l1_gradient(x, y);
      optimizer.step(cosine_rate(rate, step, steps));
    }
  }
};

/// One random split, standardised by its training part; targets too.
struct Data {
  Rows x, x_held;
  Labels y, y_held, level;  ///< level: rounded labels of the training rows, in levels
  double unit;              ///< of a standardised target

  Data(const Regression& task, const Split& split)
      : x(rows_of(task.x, split.train)),
        x_held(rows_of(task.x, split.held_out)),
        y(entries_of(task.y, split.train)),
        y_held(entries_of(task.y, split.held_out)),
        level((y / task.level).array().round()) {
    const Rows mean = x.colwise().mean();
    const Rows deviation =
        ((x.rowwise() - mean.row(0)).array().square().colwise().mean().sqrt()).matrix();
    for (Rows* part : {&x, &x_held})
      *part = ((part->rowwise() - mean.row(0)).array().rowwise() / deviation.row(0).array());
    const double centre = y.mean();
    unit = std::sqrt((y.array() - centre).square().mean());
    for (Labels* part : {&y, &y_held}) *part = (part->array() - centre) / unit;
  }

  double error(const Labels& prediction) const {
    return unit * (prediction - y_held).array().abs().mean();
  }
};

/// What trains the encoder first.
enum class Stage { median, inputs, none, l1, l1_mixed, contrast };

struct Method {
  const char* name;
  Stage stage;
  bool sphere = true;  ///< the last layer reads unit rows
  bool plain = false;  ///< SupCon: no weights either
  bool negatives = false, positives = false;
};

const std::vector<Method> methods{
    {"median", Stage::median},
    {"inputs, linear", Stage::inputs},
    {"L1", Stage::l1},
    {"L1, off the sphere", Stage::l1, false},
    {"L1, mixed inputs", Stage::l1_mixed},
    {"nothing", Stage::none},
    {"SupCon", Stage::contrast, true, true},
    {"weights, no mixing", Stage::contrast},
    {"Mix-neg", Stage::contrast, true, false, true, false},
    {"Mix-pos", Stage::contrast, true, false, false, true},
    {"SupReMix", Stage::contrast, true, false, true, true},
};

constexpr double kRate = 5e-3, kDecay = 0.01, kTemperature = 0.1, kWindow = 5, kBeta = 2;
constexpr Index kBatch = 64, kHidden = 128, kWidth = 64;

/// Encoder and last layer.
struct Model {
  Network network;
  Linear last;
  bool on_sphere;
  Rows unit;

  Model(Index inputs, bool on_sphere_, Philox& rng)
      : network(inputs, kHidden, kWidth, rng), last(kWidth), on_sphere(on_sphere_) {}

  const Rows& features(const Rows& x) {
    const Rows& u = network.forward(x);
    if (!on_sphere) return u;
    sphere::normalize_rows(u, unit);
    return unit;
  }
  /// The network's gradients from those of the features of the last features(x).
  void backward(const Rows& x, const Rows& gradient) {
    if (on_sphere)
      network.backward(x, sphere::normalize_rows_vjp(network.output(), gradient));
    else
      network.backward(x, gradient);
  }
};

/// The rows with normal noise.
Rows noisy(const Rows& x, float deviation, Philox& rng) {
  Rows noise(x.rows(), x.cols());
  const auto step = rng.take_step();
  for (Index i = 0; i < x.size(); ++i) {
    auto stream = rng.stream(step, std::uint64_t(i));
    noise.data()[i] = float(spheremix::math::normal_pair(stream).x);
  }
  return x + deviation * noise;
}

/// Two noisy views of the chosen rows, one under the other.
Rows two_views(const Rows& x, const Indices& chosen, float noise, Philox& rng) {
  const Rows rows = rows_of(x, chosen);
  Rows views(2 * rows.rows(), rows.cols());
  views << noisy(rows, noise, rng), noisy(rows, noise, rng);
  return views;
}

Labels twice(const Labels& y) {
  Labels both(2 * y.size());
  both << y, y;
  return both;
}

/// Trains the whole model by L1; with mixed inputs, lambda ~ Beta(2, 2) a row.
void train_l1(Model& model, const Data& data, float noise, bool mixed, int epochs, Philox& rng) {
  AdamW optimizer(kDecay);
  model.network.add_to(optimizer);
  model.last.add_to(optimizer);
  const Indices all = all_rows(data.x.rows());
  const int steps = batch_steps(all, kBatch, epochs);
  for_batches(all, kBatch, epochs, rng, [&](const Indices& chosen, int, int step) {
    Rows x = two_views(data.x, chosen, noise, rng);
    Labels y = twice(entries_of(data.y, chosen));
    if (mixed) {
      const Indices partner = spheremix::mixup::random_partners(x.rows(), rng);
      const Labels lambda = spheremix::mixup::beta<double>(x.rows(), kBeta, kBeta, rng);
      const Rows other = rows_of(x, partner);
      const spheremix::Vector<float> l = lambda.cast<float>();
      x = (l.asDiagonal() * x + (1 - l.array()).matrix().asDiagonal() * other).eval();
      y = (lambda.array() * y.array() + (1 - lambda.array()) * entries_of(y, partner).array())
              .eval();
    }
    const Rows g = model.last.l1_gradient(model.features(x), y);
    model.backward(x, g * model.last.weight);
    optimizer.step(cosine_rate(kRate, step, steps));
  });
}

/// Trains the encoder by contrast.
void train_contrast(Model& model, const Data& data, float noise, const Method& method, int epochs,
                    Philox& rng) {
  AdamW optimizer(kDecay);
  model.network.add_to(optimizer);
  const Indices all = all_rows(data.x.rows());
  const int steps = batch_steps(all, kBatch, epochs);
  spheremix::core::Workspace workspace;
  losses::SupervisedGradient<Rows> out;
  Philox mixing(rng.seed() ^ 0x9E3779B97F4A7C15u);
  for_batches(all, kBatch, epochs, rng, [&](const Indices& chosen, int, int step) {
    const Rows x = two_views(data.x, chosen, noise, rng);
    const Labels level = twice(entries_of(data.level, chosen));
    const Rows& z = model.features(x);
    if (method.plain)
      losses::sup_con_with_gradient(z, level, {.temperature = kTemperature}, workspace, out);
    else
      losses::sup_remix_with_gradient(z, level, mixing,
                                      {.temperature = kTemperature,
                                       .window = kWindow,
                                       .mix_negatives = method.negatives,
                                       .mix_positives = method.positives},
                                      workspace, out);
    model.backward(x, out.x);
    optimizer.step(cosine_rate(kRate, step, steps));
  });
}

/// error and order of the frozen encoder's representation, error after training it all by L1.
std::vector<double> run_one(const Regression& task, const Method& method, int epochs,
                            std::uint64_t seed) {
  Philox rng(seed);
  const Data data(task, make_split(task.x.rows(), rng));
  if (method.stage == Stage::median) {
    const double error = data.error(Labels::Constant(data.y_held.size(), median(data.y)));
    return {error, 0, error};
  }
  if (method.stage == Stage::inputs) {
    Linear layer(data.x.cols());
    layer.fit(data.x, data.y);
    const double error = data.error(layer.predict(data.x_held));
    return {error, order_of(euclidean_distances(data.x_held), data.y_held), error};
  }
  Model model(data.x.cols(), method.sphere, rng);
  if (method.stage == Stage::contrast) train_contrast(model, data, task.noise, method, epochs, rng);
  if (method.stage == Stage::l1 || method.stage == Stage::l1_mixed)
    train_l1(model, data, task.noise, method.stage == Stage::l1_mixed, epochs, rng);
  else
    model.last.fit(model.features(data.x), data.y);
  const Rows z = model.features(data.x_held);
  const double frozen = data.error(model.last.predict(z));
  const Rows distances =
      method.sphere ? sphere::geodesic_distance_matrix(z, z) : euclidean_distances(z);
  train_l1(model, data, task.noise, false, epochs, rng);
  return {frozen, order_of(distances, data.y_held),
          data.error(model.last.predict(model.features(data.x_held)))};
}

/// What one data set says of SupReMix, seed by seed.
std::string sentence(const Regression& task, const Table& table) {
  const auto compared = [&](const char* column, int digits) {
    std::string text;
    for (const char* base : {"L1", "SupCon", "weights, no mixing"})
      text += std::string(text.empty() ? "" : ", ") +
              table.changed("SupReMix", base, column, digits) + " against " + base;
    return text;
  };
  return task.name + ": SupReMix's order is " + demo::figure(table.at("SupReMix", "order"), 3) +
         ", seed by seed " + compared("order", 3) + " (above 0: better). Its error is " +
         demo::figure(table.at("SupReMix", "MAE"), task.digits) + " frozen, " +
         compared("MAE", task.digits) + ", and " +
         demo::figure(table.at("SupReMix", "MAE tuned"), task.digits) + " tuned, " +
         compared("MAE tuned", task.digits) + " (below 0: better).";
}

Json run(const std::vector<Regression>& tasks, const Options& o) {
  std::vector<std::string> names;
  for (const Method& m : methods) names.push_back(m.name);
  std::vector<Table> tables;
  long runs = 0;
  for (const Regression& task : tasks) {
    tables.emplace_back(
        task.name,
        std::vector<Column>{{"MAE", task.digits}, {"order", 3}, {"MAE tuned", task.digits}}, names,
        o.seeds);
    runs += tables.back().runs();
  }
  demo::Progress progress(runs, "runs");
  for (std::size_t k = 0; k < tasks.size(); ++k)
    tables[k].fill(o.threads, progress, [&](std::size_t r, int seed) {
      return run_one(tasks[k], methods[r], o.epochs, std::uint64_t(3000 + 10000 * seed));
    });
  std::printf(
      "held-out quarter, mean ± standard error over %d seeds; τ %g, window %g levels, %d epochs\n",
      o.seeds, kTemperature, kWindow, o.epochs);
  Json json{{"program", "sup_remix"}, {"epochs", o.epochs}, {"tables", Json::array()}};
  std::vector<std::string> sentences;
  for (std::size_t k = 0; k < tasks.size(); ++k) {
    tables[k].print();
    json["tables"].push_back(tables[k].json());
    sentences.push_back(sentence(tasks[k], tables[k]));
  }
  json["findings"] = conclude(sentences);
  return json;
}

}  // namespace

int main(int argc, char** argv) {
  return program(argc, argv, "sup_remix",
                 "SupReMix: contrast with mixtures for two real regressions.", load, run, 15);
}
