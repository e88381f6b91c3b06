// The product of floats of this program, which counts. Without the lists of spheremix::compiled, which
// say that it is elsewhere: here it takes that one's place.
#undef SPHEREMIX_COMPILED
#include "distributed/counted_product.hpp"

#include <doctest/doctest.h>

#include "spheremix/core/eigen.hpp"
#include "spheremix/pairwise/product.hpp"

thread_local double spheremix::test::multiply_adds = 0;

namespace spheremix::pairwise::detail {
template <>
void product<float>(core::MatrixView<float> c, core::MatrixView<const float> a, bool a_transposed,
                    core::MatrixView<const float> b, bool b_transposed, bool add,
                    PackBuffers<float>& pack) {
  test::multiply_adds += double(c.rows) * double(c.cols) * double(a_transposed ? a.rows : a.cols);
  run_product<float>(SPHEREMIX_DISPATCH(product<float>), kDepth<float>, false, c, a, a_transposed,
                     b, b_transposed, add, pack);
}
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
