// The figures of two modalities: how near pairs lie, how well each finds the other, how far apart
// the two clouds are.
//
// y_j belongs to x_owner[j]; without --index owner[j] = j. An interval is that of other rows of the
// same kind; where a figure is a mean over pairs of rows, to first order (see bootstrap_parts).
#pragma once

#include "cka.hpp"
#include "curves.hpp"
#include "labels.hpp"
#include "procrustes.hpp"
#include "ranks.hpp"
#include "spheremix/metrics/alignment.hpp"

namespace analyze {

template <class T>
class PairFigures {
 public:
  PairFigures(const Modality<T>& a, const Modality<T>& b, const std::vector<Index>& owner,
              std::uint64_t seed, Json& list, Progress& progress)
      : a_(a),
        b_(b),
        owner_(owner),
        seed_(seed),
        list_(list),
        n_(a.n()),
        m_(b.n()),
        scope_(a.name() + "-" + b.name()),
        back_(b.name() + "-" + a.name()),
        how_(a.sampled ? a.how : b.how),
        captions_(at(n_)),
        exact_(file_cosine(a, b)),
        exact_back_(file_cosine(b, a)) {
    for (Index j = 0; j < m_; ++j) captions_[at(owner[at(j)])].push_back(j);
    for (const auto& c : captions_) most_ = std::max(most_, c.size());
    plain_ = most_ == 1 && n_ == m_;
    progress.stage("Pairs of " + a.name() + " and " + b.name(),
                   sweep_work(n_, m_, a.rows.cols(), false), "Gflop");
    own_ = own_cosines(a.rows, b.rows, owner);
    best_.assign(at(n_), T(2));  // 2: a row without a partner, which asks nothing
    answer_.assign(at(n_), -1);
    for (Index i = 0; i < n_; ++i)
      for (const Index j : captions_[at(i)])
        if (answer_[at(i)] < 0 || own_[at(j)] > best_[at(i)])
          best_[at(i)] = own_[at(j)], answer_[at(i)] = j;
    k_ = std::min<Index>(
        {std::max<Index>(kNeighbours, Index(std::min<std::size_t>(most_, 100))) + 1, n_, m_});
    const Marks<T> marks{&best_, &own_, &answer_, &owner_, nullptr, get(exact_)};
    pairs_.emplace(all_pairs<T>(a.rows, b.rows, false, k_, kSteepness, marks, progress));
    rank();
    ask_neighbours();
  }

  /// Everything but the curves. Returns what the report draws.
  Json report() {
    Json plots{{"x", a_.name()}, {"y", b_.name()}, {"rows", {n_, m_}}};
    report_retrieval(forward_, scope_, how_, list_);
    report_retrieval(backward_, back_, how_, list_);
    alignment();
    spread();
    gap(plots);
    structure(plots);
    hubs(plots);
    auto others = pairs_->histogram;
    for (Index j = 0; j < m_; ++j)
      if (owner_[at(j)] % pairs_->histogram_step == 0)
        --others[std::size_t(bin_of(double(own_[at(j)])))];
    std::array<std::int64_t, kBins> positive{};
    for (const T cosine : own_) ++positive[std::size_t(bin_of(double(cosine)))];
    plots["histogram"] = {
        {"positive", positive}, {"negative", others}, {"step", pairs_->histogram_step}};
    plots["ranks"] = {{"forward", rank_buckets(forward_)}, {"back", rank_buckets(backward_)}};
    plots["examples"] = {{"forward", retrieval_examples(forward_, pairs_->row_top, a_, b_, seed_)},
                         {"back", retrieval_examples(backward_, pairs_->col_top, b_, a_, seed_)}};
    return plots;
  }

  /// Classes of both sides: a row of b has the label of its row of a.
  void classes(const std::vector<std::string>& labels, Json& plots) {
    std::vector<Index> ids_b(at(m_));
    for (Index j = 0; j < m_; ++j) ids_b[at(j)] = a_.ids[at(owner_[at(j)])];
    const Classes of_a(labels, a_.ids), of_b(labels, ids_b);
    const auto ranks_of = [](const Direction& d, Index rows) {
      std::vector<Index> ranks(at(rows));
      for (std::size_t q = 0; q < d.query.size(); ++q) ranks[at(d.query[q])] = d.ranks[q];
      return ranks;
    };
    const std::vector<Index> forward = ranks_of(forward_, n_), backward = ranks_of(backward_, m_);
    plots["classes"]["forward"] =
        report_classes({scope_, how_, of_a, of_b, first_, forward}, "class_match", list_);
    plots["classes"]["back"] =
        report_classes({back_, how_, of_b, of_a, back_first_, backward}, "class_match", list_);
    if (plain_) class_gaps(of_a, plots);
  }

  /// R@1 after a rotation fitted on other pairs, where pairs do not find each other as they are.
  void turned(const RowMatrix<double>& x, const RowMatrix<double>& y, const std::string& how) {
    const auto share = [](const Direction& d) {
      double hits = 0;
      for (const Index r : d.ranks) hits += r == 1;
      return hits / double(d.ranks.size());
    };
    if (share(forward_) > 0.05 || share(backward_) > 0.05 || x.rows() < 8 || x.cols() > 1024)
      return;
    const auto [recall, chance] = HeldOut(y, x, seed_).recall(x);
    list_.push_back(
        metric("recall1_turned", scope_, recall, how, wilson(recall, double(x.rows()))));
    list_.back()["chance"] = chance;
  }

  /// Ranks of queries and parts of rows, for paired comparisons.
  void keep_rows(Json& document) const {
    for (const auto& [scope, d, from] :
         {std::tuple(scope_, &forward_, &a_), std::tuple(back_, &backward_, &b_)}) {
      Json& rows = document["per_row"][scope];
      Json ids = Json::array();
      for (const Index q : d->query) ids.push_back(from->ids[at(q)]);
      rows["ids"] = std::move(ids);
      rows["rank"] = d->ranks;
    }
    for (const Part& part : parts_)
      keep_parts(document, part.scope, part.key.c_str(), part.of_rows);
  }

  /// Rows for the curves: one partner a row, a sample beyond kCurveRows.
  struct Chosen {
    RowMatrix<double> x, y;
    std::string how;
  };
  Chosen curve_rows() const {
    std::vector<Index> chosen = forward_.query;
    const Index had = Index(chosen.size());
    if (had > kCurveRows) chosen = sample_rows(chosen, kCurveSample, seed_);
    const Index count = Index(chosen.size());
    Chosen rows{RowMatrix<double>(count, a_.rows.cols()), RowMatrix<double>(count, b_.rows.cols()),
                "exact"};
    for (Index i = 0; i < count; ++i) {
      rows.x.row(i) = a_.rows.row(chosen[at(i)]).template cast<double>();
      rows.y.row(i) = b_.rows.row(captions_[at(chosen[at(i)])][0]).template cast<double>();
    }
    if (had > kCurveRows || a_.sampled || b_.sampled)
      rows.how =
          "seeded sample of " + with_commas(count) + " of " + with_commas(a_.moments.n) + " pairs";
    return rows;
  }

 private:
  /// body(i) for i in [0, n), some hundred at a time on each thread.
  template <class Body>
  static void for_each_row(Index n, const Body& body) {
    constexpr Index some = 256;
    spheremix::core::parallel_for(
        (n + some - 1) / some, spheremix::core::max_threads(), [&](Index task, int) {
          for (Index i = task * some; i < std::min(n, (task + 1) * some); ++i) body(i);
        });
  }

  void rank() {
    forward_.gallery = m_, backward_.gallery = n_;
    const auto add = [](Direction& d, const Rivals& rivals, Index query, Index answer) {
      const Index nearer = rivals.nearer[at(query)];
      d.best_ranks.push_back(nearer + 1);
      d.ranks.push_back(nearer + rivals.equal[at(query)] + 1);
      d.query.push_back(query), d.answer.push_back(answer);
    };
    for (Index i = 0; i < n_; ++i)
      if (answer_[at(i)] >= 0) add(forward_, pairs_->of_rows, i, answer_[at(i)]);
    for (Index j = 0; j < m_; ++j) add(backward_, pairs_->of_cols, j, owner_[at(j)]);
  }

  void ask_neighbours() {
    first_.resize(at(n_));
    neighbours_.emplace(
        a_.rows, b_.rows, false, pairs_->row_top, kNeighbours, get(exact_),
        [&](Index i, const std::vector<Index>& nearest) { first_[at(i)] = nearest; });
    back_first_.resize(at(m_));
    back_neighbours_.emplace(
        b_.rows, a_.rows, false, pairs_->col_top, kNeighbours, get(exact_back_),
        [&](Index j, const std::vector<Index>& nearest) { back_first_[at(j)] = nearest; });
  }

  /// The parts of rows in a figure, where pairs are plain: see keep_parts.
  void keep(const std::string& scope, const char* key, std::vector<double> x,
            const std::vector<double>& y, double scale = 1) {
    if (!plain_) return;
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = (x[i] + (y.empty() ? 0 : y[i])) * scale;
    parts_.push_back({scope, key, std::move(x)});
  }

  void add(const char* key, const std::string& scope, double value, const Interval& interval) {
    list_.push_back(metric(key, scope, value, how_, interval));
  }

  void alignment() {
    std::vector<double> squared(at(m_)), own(own_.begin(), own_.end());
    for_each_row(m_, [&](Index j) {
      squared[at(j)] = spheremix::metrics::alignment(a_.rows.row(owner_[at(j)]), b_.rows.row(j));
    });
    add("alignment", scope_,
        plain_ ? spheremix::metrics::alignment(a_.rows, b_.rows) : mean_of(squared),
        bootstrap_mean(squared));
    add("positive_cosine", scope_, mean_of(own), bootstrap_mean(own));
    keep(scope_, "alignment", squared, {});
    keep(scope_, "positive_cosine", own, {});

    const Eigen::VectorXd sum_a = sum_of_rows(a_.rows).transpose(),
                          sum_b = sum_of_rows(b_.rows).transpose();
    const double count = double(n_) * double(m_) - double(m_);
    const double negative = (sum_a.dot(sum_b) - mean_of(own) * double(m_)) / count;
    const double each = count / double(n_), other = count / double(m_);
    std::vector<double> of_a(at(n_)), of_b(at(m_));
    for_each_row(n_, [&](Index i) {
      double sum = a_.rows.row(i).template cast<double>().dot(sum_b);
      for (const Index j : captions_[at(i)]) sum -= own[at(j)];
      of_a[at(i)] = sum / each;
    });
    for_each_row(m_, [&](Index j) {
      of_b[at(j)] = (b_.rows.row(j).template cast<double>().dot(sum_a) - own[at(j)]) / other;
    });
    add("negative_cosine", scope_, negative, both(negative, of_a, of_b));
    keep(scope_, "negative_cosine", of_a, of_b);

    std::vector<double> nearer;
    for (const Index i : forward_.query)
      for (Index p = 0; p < k_; ++p) {
        if (owner_[at(pairs_->row_top.id(i, p))] == i) continue;
        nearer.push_back(2 * (double(pairs_->row_top.value(i, p)) - double(best_[at(i)])));
        break;
      }
    if (!nearer.empty()) add("relative_alignment", scope_, mean_of(nearer), bootstrap_mean(nearer));
    keep(scope_, "relative_alignment", nearer, {});
    nearer.clear();
    for (Index j = 0; j < m_; ++j)
      for (Index p = 0; p < k_; ++p) {
        if (pairs_->col_top.id(j, p) == owner_[at(j)]) continue;
        nearer.push_back(2 * (double(pairs_->col_top.value(j, p)) - own[at(j)]));
        break;
      }
    if (!nearer.empty()) add("relative_alignment", back_, mean_of(nearer), bootstrap_mean(nearer));
    keep(back_, "relative_alignment", nearer, {});
  }

  /// The interval of a figure in which rows of a have the parts x and rows of b the parts y: rows
  /// of plain pairs are drawn together.
  Interval both(double value, std::vector<double> x, const std::vector<double>& y) const {
    if (!plain_) return bootstrap_parts(value, x, y);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += y[i];
    return bootstrap_parts(value, x);
  }

  /// Across: the mean potential over all pairs (x_i, y_j). Joint: over all pairs of the rows of
  /// both together. Distribution gap: within a + within b - 2 across.
  void spread() {
    const double n = double(n_), m = double(m_), total = n + m;
    const double cross = pairs_->potential / (n * m);
    const double joint =
        (a_.potential + b_.potential + pairs_->potential) / (total * (total - 1) / 2);
    const double within_a = a_.potential / (n * (n - 1) / 2),
                 within_b = b_.potential / (m * (m - 1) / 2);
    struct Parts {
      std::vector<double> cross, joint, gap;
    };
    // A row's share of the mean counts twice within its own batch, once across.
    const auto parts = [&](const std::vector<double>& own, const std::vector<double>& other,
                           double rows, double others) {
      Parts p;
      for (std::size_t i = 0; i < own.size(); ++i) {
        const double across = other[i] / others, inside = own[i] / (rows - 1);
        p.cross.push_back(across);
        p.joint.push_back((own[i] + other[i]) * 2 * rows / (total * (total - 1)));
        p.gap.push_back(2 * (inside - across));
      }
      return p;
    };
    const Parts x = parts(a_.potentials, pairs_->potentials, n, m),
                y = parts(b_.potentials, pairs_->col_potentials, m, n);
    add("uniformity_cross", scope_, std::log(cross), log_of(both(cross, x.cross, y.cross)));
    add("uniformity_joint", scope_, std::log(joint), log_of(both(joint, x.joint, y.joint)));
    const double gap = within_a + within_b - 2 * cross;
    add("distribution_gap", scope_, gap, both(gap, x.gap, y.gap));
    keep(scope_, "uniformity_cross", x.cross, y.cross, 1 / cross);
    keep(scope_, "uniformity_joint", x.joint, y.joint, 1 / joint);
    keep(scope_, "distribution_gap", x.gap, y.gap);
  }

  /// The vector from mean to mean: its length, its angle, its share of the variance.
  void gap(Json& plots) {
    const Moments &of_a = a_.moments, &of_b = b_.moments;
    const Eigen::VectorXd &p = of_a.mean, &q = of_b.mean, g = p - q;
    const double length = g.norm();
    std::optional<Interval> of_gap;
    if (how_ == "exact" && length > 0) {
      const Eigen::VectorXd along = g / length;
      std::vector<double> x(at(n_)), y(at(m_));
      for (Index i = 0; i < n_; ++i) x[at(i)] = a_.rows.row(i).template cast<double>().dot(along);
      for (Index j = 0; j < m_; ++j) y[at(j)] = -b_.rows.row(j).template cast<double>().dot(along);
      of_gap = both(length, x, y);
      keep(scope_, "gap", x, y);
      of_gap->low = std::max(0.0, of_gap->low);
    }
    list_.push_back(metric("gap", scope_, length, "exact", of_gap));
    list_.push_back(metric("cone_distance", scope_, angle_between(p, q), "exact"));
    const double apart = length * length / 4, total = (of_a.spread + of_b.spread) / 2 + apart;
    std::optional<double> share;  // none where there is no gap or no variance
    if (length > 0 && total > 0)
      share = ((of_a.along(g / length) + of_b.along(g / length)) / 2 + apart) / total;
    list_.push_back(metric("gap_share", scope_, share, "exact"));
    plots["cones"] = {cone_of(of_a.spread), cone_of(of_b.spread)};
    plots["gap"] = {{"vector", rounded_list(g)}, {"columns", Json::array()}};
    for (const Index k : greatest_columns(g, 3))
      plots["gap"]["columns"].push_back(
          {{"column", k}, {"share", length > 0 ? g[k] * g[k] / (length * length) : 0}});
  }

  /// The gap of each of the largest classes, beside that of as many pairs drawn by chance.
  void class_gaps(const Classes& classes, Json& plots) {
    Json list = Json::array();
    const Eigen::VectorXd whole = sum_of_rows(a_.rows).transpose() / double(n_) -
                                  sum_of_rows(b_.rows).transpose() / double(m_);
    double spread = 0;
    for (Index i = 0; i < n_; ++i) spread += (difference(i) - whole).squaredNorm() / double(n_ - 1);
    for (std::size_t c = 0; c < std::min(kShownClasses, classes.names.size()); ++c) {
      const double rows = double(classes.sizes[c]);
      if (rows < 5) continue;
      Eigen::VectorXd g = Eigen::VectorXd::Zero(whole.size());
      for (Index i = 0; i < n_; ++i)
        if (classes.of[at(i)] == int(c)) g += difference(i) / rows;
      const double length = g.norm();
      std::vector<double> along;
      for (Index i = 0; i < n_ && length > 0; ++i)
        if (classes.of[at(i)] == int(c)) along.push_back(difference(i).dot(g) / length);
      Json one{{"label", classes.names[c]}, {"rows", classes.sizes[c]}, {"value", length}};
      if (length > 0) {
        const Interval interval = bootstrap_parts(length, along);
        one["interval"] = {six_digits(std::max(0.0, interval.low)), six_digits(interval.high)};
      }
      one["chance"] =
          std::sqrt(whole.squaredNorm() + spread / rows * (double(n_) - rows) / double(n_));
      list.push_back(one);
    }
    plots["classes"]["gap"] = std::move(list);
  }
  Eigen::VectorXd difference(Index i) const {
    return (a_.rows.row(i).template cast<double>() - b_.rows.row(i).template cast<double>())
        .transpose();
  }

  /// The structure of the two clouds, whatever their places: CKA against the same after a shuffle.
  void structure(Json& plots) {
    RowMatrix<T> partners;
    if (!plain_) {
      partners.resize(m_, a_.rows.cols());
      for (Index j = 0; j < m_; ++j) partners.row(j) = a_.rows.row(owner_[at(j)]);
    }
    const LinearCka<T> cka(plain_ ? a_.rows : partners, b_.rows);
    const std::vector<Index> order = shuffled(m_, seed_);
    const Similarity real = cka.measure(), chance = cka.measure(&order);
    list_.push_back(metric("cka", scope_, real.value, how_, real.interval));
    list_.push_back(metric("cka_shuffled", scope_, chance.value, how_, chance.interval));
    list_.push_back(metric("cka_debiased", scope_, real.debiased, how_, real.of_debiased));
    list_.push_back(
        metric("cka_debiased_shuffled", scope_, chance.debiased, how_, chance.of_debiased));
    if (!plain_) return;
    keep(scope_, "cka", real.parts, {});
    const CommonOffset shift = common_offset(first_, a_.ids, b_.ids);
    add("offset_share", scope_, shift.share, wilson(std::min(1.0, shift.share), double(n_)));
    plots["offset"] = shift.offset;
  }

  void hubs(Json& plots) {
    const auto one = [&](const char* name, const std::string& scope,
                         const Neighbours<T>& neighbours, const Modality<T>& asked,
                         const Modality<T>& owner) {
      const std::vector<double>& count = neighbours.count();
      add("hubness", scope, skewness(count), bootstrap_skewness(count));
      list_.back()["tied"] = neighbours.tied();
      plots["hubs"][name] = hub_list(count, owner, asked.n());
      plots["occurrences"][name] = occurrence_buckets(count);
      add("top_hub", scope, plots["hubs"][name][0]["share"].template get<double>(),
          top_hub_interval(neighbours, asked.n(), double(asked.n())));
    };
    one("forward", scope_, *neighbours_, a_, b_);
    one("back", back_, *back_neighbours_, b_, a_);
  }

  const Modality<T>&a_, &b_;
  const std::vector<Index>& owner_;
  const std::uint64_t seed_;
  Json& list_;
  const Index n_, m_;
  const std::string scope_, back_, how_;
  std::vector<std::vector<Index>> captions_;
  std::size_t most_ = 1;
  bool plain_ = true;
  std::vector<T> own_, best_;
  std::vector<Index> answer_;  ///< of each row of a: its nearest own row of b, -1 where none
  Index k_ = 0;
  std::optional<FileCosine> exact_, exact_back_;
  std::optional<AllPairs<T>> pairs_;
  std::optional<Neighbours<T>> neighbours_, back_neighbours_;
  std::vector<std::vector<Index>> first_, back_first_;  ///< of each row: ties for its nearest
  struct Part {
    std::string scope, key;
    std::vector<double> of_rows;
  };
  std::vector<Part> parts_;
  Direction forward_, backward_;
};

template <class T>
void measure_pair(const Modality<T>& a, const Modality<T>& b, const std::vector<Index>& owner,
                  const std::vector<std::string>& labels, double temperature, std::uint64_t seed,
                  Json& document, Progress& progress) {
  PairFigures<T> figures(a, b, owner, seed, document["metrics"], progress);
  if (!leads(progress.share())) return;  // the first process reports, and nothing of it is shared
  Json plots = figures.report();
  figures.keep_rows(document);
  if (!labels.empty()) figures.classes(labels, plots);
  const auto rows = figures.curve_rows();
  figures.turned(rows.x, rows.y, rows.how);
  if (rows.x.rows() >= 2)
    measure_curves(rows.x, rows.y, a.name() + "-" + b.name(), rows.how, temperature, document,
                   plots["curves"], progress);
  document["pairs"].push_back(std::move(plots));
}

}  // namespace analyze
