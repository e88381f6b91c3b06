#include "spheremix/metrics/detail/sums.hpp"

#include <doctest/doctest.h>

#include "spheremix/metrics/modality_gap.hpp"

using namespace spheremix;

TEST_CASE("sums keep what their additions lose, within a piece and from piece to piece") {
  // 2^60 + 1 - 2^60, the last term in another piece of rows.
  for (const Index last : {2, 299}) {
    const double sum = metrics::detail::sum_over_rows(300, [last](Index i) {
      return i == 0 ? 0x1p60 : i == 1 ? 1.0 : i == last ? -0x1p60 : 0.0;
    });
    CHECK(sum == 1);
  }
  for (const Index last : {2, 299}) {
    RowMatrix<double> x = RowMatrix<double>::Zero(300, 2);
    x.col(1) << Vector<double>::Zero(300);
    x(0, 1) = 0x1p60;
    x(1, 1) = 1;
    x(last, 1) = -0x1p60;
    CHECK(metrics::modality_gap_vector(x, RowMatrix<double>::Zero(1, 2))(1) == 1.0 / 300);
  }
}
