// CLIP + m2-Mix over all pairs with every cosine computed once and kept: V T^T, and one triangle each
// of V V^T and T T^T.
//
//   sweep 1   for each block of pairs (I, J), I <= J, the tables of mix_block.hpp: 4 N^2 D flops
//   sweep 2   the gradients of the loss in their place, then with H = dL/d(V T^T) and the symmetric
//             Kv = dL/d(V V^T), Kt = dL/d(T T^T):
//             dV = H T + Kv V,  dT = H^T V + Kt T: 8 N^2 D flops
//
// The tables lie as mix_tables.hpp says: 2 N^2 numbers in all.
#pragma once

#include <new>

#include "spheremix/core/parallel.hpp"
#include "spheremix/core/workspace.hpp"
#include "spheremix/pairwise/mix_tables.hpp"
#include "spheremix/pairwise/product.hpp"
#include "spheremix/pairwise/softmax_sweeps.hpp"

namespace spheremix::pairwise {

/// The four statistics of every pair of rows, over all others.
template <class T>
struct MixLines {
  T* top[kMixLines];       ///< n
  double* sum[kMixLines];  ///< n, relative to top
  T* positive;             ///< n: v_i . t_i
};

template <class T>
class MixSweeps {
 public:
  static std::size_t bytes(Index n, int threads) {
    using core::Workspace;
    const Index block = MixTables<T>::block_of(n), blocks = tiles(n, block);
    const auto each = [](Index count) { return Workspace::bytes_for<T>(std::size_t(count)); };
    return Workspace::bytes_for<Thread>(std::size_t(threads)) +
           std::size_t(threads) * (each(kPackA<T>) + each(kPackB<T>) + 2 * each(block * block)) +
           Workspace::bytes_for<T>(MixTables<T>::numbers(n)) + 2 * kMixLines * each(blocks * n) +
           2 * each(blocks * n) + Workspace::bytes_for<double>(std::size_t(blocks * blocks));
  }

  /// V, T: n x d. a, b: n mixing weights each.
  MixSweeps(core::MatrixView<const T> v, core::MatrixView<const T> t, const T* a, const T* b,
            int threads, core::Workspace::Frame& frame)
      : v_(v),
        t_(t),
        a_(a),
        b_(b),
        n_(v.rows),
        tables_(n_, frame.take<T>(MixTables<T>::numbers(n_))),
        blocks_(tables_.blocks()),
        workers_(threads) {
    const auto take = [&](Index count) { return frame.take<T>(std::size_t(count)); };
    const Index block = tables_.block();
    threads_ = frame.take<Thread>(std::size_t(threads));
    for (int k = 0; k < threads; ++k) {
      T* const pack_a = take(kPackA<T>);
      T* const pack_b = take(kPackB<T>);
      T* const vv = take(block * block);
      T* const tt = take(block * block);
      new (threads_ + k) Thread{{pack_a, pack_b}, vv, tt};
      threads_[k].pack.keep_rows = true;
    }
    for (int k = 0; k < kMixLines; ++k) {
      top_[k] = take(blocks_ * n_);
      sum_[k] = take(blocks_ * n_);
    }
    da_ = take(blocks_ * n_);
    db_ = take(blocks_ * n_);
    moment_ = frame.take<double>(std::size_t(blocks_ * blocks_));
  }

  /// First sweep.
  void statistics(T scale, T mix_scale, const MixLines<T>& out) {
    over_blocks([&](Index i, Index j, MixBlock<T> block, int thread) {
      Thread& mine = threads_[thread];
      const auto vi = rows(v_, i), ti = rows(t_, i), vj = rows(v_, j), tj = rows(t_, j);
      times_transposed<T>(block.vt, vi, tj, false, mine.pack);
      times_transposed<T>(block.tt, ti, tj, false, mine.pack);
      times_transposed<T>(block.vv, vi, vj, false, mine.pack);
      const MixStatistics<T> to_rows = partial(i, j), to_cols = partial(j, i);
      if (i == j) {
        for (Index r = 0; r < block.vt.rows; ++r) out.positive[first(i) + r] = block.vt(r, r);
        SPHEREMIX_DISPATCH(mix_statistics<T, true>)(scale, mix_scale, block, to_rows, to_cols);
        tables_.put_triangles(i, block);
      } else {
        times_transposed<T>(block.tv, ti, vj, false, mine.pack);
        SPHEREMIX_DISPATCH(mix_statistics<T, false>)(scale, mix_scale, block, to_rows, to_cols);
      }
    });
    merge(out);
  }

  /// Second sweep up to the gradients of the cosines. da, db: n, dL/dA and dL/dB. Returns the sum of
  /// CLIP's part of dL/d cosine times the cosine, without the pairs (i, i).
  double gradients(T scale, T mix_scale, const T* const* shift, const T* const* factor, double* da,
                   double* db) {
    over_blocks([&](Index i, Index j, MixBlock<T> block, int) {
      const MixWeights<T> to_rows = weights(i, j, shift, factor),
                          to_cols = weights(j, i, shift, factor);
      double& moment = moment_[i * blocks_ + j];
      if (i == j) {
        tables_.get_vv(i, 0, block.vv);
        tables_.get_tt(i, 0, block.tt);
        moment =
            SPHEREMIX_DISPATCH(mix_gradient<T, true>)(scale, mix_scale, block, to_rows, to_cols);
        for (Index r = 0; r < block.vv.rows; ++r)
          for (Index c = r + 1; c < block.vv.cols; ++c) {
            block.vv(r, c) += block.vv(c, r);
            block.tt(c, r) += block.tt(r, c);
          }
        tables_.put_triangles(i, block);
      } else {
        moment =
            SPHEREMIX_DISPATCH(mix_gradient<T, false>)(scale, mix_scale, block, to_rows, to_cols);
      }
    });
    double moment = 0;
    for (Index i = 0; i < blocks_; ++i)
      for (Index j = i; j < blocks_; ++j) moment += moment_[i * blocks_ + j];
    for (Index i = 0; i < n_; ++i) {
      double sum_a = 0, sum_b = 0;
      for (Index k = 0; k < blocks_; ++k) {
        sum_a += double(da_[k * n_ + i]);
        sum_b += double(db_[k * n_ + i]);
      }
      da[i] = sum_a;
      db[i] = sum_b;
    }
    return moment;
  }

  /// dV = H T + Kv V and dT = H^T V + Kt T, for rows cut so that every thread has the same share.
  void products(core::MatrixView<T> dv, core::MatrixView<T> dt) {
    const Index parts = Index(workers_) * tiles(n_, Index(workers_) * 512);
    const Index size = tiles(n_, parts);
    for (int k = 0; k < workers_; ++k) threads_[k].pack.packed = nullptr;
    core::parallel_for(tiles(n_, size), workers_, [&](Index task, int thread) {
      const Index begin = task * size, end = std::min(n_, begin + size);
      for (Index j = 0; j < blocks_; ++j)
        for (const bool of_v : {true, false})
          for (Index i = begin / tables_.block(); i < blocks_ && first(i) < end; ++i) {
            const Index from = std::max(begin, first(i)), to = std::min(end, first(i) + count(i));
            add_block(i, j, of_v, from - first(i), to - from, dv.middle_rows(from, to - from),
                      dt.middle_rows(from, to - from), threads_[thread]);
          }
    });
  }

 private:
  struct Thread {
    PackBuffers<T> pack;
    T *vv, *tt;  ///< tables of a diagonal block, unpacked
  };

  Index first(Index i) const { return tables_.first(i); }
  Index count(Index i) const { return tables_.count(i); }
  core::MatrixView<const T> rows(core::MatrixView<const T> x, Index i) const {
    return x.middle_rows(first(i), count(i));
  }

  MixBlock<T> block(Index i, Index j, Thread& mine) const {
    if (i < j) return tables_.off_diagonal(i, j);
    const Index c = count(i);
    return {tables_.table(i, i, MixTable::vt), {}, {mine.vv, c, c, c}, {mine.tt, c, c, c}};
  }

  /// What block j says about the lines of block i.
  MixStatistics<T> partial(Index i, Index j) const {
    MixStatistics<T> s{a_ + first(i), b_ + first(i), {}, {}};
    for (int k = 0; k < kMixLines; ++k) {
      s.top[k] = top_[k] + j * n_ + first(i);
      s.sum[k] = sum_[k] + j * n_ + first(i);
    }
    return s;
  }
  MixWeights<T> weights(Index i, Index j, const T* const* shift, const T* const* factor) const {
    MixWeights<T> w{a_ + first(i),           b_ + first(i),          {}, {},
                    da_ + j * n_ + first(i), db_ + j * n_ + first(i)};
    for (int k = 0; k < kMixLines; ++k) {
      w.shift[k] = shift[k] + first(i);
      w.scale[k] = factor[k] + first(i);
    }
    return w;
  }

  template <class Body>
  void over_blocks(const Body& body) {
    for (int k = 0; k < workers_; ++k) threads_[k].pack.packed = nullptr;
    core::parallel_for(blocks_ * (blocks_ + 1) / 2, workers_, [&](Index task, int thread) {
      Index i, j;
      MixTables<T>::blocks_of_task(task, i, j);
      body(i, j, block(i, j, threads_[thread]), thread);
    });
  }

  void merge(const MixLines<T>& out) {
    constexpr Index chunk = 512;
    core::parallel_for(kMixLines * tiles(n_, chunk), workers_, [&](Index task, int) {
      const Index k = task % kMixLines, begin = task / kMixLines * chunk;
      for (Index i = begin; i < std::min(n_, begin + chunk); ++i) {
        T top = -core::infinity<T>;
        double sum = 0;
        for (Index j = 0; j < blocks_; ++j)
          detail::merge_softmax(top, sum, top_[k][j * n_ + i], double(sum_[k][j * n_ + i]));
        out.top[k][i] = top;
        out.sum[k][i] = sum;
      }
    });
  }

  /// Adds what the pairs of rows [from, from + rows) of block i with block j give along block j's v (or
  /// t) to dv and dt; sets them where it is the first of all.
  void add_block(Index i, Index j, bool of_v, Index from, Index rows, core::MatrixView<T> dv,
                 core::MatrixView<T> dt, Thread& mine) {
    const core::MatrixView<const T> x = this->rows(of_v ? v_ : t_, j);
    const bool add = j > 0 || !of_v;
    const auto part = [&](core::MatrixView<T> a) -> core::MatrixView<const T> {
      return a.middle_rows(from, rows);
    };
    const auto columns = [&](core::MatrixView<T> a) -> core::MatrixView<const T> {
      return {a.data + from, a.rows, rows, a.stride};
    };
    using enum MixTable;
    if (i < j) {
      times<T>(dv, part(tables_.table(i, j, of_v ? vv : vt)), x, add, mine.pack);
      times<T>(dt, part(tables_.table(i, j, of_v ? tv : tt)), x, add, mine.pack);
    } else if (i > j) {
      transposed_times<T>(dv, columns(tables_.table(j, i, of_v ? vv : tv)), x, add, mine.pack);
      transposed_times<T>(dt, columns(tables_.table(j, i, of_v ? vt : tt)), x, add, mine.pack);
    } else if (of_v) {
      const core::MatrixView<T> own{mine.vv, rows, count(i), count(i)};
      tables_.get_vv(i, from, own);
      times<T>(dv, own, x, add, mine.pack);
      transposed_times<T>(dt, columns(tables_.table(i, i, vt)), x, add, mine.pack);
    } else {
      const core::MatrixView<T> own{mine.tt, rows, count(i), count(i)};
      times<T>(dv, part(tables_.table(i, i, vt)), x, add, mine.pack);
      tables_.get_tt(i, from, own);
      times<T>(dt, own, x, add, mine.pack);
    }
  }

  core::MatrixView<const T> v_, t_;
  const T *a_, *b_;
  Index n_;
  MixTables<T> tables_;
  Index blocks_;
  int workers_;
  Thread* threads_ = nullptr;
  T *top_[kMixLines], *sum_[kMixLines];
  T *da_ = nullptr, *db_ = nullptr;
  double* moment_ = nullptr;
};

}  // namespace spheremix::pairwise
