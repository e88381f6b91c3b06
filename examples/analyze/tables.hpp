// What the user may give beside the embeddings: a column of a table, an index of captions, an atlas
// of pictures.
#pragma once

#include "common.hpp"

namespace analyze {

/// "items.tsv:group": one value a row of the embeddings. Cells of .tsv and .txt files end at tabs, of
/// .csv files at commas (semicolons where the first line has those alone); .jsonl and, with Arrow,
/// .parquet and .arrow too. A column is named by the first line, or numbered from 1, with a first line
/// of names or without; without ":column" every line is a value. An empty value is no value.
std::vector<std::string> read_column(const std::string& spec, Index rows);

/// The file of such a name.
std::string column_file(const std::string& spec);

/// Line j: the row (from 0) of the first modality that row j of the second one belongs to.
std::vector<Index> read_index(const std::string& path, Index owners, Index captions);

/// Its lines, whatever ends them: UTF-8 or UTF-16.
std::vector<std::string> read_lines(const std::string& path);

/// The bytes of a file.
std::string read_file(const std::string& path);

/// An atlas of small pictures: cell i at column i % columns, row i / columns.
struct Atlas {
  std::string png;  ///< the file's bytes; empty where there is none
  Index cell_width = 0, cell_height = 0, columns = 0;
};

Atlas read_atlas(const std::string& spec, Index rows);

}  // namespace analyze
