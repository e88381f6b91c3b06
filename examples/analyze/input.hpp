// A batch of embeddings: one file or many shards in natural order, read by ranges of rows.
// formats.hpp says which files.
#pragma once

#include <glob.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "formats.hpp"

namespace analyze {

/// img_2 before img_10: runs of digits compare as numbers.
inline bool natural_less(const std::string& a, const std::string& b) {
  std::size_t i = 0, j = 0;
  const auto digit = [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; };
  while (i < a.size() && j < b.size()) {
    if (!digit(a[i]) || !digit(b[j])) {
      if (a[i] != b[j]) return a[i] < b[j];
      ++i, ++j;
      continue;
    }
    while (i < a.size() && a[i] == '0') ++i;
    while (j < b.size() && b[j] == '0') ++j;
    std::size_t m = i, n = j;
    while (m < a.size() && digit(a[m])) ++m;
    while (n < b.size() && digit(b[n])) ++n;
    if (m - i != n - j) return m - i < n - j;
    const int order = a.compare(i, m - i, b, j, n - j);
    if (order != 0) return order < 0;
    i = m, j = n;
  }
  return a.size() - i != b.size() - j ? a.size() - i < b.size() - j : a < b;
}

/// The files that a path with *, ? or [ stands for; a path without them is itself.
inline std::vector<std::string> shards(const std::string& pattern) {
  std::error_code ignored;
  if (pattern.find_first_of("*?[") == std::string::npos ||
      std::filesystem::exists(pattern, ignored))
    return {pattern};
  glob_t found{};
  const int status = ::glob(pattern.c_str(), 0, nullptr, &found);
  std::vector<std::string> paths;
  for (std::size_t i = 0; status == 0 && i < found.gl_pathc; ++i)
    paths.push_back(found.gl_pathv[i]);
  ::globfree(&found);
  if (paths.empty()) wrong(pattern, ": no file matches");
  std::sort(paths.begin(), paths.end(), natural_less);
  return paths;
}

/// The files of "img_*.npz:emb".
inline std::vector<std::string> files_of(const std::string& spec) {
  const std::string path = split_spec(spec).path;
  return path == "-" ? std::vector<std::string>() : shards(path);
}

/// All rows of one modality.
class Source {
 public:
  Source(std::string name, const std::string& pattern, bool row_numbers = false)
      : name_(std::move(name)), pattern_(pattern) {
    const Spec spec = split_spec(pattern);
    for (const std::string& path : shards(spec.path))
      add(row_numbers ? open_row_numbers({path, spec.what}) : open_array({path, spec.what}), path);
    if (rows_ == 0 || cols() == 0) wrong(pattern, ": has no rows");
  }
  /// Rows in memory, copied.
  template <class T>
  Source(std::string name, const Eigen::Ref<const RowMatrix<T>>& rows)
      : name_(std::move(name)), pattern_(name_) {
    ByteVector memory(sizeof(T) * at(rows.size()));
    const RowMatrix<T> whole = rows;
    std::memcpy(memory.data(), whole.data(), memory.size());
    Layout layout{.number = sizeof(T) == 4 ? Number::f4 : Number::f8,
                  .big_endian = std::endian::native == std::endian::big,
                  .rows = rows.rows(),
                  .cols = rows.cols()};
    add(Array(Bytes(name_, std::move(memory)), layout), name_);
    if (rows_ == 0 || cols() == 0) wrong(pattern_, ": has no rows");
  }

  const std::string& name() const { return name_; }
  const std::string& pattern() const { return pattern_; }
  const std::string& dtype() const { return dtype_; }
  Index rows() const { return kept_ >= 0 ? kept_ : rows_; }
  Index cols() const { return parts_.front().layout().cols; }
  const std::vector<std::string>& files() const { return files_; }
  const std::vector<Array>& parts() const { return parts_; }

  /// Keeps rows offset, offset + step, offset + 2 step, ... of the file.
  void keep_every(Index step, Index offset) {
    step_ = step, offset_ = offset;
    kept_ = (rows_ - offset + step - 1) / step;
  }

  /// Rows [first, first + count) into the same number of rows at `out`.
  template <class T>
  void read(Index first, Index count, T* out) const {
    if (step_ == 1 || count == 0) return read_file_rows(first, count, out);
    const Index begin = first * step_ + offset_, span = (count - 1) * step_ + 1;
    RowMatrix<T> all(span, cols());
    read_file_rows(begin, span, all.data());
    for (Index i = 0; i < count; ++i)
      std::copy_n(all.data() + i * step_ * cols(), cols(), out + i * cols());
  }
  /// The rows `ids`, which ascend. What lies by columns is read in wide spans.
  template <class T>
  RowMatrix<T> gather(const std::vector<Index>& ids) const {
    const Index gap = by_columns_ ? 2048 : 1, most = by_columns_ ? 4096 : 65536;
    RowMatrix<T> out(Index(ids.size()), cols()), span;
    for (std::size_t i = 0; i < ids.size();) {
      std::size_t end = i + 1;
      while (end < ids.size() && ids[end] - ids[end - 1] <= gap && ids[end] - ids[i] < most) ++end;
      const Index count = ids[end - 1] - ids[i] + 1;
      if (count == Index(end - i)) {
        read(ids[i], count, out.data() + Index(i) * cols());
      } else {
        span.resize(count, cols());
        read(ids[i], count, span.data());
        for (std::size_t j = i; j < end; ++j) out.row(Index(j)) = span.row(ids[j] - ids[i]);
      }
      stop_if_asked();
      i = end;
    }
    return out;
  }

 private:
  void add(Array part, const std::string& path) {
    const Layout& l = part.layout();
    if (!parts_.empty() && l.cols != cols())
      wrong(path, ": rows of ", l.cols, " numbers where ", files_.front(), " has ", cols());
    const std::string dtype = name_of(l.number);
    if (dtype_.find(dtype) == std::string::npos) dtype_ += (dtype_.empty() ? "" : ", ") + dtype;
    by_columns_ = by_columns_ || l.by_columns;
    first_.push_back(rows_);
    rows_ += l.rows;
    files_.push_back(path);
    parts_.push_back(std::move(part));
  }

  template <class T>
  void read_file_rows(Index first, Index count, T* out) const {
    while (count > 0) {
      const auto p =
          std::size_t(std::upper_bound(first_.begin(), first_.end(), first) - first_.begin() - 1);
      const Index inside = first - first_[p],
                  here = std::min(count, parts_[p].layout().rows - inside);
      if (here > 0) parts_[p].read(inside, here, out);
      first += here, count -= here, out += here * cols();
    }
  }

  std::string name_, pattern_, dtype_;
  std::vector<Array> parts_;
  std::vector<std::string> files_;
  std::vector<Index> first_;
  bool by_columns_ = false;
  Index rows_ = 0, kept_ = -1, step_ = 1, offset_ = 0;
};

}  // namespace analyze
