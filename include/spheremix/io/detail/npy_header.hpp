// The header of a NumPy .npy file.
//
//   "\x93NUMPY"  major  minor  length (2 bytes in version 1, 4 in versions 2 and 3, little-endian)
//   length bytes of text: {'descr': '<f4', 'fortran_order': False, 'shape': (1870, 256), }
//   the numbers, to the end of the file
//
// Read here: f2, f4 and f8 in either byte order, C or Fortran order, one or two dimensions. A
// one-dimensional array of N numbers is a column: N x 1. Refused with a sentence: everything else,
// and any file whose length is not exactly what its header says. Every length is checked against
// the file before it is used.
// [NumPy, "A simple file format for NumPy arrays", NEP 1 and numpy.lib.format]
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "spheremix/io/detail/npy_dictionary.hpp"

namespace spheremix::io {

/// The header of a whole file of `size` bytes at `bytes`, checked against that size. Throws
/// io::Error.
inline NpyHeader parse_npy_header(const unsigned char* bytes, Index size, const std::string& file) {
  using detail::fail;
  const std::string_view all(reinterpret_cast<const char*>(bytes), std::size_t(size));
  constexpr std::string_view magic = "\x93NUMPY";
  if (all.substr(0, magic.size()) != magic)
    fail(file, "is not an .npy file: its ", size, " bytes start with ",
         detail::quoted(all.substr(0, 6)), " where ", detail::quoted(magic), " is expected");
  if (size < 10) fail(file, size, " bytes where the start of an .npy header needs 10");
  const int version = bytes[6], revision = bytes[7];
  if (version < 1 || version > 3 || revision != 0)
    fail(file, "has .npy version ", version, ".", revision, " where 1.0, 2.0 or 3.0 is expected");
  const Index start = version == 1 ? 10 : 12;
  if (size < start)
    fail(file, size, " bytes where the start of a version ", version, " header needs ", start);
  Index length = 0;
  for (Index i = start - 1; i >= 8; --i) length = 256 * length + bytes[i];
  if (length > size - start)
    fail(file, size, " bytes where the header needs ", start, " + ", length,
         ": the file is cut off or damaged");

  NpyHeader header;
  header.data_offset = start + length;
  detail::NpyDictionary(all.substr(std::size_t(start), std::size_t(length)), file)
      .read_into(header);
  if (header.shape.empty() || header.shape.size() > 2)
    fail(file, "has ", header.shape.size(), " dimensions, shape ", detail::shown(header.shape),
         ", where 2 (rows of embeddings) or 1 (a column) are expected");

  const Index rows = header.rows(), cols = header.cols(), item = size_of(header.dtype);
  const Index found = size - header.data_offset;
  const bool none = rows == 0 || cols == 0;
  if (!none && rows > INT64_MAX / cols / item)
    fail(file, "the shape ", detail::shown(header.shape), " of ", name_of(header.dtype),
         " needs more than 2^63 bytes where the file has ", found);
  const Index needed = none ? 0 : rows * cols * item;
  if (found != needed)
    fail(file, found, " bytes of data where shape ", detail::shown(header.shape), " of ",
         name_of(header.dtype), " needs ", needed, ": ",
         found < needed ? "the file is cut off or damaged" : "there are bytes left over");
  return header;
}

}  // namespace spheremix::io
