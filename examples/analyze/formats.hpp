// From the name of an input to its table of numbers.
//
//   FILE.npy[:T][:bits|:numbers]   FILE.npz[:ARRAY][:T]...   FILE.safetensors[:TENSOR]   FILE.fvecs
//   FILE.fbin[:T|:swapped]   FILE.parquet:COLUMN   FILE.arrow:COLUMN (with Arrow)   - (standard input)
//
// T: the embeddings are the columns. swapped: the header's numbers of rows and columns are the
// wrong way round. What has no ending (a pipe) is told by its first bytes.
#pragma once

#include "array.hpp"

namespace analyze {

/// "FILE.npz:emb:T": FILE.npz, "emb:T".
struct Spec {
  std::string path, what;
};

Spec split_spec(const std::string& spec);

/// Whatever its case; `tail` is in small letters.
bool ends_with(const std::string& text, const std::string& tail);

Array open_array(const Spec& spec);

/// A table of row numbers, i8 or i4, in an .npy or .npz file.
Array open_row_numbers(const Spec& spec);

}  // namespace analyze
