// Streamed passes over a file: which rows can be used, what is odd about the others, and the sums
// that every figure of order N follows from.
//
//   usable row    finite, not zero               u = row / |row|
//   mean          m = sum u / n                  second  sum (u - m)(u - m)^T / n
//   spread        V = sum |u - m|^2 / n = 1 - |m|^2, which keeps its digits in a narrow cone
//   duplicate     a usable row equal, number by number, to an earlier one (told by a 64-bit hash)
//   constant      a column with one value in all usable rows
//
// Numbers are read in double, so that nothing of the file's own precision is lost, and sums are
// taken about a centre that lies near the mean. Of several processes each reads its part of the rows.
#pragma once

#include <array>
#include <bit>
#include <cmath>

#include "bootstrap.hpp"
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
  std::vector<double> lengths;        ///< 0 where a row is not usable
  Eigen::VectorXd mean;               ///< of all usable unit rows
};

/// Sums over some rows of a file.
struct Moments {
  Index n = 0;
  Eigen::VectorXd mean;
  double spread = 0;                ///< V
  Eigen::MatrixXd second;           ///< d x d; empty where rows are held
  RowMatrix<double> rows;           ///< u - m, held where there are fewer rows than columns
  std::array<double, 5> lengths{};  ///< least, 5 %, median, 95 %, greatest
  double mean_length = 0;

  /// The variance along the unit vector g.
  double along(const Eigen::VectorXd& g) const {
    return rows.size() > 0 ? (rows * g).squaredNorm() / double(n) : g.dot(second * g);
  }
};

namespace detail {

inline std::uint64_t hash_row(const double* row, Index d) {
  std::uint64_t h = 0x9E3779B97F4A7C15u ^ std::uint64_t(d);
  for (Index k = 0; k < d; ++k) {
    h ^= std::bit_cast<std::uint64_t>(row[k] == 0 ? 0.0 : row[k]);  // -0 equals 0
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

/// The unit vector of a row and the row's length; length 0 for a zero row, -1 where it is not
/// finite.
inline double unit_row(const double* row, Index d, double* to) {
  double largest = 0, square = 0;
  bool finite = true;
  for (Index k = 0; k < d; ++k) {
    const double x = std::fabs(row[k]);
    finite &= x <= spheremix::core::largest<double>;
    largest = x > largest ? x : largest;
  }
  if (!finite) return -1;
  if (!(largest > 0)) return 0;
  for (Index k = 0; k < d; ++k) {
    to[k] = row[k] / largest;
    square += to[k] * to[k];
  }
  const double root = std::sqrt(square);
  for (Index k = 0; k < d; ++k) to[k] /= root;
  return std::max(largest * root, 1e-300);
}

/// Blocks of rows, cut into slices that threads take.
struct Cut {
  OwnRows own;
  int parts;  ///< processes that read
  Index block, slices, slice_rows;

  Cut(const Share* share, Index n, Index d, Index most_slices)
      : own(share, n),
        parts(team_size(share)),
        block(std::max<Index>(1, std::min<Index>(2048, (Index(1) << 18) / d))),
        slices(std::max<Index>(
            1, std::min<Index>({Index(8), most_slices, (own.count() + block - 1) / block}))),
        slice_rows((own.count() + slices - 1) / slices) {}
};

/// body(slice, i, row) for the rows of a source, slices in parallel.
template <class Body>
void for_rows(const Source& source, const Cut& cut, Progress& progress, const Body& body) {
  const Index d = source.cols();
  const auto begins = [&](Index slice) {
    return std::min(cut.own.to, cut.own.from + slice * cut.slice_rows);
  };
  spheremix::core::parallel_for(cut.slices, spheremix::core::max_threads(), [&](Index slice, int) {
    RowMatrix<double> rows(cut.block, d);
    const Index end = begins(slice + 1);
    for (Index first = begins(slice); first < end; first += cut.block) {
      const Index count = std::min(cut.block, end - first);
      source.read(first, count, rows.data());
      body(slice, first, count, rows.data());
      progress.add(double(count) * cut.parts);
    }
  });
}

}  // namespace detail

/// Which rows can be used, and their mean.
inline Health inspect(const Source& source, Progress& progress) {
  const Index n = source.rows(), d = source.cols();
  struct Sums {
    Eigen::VectorXd mean;
    std::vector<double> low, high, unit;
  };
  const Share* const share = progress.share();
  const detail::Cut cut(share, n, d, 8);
  std::vector<Sums> sums;
  for (Index s = 0; s < cut.slices; ++s)
    sums.push_back({Eigen::VectorXd::Zero(d),
                    std::vector<double>(at(d), spheremix::core::infinity<double>),
                    std::vector<double>(at(d), -spheremix::core::infinity<double>),
                    std::vector<double>(at(d))});
  progress.stage("Reading " + source.name(), double(n), "rows");
  Health health;
  health.rows = n;
  health.hashes.resize(at(n));
  health.lengths.resize(at(n));
  detail::for_rows(source, cut, progress, [&](Index slice, Index first, Index count, double* rows) {
    Sums& sum = sums[at(slice)];
    for (Index r = 0; r < count; ++r) {
      const double* row = rows + r * d;
      const double length = detail::unit_row(row, d, sum.unit.data());
      health.lengths[at(first + r)] = length;
      if (!(length > 0)) continue;
      health.hashes[at(first + r)] = detail::hash_row(row, d);
      for (Index k = 0; k < d; ++k) {
        sum.low[at(k)] = std::min(sum.low[at(k)], row[k]);
        sum.high[at(k)] = std::max(sum.high[at(k)], row[k]);
        sum.mean[k] += sum.unit[at(k)];
      }
    }
  });
  for (std::size_t s = 1; s < sums.size(); ++s) {
    sums[0].mean += sums[s].mean;
    for (std::size_t k = 0; k < at(d); ++k) {
      sums[0].low[k] = std::min(sums[0].low[k], sums[s].low[k]);
      sums[0].high[k] = std::max(sums[0].high[k], sums[s].high[k]);
    }
  }
  add_up(share, sums[0].mean.data(), d);
  from_others(
      share, std::vector<double>(sums[0].low).data(), d, 1,
      [&](Index k, const double* low) { sums[0].low[at(k)] = std::min(sums[0].low[at(k)], *low); });
  from_others(share, std::vector<double>(sums[0].high).data(), d, 1,
              [&](Index k, const double* high) {
                sums[0].high[at(k)] = std::max(sums[0].high[at(k)], *high);
              });
  if (share) {
    share->gather(health.lengths.data(), n);
    share->gather(health.hashes.data(), n);
  }
  health.good.resize(at(n));
  for (Index i = 0; i < n; ++i) {
    double& length = health.lengths[at(i)];
    if (length < 0) health.not_finite.add(i);
    if (length == 0) health.zero.add(i);
    health.good[at(i)] = length > 0;
    health.usable += length > 0;
    length = std::max(length, 0.0);
  }
  if (health.zero.count == n) wrong(source.pattern(), ": all ", n, " rows are zero");
  if (health.usable < 2)
    wrong(source.pattern(), ": ", health.usable, " of ", n,
          " rows can be used (finite and not zero) where at least 2 are needed");
  for (Index k = 0; k < d; ++k)
    if (sums[0].low[at(k)] == sums[0].high[at(k)]) health.constant_columns.add(k);
  health.mean = sums[0].mean / double(health.usable);
  detail::find_duplicates(health);
  return health;
}

/// The sums over the rows marked in `chosen`, which are usable ones.
inline Moments moments_of(const Source& source, const Health& health,
                          const std::vector<bool>& chosen, Progress& progress) {
  const Index d = source.cols();
  Moments m;
  std::vector<double> lengths;
  std::vector<Index> place(chosen.size());
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    place[i] = m.n;
    if (!chosen[i]) continue;
    lengths.push_back(health.lengths[i]);
    m.mean_length += health.lengths[i];
    ++m.n;
  }
  m.mean_length /= double(m.n);
  std::sort(lengths.begin(), lengths.end());
  const double places[5] = {0, 0.05, 0.5, 0.95, 1};
  for (std::size_t q = 0; q < 5; ++q) m.lengths[q] = quantile(lengths, places[q]);

  const Eigen::VectorXd& centre = health.mean;
  const bool held = m.n < d;
  if (held) m.rows.resize(m.n, d);
  struct Sums {
    Eigen::VectorXd away;
    Eigen::MatrixXd second;
  };
  const Share* const share = held ? nullptr : progress.share();  // few rows: all on every process
  const detail::Cut cut(share, source.rows(), d, held ? 1 : (Index(1) << 26) / (16 * d * d));
  std::vector<Sums> sums;
  for (Index s = 0; s < cut.slices; ++s)
    sums.push_back({Eigen::VectorXd::Zero(d), Eigen::MatrixXd::Zero(held ? 0 : d, held ? 0 : d)});
  progress.stage("Moments of " + source.name(), double(source.rows()), "rows");
  detail::for_rows(source, cut, progress, [&](Index slice, Index first, Index count, double* rows) {
    Sums& sum = sums[at(slice)];
    Index kept = 0;
    for (Index r = 0; r < count; ++r) {
      if (!chosen[at(first + r)]) continue;
      double* const to = held ? m.rows.row(place[at(first + r)]).data() : rows + kept * d;
      detail::unit_row(rows + r * d, d, to);
      for (Index k = 0; k < d; ++k) {
        to[k] -= centre[k];
        sum.away[k] += to[k];
      }
      ++kept;
    }
    if (held || kept == 0) return;
    const Eigen::Map<const RowMatrix<double>> away(rows, kept, d);
    sum.second.selfadjointView<Eigen::Lower>().rankUpdate(away.transpose());
  });
  for (std::size_t s = 1; s < sums.size(); ++s) {
    sums[0].away += sums[s].away;
    sums[0].second += sums[s].second;
  }
  add_up(share, sums[0].away.data(), d);
  add_up(share, sums[0].second.data(), sums[0].second.size());
  const Eigen::VectorXd shift = sums[0].away / double(m.n);  // from the centre to the mean
  m.mean = centre + shift;
  if (held) {
    m.rows.rowwise() -= shift.transpose();
    m.spread = m.rows.squaredNorm() / double(m.n);
    return m;
  }
  m.second = sums[0].second.selfadjointView<Eigen::Lower>();
  m.second /= double(m.n);
  m.second -= shift * shift.transpose();
  m.spread = m.second.trace();
  return m;
}

}  // namespace analyze
