// Embedding arithmetic: does an image plus the difference of two words find the image changed so?
//
//   q_i = v_query(i) + scale (target_i - source_i)
//   right where the image nearest to q_i by q_i . v_j / |v_j|, the query image left out, has the
//   wanted label
//
// embedding_arithmetic gives the share of right ones and the nearest images. Ties go to the lower
// row.
//
// Shapes   images: N x d, N >= 2, with N labels; query: Q images; source, target: Q x d; wanted: Q
//          labels.
// Errors   shapes, query outside [0, N), scale not finite, an image that is 0, a row with NaN or
//          infinity (named): std::invalid_argument.
// Source   Couairon et al. 2022, "Embedding Arithmetic of Multimodal Queries for Image Retrieval"
//          (SIMAT), arXiv 2112.03162, section 3.
#pragma once

#include "spheremix/core/numbers.hpp"
#include "spheremix/metrics/detail/row_checks.hpp"
#include "spheremix/metrics/detail/whole_rows.hpp"

namespace spheremix::metrics {

struct EmbeddingArithmeticOptions {
  double scale = 1;  ///< lambda, length of the step from source to target
};

/// The share of right answers, and the answers.
struct EmbeddingArithmeticResult {
  double accuracy = 0;         ///< in [0, 1]
  std::vector<Index> nearest;  ///< image found for each query
};

/// One query a row of `query`, `source`, `target` and `wanted`.
template <class V, class S, class W>
[[nodiscard]] EmbeddingArithmeticResult embedding_arithmetic(
    const Eigen::MatrixBase<V>& images, const core::Numbers& labels, const core::Numbers& query,
    const Eigen::MatrixBase<S>& source, const Eigen::MatrixBase<W>& target,
    const core::Numbers& wanted, const EmbeddingArithmeticOptions& options = {}) {
  using T = core::Real<V>;
  constexpr auto* name = "embedding_arithmetic";
  const core::InputRows<T> rows(images), from(source), to(target);
  const Index n = images.rows(), count = Index(query.size()), d = images.cols();
  core::expects(n >= 2, name, "there are ", n, " images, and none but the query's own");
  core::expects(count >= 1, name, "there are no queries");
  core::expects_same_shape(name, "source", source.rows(), source.cols(), "the queries", count, d);
  core::expects_same_shape(name, "target", target.rows(), target.cols(), "the queries", count, d);
  labels.expects_vector(name, "labels", n);
  wanted.expects_vector(name, "wanted", count);
  query.expects_classes(name, "query", count, n);
  core::expects(std::isfinite(options.scale), name, "scale is ", options.scale);
  detail::finite_norm(name, "the images", rows.view());
  RowMatrix<T> unit(n, d), asked(count, d);
  for (Index i = 0; i < n; ++i) {
    const T* row = rows.view().row(i);
    const double norm = std::sqrt(core::row_product(row, row, d));
    core::expects(norm > 0, name, "image ", i, " is 0");
    for (Index k = 0; k < d; ++k) unit(i, k) = T(double(row[k]) / norm);
  }
  for (Index i = 0; i < count; ++i) {
    const T* const row = rows.view().row(query.index(i));
    for (Index k = 0; k < d; ++k)
      asked(i, k) =
          T(double(row[k]) + options.scale * (double(to.view()(i, k)) - double(from.view()(i, k))));
  }
  const core::MatrixView<const T> questions{asked.data(), count, d, d},
      answers{unit.data(), n, d, d};
  detail::check_query(name, questions, answers);
  EmbeddingArithmeticResult result{0, std::vector<Index>(static_cast<std::size_t>(count))};
  detail::for_whole_rows(questions, answers, [&](Index i, T* s) {
    s[query.index(i)] = -core::infinity<T>;
    result.nearest[std::size_t(i)] = std::max_element(s, s + n) - s;
  });
  Index right = 0;
  for (Index i = 0; i < count; ++i) right += labels[result.nearest[std::size_t(i)]] == wanted[i];
  result.accuracy = double(right) / double(count);
  return result;
}

}  // namespace spheremix::metrics
