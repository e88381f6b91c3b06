// A table of numbers within some bytes: where it starts, what kind of numbers, which way they lie.
//
//   bf16   the upper half of a float                      i1   whole numbers from -128 to 127
//   bits   eight dimensions a byte, the first in the highest bit: 1 stands for +1, 0 for -1
//   i4, i8 row numbers, never embeddings (those beyond 2^53 are no row's, whatever they round to)
#pragma once

#include <bit>
#include <cmath>

#include "bytes.hpp"
#include "spheremix/io/half.hpp"

namespace analyze {

enum class Number { f2, bf16, f4, f8, i1, bits, i4, i8 };

inline const char* name_of(Number n) {
  static const char* const names[] = {"f2", "bf16", "f4", "f8", "i1", "bits", "i4", "i8"};
  return names[int(n)];
}
inline Index bytes_of(Number n) {
  return n == Number::f8 || n == Number::i8     ? 8
         : n == Number::f4 || n == Number::i4   ? 4
         : n == Number::f2 || n == Number::bf16 ? 2
                                                : 1;
}

struct Layout {
  Number number = Number::f4;
  bool big_endian = false, by_columns = false;
  bool signed_bits = false;             ///< bits stored less 128, as a signed byte
  Index rows = 0, cols = 0, start = 0;  ///< start: bytes before the first row
  Index lead = 0;                       ///< bytes before each row that hold `cols`

  /// Bytes of a row; rows lie one after another unless by_columns.
  Index row_bytes() const {
    return lead + (number == Number::bits ? cols / 8 : cols * bytes_of(number));
  }
};

class Array {
 public:
  Array(Bytes bytes, const Layout& layout) : bytes_(std::move(bytes)), layout_(layout) {}

  const Layout& layout() const { return layout_; }
  const Bytes& bytes() const { return bytes_; }

  /// Rows [first, first + count) into `out`, row after row. Throws for a finite number that T cannot
  /// hold.
  template <class T>
  void read(Index first, Index count, T* out) const {
    thread_local ByteVector buffer;
    if (count == 0) return;
    if (layout_.by_columns) {
      const Index item = bytes_of(layout_.number);
      buffer.resize(at(count * item));
      for (Index k = 0; k < layout_.cols; ++k) {
        bytes_.read(layout_.start + (k * layout_.rows + first) * item, count * item, buffer.data());
        convert(buffer.data(), count, out + k, layout_.cols,
                [&](Index i) { misfit(first + i, k); });
      }
      return;
    }
    const Index step = layout_.row_bytes(), most = std::max<Index>(1, (Index(1) << 20) / step);
    if (count > most) {
      for (Index begin = 0; begin < count; begin += most)
        read(first + begin, std::min(most, count - begin), out + begin * layout_.cols);
      return;
    }
    buffer.resize(at(count * step));
    bytes_.read(layout_.start + first * step, count * step, buffer.data());
    for (Index i = 0; i < count; ++i) {
      const unsigned char* row = buffer.data() + i * step;
      if (layout_.lead > 0 && Index(little_endian(row, 4)) != layout_.cols)
        wrong(bytes_.path(), ": row ", first + i, " has ", little_endian(row, 4),
              " numbers where row 0 has ", layout_.cols);
      convert(row + layout_.lead, layout_.cols, out + i * layout_.cols, 1,
              [&](Index k) { misfit(first + i, k); });
    }
  }

 private:
  [[noreturn]] void misfit(Index row, Index col) const {
    wrong(bytes_.path(), ": the number at row ", row, ", column ", col,
          " is beyond the range of f4; use --precision double");
  }

  template <class T, class Bad>
  void convert(const unsigned char* from, Index n, T* to, Index step, const Bad& bad) const {
    const bool swap = layout_.big_endian != (std::endian::native == std::endian::big);
    switch (layout_.number) {
      case Number::f2:
        for (Index i = 0; i < n; ++i)
          to[i * step] = T(spheremix::io::half_value(load<std::uint16_t>(from, i, swap)));
        return;
      case Number::bf16:
        for (Index i = 0; i < n; ++i)
          to[i * step] =
              T(std::bit_cast<float>(std::uint32_t(load<std::uint16_t>(from, i, swap)) << 16));
        return;
      case Number::f4:
        for (Index i = 0; i < n; ++i)
          to[i * step] = T(std::bit_cast<float>(load<std::uint32_t>(from, i, swap)));
        return;
      case Number::f8:
        for (Index i = 0; i < n; ++i) {
          const double value = std::bit_cast<double>(load<std::uint64_t>(from, i, swap));
          to[i * step] = T(value);
          if (sizeof(T) == 4 && std::isfinite(value) && !std::isfinite(to[i * step])) bad(i);
        }
        return;
      case Number::i1:
        for (Index i = 0; i < n; ++i) to[i * step] = T(std::bit_cast<signed char>(from[i]));
        return;
      case Number::i4:
        for (Index i = 0; i < n; ++i)
          to[i * step] = T(std::bit_cast<std::int32_t>(load<std::uint32_t>(from, i, swap)));
        return;
      case Number::i8:
        for (Index i = 0; i < n; ++i)
          to[i * step] = T(std::bit_cast<std::int64_t>(load<std::uint64_t>(from, i, swap)));
        return;
      case Number::bits:
        for (Index i = 0; i < n; ++i) {
          const unsigned byte = layout_.signed_bits ? from[i / 8] ^ 0x80u : from[i / 8];
          to[i * step] = (byte >> (7 - i % 8) & 1) != 0 ? T(1) : T(-1);
        }
        return;
    }
  }

  template <class Word>
  static Word load(const unsigned char* from, Index i, bool swap) {
    Word word;
    std::memcpy(&word, from + i * Index(sizeof word), sizeof word);
    if (!swap) return word;
    Word turned = 0;
    for (std::size_t b = 0; b < sizeof word; ++b)
      turned = Word(turned << 8 | (word >> (8 * b) & 0xff));
    return turned;
  }

  Bytes bytes_;
  Layout layout_;
};

}  // namespace analyze
