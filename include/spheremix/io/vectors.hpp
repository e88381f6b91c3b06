// Vector files of the nearest-neighbour benchmarks, mapped: .fvecs and .fbin.
//
//   .fvecs  a row:  int32 d, then d float32                 rows one after another, all of one d
//   .fbin           uint32 N, uint32 d, then N d float32    row after row
//
//   io::FvecsFile file("base.fvecs");  file.rows<float>(first, count)      FbinFile: the same
//
// Little-endian. Numbers are converted as by NpyFile. Memory of the map is given back after each
// read.
//
// Errors  io::Error: a length that does not fit the header, a row whose d differs (found when that
//         row is read), d = 0. std::invalid_argument: a range of rows outside the file.
// [Jégou, Douze, Schmid 2011, corpus-texmex.irisa.fr; big-ann-benchmarks.com]
#pragma once

#include <cstdint>
#include <cstring>
#include <string>

#include "spheremix/io/detail/npy_read.hpp"

namespace spheremix::io {

namespace detail {

inline Index little_endian_32(const unsigned char* bytes) {
  return Index(bytes[0]) | Index(bytes[1]) << 8 | Index(bytes[2]) << 16 | Index(bytes[3]) << 24;
}

/// One row of float32 at `from`.
template <class T>
void read_float_row(const unsigned char* from, core::MatrixView<T> to, Index i) {
  read_numbers<T, std::uint32_t>(from, 4, std::endian::native == std::endian::big, to.row(i), 1,
                                 to.cols);
}

/// What the two formats share: rows of `stride` bytes whose numbers start `lead` bytes into them.
class VectorFile {
 public:
  const std::string& path() const { return path_; }
  Dtype dtype() const { return Dtype::f4; }
  Index rows() const { return rows_; }
  Index cols() const { return cols_; }

  /// Rows [first, first + count) as T.
  template <class T>
  RowMatrix<T> rows(Index first, Index count) const {
    RowMatrix<T> out;
    rows(first, count, out);
    return out;
  }

  /// The same into `out`, a matrix or block of float or double.
  template <class Out>
  void rows(Index first, Index count, Out&& out) const {
    core::expects(first >= 0 && count >= 0 && first <= rows_ && count <= rows_ - first, "rows",
                  "rows ", first, " + ", count, " of ", path_, ", which has ", rows_);
    core::OutputRows<std::remove_reference_t<Out>> target("rows", "out", out, count, cols_);
    for (Index i = 0; i < count; ++i) {
      const unsigned char* row = map_.data() + offset_ + (first + i) * stride_;
      if (lead_ > 0 && little_endian_32(row) != cols_)
        fail(path_, "row ", first + i, " has ", little_endian_32(row), " numbers where row 0 has ",
             cols_);
      read_float_row(row + lead_, target.view(), i);
    }
    map_.release(offset_ + first * stride_, count * stride_);
    target.commit();
  }

 protected:
  explicit VectorFile(const FilePath& path) : path_(shown_path(path)), map_(path) {}

  void lay_out(Index offset, Index lead, Index rows, Index cols) {
    offset_ = offset, lead_ = lead, rows_ = rows, cols_ = cols, stride_ = lead + 4 * cols;
  }

  std::string path_;
  MappedFile map_;

 private:
  Index offset_ = 0, lead_ = 0, stride_ = 0, rows_ = 0, cols_ = 0;
};

}  // namespace detail

/// An .fvecs file; the constructor reads the first row's length only.
class FvecsFile : public detail::VectorFile {
 public:
  explicit FvecsFile(const FilePath& path) : VectorFile(path) {
    const Index size = map_.size();
    if (size == 0) return;  // no rows
    if (size < 4) detail::fail(path_, size, " bytes where the first row's length needs 4");
    const Index d = detail::little_endian_32(map_.data());
    if (d == 0 || d > 1000000)
      detail::fail(path_, "is not an .fvecs file: its first row would have ", d, " numbers");
    if (size % (4 + 4 * d) != 0)
      detail::fail(path_, size, " bytes, which are not whole rows of 4 + 4 * ", d, " bytes");
    lay_out(0, 4, size / (4 + 4 * d), d);
  }
};

/// An .fbin file; the constructor reads the header only.
class FbinFile : public detail::VectorFile {
 public:
  explicit FbinFile(const FilePath& path) : VectorFile(path) {
    const Index size = map_.size();
    if (size < 8) detail::fail(path_, size, " bytes where an .fbin header needs 8");
    const Index n = detail::little_endian_32(map_.data()),
                d = detail::little_endian_32(map_.data() + 4);
    if (d == 0 && n > 0) detail::fail(path_, "has ", n, " rows of no numbers");
    const bool fits = d == 0 || n <= (size - 8) / (4 * d);
    if (!fits || size - 8 != 4 * n * d)
      detail::fail(path_, size - 8, " bytes of data where ", n, " x ", d, " of f4 needs ", n, " * ",
                   4 * d);
    lay_out(8, 0, n, d);
  }
};

}  // namespace spheremix::io
