#include "tables.hpp"

#include <algorithm>
#include <filesystem>

#include "arrow_table.hpp"
#include "formats.hpp"

namespace analyze {

std::string read_file(const std::string& path) {
  const Bytes bytes(path);
  return bytes.text(0, bytes.size());
}

namespace {

/// UTF-16 with a byte order mark, as spreadsheets save "Unicode text", as UTF-8.
std::string from_utf16(const std::string& text, const std::string& path) {
  const bool big = text[0] == '\xfe';
  std::string out;
  std::uint32_t high = 0;
  if (text.size() % 2 != 0) wrong(path, ": is UTF-16 of an odd number of bytes");
  for (std::size_t i = 2; i < text.size(); i += 2) {
    const auto a = static_cast<unsigned char>(text[i]), b = static_cast<unsigned char>(text[i + 1]);
    std::uint32_t c = big ? a * 256u + b : b * 256u + a;
    const bool low = c >= 0xdc00 && c < 0xe000;
    if (low != (high != 0)) wrong(path, ": is damaged UTF-16 at byte ", i);
    if (low) c = 0x10000 + ((high - 0xd800) << 10) + (c - 0xdc00), high = 0;
    if (c >= 0xd800 && c < 0xdc00) {
      high = c;
      continue;
    }
    if (c < 0x80)
      out += char(c);
    else if (c < 0x800)
      (out += char(0xc0 | c >> 6)) += char(0x80 | (c & 63));
    else if (c < 0x10000)
      ((out += char(0xe0 | c >> 12)) += char(0x80 | (c >> 6 & 63))) += char(0x80 | (c & 63));
    else
      (((out += char(0xf0 | c >> 18)) += char(0x80 | (c >> 12 & 63))) +=
       char(0x80 | (c >> 6 & 63))) += char(0x80 | (c & 63));
  }
  return out;
}

/// The text of a table: UTF-8 without a byte order mark.
std::string read_text(const std::string& path) {
  std::string text = read_file(path);
  if (text.substr(0, 3) == "\xef\xbb\xbf") text.erase(0, 3);
  if (text.substr(0, 2) == "\xff\xfe" || text.substr(0, 2) == "\xfe\xff")
    text = from_utf16(text, path);
  Index line = 1;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    line += c == '\n';
    const int more = c < 0x80                ? 0
                     : c >= 0xc2 && c < 0xe0 ? 1
                     : (c & 0xf0) == 0xe0    ? 2
                     : c >= 0xf0 && c < 0xf5 ? 3
                                             : -1;
    bool valid = more >= 0 && i + std::size_t(std::max(more, 0)) < text.size();
    for (int k = 1; valid && k <= more; ++k) valid = (text[i + std::size_t(k)] & 0xc0) == 0x80;
    if (!valid) {
      char byte[8];
      std::snprintf(byte, sizeof byte, "%02x", c);
      wrong(path, ": line ", line, " holds the byte 0x", byte,
            ", which is no UTF-8: save it as UTF-8");
    }
    if (c == 0) wrong(path, ": line ", line, " holds a zero byte: is it a text?");
    i += std::size_t(more);
  }
  return text;
}

/// Records of cells. Cells end at `mark`, records at LF, CR LF or CR; a cell that starts with a quote
/// ends at the next single one, "" within it is one. mark 0: a line is a cell, quotes are letters.
/// [RFC 4180]
std::vector<std::vector<std::string>> records_of(const std::string& text, char mark) {
  std::vector<std::vector<std::string>> records;
  for (std::size_t i = 0; i < text.size();) {
    records.emplace_back(1);
    for (bool fresh = true; i < text.size();) {
      const char c = text[i++];
      std::string& cell = records.back().back();
      if (fresh && c == '"' && mark != 0) {
        for (; i < text.size(); ++i)
          if (text[i] != '"')
            cell += text[i];
          else if (i + 1 < text.size() && text[i + 1] == '"')
            cell += text[i++];
          else
            break;
        if (i < text.size()) ++i;
        fresh = false;
      } else if (mark != 0 && c == mark) {
        records.back().emplace_back();
        fresh = true;
      } else if (c == '\n' || c == '\r') {
        if (c == '\r' && i < text.size() && text[i] == '\n') ++i;
        break;
      } else {
        cell += c;
        fresh = false;
      }
    }
  }
  return records;
}

bool is_blank(const std::vector<std::string>& record) {
  return record.size() == 1 && record[0].empty();
}

/// One value a line of JSON: a string, a number, true or false; null and nothing are "".
std::vector<std::string> jsonl_column(const std::string& path, const std::string& column) {
  std::vector<std::string> values;
  Index line = 0;
  for (const auto& record : records_of(read_text(path), 0)) {
    ++line;
    if (is_blank(record)) continue;
    const Json object = Json::parse(record[0], nullptr, false);
    if (object.is_discarded() || (!column.empty() && !object.is_object()))
      wrong(path, ": line ", line, " is no JSON object");
    const Json value = column.empty() ? object : object.value(column, Json());
    if (value.is_structured())
      wrong(path, ": line ", line, ": \"", column,
            "\" is a list or an object where a word is expected");
    values.push_back(value.is_string() ? value.get<std::string>()
                     : value.is_null() ? std::string()
                                       : value.dump());
  }
  return values;
}

}  // namespace

namespace {

Spec column_spec(const std::string& spec) {
  Spec parts = split_spec(spec);
  std::error_code ignored;
  if (parts.what.empty() && parts.path != "-" && !std::filesystem::exists(parts.path, ignored))
    if (const std::size_t mark = spec.rfind(':'); mark != std::string::npos)  // another ending
      return {spec.substr(0, mark), spec.substr(mark + 1)};
  return parts;
}

}  // namespace

std::string column_file(const std::string& spec) { return column_spec(spec).path; }

std::vector<std::string> read_column(const std::string& spec, Index rows) {
  const auto [path, column] = column_spec(spec);
  std::vector<std::string> values;
  const auto counted_or_wrong = [&, &path = path] {
    if (Index(values.size()) != rows)
      wrong(path, ": has ", values.size(), " values for ", rows, " rows of embeddings");
    return values;
  };
  if (ends_with(path, ".parquet") || ends_with(path, ".arrow") || ends_with(path, ".feather")) {
    values = arrow_texts(Bytes(path), column, ends_with(path, ".parquet"));
    return counted_or_wrong();
  }
  if (ends_with(path, ".jsonl") || ends_with(path, ".ndjson")) {
    values = jsonl_column(path, column);
    return counted_or_wrong();
  }
  const std::string text = read_text(path);
  char mark = 0;
  if (ends_with(path, ".csv")) {
    const std::string head = text.substr(0, text.find_first_of("\r\n"));
    const auto count = [&](char c) { return std::count(head.begin(), head.end(), c); };
    mark = count(',') > 0 ? ',' : count(';') > 0 ? ';' : count('\t') > 0 ? '\t' : ',';
  } else if (!column.empty() || ends_with(path, ".tsv")) {
    mark = '\t';
  }
  auto records = records_of(text, mark);
  while (Index(records.size()) > rows && is_blank(records.back())) records.pop_back();
  if (column.empty()) {
    if (Index(records.size()) == rows + 1 && mark != 0) records.erase(records.begin());
    for (const auto& r : records) {
      if (r.size() > 1)
        wrong(path, ": line ", values.size() + 1, " has ", r.size(),
              " cells; name a column as FILE:COLUMN");
      values.push_back(r[0]);
    }
    return counted_or_wrong();
  }
  if (records.empty()) wrong(path, ": is empty");
  const auto& head = records[0];
  const auto found = std::find(head.begin(), head.end(), column);
  auto place = std::size_t(found - head.begin());
  std::size_t first = 1;
  if (found == head.end()) {
    const bool number = !column.empty() && column.size() < 6 &&
                        column.find_first_not_of("0123456789") == std::string::npos;
    if (!number || std::stoul(column) < 1 || std::stoul(column) > head.size()) {
      std::string names;
      for (const std::string& name : head) names += (names.empty() ? "" : ", ") + name;
      wrong(path, ": has no column \"", column, "\"; it has ", names.substr(0, 200));
    }
    place = std::stoul(column) - 1;
    first = Index(records.size()) == rows ? 0 : 1;
  }
  for (std::size_t i = first; i < records.size(); ++i) {
    if (records[i].size() <= place)
      wrong(path, ": line ", i + 1, " has ", records[i].size(), " cells and none for \"", column,
            "\"");
    values.push_back(records[i][place]);
  }
  return counted_or_wrong();
}

std::vector<std::string> read_lines(const std::string& path) {
  std::vector<std::string> lines;
  for (auto& record : records_of(read_text(path), 0)) lines.push_back(std::move(record[0]));
  return lines;
}

std::vector<Index> read_index(const std::string& path, Index owners, Index captions) {
  std::vector<Index> index;
  auto lines = records_of(read_text(path), 0);
  while (!lines.empty() && is_blank(lines.back())) lines.pop_back();
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string& line = lines[i][0];
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

Atlas read_atlas(const std::string& spec, Index rows) {
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
