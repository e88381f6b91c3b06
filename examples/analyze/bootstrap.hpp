// 95 % intervals: the 2.5 % and 97.5 % points of a statistic over seeded resamples of the rows.
// [Efron 1979, "Bootstrap methods: another look at the jackknife"]
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>

#include "common.hpp"
#include "spheremix/core/parallel.hpp"
#include "spheremix/core/philox.hpp"

namespace analyze {

struct Interval {
  double low, high;
};

inline constexpr std::uint64_t kBootstrapSeed = 20230427;

inline Interval middle_95(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const double last = double(values.size() - 1);
  return {values[std::size_t(std::lround(0.025 * last))],
          values[std::size_t(std::lround(0.975 * last))]};
}

/// Intervals of `count` statistics at once: f(draw, out) for resampled row numbers in [0, n).
template <class Statistics>
std::vector<Interval> bootstrap(Index n, std::size_t count, const Statistics& f) {
  const Index resamples = n > 50000 ? 200 : 400;
  std::vector<std::vector<double>> values(count, std::vector<double>(at(resamples)));
  spheremix::core::parallel_for(resamples, spheremix::core::max_threads(), [&](Index b, int) {
    stop_if_asked();
    spheremix::core::PhiloxStream random(kBootstrapSeed, 0, std::uint64_t(b));
    std::vector<Index> draw(at(n));
    for (Index& i : draw) i = Index(std::uint64_t(random.next()) * std::uint64_t(n) >> 32);
    std::vector<double> out(count);
    f(draw, out);
    for (std::size_t s = 0; s < count; ++s) values[s][at(b)] = out[s];
  });
  std::vector<Interval> all;
  for (auto& v : values) all.push_back(middle_95(std::move(v)));
  return all;
}

inline Interval bootstrap_mean(const std::vector<double>& x) {
  return bootstrap(Index(x.size()), 1,
                   [&](const std::vector<Index>& draw, std::vector<double>& out) {
                     double sum = 0;
                     for (const Index i : draw) sum += x[at(i)];
                     out[0] = sum / double(x.size());
                   })[0];
}

/// `count` of n row numbers, ascending: a seeded sample without repetition, all where count >= n.
inline std::vector<Index> sample_rows(const std::vector<Index>& from, Index count,
                                      std::uint64_t seed) {
  if (count >= Index(from.size())) return from;
  std::vector<Index> chosen;
  spheremix::core::PhiloxStream random(seed, 1, 0);
  Index left = Index(from.size()), wanted = count;  // selection sampling, Knuth's algorithm S
  for (const Index i : from) {
    if (random.uniform<double>() * double(left--) < double(wanted)) {
      chosen.push_back(i);
      --wanted;
    }
  }
  return chosen;
}

}  // namespace analyze
