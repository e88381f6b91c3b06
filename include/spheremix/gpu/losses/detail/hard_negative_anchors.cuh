// HCL's anchors on the device: what a pair weighs, what an anchor's two statistics come to, the power
// of two that brings all weights into fp16, and the steps of a call around its sweeps.
#pragma once

#include "spheremix/formula/hard_negative.hpp"
#include "spheremix/gpu/pairwise/rows.cuh"

namespace spheremix::gpu::losses::detail {

inline const char* hard_negative_error(double beta, double tau_plus) {
  if (!(beta >= 0) || !(beta <= core::largest<double>)) return "beta is not a finite number >= 0";
  return tau_plus >= 0 && tau_plus < 1 ? nullptr : "tau_plus lies outside [0, 1)";
}

/// Pairs of both views: logits (1 + beta) s / tau in base 2, weights of both softmaxes and of both
/// ends of the pair.
template <class T>
struct HardNegativePair {
  static constexpr bool kRows = true, kCols = true;
  T scale, soft;                     ///< of the two logits
  T hard_weight, soft_weight;        ///< 1 + beta, beta
  const pairwise::RowPair<T>* rows;  ///< of `soft`, by row; nullptr for beta = 0
  const pairwise::RowPair<T>* cols;
  const T* unit;  ///< what the Weight type wants

  struct Row {
    T lse, weight;  ///< of the softmax of `soft`
  };
  struct Col {
    T lse;
  };
  // Without them (beta = 0) 2^(z - infinity) = 0.
  __device__ __forceinline__ Row row(Index i) const {
    return rows ? Row{rows[i].a, *unit * soft_weight} : Row{core::infinity<T>, T(0)};
  }
  __device__ __forceinline__ Col col(Index j) const {
    return {rows ? cols[j].a : core::infinity<T>};
  }
  __device__ T row_unit() const { return *unit * hard_weight; }
  __device__ T col_unit() const { return *unit * hard_weight; }

  __device__ __forceinline__ T gradient(T s, T p, T q, Row row, Col col) const {
    const T z = soft * s;
    return (p + q) -
           row.weight * (pairwise::pair_exp2(z - row.lse) + pairwise::pair_exp2(z - col.lse));
  }
};

/// Statistics of an anchor -> its loss, its positive's weight and log-sum-exps less log2(pull), and
/// a bound of its weights.
template <class T>
struct HardNegativeFinishKernel {
  static constexpr unsigned kThreads = 128, kResident = 4, kWarps = kThreads / kWarp;
  static constexpr std::size_t kShared = 2 * kWarps * sizeof(double);

  Index anchors;
  const T* positives;  ///< cosines
  double temperature, beta, tau_plus;
  pairwise::RowPair<T>* hard;
  pairwise::RowPair<T>* soft;  ///< nullptr for beta = 0
  T* bound;
  double* losses;  ///< a block's share of L
  double* floors;  ///< of dL/d ln(tau) through the floors
  Index pairs =
      0;  ///< anchors are the rows, then the columns, of this many pairs; 0: stacked views

  __device__ void operator()() const {
    const Index i = Index(blockIdx.x) * kThreads + threadIdx.x;
    double sums[2] = {0, 0};  // of losses, and of dL/d ln(tau) at the floors
    if (i < anchors) {
      constexpr double kLn2 = 0.693147180559945309417;
      const double count = double(pairs > 0 ? pairs - 1 : anchors - 2),
                   a = double(positives[pairs > 0 ? i % pairs : i]) / temperature;
      const double top = double(hard[i].a) + std::log2(double(hard[i].b));
      const double weights = soft ? double(soft[i].a) + std::log2(double(soft[i].b)) : 0;
      const double u = kLn2 * (top - weights) + (soft ? std::log(count) : 0) - a;
      formula::HardNegativeTerm term{core::nan<double>, core::nan<double>, 0};
      if (count == 0 && a - a == 0)
        term = {0, 0, 0};
      else if (count > 0 && u - u == 0 && a - a == 0)
        term = formula::hard_negative_term(u, a, count, temperature, tau_plus);
      const double pull = std::log2(term.pull);
      const auto largest = [](T sum) { return sum > 1 ? 1 / double(sum) : 1; };
      double most = term.pull * (1 + beta) * largest(hard[i].b);
      hard[i] = {T(top - pull), T(-(term.pull + term.at_floor))};
      if (soft) {
        most = pairwise::larger(most, term.pull * beta * largest(soft[i].b));
        soft[i].a = T(weights - pull);
      }
      bound[i] = T(most);
      sums[0] = term.loss / double(anchors);
      sums[1] = term.at_floor / double(anchors) / temperature;
    }
    pairwise::block_sums<kThreads>(sums, 2, reinterpret_cast<double*>(shared_memory()));
    if (threadIdx.x > 0) return;
    losses[blockIdx.x] = sums[0];
    floors[blockIdx.x] = sums[1];
  }
};

/// unit[0] = scale 2^-e, unit[1] = 2^e with the least e >= 0 that brings every bound to at most 1.
/// One block.
template <class T>
struct HardNegativeUnitKernel {
  static constexpr unsigned kThreads = 256, kResident = 4;
  static constexpr std::size_t kShared = kThreads / kWarp * sizeof(T);
  const T* bound;
  Index count;
  T scale;
  T* unit;
  __device__ void operator()() const {
    T most = 1;
    for (Index k = threadIdx.x; k < count; k += kThreads) most = pairwise::larger(most, bound[k]);
    most = pairwise::block_max<kThreads>(most, reinterpret_cast<T*>(shared_memory()));
    if (threadIdx.x > 0) return;
    const T factor = std::exp2(std::ceil(std::log2(most)));
    unit[0] = scale / factor;
    unit[1] = factor;
  }
};

/// The anchors of one call, 2 n of them: the rows of both stacked views, each with its positive's
/// cosine, or the rows and then the columns of n pairs, a cosine a pair.
template <class Sum>
struct HardNegativeAnchors {
  using Pair = pairwise::RowPair<Sum>;
  using Finish = HardNegativeFinishKernel<Sum>;

  Index n;
  bool stacked;
  double temperature, beta, tau_plus;
  Index blocks;  ///< of the losses
  Sum scale[2];  ///< of the logits of both softmaxes: `hard`, and `soft` unless beta = 0
  Pair* statistics[2];
  Sum *positives, *bound, *unit;
  double *losses, *floors;

  template <class Options>
  HardNegativeAnchors(Work& work, Index pairs, bool both_views, const Options& o)
      : n(pairs),
        stacked(both_views),
        temperature(o.temperature),
        beta(o.beta),
        tau_plus(o.tau_plus),
        blocks(pairwise::ceil_div(2 * n, Finish::kThreads)) {
    const double base2 = 1 / (temperature * 0.693147180559945309417);
    for (int which = 0; which < 2; ++which) {
      scale[which] = Sum((which == 0 ? 1 + beta : beta) * base2);
      statistics[which] = work.take<Pair>(2 * n);
    }
    positives = work.take<Sum>(stacked ? 2 * n : n);
    bound = work.take<Sum>(2 * n);
    unit = work.take<Sum>(2);
    losses = work.take<double>(blocks);
    floors = work.take<double>(blocks);
  }

  int softmaxes() const { return beta > 0 ? 2 : 1; }
  Pair* soft() const { return beta > 0 ? statistics[1] : nullptr; }

  /// After the statistics.
  void finish(Work& work) const {
    pairwise::start(work,
                    Finish{2 * n, positives, temperature, beta, tau_plus, statistics[0], soft(),
                           bound, losses, floors, stacked ? 0 : n},
                    blocks);
  }

  /// Before the gradients.
  void choose_unit(Work& work, Sum weight_scale) const {
    pairwise::start(work, HardNegativeUnitKernel<Sum>{bound, 2 * n, weight_scale, unit}, 1);
  }

  /// Of the table whose rows are the anchors from `row` on, and whose columns those from `col` on.
  HardNegativePair<Sum> pair(Index row, Index col) const {
    return {scale[0],
            scale[1],
            Sum(1 + beta),
            Sum(beta),
            soft() ? soft() + row : nullptr,
            statistics[1] + col,
            unit};
  }

  /// dL/d(cosine) of weight 1.
  double slope() const { return 0.5 / double(n) / temperature; }

  /// The loss and, where wanted, dL/d ln(tau): `share` of the sum of `along`, and the floors' part.
  void sums(Work& work, double* loss, double* log_temperature = nullptr,
            const double* along = nullptr, Index count = 0, double share = 0) const {
    pairwise::ReduceKernel reduce{};
    reduce.sum[0] = {losses, blocks, 1, loss};
    if (!log_temperature) return pairwise::start(work, reduce, 1);
    reduce.sum[1] = {along, count, share, log_temperature};
    pairwise::start(work, reduce, 2);
    reduce.sum[0] = {floors, blocks, 1, log_temperature, true};
    pairwise::start(work, reduce, 1);
  }
};

}  // namespace spheremix::gpu::losses::detail
