// One tensor of a .safetensors file.
//
//   8 bytes  N, little-endian         N bytes  JSON: {"name": {"dtype": "F16", "shape": [n, d],
//   "data_offsets": [begin, end]}, ...}       the numbers, little-endian, C order
//
// Read here: F16, BF16, F32, F64 and I8 of two dimensions. [huggingface.co/docs/safetensors]
#pragma once

#include "array.hpp"

namespace analyze {

namespace detail {

inline Layout tensor_layout(const Json& header, const std::string& wanted, const Bytes& bytes,
                            Index start) {
  std::string names, chosen = wanted;
  int count = 0;
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") continue;
    names += (count++ > 0 ? ", " : "") + name;
    if (wanted.empty()) chosen = name;
  }
  if (wanted.empty() && count != 1)
    wrong(bytes.path(), ": holds ", count, " tensors (", names.substr(0, 200),
          "); name one as FILE.safetensors:NAME");
  if (chosen == "__metadata__" || !header.contains(chosen))
    wrong(bytes.path(), ": has no tensor \"", chosen, "\"; it holds ", names.substr(0, 200));
  const Json& tensor = header[chosen];
  try {
    const std::string dtype = tensor.at("dtype").get<std::string>();
    const auto shape = tensor.at("shape").get<std::vector<Index>>();
    const auto range = tensor.at("data_offsets").get<std::vector<Index>>();
    Layout layout;
    const std::pair<const char*, Number> kinds[] = {{"F16", Number::f2},
                                                    {"BF16", Number::bf16},
                                                    {"F32", Number::f4},
                                                    {"F64", Number::f8},
                                                    {"I8", Number::i1}};
    bool known = false;
    for (const auto& [name, number] : kinds)
      if (dtype == name) layout.number = number, known = true;
    if (!known)
      wrong(bytes.path(), ": tensor \"", chosen, "\" is of ", dtype.substr(0, 40),
            " where F16, BF16, F32, F64 or I8 is expected");
    if (shape.size() == 1)
      wrong(bytes.path(), ": tensor \"", chosen, "\" is one row of ", shape[0],
            " numbers; save one embedding as x.reshape(1, -1)");
    if (shape.size() != 2 || range.size() != 2)
      wrong(bytes.path(), ": tensor \"", chosen, "\" has ", shape.size(),
            " dimensions where 2 (rows of embeddings) are expected");
    layout.rows = shape[0], layout.cols = shape[1], layout.start = start + range[0];
    const Index size = bytes.size() - start, item = bytes_of(layout.number);
    const bool sane = layout.rows >= 0 && layout.cols >= 0 && range[0] >= 0 &&
                      range[1] >= range[0] && range[1] <= size &&
                      (layout.cols == 0 || layout.rows <= size / layout.cols / item) &&
                      range[1] - range[0] == layout.rows * layout.cols * item;
    if (!sane)
      wrong(bytes.path(), ": tensor \"", chosen, "\" of ", layout.rows, " x ", layout.cols, " ",
            dtype, " does not fit its place in the file: cut off or damaged");
    return layout;
  } catch (const Json::exception&) {
    wrong(bytes.path(), ": the header of tensor \"", chosen, "\" is damaged");
  }
}

}  // namespace detail

/// `tensor` may be empty where the file holds one tensor only.
inline Array safetensors_array(const Bytes& bytes, const std::string& tensor) {
  const Index size = bytes.size();
  const std::uint64_t length = size >= 8 ? little_endian(bytes.read(0, 8).data(), 8) : 0;
  if (size < 8 || length > std::uint64_t(size - 8))
    wrong(bytes.path(), ": is not a safetensors file: ", size, " bytes where the header needs 8 + ",
          length);
  const std::string text = bytes.text(8, Index(length));
  const Json header = Json::parse(text, nullptr, false);
  if (!header.is_object()) wrong(bytes.path(), ": the safetensors header is not a JSON object");
  return {bytes, detail::tensor_layout(header, tensor, bytes, 8 + Index(length))};
}

}  // namespace analyze
