// The k nearest rows of Y to each row of X: what nearest and hubness are made of.
//
//   a strip of X against the tiles of Y, from left to right:
//     a tile of products
//     of each of its rows the products above the k-th largest so far, found 64 at a time
//     (next_above), to a list of up to 2 k candidates, of which a full one keeps the first k
//
// In a random order few products are above the k-th largest: about k (1 + log2(M / k)) of a row.
// The k nearest are one set in one order, however the table is cut: the same bits for any number of
// threads.
#pragma once

#include <bit>

#include "spheremix/metrics/detail/tiles.hpp"

namespace spheremix::metrics::detail {

/// A row of Y as a row of X sees it.
template <class T>
struct Candidate {
  T cosine;
  Index row;

  /// Nearer, or as near and the lower row. Without a branch: which it is cannot be foreseen.
  friend bool operator<(const Candidate& a, const Candidate& b) {
    return bool(int(a.cosine > b.cosine) | (int(a.cosine == b.cosine) & int(a.row < b.row)));
  }
};

/// Puts the first k of n in front, the last of them at k - 1. Hoare's selection whose passes move
/// every candidate twice and branch on none, so that the processor has nothing to foresee;
/// std::nth_element takes over where pivots are bad. `scratch`: n more.
template <class One>
void put_first(One* list, Index k, Index n, One* scratch) {
  Index begin = 0, end = n;
  for (int round = 0; round < 32; ++round) {
    if (end - begin < 2) return;
    One &a = list[begin], &b = list[(begin + end) / 2], &last = list[end - 1];
    if (b < a) std::swap(a, b);
    if (last < b) std::swap(b, last);
    if (b < a) std::swap(a, b);
    std::swap(b, last);  // the second of the three is last
    const One pivot = last;
    Index place = begin, behind = 0;
    for (Index j = begin; j + 1 < end; ++j) {
      const One one = list[j];
      list[place] = one;  // what stood there has been read
      scratch[behind] = one;
      const Index nearer = one < pivot;
      place += nearer, behind += 1 - nearer;
    }
    list[place] = pivot;
    std::copy(scratch, scratch + behind, list + place + 1);
    if (place == k - 1) return;
    if (place < k - 1)
      begin = place + 1;
    else
      end = place;
  }
  std::nth_element(list + begin, list + (k - 1), list + end);
}

/// The first k candidates seen, in whatever order they come, and others that came since those were
/// last chosen.
template <class T>
class CandidateList {
 public:
  /// `capacity` > k, or as many candidates as there are. None is looked for at or below `least`.
  CandidateList(Candidate<T>* memory, Index k, Index capacity, T least)
      : list_(memory), k_(k), capacity_(capacity), least_(least) {}

  /// At or below this none that comes later is among the first k.
  T least() const { return least_; }
  Candidate<T>* begin() const { return list_; }
  Candidate<T>* end() const { return list_ + count_; }

  /// `scratch`: as many candidates as the list holds.
  void add(const Candidate<T>& one, Candidate<T>* scratch) {
    list_[count_++] = one;
    if (count_ == capacity_) choose(scratch);
  }

  /// Leaves the first k, in any order.
  void choose(Candidate<T>* scratch) {
    if (count_ <= k_) return;
    put_first(list_, k_, count_, scratch);
    count_ = k_;
    least_ = list_[k_ - 1].cosine;
  }

 private:
  Candidate<T>* list_;
  Index k_, capacity_, count_ = 0;
  T least_;
};

/// How a table is cut: into strips of rows and, where threads are more than strips, these into
/// parts of columns.
struct NearestPlan {
  Index n, m, k, capacity, strip_rows, strips, parts;
  int threads;

  NearestPlan(Index n_, Index m_, Index d, Index k_, std::size_t candidate_bytes)
      : n(n_), m(m_), k(k_), capacity((std::min)(2 * k, m)), threads(threads_for(n, m, d)) {
    constexpr Index unit = pairwise::kRowUnit;
    constexpr std::size_t lists = std::size_t(8) << 20;  // bytes of a strip's lists
    const Index fit = Index(lists / (candidate_bytes * std::size_t(capacity)));
    const Index most = (std::min)(8 * kTileRows, (std::max<Index>)(1, fit / unit) * unit);
    const Index even = detail::parts(detail::parts(n, 4 * threads), unit) * unit;
    strip_rows = (std::min)(even, most);
    strips = detail::parts(n, strip_rows);
    const Index tiles = detail::parts(m, kTileCols);
    parts = (std::min)(tiles, detail::parts(threads, strips));
    parts = detail::parts(tiles, detail::parts(tiles, parts));  // none is empty
  }

  /// Strips whose lists are in memory at once: one a thread, or all where they are cut.
  Index strip_lists() const { return parts > 1 ? strips * parts : threads; }
};

template <class T>
class NearestRows {
 public:
  NearestRows(const NearestPlan& plan, core::Workspace::Frame& frame)
      : plan_(plan),
        tiles_(plan.threads, true, frame),
        lists_(frame.take<CandidateList<T>>(std::size_t(plan.strip_lists() * plan.strip_rows))),
        candidates_(frame.take<Candidate<T>>(
            std::size_t((plan.strip_lists() * plan.strip_rows + plan.threads) * plan.capacity))) {}

  using Call = void(const void* body, Index i, Candidate<T>* nearest, Index count);

  /// Calls call(body, i, first candidates of x_i, how many) for every row of X, in any order: k, or
  /// fewer where least, if there is one, has less than k products above least[i]. Row own + i of Y
  /// is no candidate of row i.
  void run(core::MatrixView<const T> x, core::MatrixView<const T> y, Index own, const T* least,
           const void* body, Call* call) {
    tiles_.start();
    const auto give = [&](Index i, CandidateList<T>& list, int thread) {
      list.choose(scratch(thread));
      call(body, i, list.begin(), list.end() - list.begin());
    };
    const Index tiles = parts(parts(plan_.m, kTileCols), plan_.parts);  // of a part
    core::parallel_for(plan_.strips * plan_.parts, plan_.threads, [&](Index task, int thread) {
      const Index strip = task / plan_.parts, part = task % plan_.parts;
      const Index first = strip * plan_.strip_rows, from = part * tiles * kTileCols;
      CandidateList<T>* const lists =
          start(plan_.parts > 1 ? task : thread, least ? least + first : nullptr, rows_of(strip));
      scan(x.middle_rows(first, rows_of(strip)), y, from,
           (std::min)(plan_.m, from + tiles * kTileCols), own + first, lists, thread);
      for (Index r = 0; plan_.parts == 1 && r < rows_of(strip); ++r)
        give(first + r, lists[r], thread);
    });
    if (plan_.parts == 1) return;
    core::parallel_for(plan_.n, plan_.threads, [&](Index i, int thread) {
      const Index strip = i / plan_.strip_rows, r = i % plan_.strip_rows;
      CandidateList<T>& all = lists_[strip * plan_.parts * plan_.strip_rows + r];
      for (Index part = 1; part < plan_.parts; ++part)
        for (const auto& one : lists_[(strip * plan_.parts + part) * plan_.strip_rows + r])
          all.add(one, scratch(thread));
      give(i, all, thread);
    });
  }

 private:
  Candidate<T>* scratch(int thread) const {
    return candidates_ + (plan_.strip_lists() * plan_.strip_rows + thread) * plan_.capacity;
  }
  Index rows_of(Index strip) const {
    return (std::min)(plan_.strip_rows, plan_.n - strip * plan_.strip_rows);
  }

  /// The lists of a slot, empty.
  CandidateList<T>* start(Index slot, const T* least, Index rows) {
    CandidateList<T>* const lists = lists_ + slot * plan_.strip_rows;
    for (Index r = 0; r < rows; ++r)
      new (lists + r)
          CandidateList<T>(candidates_ + (slot * plan_.strip_rows + r) * plan_.capacity, plan_.k,
                           plan_.capacity, least ? least[r] : -core::infinity<T>);
    return lists;
  }

  /// Columns [from, to) of a strip. Row r is not a candidate of row r - own.
  void scan(core::MatrixView<const T> x, core::MatrixView<const T> y, Index from, Index to,
            Index own, CandidateList<T>* lists, int thread) {
    const auto next_above = SPHEREMIX_DISPATCH(next_above<T, false>);
    for (Index j = from; j < to; j += kTileCols)
      for (Index i = 0; i < x.rows; i += kTileRows) {
        const auto tile =
            tiles_.tile(thread, (std::min)(kTileRows, x.rows - i), (std::min)(kTileCols, to - j));
        pairwise::times_transposed<T>(tile, x.middle_rows(i, tile.rows),
                                      y.middle_rows(j, tile.cols), false, tiles_.pack(thread));
        for (Index r = 0; r < tile.rows; ++r) {
          const T* const s = tile.row(r);
          CandidateList<T>& list = lists[i + r];
          // Rows come in order: one that is as near as the k-th so far is behind it.
          std::uint64_t which;
          for (Index c = 0;
               (c = next_above(s, c, tile.cols, list.least(), nullptr, which)) < tile.cols;
               c += pairwise::kChunk)
            for (; which != 0; which &= which - 1) {
              const Index at = c + std::countr_zero(which);
              if (s[at] > list.least() && j + at != own + i + r)
                list.add({s[at], j + at}, scratch(thread));
            }
        }
      }
  }

  NearestPlan plan_;
  TileMemory<T> tiles_;
  CandidateList<T>* lists_;
  Candidate<T>* candidates_;
};

/// X is not Y: every row of Y is a candidate. Else the row of Y that is row 0 of X.
inline constexpr Index kApart = -(Index(1) << 60);

/// Throws unless 1 <= k <= the rows that answer. own: the row of Y that is row 0 of X, or kApart.
inline void check_nearest(const char* function, Index k, Index m, Index own) {
  const bool within = own != kApart;
  core::expects(k >= 1 && k <= m - (within ? 1 : 0), function, "k is ", k, " among ",
                m - (within ? 1 : 0), within ? " other rows" : " rows of Y");
}

/// What for_nearest takes of its workspace for n rows of X and m of Y, of length d.
template <class T>
std::size_t nearest_bytes(Index n, Index m, Index d, Index k) {
  return core::bytes_of<NearestRows<T>>(NearestPlan(n, m, d, k, sizeof(Candidate<T>)));
}

/// Runs body(i, nearest, count) over the rows of X: the first k candidates, in any order. Of products
/// above least[i] alone, if that is there: those of the first k, maybe fewer.
template <class T, class Body>
void for_nearest(core::MatrixView<const T> x, core::MatrixView<const T> y, Index k, Index own,
                 core::Workspace& workspace, const Body& body, const T* least = nullptr) {
  if (x.rows == 0) return;
  const NearestPlan plan(x.rows, y.rows, x.cols, k, sizeof(Candidate<T>));
  auto frame = workspace.frame(core::bytes_of<NearestRows<T>>(plan));
  NearestRows<T>(plan, frame)
      .run(x, y, own, least, &body,
           [](const void* of, Index i, Candidate<T>* nearest, Index count) {
             (*static_cast<const Body*>(of))(i, nearest, count);
           });
}

}  // namespace spheremix::metrics::detail
