// Pairs left out and weights of rows in the losses that mix: their targets stay the diagonal.
#pragma once

#include "spheremix/losses/detail/pair_set.hpp"

namespace spheremix::losses::detail {

/// What the options of a call say that says anything, while it lasts.
class MixExtras {
 public:
  SPHEREMIX_COLD MixExtras(const char* function, const TargetOptions& options, Index n)
      : options_(options), n_(n) {
    expects_targets(function, options_, n, n, 1);
    if (options_.exclude) turned_.emplace(turned(options_.exclude->parts()));
    const auto* const weights = options_.row_weights;
    core::expects(
        !weights || std::any_of(weights->begin(), weights->end(), [](double w) { return w > 0; }),
        function, "the row_weights add up to 0");
  }
  MixExtras(const MixExtras&) = delete;

  Index n() const { return n_; }
  /// Of rows of X and Y, or of Y and X.
  const Targets* exclude(bool second) const {
    return !turned_ ? nullptr : second ? &*turned_ : options_.exclude;
  }
  const std::vector<double>* row_weights() const { return options_.row_weights; }

 private:
  static Targets turned(TargetParts t) {
    std::swap(t.a, t.b);
    std::swap(t.soft.rows, t.soft.cols);
    std::swap(t.soft.row_step, t.soft.col_step);
    return Targets(std::move(t));
  }

  TargetOptions options_;
  Index n_;
  std::optional<Targets> turned_;
};

/// The extras of a call, where its options say any.
class ExtrasOf {
 public:
  template <class Options>
  ExtrasOf(const char* function, const Options& options, Index n) {
    if (const TargetOptions given(options); !given.plain()) extras_.emplace(function, given, n);
  }
  const MixExtras* get() const { return extras_ ? &*extras_ : nullptr; }

 private:
  std::optional<MixExtras> extras_;
};

/// The same in a frame, for the n x n tables of a loss, or n x 2 n with all columns twice.
template <class T>
struct MixTable {
  const MixExtras& extras;
  double *weight = nullptr, lines = 0;  ///< of rows over the largest, and their sum
  PairSet first, second;                ///< excluded: rows of X x rows of Y, rows of Y x rows of X

  SPHEREMIX_COLD MixTable(const MixExtras& of, Workspace::Frame& frame)
      : extras(of), first(set(false, frame)), second(set(true, frame)) {
    const auto* const from = extras.row_weights();
    if (!from) return;
    weight = frame.take<double>(from->size());
    if (!frame.counts()) lines = weights_over_largest(from, extras.n(), weight);
  }

  /// Puts weights and excluded pairs into a table of rows of X, or of rows of Y.
  SPHEREMIX_COLD void put(Contrast<T>& contrast, bool of_y, pairwise::TileSteps<T>& steps) const {
    contrast.line = weight;
    contrast.lines = lines;
    const PairSet& set = of_y ? second : first;
    if (!set.from) return;
    steps.of = const_cast<PairSet*>(&set);
    contrast.steps = &steps;
    steps.start = [](void*, pairwise::SweepMemory<T>&) {};
    steps.strip = [](void*, Index) {};
    steps.gradient = [](void*, Index, Index, MatrixView<T>) {};
    steps.cosines = [](void* of, Index i0, Index j0, MatrixView<T> s, bool) {
      const PairSet& pairs = *static_cast<const PairSet*>(of);
      for (Index r = 0; r < s.rows; ++r)
        for (const Index before : {Index(0), pairs.n}) {
          const Index from = (std::max)(j0 - before, Index(0)),
                      to = (std::min)(j0 + s.cols - before, pairs.n);
          if (from >= to) continue;
          for (PairSet::Walk w = pairs.walk(i0 + r, from, to); pairs.step(w);)
            s(r, w.j + before - j0) = -core::infinity<T>;
        }
    };
  }

 private:
  PairSet set(bool of_y, Workspace::Frame& frame) const {
    const Targets* const exclude = extras.exclude(of_y);
    const Index n = exclude ? extras.n() : 0;
    return {exclude, n, n, frame};
  }
};

}  // namespace spheremix::losses::detail
