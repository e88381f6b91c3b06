// CLIP + m2-Mix over all pairs with every cosine computed once and shared: V T^T, and one triangle
// each of V V^T and T T^T.
//
//   sweep 1   for each block of pairs (I, J), I <= J, the tables of block.hpp: 4 N^2 D flops
//   sweep 2   the tables again where their strip was not kept: up to 4 N^2 D flops; the gradients of
//             the loss in their place; then dV and dT from them (products.hpp): 8 N^2 D flops
//
// The tables lie as tables.hpp says, in 2 N^2 numbers where all are kept (plan.hpp), else in
// not less than a strip of 4 block N.
#pragma once

#include "spheremix/core/parallel.hpp"
#include "spheremix/core/workspace.hpp"
#include "spheremix/losses/detail/clip_m2/partials.hpp"
#include "spheremix/losses/detail/clip_m2/products.hpp"

namespace spheremix::losses::detail::clip_m2 {

using namespace pairwise;

template <class T>
class MixSweeps {
 public:
  /// V, T: n x d. a, b: n mixing weights each.
  MixSweeps(core::MatrixView<const T> v, core::MatrixView<const T> t, const T* a, const T* b,
            const MixPlan& plan, const MixMemory<T>& memory)
      : v_(v),
        t_(t),
        a_(a),
        b_(b),
        plan_(plan),
        tables_(plan, memory.tables),
        partials_(plan, memory.partials),
        threads_(memory.threads),
        moment_(memory.moment) {}

  /// First sweep.
  void statistics(T scale, T mix_scale, const MixLines<T>& out) {
    over_groups([&](Index begin, Index end) {
      over_blocks(begin, end, [&](Index i, Index j, int thread) {
        const MixBlock<T> block = tables_.kept(j) ? this->block(i, j, thread)
                                  : i < j         ? tables_.passing(i, j, thread)
                                                  : diagonal(tables_.passing(i, j, thread), thread);
        cosines(i, j, block, thread);
        const MixStatistics<T> to_rows = partial(i, j), to_cols = partial(j, i);
        if (i == j) {
          for (Index r = 0; r < block.vt.rows; ++r)
            out.positive[plan_.first(i) + r] = block.vt(r, r);
          SPHEREMIX_DISPATCH(mix_statistics<T, true>)(scale, mix_scale, block, to_rows, to_cols);
          if (tables_.kept(i)) tables_.put_triangles(i, block);
        } else {
          SPHEREMIX_DISPATCH(mix_statistics<T, false>)(scale, mix_scale, block, to_rows, to_cols);
        }
      });
      partials_.merge_statistics(begin, end, out);
    });
  }

  /// Second sweep. da, db: n, dL/dA and dL/dB. Returns the sum of CLIP's part of dL/d cosine times
  /// the cosine, without the pairs (i, i).
  double gradients(T scale, T mix_scale, const T* const* shift, const T* const* factor,
                   core::MatrixView<T> dv, core::MatrixView<T> dt, double* da, double* db) {
    const MixProducts<T> products(v_, t_, tables_, dv, dt);
    const auto gradient = [&](Index i, Index j, int thread) {
      moment_[i * plan_.blocks + j] = block_gradient(i, j, scale, mix_scale, shift, factor, thread);
    };
    if (plan_.kept == plan_.blocks) {
      over_groups([&](Index begin, Index end) {
        over_blocks(begin, end, gradient);
        partials_.merge_weights(begin, end, da, db);
      });
      // Rows cut so that every thread has the same share.
      const Index n = plan_.n, parts = plan_.threads * tiles(n, Index(plan_.threads) * 512);
      const Index size = tiles(n, parts);
      core::parallel_for(tiles(n, size), plan_.threads, [&](Index task, int thread) {
        products.rows(task * size, (std::min)(n, (task + 1) * size), threads_[thread]);
      });
    } else {
      over_strips(products, gradient, da, db);
    }
    double moment = 0;
    for (Index i = 0; i < plan_.blocks; ++i)
      for (Index j = i; j < plan_.blocks; ++j) moment += moment_[i * plan_.blocks + j];
    return moment;
  }

 private:
  core::MatrixView<const T> rows(core::MatrixView<const T> x, Index i) const {
    return x.middle_rows(plan_.first(i), plan_.count(i));
  }

  /// The tables of blocks i <= j where they are kept, or in their strip's place.
  MixBlock<T> block(Index i, Index j, int thread) const {
    if (i < j) return tables_.off_diagonal(i, j);
    return diagonal({tables_.table(i, i, MixTable::vt), {}, {}, {}}, thread);
  }
  MixBlock<T> diagonal(const MixBlock<T>& block, int thread) const {
    const Index c = block.vt.rows;
    return {block.vt, {}, {threads_[thread].vv, c, c, c}, {threads_[thread].tt, c, c, c}};
  }

  void cosines(Index i, Index j, const MixBlock<T>& block, int thread) const {
    PackBuffers<T>& pack = threads_[thread].pack;
    const auto vi = rows(v_, i), ti = rows(t_, i), vj = rows(v_, j), tj = rows(t_, j);
    times_transposed<T>(block.vt, vi, tj, false, pack);
    times_transposed<T>(block.tt, ti, tj, false, pack);
    times_transposed<T>(block.vv, vi, vj, false, pack);
    if (i < j) times_transposed<T>(block.tv, ti, vj, false, pack);
  }

  /// What block j says about the lines of block i.
  MixStatistics<T> partial(Index i, Index j) const {
    MixStatistics<T> s{a_ + plan_.first(i), b_ + plan_.first(i), {}, {}};
    for (int k = 0; k < kMixLines; ++k) {
      s.top[k] = partials_.top(k, i, j);
      s.sum[k] = partials_.sum(k, i, j);
    }
    return s;
  }
  MixWeights<T> weights(Index i, Index j, const T* const* shift, const T* const* factor) const {
    const Index first = plan_.first(i);
    MixWeights<T> w{a_ + first, b_ + first, {}, {}, partials_.da(i, j), partials_.db(i, j)};
    for (int k = 0; k < kMixLines; ++k) {
      w.shift[k] = shift[k] + first;
      w.scale[k] = factor[k] + first;
    }
    return w;
  }

  /// The gradients of blocks i <= j in place of their cosines. Returns their part of the sum.
  double block_gradient(Index i, Index j, T scale, T mix_scale, const T* const* shift,
                        const T* const* factor, int thread) {
    const MixBlock<T> block = this->block(i, j, thread);
    if (!tables_.kept(j)) cosines(i, j, block, thread);
    const MixWeights<T> to_rows = weights(i, j, shift, factor),
                        to_cols = weights(j, i, shift, factor);
    if (i < j)
      return SPHEREMIX_DISPATCH(mix_gradient<T, false>)(scale, mix_scale, block, to_rows, to_cols);
    if (tables_.kept(i)) {
      tables_.get_vv(i, 0, block.vv);
      tables_.get_tt(i, 0, block.tt);
    }
    const double moment =
        SPHEREMIX_DISPATCH(mix_gradient<T, true>)(scale, mix_scale, block, to_rows, to_cols);
    for (Index r = 0; r < block.vv.rows; ++r)
      for (Index c = r + 1; c < block.vv.cols; ++c) {
        block.vv(r, c) += block.vv(c, r);
        block.tt(c, r) += block.tt(r, c);
      }
    tables_.put_triangles(i, block);
    return moment;
  }

  template <class Body>
  void over_groups(const Body& body) {
    for (Index begin = 0; begin < plan_.blocks; begin += plan_.group) {
      partials_.begin(begin);
      body(begin, (std::min)(plan_.blocks, begin + plan_.group));
    }
  }

  /// The pairs of blocks of strips [begin, end).
  template <class Body>
  void over_blocks(Index begin, Index end, const Body& body) {
    const Index before = begin * (begin + 1) / 2;
    core::parallel_for(end * (end + 1) / 2 - before, plan_.threads, [&](Index task, int thread) {
      Index i, j;
      MixTables<T>::blocks_of_task(before + task, i, j);
      body(i, j, thread);
    });
  }

  /// Gradients of the tables, then products, strip by strip. The products of one strip and the
  /// gradients of the next are a single loop of tasks where the two have different memory.
  template <class Gradient>
  void over_strips(const MixProducts<T>& products, const Gradient& gradient, double* da,
                   double* db) {
    const int threads = plan_.threads;
    for (Index s = 0; s <= plan_.blocks; ++s) {
      const Index ready = s > 0 ? products.tasks(s - 1, threads) : 0,
                  next = s < plan_.blocks ? s + 1 : 0;
      const auto run = [&](Index task, int thread) {
        if (task < ready)
          products.run(s - 1, task, threads, threads_[thread]);
        else
          gradient(task - ready, s, thread);
      };
      if (next > 0) partials_.begin(s);
      if (ready > 0 && next > 0 && !tables_.apart(s)) {
        core::parallel_for(ready, threads, run);
        core::parallel_for(next, threads,
                           [&](Index task, int thread) { run(ready + task, thread); });
      } else {
        core::parallel_for(ready + next, threads, run);
      }
      if (next > 0) partials_.merge_weights(s, s + 1, da, db);
    }
  }

  core::MatrixView<const T> v_, t_;
  const T *a_, *b_;
  MixPlan plan_;
  MixTables<T> tables_;
  MixPartials<T> partials_;
  MixThread<T>* threads_;
  double* moment_;
};

}  // namespace spheremix::losses::detail::clip_m2
