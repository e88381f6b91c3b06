// Labels of rows in device memory, of any type, kept exactly.
#pragma once

#include <concepts>
#include <cstdint>

#include "spheremix/core/exact_number.hpp"
#include "spheremix/gpu/core/toolkit.cuh"

namespace spheremix::gpu {

/// Labels in device memory, one a row: doubles, floats, or integers of 8 to 64 bits, compared as
/// integers. One that is not finite makes a loss and its gradient NaN.
class Labels {
 public:
  Labels(const double* labels) : from_(labels), kind_(kDouble) {}
  Labels(const float* labels) : from_(labels), kind_(kFloat) {}
  template <std::integral I>
  requires(!std::is_same_v<I, bool>) Labels(const I* labels)
      : from_(labels),
        kind_(sizeof(I) == 1   ? (std::is_signed_v<I> ? kInt8 : kUnsigned8)
              : sizeof(I) == 2 ? (std::is_signed_v<I> ? kInt16 : kUnsigned16)
              : sizeof(I) == 4 ? (std::is_signed_v<I> ? kInt32 : kUnsigned32)
                               : (std::is_signed_v<I> ? kInt64 : kUnsigned64)) {}

  explicit operator bool() const { return from_ != nullptr; }
  /// eps of their type, 0 for integers.
  SPHEREMIX_HD double resolution() const {
    return kind_ == kDouble  ? core::epsilon<double>
           : kind_ == kFloat ? double(core::epsilon<float>)
                             : 0;
  }
  __device__ core::ExactNumber operator[](Index i) const {
    switch (kind_) {
      case kDouble:
        return read<double>(i);
      case kFloat:
        return read<float>(i);
      case kInt8:
        return read<std::int8_t>(i);
      case kInt16:
        return read<std::int16_t>(i);
      case kInt32:
        return read<std::int32_t>(i);
      case kInt64:
        return read<std::int64_t>(i);
      case kUnsigned8:
        return read<std::uint8_t>(i);
      case kUnsigned16:
        return read<std::uint16_t>(i);
      case kUnsigned32:
        return read<std::uint32_t>(i);
      default:
        return read<std::uint64_t>(i);
    }
  }

 private:
  template <class L>
  __device__ core::ExactNumber read(Index i) const {
    return core::exact_number(static_cast<const L*>(from_)[i]);
  }

  enum Kind {
    kDouble,
    kFloat,
    kInt8,
    kInt16,
    kInt32,
    kInt64,
    kUnsigned8,
    kUnsigned16,
    kUnsigned32,
    kUnsigned64
  };
  const void* from_;
  Kind kind_;
};

/// Labels, exactly.
struct LabelsKernel {
  static constexpr unsigned kThreads = 256, kResident = 8;
  static constexpr std::size_t kShared = 0;
  Labels from;
  Index n;
  core::ExactNumber* to;
  __device__ void operator()() const {
    const Index i = Index(blockIdx.x) * kThreads + threadIdx.x;
    if (i < n) to[i] = from[i];
  }
};

}  // namespace spheremix::gpu
