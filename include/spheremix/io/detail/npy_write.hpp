// Writing .npy files: version 1.0, little-endian, C order.
//
// The numbers go to a new file beside the target, which is renamed over it once complete: a reader
// sees the old file or the whole new one, and nothing is left behind when the disk is full or a
// number does not fit.
#pragma once

#include <bit>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "spheremix/core/eigen.hpp"
#include "spheremix/io/detail/npy_read.hpp"

namespace spheremix::io {

struct SaveNpyOptions {
  std::optional<Dtype> dtype = std::nullopt;  ///< default: f4 for float, f8 for double
};

namespace detail {

/// A file under a temporary name in the folder of `path`: becomes `path` by finish(), vanishes
/// otherwise.
class NewFile {
 public:
  explicit NewFile(const FilePath& path) : path_(path) {
    std::random_device random;
    for (int attempt = 0; file_ == nullptr && attempt < 100; ++attempt) {
      temporary_ = path;
      temporary_ += "." + std::to_string(random()) + ".partial";
      file_ = create_file(temporary_);
      if (file_ == nullptr && errno != EEXIST) break;
    }
    if (file_ == nullptr) not_written(std::strerror(errno));
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  ~NewFile() {
    if (file_ != nullptr) std::fclose(file_);
    if (!temporary_.empty()) remove_file(temporary_);
  }

  void write(const void* bytes, std::size_t count) {
    errno = 0;
    if (std::fwrite(bytes, 1, count, file_) != count) not_written(std::strerror(errno));
  }

  void finish() {
    errno = 0;
    if (std::fclose(std::exchange(file_, nullptr)) != 0) not_written(std::strerror(errno));
    const std::string error = replace_file(temporary_, path_);
    if (!error.empty()) fail(shown_path(path_), "cannot be replaced: ", error);
    temporary_.clear();
  }

 private:
  [[noreturn]] void not_written(const char* why) const {
    fail(shown_path(path_), "cannot be written: ", why);
  }

  const FilePath& path_;
  FilePath temporary_;
  std::FILE* file_ = nullptr;
};

/// Magic, length and text, padded with spaces so that the numbers start at a multiple of 64 bytes.
inline std::string npy_header_text(Dtype dtype, const std::vector<Index>& shape) {
  std::string text = std::string("{'descr': '<") + name_of(dtype) +
                     "', 'fortran_order': False, 'shape': " + shown(shape) + ", }";
  text.append(63 - (10 + text.size()) % 64, ' ');
  text += '\n';
  return std::string("\x93NUMPY\x01\x00", 8) + char(text.size() & 255) + char(text.size() >> 8) +
         text;
}

/// Little-endian bytes of `value` as `dtype` at `to`; false when a finite value would become
/// infinite.
inline bool put_number(double value, Dtype dtype, unsigned char* to) {
  std::uint64_t bits = 0;
  if (dtype == Dtype::f2) {
    if (std::fabs(value) >= 65520 && !std::isinf(value)) return false;
    bits = half_bits(value);
  } else if (dtype == Dtype::f4) {
    if (std::fabs(value) >= float_overflow && !std::isinf(value)) return false;
    bits = std::bit_cast<std::uint32_t>(float(value));
  } else {
    bits = std::bit_cast<std::uint64_t>(value);
  }
  for (Index i = 0; i < size_of(dtype); ++i) to[i] = static_cast<unsigned char>(bits >> (8 * i));
  return true;
}

template <class T>
void save_npy(const FilePath& path, core::MatrixView<const T> x, const std::vector<Index>& shape,
              Dtype dtype) {
  const auto item = std::size_t(size_of(dtype));
  NewFile file(path);
  const std::string header = npy_header_text(dtype, shape);
  file.write(header.data(), header.size());
  const std::size_t row_bytes = std::size_t(x.rows > 0 ? x.cols : 0) * item;
  const auto buffer = std::make_unique<unsigned char[]>(row_bytes);
  if (row_bytes == 0) return file.finish();
  for (Index i = 0; i < x.rows; ++i) {
    for (Index j = 0; j < x.cols; ++j) {
      if (!put_number(double(x(i, j)), dtype, buffer.get() + std::size_t(j) * item))
        fail(shown_path(path), "not written: ", x(i, j), " at row ", i, ", column ", j,
             " is beyond the range of ", name_of(dtype));
    }
    file.write(buffer.get(), row_bytes);
  }
  file.finish();
}

}  // namespace detail

/// Writes X to `path` as f4 (float) or f8 (double), or as options.dtype with rounding to nearest
/// even; a finite number beyond its range is an error. A type with one column (Vector<T>) becomes a
/// one-dimensional array, which load_npy reads as a column again. An existing file is replaced.
/// Throws io::Error; then nothing changed.
template <class X>
void save_npy(const FilePath& path, const Eigen::MatrixBase<X>& x,
              const SaveNpyOptions& options = {}) {
  using T = typename X::Scalar;
  static_assert(core::is_real<T>, "spheremix: .npy files are written from float or double");
  const core::InputRows<T> rows(x);
  const Dtype dtype = options.dtype.value_or(sizeof(T) == 4 ? Dtype::f4 : Dtype::f8);
  std::vector<Index> shape = {x.rows()};
  if constexpr (X::ColsAtCompileTime != 1) shape.push_back(x.cols());
  detail::save_npy<T>(path, rows.view(), shape, dtype);
}

}  // namespace spheremix::io
