// How the triangle of CLIP + m2-Mix (sweeps.hpp) is cut, and what of it stays in memory.
//
//   block   448 rows (fewer of small batches); the unit of work is a pair of blocks (I, J), I <= J
//   strip   all pairs of blocks of one J: 4 tables of at most block x n numbers
//
// The first `kept` strips have memory of their own from the first sweep to the second. The others are
// computed again in the second, in turns in one or two places; two let the cosines of a strip run
// beside the products of the strip before it. No bit of the result depends on any of it.
#pragma once

#include <algorithm>
#include <new>
#include <optional>

#include "spheremix/core/parallel.hpp"
#include "spheremix/core/workspace.hpp"
#include "spheremix/losses/detail/clip_m2/block.hpp"
#include "spheremix/pairwise/plan.hpp"

namespace spheremix::losses::detail::clip_m2 {

using namespace pairwise;

/// Strips whose statistics are merged together where they are many.
inline constexpr Index kMixGroup = 16;

struct MixPlan {
  Index n, block, blocks;
  Index kept;    ///< strips kept, blocks: all
  Index places;  ///< for those that are not
  Index group;   ///< strips merged together
  int threads;

  Index first(Index i) const { return (std::min)(n, i * block); }
  Index count(Index i) const { return first(i + 1) - first(i); }

  /// Numbers in the tables of strips [0, j).
  Index before(Index j) const { return 2 * first(j) * first(j); }
  /// Numbers in one of the places.
  Index place() const {
    Index most = 0;
    for (Index j = (std::max)(kept, blocks - 2); j < blocks; ++j)
      most = (std::max)(most, before(j + 1) - before(j));
    return places > 0 ? most : 0;
  }
  /// Numbers in the tables of a pair of blocks.
  Index tile() const { return 4 * block * block; }
  /// Numbers in all: the first sweep has a tile a thread where the second has the places.
  Index numbers() const {
    return before(kept) + (places > 0 ? (std::max)(places * place(), Index(threads) * tile()) : 0);
  }
  /// Numbers that blocks say about each other's lines, for one value a line.
  Index partials() const { return group * n + (group < blocks ? blocks * group * block : 0); }
};

/// What each thread has of its own.
template <class T>
struct MixThread {
  PackBuffers<T> pack;
  T *vv, *tt;  ///< tables of a diagonal block, unpacked

  MixThread(Index block, core::Workspace::Frame& frame)
      : pack(take_pack<T>(frame)),
        vv(frame.take<T>(std::size_t(block * block))),
        tt(frame.take<T>(std::size_t(block * block))) {
    pack.keep_rows = true;
  }
};

/// What blocks say about each other's lines (partials.hpp): plan.partials() numbers each.
template <class T>
struct MixPartialsMemory {
  T *top[kMixLines], *sum[kMixLines];
  T *da, *db;

  MixPartialsMemory(const MixPlan& plan, core::Workspace::Frame& frame) {
    const auto take = [&] { return frame.take<T>(std::size_t(plan.partials())); };
    for (int k = 0; k < kMixLines; ++k) {
      top[k] = take();
      sum[k] = take();
    }
    da = take();
    db = take();
  }
};

/// The memory of both sweeps.
template <class T>
struct MixMemory {
  T* tables;
  MixPartialsMemory<T> partials;
  MixThread<T>* threads;
  double* moment;  ///< of each pair of blocks

  MixMemory(const MixPlan& plan, core::Workspace::Frame& frame)
      : tables(frame.take<T>(std::size_t(plan.numbers()))),
        partials(plan, frame),
        threads(frame.take<MixThread<T>>(std::size_t(plan.threads))),
        moment(frame.take<double>(std::size_t(plan.blocks * plan.blocks))) {
    for (int k = 0; k < plan.threads; ++k) {
      const MixThread<T> mine(plan.block, frame);
      if (!frame.counts()) new (threads + k) MixThread<T>(mine);
    }
  }
};

/// Nothing where the budget has no room for one strip and one thread. Threads are given up for a
/// strip, not for more of them. More than two threads run out of blocks at the end of every strip:
/// for them the second place comes before strips kept.
template <class T>
std::optional<MixPlan> make_mix_plan(Index n, std::size_t budget) {
  const Index block = n >= 2048 ? 448 : n >= 512 ? 224 : 64, blocks = tiles(n, block);
  MixPlan p{n, block, blocks, 0, 0, blocks > 2 * kMixGroup ? kMixGroup : blocks, 0};
  const auto fits = [&](Index kept, Index places) {
    p.kept = kept;
    p.places = places;
    return core::bytes_of<MixMemory<T>>(p) <= budget;
  };
  for (p.threads = core::max_threads(); p.threads > 0; --p.threads) {
    if (fits(blocks, 0)) return p;
    if (fits(0, 1)) break;
  }
  if (p.threads == 0) return {};
  const Index places = p.threads > 2 && fits(0, 2) ? 2 : 1;
  Index kept = 0;
  while (fits(kept + 1, places)) ++kept;  // ends: all strips do not fit
  fits(kept, places);
  return p;
}

}  // namespace spheremix::losses::detail::clip_m2
