// Rows of 16 bits: the loss and gradients of the same numbers in float, to the bit.
#include <doctest/doctest.h>

#include "spheremix/losses/brownian_bridge.hpp"
#include "spheremix/losses/clip.hpp"
#include "spheremix/losses/info_nce.hpp"
#include "spheremix/losses/siglip.hpp"
#include "spheremix/losses/targets.hpp"
#include "support/differences.hpp"
#include "support/sphere_points.hpp"

using namespace spheremix;
using namespace spheremix::losses;
using namespace spheremix::test;

namespace {

template <class A, class B>
void same(const A& half, const B& wide) {
  static_assert(std::is_same_v<decltype(half.x), RowMatrix<float>>);
  CHECK(half.loss == wide.loss);
  CHECK(half.log_temperature == wide.log_temperature);
  CHECK(same_bits(half.x, wide.x));
  CHECK(same_bits(half.y, wide.y));
}

}  // namespace

TEST_CASE_TEMPLATE("rows of 16 bits are their numbers in float", H, Eigen::half, Eigen::bfloat16) {
  const RowMatrix<H> x = unit_rows<float>(9, 6, 1).cast<H>(),
                     y = unit_rows<float>(9, 6, 2).cast<H>(),
                     keys = unit_rows<float>(14, 6, 3).cast<H>();
  const RowMatrix<float> a = x.template cast<float>(), b = y.template cast<float>(),
                         more = keys.template cast<float>();
  CHECK(clip(x, y) == clip(a, b));
  CHECK(info_nce(x, keys) == info_nce(a, more));
  CHECK(siglip(x, y) == siglip(a, b));
  same(clip_with_gradient(x, y), clip_with_gradient(a, b));
  same(info_nce_with_gradient(x, keys), info_nce_with_gradient(a, more));
  same(siglip_with_gradient(x, y), siglip_with_gradient(a, b));
  const std::vector<int> label{0, 1, 2, 0, 1, 2, 3, 4, 5};
  same(clip_with_gradient(x, y, ids(label, label)), clip_with_gradient(a, b, ids(label, label)));
  // Columns, blocks and transposes; results into the caller's own memory.
  const Eigen::Matrix<H, Eigen::Dynamic, Eigen::Dynamic> columns = x;
  const RowMatrix<H> turned = y.transpose();
  CHECK(clip(columns, turned.transpose()) == clip(a, b));
  CHECK(clip(x.block(1, 1, 4, 3), y.block(2, 2, 4, 3)) ==
        clip(a.block(1, 1, 4, 3), b.block(2, 2, 4, 3)));
  core::Workspace workspace;
  ContrastiveGradient<RowMatrix<float>> out;
  clip_with_gradient(x, y, {}, workspace, out);
  same(out, clip_with_gradient(a, b));
  const RowMatrix<H> z = keys.topRows(9);
  CHECK(brownian_bridge(z, x, y) == brownian_bridge(more.topRows(9), a, b));
  const auto bridge = brownian_bridge_with_gradient(z, x, y);
  CHECK(same_bits(bridge.x, brownian_bridge_with_gradient(more.topRows(9), a, b).x));
  RowMatrix<H> bad = x;
  bad(2, 2) = H(core::nan<float>);
  CHECK(std::isnan(clip(bad, y)));
  CHECK_THROWS_AS((void)clip(x, y.topRows(3)), std::invalid_argument);
}
