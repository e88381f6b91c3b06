// A table of means over seeds with their standard errors: filled by runs, printed, as JSON, and
// compared row with row seed by seed.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "../demo/files.hpp"
#include "../demo/progress.hpp"
#include "spheremix/core/parallel.hpp"

namespace papers {

using demo::Estimate;
using demo::Json;

struct Column {
  std::string name;
  int digits = 3;
};

class Table {
 public:
  Table(std::string title, std::vector<Column> columns, std::vector<std::string> rows, int seeds)
      : title_(std::move(title)), columns_(std::move(columns)), seeds_(seeds) {
    for (std::string& name : rows)
      rows_.push_back({std::move(name), std::vector<std::vector<double>>(std::size_t(seeds))});
  }

  /// Runs there are to do.
  long runs() const { return long(rows_.size()) * seeds_; }

  /// Sets every row from body(row, seed) -> one number a column, several runs at a time. Steps
  /// `progress` once a run; a row's means are a line of it when its last seed is done.
  template <class Body>
  void fill(int threads, demo::Progress& progress, const Body& body) {
    std::vector<int> left(rows_.size(), seeds_);
    std::mutex mutex;
    spheremix::core::parallel_for(runs(), threads, [&](spheremix::Index task, int) {
      const auto r = std::size_t(task / seeds_), seed = std::size_t(task % seeds_);
      std::vector<double> values = body(r, int(seed));
      if (values.size() != columns_.size()) throw std::logic_error("a run misses columns");
      progress.step();
      const std::lock_guard lock(mutex);
      rows_[r].runs[seed] = std::move(values);
      if (--left[r] == 0)
        progress.line(title_ + ", " + rows_[r].name + ": " + columns_[0].name + " " +
                      demo::figure(at(rows_[r].name, columns_[0].name), columns_[0].digits));
    });
  }

  std::vector<double> values(const std::string& row, const std::string& column) const {
    std::size_t c = 0;
    while (c < columns_.size() && columns_[c].name != column) ++c;
    for (const Row& r : rows_)
      if (r.name == row && c < columns_.size()) {
        std::vector<double> all;
        for (const auto& run : r.runs) all.push_back(run[c]);
        return all;
      }
    throw std::logic_error("no row " + row + " with a column " + column);
  }
  Estimate at(const std::string& row, const std::string& column) const {
    return demo::estimate(values(row, column));
  }
  /// Of row - base, seed by seed.
  Estimate change(const std::string& row, const std::string& base,
                  const std::string& column) const {
    return demo::difference(values(row, column), values(base, column));
  }
  /// The same as text: "+.021 ± .004".
  std::string changed(const std::string& row, const std::string& base, const std::string& column,
                      int digits = 3) const {
    return demo::signed_figure(change(row, base, column), digits);
  }

  /// The same rows with some of the columns.
  Table part(std::string title, std::vector<Column> columns) const {
    Table some(std::move(title), std::move(columns), {}, seeds_);
    for (const Row& r : rows_) {
      some.rows_.push_back({r.name, std::vector<std::vector<double>>(std::size_t(seeds_))});
      for (const Column& c : some.columns_) {
        const std::vector<double> all = values(r.name, c.name);
        for (std::size_t seed = 0; seed < all.size(); ++seed)
          some.rows_.back().runs[seed].push_back(all[seed]);
      }
    }
    return some;
  }

  /// On standard output, as Markdown.
  void print() const {
    std::vector<std::vector<std::string>> cells(1, {title_});
    for (const Column& c : columns_) cells[0].push_back(c.name);
    for (const Row& r : rows_) {
      cells.push_back({r.name});
      for (const Column& c : columns_)
        cells.back().push_back(demo::figure(at(r.name, c.name), c.digits));
    }
    std::vector<std::size_t> width(columns_.size() + 1, 3);
    for (const auto& line : cells)
      for (std::size_t c = 0; c < line.size(); ++c) width[c] = std::max(width[c], length(line[c]));
    std::string text = "\n";
    for (std::size_t l = 0; l < cells.size(); ++l) {
      for (std::size_t c = 0; c < width.size(); ++c)
        text += "| " + cells[l][c] + std::string(width[c] - length(cells[l][c]), ' ') + " ";
      text += "|\n";
      if (l > 0) continue;
      for (const std::size_t w : width) text += "|" + std::string(w + 2, '-');
      text += "|\n";
    }
    std::printf("%s", text.c_str());
  }

  Json json() const {
    Json rows = Json::array();
    for (const Row& r : rows_) {
      Json row{{"row", r.name}};
      for (const Column& c : columns_) {
        row[c.name] = demo::to_json(at(r.name, c.name));
        row[c.name]["seeds"] = values(r.name, c.name);
      }
      rows.push_back(std::move(row));
    }
    return {{"title", title_}, {"rows", std::move(rows)}};
  }

 private:
  struct Row {
    std::string name;
    std::vector<std::vector<double>> runs;  ///< one a seed, one number a column
  };

  /// Characters of a UTF-8 text.
  static std::size_t length(const std::string& text) {
    return std::size_t(std::count_if(text.begin(), text.end(), [](char c) {
      return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    }));
  }

  std::string title_;
  std::vector<Column> columns_;
  int seeds_;
  std::vector<Row> rows_;
};

}  // namespace papers
