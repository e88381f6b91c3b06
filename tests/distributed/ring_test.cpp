// Losses by ring: W ranks, threads of this process, against one process. Short batches of long rows, which
// no longer fit a budget that sweeps of them can do with.
#include <doctest/doctest.h>

#include "distributed/counted_product.hpp"
#include "spheremix/losses/clip.hpp"
#include "spheremix/losses/info_nce.hpp"
#include "spheremix/losses/m2_mix.hpp"
#include "spheremix/losses/margin_nce.hpp"
#include "spheremix/losses/siglip.hpp"
#include "support/refusal.hpp"
#include "support/thread_ranks.hpp"

using namespace spheremix;
using namespace spheremix::test;

namespace {

constexpr std::size_t kBudget = std::size_t(6) << 20;  // half of it for the value alone

/// Rows of a batch: pairs that belong together loosely.
template <class T>
struct Rows {
  RowMatrix<T> x, y;
  Vector<T> lambda;
  std::size_t budget = kBudget;

  Rows(Index n, Index d) : x(n, d), y(n, d), lambda(n) {
    std::mt19937 random(7);
    const auto next = [&] { return T(double(random()) / 2147483648.0 - 1); };
    for (Index i = 0; i < n; ++i) {
      for (Index k = 0; k < d; ++k) x(i, k) = next(), y(i, k) = x(i, k) + next();
      x.row(i) /= T(std::sqrt(double(d) / 3));
      y.row(i) /= y.row(i).norm();
      x.row(i) /= x.row(i).norm();
      lambda[i] = T((3 * i + 1) % 11) / T(11);
    }
  }
  Rows part(Index at, Index count) const {
    Rows p(0, x.cols());
    p.x = x.middleRows(at, count);
    p.y = y.middleRows(at, count);
    p.lambda = lambda.segment(at, count);
    p.budget = budget;
    return p;
  }
};

/// What comes back: numbers of all ranks, and rows of one.
struct Outcome {
  std::vector<double> numbers;
  std::vector<RowMatrix<double>> rows;

  std::vector<double> bits() const {
    std::vector<double> all = numbers;
    for (const auto& r : rows) all.insert(all.end(), r.data(), r.data() + r.size());
    return all;
  }
  /// Off the whole batch's outcome, whose rows [at, ...) these are: relative to the largest of each.
  double off(const Outcome& one, Index at) const {
    double most = 0;
    const auto put = [&](double a, double b, double scale) {
      if (std::isnan(a) && std::isnan(b)) return;
      const double by = std::abs(a - b) / (scale > 0 ? scale : 1);
      if (!(by <= most)) most = std::isnan(by) ? core::infinity<double> : by;
    };
    for (std::size_t k = 0; k < one.numbers.size(); ++k)
      put(numbers[k], one.numbers[k], std::abs(one.numbers[k]));
    for (std::size_t k = 0; k < one.rows.size(); ++k) {
      const double scale = one.rows[k].cwiseAbs().maxCoeff();
      for (Index i = 0; i < rows[k].rows(); ++i)
        for (Index j = 0; j < rows[k].cols(); ++j)
          put(rows[k](i, j), one.rows[k](at + i, j), scale);
    }
    return most;
  }
};

/// Gradients, then the value alone: (rows, workspace, world...).
struct Case {
  const char* name;
  int gathered;   ///< times N d numbers are more than the budget
  bool own_keys;  ///< takes as much of it for the keys of its own rows
  std::function<Outcome(const Rows<double>&, core::Workspace&, AnyRank*)> f64;
  std::function<Outcome(const Rows<float>&, core::Workspace&, AnyRank*)> f32;

  auto& of(double) const { return f64; }
  auto& of(float) const { return f32; }
  /// Columns of n rows that are too much by a little.
  template <class T>
  Index columns(Index n) const {
    return Index(kBudget / (std::size_t(gathered) * std::size_t(n) * sizeof(T))) + 8;
  }
};

template <class T>
using MixGradientOf = losses::MixGradient<RowMatrix<T>, Vector<T>>;

template <class Out>
Outcome outcome(const Out& out, double value) {
  Outcome o{{out.loss, value, out.log_temperature}, {}};
  if constexpr (requires { out.bias; }) o.numbers.push_back(out.bias);
  if constexpr (requires { out.margin; }) o.numbers.push_back(out.margin);
  o.rows = {out.x.template cast<double>(), out.y.template cast<double>()};
  if constexpr (requires { out.lambda; }) o.rows.push_back(out.lambda.template cast<double>());
  return o;
}

/// On a rank, or in one process.
template <class Call>
auto placed(AnyRank* rank, const Call& call) {
  return rank ? call(*rank) : call();
}

template <class Options, class Values, class Gradients>
Case case_of(const char* name, int gathered, bool own_keys, Options options, Values values,
             Gradients gradients) {
  const auto run = [=]<class T>(const Rows<T>& r, core::Workspace& workspace, AnyRank* rank) {
    Options o = options;
    o.memory_budget = rank ? r.budget : std::size_t(1) << 30;
    return placed(rank, [&](auto&... world) {
      const auto out = gradients(r, o, workspace, world...);
      Options half = o;
      half.memory_budget /= 2;
      return outcome(out, values(r, half, world...));
    });
  };
  return {name, gathered, own_keys, run, run};
}

#define SPHEREMIX_CASE(NAME, GRADIENT, GATHERED, OWN_KEYS, OPTIONS, ...)                         \
  case_of(                                                                                       \
      #NAME, GATHERED, OWN_KEYS, OPTIONS,                                                        \
      [](const auto& r, const auto& o, auto&... world) {                                         \
        return losses::NAME(__VA_ARGS__, o, world...);                                           \
      },                                                                                         \
      []<class T>(const Rows<T>& r, const auto& o, core::Workspace& workspace, auto&... world) { \
        GRADIENT out;                                                                            \
        losses::NAME##_with_gradient(__VA_ARGS__, o, workspace, out, world...);                  \
        return out;                                                                              \
      })

const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      SPHEREMIX_CASE(info_nce, losses::ContrastiveGradient<RowMatrix<T>>, 2, false,
                     losses::InfoNceOptions{.temperature = 0.3}, r.x, r.y),
      SPHEREMIX_CASE(clip, losses::ContrastiveGradient<RowMatrix<T>>, 2, false,
                     losses::ClipOptions{.temperature = 0.3}, r.x, r.y),
      SPHEREMIX_CASE(margin_nce, losses::MarginNceGradient<RowMatrix<T>>, 2, false,
                     (losses::MarginNceOptions{.temperature = 0.3, .margin = 0.2}), r.x, r.y),
      SPHEREMIX_CASE(siglip, losses::SiglipGradient<RowMatrix<T>>, 2, false,
                     (losses::SiglipOptions{.temperature = 0.3, .bias = -1}), r.x, r.y),
      SPHEREMIX_CASE(m2_mix, MixGradientOf<T>, 4, false, losses::M2MixOptions{.temperature = 0.3},
                     r.x, r.y, r.lambda),
      SPHEREMIX_CASE(m2_mix, MixGradientOf<T>, 4, true,
                     (losses::M2MixOptions{.temperature = 0.3,
                                           .reduction = losses::Reduction::mean,
                                           .negatives = losses::Negatives::append}),
                     r.x, r.y, r.lambda)};
  return all;
}
#undef SPHEREMIX_CASE

template <class T>
Outcome one_process(const Case& c, const Rows<T>& rows) {
  core::Workspace workspace;
  return c.of(T())(rows, workspace, nullptr);
}

/// A case on W ranks: what each has, and its largest difference from one process.
template <class T>
struct Ran {
  std::vector<Outcome> got;
  double off = 0;

  Ran(const Case& c, const Rows<T>& rows, const Outcome& one, int size, Cut cut,
      const ThreadOptions& options = {})
      : got(static_cast<std::size_t>(size)) {
    const auto first = blocks(rows.x.rows(), size, cut);
    const auto errors = on_ranks(
        size,
        [&](ThreadRank& rank) {
          const std::size_t r = std::size_t(rank.rank());
          core::Workspace workspace;
          got[r] = c.of(T())(rows.part(first[r], first[r + 1] - first[r]), workspace, &rank);
        },
        options);
    for (std::size_t r = 0; r < got.size(); ++r) {
      CHECK(errors[r] == "");
      if (errors[r] == "") off = (std::max)(off, got[r].off(one, first[r]));
    }
  }
};

template <class T>
void check_one_process(double within) {
  for (const Case& c : cases())
    for (const Index n : {1, 3, 23}) {
      const Rows<T> rows(n, c.columns<T>(n));
      const Outcome one = one_process(c, rows);
      for (const int size : {2, 3, 4, 5})
        for (const Cut cut : kCuts) {
          if (n == 1 && size != 3) continue;
          const auto first = blocks(n, size, cut);
          Index most = 0;
          for (std::size_t r = 1; r < first.size(); ++r)
            most = (std::max)(most, first[r] - first[r - 1]);
          if (c.own_keys && 100 * most > 53 * n) continue;  // keys of these rows alone are too much
          const std::string name = c.name;
          CAPTURE(name);
          CAPTURE(n);
          CAPTURE(size);
          CAPTURE(int(cut));
          CHECK(Ran<T>(c, rows, one, size, cut).off <= within);
        }
    }
}

}  // namespace

TEST_CASE("ring: W ranks are one process, in double") { check_one_process<double>(1e-12); }
TEST_CASE("ring: W ranks are one process, in float") {
  check_one_process<float>(64 * double(core::epsilon<float>));
}

namespace {

/// Blocks that one rank sends of a table: forward, back, with dY; and forward for the value.
double hops(const Case& c, int size) {
  const bool one_sweep = std::string(c.name) == "siglip", mixes = c.gathered == 4;
  const double gradient = one_sweep ? 2 * (size - 1) : 3 * size - 4;
  return (gradient + size - 1) * (mixes ? 2 : 1) * (c.own_keys ? 2 : 1);
}

constexpr Index kRows = 25;

}  // namespace

TEST_CASE("ring: bytes, memory and products are a part of W of the batch's") {
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  for (const Case& c : cases()) {
    const std::string name = c.name;
    CAPTURE(name);
    const Rows<float> rows(kRows, c.columns<float>(kRows));
    core::Workspace memory;
    multiply_adds = 0;
    (void)c.f32(rows, memory, nullptr);
    const double all = multiply_adds;
    const double table = double(kRows * kRows) * double(rows.x.cols());
    CHECK(all >= 4 * table);
    for (const int size : {2, 5}) {
      CAPTURE(size);
      const Index first = kRows / size, others = size == 5 ? 5 : kRows - first;
      std::vector<double> part(static_cast<std::size_t>(size));
      std::size_t sent = 0, held = 0, travels = 0;
      const auto errors = on_ranks(size, [&](ThreadRank& rank) {
        const Index count = rank.rank() == 0 ? first : others;
        core::Workspace workspace;
        multiply_adds = 0;
        (void)c.f32(rows.part(rank.rank() == 0 ? 0 : first + others * (rank.rank() - 1), count),
                    workspace, &rank);
        part[std::size_t(rank.rank())] = multiply_adds;
        if (rank.rank() != 0) return;
        sent = rank.sent();
        travels = workspace.beside().capacity();
        held = workspace.capacity() + travels;
      });
      for (const std::string& error : errors) CHECK(error == "");
      // Sweeps forward and back take a table four times, but for the block that came last; one takes it
      // three times.
      const bool one_sweep = std::string(c.name) == "siglip";
      double sum = 0;
      for (const double p : part) sum += p;
      if (one_sweep) CHECK(sum == all);
      if (!one_sweep && size == 5) CHECK(sum == doctest::Approx(all * (5 - 0.2) / 4).epsilon(1e-9));
      if (size == 5)
        for (const double p : part) CHECK(p == doctest::Approx(sum / 5).epsilon(1e-9));
      // The largest block of each.
      const double block = double(others * rows.x.cols()) * sizeof(float);
      const double least = hops(c, size) * double(first * rows.x.cols()) * sizeof(float);
      CHECK(double(sent) >= least);
      CHECK(double(sent) <=
            1.01 * hops(c, size) * block + 40 * double(size) * double(sizeof(core::Record)));
      const double blocks = (size == 2 ? 2 : 4) * (c.own_keys ? 2 : 1);
      CHECK(double(travels) <= blocks * block + 1024);
      CHECK(double(travels) >= blocks * block);
      if (size == 5) CHECK(held <= kBudget);
    }
  }
  omp_set_num_threads(threads);
}

TEST_CASE("ring: the same bits with delays, with threads, from rows with gaps, and again") {
  for (const Case& c : cases()) {
    const std::string name = c.name;
    CAPTURE(name);
    for (const int size : {2, 3}) {
      CAPTURE(size);
      const Rows<float> rows(23, c.columns<float>(23));
      const Outcome one = one_process(c, rows);
      const Ran<float> first(c, rows, one, size, Cut::even);
      for (const int threads : {2, 3}) {
        const Ran<float> again(c, rows, one, size, Cut::even,
                               {.threads = threads, .delays = unsigned(threads)});
        for (std::size_t r = 0; r < first.got.size(); ++r)
          CHECK(again.got[r].bits() == first.got[r].bits());
      }
    }
  }
  // Rows of a wider matrix, and a second call that keeps its memory.
  const Rows<float> rows(8, cases()[1].columns<float>(8));
  const Index d = rows.x.cols();
  RowMatrix<float> wide(8, 2 * d + 5);
  wide.leftCols(d) = rows.x;
  wide.middleCols(d + 2, d) = rows.y;
  for (const int size : {2, 4}) {
    const auto errors = on_ranks(size, [&](ThreadRank& rank) {
      const Index count = 8 / size, at = count * rank.rank();
      const losses::ClipOptions options{.memory_budget = kBudget};
      core::Workspace plain, gaps;
      losses::ContrastiveGradient<RowMatrix<float>> one, two;
      AnyRank& world = rank;
      losses::clip_with_gradient(rows.x.middleRows(at, count), rows.y.middleRows(at, count),
                                 options, plain, one, world);
      const auto run = [&] {
        losses::clip_with_gradient(wide.block(at, 0, count, d), wide.block(at, d + 2, count, d),
                                   options, gaps, two, world);
      };
      run();
      const std::size_t held = gaps.capacity() + gaps.beside().capacity();
      const float* const x = two.x.data();
      run();
      if (one.loss != two.loss || one.x != two.x || one.y != two.y)
        throw std::runtime_error("other bits");
      if (held != gaps.capacity() + gaps.beside().capacity() || x != two.x.data())
        throw std::runtime_error("a second call allocates");
    });
    for (const std::string& error : errors) CHECK(error == "");
  }
}

TEST_CASE("ring: NaN in a row of one rank, errors of one rank, exchanges that fail") {
  for (const Case& c : cases()) {
    const std::string name = c.name;
    CAPTURE(name);
    const Rows<double> rows(6, c.columns<double>(6));
    for (const bool of_y : {false, true}) {
      Rows<double> spoilt = rows;
      (of_y ? spoilt.y : spoilt.x)(4, 3) = core::nan<double>;
      const Ran<double> ran(c, spoilt, one_process(c, spoilt), 3, Cut::even);
      CHECK(ran.off < core::infinity<double>);  // NaN in the same places
      for (const Outcome& o : ran.got) CHECK(std::isnan(o.numbers[0]));
    }

    const auto sentence = [&](const auto& spoil) {
      const auto errors = on_ranks(3, [&](ThreadRank& rank) {
        core::Workspace workspace;
        Rows<double> bad = rows.part(2 * rank.rank(), 2);
        const Rows<double> good = bad;
        spoil(bad, rank.rank());
        const std::string said = refusal([&] { (void)c.f64(bad, workspace, &rank); });
        (void)c.f64(good, workspace, &rank);  // they go on
        throw std::runtime_error(said);
      });
      CHECK(errors[1] == errors[0]);
      CHECK(errors[2] == errors[0]);
      return errors[0];
    };
    CHECK(sentence([](Rows<double>& r, int) {
            r.budget = 1000;
          }).find("memory_budget is 1000 bytes, but at least") != std::string::npos);
    CHECK(sentence([](Rows<double>& r, int rank) {
            r.budget += std::size_t(rank == 1);
          }).find("rank 1 of 3 has other options") != std::string::npos);
    CHECK(sentence([](Rows<double>& r, int rank) {
            if (rank == 2) r.y = r.y.topRows(1).eval();
          }).find("rank 2 of 3") != std::string::npos);
    CHECK(sentence([](Rows<double>& r, int) {
            r.y = r.y.leftCols(r.y.cols() - 1).eval();
          }).find(" but Y is ") != std::string::npos);
    if (c.gathered == 4)
      CHECK(sentence([](Rows<double>& r, int rank) {
              r.lambda.setConstant(0.5);
              if (rank == 1) r.y.row(1) = -r.x.row(1);
            }).find("rank 1 of 3: the two embeddings mixed in row 1 are antipodal") !=
            std::string::npos);

    bool failed = true;
    int k = 0;
    for (; failed; ++k) {
      const auto errors = on_ranks(3,
                                   [&](ThreadRank& rank) {
                                     core::Workspace workspace;
                                     (void)c.f64(rows.part(2 * rank.rank(), 2), workspace, &rank);
                                   },
                                   {.failing_rank = 1, .failing_call = k});
      failed = errors[1] != "";
      CAPTURE(k);
      if (failed) CHECK(errors[1] == "exchange " + std::to_string(k) + " fails");
    }
    CHECK(k > 10);
  }
}

TEST_CASE("ring: keys of a rank's own rows that exceed the budget are refused by all, who go on") {
  const Case& c = cases().back();
  const Rows<float> rows(23, c.columns<float>(23));
  const Outcome one = one_process(c, rows);
  const auto all = blocks(23, 3, Cut::last_has_all), even = blocks(23, 3, Cut::even);
  const auto errors = on_ranks(3, [&](ThreadRank& rank) {
    const std::size_t r = std::size_t(rank.rank());
    core::Workspace workspace;
    const auto run = [&](const std::vector<Index>& first) {
      return c.f32(rows.part(first[r], first[r + 1] - first[r]), workspace, &rank);
    };
    const std::string said = refusal([&] { (void)run(all); });
    if (!(run(even).off(one, even[r]) <= 64 * double(core::epsilon<float>)))
      throw std::runtime_error("off");
    throw std::runtime_error(said);
  });
  CHECK(errors[0].find("rank 2 of 3: memory_budget is 6291456 bytes, but at least") !=
        std::string::npos);
  CHECK(errors[1] == errors[0]);
  CHECK(errors[2] == errors[0]);
}

TEST_CASE("ring: rows of 16 bits have the bits of the same numbers in float") {
  const Case& c = cases()[4];
  Rows<float> rows(6, c.columns<float>(6));
  for (auto* x : {&rows.x, &rows.y}) *x = x->cast<Eigen::half>().cast<float>();
  const auto errors = on_ranks(3, [&](ThreadRank& rank) {
    AnyRank& world = rank;
    const Rows<float> mine = rows.part(2 * rank.rank(), 2);
    losses::M2MixOptions options{.temperature = 0.3, .memory_budget = kBudget};
    const auto same = [&]<class H>(H) {
      const RowMatrix<H> x = mine.x.cast<H>(), y = mine.y.cast<H>();
      const RowMatrix<float> u = x.template cast<float>(), v = y.template cast<float>();
      core::Workspace one, two;
      MixGradientOf<float> a, b;
      losses::m2_mix_with_gradient(u, v, mine.lambda, options, one, a, world);
      losses::m2_mix_with_gradient(x, y, mine.lambda, options, two, b, world);
      losses::M2MixOptions half = options;
      half.memory_budget /= 2;
      const double value = losses::m2_mix(u, v, mine.lambda, half, world);
      return two.beside().capacity() > 0 && one.beside().capacity() == two.beside().capacity() &&
             a.loss == b.loss && a.log_temperature == b.log_temperature && a.x == b.x &&
             a.y == b.y && a.lambda == b.lambda &&
             value == losses::m2_mix(x, y, mine.lambda, half, world);
    };
    if (!same(Eigen::half()) || !same(Eigen::bfloat16())) throw std::runtime_error("other bits");
  });
  for (const std::string& error : errors) CHECK(error == "");
}

TEST_CASE("ring: it runs where gathered rows exceed the budget, and not before") {
  const Index n = 32, d = 16384;
  const Rows<float> rows(n, d);
  const std::size_t gathered = std::size_t(2 * n * d) * sizeof(float);
  for (const Case& c : cases()) {
    const std::string name = c.name;
    CAPTURE(name);
    if (c.gathered != 2) continue;
    const Outcome one = one_process(c, rows);
    for (const bool fits : {false, true}) {
      CAPTURE(fits);
      std::size_t held[4] = {};
      const auto errors = on_ranks(4, [&](ThreadRank& rank) {
        Rows<float> mine = rows.part(8 * rank.rank(), 8);
        mine.budget = gathered - std::size_t(fits ? 0 : 1);
        core::Workspace workspace;
        const double off = c.f32(mine, workspace, &rank).off(one, 8 * rank.rank());
        if (!(off <= 64 * double(core::epsilon<float>))) throw std::runtime_error("off");
        held[rank.rank()] = workspace.beside().capacity();
      });
      for (const std::string& error : errors) CHECK(error == "");
      for (const std::size_t h : held)
        CHECK(h == (fits ? gathered + gathered / 8 : gathered / 2));  // and dY of others' 8 rows
    }
  }
}
