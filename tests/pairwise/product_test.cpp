// A thread's packing buffers remember the last B: they must never take another block for it.
#include "spheremix/pairwise/product.hpp"

#include <doctest/doctest.h>

#include "support/sphere_points.hpp"

using namespace spheremix;
using namespace spheremix::test;

TEST_CASE_TEMPLATE("a remembered B is that very block: place, rows, columns and orientation", T,
                   float, double) {
  const Index m = 20, n = 48;
  const RowMatrix<T> a = gaussian_rows<T>(m, n, 1), b = gaussian_rows<T>(n, n, 2);
  const auto block = [&](Index rows, Index cols) {
    return core::MatrixView<const T>{b.data(), rows, cols, n};
  };
  const auto factor = [&](Index cols) { return core::MatrixView<const T>{a.data(), m, cols, n}; };
  for (const bool keep : {false, true}) {
    std::vector<T> pack_a(std::size_t(pairwise::kPackA<T>)),
        pack_b(std::size_t(pairwise::kPackB<T>));
    pairwise::PackBuffers<T> pack{pack_a.data(), pack_b.data()};
    pack.keep_rows = keep;
    const auto is = [&](const RowMatrix<T>& got, const RowMatrix<T>& want) {
      return (got - want).norm() <= 16 * core::epsilon<T> * want.norm();
    };
    RowMatrix<T> wide(m, n), narrow(m, 16);
    const core::MatrixView<T> to_wide{wide.data(), m, n, n}, to_narrow{narrow.data(), m, 16, 16};
    // One after another with the same address: each differs from the one before in one thing.
    pairwise::times<T>(to_narrow, factor(n), block(n, 16), false, pack);
    CHECK(is(narrow, a * b.leftCols(16)));
    pairwise::times<T>(to_wide, factor(n), block(n, n), false, pack);
    CHECK(is(wide, a * b));
    pairwise::times_transposed<T>(to_wide, factor(n), block(n, n), false, pack);
    CHECK(is(wide, a * b.transpose()));
    pairwise::times_transposed<T>(to_narrow, factor(n), block(16, n), false, pack);
    CHECK(is(narrow, a * b.topRows(16).transpose()));
    pairwise::times<T>(to_wide, factor(16), block(16, n), false, pack);
    CHECK(is(wide, a.leftCols(16) * b.topRows(16)));
    pairwise::times<T>(to_wide, factor(n), block(n, n), false, pack);
    CHECK(is(wide, a * b));
    pairwise::times<T>(to_wide, factor(n), block(n, n), true, pack);  // B again, as it was packed
    CHECK(is(wide, T(2) * (a * b)));
  }
}
