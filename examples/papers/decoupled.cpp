// Decoupled mixup on two real tasks: the nine groups of the emoji pictures, and handwritten digits.
//
//   spheremix-papers-decoupled [--data DIR] [--out DIR] [--seeds N] [--epochs N]
//
// One hidden layer of 128 units on standardised features; the inputs of two rows are mixed with one
// lambda ~ Beta(alpha, alpha) a batch. With all labels, against alpha:
//
//   cross entropy          no mixing
//   mixup                  lambda CE(a) + (1 - lambda) CE(b)
//   mixup + DM(CE)         that + .1 of the regulariser: each class against the unmixed rest
//   control: + .1 CE       that + .1 (CE(a) + CE(b)), the same push without decoupling
//   mixup, BCE             binary cross entropy, targets lambda and 1 - lambda
//   mixup, DM(BCE)         targets min(1, lambda / .8) and min(1, (1 - lambda) / .8)
//
// With a tenth of the labels: half of every batch is labelled rows under cross entropy; after a
// third of the steps the other half is labelled rows mixed with unlabelled ones, which carry the
// class the network gives them; the regulariser has weight 1 (the control adds CE(a)).
// Accuracy, ECE and mean confidence on a held-out quarter. Confidence: the largest softmax, for the
// binary losses the largest sigmoid.
// Source   Liu et al. 2022, "Harnessing Hard Mixed Samples with Decoupled Regularizer", arXiv
//          2203.10761.
#include "program.hpp"
#include "spheremix/losses/decoupled_mixup.hpp"
#include "spheremix/metrics/calibration.hpp"
#include "spheremix/mixup/beta.hpp"
#include "spheremix/mixup/linear.hpp"
#include "training.hpp"

namespace {

using namespace papers;
namespace losses = spheremix::losses;
namespace mixup = spheremix::mixup;

constexpr int kEpochs = 60;
constexpr Index kBatch = 128, kHidden = 128;
constexpr double kRate = 3e-3, kDecay = 0.01;
constexpr double kEta = 0.1, kEtaFewLabels = 1;
const std::vector<double> kAlphas{0.2, 0.5, 1, 2};

struct Task {
  std::string name;
  Rows x;
  Indices y;
  Index classes = 0;
};

/// Every feature with mean 0, all together with variance 1.
Rows standardised(Rows x) {
  x.rowwise() -= x.colwise().mean().eval();
  return x * std::sqrt(float(x.size()) / x.squaredNorm());
}

std::vector<Task> load(const std::filesystem::path& folder) {
  std::vector<Task> tasks;
  const auto groups = demo::read_column(folder / "groups.tsv", "group");
  tasks.push_back({"Emoji groups", standardised(demo::load_pairs(folder).image),
                   classes_of(demo::read_column(folder / "items.tsv", "group"), groups),
                   Index(groups.size())});
  const Rows digits = spheremix::io::load_npy<float>((folder / "digits_8x8_f16.npy").string());
  if (digits.cols() != 65) throw std::runtime_error("digits_8x8_f16.npy needs 65 columns");
  tasks.push_back({"Handwritten digits", standardised(digits.leftCols(64)), {}, 10});
  for (Index i = 0; i < digits.rows(); ++i) tasks.back().y.push_back(Index(digits(i, 64)));
  return tasks;
}

const std::vector<Column> kColumns{{"accuracy"}, {"ECE"}, {"confidence"}};

enum class Confidence { softmax, sigmoid };

std::vector<double> evaluate(Network& net, const Rows& x, const Indices& y, Confidence kind) {
  const Rows& z = net.forward(x);
  const Indices best = largest_of(z);
  demo::Column stated(z.rows()), right(z.rows());
  for (Index i = 0; i < z.rows(); ++i) {
    const float top = z.row(i).maxCoeff();
    stated[i] = kind == Confidence::softmax
                    ? std::min(1.0f, 1 / (z.row(i).array() - top).exp().sum())
                    : 1 / (1 + std::exp(-top));
    right[i] = best[std::size_t(i)] == y[std::size_t(i)];
  }
  return {double(right.mean()), spheremix::metrics::expected_calibration_error(stated, right),
          double(stated.mean())};
}

/// What the mixed rows are trained with.
enum class Loss {
  cross_entropy,
  mixup,
  decoupled,
  labelled,
  control,
  control_a,
  bce,
  bce_decoupled
};

/// Sets dL/dlogits of the mean loss of rows mixed from classes a and b with weight lambda on a.
class Objective {
 public:
  Objective(Loss loss, double eta) : loss_(loss), eta_(eta) {
    options_.weight = loss == Loss::decoupled || loss == Loss::labelled ? eta : 0;
    if (loss == Loss::labelled) options_.direction = losses::DecoupledDirection::labelled;
    if (loss != Loss::bce && loss != Loss::bce_decoupled) return;
    options_.form = losses::DecoupledForm::binary;
    options_.weighting = loss == Loss::bce ? losses::DecoupledWeighting::lambda
                                           : losses::DecoupledWeighting::rescaled;
    options_.threshold = 0.8;
  }

  template <class Z>
  const Rows& gradient(const Z& logits, const Indices& a, const Indices& b, double lambda) {
    losses::decoupled_mixup_with_gradient(logits, a, b, lambda, options_, workspace_, out_);
    if (loss_ == Loss::control || loss_ == Loss::control_a) {
      const bool both = loss_ == Loss::control;  // CE(a) + CE(b) is twice the mixture at 1/2
      losses::mixup_cross_entropy_with_gradient(logits, a, b, both ? 0.5 : 1.0, workspace_, more_);
      out_.logits += float(both ? 2 * eta_ : eta_) * more_.logits;
    }
    return out_.logits;
  }

 private:
  Loss loss_;
  double eta_;
  losses::DecoupledMixupOptions options_;
  spheremix::core::Workspace workspace_;
  losses::MixedLabelGradient<Rows> out_, more_;
};

double draw(double alpha, Philox& rng) { return mixup::beta<double>(1, alpha, alpha, rng)[0]; }

/// All labels: trains on three quarters, measures on the rest.
std::vector<double> all_labels(const Task& task, Loss loss, double alpha, int epochs, int seed) {
  Philox rng(1000 + std::uint64_t(seed));
  const Split split = make_split(task.x.rows(), rng);
  Network net(task.x.cols(), kHidden, task.classes, rng);
  AdamW optimizer(kDecay);
  net.add_to(optimizer);
  Objective objective(loss, kEta);
  const int steps = batch_steps(split.train, kBatch, epochs);
  for_batches(split.train, kBatch, epochs, rng, [&](const Indices& rows, int, int step) {
    const Rows x = rows_of(task.x, rows);
    const Indices a = entries_of(task.y, rows), partner = mixup::random_partners(kBatch, rng);
    const double lambda = draw(alpha, rng);
    if (loss == Loss::cross_entropy) {
      net.backward(x, objective.gradient(net.forward(x), a, a, 1));
    } else {
      const Rows mixed = mixup::linear(x, rows_of(x, partner), float(lambda));
      net.backward(mixed,
                   objective.gradient(net.forward(mixed), a, entries_of(a, partner), lambda));
    }
    optimizer.step(cosine_rate(kRate, step, steps));
  });
  const bool binary = loss == Loss::bce || loss == Loss::bce_decoupled;
  return evaluate(net, rows_of(task.x, split.held_out), entries_of(task.y, split.held_out),
                  binary ? Confidence::sigmoid : Confidence::softmax);
}

/// What the second half of a batch is.
enum class Partner { none, labelled, unlabelled, unlabelled_alone };

/// A tenth of the labels; the pseudo label of an unlabelled row is the class of its largest logit.
std::vector<double> few_labels(const Task& task, Partner partner, Loss loss, int epochs, int seed) {
  Philox rng(1000 + std::uint64_t(seed));
  const Split split = make_split(task.x.rows(), rng);
  const auto tenth = split.train.begin() + Index(split.train.size()) / 10;
  const Indices labelled(split.train.begin(), tenth), unlabelled(tenth, split.train.end());
  Network net(task.x.cols(), kHidden, task.classes, rng);
  AdamW optimizer(kDecay);
  net.add_to(optimizer);
  Objective plain(Loss::cross_entropy, 0), objective(loss, kEtaFewLabels);
  const Index half = kBatch / 2;
  const int steps = batch_steps(unlabelled, half, epochs);
  const auto some = [&] {
    const Indices order = entries_of(labelled, mixup::random_partners(Index(labelled.size()), rng));
    return Indices(order.begin(), order.begin() + half);
  };
  for_batches(unlabelled, half, epochs, rng, [&](const Indices& rows, int, int step) {
    const Indices first = some(), second = some(), third = some();
    const double lambda = draw(1, rng);
    const Indices a = entries_of(task.y, first);
    Rows x = rows_of(task.x, first);
    if (partner == Partner::none || step < steps / 3) {
      net.backward(x, plain.gradient(net.forward(x), a, a, 1));
    } else {
      const Rows other = rows_of(task.x, partner == Partner::labelled ? third : rows);
      const Indices c = entries_of(task.y, second), d = partner == Partner::labelled
                                                            ? entries_of(task.y, third)
                                                            : largest_of(net.forward(other));
      const double kept = partner == Partner::unlabelled_alone ? 0 : lambda;
      x.conservativeResize(2 * half, Eigen::NoChange);
      x.bottomRows(half) = mixup::linear(rows_of(task.x, second), other, float(kept));
      const Rows& z = net.forward(x);
      Rows g(2 * half, task.classes);
      g.topRows(half) = plain.gradient(z.topRows(half), a, a, 1);
      g.bottomRows(half) = objective.gradient(z.bottomRows(half), c, d, kept);
      net.backward(x, g);
    }
    optimizer.step(cosine_rate(kRate, step, steps));
  });
  return evaluate(net, rows_of(task.x, split.held_out), entries_of(task.y, split.held_out),
                  Confidence::softmax);
}

std::string row_name(const std::string& loss, double alpha) {
  return loss + ", α " + demo::figure(alpha, 1);
}

struct Named {
  std::string name;
  Loss loss;
};
const std::vector<Named> kMixed{{"mixup", Loss::mixup},
                                {"mixup + DM(CE)", Loss::decoupled},
                                {"control: + .1 CE", Loss::control},
                                {"mixup, BCE", Loss::bce},
                                {"mixup, DM(BCE)", Loss::bce_decoupled}};

Table supervised(const Task& task, const Options& options, demo::Progress& progress) {
  std::vector<std::string> names{"cross entropy"};
  std::vector<std::pair<Loss, double>> runs{{Loss::cross_entropy, 1}};
  for (const double alpha : kAlphas)
    for (const Named& m : kMixed) {
      names.push_back(row_name(m.name, alpha));
      runs.push_back({m.loss, alpha});
    }
  Table table(task.name + ", all labels", kColumns, names, options.seeds);
  table.fill(options.threads, progress, [&](std::size_t r, int seed) {
    return all_labels(task, runs[r].first, runs[r].second, options.epochs, seed);
  });
  return table;
}

const std::vector<std::string> kFewNames{"labels alone",
                                         "mixup of labelled rows",
                                         "pseudo labels, no mixing",
                                         "mixup with pseudo labels",
                                         "+ DM, both directions",
                                         "+ DM, labelled direction",
                                         "control: + CE of the labelled class"};

const std::vector<std::pair<Partner, Loss>> kFewRuns{
    {Partner::none, Loss::cross_entropy},     {Partner::labelled, Loss::mixup},
    {Partner::unlabelled_alone, Loss::mixup}, {Partner::unlabelled, Loss::mixup},
    {Partner::unlabelled, Loss::decoupled},   {Partner::unlabelled, Loss::labelled},
    {Partner::unlabelled, Loss::control_a}};

Table semi_supervised(const Task& task, const Options& options, demo::Progress& progress) {
  Table table(task.name + ", 10 % of the labels", kColumns, kFewNames, options.seeds);
  table.fill(options.threads, progress, [&](std::size_t r, int seed) {
    return few_labels(task, kFewRuns[r].first, kFewRuns[r].second, options.epochs, seed);
  });
  return table;
}

/// Mean over the mixing coefficients of loss - base, seed by seed.
Estimate over_alphas(const Table& t, const std::string& loss, const std::string& base,
                     const std::string& column) {
  std::vector<double> sum;
  for (const double alpha : kAlphas) {
    const auto a = t.values(row_name(loss, alpha), column),
               b = t.values(base == "cross entropy" ? base : row_name(base, alpha), column);
    sum.resize(a.size());
    for (std::size_t s = 0; s < a.size(); ++s) sum[s] += (a[s] - b[s]) / double(kAlphas.size());
  }
  return demo::estimate(sum);
}

/// What a change of accuracy against the method without decoupling, and against the control, says.
std::string verdict(Estimate gain, Estimate over_control) {
  if (demo::direction(gain) < 0) return "the paper's gain does not appear here: it loses";
  if (demo::direction(gain) == 0) return "the paper's gain does not appear here";
  return demo::direction(over_control) > 0
             ? "the paper's gain appears here"
             : "a gain appears, but the control without decoupling has it too";
}

std::vector<std::string> sentences(const Task& task, const Table& all, const Table& few) {
  const auto by = [](Estimate e) { return demo::signed_figure(e); };
  const auto mean = [&](const char* loss, const char* base, const char* column) {
    return over_alphas(all, loss, base, column);
  };
  const Estimate dm = mean("mixup + DM(CE)", "mixup", "accuracy"),
                 dm_control = mean("mixup + DM(CE)", "control: + .1 CE", "accuracy"),
                 binary = mean("mixup, DM(BCE)", "mixup, BCE", "accuracy"),
                 few_gain = few.change(kFewNames[5], kFewNames[3], "accuracy"),
                 few_control = few.change(kFewNames[5], kFewNames[6], "accuracy");
  return {
      task.name + ", mean over α. Mixup against cross entropy: accuracy " +
          by(mean("mixup", "cross entropy", "accuracy")) + ", ECE " +
          by(mean("mixup", "cross entropy", "ECE")) + ". DM(CE) against mixup: accuracy " + by(dm) +
          ", ECE " + by(mean("mixup + DM(CE)", "mixup", "ECE")) +
          "; against the control: accuracy " + by(dm_control) + ": " + verdict(dm, dm_control) +
          ". DM(BCE) against mixup with BCE: accuracy " + by(binary) + ", ECE " +
          by(mean("mixup, DM(BCE)", "mixup, BCE", "ECE")) + ".",
      task.name +
          ", 10 % of the labels. DM in the labelled direction against mixup with pseudo labels: "
          "accuracy " +
          by(few_gain) +
          "; against both directions: " + by(few.change(kFewNames[5], kFewNames[4], "accuracy")) +
          "; against the control: " + by(few_control) + ": " + verdict(few_gain, few_control) +
          ". Mixup with pseudo labels against labels alone: " +
          by(few.change(kFewNames[3], kFewNames[0], "accuracy")) + "."};
}

Json run(const std::vector<Task>& tasks, const Options& options) {
  Json json;
  std::vector<std::string> all;
  const std::size_t rows = 1 + kAlphas.size() * kMixed.size() + kFewNames.size();
  demo::Progress progress(long(tasks.size() * rows) * options.seeds, "runs");
  for (const Task& task : tasks) {
    const Table full = supervised(task, options, progress),
                few = semi_supervised(task, options, progress);
    full.print();
    few.print();
    json["tables"].push_back(full.json());
    json["tables"].push_back(few.json());
    for (const std::string& s : sentences(task, full, few)) all.push_back(s);
  }
  json["findings"] = conclude(all);
  return json;
}

}  // namespace

int main(int argc, char** argv) {
  return program(
      argc, argv, "decoupled",
      "Decoupled mixup: emoji groups and handwritten digits, with all labels and a tenth.", load,
      run, kEpochs);
}
