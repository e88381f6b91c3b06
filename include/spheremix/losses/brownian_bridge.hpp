// The Brownian bridge between the two embeddings of a pair: the augmented image lies near the point
// of the bridge from the text to the image.
//
//   m_i = r x_i + (1 - r) y_i      mu_i = m_i / |m_i|      L = (1/n) sum_i |a_i - mu_i|^2
//
// r is small: the point lies nearer to the text. |m_i| >= |1 - 2 r| for unit rows. (The
// inner-product form printed beside it in the paper is another function; this is the squared
// distance.)
//
// Shapes     A (augmented), X, Y: n x d, n >= 1; rows as they are.
// Gradient   g = 2 (mu - a) / n: dA = -g, h = (g - (g.mu) mu) / |m|, dX = r h, dY = (1 - r) h.
// Errors     shapes, no rows, r outside [0, 1], a row with m = 0 (antipodal rows at r = 1/2).
//            NaN gives NaN.
// Source     Jiang et al. 2023, "Understanding and constructing latent modality structures in
//            multi-modal representation learning", arXiv 2303.05952, section 4.2.
#pragma once

#include "spheremix/core/compiled.hpp"
#include "spheremix/losses/row_outputs.hpp"
#include "spheremix/metrics/sums.hpp"

namespace spheremix::losses {

struct BrownianBridgeOptions {
  double ratio = 0.25;  ///< r, the weight of X
};

template <class Matrix>
struct BrownianBridgeGradient {
  double loss;
  Matrix augmented;  ///< dL/dA
  Matrix x;          ///< dL/dX
  Matrix y;          ///< dL/dY
};

namespace detail {

/// The loss; gradients unless da.data is null. Everything in double.
template <class T>
double bridge_on_views(const char* function, MatrixView<const T> a, MatrixView<const T> x,
                       MatrixView<const T> y, double r, MatrixView<T> da, MatrixView<T> dx,
                       MatrixView<T> dy) {
  core::expects(r >= 0 && r <= 1, function, "ratio is ", r, ", outside [0, 1]");
  const double n = double(x.rows);
  const Index d = x.cols;
  const double sum = metrics::detail::sum_over_rows(x.rows, [&](Index i) {
    const T *pa = a.row(i), *px = x.row(i), *py = y.row(i);
    const auto m = [=](Index k) { return r * double(px[k]) + (1 - r) * double(py[k]); };
    const double norm = std::sqrt(core::sum_in_lanes(d, [&](Index k) { return m(k) * m(k); }));
    core::expects(norm != 0, function, "the bridge of row ", i, " passes through the origin at ",
                  r);
    const auto off = [=](Index k) { return double(pa[k]) - m(k) / norm; };
    const double square = core::sum_in_lanes(d, [&](Index k) { return off(k) * off(k); });
    if (da.data) {
      const double along = core::sum_in_lanes(d, [&](Index k) { return off(k) * (m(k) / norm); });
      for (Index k = 0; k < d; ++k) {
        const double e = off(k), h = -2 / n * (e - along * (m(k) / norm)) / norm;
        da(i, k) = T(2 / n * e);
        dx(i, k) = T(r * h);
        dy(i, k) = T((1 - r) * h);
      }
    }
    return square;
  });
  return sum / n;
}

/// Of augmented, x, y.
struct BrownianBridgeLoss {
  static constexpr const char* kFields[] = {"out.augmented", "out.x", "out.y"};
  const BrownianBridgeOptions& options;

  template <class Out>
  static auto fields(Out& out) {
    return std::tie(out.augmented, out.x, out.y);
  }
  template <class T>
  static void expects(const char* function, const Inputs<T, 3>& in) {
    core::expects_same_shape(function, "augmented", in[0].rows, in[0].cols, "X", in[1].rows,
                             in[1].cols);
    core::expects_same_shape(function, "X", in[1].rows, in[1].cols, "Y", in[2].rows, in[2].cols);
    core::expects(in[1].rows >= 1, function, "X has no rows");
  }
  template <class T>
  LossResult operator()(const char* function, const Inputs<T, 3>& in, Workspace&,
                        const Outputs<T, 3>& out) const {
    return {
        bridge_on_views<T>(function, in[0], in[1], in[2], options.ratio, out[0], out[1], out[2])};
  }
};

}  // namespace detail

/// The loss: a mean squared distance.
template <class A, class X, class Y>
[[nodiscard]] double brownian_bridge(const Eigen::MatrixBase<A>& augmented,
                                     const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                     const BrownianBridgeOptions& options = {}) {
  return detail::value("brownian_bridge", detail::BrownianBridgeLoss{options}, augmented, x, y)
      .loss;
}

/// Loss and gradients into `out` (any struct with the fields of BrownianBridgeGradient).
template <class A, class X, class Y, class Out>
void brownian_bridge_with_gradient(const Eigen::MatrixBase<A>& augmented,
                                   const Eigen::MatrixBase<X>& x, const Eigen::MatrixBase<Y>& y,
                                   const BrownianBridgeOptions& options, core::Workspace& workspace,
                                   Out& out) {
  detail::into("brownian_bridge_with_gradient", detail::BrownianBridgeLoss{options}, workspace, out,
               augmented, x, y);
}

template <class A, class X, class Y>
[[nodiscard]] auto brownian_bridge_with_gradient(const Eigen::MatrixBase<A>& augmented,
                                                 const Eigen::MatrixBase<X>& x,
                                                 const Eigen::MatrixBase<Y>& y,
                                                 const BrownianBridgeOptions& options = {}) {
  return detail::by_value<BrownianBridgeGradient<RowMatrix<typename X::Scalar>>>(
      [&](auto& workspace, auto& out) {
        brownian_bridge_with_gradient(augmented, x, y, options, workspace, out);
      });
}

}  // namespace spheremix::losses

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::losses::detail {
#define SPHEREMIX_BROWNIAN_BRIDGE(T)                                                      \
  LossResult run(const BrownianBridgeLoss&, const char*, const Inputs<T, 3>&, Workspace&, \
                 const Outputs<T, 3>&)
SPHEREMIX_ELSEWHERE(SPHEREMIX_BROWNIAN_BRIDGE)
}  // namespace spheremix::losses::detail
