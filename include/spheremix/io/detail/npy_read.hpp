// Reading .npy files: the whole array, or rows of it through a memory map.
//
//   RowMatrix<float> X = io::load_npy<float>("image.npy");
//   io::NpyFile file("image.npy");
//   file.rows<float>(first, count)
//
// Numbers are converted to T: f2 -> float or double and f4 -> double exactly, f8 -> float by
// rounding to nearest. A finite number beyond T's range is an io::Error naming its place, not an
// infinity.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "spheremix/core/checks.hpp"
#include "spheremix/core/eigen.hpp"
#include "spheremix/io/detail/npy_header.hpp"
#include "spheremix/io/half.hpp"
#include "spheremix/io/mapped_file.hpp"

namespace spheremix::io {

namespace detail {

inline std::uint16_t swapped(std::uint16_t b) { return std::uint16_t(b << 8 | b >> 8); }
inline std::uint32_t swapped(std::uint32_t b) {
  return b << 24 | (b & 0xff00u) << 8 | ((b >> 8) & 0xff00u) | b >> 24;
}
inline std::uint64_t swapped(std::uint64_t b) {
  return std::uint64_t(swapped(std::uint32_t(b))) << 32 | swapped(std::uint32_t(b >> 32));
}

inline float value_of(std::uint16_t bits) { return half_value(bits); }
inline float value_of(std::uint32_t bits) { return std::bit_cast<float>(bits); }
inline double value_of(std::uint64_t bits) { return std::bit_cast<double>(bits); }

/// Smallest magnitude that rounds to infinity in float: 2^128 - 2^103.
inline constexpr double float_overflow = 0x1.ffffffp127;

/// n numbers, `from_step` bytes apart, into `to`, `to_step` elements apart. Returns the first one
/// that does not fit in T, or n.
template <class T, class Bits>
Index read_numbers(const unsigned char* from, Index from_step, bool swap, T* to, Index to_step,
                   Index n) {
  for (Index i = 0; i < n; ++i) {
    Bits bits;
    std::memcpy(&bits, from + i * from_step, sizeof bits);
    const auto value = value_of(swap ? swapped(bits) : bits);
    if constexpr (sizeof(value) > sizeof(T)) {
      if (std::fabs(value) >= float_overflow && !std::isinf(value)) return i;
    }
    to[i * to_step] = T(value);
  }
  return n;
}

/// Rows [first, first + to.rows) of an array at `data`. Throws io::Error for a number that T cannot
/// hold.
template <class T, class Bits>
void read_rows(const NpyHeader& header, const unsigned char* data, Index first,
               core::MatrixView<T> to, const std::string& file) {
  constexpr Index item = sizeof(Bits);
  const bool swap = header.big_endian != (std::endian::native == std::endian::big);
  const auto misfit = [&](Index row, Index col) {
    fail(file, "the number at row ", row, ", column ", col,
         " is beyond the range of f4; read it as f8");
  };
  if (!header.fortran_order || to.cols == 1) {
    for (Index i = 0; i < to.rows; ++i) {
      const unsigned char* from = data + (first + i) * to.cols * item;
      const Index done = read_numbers<T, Bits>(from, item, swap, to.row(i), 1, to.cols);
      if (done != to.cols) misfit(first + i, done);
    }
    return;
  }
  constexpr Index block =
      64;  // rows written together: their cache lines stay while the columns pass
  for (Index i = 0; i < to.rows; i += block) {
    const Index n = i + block <= to.rows ? block : to.rows - i;
    for (Index j = 0; j < to.cols; ++j) {
      const unsigned char* from = data + (j * header.rows() + first + i) * item;
      const Index done = read_numbers<T, Bits>(from, item, swap, to.row(i) + j, to.stride, n);
      if (done != n) misfit(first + i + done, j);
    }
  }
}

}  // namespace detail

/// An .npy file, mapped: the constructor reads the header only. Throws io::Error for anything that
/// is not a whole array of real numbers (npy_header.hpp). May be read by several threads at once.
class NpyFile {
 public:
  explicit NpyFile(const FilePath& path)
      : path_(shown_path(path)),
        map_(path),
        header_(parse_npy_header(map_.data(), map_.size(), path_)) {}

  const std::string& path() const { return path_; }
  const std::vector<Index>& shape() const {
    return header_.shape;
  }  ///< as in the file: one or two numbers
  Dtype dtype() const { return header_.dtype; }
  const NpyHeader& header() const { return header_; }
  Index rows() const { return header_.rows(); }
  Index cols() const { return header_.cols(); }  ///< 1 for a one-dimensional array

  /// Rows [first, first + count) as T. A range outside the file is std::invalid_argument.
  template <class T>
  RowMatrix<T> rows(Index first, Index count) const {
    RowMatrix<T> out;
    rows(first, count, out);
    return out;
  }

  /// The same into `out`, a matrix or block of float or double. Memory of the map is given back
  /// after use.
  template <class Out>
  void rows(Index first, Index count, Out&& out) const {
    using T = typename std::remove_reference_t<Out>::Scalar;
    static_assert(core::is_real<T>, "spheremix: .npy files are read as float or double");
    core::expects(first >= 0 && count >= 0 && first <= rows() && count <= rows() - first,
                  "NpyFile::rows", "rows ", first, " + ", count, " of ", path_, ", which has ",
                  rows());
    core::OutputRows<std::remove_reference_t<Out>> target("NpyFile::rows", "out", out, count,
                                                          cols());
    if (count == 0 || cols() == 0) return;
    const unsigned char* data = map_.data() + header_.data_offset;
    switch (header_.dtype) {
      case Dtype::f2:
        detail::read_rows<T, std::uint16_t>(header_, data, first, target.view(), path_);
        break;
      case Dtype::f4:
        detail::read_rows<T, std::uint32_t>(header_, data, first, target.view(), path_);
        break;
      case Dtype::f8:
        detail::read_rows<T, std::uint64_t>(header_, data, first, target.view(), path_);
        break;
    }
    const Index row_bytes = cols() * size_of(header_.dtype);
    if (header_.fortran_order)
      map_.release(header_.data_offset, rows() * row_bytes);
    else
      map_.release(header_.data_offset + first * row_bytes, count * row_bytes);
    target.commit();
  }

 private:
  std::string path_;
  MappedFile map_;
  NpyHeader header_;
};

/// The whole array as T. Throws io::Error.
template <class T>
[[nodiscard]] RowMatrix<T> load_npy(const FilePath& path) {
  const NpyFile file(path);
  return file.rows<T>(0, file.rows());
}

/// The same into `out`.
template <class Out>
void load_npy(const FilePath& path, Out&& out) {
  const NpyFile file(path);
  file.rows(0, file.rows(), out);
}

}  // namespace spheremix::io
