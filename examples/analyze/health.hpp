// One streamed pass over a file: which rows can be used, what is odd about the others, and the sums
// that every figure of order N follows from.
//
//   usable row    finite, not zero               u = row / |row|
//   mean          m = sum u / n                  moment  sum u u^T / n
//   duplicate     a usable row equal, number by number, to an earlier one (told by a 64-bit hash)
//   constant      a column with one value in all usable rows
#pragma once

#include <array>
#include <bit>
#include <cmath>

#include "input.hpp"
#include "progress.hpp"
#include "spheremix/core/parallel.hpp"

namespace analyze {

/// How many, and the first of them.
struct Found {
  static constexpr std::size_t kShown = 10;
  Index count = 0;
  std::vector<Index> first;

  void add(Index i) {
    if (++count <= Index(kShown)) first.push_back(i);
  }
};

struct Health {
  Index rows = 0, usable = 0;
  Found not_finite, zero, duplicates, constant_columns;
  std::vector<bool> good;             ///< row by row
  std::vector<std::uint64_t> hashes;  ///< of the usable rows' numbers
  std::array<double, 5> norms{};      ///< least, 5 %, median, 95 %, greatest
  double mean_norm = 0;
  Eigen::VectorXd mean;
  Eigen::MatrixXd moment;
};

namespace detail {

/// What one thread gathers over its rows.
template <class T>
struct HealthSums {
  Eigen::VectorXd mean;
  Eigen::MatrixXd moment;
  std::vector<T> low, high;
  double norms = 0;
};

template <class T>
std::uint64_t hash_row(const T* row, Index d) {
  std::uint64_t h = 0x9E3779B97F4A7C15u ^ std::uint64_t(d);
  for (Index k = 0; k < d; ++k) {
    const T x = row[k] == 0 ? T(0) : row[k];  // -0 equals 0
    if constexpr (sizeof(T) == 4)
      h ^= std::bit_cast<std::uint32_t>(x);
    else
      h ^= std::bit_cast<std::uint64_t>(x);
    h *= 0xff51afd7ed558ccdu;
    h ^= h >> 32;
  }
  return h;
}

inline void find_duplicates(Health& health) {
  std::vector<std::pair<std::uint64_t, Index>> order;
  order.reserve(at(health.usable));
  for (Index i = 0; i < health.rows; ++i)
    if (health.good[at(i)]) order.emplace_back(health.hashes[at(i)], i);
  std::sort(order.begin(), order.end());
  std::vector<Index> repeated;
  for (std::size_t i = 1; i < order.size(); ++i)
    if (order[i].first == order[i - 1].first) repeated.push_back(order[i].second);
  std::sort(repeated.begin(), repeated.end());
  for (const Index i : repeated) health.duplicates.add(i);
}

}  // namespace detail

template <class T>
Health inspect(const Source& source, Progress& progress) {
  const Index n = source.rows(), d = source.cols();
  const Index block = std::max<Index>(1, std::min<Index>(2048, (Index(1) << 22) / d));
  const Index most_slices = std::max<Index>(1, (Index(1) << 28) / (8 * d * d));
  const Index slices = std::min<Index>({Index(16), most_slices, (n + block - 1) / block});
  const Index slice_rows = (n + slices - 1) / slices;
  progress.stage("Reading " + source.name(), double(n), "rows");

  Health health;
  health.rows = n;
  health.hashes.resize(at(n));
  std::vector<float> norms(at(n), -1);  // -1: not finite, 0: zero
  std::vector<detail::HealthSums<T>> sums(at(slices));
  spheremix::core::parallel_for(slices, spheremix::core::max_threads(), [&](Index slice, int) {
    auto& sum = sums[at(slice)];
    sum.mean = Eigen::VectorXd::Zero(d);
    sum.moment = Eigen::MatrixXd::Zero(d, d);
    sum.low.assign(at(d), spheremix::core::infinity<T>);
    sum.high.assign(at(d), -spheremix::core::infinity<T>);
    RowMatrix<T> rows(block, d), unit(block, d);
    Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic> product(d, d);
    const Index end = std::min(n, (slice + 1) * slice_rows);
    for (Index first = slice * slice_rows; first < end; first += block) {
      const Index count = std::min(block, end - first);
      source.read(first, count, rows.data());
      Index kept = 0;
      for (Index r = 0; r < count; ++r) {
        const T* row = rows.data() + r * d;
        double largest = 0, square = 0;
        bool finite = true;
        for (Index k = 0; k < d; ++k) {
          const double x = std::fabs(double(row[k]));
          finite &= x <= spheremix::core::largest<double>;
          largest = x > largest ? x : largest;
        }
        if (!finite) continue;
        for (Index k = 0; k < d && largest > 0; ++k) {
          const double x = double(row[k]) / largest;
          square += x * x;
        }
        const double norm = largest * std::sqrt(square);
        norms[at(first + r)] = norm > 0 ? std::max(float(norm), 1e-45f) : 0;
        if (!(norm > 0)) continue;
        sum.norms += norm;
        health.hashes[at(first + r)] = detail::hash_row(row, d);
        const double scale = 1 / std::sqrt(square);
        T* to = unit.data() + kept++ * d;
        for (Index k = 0; k < d; ++k) {
          sum.low[at(k)] = std::min(sum.low[at(k)], row[k]);
          sum.high[at(k)] = std::max(sum.high[at(k)], row[k]);
          const double u = double(row[k]) / largest * scale;
          to[k] = T(u);
          sum.mean[k] += u;
        }
      }
      if (kept > 0) {  // Eigen divides by the depth of a product
        product.setZero();
        product.template selfadjointView<Eigen::Lower>().rankUpdate(unit.topRows(kept).transpose());
        sum.moment.template triangularView<Eigen::Lower>() += product.template cast<double>();
      }
      progress.add(double(count));
    }
  });

  detail::HealthSums<T>& all = sums[0];
  for (std::size_t s = 1; s < sums.size(); ++s) {
    all.mean += sums[s].mean;
    all.moment += sums[s].moment;
    all.norms += sums[s].norms;
    for (std::size_t k = 0; k < at(d); ++k) {
      all.low[k] = std::min(all.low[k], sums[s].low[k]);
      all.high[k] = std::max(all.high[k], sums[s].high[k]);
    }
  }
  health.good.resize(at(n));
  std::vector<float> usable_norms;
  for (Index i = 0; i < n; ++i) {
    const float norm = norms[at(i)];
    if (norm < 0)
      health.not_finite.add(i);
    else if (norm == 0)
      health.zero.add(i);
    else
      usable_norms.push_back(norm);
    health.good[at(i)] = norm > 0;
  }
  health.usable = Index(usable_norms.size());
  if (health.zero.count == n) wrong(source.pattern(), ": all ", n, " rows are zero");
  if (health.usable < 2)
    wrong(source.pattern(), ": ", health.usable, " of ", n,
          " rows can be used (finite and not zero) where at least 2 are needed");
  std::sort(usable_norms.begin(), usable_norms.end());
  const double last = double(health.usable - 1);
  const double places[5] = {0, 0.05, 0.5, 0.95, 1};
  for (std::size_t q = 0; q < 5; ++q)
    health.norms[q] = double(usable_norms[std::size_t(std::lround(places[q] * last))]);
  health.mean_norm = all.norms / double(health.usable);
  for (Index k = 0; k < d; ++k)
    if (all.low[at(k)] == all.high[at(k)]) health.constant_columns.add(k);
  health.mean = all.mean / double(health.usable);
  health.moment = all.moment.template selfadjointView<Eigen::Lower>();
  health.moment /= double(health.usable);
  detail::find_duplicates(health);
  return health;
}

}  // namespace analyze
