// Reads the recorded reference values (sphere.txt, metrics.txt, losses.txt, torch.txt) and rebuilds
// the inputs that they name by a recipe: rows of integers over one correctly rounded square root,
// the same bits as recipe.py.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "spheremix/core/eigen.hpp"
#include "support/source_dir.hpp"

namespace reference {

using spheremix::Index;
using spheremix::RowMatrix;

/// One recorded case: what was computed, on what, and the results.
struct Case {
  std::string function, precision, title;
  std::map<std::string, std::string> fields;
  std::map<std::string, std::vector<double>> values;

  bool has(const std::string& name) const { return fields.count(name) || values.count(name); }
  const std::string& text(const std::string& name) const { return fields.at(name); }
  double number(const std::string& name) const {
    return std::strtod(fields.at(name).c_str(), nullptr);
  }
  Index count(const std::string& name) const { return Index(number(name)); }
  const std::vector<double>& array(const std::string& name) const { return values.at(name); }
  std::uint64_t seed() const {
    return std::uint64_t(number(fields.count("sample") ? "sample" : "seed"));
  }
};

inline std::vector<Case> load(const std::string& file) {
  const std::string path = spheremix::test::source_dir() + "/tests/reference/" + file;
  std::ifstream in(path);
  if (!in) throw std::runtime_error("cannot read " + path);
  std::vector<Case> cases;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string name, word;
    words >> name;
    if (name == "case") {
      Case& c = cases.emplace_back();
      words >> c.function >> c.precision;
      while (words >> word) {
        const auto equals = word.find('=');
        std::string value = word.substr(equals + 1);
        c.fields[word.substr(0, equals)] = value;
        if (value.find("0x") != std::string::npos) {  // for people: a few decimals
          char text[32];
          std::snprintf(text, sizeof text, "%.4g", std::strtod(value.c_str(), nullptr));
          value = text;
        }
        c.title += word.substr(0, equals + 1) + value + " ";
      }
    } else if (!name.empty()) {
      std::size_t n = 0;
      words >> n;
      std::vector<double>& v = cases.back().values[name];
      while (words >> word) v.push_back(std::strtod(word.c_str(), nullptr));
      if (v.size() != n) throw std::runtime_error(path + ": " + name + " is short");
    }
  }
  return cases;
}

// ---- recipe.py in C++ ----

/// The finaliser of SplitMix64.
inline std::uint64_t mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

inline std::uint64_t key(std::uint64_t seed, std::uint64_t matrix, Index i, Index j) {
  return mix(mix(mix(mix(seed) ^ matrix) ^ std::uint64_t(i)) ^ std::uint64_t(j));
}

inline std::int64_t odd(std::uint64_t seed, std::uint64_t matrix, Index i, Index j) {
  return 2 * (std::int64_t(key(seed, matrix, i, j) >> 53) - 1024) + 1;
}

/// Entry (i, j) of X (side 0) or Y (side 1) before normalisation.
inline std::int64_t integer(const std::string& kind, std::uint64_t seed, int side, Index i,
                            Index j) {
  const std::int64_t a = odd(seed, 0, i, j), b = odd(seed, 1, i, j);
  if (kind == "random") return side == 0 ? a : b;
  if (kind == "cone")
    return side == 0 ? 2 * a + 2 * odd(seed, 2, 0, j) : a + b + 2 * odd(seed, 3, 0, j);
  if (kind == "near") return 1024 * a + (side ? b : 0);
  if (kind == "close") return 16384 * a + (side ? b : 0);
  if (kind == "far") return side ? -1024 * a + b : 1024 * a;
  if (kind == "edges") return i == 0 ? a : integer(i == 1 ? "far" : "cone", seed, side, i, j);
  if (kind == "bunch") return 16384 * odd(seed, 2, 0, j) + (side ? b : a);
  if (kind == "line") return 1;
  throw std::runtime_error("no recipe " + kind);
}

template <class T>
RowMatrix<T> rows(const std::string& kind, std::uint64_t seed, int side, Index n, Index d) {
  RowMatrix<T> out(n, d);
  for (Index i = 0; i < n; ++i) {
    std::int64_t sum = 0;
    for (Index j = 0; j < d; ++j) {
      const std::int64_t k = integer(kind, seed, side, i, j);
      sum += k * k;
    }
    const double root = std::sqrt(double(sum));
    for (Index j = 0; j < d; ++j) out(i, j) = T(double(integer(kind, seed, side, i, j)) / root);
  }
  return out;
}

/// X (side 0) or Y (side 1) of a case with a batch: stored, or by recipe.
template <class T>
RowMatrix<T> batch(const Case& c, int side) {
  const Index n = c.count("n"), d = c.count("d");
  if (c.has("kind")) return rows<T>(c.text("kind"), std::uint64_t(c.number("seed")), side, n, d);
  const std::vector<double>& stored = c.array(side == 0 ? "X" : "Y");
  RowMatrix<T> out(n, d);
  for (Index k = 0; k < n * d; ++k) out.data()[k] = T(stored[std::size_t(k)]);
  return out;
}

template <class T>
RowMatrix<T> cotangent(std::uint64_t seed, Index n, Index d) {
  RowMatrix<T> out(n, d);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < d; ++j) out(i, j) = T(double(odd(seed, 7, i, j)) / 1024);
  return out;
}

constexpr Index full = 24;  // matrices up to this many entries are stored whole
constexpr Index samples =
    8;  // of larger ones this many entries, then one sum with random signs for each row

/// What generate.py stored of a matrix. Sums are taken in long double: they add no error of their
/// own.
template <class Derived>
std::vector<long double> signature(const Eigen::MatrixBase<Derived>& matrix, std::uint64_t seed) {
  const Index n = matrix.rows(), d = matrix.cols();
  std::vector<long double> out;
  if (n * d <= full) {
    for (Index i = 0; i < n; ++i)
      for (Index j = 0; j < d; ++j) out.push_back(static_cast<long double>(matrix(i, j)));
    return out;
  }
  for (Index k = 0; k < samples; ++k)
    out.push_back(static_cast<long double>(matrix(Index(key(seed, 10, k, 0) % std::uint64_t(n)),
                                                  Index(key(seed, 10, k, 1) % std::uint64_t(d)))));
  for (Index i = 0; i < n; ++i) {
    long double sum = 0;
    for (Index j = 0; j < d; ++j)
      sum += (key(seed, 9, i, j) & 1 ? 1 : -1) * static_cast<long double>(matrix(i, j));
    out.push_back(sum);
  }
  return out;
}

/// The largest |got - want| over a signature; NaN counts as infinite.
inline double largest_difference(const std::vector<long double>& got,
                                 const std::vector<double>& want) {
  if (got.size() != want.size()) throw std::runtime_error("a result has the wrong size");
  long double worst = 0;
  for (std::size_t k = 0; k < got.size(); ++k) {
    const long double e = std::abs(got[k] - static_cast<long double>(want[k]));
    if (!(e <= worst)) worst = std::isnan(e) ? std::numeric_limits<long double>::infinity() : e;
  }
  return double(worst);
}

inline double largest(const std::vector<double>& v) {
  double m = 0;
  for (double x : v) m = std::max(m, std::abs(x));
  return m;
}

}  // namespace reference
