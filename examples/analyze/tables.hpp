// What the user may give beside the embeddings: a column of a .tsv file, an index of captions, an
// atlas of pictures.
#pragma once

#include <fstream>
#include <iterator>

#include "common.hpp"

namespace analyze {

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) wrong(path, ": cannot be opened");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (file.bad()) wrong(path, ": cannot be read");
  return text;
}

/// The lines of a text, without line ends; the last one may lack its own.
inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    if (!lines.back().empty() && lines.back().back() == '\r') lines.back().pop_back();
    begin = end + 1;
  }
  return lines;
}

inline std::vector<std::string> split(const std::string& line, char mark) {
  std::vector<std::string> cells(1);
  for (const char c : line)
    if (c == mark)
      cells.emplace_back();
    else
      cells.back() += c;
  return cells;
}

/// "items.tsv:group": one value a row of the embeddings, the first line naming the columns. Without
/// ":column" every line is a value.
inline std::vector<std::string> read_column(const std::string& spec, Index rows) {
  const std::size_t mark = spec.rfind(':');
  const std::string path = spec.substr(0, mark);
  std::vector<std::string> lines = lines_of(read_file(path)), values;
  if (mark == std::string::npos) {
    values = lines;
  } else {
    const std::string column = spec.substr(mark + 1);
    if (lines.empty()) wrong(path, ": is empty");
    const std::vector<std::string> head = split(lines[0], '\t');
    const auto found = std::find(head.begin(), head.end(), column);
    if (found == head.end()) {
      std::string names;
      for (const std::string& name : head) names += (names.empty() ? "" : ", ") + name;
      wrong(path, ": has no column \"", column, "\"; it has ", names.substr(0, 200));
    }
    const auto place = std::size_t(found - head.begin());
    for (std::size_t i = 1; i < lines.size(); ++i) {
      const std::vector<std::string> cells = split(lines[i], '\t');
      if (cells.size() <= place)
        wrong(path, ": line ", i + 1, " has ", cells.size(), " cells and none for \"", column,
              "\"");
      values.push_back(cells[place]);
    }
  }
  if (Index(values.size()) != rows)
    wrong(path, ": has ", values.size(), " values for ", rows, " rows of embeddings");
  return values;
}

/// Line j: the row (from 0) of the first modality that row j of the second one belongs to.
inline std::vector<Index> read_index(const std::string& path, Index owners, Index captions) {
  std::vector<Index> index;
  const std::vector<std::string> lines = lines_of(read_file(path));
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string& line = lines[i];
    const bool digits = !line.empty() && line.size() < 18 &&
                        line.find_first_not_of("0123456789") == std::string::npos;
    if (!digits || std::stoll(line) >= owners)
      wrong(path, ": line ", i + 1, " is \"", line.substr(0, 40),
            "\" where a row number from 0 to ", owners - 1, " is expected");
    index.push_back(Index(std::stoll(line)));
  }
  if (Index(index.size()) != captions)
    wrong(path, ": has ", index.size(), " lines for ", captions, " rows of the second modality");
  return index;
}

/// An atlas of small pictures: cell i at column i % columns, row i / columns.
struct Atlas {
  std::string png;  ///< the file's bytes; empty where there is none
  Index cell_width = 0, cell_height = 0, columns = 0;
};

inline Atlas read_atlas(const std::string& spec, Index rows) {
  const std::size_t mark = spec.rfind(':');
  Atlas atlas;
  int width = 0, height = 0;
  char rest = 0;
  if (mark == std::string::npos ||
      std::sscanf(spec.c_str() + mark + 1, "%dx%d%c", &width, &height, &rest) != 2 || width < 1 ||
      height < 1)
    wrong(spec, ": pictures are given as FILE.png:WIDTHxHEIGHT, one cell's size in pixels");
  const std::string path = spec.substr(0, mark);
  atlas.png = read_file(path);
  if (atlas.png.size() < 24 || atlas.png.substr(0, 8) != "\x89PNG\r\n\x1a\n")
    wrong(path, ": is not a PNG file");
  const auto number = [&](std::size_t place) {
    Index n = 0;
    for (std::size_t i = 0; i < 4; ++i)
      n = 256 * n + static_cast<unsigned char>(atlas.png[place + i]);
    return n;
  };
  atlas.cell_width = width, atlas.cell_height = height, atlas.columns = number(16) / width;
  const Index cells = atlas.columns * (number(20) / height);
  if (cells < rows)
    wrong(path, ": has room for ", cells, " pictures and there are ", rows, " rows");
  return atlas;
}

}  // namespace analyze
