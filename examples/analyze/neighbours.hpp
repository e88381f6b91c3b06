// How often each row is among the k nearest of others, and which rows tie for the nearest.
//
//   O_j = sum over queries i of 1 where y_j is nearer than the k-th nearest, (k - nearer) / (as near)
//         where it is as near, 0 otherwise
//
// A sweep's lists hold k + 1 candidates. Where the last two are equal, more may be: such queries,
// seldom many, are asked again against all of Y. Sums are in units of 2^-40, so that their order
// does not show.
#pragma once

#include <atomic>
#include <functional>

#include "bootstrap.hpp"
#include "sweep.hpp"

namespace analyze {

/// One batch asking another (or itself).
template <class T>
class Neighbours {
 public:
  /// Takes the first k of each list, whose queries are rows of x and candidates rows of y. `exact`
  /// is null where T is double. first(i, rows): the candidates that tie for the nearest of i.
  template <class First>
  Neighbours(const RowMatrix<T>& x, const RowMatrix<T>& y, bool same, const TopList<T>& top,
             Index k, const FileCosine* exact, const First& first)
      : x_(x),
        y_(y),
        top_(top),
        k_(std::min(k, top.k())),
        exact_(exact),
        width_(tie_width<T>(x.cols())),
        narrow_(tie_width<double>(x.cols())),
        edge_(at(x.rows()), spheremix::core::nan<double>),
        share_(at(x.rows()), 1) {
    std::vector<std::int64_t> sum(at(y.rows()));
    std::vector<Index> again;
    for (Index i = 0; i < x.rows(); ++i) {
      if (k_ < top.k() && value(i, k_) >= value(i, k_ - 1) - 2 * width_) {
        again.push_back(i);
        continue;
      }
      for (Index p = 0; p < k_; ++p) sum[at(top.id(i, p))] += kUnit;
      first(i, nearest(i));
    }
    ask_again(again, same, sum, first);
    count_.resize(sum.size());
    for (std::size_t j = 0; j < sum.size(); ++j) count_[j] = double(sum[j]) / double(kUnit);
    for (const double s : share_) tied_ += s < 1;
  }

  const std::vector<double>& count() const { return count_; }
  /// Queries whose k-th nearest ties with candidates beyond the k.
  Index tied() const { return tied_; }

  /// The part that candidate `row` has in query i's k nearest.
  double part(Index i, Index row) const {
    if (std::isnan(edge_[at(i)])) {
      for (Index p = 0; p < k_; ++p)
        if (top_.id(i, p) == row) return 1;
      return 0;
    }
    const double c =
        exact_ != nullptr
            ? exact_->cosine(i, row)
            : double(spheremix::core::row_product(x_.row(i).data(), y_.row(row).data(), x_.cols()));
    return c > edge_[at(i)] + narrow_ ? 1 : c >= edge_[at(i)] - narrow_ ? share_[at(i)] : 0;
  }

 private:
  static constexpr std::int64_t kUnit = std::int64_t(1) << 40;

  double value(Index i, Index p) const { return double(top_.value(i, p)); }

  std::vector<Index> nearest(Index i) const {
    std::vector<std::pair<double, Index>> list;
    for (Index p = 0; p < k_ && value(i, p) >= value(i, 0) - 2 * width_; ++p)
      list.emplace_back(value(i, p), top_.id(i, p));
    return leaders(i, list);
  }

  std::vector<Index> leaders(Index i, std::vector<std::pair<double, Index>>& list) const {
    if (exact_ != nullptr && list.size() > 1)
      for (auto& [cosine, row] : list) cosine = exact_->cosine(i, row);
    double best = -2;
    for (const auto& [cosine, row] : list) best = std::max(best, cosine);
    std::vector<Index> rows;
    for (const auto& [cosine, row] : list)
      if (cosine >= best - narrow_) rows.push_back(row);
    std::sort(rows.begin(), rows.end());
    return rows;
  }

  template <class First>
  void ask_again(const std::vector<Index>& again, bool same, std::vector<std::int64_t>& sum,
                 const First& first) {
    constexpr Index block = 28;
    const Index d = x_.cols(), m = y_.rows(), n = Index(again.size());
    const int threads = spheremix::core::max_threads();
    detail::SweepMemory<T> memory(threads);
    constexpr Index cols = detail::SweepMemory<T>::kCols;
    std::vector<RowMatrix<T>> tables{std::size_t(threads)};
    spheremix::core::parallel_for((n + block - 1) / block, threads, [&](Index task, int thread) {
      stop_if_asked();
      const Index begin = task * block, rows = std::min(block, n - begin);
      RowMatrix<T> asked(rows, d), &s = tables[std::size_t(thread)];
      s.resize(rows, m);
      for (Index r = 0; r < rows; ++r) asked.row(r) = x_.row(again[at(begin + r)]);
      for (Index j = 0; j < m; j += cols) {
        const Index wide = std::min(cols, m - j);
        memory.pack(thread).packed = nullptr;
        spheremix::pairwise::times_transposed<T>(
            {s.data() + j, rows, wide, m}, detail::rows_of(asked, 0, rows),
            detail::rows_of(y_, j, wide), false, memory.pack(thread));
      }
      for (Index r = 0; r < rows; ++r) {
        const Index i = again[at(begin + r)];
        const T least = T(value(i, k_ - 1) - 2 * width_);
        std::vector<std::pair<double, Index>> list;
        for (Index j = 0; j < m; ++j)
          if (s(r, j) >= least && !(same && j == i)) list.emplace_back(double(s(r, j)), j);
        if (exact_ != nullptr)
          for (auto& [cosine, row] : list) cosine = exact_->cosine(i, row);
        std::nth_element(list.begin(), list.begin() + (k_ - 1), list.end(), std::greater<>());
        const double edge = list[at(k_ - 1)].first;
        Index nearer = 0, equal = 0;
        double best = -2;
        for (const auto& [cosine, row] : list) {
          nearer += cosine > edge + narrow_;
          equal += std::fabs(cosine - edge) <= narrow_;
          best = std::max(best, cosine);
        }
        std::vector<Index> leading;
        const double share = double(k_ - nearer) / double(equal);
        const auto part = std::int64_t(std::llround(share * double(kUnit)));
        for (const auto& [cosine, row] : list) {
          if (cosine < edge - narrow_) continue;
          std::atomic_ref<std::int64_t>(sum[at(row)])
              .fetch_add(cosine > edge + narrow_ ? kUnit : part, std::memory_order_relaxed);
          if (cosine >= best - narrow_) leading.push_back(row);
        }
        edge_[at(i)] = edge, share_[at(i)] = share;
        first(i, leading);
      }
    });
  }

  const RowMatrix<T>&x_, &y_;
  const TopList<T>& top_;
  const Index k_;
  const FileCosine* exact_;
  const double width_, narrow_;
  std::vector<double> edge_, share_;  ///< of the queries asked again: cosine and part at the edge
  std::vector<double> count_;
  Index tied_ = 0;
};

}  // namespace analyze
