// The uniformity of feature_separation (formula/feature_separation.hpp): its memory, and its gradient
// from those of the two batches' metrics::uniformity.
#pragma once

#include "spheremix/formula/feature_separation.hpp"
#include "spheremix/losses/detail/entry.hpp"
#include "spheremix/metrics/uniformity.hpp"

namespace spheremix::losses::detail {

/// to += factor * from.
template <class T>
void add_scaled(MatrixView<T> to, MatrixView<const T> from, double factor) {
  for (Index i = 0; i < to.rows; ++i)
    for (Index k = 0; k < to.cols; ++k)
      to(i, k) = T(double(to(i, k)) + factor * double(from(i, k)));
}

template <class T>
struct SeparationArrays {
  MatrixView<T> sides[2] = {};  ///< gradients of the two uniformities
  metrics::detail::UniformityArrays<T> pairs;

  SeparationArrays(Index n, Index d, bool gradients, int threads, Workspace::Frame& frame)
      : pairs(n, d, gradients, threads, frame) {
    for (MatrixView<T>& side : sides)
      if (gradients) side = take_rows<T>(frame, n, d);
  }
};

inline constexpr double kSeparationT = metrics::UniformityOptions{}.t;

/// Threads of the two uniformities: as many as the budget has memory for, of bytes(threads).
template <class Bytes>
int separation_threads(const char* function, Index n, Index d, std::size_t budget,
                       const Bytes& bytes) {
  core::expects(bytes(1) <= budget, function, "memory_budget is ", budget, " bytes, but at least ",
                bytes(1), " are needed for the uniformity of ", n, " rows of length ", d);
  int threads = metrics::detail::threads_for(n, n, d);
  while (bytes(threads) > budget) --threads;
  return threads;
}

/// Uniformity of the two independent batches, of n rows each, diagonal included, from value(side,
/// gradient): that of one. Its gradient is added where `gradients` of both have memory.
template <class T, class Value>
double separation_uniformity(const FeatureSeparationOptions& options, Index n,
                             const MatrixView<T> (&gradients)[2], MatrixView<T> dx,
                             MatrixView<T> dy, const Value& value) {
  const double weight = options.uniformity_weight;
  formula::SeparationSpread spread{options.uniformity == UniformityReading::joint, {0, 0}};
  if (n == 1) return weight * spread.value();  // the diagonal alone
  for (const std::size_t s : {std::size_t(0), std::size_t(1)})
    spread.sum[s] = spread.others(double(n), value(s, gradients[s]));
  for (const int s : {0, 1})
    if (dx.data) add_scaled<T>(s ? dy : dx, gradients[s], weight * spread.factor(s));
  return weight * spread.value();
}

}  // namespace spheremix::losses::detail
