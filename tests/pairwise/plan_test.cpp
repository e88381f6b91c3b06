#include "spheremix/pairwise/plan.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "spheremix/pairwise/softmax_sweeps.hpp"
#include "support/differences.hpp"
#include "support/source_dir.hpp"
#include "support/sphere_points.hpp"

#if defined(_OPENMP)
#include <omp.h>
#endif

using namespace spheremix;
using namespace spheremix::test;
using pairwise::Keep;

TEST_CASE("the picture of the engine shows its largest tile") {
  std::ifstream file(source_dir() + "/docs/images/engine.svg");
  std::ostringstream drawing;
  drawing << file.rdbuf();
  const std::string size = "at most " + std::to_string(pairwise::kStripRows) + " \u00d7 " +
                           std::to_string(pairwise::kPackCols) + " pairs";
  CHECK(drawing.str().find(size) != std::string::npos);
}

TEST_CASE("a plan covers the table and stays within its budget") {
  for (const Index n : {1, 2, 63, 64, 65, 256, 503, 504, 505, 1024, 4096, 8192, 46341})
    for (const Keep keep : {Keep::nothing, Keep::strip, Keep::all})
      for (const std::size_t budget : {std::size_t(300) << 20, std::size_t(1) << 30}) {
        CAPTURE(n);
        const auto plan = pairwise::make_plan<float>("test", n, n, 64, keep, budget, 1000);
        CHECK(plan.bytes <= budget);
        CHECK(plan.threads >= 1);
        CHECK(plan.strip_rows * (plan.strips - 1) < n);
        CHECK(plan.strip_rows * plan.strips >= n);
        CHECK(plan.kept_strips >= 1);
        CHECK(plan.kept_strips <= plan.strips);
        CHECK(plan.row_tile % (n < 512 ? 32 : n < 1024 ? 28 : 84) == 0);
        if (n > 84 && n < 1024) {  // work for two threads, and no tile of a few rows after them
          CHECK(pairwise::tiles(n, plan.row_tile) >= 2);
          if (n == 256) CHECK(n % plan.row_tile == 0);
        }
        CHECK(plan.col_tile % pairwise::kChunk == 0);
        CHECK(plan.row_tile <= pairwise::kStripRows);
        CHECK(plan.col_tile <= pairwise::kPackCols);
        if (keep == Keep::strip && n > 504) CHECK(plan.strip_rows <= 504);
      }
}

TEST_CASE("the whole table is kept where it fits, as much as fits where it does not") {
  const auto all =
      pairwise::make_plan<float>("test", 4096, 4096, 512, Keep::all, std::size_t(1) << 30, 0);
  CHECK(all.strips == 1);
  const auto some =
      pairwise::make_plan<float>("test", 4096, 4096, 512, Keep::all, std::size_t(40) << 20, 0);
  CHECK(some.strips > 1);
  CHECK(some.kept_strips > 1);
  CHECK(some.kept_strips < some.strips);
  CHECK_THROWS_AS((void)pairwise::make_plan<float>("test", 4096, 4096, 512, Keep::all, 1 << 20, 0),
                  std::invalid_argument);
}

#if defined(_OPENMP)
TEST_CASE("what is kept does not depend on the threads at hand") {
  const int before = omp_get_max_threads();
  for (std::size_t megabytes = 12; megabytes < 160; megabytes += 3) {
    CAPTURE(megabytes);
    omp_set_num_threads(1);
    const auto one =
        pairwise::make_plan<float>("test", 4096, 4096, 512, Keep::all, megabytes << 20, 0);
    omp_set_num_threads(64);
    const auto many =
        pairwise::make_plan<float>("test", 4096, 4096, 512, Keep::all, megabytes << 20, 0);
    CHECK(one.strips == many.strips);
    CHECK(one.kept_strips == many.kept_strips);
    CHECK(many.bytes <= megabytes << 20);
    CHECK(many.threads >= one.threads);
  }
  omp_set_num_threads(before);
}
#endif

TEST_CASE_TEMPLATE(
    "gradients of a table, by columns or by rows: right, and the same bits for any threads", T,
    float, double) {
  struct Memory {
    std::vector<std::vector<T>> numbers;
    std::vector<pairwise::PackBuffers<T>> packs;
    explicit Memory(int threads) {
      for (int k = 0; k < threads; ++k) {
        numbers.emplace_back(std::size_t(pairwise::kPackA<T>));
        numbers.emplace_back(std::size_t(pairwise::kPackB<T>));
        packs.push_back(
            {numbers[std::size_t(2 * k)].data(), numbers[std::size_t(2 * k + 1)].data()});
      }
    }
    pairwise::PackBuffers<T>& pack(int thread) { return packs[std::size_t(thread)]; }
  };
  for (const Index d : {40, 200, 330})  // the table of 90 x 130 is larger than d, then smaller
    for (const bool add : {false, true}) {
      CAPTURE(d);
      CAPTURE(add);
      const Index n = 120, m = 130, first = 17, rows = 90;
      const RowMatrix<T> x = gaussian_rows<T>(n, d, 1), y = gaussian_rows<T>(m, d, 2),
                         g = gaussian_rows<T>(rows, m, 3), before_x = gaussian_rows<T>(n, d, 4),
                         before_y = gaussian_rows<T>(m, d, 5);
      const auto in = [](const RowMatrix<T>& a) {
        return core::MatrixView<const T>{a.data(), a.rows(), a.cols(), a.cols()};
      };
      const auto out = [](RowMatrix<T>& a) {
        return core::MatrixView<T>{a.data(), a.rows(), a.cols(), a.cols()};
      };
      RowMatrix<T> first_x, first_y;
      for (const int threads : {1, 2, 3, 8}) {
        CAPTURE(threads);
        auto plan = pairwise::make_plan<T>("test", n, m, d, Keep::all, std::size_t(1) << 30, 0);
        plan.threads = threads;
        plan.product_tile = 84;
        Memory memory(threads);
        RowMatrix<T> dx = before_x, dy = before_y;
        pairwise::detail::pair_gradients<T>(in(x), in(y), plan, in(g), in(g), first, memory,
                                            {out(dx), out(dy), add, add}, add);
        if (threads > 1) {
          CHECK(same_bits(dx, first_x));
          CHECK(same_bits(dy, first_y));
          continue;
        }
        first_x = dx;
        first_y = dy;
        const LongMatrix gl = g.template cast<long double>();
        LongMatrix want_x = before_x.template cast<long double>(),
                   want_y = before_y.template cast<long double>();
        if (!add) want_x.middleRows(first, rows).setZero(), want_y.setZero();
        want_x.middleRows(first, rows) += gl * y.template cast<long double>();
        want_y += gl.transpose() * x.middleRows(first, rows).template cast<long double>();
        CHECK(matrix_error(dx, want_x) < 64 * double(core::epsilon<T>));
        CHECK(matrix_error(dy, want_y) < 64 * double(core::epsilon<T>));
      }
    }
}

TEST_CASE("merging (max, sum): empty tiles are neutral, order is no matter, nothing turns to NaN") {
  using formula::merge_softmax;
  const float none = -core::infinity<float>;
  float top = none;
  double sum = 0;
  merge_softmax(top, sum, none, 0.0);
  CHECK(top == none);
  CHECK(sum == 0);
  merge_softmax(top, sum, 3.0f, 2.0);
  merge_softmax(top, sum, none, 0.0);
  CHECK(top == 3);
  CHECK(sum == 2);
  merge_softmax(top, sum, 5.0f, 1.0);
  CHECK(top == 5);
  CHECK(sum == 1 + 2 * std::exp(-2.0));
  merge_softmax(top, sum, -400.0f, 7.0);
  CHECK(sum == 1 + 2 * std::exp(-2.0));
}
