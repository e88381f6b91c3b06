// The k nearest rows: of each row of X those rows of Y with the largest products.
//
//   ids_i = the first k of j = 0, ..., M - 1 by x_i . y_j, largest first; of equal ones the lower j
//   cosines_ip = x_i . y_(ids_ip)
//
// nearest(X) asks within one batch and leaves j = i out; nearest(X, Y) asks Y for every row of X.
//
// Shapes   X: N x d, Y: M x d; ids and cosines N x k, 1 <= k <= M (k < N within one batch). Rows are
//          used as they are: the products of unit rows are cosines.
// Errors   widths, no rows, k, a row with NaN or infinity (named), products that overflow:
//          std::invalid_argument.
// Cost     2 N M d flops and a comparison a product. Memory besides the result: a tile and the
//          lists of a strip of rows a thread, at most 8 MiB unless k is above 3,000. Over W
//          processes two blocks of some M / W rows as well (metrics/detail/nearest_ring.hpp).
#pragma once

#include "spheremix/metrics/detail/nearest_ring.hpp"
#include "spheremix/metrics/detail/row_checks.hpp"

namespace spheremix::metrics {

struct NearestOptions {
  Index k = 10;  ///< neighbours of a row
};

/// Members may be Eigen::Map over the caller's buffers.
template <class Ids, class Matrix>
struct NearestResult {
  Ids ids;         ///< N x k of Eigen::Index: rows of Y, nearest first
  Matrix cosines;  ///< N x k: their products
};

namespace detail {

template <class T>
void nearest(core::MatrixView<const T> x, core::MatrixView<const T> y, Index k, Index own,
             core::Workspace& workspace, core::MatrixView<Index> ids, core::MatrixView<T> cosines) {
  for_nearest(x, y, k, own, workspace, [&](Index i, Candidate<T>* nearest, Index) {
    std::sort(nearest, nearest + k);
    for (Index p = 0; p < k; ++p) {
      ids.row(i)[p] = nearest[p].row;
      cosines.row(i)[p] = nearest[p].cosine;
    }
  });
}

template <class T, class Ids, class Matrix>
void checked_nearest(core::MatrixView<const T> x, core::MatrixView<const T> y, Index k, Index own,
                     core::Workspace& workspace, NearestResult<Ids, Matrix>& out) {
  constexpr const char* function = "nearest";
  static_assert(std::is_same_v<typename Ids::Scalar, Index>, "spheremix: ids are Eigen::Index");
  core::expects_out<T, Matrix>();
  check_query(function, x, y);
  check_nearest(function, k, y.rows, own);
  core::OutputRows<Ids> ids(function, "out.ids", out.ids, x.rows, k);
  core::OutputRows<Matrix> cosines(function, "out.cosines", out.cosines, x.rows, k);
  core::expects_apart(function, cosines.view(), x);
  core::expects_apart(function, cosines.view(), y);
  nearest<T>(x, y, k, own, workspace, ids.view(), cosines.view());
  ids.commit();
  cosines.commit();
}

}  // namespace detail

/// Rows of X ask, rows of Y answer: into `out`, whose cosines must not share memory with X or Y.
/// With one Workspace for all calls nothing is allocated after the first.
template <class X, class Y, class Ids, class Matrix>
void nearest(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
             const NearestOptions& options, core::Workspace& workspace,
             NearestResult<Ids, Matrix>& out) {
  using T = typename X::Scalar;
  const core::InputRows<T> xs(x), ys(y);
  detail::checked_nearest<T>(xs.view(), ys.view(), options.k, detail::kApart, workspace, out);
}
template <class X, class Y, class Ids, class Matrix>
void nearest(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
             const NearestOptions& options, NearestResult<Ids, Matrix>& out) {
  core::Workspace workspace;
  nearest(x, y, options, workspace, out);
}

/// Rows of X ask, rows of Y answer.
template <class X, class Y>
[[nodiscard]] NearestResult<RowMatrix<Index>, RowMatrix<typename X::Scalar>> nearest(
    const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
    const NearestOptions& options = {}) {
  NearestResult<RowMatrix<Index>, RowMatrix<typename X::Scalar>> out;
  nearest(x, y, options, out);
  return out;
}

/// Within one batch: the nearest others.
template <class X>
[[nodiscard]] NearestResult<RowMatrix<Index>, RowMatrix<typename X::Scalar>> nearest(
    const Eigen::MatrixBase<X>& x, const NearestOptions& options = {}) {
  using T = typename X::Scalar;
  NearestResult<RowMatrix<Index>, RowMatrix<T>> out;
  const core::InputRows<T> xs(x);
  core::Workspace workspace;
  detail::checked_nearest<T>(xs.view(), xs.view(), options.k, 0, workspace, out);
  return out;
}

namespace detail {

/// Of this rank's rows of X, among the rows of Y of all ranks, batch 0.
template <class T>
NearestResult<RowMatrix<Index>, RowMatrix<T>> nearest_by_ring(core::Meeting& meeting,
                                                              core::MatrixView<const T> x,
                                                              core::MatrixView<const T> y, Index k,
                                                              bool within) {
  check_query_across(meeting, 0, x, y, k, within);
  NearestResult<RowMatrix<Index>, RowMatrix<T>> out;
  out.ids.resize(x.rows, k);
  out.cosines.resize(x.rows, k);
  const NearestRing<T> found(meeting, 0, x, y, k, within);
  for (Index i = 0; i < x.rows; ++i)
    for (Index p = 0; p < k; ++p) {
      out.ids(i, p) = found.of(i)[p].row;
      out.cosines(i, p) = found.of(i)[p].cosine;
    }
  return out;
}

/// Over the ranks of a communicator. within: Y is X, and no row is near itself.
template <class X, class Y, class World>
auto nearest_across(const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y, bool within,
                    const NearestOptions& options, World& world) {
  using T = typename X::Scalar;
  return pairwise::over_blocks<T>(
      "nearest", world, options,
      [&](core::Meeting& meeting, const auto& ys) {
        const core::InputRows<T> xs(x);
        return nearest_by_ring<T>(meeting, xs.view(), ys, options.k, within);
      },
      y);
}

}  // namespace detail

/// Over several processes: of this rank's rows of X, among all ranks' rows of Y; ids are row numbers
/// in the whole of Y.
template <class X, class Y, core::Communicator World>
[[nodiscard]] NearestResult<RowMatrix<Index>, RowMatrix<typename X::Scalar>> nearest(
    const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y, const NearestOptions& options,
    World& world) {
  return detail::nearest_across(x, y, false, options, world);
}

/// Within one batch: of this rank's rows, the nearest others of all ranks.
template <class X, core::Communicator World>
[[nodiscard]] NearestResult<RowMatrix<Index>, RowMatrix<typename X::Scalar>> nearest(
    const Eigen::MatrixBase<X>& x, const NearestOptions& options, World& world) {
  return detail::nearest_across(x, x, true, options, world);
}

}  // namespace spheremix::metrics

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::metrics::detail {
#define SPHEREMIX_NEAREST(T)                                                       \
  void nearest(core::MatrixView<const T>, core::MatrixView<const T>, Index, Index, \
               core::Workspace&, core::MatrixView<Index>, core::MatrixView<T>)
SPHEREMIX_ELSEWHERE(SPHEREMIX_NEAREST)
}  // namespace spheremix::metrics::detail
