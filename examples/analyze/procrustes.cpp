#include "procrustes.hpp"

#include <Eigen/SVD>

#include "spheremix/metrics/retrieval.hpp"

namespace analyze {
namespace {

RowMatrix<double> rows_of(const RowMatrix<double>& x, const std::vector<Index>& rows) {
  RowMatrix<double> some(Index(rows.size()), x.cols());
  for (std::size_t i = 0; i < rows.size(); ++i) some.row(Index(i)) = x.row(rows[i]);
  return some;
}

}  // namespace

Eigen::MatrixXd procrustes(const RowMatrix<double>& y, const RowMatrix<double>& x) {
  const Eigen::MatrixXd product = y.transpose() * x;
  const Eigen::BDCSVD<Eigen::MatrixXd> svd(product, Eigen::ComputeFullU | Eigen::ComputeFullV);
  return svd.matrixU() * svd.matrixV().transpose();
}

HeldOut::HeldOut(const RowMatrix<double>& y, const RowMatrix<double>& x, std::uint64_t seed)
    : turned(y.rows(), x.cols()) {
  std::vector<Index> all(at(y.rows()));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = Index(i);
  halves[0] = sample_rows(all, y.rows() / 2, seed);
  std::set_difference(all.begin(), all.end(), halves[0].begin(), halves[0].end(),
                      std::back_inserter(halves[1]));
  for (std::size_t h = 0; h < 2; ++h) {
    const Eigen::MatrixXd q = procrustes(rows_of(y, halves[h]), rows_of(x, halves[h]));
    for (const Index i : halves[1 - h]) turned.row(i) = y.row(i) * q;
  }
}

std::pair<double, double> HeldOut::recall(const RowMatrix<double>& x) const {
  double hits = 0;
  for (const std::vector<Index>& half : halves)
    hits += double(half.size()) *
            spheremix::metrics::retrieval(rows_of(x, half), rows_of(turned, half), {.k = {1}})
                .recall[0];
  return {hits / double(x.rows()), 2 / double(x.rows())};
}

}  // namespace analyze
