// Mixtures of k points on the sphere: weighted Frechet means of chosen rows, and the way back.
//
//   m_i = the point with sum_j w_ij log_m(x_c(i,j)) = 0        k = 2: geodesic mixup
//
// the Frechet mean of those points, by Newton's steps in double whatever T.
//
// Shapes     X: N x d, unit rows; members: n x k rows of X (one may come twice); weights: n x k,
//            >= 0, used up to their sum. Result: n x d. A lone weight gives its row's very bits.
// Gradient   implicit: with u_j, theta_j the direction and angle of x_j from m,
//            c_j = theta_j cot theta_j,
//            H = sum w_j (u_j u_j^T + c_j (P_m - u_j u_j^T)) and H y = P_m g (conjugate gradients),
//            dx_j = w_j ( (y.u_j) e_j + theta_j/sin theta_j (y - (y.u_j) u_j) ), e_j the direction
//            of arrival at x_j;  dw_j = y.log_m(x_j).  Tangent at m and at x_j.
// Errors     std::invalid_argument: shapes, members outside, rows of weight that are not unit
//            (|x|^2 further than 1e-3 from 1), weights negative, not finite or all
//            zero in a row; points with weight that are in no open half sphere; no convergence. In
//            the pullback an antipode of the mean, where its weight is 0 too. NaN rows give NaN.
// Source     Buss and Fillmore 2001, "Spherical averages and applications to spherical splines".
#pragma once

#include <utility>
#include <vector>

#include "spheremix/core/numbers.hpp"
#include "spheremix/mixup/detail/barycentre_row.hpp"
#include "spheremix/sphere/detail/arguments.hpp"

namespace spheremix::mixup {

/// n x k row numbers; any other matrix of integers does as well.
using Members = Eigen::Matrix<Index, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Gradients of barycentre.
template <class Matrix>
struct BarycentreGradient {
  Matrix x;        ///< dL/dX, N x d
  Matrix weights;  ///< dL/dweights, n x k
};

namespace detail {

inline void expects_members(const char* function, Index rows, const core::Numbers& members,
                            const core::Numbers& weights) {
  core::expects_same_shape(function, "members", members.rows(), members.cols(), "weights",
                           weights.rows(), weights.cols());
  core::expects(members.cols() >= 1 || members.rows() == 0, function, "members is ", members.rows(),
                " x 0");
  members.expects_class_matrix(function, "members", rows);
}

}  // namespace detail

/// The mixtures into out.
template <class X, class Out>
requires sphere::detail::Writable<Out>
void barycentre(const Eigen::MatrixBase<X>& x, const core::Numbers& members,
                const core::Numbers& weights, Out&& out) {
  using T = core::Real<X>;
  constexpr auto* name = "barycentre";
  const core::InputRows<T> rows(x);
  detail::expects_members(name, x.rows(), members, weights);
  core::OutputRows<std::remove_reference_t<Out>> to(name, "out", out, members.rows(), x.cols());
  core::expects_apart(name, to.view(), rows.view());
  core::parallel_chunks(members.rows(), 32, [&](Index first, Index count) {
    detail::BarycentreRow row(members.cols(), x.cols());
    for (Index i = first; i < first + count; ++i) {
      row.load(name, rows.view(), members, weights, i);
      if (row.lone() < 0) row.solve(name, i);
      const double* const m = row.lone() < 0 ? row.mean.data() : row.point(row.lone());
      for (Index a = 0; a < x.cols(); ++a) to.view()(i, a) = T(m[a]);
    }
  });
  to.commit();
}

template <class X>
[[nodiscard]] RowMatrix<core::Real<X>> barycentre(const Eigen::MatrixBase<X>& x,
                                                  const core::Numbers& members,
                                                  const core::Numbers& weights) {
  RowMatrix<core::Real<X>> out;
  barycentre(x, members, weights, out);
  return out;
}

/// Pulls the cotangents G (n x d) of the mixtures back into out (fields x, weights).
template <class X, class G, class Out>
requires sphere::detail::WritableGradient<Out>
void barycentre_vjp(const Eigen::MatrixBase<X>& x, const core::Numbers& members,
                    const core::Numbers& weights, const Eigen::MatrixBase<G>& g, Out&& out) {
  using T = core::Real<X>;
  constexpr auto* name = "barycentre_vjp";
  const core::InputRows<T> rows(x), cotangent(g);
  detail::expects_members(name, x.rows(), members, weights);
  core::expects_same_shape(name, "G", g.rows(), g.cols(), "the result", members.rows(), x.cols());
  core::OutputRows dx(name, "out.x", out.x, x.rows(), x.cols());
  core::OutputRows dw(name, "out.weights", out.weights, members.rows(), members.cols());
  core::expects_apart(name, dx.view(), rows.view());
  core::expects_apart(name, dx.view(), cotangent.view());
  const Index d = x.cols(), k = members.cols();
  std::vector<double> total(static_cast<std::size_t>(x.rows() * d)),
      part(static_cast<std::size_t>(d)), from(static_cast<std::size_t>(d));
  detail::BarycentreRow row(k, d);
  for (Index i = 0; i < members.rows(); ++i) {  // one after another: rows of X may be shared
    row.load(name, rows.view(), members, weights, i);
    row.solve(name, i);
    core::expects(row.logarithms(), name, "a point of row ", i, " is antipodal to the mean");
    for (Index a = 0; a < d; ++a) from[std::size_t(a)] = double(cotangent.view()(i, a));
    row.solve_hessian(name, i, from.data());
    for (Index j = 0; j < k; ++j) {
      dw.view()(i, j) = T(row.pull(j, part.data()));
      for (Index a = 0; a < d; ++a)
        total[std::size_t(row.row[std::size_t(j)] * d + a)] += part[std::size_t(a)];
    }
  }
  for (Index i = 0; i < x.rows(); ++i)
    for (Index a = 0; a < d; ++a) dx.view()(i, a) = T(total[std::size_t(i * d + a)]);
  dx.commit();
  dw.commit();
}

template <class X, class G>
[[nodiscard]] auto barycentre_vjp(const Eigen::MatrixBase<X>& x, const core::Numbers& members,
                                  const core::Numbers& weights, const Eigen::MatrixBase<G>& g) {
  BarycentreGradient<RowMatrix<core::Real<X>>> out;
  barycentre_vjp(x, members, weights, g, out);
  return out;
}

}  // namespace spheremix::mixup
