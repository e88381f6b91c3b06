// Metrics of pairs by ring: W ranks, threads of this process, against one process.
#include <doctest/doctest.h>

#include <optional>

#include "distributed/counted_product.hpp"
#include "distributed/failing_memory.hpp"
#include "spheremix/metrics/distribution_gap.hpp"
#include "spheremix/metrics/hubness.hpp"
#include "spheremix/metrics/nearest.hpp"
#include "spheremix/metrics/relative_alignment.hpp"
#include "spheremix/metrics/retrieval.hpp"
#include "support/refusal.hpp"
#include "support/thread_ranks.hpp"

using namespace spheremix;
using namespace spheremix::metrics;
using namespace spheremix::test;

namespace {

enum class Kind { spread, near_duplicates, outliers, small_integers };

template <class T>
struct Rows {
  RowMatrix<T> x, y;
  Index k = 2;
  double t = 2;

  /// n rows each, or m of Y.
  Rows(Kind kind, Index n, Index m, Index d) : x(n, d), y(m, d) {
    std::mt19937 random(11);
    const auto next = [&] { return double(random()) / 2147483648.0 - 1; };
    for (RowMatrix<T>* rows : {&x, &y})
      for (Index i = 0; i < rows->rows(); ++i)
        for (Index c = 0; c < d; ++c) {
          double v = 1.7 * next() / std::sqrt(double(d));
          if (kind == Kind::near_duplicates) v = double((i / 2 * 7 + c * 5) % 11) + 0.01 * v;
          if (kind == Kind::outliers) v = i % 16 == 3 ? 9 + v : 0.25;
          if (kind == Kind::small_integers) v = std::round(30 * v);
          (*rows)(i, c) = T(v);
        }
    if (kind == Kind::near_duplicates) t = 300;  // only those are left
  }
  Rows part(const std::vector<Index>& of_x, const std::vector<Index>& of_y, int rank) const {
    Rows p = *this;
    const std::size_t r = std::size_t(rank);
    p.x = x.middleRows(of_x[r], of_x[r + 1] - of_x[r]).eval();
    p.y = y.middleRows(of_y[r], of_y[r + 1] - of_y[r]).eval();
    return p;
  }
};

/// Numbers that are the same on all ranks, and rows of one.
struct Outcome {
  std::vector<double> numbers;
  RowMatrix<double> rows{0, 0};

  void put(double value) { numbers.push_back(value); }
  void put(const std::vector<Index>& ranks) { numbers.assign(ranks.begin(), ranks.end()); }
  void put(const HubnessResult& r) { put(r.occurrences), put(r.skewness); }
  void put(const RetrievalResult& r) {
    numbers.insert(numbers.end(), r.recall.begin(), r.recall.end());
    numbers.insert(numbers.end(), {r.median_rank, r.mrr});
  }
  void put(const RetrievalBothResult& r) { put(r.x_to_y), put(r.y_to_x); }
  template <class Matrix>
  void put(const UniformityGradient<Matrix>& g) {
    put(g.value);
    rows = g.x.template cast<double>();
  }
  template <class Ids, class Matrix>
  void put(const NearestResult<Ids, Matrix>& r) {
    rows.resize(r.ids.rows(), 2 * r.ids.cols());
    rows << r.ids.template cast<double>(), r.cosines.template cast<double>();
  }
  bool same(const Outcome& other) const {
    const auto equal = [](double a, double b) {
      return a == b || (std::isnan(a) && std::isnan(b));
    };
    return std::equal(numbers.begin(), numbers.end(), other.numbers.begin(), other.numbers.end(),
                      equal) &&
           rows.rows() == other.rows.rows() && rows.cols() == other.rows.cols() &&
           rows == other.rows;
  }
};

/// What a call gives, of one process without a rank.
struct Case {
  const char* name;
  bool pairs;  ///< as many rows of X as of Y
  int exact;   ///< 1: the bits of one process
  int hops;    ///< of W ranks: 0: W / 2 of each batch, else so many times W - 1
  std::function<Outcome(const Rows<double>&, AnyRank*)> f64;
  std::function<Outcome(const Rows<float>&, AnyRank*)> f32;

  auto& of(double) const { return f64; }
  auto& of(float) const { return f32; }
};

template <class One, class Across>
Case case_of(const char* name, bool pairs, int exact, int hops, One one, Across across) {
  const auto run = [=](const auto& r, AnyRank* rank) {
    Outcome o;
    if (!rank) {
      o.put(one(r));
    } else {
      std::optional<decltype(one(r))> found;
      rank->around([&] { found.emplace(across(r, *rank)); });
      o.put(*found);
    }
    return o;
  };
  return {name, pairs, exact, hops, run, run};
}

const RetrievalOptions kRecall{.k = {1, 3}};

const std::vector<Case>& cases() {
#define SPHEREMIX_CASE(NAME, PAIRS, EXACT, HOPS, ONE, ...)         \
  case_of(                                                         \
      NAME, PAIRS, EXACT, HOPS, [](const auto& r) { return ONE; }, \
      [](const auto& r, AnyRank& w) { return __VA_ARGS__; })
  static const std::vector<Case> all{
      SPHEREMIX_CASE("uniformity", false, 0, 0, uniformity(r.x, {.t = r.t}),
                     uniformity(r.x, {.t = r.t}, w)),
      SPHEREMIX_CASE("cross_uniformity", false, 0, 1, cross_uniformity(r.x, r.y, {.t = r.t}),
                     cross_uniformity(r.x, r.y, {.t = r.t}, w)),
      SPHEREMIX_CASE("joint_uniformity", false, 0, 0, joint_uniformity(r.x, r.y, {.t = r.t}),
                     joint_uniformity(r.x, r.y, {.t = r.t}, w)),
      SPHEREMIX_CASE("nearest", false, 1, 1, nearest(r.x, r.y, {.k = r.k}),
                     nearest(r.x, r.y, {.k = r.k}, w)),
      SPHEREMIX_CASE("nearest within", false, 1, 1, nearest(r.x, {.k = r.k}),
                     nearest(r.x, {.k = r.k}, w)),
      SPHEREMIX_CASE("relative_alignment", true, 0, 1, relative_alignment(r.x, r.y),
                     relative_alignment(r.x, r.y, w)),
      SPHEREMIX_CASE("hubness", false, 1, 1, hubness(r.x, r.y, {.k = r.k}),
                     hubness(r.x, r.y, {.k = r.k}, w)),
      SPHEREMIX_CASE("hubness within", false, 1, 1, hubness(r.x, {.k = r.k}),
                     hubness(r.x, {.k = r.k}, w)),
      SPHEREMIX_CASE("uniformity_with_gradient", false, 0, 0,
                     uniformity_with_gradient(r.x, {.t = r.t}),
                     uniformity_with_gradient(r.x, {.t = r.t}, w)),
      SPHEREMIX_CASE("retrieval_ranks", true, 1, 1, retrieval_ranks(r.x, r.y),
                     retrieval_ranks(r.x, r.y, w)),
      SPHEREMIX_CASE("retrieval", true, 1, 1, retrieval(r.x, r.y, kRecall),
                     retrieval(r.x, r.y, kRecall, w)),
      SPHEREMIX_CASE("retrieval_both", true, 1, 2, retrieval_both(r.x, r.y, kRecall),
                     retrieval_both(r.x, r.y, kRecall, w)),
      SPHEREMIX_CASE("distribution_gap", false, 0, 2, distribution_gap(r.x, r.y, {.t = r.t}),
                     distribution_gap(r.x, r.y, {.t = r.t}, w))};
#undef SPHEREMIX_CASE
  return all;
}

bool is(const Case& c, const char* name) { return std::string(c.name) == name; }
bool of_gradient(const Case& c) { return is(c, "uniformity_with_gradient"); }

/// A case on W ranks.
template <class T>
std::vector<Outcome> run(const Case& c, const Rows<T>& rows, const std::vector<Index>& of_x,
                         const std::vector<Index>& of_y, const ThreadOptions& options = {}) {
  const int size = int(of_x.size()) - 1;
  std::vector<Outcome> got(static_cast<std::size_t>(size));
  const auto errors = on_ranks(
      size,
      [&](ThreadRank& rank) {
        got[std::size_t(rank.rank())] = c.of(T())(rows.part(of_x, of_y, rank.rank()), &rank);
      },
      options);
  for (const std::string& error : errors) CHECK(error == "");
  return got;
}

/// `within`: relative to the value, to 1 for a gap, to squared rows for relative_alignment.
template <class T>
void check_outcomes(const Case& c, const std::vector<Outcome>& got, const Outcome& one,
                    const std::vector<Index>& of_x, const Rows<T>& rows, double within) {
  const double largest = double(rows.x.cwiseAbs().maxCoeff());
  const double row_pull = rows.t * largest / double(rows.x.rows());
  for (std::size_t r = 0; r < got.size(); ++r) {
    REQUIRE(got[r].numbers.size() == one.numbers.size());
    for (std::size_t k = 0; k < one.numbers.size(); ++k) {
      const double a = got[r].numbers[k], b = one.numbers[k];
      CHECK(a == got[0].numbers[k]);
      double scale = std::abs(b);
      if (is(c, "distribution_gap")) scale = 1;
      if (is(c, "relative_alignment")) scale = 4 * double(rows.x.cols()) * largest * largest;
      CHECK(std::abs(a - b) <= (c.exact ? 0 : within) * scale);
    }
    if (one.rows.size() == 0) continue;
    const auto mine = one.rows.middleRows(of_x[r], of_x[r + 1] - of_x[r]);
    REQUIRE(got[r].rows.rows() == mine.rows());
    if (c.exact)
      CHECK(got[r].rows == mine);
    else if (mine.size() > 0)  // a gradient: differences of rows, weighed with t / n
      CHECK((got[r].rows - mine).cwiseAbs().maxCoeff() <=
            within * (std::max)(one.rows.cwiseAbs().maxCoeff(), row_pull));
  }
}

template <class T>
void check_one_process(double within) {
  for (const Case& c : cases())
    for (const Kind kind :
         {Kind::spread, Kind::near_duplicates, Kind::outliers, Kind::small_integers})
      for (const Index n : {4, 23, 300}) {
        const Rows<T> rows(kind, n, c.pairs ? n : n + 3, 5);
        const Outcome one = c.of(T())(rows, nullptr);
        for (const int size : {2, 3, 4, 5})
          for (const Cut cut : kCuts) {
            if (n == 300 && (size == 4 || cut == Cut::first_empty)) continue;
            const auto of_x = blocks(n, size, cut);
            auto of_y = of_x;
            if (!c.pairs) of_y = blocks(n + 3, size, cut == Cut::even ? Cut::uneven : Cut::even);
            const std::string name = c.name;
            CAPTURE(name);
            CAPTURE(int(kind));
            CAPTURE(n);
            CAPTURE(size);
            CAPTURE(int(cut));
            check_outcomes<T>(c, run(c, rows, of_x, of_y), one, of_x, rows, within);
          }
      }
}

}  // namespace

TEST_CASE("ring of metrics: W ranks are one process, in double") {
  check_one_process<double>(1e-12);
}
TEST_CASE("ring of metrics: W ranks are one process, in float") {
  check_one_process<float>(32 * double(core::epsilon<float>));
}

TEST_CASE("ring of metrics: one rank has the bits of no communicator") {
  for (const Case& c : cases())
    for (const Kind kind :
         {Kind::spread, Kind::near_duplicates, Kind::outliers, Kind::small_integers}) {
      const Rows<float> rows(kind, 300, c.pairs ? 300 : 303, 5);
      const std::string name = c.name;
      CAPTURE(name);
      CAPTURE(int(kind));
      CHECK(run(c, rows, {0, 300}, {0, rows.y.rows()})[0].same(c.f32(rows, nullptr)));
    }
}

TEST_CASE("ring of metrics: equal rows are exactly 0, whichever ranks have them") {
  Rows<float> rows(Kind::spread, 9, 9, 7);
  rows.x.rowwise() = rows.x.row(4).eval();
  rows.y = rows.x;
  for (const int size : {2, 3, 4})
    for (const char* name : {"uniformity", "cross_uniformity", "joint_uniformity"})
      for (const Case& c : cases())
        if (is(c, name)) {
          const auto first = blocks(9, size, Cut::uneven);
          for (const Outcome& o : run(c, rows, first, first)) CHECK(o.numbers[0] == 0);
        }
}

TEST_CASE("ring of metrics: the same bits with delays, with threads, from rows with gaps") {
  for (const Case& c : cases()) {
    const std::string name = c.name;
    CAPTURE(name);
    const Rows<float> rows(Kind::spread, 700, 700, 48);  // enough for threads
    for (const int size : {2, 3}) {
      CAPTURE(size);
      const auto first = blocks(700, size, Cut::even);
      const auto one = run(c, rows, first, first);
      for (const int threads : {2, 3}) {
        const auto again =
            run(c, rows, first, first, {.threads = threads, .delays = unsigned(threads)});
        for (std::size_t r = 0; r < one.size(); ++r) CHECK(again[r].same(one[r]));
      }
    }
  }
  const Rows<float> rows(Kind::spread, 9, 9, 6);
  RowMatrix<float> wide(9, 11);
  wide.leftCols(6) = rows.x;
  const double value = uniformity(rows.x);
  const auto near = nearest(rows.x, {.k = 2});
  for (const int size : {2, 3}) {
    const auto errors = on_ranks(size, [&](ThreadRank& rank) {
      const auto first = blocks(9, size, Cut::even);
      const std::size_t r = std::size_t(rank.rank());
      const auto mine = wide.block(first[r], 0, first[r + 1] - first[r], 6);
      const double off = uniformity(mine, {}, rank) - value;
      if (!(std::abs(off) <= 1e-6)) throw std::runtime_error("off");
      const auto found = nearest(mine, {.k = 2}, rank);
      if (found.ids != near.ids.middleRows(first[r], mine.rows()))
        throw std::runtime_error("other neighbours");
    });
    for (const std::string& error : errors) CHECK(error == "");
  }
}

namespace {

/// What a rank sends of rows, in blocks.
double blocks_sent(const Case& c, int size) {
  if (is(c, "uniformity")) return size / 2;
  if (is(c, "joint_uniformity") || of_gradient(c)) return 2 * (size / 2);
  if (is(c, "distribution_gap")) return 2 * (size / 2) + size - 1;
  return c.hops * (size - 1);
}

/// Bytes of means of the rows that it sends.
double means_sent(const Case& c, int size, Index d) {
  const double each = 16.0 * double(size - 1) / size * double(d);
  if (is(c, "distribution_gap")) return 3 * each;
  return c.exact ? 0 : each;
}

/// Blocks that it holds besides its rows: those that travel, their gradients and its own, two that
/// are centred, its own rows as one batch.
double blocks_held(const Case& c, int size) {
  const double travel = size == 2 ? 1 : 2;
  if (is(c, "joint_uniformity")) return 2 * (travel + 3);
  if (of_gradient(c)) return 2 * travel + 3;
  return travel + (c.exact ? 0 : 2);
}

/// The most that rank 0 of W holds, less what it had, and what it sends; multiply-adds of all.
struct Taken {
  double most = 0, sent = 0, products = 0;
};
Taken taken(const Case& c, const Rows<float>& rows, int size) {
  const auto first = blocks(rows.x.rows(), size, Cut::even);
  Taken all;
  std::vector<double> products(static_cast<std::size_t>(size));
  const auto errors = on_ranks(size, [&](ThreadRank& rank) {
    const Rows<float> mine = rows.part(first, first, rank.rank());
    WeighedRank weighed(rank);
    multiply_adds = 0;
    put_weight({});
    (void)c.f32(mine, &weighed);
    products[std::size_t(rank.rank())] = multiply_adds;
    if (rank.rank() == 0) all.most = double(weight().most), all.sent = double(rank.sent());
  });
  for (const std::string& error : errors) CHECK(error == "");
  for (const double p : products) all.products += p;
  return all;
}

}  // namespace

TEST_CASE("ring of metrics: bytes, products and memory are a part of W of the batch's") {
  const Index n = 40, d = 1 << 16;
  const Rows<float> rows(Kind::spread, n, n, d), narrow(Kind::spread, n, n, 8);
  for (const Case& c : cases()) {
    const std::string name = c.name;
    CAPTURE(name);
    for (const int size : {2, 4, 5}) {
      CAPTURE(size);
      const Taken ring = taken(c, rows, size);
      const double block = double(n / size * d) * sizeof(float);
      CHECK(ring.sent >= blocks_sent(c, size) * block);
      CHECK(ring.sent <= 1.01 * blocks_sent(c, size) * block + means_sent(c, size, d) +
                             20 * double(size) * double(sizeof(core::Record)));
      // Every pair once, but those of own rows, which are one tile here.
      const double table = double(n * n) * double(d), own = table / size;
      if (is(c, "uniformity")) CHECK(ring.products == (table + own) / 2);
      if (is(c, "joint_uniformity")) CHECK(ring.products == 2 * (table + own));
      if (of_gradient(c)) CHECK(ring.products == 2 * own + 1.5 * (table - own));
      if (is(c, "cross_uniformity") || is(c, "nearest") || is(c, "nearest within") ||
          is(c, "relative_alignment"))
        CHECK(ring.products == table);
      if (!allocations_fail()) continue;
      const double grown = ring.most - taken(c, narrow, size).most, page = double(1 << 21);
      CHECK(grown >= blocks_held(c, size) * block - 2 * page);
      CHECK(grown <= blocks_held(c, size) * block + 2 * page);
    }
  }
}

TEST_CASE("ring of metrics: NaN, errors of one rank, exchanges that fail") {
  const auto first = blocks(9, 3, Cut::even);
  for (const Case& c : cases()) {
    const std::string name = c.name;
    CAPTURE(name);
    const Rows<double> rows(Kind::spread, 9, 9, 5);
    const auto sentence = [&](const auto& spoil) {
      const auto errors = on_ranks(3, [&](ThreadRank& rank) {
        Rows<double> bad = rows.part(first, first, rank.rank());
        const Rows<double> good = bad;
        spoil(bad, rank.rank());
        const std::string said = refusal([&] { (void)c.f64(bad, &rank); });
        (void)c.f64(good, &rank);  // they go on
        throw std::runtime_error(said);
      });
      CHECK(errors[1] == errors[0]);
      CHECK(errors[2] == errors[0]);
      return errors[0];
    };
    const auto spoil = [](Rows<double>& r, int rank) {
      if (rank == 1) r.x(2, 3) = core::nan<double>;
    };
    if (c.exact || is(c, "relative_alignment")) {
      CHECK(sentence(spoil).find(": rank 1 of 3: row 2 of X has nan in column 3") !=
            std::string::npos);
    } else {
      Rows<double> spoilt = rows;
      spoilt.x(5, 3) = core::nan<double>;
      for (const Outcome& o : run(c, spoilt, first, first)) CHECK(std::isnan(o.numbers[0]));
    }
    const bool of_y = !is(c, "uniformity") && !of_gradient(c) && !is(c, "nearest within") &&
                      !is(c, "hubness within");
    if (of_y)
      CHECK(
          sentence([](auto& r, int) {
            r.y = r.y.leftCols(4).eval();
          }).find(c.exact || c.pairs ? "X is 3 x 5 but Y is 3 x 4" : "X is 9 x 5 but Y is 9 x 4") !=
          std::string::npos);
    if (is(c, "nearest within")) {
      CHECK(sentence([](auto& r, int) { r.k = 9; }) == "nearest: k is 9 among 8 other rows");
      CHECK(sentence([](auto& r, int rank) { r.k = rank == 2 ? 3 : 2; }) ==
            "nearest: rank 2 of 3 has other options than rank 0");
    }
    if (is(c, "nearest"))
      CHECK(sentence([](auto& r, int) { r.k = 10; }) == "nearest: k is 10 among 9 rows of Y");
    if (is(c, "uniformity"))
      CHECK(sentence([](auto& r, int) { r.t = -1; }).find("uniformity: t is -1") == 0);

    bool failed = true;
    int k = 0;
    for (; failed; ++k) {
      const auto errors = on_ranks(
          3, [&](ThreadRank& rank) { (void)c.f64(rows.part(first, first, rank.rank()), &rank); },
          {.failing_rank = 1, .failing_call = k});
      failed = errors[1] != "";
      CAPTURE(k);
      if (failed) CHECK(errors[1] == "exchange " + std::to_string(k) + " fails");
    }
    CHECK(k > 4);
  }
}

TEST_CASE("ring of metrics: memory that runs out on one rank is one error on all") {
  if (!allocations_fail()) return;
  const auto first = blocks(6, 2, Cut::even);
  const Rows<double> rows(Kind::spread, 6, 6, 3);
  const Rows<double> part[] = {rows.part(first, first, 0), rows.part(first, first, 1)};
  for (const Case& c : cases()) {
    const std::string name = c.name;
    CAPTURE(name);
    const bool in_one_piece =
        is(c, "uniformity") || is(c, "cross_uniformity") || is(c, "distribution_gap");
    CHECK(check_short_of_memory(false, [&](AnyRank& rank) {
            (void)c.f64(part[rank.rank()], &rank);
          }) > (in_one_piece ? 0 : 1));
  }
}
