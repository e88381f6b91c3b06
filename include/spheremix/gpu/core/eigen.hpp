// Between Eigen and the device: a header of its own, because no Eigen belongs under nvcc. Include
// it from code that the host compiler builds, with the CUDA toolkit's include folder.
//
//   gpu::Matrix<float> x = gpu::to_device(X);
//   gpu::Matrix<gpu::Half> h = gpu::to_device_as<gpu::Half>(X);
//   RowMatrix<float> back = gpu::to_host(x);
#pragma once

#include <vector>

#include "spheremix/core/eigen.hpp"
#include "spheremix/gpu/core/matrix.cuh"

namespace spheremix::gpu {

/// A copy of any Eigen expression on the device, stored as T (rounded to nearest even where T has
/// 16 bits).
template <class T, class X>
[[nodiscard]] Matrix<T> to_device_as(const Eigen::MatrixBase<X>& x, cudaStream_t stream = nullptr) {
  Matrix<T> out(x.rows(), x.cols());
  const core::InputRows<typename X::Scalar> rows(x);
  const auto from = rows.view();
  if constexpr (std::is_same_v<T, typename X::Scalar>) {
    out.upload(from.data, from.stride, stream);
  } else {
    std::vector<T> stored(std::size_t(from.rows * from.cols));
    for (Index i = 0; i < from.rows; ++i)
      for (Index j = 0; j < from.cols; ++j)
        stored[std::size_t(i * from.cols + j)] = narrow<T>(Arithmetic<T>(from(i, j)));
    out.upload(stored.data(), from.cols, stream);
  }
  return out;
}

template <class X>
[[nodiscard]] Matrix<typename X::Scalar> to_device(const Eigen::MatrixBase<X>& x,
                                                   cudaStream_t stream = nullptr) {
  return to_device_as<typename X::Scalar>(x, stream);
}

/// A copy on the host: float for 16-bit storage, else T. Waits for the stream.
template <class T>
[[nodiscard]] RowMatrix<Arithmetic<T>> to_host(const Matrix<T>& x, cudaStream_t stream = nullptr) {
  RowMatrix<Arithmetic<T>> out(x.rows(), x.cols());
  if constexpr (std::is_same_v<T, Arithmetic<T>>) {
    x.download(out.data(), x.cols(), stream);
  } else {
    std::vector<T> stored(std::size_t(x.rows() * x.cols()));
    x.download(stored.data(), x.cols(), stream);
    for (Index k = 0; k < out.size(); ++k) out.data()[k] = widen(stored[std::size_t(k)]);
  }
  return out;
}

}  // namespace spheremix::gpu
