// Every loss on one of several ranks against one process.
#pragma once

#define SPHEREMIX_TEST_RANKS
#include "support/thread_ranks.hpp"
// After it:
#include "support/loss_contract.hpp"

namespace spheremix::test {

/// Largest difference, relative to the largest number of what is compared; infinity for other
/// shapes, or where only one is NaN.
template <class A, class B>
double apart(const A& a, const B& b) {
  if (a.rows() != b.rows() || a.cols() != b.cols()) return core::infinity<double>;
  double most = 0, scale = 1e-300;
  for (Index i = 0; i < a.rows(); ++i)
    for (Index k = 0; k < a.cols(); ++k) {
      const double p = double(a(i, k)), q = double(b(i, k));
      if (std::isnan(p) && std::isnan(q)) continue;
      if (std::isnan(p) || std::isnan(q)) return core::infinity<double>;
      most = (std::max)(most, std::abs(p - q));
      scale = (std::max)(scale, std::abs(q));
    }
  return most / scale;
}

inline double apart(double a, double b) {
  return apart(Vector<double>::Constant(1, a), Vector<double>::Constant(1, b));
}

/// What a rank holding rows [at, at + count) of `one`'s batch is off from it.
template <class T>
double off_one_process(const LossOutcome<T>& mine, const LossOutcome<T>& one, Index at,
                       Index count) {
  double off = apart(mine.loss, one.loss);
  for (std::size_t k = 0; k < one.numbers.size(); ++k)
    off = (std::max)(off, apart(mine.numbers[k], one.numbers[k]));
  for (std::size_t k = 0; k < one.gradients.size(); ++k) {
    const RowMatrix<T>& g = mine.gradients[k];
    const RowMatrix<T> own = one.gradients[k].middleRows(at, count);
    if (g.rows() != count || g.cols() != own.cols()) return core::infinity<double>;
    // Relative to the whole gradient: a row may be nearly 0.
    const double whole = double(one.gradients[k].cwiseAbs().maxCoeff());
    if (count > 0) off = (std::max)(off, apart(g, own) * double(own.cwiseAbs().maxCoeff()) / whole);
  }
  for (std::size_t k = 0; k < one.per_row.size(); ++k) {
    if (mine.per_row[k].size() != count) return core::infinity<double>;
    const double whole = one.per_row[k].cwiseAbs().maxCoeff();
    if (count > 0 && whole > 0)
      off = (std::max)(
          off, (mine.per_row[k] - one.per_row[k].segment(at, count)).cwiseAbs().maxCoeff() / whole);
  }
  return off;
}

/// All numbers of an outcome, bit by bit.
template <class T>
std::vector<double> bits_of(const LossOutcome<T>& o) {
  std::vector<double> all{o.loss};
  all.insert(all.end(), o.numbers.begin(), o.numbers.end());
  for (const auto& g : o.gradients)
    for (Index i = 0; i < g.size(); ++i) all.push_back(double(g.data()[i]));
  for (const auto& g : o.per_row) all.insert(all.end(), g.data(), g.data() + g.size());
  return all;
}

inline bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0);
}

}  // namespace spheremix::test
