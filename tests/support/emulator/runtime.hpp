// The part of the CUDA runtime that the library and its tests call, on host memory: allocations
// start as NaN bytes, copies and launches are done when they return, and a launch is checked
// against the limits of sm_90.
#pragma once

#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <utility>

#include "block.hpp"

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorNoDevice = 100,
  cudaErrorNotReady = 600,
  cudaErrorNotSupported = 801,
  cudaErrorUnknown = 999
};
enum cudaMemcpyKind {
  cudaMemcpyHostToHost,
  cudaMemcpyHostToDevice,
  cudaMemcpyDeviceToHost,
  cudaMemcpyDeviceToDevice
};
enum cudaFuncAttribute {
  cudaFuncAttributeMaxDynamicSharedMemorySize = 8,
  cudaFuncAttributePreferredSharedMemoryCarveout = 9
};
enum { cudaSharedmemCarveoutMaxShared = 100 };
enum cudaDeviceAttr {
  cudaDevAttrMultiProcessorCount = 16,
  cudaDevAttrL2CacheSize = 38,
  cudaDevAttrComputeCapabilityMajor = 75,
  cudaDevAttrComputeCapabilityMinor = 76,
  cudaDevAttrMaxSharedMemoryPerBlockOptin = 97
};
struct CUstream_st;
using cudaStream_t = CUstream_st*;
struct cudaLaunchAttribute;
struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  std::size_t dynamicSmemBytes = 0;
  cudaStream_t stream = nullptr;
  cudaLaunchAttribute* attrs = nullptr;
  unsigned numAttrs = 0;
};

namespace emulator {

constexpr std::size_t shared_default = 48 << 10, shared_most = 227 << 10;
inline std::map<const void*, std::size_t> shared_granted;
inline std::map<const void*, int> carveout;  ///< percent of an SM's memory asked for
inline cudaError_t last_error = cudaSuccess;

/// CUDA remembers what it refuses until somebody asks.
inline cudaError_t remember(cudaError_t code) {
  if (code != cudaSuccess) last_error = code;
  return code;
}

/// The device that attributes describe; tests set it. Without one the runtime refuses to answer.
struct Device {
  bool present = true;
  int multiprocessors = 4, l2_bytes = 50 << 20, major = 9, minor = 0;
  bool built_for_sm_90a = true;  ///< what SPHEREMIX_SM_90A says of a build by nvcc
};
inline Device device;
inline cudaError_t stream_state = cudaSuccess;  ///< what a stream says of itself; tests set it
inline thread_local std::size_t host_stops = 0;  ///< allocations and waits of a thread
inline std::size_t launches = 0;  ///< kernels started since the program began

inline cudaError_t launch(const cudaLaunchConfig_t& config, const void* kernel,
                          const std::function<void()>& body) {
  const dim3 g = config.gridDim, b = config.blockDim;
  const std::size_t threads = std::size_t(b.x) * b.y * b.z;
  const auto granted = shared_granted.find(kernel);
  const std::size_t shared =
      granted == shared_granted.end() ? shared_default : std::max(shared_default, granted->second);
  if (threads == 0 || threads > 1024 || b.z > 64 || g.x == 0 || g.x > 2147483647u || g.y == 0 ||
      g.y > 65535u || g.z == 0 || g.z > 65535u || config.dynamicSmemBytes > shared)
    return cudaErrorInvalidConfiguration;
  ++launches;
  gridDim = g;
  blockDim = b;
  const std::size_t blocks = std::size_t(g.x) * g.y * g.z;
  for (std::size_t k = 0; k < blocks; ++k) {
    const std::size_t i = order == Order::forward ? k : blocks - 1 - k;
    blockIdx = {unsigned(i % g.x), unsigned(i / g.x % g.y), unsigned(i / g.x / g.y)};
    block.run(body, config.dynamicSmemBytes);
  }
  return cudaSuccess;
}

}  // namespace emulator

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  return emulator::remember(emulator::launch(*config, reinterpret_cast<const void*>(kernel),
                                             [&] { kernel(Parameters(arguments)...); }));
}

template <class Kernel>
cudaError_t cudaFuncSetAttribute(Kernel* kernel, cudaFuncAttribute what, int value) {
  const void* const of = reinterpret_cast<const void*>(kernel);
  if (what == cudaFuncAttributePreferredSharedMemoryCarveout) {
    if (value < -1 || value > 100) return emulator::remember(cudaErrorInvalidValue);
    emulator::carveout[of] = value;
    return cudaSuccess;
  }
  if (value < 0 || std::size_t(value) > emulator::shared_most)
    return emulator::remember(cudaErrorInvalidValue);
  emulator::shared_granted[of] = std::size_t(value);
  return cudaSuccess;
}

inline const char* cudaGetErrorString(cudaError_t e) {
  switch (e) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    default:
      return "operation not supported";
  }
}
inline cudaError_t cudaGetLastError() { return std::exchange(emulator::last_error, cudaSuccess); }
inline cudaError_t cudaPeekAtLastError() { return emulator::last_error; }
inline cudaError_t cudaGetDevice(int* device) {
  if (!emulator::device.present) return emulator::remember(cudaErrorNoDevice);
  return *device = 0, cudaSuccess;
}
inline cudaError_t cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  if (!emulator::device.present) return emulator::remember(cudaErrorNoDevice);
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      *value = emulator::device.multiprocessors;
      break;
    case cudaDevAttrL2CacheSize:
      *value = emulator::device.l2_bytes;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = emulator::device.major;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = emulator::device.minor;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = int(emulator::shared_most);
      break;
  }
  return cudaSuccess;
}

template <class T>
cudaError_t cudaMalloc(T** p, std::size_t bytes) {
  *p = nullptr;
  ++emulator::host_stops;
  if (bytes == 0) return cudaSuccess;
  if (bytes > std::size_t(1) << 40) return emulator::remember(cudaErrorMemoryAllocation);
  void* block = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (!block) return emulator::remember(cudaErrorMemoryAllocation);
  std::memset(block, 0xFF, bytes);
  *p = static_cast<T*>(block);
  return cudaSuccess;
}
inline cudaError_t cudaFree(void* p) { return std::free(p), cudaSuccess; }
inline cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind) {
  if (bytes) std::memmove(to, from, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes,
                                   cudaMemcpyKind kind, cudaStream_t = nullptr) {
  return cudaMemcpy(to, from, bytes, kind);
}
inline cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from,
                                     std::size_t from_pitch, std::size_t width, std::size_t height,
                                     cudaMemcpyKind kind, cudaStream_t = nullptr) {
  if (width > to_pitch || width > from_pitch) return cudaErrorInvalidValue;
  for (std::size_t i = 0; i < height; ++i)
    cudaMemcpy(static_cast<char*>(to) + i * to_pitch,
               static_cast<const char*>(from) + i * from_pitch, width, kind);
  return cudaSuccess;
}
inline cudaError_t cudaMemset(void* p, int byte, std::size_t bytes) {
  if (bytes) std::memset(p, byte, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* p, int byte, std::size_t bytes, cudaStream_t = nullptr) {
  return cudaMemset(p, byte, bytes);
}
inline cudaError_t cudaStreamQuery(cudaStream_t) { return emulator::stream_state; }
inline cudaError_t cudaStreamSynchronize(cudaStream_t) {
  return ++emulator::host_stops, cudaSuccess;
}
inline cudaError_t cudaDeviceSynchronize() { return ++emulator::host_stops, cudaSuccess; }
