// Chunked encoders give the whole batch's gradients.
#include "spheremix/losses/grad_cache.hpp"

#include <doctest/doctest.h>

#include "spheremix/losses/clip.hpp"
#include "spheremix/losses/info_nce.hpp"
#include "spheremix/losses/sup_con.hpp"
#include "support/differences.hpp"
#include "support/sphere_points.hpp"

using namespace spheremix;
using namespace spheremix::losses;
using namespace spheremix::test;

TEST_CASE_TEMPLATE("grad_cache: any chunk gives the full batch's parameter gradients", T, float,
                   double) {
  const Index n = 37;
  const RowMatrix<T> images = gaussian_rows<T>(n, 6, 1), texts = gaussian_rows<T>(n, 5, 2);
  const RowMatrix<T> a = gaussian_rows<T>(6, 4, 3), b = gaussian_rows<T>(5, 4, 4);
  const auto loss = [](const RowMatrix<T>& x, const RowMatrix<T>& y) {
    return clip_with_gradient(x, y, {.temperature = 2});
  };
  const auto full = loss(images * a, texts * b);
  const RowMatrix<T> want_a = images.transpose() * full.x, want_b = texts.transpose() * full.y;
  for (const Index chunk : {1, 5, 36, 37, 100}) {
    RowMatrix<T> got_a = RowMatrix<T>::Zero(6, 4), got_b = RowMatrix<T>::Zero(5, 4);
    Index calls = 0;
    const auto got = grad_cache<T>(
        n, chunk, [&](Index i, Index k) { return ++calls, (images.middleRows(i, k) * a).eval(); },
        [&](Index i, Index k) { return (texts.middleRows(i, k) * b).eval(); }, loss,
        [&](Index i, Index k, const auto& g) { got_a += images.middleRows(i, k).transpose() * g; },
        [&](Index i, Index k, const auto& g) { got_b += texts.middleRows(i, k).transpose() * g; });
    CHECK(calls == (n + chunk - 1) / chunk);
    CHECK(relative_error(got.loss, full.loss) < 8 * double(core::epsilon<T>));
    CHECK(matrix_error(got_a, want_a) < 32 * double(core::epsilon<T>));
    CHECK(matrix_error(got_b, want_b) < 32 * double(core::epsilon<T>));
  }
  CHECK_THROWS_AS((void)encode_in_chunks<T>(n, 0, [&](Index, Index) { return images; }),
                  std::invalid_argument);
  CHECK_THROWS_AS((void)encode_in_chunks<T>(n, 5, [&](Index, Index) { return images; }),
                  std::invalid_argument);
}

TEST_CASE_TEMPLATE("grad_cache: one encoder, labels, frozen rows", T, float, double) {
  const Index n = 23;
  const RowMatrix<T> in = gaussian_rows<T>(n, 6, 1), a = gaussian_rows<T>(6, 4, 3),
                     frozen = gaussian_rows<T>(n + 9, 4, 2);  // a queue of keys behind the pairs
  std::vector<int> labels;
  for (int i = 0; i < n; ++i) labels.push_back(i % 5);
  const double eps = double(core::epsilon<T>);
  struct OfX {
    double loss = 0;
    RowMatrix<T> x;
    double log_temperature = 0;
  };
  const auto keyed = [](const RowMatrix<T>& x, const RowMatrix<T>& y) {
    core::Workspace workspace;
    OfX g;
    info_nce_with_gradient(x, y, {.temperature = 2}, workspace, g);
    return g;
  };
  const RowMatrix<T> x = in * a;
  const auto classed = sup_con_with_gradient(x, labels, {.temperature = 2});
  const auto paired = info_nce_with_gradient(x, frozen, {.temperature = 2});
  const auto forward = [&](Index i, Index k) { return (in.middleRows(i, k) * a).eval(); };
  for (const Index chunk : {1, 7, 23}) {
    RowMatrix<T> got = RowMatrix<T>::Zero(6, 4);
    const auto backward = [&](Index i, Index k, const auto& g) {
      got += in.middleRows(i, k).transpose() * g;
    };
    const auto is = [&](const auto& result, const auto& full) {
      CHECK(relative_error(result.loss, full.loss) < 16 * eps);
      CHECK(matrix_error(got, (in.transpose() * full.x).eval()) < 64 * eps);
      got.setZero();
    };
    is(grad_cache<T>(
           n, chunk, forward,
           [&](const auto& e) { return sup_con_with_gradient(e, labels, {.temperature = 2}); },
           backward),
       classed);
    is(grad_cache<T>(
           n, chunk, forward, labels,
           [](const auto& e, const auto& y) {
             return sup_con_with_gradient(e, y, {.temperature = 2});
           },
           backward),
       classed);
    is(grad_cache<T>(n, chunk, forward, frozen, keyed, backward), paired);
  }
  const auto none = [](Index, Index, const auto&) {};
  CHECK_THROWS_WITH_AS((void)grad_cache<T>(-1, 5, forward, frozen, keyed, none),
                       "grad_cache: n is -1 and chunk 5", std::invalid_argument);
  CHECK_THROWS_WITH_AS((void)grad_cache<T>(n, 0, forward, frozen, keyed, none),
                       "grad_cache: n is 23 and chunk 0", std::invalid_argument);
  CHECK_THROWS_WITH_AS((void)grad_cache<T>(0, 5, forward, frozen, keyed, none),
                       "info_nce_with_gradient: X has no rows", std::invalid_argument);
  CHECK_THROWS_WITH_AS(
      (void)grad_cache<T>(
          n, 5, forward, frozen,
          [&](const auto& e, const auto& y) { return keyed(e.topRows(7), y); }, none),
      "grad_cache: the loss gave x of 7 rows for 23 inputs", std::invalid_argument);
}
