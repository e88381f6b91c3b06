// Targets: which columns of the table of all pairs each row is to find, where that is more than the
// diagonal.
//
//   ids(a, b)                   t_ij = 1 where a_i = b_j
//   pairs(rows, cols, weights)  t_ij = the sum of the weights of (i, j)
//   soft(P)                     t_ij = P_ij
//
// A pair of weight above 0 is a target, or excluded where the table says what is left out; one of
// weight 0 is not in the table. losses/targets.hpp makes them from vectors and matrices.
//
// What a line, a row or a column, makes of its targets (m' columns of it are not excluded, a target
// never is, z are its logits, R = sum of e^(z - M) over them, M the largest):
//
//   t' = (1 - e) t / sum t + e / m'                  e: label smoothing
//   loss = -sum t' log p = log R + (1 - e) sum t (M - z) / sum t + e (M - mean z)
//   dL/dz = p - t'
//
// Rows count by their row_weights w, columns by the mean of w over their targets. A line without a
// target is left out of its mean.
//
// The heaviest target of a line is set apart (softmax_line.hpp): where the loss is small, that one
// has nearly all the weight and nearly all of p. [Derived; t' as in Szegedy et al. 2016,
// arXiv 1512.00567, section 7]
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "spheremix/core/constants.hpp"
#include "spheremix/formula/softmax_line.hpp"

namespace spheremix::formula {

/// A line of logits with targets. Sums are over what is not excluded.
template <class T>
struct TargetLine {
  SoftmaxLine<T> softmax;
  T top;        ///< M
  T below;      ///< sum of t (M - z) over the targets set apart, t normalised over the line
  T share;      ///< sum of t over the other targets
  T pull;       ///< sum of t z over those
  T smoothing;  ///< e
  T mean;       ///< mean logit, 0 where e is 0
  T even;       ///< e / m'

  SPHEREMIX_HD T loss() const {
    return softmax.log_total() + (1 - smoothing) * (below + (share * top - pull)) +
           smoothing * (top - mean);
  }
  /// dL/dz of a target of weight t that is set apart, x = e^(z - M): p - t' = (1 - t') p - t' (1 - p),
  /// `others` = 1 - t.
  SPHEREMIX_HD T slope(bool best, T x, T t, T others) const {
    return ((1 - smoothing) * others + (smoothing - even)) * (x / softmax.total()) -
           ((1 - smoothing) * t + even) * softmax.rest(best, x);
  }
};

}  // namespace spheremix::formula

namespace spheremix::losses {

class Targets;

namespace detail {

/// An integer of any type: two are equal where their values are.
struct Id {
  bool negative;
  std::uint64_t bits;

  friend bool operator==(const Id&, const Id&) = default;
  friend bool operator<(const Id& a, const Id& b) {
    return a.negative != b.negative ? a.negative : a.bits < b.bits;
  }
};

/// Numbers in memory, whatever their type.
template <class Value>
struct TargetNumbers {
  const void* data = nullptr;
  Index size = 0, step = 1;
  Value (*read)(const void* data, Index at) = nullptr;

  Value operator[](Index i) const { return read(data, i * step); }
};

/// The same of a matrix of float or double.
struct DenseNumbers {
  const void* data = nullptr;
  Index rows = 0, cols = 0, row_step = 0, col_step = 0;
  bool single = false;

  double operator()(Index i, Index j) const {
    const Index at = i * row_step + j * col_step;
    return single ? double(static_cast<const float*>(data)[at])
                  : static_cast<const double*>(data)[at];
  }
};

enum class TargetKind { ids, pairs, soft };

struct PairCode;

/// What were temporaries.
struct TargetOwned {
  std::shared_ptr<const void> part[3];
};

struct TargetParts {
  TargetKind kind;
  TargetNumbers<Id> a{}, b{};       ///< ids of rows and columns, or rows and columns of pairs
  TargetNumbers<double> weights{};  ///< of pairs; no data: all 1
  DenseNumbers soft{};
  std::shared_ptr<const TargetOwned> owned{};
  const PairCode* code = nullptr;  ///< what is compiled where targets are made (losses/targets.hpp)
};

}  // namespace detail

/// Made by ids, pairs and soft. Borrows what was an lvalue there, which must outlive it; owns what
/// was a temporary. Copies share that.
class Targets {
 public:
  explicit Targets(detail::TargetParts parts) : parts_(std::move(parts)) {}

  const detail::TargetParts& parts() const { return parts_; }

 private:
  detail::TargetParts parts_;
};

}  // namespace spheremix::losses
