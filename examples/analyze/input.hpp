// A batch of embeddings on disk: one file or many shards in natural order, read by ranges of rows
// through memory maps. Formats by ending: .npy (f2, f4, f8), .fvecs, .fbin, .safetensors[:tensor].
#pragma once

#include <glob.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <memory>

#include "common.hpp"
#include "safetensors.hpp"
#include "spheremix/io/npy.hpp"
#include "spheremix/io/vectors.hpp"

namespace analyze {

/// One file.
class Part {
 public:
  virtual ~Part() = default;
  virtual void read(Index first, Index count, Eigen::Map<RowMatrix<float>> out) const = 0;
  virtual void read(Index first, Index count, Eigen::Map<RowMatrix<double>> out) const = 0;

  std::string path, dtype;
  Index rows = 0, cols = 0;
};

template <class File>
class PartOf : public Part {
 public:
  explicit PartOf(File file) : file_(std::move(file)) {
    rows = file_.rows();
    cols = file_.cols();
  }
  void read(Index first, Index count, Eigen::Map<RowMatrix<float>> out) const override {
    file_.rows(first, count, out);
  }
  void read(Index first, Index count, Eigen::Map<RowMatrix<double>> out) const override {
    file_.rows(first, count, out);
  }

 private:
  File file_;
};

inline std::unique_ptr<Part> open_part(const std::string& spec) {
  namespace io = spheremix::io;
  const auto ends = [](const std::string& text, const char* with) {
    const std::string tail = with;
    return text.size() >= tail.size() && text.substr(text.size() - tail.size()) == tail;
  };
  std::string path = spec, tensor;
  if (const auto mark = spec.find(".safetensors:"); mark != std::string::npos)
    path = spec.substr(0, mark + 12), tensor = spec.substr(mark + 13);
  std::unique_ptr<Part> part;
  if (ends(path, ".safetensors")) {
    SafetensorsFile file(path, tensor);
    const std::string dtype = file.dtype();
    part = std::make_unique<PartOf<SafetensorsFile>>(std::move(file));
    part->dtype = dtype;
  } else if (ends(path, ".fvecs")) {
    part = std::make_unique<PartOf<io::FvecsFile>>(io::FvecsFile(path));
    part->dtype = "f4";
  } else if (ends(path, ".fbin")) {
    part = std::make_unique<PartOf<io::FbinFile>>(io::FbinFile(path));
    part->dtype = "f4";
  } else if (ends(path, ".npy")) {
    io::NpyFile file(path);
    const std::string dtype = name_of(file.dtype());
    part = std::make_unique<PartOf<io::NpyFile>>(std::move(file));
    part->dtype = dtype;
  } else {
    wrong(path, ": the name ends with none of .npy, .fvecs, .fbin and .safetensors");
  }
  part->path = spec;
  return part;
}

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
  if (pattern.find_first_of("*?[") == std::string::npos || std::filesystem::exists(pattern))
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

/// All rows of one modality.
class Source {
 public:
  Source(std::string name, const std::string& pattern) : name_(std::move(name)), pattern_(pattern) {
    for (const std::string& path : shards(pattern)) {
      parts_.push_back(open_part(path));
      const Part& part = *parts_.back();
      if (part.cols != parts_.front()->cols)
        wrong(part.path, ": rows of ", part.cols, " numbers where ", parts_.front()->path, " has ",
              parts_.front()->cols);
      if (dtype_.find(part.dtype) == std::string::npos)
        dtype_ += (dtype_.empty() ? "" : ", ") + part.dtype;
      first_.push_back(rows_);
      rows_ += part.rows;
    }
    if (rows_ == 0 || cols() == 0) wrong(pattern, ": has no rows");
  }

  const std::string& name() const { return name_; }
  const std::string& pattern() const { return pattern_; }
  const std::string& dtype() const { return dtype_; }
  Index rows() const { return kept_ >= 0 ? kept_ : rows_; }
  Index cols() const { return parts_.front()->cols; }
  std::vector<std::string> files() const {
    std::vector<std::string> all;
    for (const auto& part : parts_) all.push_back(part->path);
    return all;
  }

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
  /// The rows `ids`, which ascend.
  template <class T>
  RowMatrix<T> gather(const std::vector<Index>& ids) const {
    RowMatrix<T> out(Index(ids.size()), cols());
    for (std::size_t i = 0; i < ids.size();) {
      std::size_t end = i + 1;
      while (end < ids.size() && ids[end] == ids[end - 1] + 1 && end - i < 65536) ++end;
      read(ids[i], Index(end - i), out.data() + Index(i) * cols());
      stop_if_asked();
      i = end;
    }
    return out;
  }

 private:
  template <class T>
  void read_file_rows(Index first, Index count, T* out) const {
    while (count > 0) {
      const auto p =
          std::size_t(std::upper_bound(first_.begin(), first_.end(), first) - first_.begin() - 1);
      const Index inside = first - first_[p], here = std::min(count, parts_[p]->rows - inside);
      if (here > 0) parts_[p]->read(inside, here, Eigen::Map<RowMatrix<T>>(out, here, cols()));
      first += here, count -= here, out += here * cols();
    }
  }

  std::string name_, pattern_, dtype_;
  std::vector<std::unique_ptr<Part>> parts_;
  std::vector<Index> first_;
  Index rows_ = 0, kept_ = -1, step_ = 1, offset_ = 0;
};

}  // namespace analyze
