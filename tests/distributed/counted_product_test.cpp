// The products of floats and doubles of this program, which count. Without the lists of spheremix::compiled, which
// say that it is elsewhere: here it takes that one's place.
#undef SPHEREMIX_COMPILED
#include "distributed/counted_product.hpp"

#include <doctest/doctest.h>

#include "spheremix/core/eigen.hpp"
#include "spheremix/pairwise/product.hpp"

thread_local double spheremix::test::multiply_adds = 0;
thread_local double spheremix::test::wide_multiply_adds = 0;

namespace spheremix::pairwise::detail {
#define SPHEREMIX_COUNTED_PRODUCT(T, COUNT)                                                  \
  template <>                                                                                \
  void product<T>(core::MatrixView<T> c, core::MatrixView<const T> a, bool a_transposed,     \
                  core::MatrixView<const T> b, bool b_transposed, bool add,                  \
                  PackBuffers<T>& pack) {                                                    \
    test::COUNT += double(c.rows) * double(c.cols) * double(a_transposed ? a.rows : a.cols); \
    run_product<T>(SPHEREMIX_DISPATCH(product<T>), kDepth<T>, false, c, a, a_transposed, b,  \
                   b_transposed, add, pack);                                                 \
  }
SPHEREMIX_COUNTED_PRODUCT(float, multiply_adds)
SPHEREMIX_COUNTED_PRODUCT(double, wide_multiply_adds)
#undef SPHEREMIX_COUNTED_PRODUCT
}  // namespace spheremix::pairwise::detail

TEST_CASE("ranks: products are counted, and right") {
  using namespace spheremix;
  const RowMatrix<float> a = RowMatrix<float>::Constant(3, 4, 2.f),
                         b = RowMatrix<float>::Ones(4, 5);
  RowMatrix<float> c(3, 5);
  core::Workspace workspace;
  core::Workspace::Frame frame = workspace.frame(std::size_t(1) << 22);
  pairwise::PackBuffers<float> pack = pairwise::take_pack<float>(frame);
  test::multiply_adds = 0;
  pairwise::times<float>({c.data(), 3, 5, 5}, {a.data(), 3, 4, 4}, {b.data(), 4, 5, 5}, false,
                         pack);
  CHECK(test::multiply_adds == 60);
  CHECK((c.array() == 8).all());
}
