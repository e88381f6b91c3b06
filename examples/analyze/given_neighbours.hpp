// The nearest others of each row out of files that another program wrote (neighbour_files.hpp).
//
// Nothing is believed: every id must be a row's or -1, every cosine must be that of its two rows to
// 1e-3. What goes on is the rows' own product, whose bits are those of a sweep, so that lists that
// name the same rows give the same figures. What lists leave out only a sweep can tell: lacking()
// looks for rows that a sweep has met, are nearer and are not in the list.
//
//   N k d products; of several processes each reads its part of the rows
#pragma once

#include "modality.hpp"
#include "neighbour_files.hpp"

namespace analyze {

inline constexpr double kCosineSlack = 1e-3;  ///< of a cosine in a file

/// Places of the lists that figures take: the nearest, and one more, which tells ties at the edge.
inline Index places_needed(Index rows) { return std::min(kNeighbours + 1, rows - 1); }

/// The lists of some rows of one set, read and checked.
template <class T>
class GivenNeighbours {
 public:
  GivenNeighbours(const NeighbourFiles& files, const Modality<T>& m)
      : files_(files), m_(m), k_(places_needed(m.n())), place_(at(files.ids().rows()), -1) {
    for (Index i = 0; i < m.n(); ++i) place_[at(m.ids[at(i)])] = i;
    if (files.ids().cols() < k_)
      files.refuse(files.ids(), counted(files.ids().cols(), "column"), " where ", k_,
                   " other rows are needed", advice(k_ + 1));
  }

  TopList<T> read(Progress& progress) const {
    constexpr Index block = 64;
    const Index n = m_.n(), columns = files_.ids().cols();
    const OwnRows own(progress.share(), n);
    const int threads = spheremix::core::max_threads(), team = team_size(progress.share());
    TopList<T> top(n, k_);
    detail::SweepMemory<T> memory(threads);
    progress.stage("Neighbours given for " + m_.name(), double(n), "rows");
    spheremix::core::parallel_for(
        (own.count() + block - 1) / block, threads, [&](Index task, int thread) {
          const Index first = own.from + task * block, count = std::min(block, own.to - first);
          const std::vector<Index> rows(m_.ids.begin() + first, m_.ids.begin() + first + count);
          const RowMatrix<double> ids = files_.ids().gather<double>(rows),
                                  cosines = files_.cosines().gather<double>(rows);
          RowMatrix<T> others(columns, m_.rows.cols());
          std::vector<Index> listed, column;
          std::vector<T> products(at(columns));
          for (Index r = 0; r < count; ++r) {
            listed.clear(), column.clear();
            check(rows[at(r)], ids.row(r).data(), cosines.row(r).data(), listed, column);
            for (std::size_t c = 0; c < listed.size(); ++c)
              others.row(Index(c)) = m_.rows.row(listed[c]);
            multiply(first + r, others, Index(listed.size()), memory.pack(thread), products.data());
            for (std::size_t c = 0; c < listed.size(); ++c) {
              expect_cosine(rows[at(r)], m_.ids[at(listed[c])], column[c], cosines(r, column[c]),
                            double(products[c]));
              top.add(first + r, products[c], listed[c]);
            }
          }
          progress.add(double(count) * team);
        });
    top.gather(progress.share());
    return top;
  }

 private:
  std::string advice(Index columns) const {
    return ": search for " + std::to_string(columns) + " or more, the row itself among them";
  }

  /// The other rows that row `i` of the file lists, by their places in memory, and their columns.
  void check(Index i, const double* ids, const double* cosines, std::vector<Index>& listed,
             std::vector<Index>& column) const {
    double last = 2;
    for (Index c = 0; c < files_.ids().cols(); ++c) {
      if (!(ids[c] >= -1 && ids[c] < double(files_.ids().rows())))
        files_.refuse(files_.ids(), "row ", i, ", column ", c, " holds ", fixed(ids[c], 0),
                      " where a row from 0 to ", files_.ids().rows() - 1, " is expected, or -1");
      if (ids[c] < 0) continue;
      if (!(std::fabs(cosines[c]) <= 1 + kCosineSlack))
        files_.refuse(files_.cosines(), "row ", i, ", column ", c, " holds ", cosines[c],
                      ", which is no cosine: products of rows of length 1 are expected");
      if (cosines[c] > last)
        files_.refuse(files_.cosines(), "row ", i, " holds ", cosines[c], " at column ", c,
                      " after ", last, ": decreasing cosines are expected, not distances");
      last = cosines[c];
      const Index j = place_[at(Index(ids[c]))];
      if (j < 0 || j == place_[at(i)]) continue;  // cannot be used; the row itself
      listed.push_back(j), column.push_back(c);
    }
    std::vector<Index> ordered = listed;
    std::sort(ordered.begin(), ordered.end());
    const auto twice = std::adjacent_find(ordered.begin(), ordered.end());
    if (twice != ordered.end())
      files_.refuse(files_.ids(), "row ", i, " holds row ", m_.ids[at(*twice)], " twice");
    if (Index(listed.size()) < k_)
      files_.refuse(files_.ids(), "row ", i, " holds ", listed.size(),
                    " other rows that can be used where ", k_, " are needed",
                    advice(files_.ids().cols() + k_ - Index(listed.size())));
  }

  /// Of row i in memory with the first `count` of others: a sweep's bits.
  void multiply(Index i, const RowMatrix<T>& others, Index count,
                spheremix::pairwise::PackBuffers<T>& pack, T* products) const {
    constexpr Index most = detail::SweepMemory<T>::kCols;
    for (Index c = 0; c < count; c += most) {
      const Index wide = std::min(most, count - c);
      pack.packed = nullptr;
      spheremix::pairwise::times_transposed<T>({products + c, 1, wide, wide},
                                               detail::rows_of(m_.rows, i, 1),
                                               detail::rows_of(others, c, wide), false, pack);
    }
  }

  void expect_cosine(Index i, Index j, Index c, double given, double own) const {
    if (!(std::fabs(given - own) <= kCosineSlack))
      files_.refuse(files_.cosines(), "row ", i, ", column ", c, " holds ", fixed(given, 4),
                    " where the cosine of rows ", i, " and ", j, " is ", fixed(own, 4));
  }

  const NeighbourFiles& files_;
  const Modality<T>& m_;
  const Index k_;
  std::vector<Index> place_;  ///< of each row of the file, in memory; -1 where it is not
};

/// Rows of the file whose list lacks a row that is nearer than the last one counted, or as near where
/// the list shows no tie there. `seen`: what a sweep over some of the rows has found.
template <class T>
Found lacking(const TopList<T>& given, const std::vector<Index>& ids, const TopList<T>& seen,
              const std::vector<Index>& seen_ids, double width) {
  Found found;
  const Index k = std::min(kNeighbours, given.k());
  for (std::size_t s = 0, i = 0; s < seen_ids.size(); ++s) {
    while (ids[i] != seen_ids[s]) ++i;  // both ascend
    const double last = double(given.value(Index(i), k - 1));
    const bool tied = given.k() > k && double(given.value(Index(i), k)) >= last - 2 * width;
    const double edge = tied ? last + 2 * width : last - 2 * width;
    bool missed = false;
    for (Index p = 0; p < seen.k() && double(seen.value(Index(s), p)) > edge; ++p) {
      bool listed = false;
      for (Index q = 0; q < k; ++q)
        listed |= ids[at(given.id(Index(i), q))] == seen_ids[at(seen.id(Index(s), p))];
      missed |= !listed;
    }
    if (missed) found.add(seen_ids[s]);
  }
  return found;
}

}  // namespace analyze
