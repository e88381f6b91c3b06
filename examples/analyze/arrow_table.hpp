// Columns of Parquet and Arrow IPC files, where the program was built with Arrow.
#pragma once

#include "array.hpp"

namespace analyze {

/// A column of lists of numbers, as rows. Without Arrow: a sentence that says how to convert.
Array arrow_array(const Bytes& bytes, const std::string& column, bool parquet);

/// A column as text, an empty cell for null.
std::vector<std::string> arrow_texts(const Bytes& bytes, const std::string& column, bool parquet);

bool built_with_arrow();

}  // namespace analyze
