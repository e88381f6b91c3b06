// A loss that says nothing of ranks is distributed by the whole: the bits of one process.
#include <doctest/doctest.h>

#include "spheremix/losses/detail/across.hpp"
#include "spheremix/losses/detail/contrastive.hpp"
#include "support/sphere_points.hpp"
#include "support/thread_ranks.hpp"

using namespace spheremix;
using namespace spheremix::test;

namespace {

struct SomeOptions {
  std::size_t memory_budget = 0;
};

/// Half the mean of (x_i.y_j)^2 over all pairs.
struct MeanSquare : losses::detail::OfTwoViews {
  template <class T>
  losses::detail::LossResult operator()(const char*, const losses::detail::Inputs<T, 2>& in,
                                        core::Workspace&,
                                        const losses::detail::Outputs<T, 2>& out) const {
    const Index n = in[0].rows;
    for (const auto& gradient : out)
      if (gradient.data) gradient.fill(T(0));
    double sum = 0;
    for (Index i = 0; i < n; ++i)
      for (Index j = 0; j < n; ++j) {
        T s = 0;
        for (Index k = 0; k < in[0].cols; ++k) s += in[0](i, k) * in[1](j, k);
        sum += double(s) * double(s);
        for (Index k = 0; out[0].data && k < in[0].cols; ++k) {
          out[0](i, k) += s * in[1](j, k) / T(n * n);
          out[1](j, k) += s * in[0](i, k) / T(n * n);
        }
      }
    return {sum / double(2 * n * n)};
  }
};

}  // namespace

TEST_CASE("ranks: a loss without a share has the bits of one process") {
  const Index n = 37;
  const RowMatrix<float> x = unit_rows<float>(n, 5, 1), y = unit_rows<float>(n, 5, 2);
  const SomeOptions options;
  losses::PairGradient<RowMatrix<float>> one;
  core::Workspace alone;
  losses::detail::into("mean_square", MeanSquare{}, losses::detail::over(options), alone, one, x,
                       y);
  CHECK(one.loss > 0);
  for (const int size : {1, 2, 3, 5})
    for (const Cut cut : kCuts) {
      const std::vector<Index> first = blocks(n, size, cut);
      const auto errors = on_ranks(size, [&](ThreadRank& rank) {
        const std::size_t r = std::size_t(rank.rank());
        const Index at = first[r], count = first[r + 1] - at;
        const auto own_x = x.middleRows(at, count), own_y = y.middleRows(at, count);
        const auto world = losses::detail::over(options, rank);
        losses::PairGradient<RowMatrix<float>> mine;
        core::Workspace workspace;
        losses::detail::into("mean_square", MeanSquare{}, world, workspace, mine, own_x, own_y);
        const double value =
            losses::detail::value("mean_square", MeanSquare{}, world, own_x, own_y).loss;
        core::expects(mine.loss == one.loss && value == one.loss, "mean_square", "another loss");
        core::expects((mine.x.array() == one.x.middleRows(at, count).array()).all() &&
                          (mine.y.array() == one.y.middleRows(at, count).array()).all(),
                      "mean_square", "another gradient");
      });
      CAPTURE(size);
      CAPTURE(int(cut));
      for (const std::string& error : errors) CHECK(error == "");
    }
}
