// The figures of two modalities: how near pairs lie, how well each finds the other, how far apart
// the two clouds are.
//
// y_j belongs to x_owner[j]; without --index owner[j] = j. An interval is that of other rows of the
// same kind; where a figure is a mean over pairs of rows, to first order (see bootstrap_parts).
#pragma once

#include "cka.hpp"
#include "curves.hpp"
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
        captions_(at(n_)) {
    for (Index j = 0; j < m_; ++j) captions_[at(owner[at(j)])].push_back(j);
    for (const auto& c : captions_) most_ = std::max(most_, c.size());
    plain_ = most_ == 1 && n_ == m_;
    progress.stage("Pairs of " + a.name() + " and " + b.name(),
                   sweep_work(n_, m_, a.rows.cols(), false), "Gflop");
    own_ = own_cosines(a.rows, b.rows, owner);
    best_.assign(at(n_), T(2));  // 2: a row without a partner, which asks nothing
    for (Index i = 0; i < n_; ++i)
      for (std::size_t c = 0; c < captions_[at(i)].size(); ++c)
        best_[at(i)] = c == 0 ? own_[at(captions_[at(i)][0])]
                              : std::max(best_[at(i)], own_[at(captions_[at(i)][c])]);
    k_ = std::min<Index>(
        {std::max<Index>(kNeighbours, Index(std::min<std::size_t>(most_, 100)) + 1), n_, m_});
    pairs_.emplace(all_pairs<T>(a.rows, b.rows, false, k_, kSteepness, {&best_, &own_}, progress));
    rank();
  }

  /// Everything but the curves. Returns what the report draws.
  Json report() {
    Json plots{{"x", a_.name()}, {"y", b_.name()}};
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

  /// Ranks of queries.
  void keep_rows(Json& document) const {
    for (const auto& [scope, d, from] :
         {std::tuple(scope_, &forward_, &a_), std::tuple(back_, &backward_, &b_)}) {
      Json& rows = document["per_row"][scope];
      Json ids = Json::array();
      for (const Index q : d->query) ids.push_back(from->ids[at(q)]);
      rows["ids"] = std::move(ids);
      rows["rank"] = d->ranks;
    }
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
      rows.how = "seeded sample of " + with_commas(count) + " of " + with_commas(a_.health.usable) +
                 " pairs";
    return rows;
  }

 private:
  /// In a row's count its own partners stand too: each at or above the best own cosine leaves.
  void rank() {
    forward_.gallery = m_, backward_.gallery = n_;
    for (Index i = 0; i < n_; ++i) {
      if (captions_[at(i)].empty()) continue;
      Index mine = 0, answer = captions_[at(i)][0];
      for (const Index j : captions_[at(i)]) {
        mine += own_[at(j)] >= best_[at(i)];
        if (own_[at(j)] > own_[at(answer)]) answer = j;
      }
      forward_.ranks.push_back(pairs_->row_count[at(i)] - mine + 1);
      forward_.query.push_back(i), forward_.answer.push_back(answer);
    }
    for (Index j = 0; j < m_; ++j) {
      backward_.ranks.push_back(pairs_->col_count[at(j)]);
      backward_.query.push_back(j), backward_.answer.push_back(owner_[at(j)]);
    }
  }

  void add(const char* key, const std::string& scope, double value, const Interval& interval) {
    list_.push_back(metric(key, scope, value, how_, interval));
  }

  void alignment() {
    std::vector<double> squared(at(m_)), own(own_.begin(), own_.end());
    for (Index j = 0; j < m_; ++j)
      squared[at(j)] = spheremix::metrics::alignment(a_.rows.row(owner_[at(j)]), b_.rows.row(j));
    add("alignment", scope_,
        plain_ ? spheremix::metrics::alignment(a_.rows, b_.rows) : mean_of(squared),
        bootstrap_mean(squared));
    add("positive_cosine", scope_, mean_of(own), bootstrap_mean(own));

    const Eigen::VectorXd sum_a = a_.rows.template cast<double>().colwise().sum(),
                          sum_b = b_.rows.template cast<double>().colwise().sum();
    const double count = double(n_) * double(m_) - double(m_);
    const double negative = (sum_a.dot(sum_b) - mean_of(own) * double(m_)) / count;
    const double each = count / double(n_), other = count / double(m_);
    std::vector<double> of_a(at(n_)), of_b(at(m_));
    for (Index i = 0; i < n_; ++i) {
      double sum = a_.rows.row(i).template cast<double>().dot(sum_b);
      for (const Index j : captions_[at(i)]) sum -= own[at(j)];
      of_a[at(i)] = sum / each;
    }
    for (Index j = 0; j < m_; ++j)
      of_b[at(j)] = (b_.rows.row(j).template cast<double>().dot(sum_a) - own[at(j)]) / other;
    add("negative_cosine", scope_, negative, both(negative, of_a, of_b));

    std::vector<double> nearer;
    for (const Index i : forward_.query)
      for (Index p = 0; p < k_; ++p) {
        if (owner_[at(pairs_->row_top.id(i, p))] == i) continue;
        nearer.push_back(2 * (double(pairs_->row_top.value(i, p)) - double(best_[at(i)])));
        break;
      }
    if (!nearer.empty()) add("relative_alignment", scope_, mean_of(nearer), bootstrap_mean(nearer));
    nearer.clear();
    for (Index j = 0; j < m_; ++j)
      for (Index p = 0; p < k_; ++p) {
        if (pairs_->col_top.id(j, p) == owner_[at(j)]) continue;
        nearer.push_back(2 * (double(pairs_->col_top.value(j, p)) - own[at(j)]));
        break;
      }
    if (!nearer.empty()) add("relative_alignment", back_, mean_of(nearer), bootstrap_mean(nearer));
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
  }

  /// The vector from mean to mean: its length, its angle, its share of the variance.
  void gap(Json& plots) {
    const Eigen::VectorXd &p = a_.health.mean, &q = b_.health.mean, g = p - q;
    const double length = g.norm(), lengths = p.norm() * q.norm();
    std::optional<Interval> of_gap;
    if (how_ == "exact" && length > 0) {
      const Eigen::VectorXd along = g / length;
      std::vector<double> x(at(n_)), y(at(m_));
      for (Index i = 0; i < n_; ++i) x[at(i)] = a_.rows.row(i).template cast<double>().dot(along);
      for (Index j = 0; j < m_; ++j) y[at(j)] = -b_.rows.row(j).template cast<double>().dot(along);
      of_gap = both(length, x, y);
      of_gap->low = std::max(0.0, of_gap->low);
    }
    list_.push_back(metric("gap", scope_, length, "exact", of_gap));
    const double cosine = lengths > 0 ? p.dot(q) / lengths : 0;
    list_.push_back(metric(
        "cone_distance", scope_,
        std::acos(std::clamp(cosine, -1.0, 1.0)) * 180 / spheremix::core::pi<double>, "exact"));
    const Eigen::VectorXd middle = (p + q) / 2;
    const Eigen::MatrixXd pooled =
        (a_.health.moment + b_.health.moment) / 2 - middle * middle.transpose();
    const double along = length > 0 ? g.dot(pooled * g) / (length * length) : 0;
    list_.push_back(
        metric("gap_share", scope_, pooled.trace() > 0 ? along / pooled.trace() : 0, "exact"));
    plots["gap"] = {{"vector", rounded_list(g)}, {"columns", Json::array()}};
    for (const Index k : greatest_columns(g, 3))
      plots["gap"]["columns"].push_back(
          {{"column", k}, {"share", length > 0 ? g[k] * g[k] / (length * length) : 0}});
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
    add("cka", scope_, real.value, real.interval);
    add("cka_shuffled", scope_, chance.value, chance.interval);
    if (!plain_) return;
    const auto [share, offset] = common_offset(pairs_->row_top, a_.ids, b_.ids);
    std::vector<double> there(at(n_));
    for (Index i = 0; i < n_; ++i)
      there[at(i)] = offset != 0 && b_.ids[at(pairs_->row_top.id(i, 0))] - a_.ids[at(i)] == offset;
    add("offset_share", scope_, share, bootstrap_mean(there));
    plots["offset"] = offset;
  }

  void hubs(Json& plots) {
    const auto one = [&](const char* name, const std::string& scope, const TopList<T>& top,
                         const Modality<T>& asked, const Modality<T>& owner) {
      const std::vector<double> count = occurrences(top, asked.n(), owner.n());
      add("hubness", scope, skewness(count), bootstrap_skewness(count));
      plots["hubs"][name] = hub_list(count, owner, asked.n());
      plots["occurrences"][name] = occurrence_buckets(count);
      add("top_hub", scope, plots["hubs"][name][0]["share"].template get<double>(),
          bootstrap_top_hub(top, asked.n(), count, double(asked.n())));
    };
    one("forward", scope_, pairs_->row_top, a_, b_);
    one("back", back_, pairs_->col_top, b_, a_);
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
  Index k_ = 0;
  std::optional<AllPairs<T>> pairs_;
  Direction forward_, backward_;
};

template <class T>
void measure_pair(const Modality<T>& a, const Modality<T>& b, const std::vector<Index>& owner,
                  double temperature, std::uint64_t seed, Json& document, Progress& progress) {
  PairFigures<T> figures(a, b, owner, seed, document["metrics"], progress);
  Json plots = figures.report();
  figures.keep_rows(document);
  const auto rows = figures.curve_rows();
  if (rows.x.rows() >= 2)
    measure_curves(rows.x, rows.y, a.name() + "-" + b.name(), rows.how, temperature, document,
                   plots["curves"], progress);
  document["pairs"].push_back(std::move(plots));
}

}  // namespace analyze
