// One test source, two machines: g++ compiles it against the block emulator, nvcc against CUDA and
// runs it on a GPU. What a test needs of either: buffers with room around the rows, and a run in
// every order there is.
#pragma once

#if !defined(__CUDACC__)
#define SPHEREMIX_EMULATOR "support/emulator/emulator.hpp"
#endif

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <type_traits>
#include <vector>

#include "spheremix/core/view.hpp"
#include "spheremix/gpu/core/scratch.cuh"
#include "spheremix/gpu/core/status.cuh"
#include "spheremix/gpu/core/storage.cuh"

namespace spheremix::gpu_test {

/// Stops the program on a CUDA error: nothing after it could be trusted.
inline void must(cudaError_t code, const char* what) {
  if (code == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(code));
  std::exit(3);
}

/// Waits for the device and fails the test on any error, of the call or of its kernels.
inline void finish(gpu::Status status) {
  INFO(status.text);
  REQUIRE(status.ok());
  must(cudaDeviceSynchronize(), "a kernel");
}

/// body() forward and in reverse order in the emulator, once on a GPU.
template <class Body>
void in_every_order(Body body) {
#if defined(SPHEREMIX_EMULATOR)
  for (const emulator::Order order : {emulator::Order::forward, emulator::Order::reverse}) {
    emulator::order = order;
    CAPTURE(int(order));
    body();
  }
  emulator::order = emulator::Order::forward;
#else
  body();
#endif
}

/// False only for initcheck, which must see what nobody has written.
inline bool poisoned() { return std::getenv("SPHEREMIX_NO_POISON") == nullptr; }

/// n values of T in device memory, of exactly that size; NaN until written.
template <class T>
class Buffer {
 public:
  explicit Buffer(std::size_t n) : n_(n) {
    if (n_ > 0) must(cudaMalloc(&data_, n_ * sizeof(T)), "cudaMalloc");
    if (n_ > 0 && poisoned()) must(cudaMemset(data_, 0xFF, n_ * sizeof(T)), "cudaMemset");
  }
  explicit Buffer(const std::vector<T>& values) : Buffer(values.size()) {
    if (n_ > 0)
      must(cudaMemcpy(data_, values.data(), n_ * sizeof(T), cudaMemcpyHostToDevice), "cudaMemcpy");
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { cudaFree(data_); }

  T* data() const { return data_; }
  std::size_t size() const { return n_; }
  std::vector<T> values() const {
    std::vector<T> host(n_);
    if (n_ > 0)
      must(cudaMemcpy(host.data(), data_, n_ * sizeof(T), cudaMemcpyDeviceToHost), "cudaMemcpy");
    return host;
  }
  gpu::Scratch scratch() const { return {data_, n_ * sizeof(T)}; }

 private:
  T* data_ = nullptr;
  std::size_t n_;
};

/// Runs call(scratch) with just as much scratch as it counts, and waits.
template <class Call>
void with_scratch(const Call& call) {
  const Buffer<char> scratch(gpu::scratch_needed(call));
  finish(call(scratch.scratch()));
}

/// Products with that precision and edge of the ranges.
template <class Products, class Precision>
Products at(Products how, Precision precision, Index block) {
  if constexpr (requires { how.products; })
    how.products = at(how.products, precision, block);
  else
    how.precision = precision, how.block = block;
  return how;
}

/// Bytes that call(scratch) counts; none are a failure, because wrong arguments count none.
template <class Call>
std::size_t counted(const Call& call) {
  const std::size_t bytes = gpu::scratch_needed(call);
  CHECK(bytes > 0);
  return bytes;
}

/// Rows that nobody touches, for calls that only count; those of two places are apart, and results
/// are apart from batches.
template <class T>
core::MatrixView<T> untouched(Index rows, Index cols, int place = 0) {
  const auto where = std::uintptr_t(2 * place + (std::is_const_v<T> ? 1 : 2)) << 40;
  return {reinterpret_cast<T*>(where), rows, cols, cols};
}

/// How rows lie in memory: extra columns between rows and elements before the first.
struct Layout {
  Index padding = 0;
  Index offset = 0;
};
/// Aligned and packed; a wide leading dimension that keeps 16-byte rows; rows and pointer on odd
/// addresses.
inline constexpr Layout kLayouts[] = {{0, 0}, {16, 16}, {3, 1}};

/// A rows x cols matrix on the device with a guard of NaN around and between the rows.
template <class T>
class Rows {
 public:
  Rows(Index rows, Index cols, Layout layout = {})
      : rows_(rows),
        cols_(cols),
        stride_(cols + layout.padding),
        offset_(layout.offset),
        buffer_(std::size_t(layout.offset + rows * stride_)) {}
  Rows(Index rows, Index cols, const std::vector<double>& values, Layout layout = {})
      : Rows(rows, cols, layout) {
    std::vector<T> host(buffer_.size());
    if (poisoned()) host = buffer_.values();
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < cols; ++j)
        host[std::size_t(offset_ + i * stride_ + j)] =
            gpu::narrow<T>(gpu::Arithmetic<T>(values[std::size_t(i * cols + j)]));
    if (!host.empty())
      must(cudaMemcpy(buffer_.data(), host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice),
           "cudaMemcpy");
  }

  core::MatrixView<T> view() const { return {buffer_.data() + offset_, rows_, cols_, stride_}; }
  core::MatrixView<const T> input() const { return view(); }

  /// The matrix as doubles, packed. Fails the test when anything was written outside the rows.
  std::vector<double> values() const {
    std::vector<double> result;
    result.reserve(std::size_t(rows_ * cols_));
    if (!poisoned()) {  // what lies between the rows was never written: it must not be read either
      std::vector<T> rows(std::size_t(rows_ * cols_));
      const std::size_t width = std::size_t(cols_) * sizeof(T);
      if (!rows.empty())
        must(cudaMemcpy2DAsync(rows.data(), width, buffer_.data() + offset_,
                               std::size_t(stride_) * sizeof(T), width, std::size_t(rows_),
                               cudaMemcpyDeviceToHost),
             "cudaMemcpy2D");
      must(cudaDeviceSynchronize(), "cudaMemcpy2D");
      for (const T x : rows) result.push_back(double(gpu::widen(x)));
      return result;
    }
    const std::vector<T> host = buffer_.values();
    bool touched = false;
    for (Index k = 0; k < Index(host.size()); ++k) {
      const Index j = (k - offset_) % stride_;
      if (k < offset_ || j >= cols_) {
        unsigned char bytes[sizeof(T)];
        std::memcpy(bytes, &host[std::size_t(k)], sizeof(T));
        for (unsigned char b : bytes) touched = touched || b != 0xFF;
      } else {
        result.push_back(double(gpu::widen(host[std::size_t(k)])));
      }
    }
    CHECK_MESSAGE(!touched, "memory outside the rows was written");
    return result;
  }

 private:
  Index rows_, cols_, stride_, offset_;
  Buffer<T> buffer_;
};

/// Rounds to T and back, what a value becomes when it is stored.
template <class T>
double stored(double x) {
  return double(gpu::widen(gpu::narrow<T>(gpu::Arithmetic<T>(x))));
}

/// rows x cols standard normals.
inline std::vector<double> gaussian(Index rows, Index cols, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<double> normal;
  std::vector<double> x(std::size_t(rows * cols));
  for (double& v : x) v = normal(engine);
  return x;
}

/// Unit rows, rounded to T.
template <class T>
std::vector<double> unit_rows(Index rows, Index cols, unsigned seed) {
  std::vector<double> x = gaussian(rows, cols, seed);
  for (Index i = 0; i < rows; ++i) {
    double sum = 0;
    for (Index j = 0; j < cols; ++j)
      sum += x[std::size_t(i * cols + j)] * x[std::size_t(i * cols + j)];
    for (Index j = 0; j < cols; ++j) {
      double& v = x[std::size_t(i * cols + j)];
      v = stored<T>(v / std::sqrt(sum));
    }
  }
  return x;
}

/// Unit rows at a cosine of about 0.3 to x's, as a trained model has its pairs; rounded to float.
inline std::vector<double> rows_near(const std::vector<double>& x, Index rows, Index cols,
                                     unsigned seed) {
  std::vector<double> y = gaussian(rows, cols, seed);
  for (Index i = 0; i < rows; ++i) {
    double size = 0;
    for (Index k = 0; k < cols; ++k) {
      double& v = y[std::size_t(i * cols + k)];
      v = 0.3 * x[std::size_t(i * cols + k)] + 0.954 * v / std::sqrt(double(cols));
      size += v * v;
    }
    for (Index k = 0; k < cols; ++k)
      y[std::size_t(i * cols + k)] = stored<float>(y[std::size_t(i * cols + k)] / std::sqrt(size));
  }
  return y;
}

}  // namespace spheremix::gpu_test
