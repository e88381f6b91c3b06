// What distances, slerp and mixtures of rows hand back, on either machine. Matrix: a vector, RowMatrix<T>,
// an Eigen::Map of the caller's buffers, or core::MatrixView<T> in device memory.
#pragma once

namespace spheremix::sphere {

/// Tangent gradients of a distance.
template <class Matrix>
struct DistanceGradient {
  Matrix u;  ///< dL/du, tangent at u
  Matrix v;  ///< dL/dv, tangent at v
};

/// Tangent gradients of a slerp. Parameter: a number for one t, a vector for one a row; on the device a
/// pointer to one a row.
template <class Matrix, class Parameter = double>
struct SlerpGradient {
  Matrix u;       ///< dL/du, tangent at u
  Matrix v;       ///< dL/dv, tangent at v
  Parameter t{};  ///< dL/dt
};

}  // namespace spheremix::sphere

namespace spheremix::mixup {

/// Gradients of a mixture. Parameter: a number for one lambda (the sum over rows), a vector for one a
/// row; on the device a pointer to one a row.
template <class Matrix, class Parameter = double>
struct MixGradient {
  Matrix x;            ///< dL/dX
  Matrix y;            ///< dL/dY
  Parameter lambda{};  ///< dL/dlambda
};

}  // namespace spheremix::mixup
