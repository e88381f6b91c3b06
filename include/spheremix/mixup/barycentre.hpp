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
#include "spheremix/sphere/detail/arguments.hpp"
#include "spheremix/sphere/detail/mean_steps.hpp"

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

/// The points of one mixture in double, with the scratch of its iteration.
class BarycentreRow {
 public:
  BarycentreRow(Index k, Index d)
      : k_(k),
        d_(d),
        x(std::size_t(k * d)),
        w(std::size_t(k)),
        mean(std::size_t(d)),
        step(std::size_t(d)),
        log(std::size_t(k * d)),
        row(std::size_t(k)),
        steps({x.data(), k, d, d}, w.data(), 1, mean.data()) {}
  BarycentreRow(const BarycentreRow&) = delete;

  const double* point(Index j) const { return x.data() + j * d_; }
  double* log_of(Index j) { return log.data() + j * d_; }

  template <class T>
  void load(const char* function, core::MatrixView<const T> rows, const core::Numbers& members,
            const core::Numbers& weights, Index i) {
    sum = 0;
    for (Index j = 0; j < k_; ++j) {
      const double weight = weights(i, j).high;
      core::expects(weight >= 0 && std::isfinite(weight), function, "weights(", i, ", ", j, ") is ",
                    weight, ", not a finite number >= 0");
      w[std::size_t(j)] = weight;
      row[std::size_t(j)] = members.index(i, j);
      sum += weight;
      for (Index a = 0; a < d_; ++a)
        x[std::size_t(j * d_ + a)] = double(rows(row[std::size_t(j)], a));
    }
    core::expects(sum > 0, function, "the weights of row ", i, " are all 0");
  }

  /// The number of the only member with weight, or -1.
  Index lone() const {
    Index found = -1;
    for (Index j = 0; j < k_; ++j)
      if (w[std::size_t(j)] > 0) {
        if (found >= 0) return -1;
        found = j;
      }
    return found;
  }

  /// Logarithms and curvature at the mean; false for an antipode.
  bool logarithms() {
    steps.problem().start(sum);
    (void)steps.problem().at(mean.data());
    for (Index j = 0; j < k_; ++j) {
      const math::Arc<double> arc = sphere::detail::arc_between<double>(mean.data(), point(j), d_);
      if (arc.antipodal) return false;
      const auto [s, t] = math::arc_log(arc);
      for (Index a = 0; a < d_; ++a) {
        const double p = mean[std::size_t(a)], q = point(j)[a];
        log_of(j)[a] = s * (p + q) + t * (q - p);
      }
    }
    return true;
  }

  /// Leaves the mean.
  void solve(const char* function, Index i) {
    if (const Index only = lone(); only >= 0) {
      std::copy_n(point(only), d_, mean.data());
      (void)normalise();
      return;
    }
    steps.problem().start(sum);
    if (const Index j = steps.problem().plain_mean(mean.data()); j >= 0)
      sphere::detail::expects_unit_row(function, "X", row[std::size_t(j)], point(j), d_);
    const bool balanced = !normalise();
    Index antipodal = -1;
    if (balanced || (antipodal = steps.evaluate()) >= 0)
      core::fail(
          function, ": the points of row ", i, " are in no open half sphere: ",
          balanced ? "they balance each other" : "one is antipodal to the mean of the others");
    double before = core::infinity<double>, size = steps.residual();
    for (int iteration = 0;
         size > 4 * core::epsilon<double> && (size >= 1e-14 || size < 0.5 * before); ++iteration) {
      core::expects(iteration < 1000 && steps.newton(), function, "row ", i,
                    " has not converged: |step| is ", size);
      before = std::exchange(size, steps.residual());
    }
    core::expects(std::isnan(size) || in_half_sphere(), function, "the points of row ", i,
                  " are in no open half sphere: their mean is not one point");
  }

  /// From g at the mean: y with H y = P g in `step`.
  void solve_hessian(const char* function, Index i, const double* g) {
    std::vector<double> residual(g, g + d_), direction, product(static_cast<std::size_t>(d_));
    sphere::detail::tangent<double>(mean.data(), residual.data(), residual.data(), d_);
    std::fill(step.begin(), step.end(), 0.0);
    direction = residual;
    const double start = dot(residual.data(), residual.data());
    double size = start;
    for (Index iteration = 0; iteration < 4 * k_ + 8 && size > 1e-28 * start; ++iteration) {
      steps.problem().curve(mean.data(), direction.data(), product.data());
      const double curvature = dot(direction.data(), product.data());
      if (curvature <= 0 && size < 1e-20 * start) break;  // rounding is all that is left
      core::expects(!(curvature <= 0), function, "the mean of row ", i,
                    " is no minimum: its points are too far apart");
      const double alpha = size / curvature;
      for (std::size_t a = 0; a < std::size_t(d_); ++a) {
        step[a] += alpha * direction[a];
        residual[a] -= alpha * product[a];
      }
      sphere::detail::tangent<double>(mean.data(), residual.data(), residual.data(), d_);
      const double next = dot(residual.data(), residual.data());
      for (std::size_t a = 0; a < std::size_t(d_); ++a)
        direction[a] = residual[a] + next / size * direction[a];
      size = next;
    }
  }

  /// dL/dx_j into out, from y in `step`; returns dL/dw_j.
  double pull(Index j, double* out) {
    const double* const l = log_of(j);
    const double theta = length(l), weight = w[std::size_t(j)] / sum;
    const double along = theta > 0 ? dot(step.data(), l) / theta : 0;
    const double turn = theta > 0 ? theta / std::sin(theta) : 1;
    for (Index a = 0; a < d_; ++a) {
      const double u = theta > 0 ? l[a] / theta : 0;
      const double arrive = std::cos(theta) * u - std::sin(theta) * mean[std::size_t(a)];
      out[a] = weight * (along * arrive + turn * (step[std::size_t(a)] - along * u));
    }
    return dot(step.data(), l) / sum;
  }

  double dot(const double* a, const double* b) const {
    double s = 0;
    for (Index k = 0; k < d_; ++k) s += a[k] * b[k];
    return s;
  }
  double length(const double* a) const { return std::sqrt(dot(a, a)); }

 private:
  /// Has some h a positive product with every point of weight? The mean, mostly; else the point of
  /// the hull next to 0, by steps that move share from the farthest along it to the nearest.
  bool in_half_sphere() const {
    std::vector<Index> held;
    bool all = true;
    for (Index j = 0; j < k_; ++j)
      if (w[std::size_t(j)] > 0) {
        held.push_back(j);
        all = all && dot(mean.data(), point(j)) > 0;
      }
    if (all) return true;
    const std::size_t n = held.size();
    std::vector<double> share(n, 1 / double(n)), along(n), p(static_cast<std::size_t>(d_));
    for (std::size_t turn = 0; turn < 2000 * n; ++turn) {
      std::fill(p.begin(), p.end(), 0.0);
      for (std::size_t j = 0; j < n; ++j)
        for (Index a = 0; a < d_; ++a) p[std::size_t(a)] += share[j] * point(held[j])[a];
      std::size_t low = 0, high = n;
      for (std::size_t j = 0; j < n; ++j) {
        along[j] = dot(p.data(), point(held[j]));
        if (along[j] < along[low]) low = j;
        if (share[j] > 0 && (high == n || along[j] > along[high])) high = j;
      }
      if (along[low] > 0) return true;
      double apart = 0;
      for (Index a = 0; a < d_; ++a) {
        const double e = point(held[high])[a] - point(held[low])[a];
        apart += e * e;
      }
      const double part = (std::min)(share[high], (along[high] - along[low]) / apart);
      if (!(part > 1e-15)) return false;
      share[high] -= part;
      share[low] += part;
    }
    return false;
  }

  bool normalise() {
    const double size = length(mean.data());
    if (!(size > 1e-14) && size == size) return false;
    for (double& m : mean) m /= size;
    return true;
  }

  Index k_, d_;

 public:
  std::vector<double> x, w, mean, step, log;
  std::vector<Index> row;  ///< of X, where each member comes from
  sphere::detail::MeanSteps<double> steps;
  double sum = 0;
};

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
