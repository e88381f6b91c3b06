// The bundled pairs: features of pictures and of their names, row by row, and the names themselves.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "head.hpp"
#include "spheremix/io/npy.hpp"

namespace demo {

struct Pairs {
  Rows image, text;               ///< one row a pair
  std::vector<std::string> name;  ///< English name of each pair

  Index size() const { return image.rows(); }
};

/// Column `wanted` of a tab-separated file with a header line.
inline std::vector<std::string> read_column(const std::filesystem::path& path,
                                            const std::string& wanted) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  const auto field = [](const std::string& line, std::size_t column) {
    std::size_t begin = 0;
    for (; column > 0 && begin != std::string::npos; --column) {
      begin = line.find('\t', begin);
      if (begin != std::string::npos) ++begin;
    }
    if (begin == std::string::npos) return std::string();
    return line.substr(begin, line.find('\t', begin) - begin);
  };
  std::string line;
  std::getline(file, line);
  if (!line.empty() && line.back() == '\r') line.pop_back();
  std::size_t column = 0;
  const auto columns = std::size_t(std::count(line.begin(), line.end(), '\t')) + 1;
  while (column < columns && field(line, column) != wanted) ++column;
  if (column == columns) throw std::runtime_error(path.string() + " has no column " + wanted);
  std::vector<std::string> values;
  while (std::getline(file, line)) values.push_back(field(line, column));
  return values;
}

/// Reads the folder examples/data, with the texts of one of its files. Throws with one sentence that
/// names the file.
inline Pairs load_pairs(const std::filesystem::path& folder,
                        const std::string& texts = "text_feat_256_f16.npy") {
  if (!std::filesystem::is_directory(folder))
    throw std::runtime_error("no folder " + folder.string());
  Pairs pairs{spheremix::io::load_npy<float>((folder / "image_feat_256_f16.npy").string()),
              spheremix::io::load_npy<float>((folder / texts).string()),
              read_column(folder / "items.tsv", "name_en")};
  if (pairs.text.rows() != pairs.image.rows() || Index(pairs.name.size()) != pairs.image.rows())
    throw std::runtime_error(folder.string() + " holds " + std::to_string(pairs.image.rows()) +
                             " pictures, " + std::to_string(pairs.text.rows()) + " texts and " +
                             std::to_string(pairs.name.size()) +
                             " names, which should be one number");
  return pairs;
}

/// The chosen rows of X, in that order.
inline void gather(const Rows& x, const Index* rows, Index count, Rows& out) {
  out.resize(count, x.cols());
  for (Index i = 0; i < count; ++i) out.row(i) = x.row(rows[i]);
}

}  // namespace demo
