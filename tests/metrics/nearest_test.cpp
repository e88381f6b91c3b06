// The k nearest rows against a full sort, and the comparison they are found by on every instruction
// set.
#include "spheremix/metrics/nearest.hpp"

#include <doctest/doctest.h>

#include <array>
#include <numeric>
#include <utility>

#include "spheremix/metrics/hubness.hpp"
#include "support/differences.hpp"
#include "support/each_isa.hpp"
#include "support/refusal.hpp"
#include "support/sphere_points.hpp"
#include "support/threads.hpp"

using namespace spheremix;
using namespace spheremix::metrics;
using namespace spheremix::test;

namespace {

/// Rows of whole numbers: products are exact in every precision, and many of them tie.
template <class T>
RowMatrix<T> whole_rows(Index n, Index d, int most, std::uint32_t seed) {
  std::mt19937 engine(seed);
  RowMatrix<T> x(n, d);
  for (Index i = 0; i < x.size(); ++i)
    x.data()[i] = T(int(engine() % std::uint32_t(2 * most + 1)) - most);
  return x;
}

/// The definition: all rows of Y sorted by their products in double, equal ones in order.
template <class T>
RowMatrix<Index> sorted_rows(const RowMatrix<T>& x, const RowMatrix<T>& y, Index k, bool within) {
  const RowMatrix<double> s = x.template cast<double>() * y.template cast<double>().transpose();
  RowMatrix<Index> ids(x.rows(), k);
  for (Index i = 0; i < x.rows(); ++i) {
    std::vector<Index> order(std::size_t(y.rows()));
    std::iota(order.begin(), order.end(), Index(0));
    if (within) order.erase(order.begin() + i);
    std::stable_sort(order.begin(), order.end(),
                     [&](Index a, Index b) { return s(i, a) > s(i, b); });
    for (Index p = 0; p < k; ++p) ids(i, p) = order[std::size_t(p)];
  }
  return ids;
}

template <class R, class T>
void check_cosines(const R& got, const RowMatrix<T>& x, const RowMatrix<T>& y) {
  for (Index i = 0; i < got.ids.rows(); ++i)
    for (Index p = 0; p < got.ids.cols(); ++p)
      CHECK(got.cosines(i, p) == x.row(i).dot(y.row(got.ids(i, p))));
}

}  // namespace

TEST_CASE_TEMPLATE("the nearest are those of a full sort, ties to the lower row, around every tile",
                   T, float, double) {
  struct Case {
    Index n, m, d, k;
    int most;
  };
  for (const Case& c :
       {Case{1, 1, 3, 1, 2}, Case{5, 9, 2, 3, 1}, Case{83, 64, 5, 64, 2}, Case{84, 65, 5, 7, 1},
        Case{85, 503, 4, 10, 1}, Case{252, 504, 3, 100, 2}, Case{253, 505, 3, 1, 1},
        Case{600, 1100, 6, 10, 3}, Case{3, 1300, 2, 1300, 1}, Case{2100, 130, 4, 20, 1}}) {
    CAPTURE(c.n);
    CAPTURE(c.m);
    CAPTURE(c.k);
    const RowMatrix<T> x = whole_rows<T>(c.n, c.d, c.most, 1),
                       y = whole_rows<T>(c.m, c.d, c.most, 2);
    const auto got = nearest(x, y, {.k = c.k});
    CHECK(got.ids == sorted_rows(x, y, c.k, false));
    check_cosines(got, x, y);
    if (c.k >= c.n) continue;
    const auto within = nearest(x, {.k = c.k});
    CHECK(within.ids == sorted_rows(x, x, c.k, true));
    check_cosines(within, x, x);
  }
  CHECK(nearest(whole_rows<T>(30, 4, 2, 1), whole_rows<T>(20, 4, 2, 2)).ids.cols() == 10);
}

TEST_CASE_TEMPLATE("unit rows: the order of long double, products to their rounding", T, float,
                   double) {
  const RowMatrix<T> x = unit_rows<T>(120, 48, 3), y = unit_rows<T>(700, 48, 4);
  const LongMatrix s = x.template cast<long double>() * y.template cast<long double>().transpose();
  const auto got = nearest(x, y, {.k = 25});
  for (Index i = 0; i < x.rows(); ++i) {
    std::vector<long double> sorted(s.row(i).begin(), s.row(i).end());
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    for (Index p = 0; p < 25; ++p) {
      // Rows whose products T cannot tell apart may change places.
      CHECK(eps_error<T>(s(i, got.ids(i, p)), sorted[std::size_t(p)]) < 4);
      CHECK(eps_error<T>((long double)(got.cosines(i, p)), s(i, got.ids(i, p))) < 4);
      if (p > 0) CHECK(got.cosines(i, p) <= got.cosines(i, p - 1));
    }
  }
}

TEST_CASE("orders that make every row a candidate, or none after the first k") {
  const Index m = 1500, k = 9;
  RowMatrix<float> x(2, 1), y(m, 1);
  x << 1, -1;
  for (Index j = 0; j < m; ++j) y(j, 0) = float(j);
  const auto got = nearest(x, y, {.k = k});
  for (Index p = 0; p < k; ++p) {
    CHECK(got.ids(0, p) == m - 1 - p);
    CHECK(got.ids(1, p) == p);
  }
  const auto equal = nearest(x, RowMatrix<float>(RowMatrix<float>::Ones(m, 1)), {.k = k});
  for (Index p = 0; p < k; ++p) CHECK(equal.ids(0, p) == p);
  // Zeros of either sign are equal.
  for (Index j = 0; j < m; ++j) y(j, 0) = j % 2 == 0 ? -0.0f : 0.0f;
  CHECK(nearest(x, y, {.k = k}).ids == equal.ids);
}

namespace {

/// A number that is chosen while it is compared, so that every pivot is the worst one.
/// [McIlroy 1999, "A killer adversary for quicksort"]
struct Killer {
  int id;
  static inline std::vector<int> value;
  static inline int chosen, candidate, comparisons;

  friend bool operator<(const Killer& a, const Killer& b) {
    ++comparisons;
    int &x = value[std::size_t(a.id)], &y = value[std::size_t(b.id)];
    const int open = int(value.size());
    if (x == open && y == open) (a.id == candidate ? x : y) = chosen++;
    if (x == open)
      candidate = a.id;
    else if (y == open)
      candidate = b.id;
    return x < y;
  }
};

}  // namespace

TEST_CASE("the selection is right, and not quadratic, where every pivot is bad") {
  for (const int n : {3, 100, 4000}) {
    Killer::value.assign(std::size_t(n), n);
    Killer::chosen = Killer::candidate = Killer::comparisons = 0;
    std::vector<Killer> list, scratch(static_cast<std::size_t>(n));
    for (int i = 0; i < n; ++i) list.push_back({i});
    const int k = n / 2;
    metrics::detail::put_first(list.data(), k, n, scratch.data());
    CHECK(Killer::comparisons < 100 * n);
    for (int id = n; id-- > 0;)  // what was never compared may be anything
      if (Killer::value[std::size_t(id)] == n) Killer::value[std::size_t(id)] = Killer::chosen++;
    for (int i = 0; i < n; ++i) {
      const int v = Killer::value[std::size_t(list[std::size_t(i)].id)],
                edge = Killer::value[std::size_t(list[std::size_t(k - 1)].id)];
      CHECK((i < k ? v <= edge : v >= edge));
    }
  }
}

TEST_CASE_TEMPLATE("the same bits for any number of threads, also where the columns are cut", T,
                   float, double) {
  for (const auto& [n, m, d, k] : {std::array<Index, 4>{2, 9000, 150, 10},
                                   {90, 4000, 64, 100},
                                   {3, 1100, 800, 1100},
                                   {700, 1000, 20, 3}}) {
    const RowMatrix<T> x = unit_rows<T>(n, d, 5), y = unit_rows<T>(m, d, 6);
    const RowMatrix<T> whole = whole_rows<T>(n, d, 1, 7), other = whole_rows<T>(m, d, 1, 8);
    const Threads one(1);
    const auto want = nearest(x, y, {.k = k}), tied = nearest(whole, other, {.k = k});
    const auto hubs = hubness(whole, other, {.k = k}).occurrences;
    for (const int threads : {2, 3, 7, 16}) {
      CAPTURE(threads);
      const Threads more(threads);
      const auto got = nearest(x, y, {.k = k}), ties = nearest(whole, other, {.k = k});
      CHECK(got.ids == want.ids);
      CHECK(same_bits(got.cosines, want.cosines));
      CHECK(ties.ids == tied.ids);
      CHECK(hubness(whole, other, {.k = k}).occurrences == hubs);
    }
  }
}

TEST_CASE_TEMPLATE("into the caller's buffers, with one workspace", T, float, double) {
  const RowMatrix<T> x = unit_rows<T>(30, 7, 1), y = unit_rows<T>(50, 7, 2);
  const auto want = nearest(x, y, {.k = 4});
  std::vector<Index> ids(30 * 4);
  std::vector<T> cosines(30 * 4);
  using Ids = Eigen::Map<RowMatrix<Index>>;
  using Numbers = Eigen::Map<RowMatrix<T>>;
  NearestResult<Ids, Numbers> out{Ids(ids.data(), 30, 4), Numbers(cosines.data(), 30, 4)};
  core::Workspace workspace;
  nearest(x, y, {.k = 4}, workspace, out);
  CHECK(out.ids == want.ids);
  CHECK(same_bits(out.cosines, want.cosines));
  const std::size_t held = workspace.capacity();
  CHECK(held > 0);
  nearest(x.topRows(30), y, {.k = 4}, workspace, out);
  CHECK(workspace.capacity() == held);
  CHECK_THROWS_AS(nearest(x, y, {.k = 5}, workspace, out), std::invalid_argument);
  NearestResult<RowMatrix<Index>, RowMatrix<T>> grows;
  nearest(x.leftCols(5), y.leftCols(5), {.k = 2}, grows);
  CHECK(grows.ids ==
        nearest(RowMatrix<T>(x.leftCols(5)), RowMatrix<T>(y.leftCols(5)), {.k = 2}).ids);
  // Another layout than rows, on both ways.
  const Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic> columns = x;
  CHECK(nearest(columns, y, {.k = 4}).ids == want.ids);
}

TEST_CASE_TEMPLATE("what nearest refuses, by name", T, float, double) {
  RowMatrix<T> x = unit_rows<T>(6, 3, 1), y = unit_rows<T>(5, 3, 2);
  const auto says = [](const auto& call, const char* text) {
    const std::string got = refusal(call);
    CHECK_MESSAGE(got.find(text) != std::string::npos, got);
    CHECK_MESSAGE(got.rfind("nearest: ", 0) == 0, got);
  };
  says([&] { (void)nearest(x, y, {.k = 6}); }, "k is 6 among 5 rows of Y");
  says([&] { (void)nearest(x, y, {.k = 0}); }, "k is 0");
  says([&] { (void)nearest(x, y, {.k = -3}); }, "k is -3");
  says([&] { (void)nearest(x, {.k = 6}); }, "k is 6 among 5 other rows");
  says([&] { (void)nearest(x, RowMatrix<T>(y.leftCols(2))); }, "X is 6 x 3 but Y is 5 x 2");
  says([&] { (void)nearest(RowMatrix<T>(x.topRows(0)), y); }, "0 rows");
  for (const T bad : {core::nan<T>, core::infinity<T>}) {
    RowMatrix<T> broken = y;
    broken(3, 1) = bad;
    says([&] { (void)nearest(x, broken, {.k = 2}); }, "row 3 of Y");
    says([&] { (void)nearest(broken, x, {.k = 2}); }, "row 3 of X");
    says([&] { (void)nearest(broken, {.k = 2}); }, "row 3 of X");
  }
  says(
      [&] {
        (void)nearest(RowMatrix<T>(x * T(std::sqrt(core::largest<T>))),
                      y * T(std::sqrt(core::largest<T>)), {.k = 2});
      },
      "overflow");
  NearestResult<RowMatrix<Index>, Eigen::Map<RowMatrix<T>>> inside{
      {}, Eigen::Map<RowMatrix<T>>(x.data(), 6, 2)};
  says([&] { nearest(x, y, {.k = 2}, inside); }, "overlaps");
}

namespace {

template <core::Isa>
struct Above;

#define SPHEREMIX_TEST_ABOVE(ISA)                                                \
  template <>                                                                    \
  struct Above<core::Isa::ISA> {                                                 \
    static constexpr const char* name = #ISA;                                    \
    template <class T, bool Ties>                                                \
    static Index next(const T* s, Index j, Index n, T least, const T* in_column, \
                      std::uint64_t& which) {                                    \
      return simd::ISA::next_above<T, Ties>(s, j, n, least, in_column, which);   \
    }                                                                            \
  };
SPHEREMIX_TEST_COPIES(SPHEREMIX_TEST_ABOVE)

}  // namespace

TEST_CASE_TEMPLATE("next_above finds what the scalar loop does, whatever the length and the place",
                   T, float, double) {
  each_isa<Above>([]<class Copy>() {
    CAPTURE(Copy::name);
    std::mt19937 engine(3);
    for (const Index n : {0, 1, 15, 16, 63, 64, 65, 127, 128, 129, 200, 504})
      for (int turn = 0; turn < 60; ++turn) {
        std::vector<T> s(std::size_t(n) + 1, 0), column(std::size_t(n) + 1, 2);
        for (T& v : s) v = T(int(engine() % 7) - 3) / 4;
        s.back() = 9;  // beyond the end: never found
        const T least = turn % 3 == 0 ? T(2) : T(int(engine() % 7) - 3) / 4;
        if (n > 0) {
          column[engine() % std::size_t(n)] = T(0.25);
          if (turn % 4 == 0) s[engine() % std::size_t(n)] = T(3);
        }
        const Index from = n > 0 ? Index(engine() % std::size_t(n + 1)) : 0;
        for (const T* in_column : {static_cast<const T*>(nullptr), std::as_const(column).data()}) {
          for (const bool ties : {false, true}) {
            const auto wanted = [&](std::size_t i) {
              return ties ? s[i] >= least || (in_column && s[i] >= in_column[i])
                          : s[i] > least || (in_column && s[i] > in_column[i]);
            };
            std::vector<Index> want, got;
            for (Index j = from; j < n; ++j)
              if (wanted(std::size_t(j))) want.push_back(j);
            std::uint64_t which = 99;
            for (Index c = from;; c += 64) {
              c = ties ? Copy::template next<T, true>(s.data(), c, n, least, in_column, which)
                       : Copy::template next<T, false>(s.data(), c, n, least, in_column, which);
              if (c == n) break;
              CHECK(which != 0);
              for (int l = 0; l < 64; ++l)
                if (which >> l & 1u) got.push_back(c + l);
            }
            CHECK(which == 0);
            CHECK(got == want);
          }
        }
      }
  });
}
