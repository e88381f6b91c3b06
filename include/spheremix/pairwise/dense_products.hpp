// Products of matrices that are small on one side, in parallel over blocks of rows of the result.
// The blocks are the same whatever the threads, so the bits are too.
#pragma once

#include <algorithm>
#include <new>

#include "spheremix/core/parallel.hpp"
#include "spheremix/core/share.hpp"
#include "spheremix/core/workspace.hpp"
#include "spheremix/pairwise/product.hpp"

namespace spheremix::pairwise {

template <class T>
class DenseProducts {
 public:
  /// Threads for products of `flops` operations.
  static int threads_for(double flops) {
    return flops < 4e6 ? 1 : (std::min)(core::max_threads(), 16);
  }

  DenseProducts(int threads, core::Workspace::Frame& frame) : threads_(threads) {
    for (int t = 0; t < threads; ++t) pack_[t] = take_pack<T>(frame);
  }

  /// C (+)= A B.
  void times(core::MatrixView<T> c, core::MatrixView<const T> a, core::MatrixView<const T> b,
             bool add) {
    blocks(c.rows, [&](Index i, Index count, PackBuffers<T>& pack) {
      pairwise::times<T>(c.middle_rows(i, count), a.middle_rows(i, count), b, add, pack);
    });
  }

  /// C (+)= A B^T.
  void times_transposed(core::MatrixView<T> c, core::MatrixView<const T> a,
                        core::MatrixView<const T> b, bool add) {
    blocks(c.rows, [&](Index i, Index count, PackBuffers<T>& pack) {
      pack.packed = nullptr;
      pairwise::times_transposed<T>(c.middle_rows(i, count), a.middle_rows(i, count), b, add, pack);
    });
  }

  /// C (+)= A^T B.
  void transposed_times(core::MatrixView<T> c, core::MatrixView<const T> a,
                        core::MatrixView<const T> b, bool add) {
    blocks(c.rows, [&](Index i, Index count, PackBuffers<T>& pack) {
      const core::MatrixView<const T> part{a.data + i, a.rows, count, a.stride};
      pairwise::transposed_times<T>(c.middle_rows(i, count), part, b, add, pack);
    });
  }

  /// C = A^T B, rows of C without space between them. A share adds up what the rows of all give.
  void transposed_times(core::MatrixView<double> c, core::MatrixView<const double> a,
                        core::MatrixView<const double> b, const core::Share* share) {
    const core::OwnRows own(share, a.rows);
    if (own.count() > 0)
      transposed_times(c, own.of(a), own.of(b), false);
    else
      std::fill_n(c.data, c.rows * c.cols, 0.0);
    if (share) share->add(c.data, c.rows * c.cols);
  }

 private:
  template <class Body>
  void blocks(Index rows, const Body& body) {
    constexpr Index block = kRowUnit;
    core::parallel_for((rows + block - 1) / block, threads_, [&](Index task, int thread) {
      body(task * block, (std::min)(block, rows - task * block), pack_[thread]);
    });
  }

  int threads_;
  PackBuffers<T> pack_[16]{};
};

}  // namespace spheremix::pairwise
