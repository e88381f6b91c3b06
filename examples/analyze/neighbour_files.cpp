#include "neighbour_files.hpp"

#include <algorithm>
#include <filesystem>

#include "file_names.hpp"
#include "spheremix/io/detail/npy_write.hpp"

namespace analyze {
namespace {

const Source& set_of(const NeighbourOption& option, const std::vector<Source>& sources) {
  std::string names;
  for (const Source& s : sources) {
    if (s.name() == option.name) return s;
    names += (names.empty() ? "" : ", ") + s.name();
  }
  wrong("--neighbours ", option.name, ": there is no such set among ", names);
}

Source opened(const NeighbourOption& option, bool ids) try {
  return {option.name, ids ? option.ids : option.cosines, ids};
} catch (const std::runtime_error& error) {
  wrong("--neighbours ", option.name, ": ", error.what());
}

std::string little_endian_bytes(std::uint64_t bits, int count) {
  std::string bytes;
  for (int b = 0; b < count; ++b) bytes += char(bits >> (8 * b) & 0xff);
  return bytes;
}

/// An .npy file of N x k numbers of `dtype`, of which number(row, place) gives the bytes.
template <class Number>
std::string npy_file(const char* dtype, const RowLists& m, std::size_t bytes, const Number& number,
                     const std::string& none) {
  const std::size_t rows = m.hashes.size(), k = at(m.k);
  std::string text =
      spheremix::io::detail::npy_header_text(spheremix::io::Dtype::f8, {Index(rows), m.k});
  text.replace(text.find("f8"), 2, dtype);
  text.reserve(text.size() + rows * k * bytes);
  std::size_t next = 0;  // of the analysed rows, which ascend
  for (std::size_t row = 0; row < rows; ++row) {
    const bool analysed = next < m.asked.size() && m.asked[next] == Index(row);
    for (std::size_t p = 0; p < k; ++p)
      text += analysed && m.nearest[next * k + p] >= 0 ? number(next * k + p) : none;
    next += analysed;
  }
  return text;
}

}  // namespace

NeighbourOption parse_neighbours(const std::string& text) {
  const std::size_t mark = text.find('=');
  std::size_t comma = text.find(',', mark == std::string::npos ? 0 : mark);
  if (mark == std::string::npos || mark == 0 || comma == std::string::npos || comma == mark + 1 ||
      comma + 1 == text.size())
    wrong("--neighbours ", text, ": NAME=IDS.npy,COSINES.npy is expected");
  // Of several commas, the one between two files.
  std::error_code ignored;
  const auto there = [&](const std::string& spec) {
    return std::filesystem::exists(split_spec(spec).path, ignored);
  };
  for (std::size_t c = comma; c != std::string::npos; c = text.find(',', c + 1))
    if (there(text.substr(mark + 1, c - mark - 1)) && there(text.substr(c + 1))) {
      comma = c;
      break;
    }
  return {text.substr(0, mark), text.substr(mark + 1, comma - mark - 1), text.substr(comma + 1)};
}

NeighbourFiles::NeighbourFiles(const NeighbourOption& option, const std::vector<Source>& sources)
    : ids_(opened(option, true)), cosines_(opened(option, false)) {
  const Source& set = set_of(option, sources);
  if (ids_.rows() != set.rows())
    refuse(ids_, counted(ids_.rows(), "row"), " where ", set.pattern(), " has ",
           with_commas(set.rows()));
  if (ids_.rows() != cosines_.rows() || ids_.cols() != cosines_.cols())
    refuse(cosines_, "is ", cosines_.rows(), " x ", cosines_.cols(), " where ", ids_.pattern(),
           " is ", ids_.rows(), " x ", ids_.cols());
}

std::vector<NeighbourFiles> open_neighbours(const std::vector<std::string>& options,
                                            const std::vector<Source>& sources) {
  std::vector<NeighbourFiles> all;
  for (const std::string& text : options) {
    const NeighbourOption option = parse_neighbours(text);
    set_of(option, sources);
    for (const NeighbourFiles& other : all)
      if (other.name() == option.name) wrong("--neighbours ", option.name, ": is given twice");
    all.emplace_back(option, sources);
  }
  return all;
}

std::vector<std::string> neighbour_file_names(const std::vector<std::string>& modalities) {
  std::vector<std::string> names;
  for (const std::string& m : modalities)
    for (const char* what : {"_ids.npy", "_cosines.npy"}) names.push_back(as_file(m) + what);
  return names;
}

std::vector<std::pair<std::string, std::string>> neighbour_files(const Extras& extras) {
  std::vector<std::pair<std::string, std::string>> files;
  for (const RowLists& m : extras.modalities) {
    files.emplace_back(
        as_file(m.modality) + "_ids.npy",
        npy_file(
            "i8", m, 8,
            [&](std::size_t e) { return little_endian_bytes(std::uint64_t(m.nearest[e]), 8); },
            little_endian_bytes(~std::uint64_t(0), 8)));
    const auto float_bytes = [](float x) {
      return little_endian_bytes(std::bit_cast<std::uint32_t>(x), 4);
    };
    files.emplace_back(as_file(m.modality) + "_cosines.npy",
                       npy_file(
                           "f4", m, 4, [&](std::size_t e) { return float_bytes(m.cosines[e]); },
                           float_bytes(std::numeric_limits<float>::lowest())));  // as faiss has it
  }
  return files;
}

}  // namespace analyze
