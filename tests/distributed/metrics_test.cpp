// Every metric over W ranks, threads of this process, against one process.
#include <doctest/doctest.h>

#include <optional>

#include "distributed/failing_memory.hpp"
#include "distributed/loss_ranks.hpp"

using namespace spheremix;
using namespace spheremix::metrics;
using namespace spheremix::test;

namespace {

/// Numbers of a result.
using Numbers = std::vector<double>;
void put(Numbers& to, double x) { to.push_back(x); }
template <class X>
void put(Numbers& to, const std::vector<X>& x) {
  for (const auto& one : x) {
    if constexpr (std::is_arithmetic_v<X>) {
      put(to, double(one));
    } else {
      put(to, double(one.count));
      put(to, one.accuracy);
      put(to, one.confidence);
    }
  }
}
void put(Numbers& to, const RetrievalResult& r) {
  put(to, r.recall);
  put(to, r.median_rank);
  put(to, r.mrr);
}

template <class T>
struct Rows {
  RowMatrix<T> x, y;
  std::vector<Index> labels, classes;  ///< below 3; row numbers of y
  std::vector<Index> image_of;         ///< of y: rows of x in turn
  Vector<T> confidence;
  Eigen::Array<bool, Eigen::Dynamic, 1> correct;
  std::vector<Judgement> judged;

  Rows(Index n, Index d)
      : x(unit_rows<T>(n, d, 1)), y(unit_rows<T>(n, d, 2)), confidence(n), correct(n) {
    for (Index i = 0; i < n; ++i) {
      y.row(i) = (x.row(i) + T(0.8) * y.row(i)).normalized();
      labels.push_back(i % 3);
      classes.push_back((2 * i) % n);
      image_of.push_back((i + 1) % n);
      confidence[i] = T((7 * i) % 10) / T(10);
      correct[i] = i % 3 != 0;
      judged.push_back({i, (3 * i) % n, double(1 + i % 2)});
    }
  }
  Rows part(Index at, Index count) const {
    Rows p = *this;
    const auto cut = [&](auto& v) {
      v = std::remove_cvref_t<decltype(v)>(v.begin() + at, v.begin() + at + count);
    };
    p.x = RowMatrix<T>(x.middleRows(at, count));
    p.y = RowMatrix<T>(y.middleRows(at, count));
    cut(p.labels), cut(p.classes), cut(p.image_of), cut(p.judged);
    for (auto& j : p.judged) j.query -= at;
    p.confidence = Vector<T>(confidence.segment(at, count));
    p.correct = Eigen::Array<bool, Eigen::Dynamic, 1>(correct.segment(at, count));
    return p;
  }
};

/// How a metric of W ranks agrees with that of one process.
enum class Agrees {
  in_bits,
  in_double,  ///< sums in double, of numbers with the bits of one process
  in_rows     ///< to the rounding of rows that are centred by another mean
};

template <class T>
struct MetricCase {
  const char* name;
  Agrees agrees;
  std::function<Numbers(const Rows<T>&)> one;
  std::function<Numbers(const Rows<T>&, AnyRank&)> across;
};

/// What call() returns, which is the library's.
template <class Call>
auto called(const Call& call) {
  return call();
}
template <class Call>
auto called(const Call& call, AnyRank& rank) {
  std::optional<decltype(call())> result;
  rank.around([&] { result.emplace(call()); });
  return *std::move(result);
}

const RetrievalOptions kRecall{.k = {1, 3}};
const ZeroShotOptions kTop;
const JudgedRetrievalOptions kJudged;

/// Call: (rows, world...) -> numbers.
template <class T, class Call>
MetricCase<T> metric_case(const char* name, Agrees agrees, const Call& call) {
  return {name, agrees, [call](const Rows<T>& r) { return call(r); },
          [call](const Rows<T>& r, AnyRank& rank) { return call(r, rank); }};
}

template <class T>
std::vector<MetricCase<T>> metric_cases() {
  std::vector<MetricCase<T>> all;
#define SPHEREMIX_METRIC(AGREES, ...)                                                     \
  all.push_back(                                                                          \
      metric_case<T>(#__VA_ARGS__, Agrees::AGREES, [](const Rows<T>& r, auto&... world) { \
        Numbers numbers;                                                                  \
        put(numbers, called([&] { return __VA_ARGS__; }, world...));                      \
        return numbers;                                                                   \
      }))
  SPHEREMIX_METRIC(in_double, alignment(r.x, r.y, AlignmentOptions{.alpha = 1.5}, world...));
  SPHEREMIX_METRIC(in_rows, uniformity(r.x, UniformityOptions{}, world...));
  SPHEREMIX_METRIC(in_rows, cross_uniformity(r.x, r.y, UniformityOptions{}, world...));
  SPHEREMIX_METRIC(in_rows, joint_uniformity(r.x, r.y, UniformityOptions{}, world...));
  SPHEREMIX_METRIC(in_rows, distribution_gap(r.x, r.y, UniformityOptions{}, world...));
  SPHEREMIX_METRIC(in_rows, relative_alignment(r.x, r.y, world...));
  SPHEREMIX_METRIC(in_double, modality_gap(r.x, r.y, world...));
  SPHEREMIX_METRIC(in_bits, retrieval_ranks(r.x, r.y, world...));
  SPHEREMIX_METRIC(in_bits, retrieval(r.x, r.y, kRecall, world...));
  SPHEREMIX_METRIC(in_bits, retrieval_both(r.x, r.y, kRecall, world...).x_to_y);
  SPHEREMIX_METRIC(in_bits, retrieval_both(r.x, r.y, kRecall, world...).y_to_x);
  SPHEREMIX_METRIC(in_bits, caption_retrieval(r.x, r.y, r.image_of, kRecall, world...).y_to_x);
  SPHEREMIX_METRIC(in_bits, mean_average_precision(r.x, r.y, r.labels, r.labels, world...).value);
  SPHEREMIX_METRIC(in_bits, mean_average_precision(r.x, r.labels, world...).value);
  SPHEREMIX_METRIC(in_bits, hubness(r.x, HubnessOptions{.k = 2}, world...).occurrences);
  SPHEREMIX_METRIC(in_bits, hubness(r.x, r.y, HubnessOptions{.k = 2}, world...).skewness);
  SPHEREMIX_METRIC(in_bits, zero_shot_accuracy(r.x, r.y, r.classes, kTop, world...));
  SPHEREMIX_METRIC(
      in_bits, contrastive_calibration(r.x, r.y, ContrastiveCalibrationOptions{}, world...).x_to_y);
  SPHEREMIX_METRIC(in_double,
                   calibration_bins(r.confidence, r.correct, CalibrationOptions{}, world...));
  SPHEREMIX_METRIC(in_double, expected_calibration_error(r.confidence, r.correct,
                                                         CalibrationOptions{}, world...));
  SPHEREMIX_METRIC(in_double, singular_values(r.x, SpectrumOptions{}, world...));
  SPHEREMIX_METRIC(in_double, effective_rank(r.x, EffectiveRankOptions{}, world...));
  SPHEREMIX_METRIC(in_double, isotropy(r.x, world...));
  SPHEREMIX_METRIC(in_double, anisotropy(r.x, world...));
  SPHEREMIX_METRIC(in_double, linear_cka(r.x, r.y, world...));
  SPHEREMIX_METRIC(in_bits, hardness(r.x, r.y, 0.3, world...));
  SPHEREMIX_METRIC(in_bits, hardness(r.x, r.y, r.x, world...));
  SPHEREMIX_METRIC(in_bits, judged_retrieval(r.x, r.y, r.judged, kJudged, world...).of_ndcg);
#undef SPHEREMIX_METRIC
  return all;
}

template <class T>
void check_metrics() {
  for (const MetricCase<T>& c : metric_cases<T>())
    for (const Index n : {5, 60, 600}) {
      const Rows<T> rows(n, 6);
      const Numbers one = c.one(rows);
      const double within =
          c.agrees == Agrees::in_rows && sizeof(T) == 4 ? 32 * double(core::epsilon<T>) : 1e-12;
      for (const int size : {1, 2, 3, 4, 5})
        for (const Cut cut : kCuts) {
          if ((size == 1 && cut != Cut::even) || (n == 600 && size != 3)) continue;
          const auto first = blocks(n, size, cut);
          std::vector<Numbers> got(static_cast<std::size_t>(size));
          const auto errors = on_ranks(size, [&](ThreadRank& rank) {
            const std::size_t r = std::size_t(rank.rank());
            got[r] = c.across(rows.part(first[r], first[r + 1] - first[r]), rank);
          });
          const std::string name = c.name;
          CAPTURE(name);
          CAPTURE(n);
          CAPTURE(size);
          CAPTURE(int(cut));
          for (std::size_t r = 0; r < got.size(); ++r) {
            CHECK(errors[r] == "");
            REQUIRE(got[r].size() == one.size());
            CHECK(same_bits(got[r], got[0]));
            for (std::size_t k = 0; k < one.size(); ++k)
              CHECK(apart(got[r][k], one[k]) <=
                    (c.agrees == Agrees::in_bits || size == 1 ? 0 : within));
          }
        }
    }
}

}  // namespace

TEST_CASE("ranks: metrics of W ranks are those of one process") {
  check_metrics<double>();
  check_metrics<float>();
}

TEST_CASE("ranks: memory that runs out on one rank is one error on all, of metrics") {
  if (!allocations_fail()) return;
  const Rows<double> rows(6, 3);
  const Rows<double> part[] = {rows.part(0, 3), rows.part(3, 3)};
  for (const MetricCase<double>& c : metric_cases<double>()) {
    const std::string name = c.name;
    CAPTURE(name);
    check_short_of_memory(false, [&](AnyRank& rank) { (void)c.across(part[rank.rank()], rank); });
  }
}

TEST_CASE("ranks: gradients of metrics, neighbours") {
  const Index n = 23;
  const Rows<double> rows(n, 5);
  const auto a = alignment_with_gradient(rows.x, rows.y, {.alpha = 1.5});
  const auto u = uniformity_with_gradient(rows.x);
  const auto g = modality_gap_with_gradient(rows.x, rows.y);
  const auto v = modality_gap_vector(rows.x, rows.y);
  const auto n1 = nearest(rows.x, rows.y, {.k = 3}), n2 = nearest(rows.x, {.k = 3});
  for (const Cut cut : kCuts) {
    const auto first = blocks(n, 3, cut);
    double off[3] = {};
    const auto errors = on_ranks(3, [&](ThreadRank& rank) {
      const std::size_t r = std::size_t(rank.rank());
      const Index at = first[r], count = first[r + 1] - at;
      const Rows<double> mine = rows.part(at, count);
      const auto ma = alignment_with_gradient(mine.x, mine.y, {.alpha = 1.5}, rank);
      const auto mu = uniformity_with_gradient(mine.x, {}, rank);
      const auto mg = modality_gap_with_gradient(mine.x, mine.y, rank);
      const auto near = nearest(mine.x, mine.y, NearestOptions{.k = 3}, rank);
      const auto within = nearest(mine.x, NearestOptions{.k = 3}, rank);
      if (near.ids != n1.ids.middleRows(at, count) ||
          near.cosines != n1.cosines.middleRows(at, count) ||
          within.ids != n2.ids.middleRows(at, count))
        throw std::runtime_error("other neighbours");
      const auto put_off = [&](double x) { off[r] = (std::max)(off[r], x); };
      put_off(apart(ma.value, a.value));
      put_off(apart(mu.value, u.value));
      put_off(apart(mg.value, g.value));
      put_off(apart(modality_gap_vector(mine.x, mine.y, rank), v));
      put_off(apart(ma.x, RowMatrix<double>(a.x.middleRows(at, count))));
      put_off(apart(ma.y, RowMatrix<double>(a.y.middleRows(at, count))));
      put_off(apart(mu.x, RowMatrix<double>(u.x.middleRows(at, count))));
      put_off(apart(mg.x, RowMatrix<double>(g.x.middleRows(at, count))));
      put_off(apart(mg.y, RowMatrix<double>(g.y.middleRows(at, count))));
    });
    for (int r = 0; r < 3; ++r) {
      CHECK(errors[std::size_t(r)] == "");
      CHECK(off[r] <= 1e-12);
    }
  }
}

TEST_CASE("ranks: a metric that one rank refuses, all refuse") {
  const Rows<double> rows(8, 5);
  const auto first = blocks(8, 2, Cut::even);
  const auto sentences = [&](const auto& spoil) {
    return on_ranks(2, [&](ThreadRank& rank) {
      const std::size_t r = std::size_t(rank.rank());
      Rows<double> mine = rows.part(first[r], first[r + 1] - first[r]);
      std::vector<Index> k{1, 2};
      if (r == 1) spoil(mine, k);
      (void)retrieval(mine.x, mine.y, {.k = k}, rank);
    });
  };
  const auto same = [](const std::vector<std::string>& errors, const char* text) {
    CHECK(errors[0] == text);
    CHECK(errors[1] == errors[0]);
  };
  same(sentences([](auto& mine, auto&) { mine.x(2, 3) = core::nan<double>; }),
       "retrieval: rank 1 of 2: row 2 of X has nan in column 3");
  same(sentences([](auto& mine, auto&) { mine.y.conservativeResize(3, 5); }),
       "retrieval: rank 1 of 2: X is 4 x 5 but Y is 3 x 5");
  same(sentences([](auto&, auto& k) { k[1] = 3; }),
       "retrieval: rank 1 of 2 has other options than rank 0");
  // The longest row of X is on one rank, that of Y on the other.
  const auto apart = on_ranks(2, [&](ThreadRank& rank) {
    const std::size_t r = std::size_t(rank.rank());
    Rows<double> mine = rows.part(first[r], first[r + 1] - first[r]);
    (r == 0 ? mine.x : mine.y)(2, 3) = 1e154;
    (void)retrieval(mine.x, mine.y, {}, rank);
  });
  same(apart, "retrieval: products of rows of lengths up to 1e+154 and 1e+154 overflow");
  // Rows that are missing on one rank and too many on the other are no pairs.
  const auto crossed = on_ranks(2, [&](ThreadRank& rank) {
    const Index more = rank.rank() == 0 ? 5 : 3;
    (void)relative_alignment(rows.x.topRows(4), rows.y.topRows(more), rank);
  });
  CHECK(crossed[0].find("relative_alignment: rank 0 of 2: X is 4 x 5 but Y is 5 x 5") == 0);
  const auto other = on_ranks(2, [&](ThreadRank& rank) {
    if (rank.rank() == 0)
      (void)uniformity(rows.x, {}, rank);
    else
      (void)anisotropy(rows.x, rank);
  });
  same(other, "uniformity: rank 0 of 2 calls uniformity while rank 1 calls anisotropy");
}
