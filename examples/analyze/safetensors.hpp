// One tensor of a .safetensors file, mapped.
//
//   8 bytes  N, little-endian         N bytes  JSON: {"name": {"dtype": "F16", "shape": [n, d],
//   "data_offsets": [begin, end]}, ...}       the numbers, little-endian, C order
//
// Read here: F16, BF16, F32 and F64 of one or two dimensions. [huggingface.co/docs/safetensors]
#pragma once

#include <bit>
#include <cstring>

#include "common.hpp"
#include "spheremix/io/half.hpp"
#include "spheremix/io/mapped_file.hpp"

namespace analyze {

class SafetensorsFile {
 public:
  /// `tensor` may be empty where the file holds one tensor only.
  SafetensorsFile(const std::string& path, const std::string& tensor) : path_(path), map_(path) {
    const Index size = map_.size();
    Index length = 0;
    for (int i = 7; size >= 8 && i >= 0; --i)
      length = length > (Index(1) << 50) ? length : 256 * length + map_.data()[i];
    if (size < 8 || length > size - 8)
      wrong(path, ": is not a safetensors file: ", size, " bytes where the header needs 8 + ",
            length);
    const Json header = Json::parse(map_.data() + 8, map_.data() + 8 + length, nullptr, false);
    if (!header.is_object()) wrong(path, ": the safetensors header is not a JSON object");
    find(header, tensor, size - 8 - length);
    data_ = map_.data() + 8 + length + begin_;
    offset_ = 8 + length + begin_;
  }

  Index rows() const { return rows_; }
  Index cols() const { return cols_; }
  const std::string& dtype() const { return dtype_; }

  template <class T>
  void rows(Index first, Index count, Eigen::Map<RowMatrix<T>> out) const {
    const unsigned char* from = data_ + first * cols_ * item_;
    for (Index i = 0; i < count; ++i)
      for (Index k = 0; k < cols_; ++k, from += item_) {
        const double value = number(from);
        out(i, k) = T(value);
        if (sizeof(T) == 4 && std::isfinite(value) && !std::isfinite(out(i, k)))
          wrong(path_, ": the number at row ", first + i, ", column ", k,
                " is beyond the range of single precision; use --precision double");
      }
    map_.release(offset_ + first * cols_ * item_, count * cols_ * item_);
  }

 private:
  void find(const Json& header, const std::string& wanted, Index data_size) {
    std::string names, chosen = wanted;
    int count = 0;
    for (const auto& [name, value] : header.items()) {
      if (name == "__metadata__") continue;
      names += (count++ > 0 ? ", " : "") + name;
      if (wanted.empty()) chosen = name;
    }
    if (wanted.empty() && count != 1)
      wrong(path_, ": holds ", count, " tensors (", names.substr(0, 200),
            "); name one as FILE.safetensors:NAME");
    if (!header.contains(chosen))
      wrong(path_, ": has no tensor \"", chosen, "\"; it holds ", names.substr(0, 200));
    const Json& tensor = header[chosen];
    try {
      dtype_ = tensor.at("dtype").get<std::string>();
      const auto shape = tensor.at("shape").get<std::vector<Index>>();
      const auto range = tensor.at("data_offsets").get<std::vector<Index>>();
      if (shape.empty() || shape.size() > 2 || range.size() != 2)
        wrong(path_, ": tensor \"", chosen, "\" has ", shape.size(),
              " dimensions where 2 (rows of embeddings) are expected");
      rows_ = shape[0];
      cols_ = shape.size() == 2 ? shape[1] : 1;
      begin_ = range[0];
      item_ = dtype_ == "F64" ? 8 : dtype_ == "F32" ? 4 : 2;
      if (dtype_ != "F64" && dtype_ != "F32" && dtype_ != "F16" && dtype_ != "BF16")
        wrong(path_, ": tensor \"", chosen, "\" has the dtype ", dtype_,
              " where F16, BF16, F32 or F64 is expected");
      const bool sane = rows_ >= 0 && cols_ >= 0 && begin_ >= 0 && range[1] >= begin_ &&
                        range[1] <= data_size &&
                        (cols_ == 0 || rows_ <= data_size / cols_ / item_) &&
                        range[1] - begin_ == rows_ * cols_ * item_;
      if (!sane)
        wrong(path_, ": tensor \"", chosen, "\" of ", rows_, " x ", cols_, " ", dtype_,
              " does not fit its place in the file: cut off or damaged");
    } catch (const Json::exception&) {
      wrong(path_, ": the header of tensor \"", chosen, "\" is damaged");
    }
  }

  double number(const unsigned char* from) const {
    std::uint64_t bits = 0;
    for (Index i = item_ - 1; i >= 0; --i) bits = bits << 8 | from[i];
    if (item_ == 8) return std::bit_cast<double>(bits);
    if (item_ == 4) return double(std::bit_cast<float>(std::uint32_t(bits)));
    if (dtype_ == "F16") return double(spheremix::io::half_value(std::uint16_t(bits)));
    return double(std::bit_cast<float>(std::uint32_t(bits << 16)));
  }

  std::string path_, dtype_;
  spheremix::io::MappedFile map_;
  const unsigned char* data_ = nullptr;
  Index rows_ = 0, cols_ = 0, begin_ = 0, offset_ = 0, item_ = 0;
};

}  // namespace analyze
