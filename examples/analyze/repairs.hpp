// Repairs of one file beside another, row i of which belongs to row i.
//
//   align   x -> x Q, Q the rotation that brings unit rows of x onto those of the other file
//   csls    cosine similarity with local scaling, 2 x.y - r(x) - r(y), r the mean cosine of a row
//           with its 10 nearest in the other file, as plain cosines of longer rows:
//             x' = (x, -r(x)/2, 1, a, 0),  y' = (y, 1, -r(y)/2, 0, b),  a and b such that all
//             lengths are one; x'.y' = csls / 2, so that both directions rank by csls
//
// [Conneau et al. 2018, "Word translation without parallel data", section 2.3]
#pragma once

#include "procrustes.hpp"
#include "spheremix/metrics/alignment.hpp"
#include "spheremix/metrics/hubness.hpp"
#include "spheremix/metrics/nearest.hpp"
#include "spheremix/metrics/retrieval.hpp"

namespace analyze {

/// Mean cosine of each unit row of x with its k nearest of y.
inline std::vector<double> mean_of_nearest(const RowMatrix<double>& x, const RowMatrix<double>& y,
                                           Index k) {
  k = std::min(k, y.rows());
  const auto cosines = spheremix::metrics::nearest(x, y, {.k = k}).cosines;
  std::vector<double> mean(at(x.rows()));
  for (Index i = 0; i < x.rows(); ++i) mean[at(i)] = cosines.row(i).mean();
  return mean;
}

/// x' and y' of unit rows, their lengths 1.
inline std::pair<RowMatrix<double>, RowMatrix<double>> csls_rows(const RowMatrix<double>& x,
                                                                 const RowMatrix<double>& y) {
  const std::vector<double> of_x = mean_of_nearest(x, y, 10), of_y = mean_of_nearest(y, x, 10);
  double most = 0;
  for (const auto* list : {&of_x, &of_y})
    for (const double r : *list) most = std::max(most, r * r / 4);
  const auto longer = [&](const RowMatrix<double>& rows, const std::vector<double>& near,
                          Index scale, Index one, Index spare) {
    const Index d = rows.cols();
    RowMatrix<double> out = RowMatrix<double>::Zero(rows.rows(), d + 4);
    for (Index i = 0; i < rows.rows(); ++i) {
      out.row(i).head(d) = rows.row(i);
      out(i, d + scale) = -near[at(i)] / 2;
      out(i, d + one) = 1;
      out(i, d + spare) = std::sqrt(most - near[at(i)] * near[at(i)] / 4);
    }
    return RowMatrix<double>(out / std::sqrt(2 + most));
  };
  return {longer(x, of_x, 0, 1, 2), longer(y, of_y, 1, 0, 3)};
}

/// How unit rows of two files find each other: R@1 and hubness both ways, alignment of equal widths.
inline Json pair_summary(const RowMatrix<double>& x, const RowMatrix<double>& y) {
  const auto found = spheremix::metrics::retrieval_both(x, y, {.k = {1}});
  const Index k = std::min<Index>(10, x.rows());
  return {{"rows", x.rows()},
          {"recall1", found.x_to_y.recall[0]},
          {"recall1_back", found.y_to_x.recall[0]},
          {"hubness", spheremix::metrics::hubness(x, y, {.k = k}).skewness},
          {"hubness_back", spheremix::metrics::hubness(y, x, {.k = k}).skewness},
          {"alignment", spheremix::metrics::alignment(x, y)}};
}

}  // namespace analyze
