// A matrix that owns device memory: the convenience above the views. Here, and only here and in
// eigen.hpp, the backend allocates, copies, waits, and throws (std::runtime_error with CUDA's
// text).
//
//   gpu::Matrix<float> x(n, d);
//   x.upload(host, stride);
//   slerp_rows(x.view(), ..., m.view(), stream);
//   m.download(host);
//   const auto call = [&](Scratch s) { return alignment(..., s, stream); };
//   gpu::Memory scratch(scratch_needed(call));
//   call(scratch.scratch());
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include "spheremix/gpu/core/scratch.cuh"
#include "spheremix/gpu/core/view.cuh"

namespace spheremix::gpu {

/// Throws what a status says, if it is not ok.
inline void expect(Status status) {
  if (!status.ok()) throw std::runtime_error(status.text);
}

/// Device memory of at least the bytes asked for; grows, never shrinks.
class Memory {
 public:
  Memory() = default;
  explicit Memory(std::size_t bytes) { reserve(bytes); }
  Memory(Memory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Memory& operator=(Memory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Memory() { (void)cudaFree(data_); }

  /// Room for `bytes`; what was there is lost if it must grow.
  void reserve(std::size_t bytes) {
    if (bytes <= bytes_) return;
    (void)cudaFree(std::exchange(data_, nullptr));
    bytes_ = 0;
    expect(status_of(cudaMalloc(&data_, bytes)));
    bytes_ = bytes;
  }

  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  Scratch scratch() const { return {data_, bytes_}; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// rows x cols numbers of T on the device, each row on a 16-byte boundary so that it moves 16 bytes
/// at a time.
template <class T>
class Matrix {
  static_assert(is_storage<T>);

 public:
  Matrix() = default;
  Matrix(Index rows, Index cols) { resize(rows, cols); }

  /// Values are lost unless the shape stays.
  void resize(Index rows, Index cols) {
    constexpr Index piece = Index(16 / sizeof(T));
    const Index stride = (cols + piece - 1) / piece * piece;
    memory_.reserve(std::size_t(rows * stride) * sizeof(T));
    rows_ = rows;
    cols_ = cols;
    stride_ = stride;
  }

  Index rows() const { return rows_; }
  Index cols() const { return cols_; }
  View<T> view() { return {static_cast<T*>(memory_.data()), rows_, cols_, stride_}; }
  View<const T> view() const {
    return {static_cast<const T*>(memory_.data()), rows_, cols_, stride_};
  }

  /// Copies rows that lie `stride` elements apart from host memory, and waits.
  void upload(const T* host, Index stride, cudaStream_t stream = nullptr) {
    copy(memory_.data(), stride_, host, stride, cudaMemcpyHostToDevice, stream);
  }
  /// Copies the rows to host memory, `stride` elements apart, and waits.
  void download(T* host, Index stride, cudaStream_t stream = nullptr) const {
    copy(host, stride, memory_.data(), stride_, cudaMemcpyDeviceToHost, stream);
  }

 private:
  void copy(void* to, Index to_stride, const void* from, Index from_stride, cudaMemcpyKind kind,
            cudaStream_t stream) const {
    if (rows_ == 0 || cols_ == 0) return;
    const std::size_t width = std::size_t(cols_) * sizeof(T);
    expect(status_of(cudaMemcpy2DAsync(to, std::size_t(to_stride) * sizeof(T), from,
                                       std::size_t(from_stride) * sizeof(T), width,
                                       std::size_t(rows_), kind, stream)));
    expect(status_of(cudaStreamSynchronize(stream)));
  }

  Memory memory_;
  Index rows_ = 0, cols_ = 0, stride_ = 0;
};

}  // namespace spheremix::gpu
