// Geodesic multi-modal mixup on real pairs, arXiv 2203.03897: what the paper measures, on emoji
// pictures and their names.
//
//   spheremix-papers-m2_mix [--data DIR] [--out DIR] [--seeds N] [--epochs N]
//                          [--threads N] [--texts feat,minilm]
//
// 1. Trained on clip art, tested on emoji: another style of picture.
// 2. The CLIP heads of 1 fine-tuned on three quarters of the emoji: retrieval and its calibration,
//    classes by the embeddings of their names (zero-shot) and with four pictures more (few-shot),
//    embedding arithmetic, hardness of the mixed negatives, alignment and uniformity on the way,
//    and what is left of clip art.
// 3. The same, fine-tuned on half of the groups, tested on the others.
//
// All of it for the texts of either encoder (texts.hpp), the same seeds. Controls: CLIP at another
// temperature, CLIP with a second temperature and no mixing, the heads before fine-tuning, ECE with
// the temperature refitted, arithmetic without its step.
#include <algorithm>

#include "emoji_arithmetic.hpp"
#include "m2_training.hpp"
#include "program.hpp"
#include "spheremix/metrics/alignment.hpp"
#include "spheremix/metrics/contrastive_calibration.hpp"
#include "spheremix/metrics/embedding_arithmetic.hpp"
#include "spheremix/metrics/hardness.hpp"
#include "spheremix/metrics/modality_gap.hpp"
#include "spheremix/metrics/retrieval.hpp"
#include "spheremix/metrics/uniformity.hpp"
#include "spheremix/metrics/zero_shot.hpp"

namespace {

using namespace papers;
namespace metrics = spheremix::metrics;

/// Classes of the emoji: the class of each, and the text features of the classes' names.
struct Naming {
  Indices label;
  Rows prompts;
};

struct Task {
  std::string texts;
  Domain emoji, art;
  Naming group, subgroup;
  EmojiQuestions questions;
};

Naming naming(const std::filesystem::path& data, const std::string& what,
              const std::string& texts) {
  return {classes_of(demo::read_column(data / "items.tsv", what),
                     demo::read_column(data / (what + "s.tsv"), what)),
          spheremix::io::load_npy<float>((data / (what + "_" + texts)).string())};
}

std::vector<Task> load(const std::filesystem::path& data) {
  std::vector<Task> tasks;
  for (const auto& [name, file] : text_encoders) {
    const demo::Pairs emoji = demo::load_pairs(data, file);
    const auto art = [&](const std::string& array) {
      return spheremix::io::load_npy<float>((data / "openclipart" / array).string());
    };
    tasks.push_back({name,
                     {emoji.image, emoji.text},
                     {art("image_feat_256_f16.npy"), art(file)},
                     naming(data, "group", file),
                     naming(data, "subgroup", file),
                     emoji_questions(emoji.name)});
  }
  return tasks;
}

/// Unit rows of pictures and texts.
struct Embedded {
  Rows image, text;

  Embedded of(const Indices& rows) const { return {rows_of(image, rows), rows_of(text, rows)}; }
};

Embedded embed(Heads& heads, const Domain& domain) {
  return {heads.image.forward(domain.image), heads.text.forward(domain.text)};
}

struct Found {
  double recall1, recall10;  ///< means of both directions
};

Found found(const Embedded& e) {
  const auto r = metrics::retrieval_both(e.image, e.text, {.k = {1, 10}});
  return {(r.x_to_y.recall[0] + r.y_to_x.recall[0]) / 2,
          (r.x_to_y.recall[1] + r.y_to_x.recall[1]) / 2};
}

double calibration_error(const Embedded& e, double temperature) {
  const auto c = metrics::contrastive_calibration(e.image, e.text, {.temperature = temperature});
  return (c.x_to_y + c.y_to_x) / 2;
}

/// ECE on the second half of the pairs at the temperature with the least CLIP loss on the first.
double refitted_calibration_error(const Embedded& e) {
  const Index half = e.image.rows() / 2, rest = e.image.rows() - half;
  double best = 0, least = spheremix::core::infinity<double>;
  for (double temperature = 0.005; temperature < 1; temperature *= 1.1) {
    const double loss = spheremix::losses::clip(e.image.topRows(half), e.text.topRows(half),
                                                {.temperature = temperature});
    if (loss < least) {
      least = loss;
      best = temperature;
    }
  }
  return calibration_error({e.image.bottomRows(rest), e.text.bottomRows(rest)}, best);
}

double zero_shot(Heads& heads, const Naming& names, const Rows& images, const Indices& rows) {
  return metrics::zero_shot_accuracy(images, heads.text.forward(names.prompts),
                                     entries_of(names.label, rows), {.k = {1}})[0];
}

/// A class is the unit mean of its name's embedding and those of up to four training pictures.
double few_shot(Heads& heads, const Naming& names, const Rows& all_images, const Split& split) {
  const Index classes = names.prompts.rows();
  Indices shots, of = all_rows(classes);
  std::vector<int> taken(of.size(), 0);
  for (const Index i : split.train) {
    const Index c = names.label[std::size_t(i)];
    if (taken[std::size_t(c)]++ >= 4) continue;
    shots.push_back(i);
    of.push_back(c);
  }
  Rows prompts(Index(of.size()), all_images.cols());
  prompts << heads.text.forward(names.prompts), rows_of(all_images, shots);
  return metrics::zero_shot_accuracy(rows_of(all_images, split.held_out),
                                     metrics::class_prototypes(prompts, of, classes),
                                     entries_of(names.label, split.held_out), {.k = {1}})[0];
}

double arithmetic(const Embedded& all, const Questions& q, double scale) {
  return metrics::embedding_arithmetic(all.image, all_rows(all.image.rows()), q.query,
                                       rows_of(all.text, q.from), rows_of(all.text, q.to), q.wanted,
                                       {.scale = scale})
      .accuracy;
}

// The columns of each experiment, in the order in which its run returns them.
const std::vector<Column> retrieval_columns{{"R@1"}, {"R@10"}, {"ECE"}, {"ECE refit"}},
    shape_columns{{"gap", 2}, {"align", 2}, {"unif", 2}},
    class_columns{{"9 groups"}, {"99 subgroups"}, {"9, 4 shots"}, {"99, 4 shots"}},
    arithmetic_columns{{"gender"}, {"gender, no step"}, {"hair"}, {"hair, no step"}},
    shift_columns{{"R@1"}, {"R@10"}, {"9 groups"}, {"99 subgroups"}, {"gap", 2}};
const std::vector<double> hardness_at{0.1, 0.25, 0.5, 0.75, 0.9};

std::string numbered(const char* what, double number) {
  char text[40];
  std::snprintf(text, sizeof text, "%s %g", what, number);
  return text;
}

std::vector<Column> numbered_columns(const char* what, const auto& numbers, int digits) {
  std::vector<Column> columns;
  for (const auto n : numbers) columns.push_back({numbered(what, double(n)), digits});
  return columns;
}

template <class... More>
std::vector<Column> joined(std::vector<Column> columns, const More&... more) {
  (columns.insert(columns.end(), more.begin(), more.end()), ...);
  return columns;
}

/// shift_columns for the rows given.
std::vector<double> shifted(const Task& task, Heads& heads, const Indices& rows) {
  const Embedded e = embed(heads, task.emoji).of(rows);
  const Found f = found(e);
  return {f.recall1, f.recall10, zero_shot(heads, task.group, e.image, rows),
          zero_shot(heads, task.subgroup, e.image, rows), metrics::modality_gap(e.image, e.text)};
}

constexpr auto nothing = [](int) {};

/// 0, a third, two thirds, all of them.
std::vector<int> epochs_shown(int epochs) {
  std::vector<int> shown;
  for (const int epoch : {0, epochs / 3, 2 * epochs / 3, epochs})
    if (shown.empty() || shown.back() != epoch) shown.push_back(epoch);
  return shown;
}

/// Experiment 1; hands the heads over.
std::vector<double> trained_on_art(const Task& task, const MixMethod& method,
                                   const TrainingPlan& plan, std::uint64_t seed,
                                   std::vector<Heads>& to) {
  Philox rng(seed);
  const Split art = make_split(task.art.image.rows(), rng);
  Heads heads(task.art, rng);
  train_heads(heads, task.art, art.train, method, plan, seed + 500, nothing);
  std::vector<double> values = shifted(task, heads, all_rows(task.emoji.image.rows()));
  values.push_back(found(embed(heads, task.art).of(art.held_out)).recall1);
  to.push_back(std::move(heads));
  return values;
}

/// Experiment 2. No method: the heads as they are.
std::vector<double> fine_tuned(const Task& task, const MixMethod* method, const TrainingPlan& plan,
                               Heads heads, std::uint64_t seed) {
  Philox rng(seed);
  const Split art = make_split(task.art.image.rows(), rng);  // as experiment 1 held it out
  const Split split = make_split(task.emoji.image.rows(), rng);
  std::vector<double> align, uniform;
  const std::vector<int> shown = epochs_shown(plan.epochs);
  const auto glance = [&](int epoch) {
    if (std::find(shown.begin(), shown.end(), epoch) == shown.end()) return;
    const Rows v = heads.image.forward(rows_of(task.emoji.image, split.held_out)),
               t = heads.text.forward(rows_of(task.emoji.text, split.held_out));
    align.push_back(metrics::alignment(v, t));
    uniform.push_back(metrics::joint_uniformity(v, t));
  };
  if (method) {
    train_heads(heads, task.emoji, split.train, *method, plan, seed + 700, glance);
    glance(plan.epochs);
  } else {
    for (const int epoch : shown) glance(epoch);
  }

  const Embedded all = embed(heads, task.emoji), held = all.of(split.held_out);
  const Found f = found(held);
  std::vector<double> values{f.recall1,
                             f.recall10,
                             calibration_error(held, method ? method->temperature : 0.01),
                             refitted_calibration_error(held),
                             metrics::modality_gap(held.image, held.text),
                             align.back(),
                             uniform.back(),
                             zero_shot(heads, task.group, held.image, split.held_out),
                             zero_shot(heads, task.subgroup, held.image, split.held_out),
                             few_shot(heads, task.group, all.image, split),
                             few_shot(heads, task.subgroup, all.image, split)};
  std::vector<bool> unseen(std::size_t(all.image.rows()), false);
  for (const Index i : split.held_out) unseen[std::size_t(i)] = true;
  for (const Questions* q : {&task.questions.gender, &task.questions.hair})
    for (const double scale : {1.0, 0.0})
      values.push_back(arithmetic(all, q->wanted_among(unseen), scale));
  values.push_back(found(embed(heads, task.art).of(art.held_out)).recall1);
  for (const double lambda : hardness_at)
    values.push_back(metrics::hardness(held.image, held.text, lambda));
  values.insert(values.end(), align.begin(), align.end());
  values.insert(values.end(), uniform.begin(), uniform.end());
  return values;
}

/// Experiment 3: groups in random order are trained on until they hold half of the pairs.
std::vector<double> new_groups(const Task& task, const MixMethod* method, const TrainingPlan& plan,
                               Heads heads, std::uint64_t seed) {
  Philox rng(seed + 900);
  const Indices order = spheremix::mixup::random_partners(task.group.prompts.rows(), rng);
  Split split;
  for (const Index group : order) {
    const bool full = 2 * split.train.size() >= task.group.label.size();
    for (std::size_t i = 0; i < task.group.label.size(); ++i)
      if (task.group.label[i] == group) (full ? split.held_out : split.train).push_back(Index(i));
  }
  if (method) train_heads(heads, task.emoji, split.train, *method, plan, seed + 1100, nothing);
  return shifted(task, heads, split.held_out);
}

/// What the seeds tell of m2-Mix against the control, 1 where it is better.
std::vector<Told> against_control(const Table& art, const Table& tuned, const Table& groups) {
  struct Compared {
    const Table& table;
    const char *column, *what;
    int better;  ///< 1: higher is better, -1: lower
  };
  std::vector<Told> told;
  for (const Compared& c : std::initializer_list<Compared>{
           {tuned, "R@1", "R@1", 1},
           {tuned, "ECE", "calibration", -1},
           {tuned, "ECE refit", "calibration refitted", -1},
           {tuned, "gap", "gap", -1},
           {tuned, "align", "alignment", -1},
           {tuned, "9 groups", "zero-shot groups", 1},
           {tuned, "99 subgroups", "zero-shot subgroups", 1},
           {tuned, "9, 4 shots", "few-shot groups", 1},
           {tuned, "99, 4 shots", "few-shot subgroups", 1},
           {tuned, "gender", "gender arithmetic", 1},
           {tuned, "hair", "hair arithmetic", 1},
           {tuned, "art R@1", "R@1 left on clip art", 1},
           {art, "R@10", "R@10 from clip art", 1},
           {art, "99 subgroups", "zero-shot subgroups from clip art", 1},
           {groups, "R@10", "R@10 in new groups", 1},
           {groups, "99 subgroups", "zero-shot subgroups in new groups", 1}})
    told.push_back(
        {c.what, c.better * demo::direction(c.table.change("+ m2", "CLIP + CLIP(.07)", c.column))});
  return told;
}

std::vector<std::string> sentences(const Table& tuned, const std::vector<Told>& told) {
  const auto f = [&](const char* row, const char* column, int digits) {
    return demo::figure(tuned.at(row, column), digits);
  };
  const auto added = [&](const char* row, const char* base) {
    return tuned.changed(row, base, "R@1");
  };
  std::string first = "The gap is " + f("before", "gap", 2) + " before fine-tuning, " +
                      f("CLIP", "gap", 2) + " after CLIP, " + f("+ m2", "gap", 2) +
                      " with m2-Mix, " + f("+ m3", "gap", 2) + " with m3-Mix and " +
                      f("CLIP + CLIP(.07)", "gap", 2) + " with a second temperature alone.";
  std::string second =
      "Held-out R@1 is " + f("CLIP", "R@1", 3) + " with CLIP; seed by seed m2-Mix changes it by " +
      added("+ m2", "CLIP") + ", m3-Mix by " + added("+ m3", "CLIP") +
      ", a second temperature without mixing by " + added("CLIP + CLIP(.07)", "CLIP") +
      ", τ = .05 without mixing by " + added("CLIP, τ .05", "CLIP") + "; at τ = .05 m2-Mix adds " +
      added("+ m2, τ .05", "CLIP, τ .05") + ".";
  std::string better, worse;
  int same = 0;
  for (const Told& t : told) {
    if (t.direction == 0) ++same;
    std::string& list = t.direction > 0 ? better : worse;
    if (t.direction != 0) list += (list.empty() ? "" : ", ") + t.what;
  }
  std::string third = "Against that control m2-Mix is better in " +
                      (better.empty() ? std::string("nothing") : better) + "; worse in " +
                      (worse.empty() ? std::string("nothing") : worse) +
                      "; and the seeds tell no difference in the other " + std::to_string(same) +
                      " of 16 (two standard errors, no correction for their number).";
  return {first, second, third};
}

Reading study(const Task& task, const Options& o) {
  std::vector<std::string> all{"before"}, few{"before"}, from_art;
  for (const MixMethod& m : mix_methods) all.push_back(m.name);
  for (const char* name : {"CLIP", "CLIP, τ .05", "CLIP + CLIP(.07)", "+ m2", "+ m3"}) {
    few.push_back(name);
    from_art.push_back(name);
  }
  const TrainingPlan plan{.epochs = o.epochs};
  const std::vector<int> epochs = epochs_shown(plan.epochs);
  const Column art_left{"art R@1"};
  const auto hardness_columns = numbered_columns("λ", hardness_at, 2),
             align_columns = numbered_columns("align @", epochs, 2),
             uniform_columns = numbered_columns("unif @", epochs, 2);
  const auto titled = [&](const std::string& title) { return task.texts + ": " + title; };
  Table art(titled("trained on clip art, tested on emoji"),
            joined(shift_columns, std::vector{art_left}), from_art, o.seeds);
  Table tuned(titled("fine-tuned on emoji, held-out quarter"),
              joined(retrieval_columns, shape_columns, class_columns, arithmetic_columns,
                     std::vector{art_left}, hardness_columns, align_columns, uniform_columns),
              all, o.seeds);
  Table groups(titled("fine-tuned on half of the groups, tested on the others"), shift_columns, few,
               o.seeds);
  demo::Progress progress(art.runs() + tuned.runs() + groups.runs(), "runs");

  std::vector<std::vector<Heads>> start(std::size_t(o.seeds));  // CLIP's, one a seed
  const auto seed_of = [](int seed) { return std::uint64_t(2000 + 10000 * seed); };
  const auto method = [](const std::string& name) {
    return name == "before" ? nullptr : &mix_method(name);
  };
  art.fill(o.threads, progress, [&](std::size_t r, int seed) {
    std::vector<Heads> heads;
    auto values = trained_on_art(task, *method(from_art[r]), plan, seed_of(seed), heads);
    if (r == 0) start[std::size_t(seed)] = std::move(heads);
    return values;
  });
  tuned.fill(o.threads, progress, [&](std::size_t r, int seed) {
    return fine_tuned(task, method(all[r]), plan, start[std::size_t(seed)][0], seed_of(seed));
  });
  groups.fill(o.threads, progress, [&](std::size_t r, int seed) {
    return new_groups(task, method(few[r]), plan, start[std::size_t(seed)][0], seed_of(seed));
  });

  Reading reading;
  for (const Table& table : std::initializer_list<Table>{
           art,
           tuned.part(titled("fine-tuned: retrieval, shape"),
                      joined(retrieval_columns, shape_columns, std::vector{art_left})),
           tuned.part(titled("fine-tuned: classes, arithmetic"),
                      joined(class_columns, arithmetic_columns)),
           groups,
           tuned.part(titled("fine-tuned: mixed negatives at least as hard"), hardness_columns),
           tuned.part(titled("fine-tuned: over epochs"), joined(align_columns, uniform_columns))}) {
    table.print();
    reading.tables.push_back(table.json());
  }
  reading.told = against_control(art, tuned, groups);
  reading.sentences = sentences(tuned, reading.told);
  return reading;
}

Json run(const std::vector<Task>& tasks, const Options& o) {
  std::printf("mean ± standard error over %d seeds; τ .01 unless said, τ₂ .07, %d epochs\n",
              o.seeds, o.epochs);
  Json json{{"program", "m2_mix"}, {"epochs", o.epochs}};
  return of_texts(tasks, o, study, std::move(json));
}

}  // namespace

int main(int argc, char** argv) {
  return program(argc, argv, "m2_mix",
                 "Geodesic multi-modal mixup: emoji pictures and their names.", load, run, 30,
                 true);
}
