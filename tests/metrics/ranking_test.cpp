// Hubness, mean average precision, caption retrieval, zero-shot accuracy and embedding arithmetic
// against brute force.
#include <doctest/doctest.h>

#include "spheremix/metrics/average_precision.hpp"
#include "spheremix/metrics/caption_retrieval.hpp"
#include "spheremix/metrics/embedding_arithmetic.hpp"
#include "spheremix/metrics/hubness.hpp"
#include "spheremix/metrics/zero_shot.hpp"
#include "support/differences.hpp"
#include "support/sphere_points.hpp"

using namespace spheremix;
using namespace spheremix::metrics;
using namespace spheremix::test;

namespace {

std::vector<Index> modulo(Index n, Index k) {
  std::vector<Index> labels;
  for (Index i = 0; i < n; ++i) labels.push_back((i * 7 + i / 3) % k);
  return labels;
}

}  // namespace

TEST_CASE_TEMPLATE("hubness counts the k nearest", T, float, double) {
  const Index n = 83, k = 4;
  const RowMatrix<T> x = unit_rows<T>(n, 5, 1), y = unit_rows<T>(40, 5, 2);
  for (const bool within : {false, true}) {
    const RowMatrix<T>& keys = within ? x : y;
    std::vector<Index> want(std::size_t(keys.rows()), 0);
    for (Index i = 0; i < n; ++i) {
      std::vector<std::pair<double, Index>> order;
      for (Index j = 0; j < keys.rows(); ++j)
        if (!within || i != j)
          order.push_back(
              {-double(x.row(i).template cast<double>().dot(keys.row(j).template cast<double>())),
               j});
      std::sort(order.begin(), order.end());
      for (Index j = 0; j < k; ++j) ++want[std::size_t(order[std::size_t(j)].second)];
    }
    const auto got = within ? hubness(x, {.k = k}) : hubness(x, y, {.k = k});
    CHECK(got.occurrences == want);
    double mean = 0, second = 0, third = 0;
    for (const Index o : want) mean += double(o) / double(want.size());
    for (const Index o : want) {
      second += std::pow(double(o) - mean, 2) / double(want.size());
      third += std::pow(double(o) - mean, 3) / double(want.size());
    }
    CHECK(relative_error(got.skewness, third / std::pow(second, 1.5)) < 1e-10);
  }
  CHECK(hubness(RowMatrix<T>(RowMatrix<T>::Identity(4, 4)), {.k = 3}).skewness == 0);
  CHECK_THROWS_AS((void)hubness(x, {.k = n}), std::invalid_argument);
  CHECK_THROWS_AS((void)hubness(x, y.leftCols(2).eval()), std::invalid_argument);
}

TEST_CASE_TEMPLATE("mean average precision: brute force, known cases, ties against", T, float,
                   double) {
  const Index n = 60;
  const RowMatrix<T> x = unit_rows<T>(n, 6, 1), y = unit_rows<T>(45, 6, 2);
  const auto label_x = modulo(n, 9), label_y = modulo(45, 8);  // no row of Y has label 8
  double sum = 0;
  Index skipped = 0;
  for (Index i = 0; i < n; ++i) {
    std::vector<std::pair<double, bool>> order;
    for (Index j = 0; j < 45; ++j)
      order.push_back(
          {-double(x.row(i).dot(y.row(j))), label_y[std::size_t(j)] == label_x[std::size_t(i)]});
    std::sort(order.begin(), order.end());
    double ap = 0, found = 0;
    for (std::size_t r = 0; r < order.size(); ++r)
      if (order[r].second) ap += ++found / double(r + 1);
    if (found > 0)
      sum += ap / found;
    else
      ++skipped;
  }
  const auto got = mean_average_precision(x, y, label_x, label_y);
  CHECK(got.skipped == skipped);
  CHECK(skipped > 0);
  CHECK(relative_error(got.value, sum / double(n - skipped)) < 1e-12);
  // Classes at different corners: 1. All rows equal: as bad as labels allow, not 1.
  RowMatrix<T> corners(6, 3);
  for (Index i = 0; i < 6; ++i) corners.row(i) = RowMatrix<T>::Identity(3, 3).row(i % 3);
  const std::vector<Index> three{0, 1, 2, 0, 1, 2};
  CHECK(mean_average_precision(corners, three).value == 1);
  CHECK(relative_error(mean_average_precision(RowMatrix<T>(RowMatrix<T>::Ones(6, 3)), three).value,
                       0.2) < 1e-15);  // the one relevant row comes after four others
  CHECK(mean_average_precision(corners, {0, 1, 2, 3, 4, 5}).skipped == 6);
  CHECK_THROWS_AS((void)mean_average_precision(corners, {0, 1}), std::invalid_argument);
}

TEST_CASE_TEMPLATE("caption retrieval: brute force, one caption each is retrieval_both", T, float,
                   double) {
  const Index n = 33, m = 80;
  const RowMatrix<T> x = unit_rows<T>(n, 5, 1), y = unit_rows<T>(m, 5, 2);
  std::vector<Index> image_of;
  for (Index c = 0; c < m; ++c) image_of.push_back(c % n);
  const auto got = caption_retrieval(x, y, image_of, {.k = {1, 3, 10}});
  const RowMatrix<T> s = x * y.transpose();
  std::vector<double> recall(3), back(3);
  for (Index i = 0; i < n; ++i) {
    T best = -2;
    for (Index c = 0; c < m; ++c)
      if (image_of[std::size_t(c)] == i) best = std::max(best, s(i, c));
    Index rank = 1;
    for (Index c = 0; c < m; ++c) rank += image_of[std::size_t(c)] != i && s(i, c) >= best;
    for (std::size_t k = 0; k < 3; ++k) recall[k] += rank <= std::array{1, 3, 10}[k];
  }
  for (Index c = 0; c < m; ++c) {
    const Index own = image_of[std::size_t(c)];
    Index rank = 1;
    for (Index i = 0; i < n; ++i) rank += i != own && s(i, c) >= s(own, c);
    for (std::size_t k = 0; k < 3; ++k) back[k] += rank <= std::array{1, 3, 10}[k];
  }
  for (std::size_t k = 0; k < 3; ++k) {
    CHECK(std::abs(got.x_to_y.recall[k] - recall[k] / double(n)) < 1e-15);
    CHECK(std::abs(got.y_to_x.recall[k] - back[k] / double(m)) < 1e-15);
  }
  image_of.resize(std::size_t(n));
  const auto one = caption_retrieval(x, y.topRows(n), image_of);
  const auto both = retrieval_both(x, y.topRows(n));
  CHECK(one.x_to_y.recall == both.x_to_y.recall);
  CHECK(one.x_to_y.mrr == both.x_to_y.mrr);
  CHECK(one.y_to_x.recall == both.y_to_x.recall);
  CHECK(one.y_to_x.median_rank == both.y_to_x.median_rank);
  image_of[3] = 0;  // image 3 has none now
  CHECK_THROWS_AS((void)caption_retrieval(x, y.topRows(n), image_of), std::invalid_argument);
  image_of[3] = n;
  CHECK_THROWS_AS((void)caption_retrieval(x, y.topRows(n), image_of), std::invalid_argument);
}

TEST_CASE_TEMPLATE("zero-shot accuracy and class prototypes", T, float, double) {
  const Index n = 50, classes = 7;
  const RowMatrix<T> x = unit_rows<T>(n, 5, 1), prompts = unit_rows<T>(21, 5, 2);
  std::vector<Index> of, labels = modulo(n, classes);
  for (Index i = 0; i < 21; ++i) of.push_back(i % classes);
  const RowMatrix<T> p = class_prototypes(prompts, of, classes);
  for (Index c = 0; c < classes; ++c) {
    const Vector<T> sum = (prompts.row(c) + prompts.row(c + 7) + prompts.row(c + 14)).transpose();
    CHECK(matrix_error(p.row(c).transpose(), Vector<T>(sum / sum.norm())) <
          8 * double(core::epsilon<T>));
  }
  double first = 0, three = 0;
  for (Index i = 0; i < n; ++i) {
    const Vector<T> s = p * x.row(i).transpose();
    const Index rank = (s.array() >= s(labels[std::size_t(i)])).count();
    first += rank <= 1;
    three += rank <= 3;
  }
  const auto got = zero_shot_accuracy(x, p, labels, {.k = {1, 3, 7}});
  CHECK(std::abs(got[0] - first / double(n)) < 1e-15);
  CHECK(std::abs(got[1] - three / double(n)) < 1e-15);
  CHECK(got[2] == 1);
  // Equal prototypes: ties count against.
  CHECK(zero_shot_accuracy(x, RowMatrix<T>(RowMatrix<T>::Ones(classes, 5)), labels)[0] == 0);
  CHECK_THROWS_AS((void)class_prototypes(prompts, of, 8), std::invalid_argument);
  CHECK_THROWS_AS((void)zero_shot_accuracy(x, p.topRows(3).eval(), labels), std::invalid_argument);
}

TEST_CASE_TEMPLATE("embedding arithmetic finds what the difference of words asks for", T, float,
                   double) {
  // Images are kind + attribute; words are the attributes with an offset of their own modality.
  const Index kinds = 5, attributes = 3, n = kinds * attributes, d = 24;
  const RowMatrix<T> kind = unit_rows<T>(kinds, d, 1), attribute = unit_rows<T>(attributes, d, 2);
  RowMatrix<T> images(n, d), source(n * 2, d), target(n * 2, d);
  std::vector<Index> labels, query, wanted;
  const Vector<T> offset = unit<T>(d, 3);
  for (Index i = 0; i < n; ++i) {
    images.row(i) = kind.row(i / attributes) + attribute.row(i % attributes);
    images.row(i) /= images.row(i).norm();
    labels.push_back(i);
    for (Index s = 1; s < attributes; ++s) {
      const Index to = (i % attributes + s) % attributes, q = Index(query.size());
      source.row(q) = attribute.row(i % attributes) + offset.transpose();
      target.row(q) = attribute.row(to) + offset.transpose();
      query.push_back(i);
      wanted.push_back(i / attributes * attributes + to);
    }
  }
  const auto got = embedding_arithmetic(images, labels, query, source, target, wanted);
  CHECK(got.accuracy > 0.9);
  const auto still =
      embedding_arithmetic(images, labels, query, source, target, wanted, {.scale = 0});
  CHECK(still.accuracy < got.accuracy);
  Index right = 0;
  for (std::size_t q = 0; q < query.size(); ++q) {
    const Vector<T> v = (images.row(query[q]) + target.row(Index(q)) - source.row(Index(q)));
    Index best = -1;
    for (Index j = 0; j < n; ++j)
      if (j != query[q] && (best < 0 || images.row(j).dot(v) > images.row(best).dot(v))) best = j;
    CHECK(got.nearest[q] == best);
    right += labels[std::size_t(best)] == wanted[q];
  }
  CHECK(got.accuracy == double(right) / double(query.size()));
  query[0] = n;
  CHECK_THROWS_AS((void)embedding_arithmetic(images, labels, query, source, target, wanted),
                  std::invalid_argument);
}
