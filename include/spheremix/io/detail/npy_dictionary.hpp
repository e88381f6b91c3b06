// What the header of an .npy file says, and the reader of its text: a Python dictionary such as
//   {'descr': '<f4', 'fortran_order': False, 'shape': (1870, 256), }
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "spheremix/core/constants.hpp"
#include "spheremix/io/error.hpp"

namespace spheremix::io {

/// Number types of a file: half, float and double.
enum class Dtype { f2, f4, f8 };

inline Index size_of(Dtype dtype) { return dtype == Dtype::f2 ? 2 : dtype == Dtype::f4 ? 4 : 8; }
inline const char* name_of(Dtype dtype) {
  return dtype == Dtype::f2 ? "f2" : dtype == Dtype::f4 ? "f4" : "f8";
}

/// What a header says.
struct NpyHeader {
  Dtype dtype = Dtype::f4;
  bool big_endian = false;
  bool fortran_order = false;
  std::vector<Index> shape;  ///< one or two numbers
  Index data_offset = 0;     ///< bytes before the first number

  Index rows() const { return shape[0]; }
  Index cols() const { return shape.size() == 2 ? shape[1] : 1; }
};

namespace detail {

inline std::string shown(const std::vector<Index>& shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i)
    text += std::to_string(shape[i]) + (i + 1 < shape.size() ? ", " : shape.size() == 1 ? "," : "");
  return text + ")";
}

/// Bytes of a file in quotes, unprintable ones as \xNN, 40 at most.
inline std::string quoted(std::string_view bytes) {
  constexpr const char* digits = "0123456789abcdef";
  std::string text = "\"";
  for (const char c : bytes.substr(0, 40)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 32 && byte < 127)
      text += c;
    else
      text += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
  }
  return text + (bytes.size() > 40 ? "...\"" : "\"");
}

/// Reads the text of a header, a Python dictionary with exactly three keys in any order.
class NpyDictionary {
 public:
  NpyDictionary(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  void read_into(NpyHeader& header) {
    bool descr = false, order = false, shape = false;
    take('{');
    while (!accept('}')) {
      const std::string_view key = string();
      take(':');
      if (key == "descr" && !descr)
        descr = true, read_descr(header);
      else if (key == "fortran_order" && !order)
        order = true, header.fortran_order = boolean();
      else if (key == "shape" && !shape)
        shape = true, header.shape = tuple();
      else
        fail(file_, "the header has the key ", quoted(key),
             " where 'descr', 'fortran_order' and 'shape' are expected once each");
      if (!accept(',')) {
        take('}');
        break;
      }
    }
    skip_space();
    if (at_ != text_.size()) wrong("the end of the header");
    if (!(descr && order && shape))
      fail(file_, "the header lacks ",
           !descr   ? "'descr'"
           : !order ? "'fortran_order'"
                    : "'shape'",
           ": ", quoted(text_));
  }

 private:
  [[noreturn]] void wrong(const char* expected) const {
    fail(file_, "the header has ", quoted(text_.substr(at_)), " at byte ", at_,
         " of its text where ", expected, " is expected");
  }

  void skip_space() {
    while (at_ < text_.size() &&
           std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos)
      ++at_;
  }

  bool accept(char c) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void take(char c) {
    const char expected[] = {'\'', c, '\'', '\0'};
    if (!accept(c)) wrong(expected);
  }

  std::string_view string() {
    skip_space();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    if (quote != '\'' && quote != '"') wrong("a string");
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) wrong("a closed string");
    const std::string_view inside = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return inside;
  }

  bool boolean() {
    skip_space();
    for (const std::string_view word : {"False", "True"}) {
      if (text_.substr(at_, word.size()) == word) {
        at_ += word.size();
        return word == "True";
      }
    }
    wrong("True or False");
  }

  std::vector<Index> tuple() {
    std::vector<Index> numbers;
    take('(');
    while (!accept(')')) {
      if (numbers.size() == 32) wrong("at most 32 dimensions");  // NumPy's own limit
      numbers.push_back(number());
      if (!accept(',')) {
        if (numbers.size() == 1) wrong("',' (a tuple of one number needs it)");
        take(')');
        break;
      }
    }
    return numbers;
  }

  Index number() {
    skip_space();
    const std::size_t first = at_;
    std::uint64_t value = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      const auto digit = std::uint64_t(text_[at_] - '0');
      if (value > (std::uint64_t(INT64_MAX) - digit) / 10)
        fail(file_, "the shape has a number beyond 2^63 - 1: ", quoted(text_.substr(first)));
      value = 10 * value + digit;
    }
    if (at_ == first || (text_[first] == '0' && at_ > first + 1)) wrong("a whole number");
    return Index(value);
  }

  void read_descr(NpyHeader& header) {
    skip_space();
    if (at_ < text_.size() && text_[at_] == '[')
      fail(file_, "holds a structured array; one plain number type is expected (f2, f4 or f8)");
    const std::string_view d = string();
    const std::string_view type = d.empty() ? d : d.substr(1);
    const char order = d.empty() ? '\0' : d[0];
    if (type == "f2")
      header.dtype = Dtype::f2;
    else if (type == "f4")
      header.dtype = Dtype::f4;
    else if (type == "f8")
      header.dtype = Dtype::f8;
    else if (!type.empty() && type[0] == 'O')
      fail(file_, "holds Python objects (dtype ", quoted(d),
           "), which are never loaded; save numbers as f2, f4 or f8");
    else if (!type.empty() && (type[0] == 'i' || type[0] == 'u' || type[0] == 'b'))
      fail(file_, "holds whole numbers (dtype ", quoted(d),
           "); embeddings are real: save them with .astype('f4') or another of f2, f4, f8");
    else
      fail(file_, "has the dtype ", quoted(d), " where f2, f4 or f8 is expected");
    if (order != '<' && order != '>')
      fail(file_, "has the dtype ", quoted(d), " whose byte order is not given by '<' or '>'");
    header.big_endian = order == '>';
  }

  std::string_view text_;
  const std::string& file_;
  std::size_t at_ = 0;
};

}  // namespace detail
}  // namespace spheremix::io
