// 95 % intervals: the 2.5 % and 97.5 % points of a statistic over seeded resamples of the rows.
// [Efron 1979, "Bootstrap methods: another look at the jackknife"]
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>

#include "common.hpp"
#include "spheremix/core/constants.hpp"
#include "spheremix/core/parallel.hpp"
#include "spheremix/core/philox.hpp"

namespace analyze {

struct Interval {
  double low, high;
};

inline constexpr std::uint64_t kBootstrapSeed = 20230427;

/// The point at `share` of the way through sorted values, interpolated as NumPy's percentile does.
inline double quantile(const std::vector<double>& sorted, double share) {
  const double place = share * double(sorted.size() - 1);
  const std::size_t below = std::min(std::size_t(place), sorted.size() - 1);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - double(below)) * (sorted[above] - sorted[below]);
}

/// About `centre` where it is a number: for statistics that resampling itself moves, as noise adds
/// to a calibration error.
inline Interval middle_95(std::vector<double> values, double centre) {
  std::sort(values.begin(), values.end());
  const double shift =
      std::isnan(centre)
          ? 0
          : centre - std::accumulate(values.begin(), values.end(), 0.0) / double(values.size());
  return {quantile(values, 0.025) + shift, quantile(values, 0.975) + shift};
}

inline constexpr double kNormal95 = 1.959963984540054;  ///< 97.5 % point of the normal distribution

/// Of a share of n independent yes-or-no outcomes; [0, 1] and no wider, and no point at 0 or 1 of n.
/// [Wilson 1927, "Probable inference, the law of succession, and statistical inference"]
inline Interval wilson(double share, double n) {
  const double z = kNormal95, scale = 1 + z * z / n, middle = (share + z * z / (2 * n)) / scale,
               half = z / scale * std::sqrt(share * (1 - share) / n + z * z / (4 * n * n));
  return {share <= 0 ? 0 : std::max(0.0, middle - half),
          share >= 1 ? 1 : std::min(1.0, middle + half)};
}

/// Intervals of as many statistics as there are centres: f(draw, out) for resampled row numbers in
/// [0, n). A centre is NaN or the number to put the interval about.
template <class Statistics>
std::vector<Interval> bootstrap(Index n, const std::vector<double>& centres, const Statistics& f) {
  const Index resamples = n > 50000 ? 200 : 400;
  std::vector<std::vector<double>> values(centres.size(), std::vector<double>(at(resamples)));
  spheremix::core::parallel_for(resamples, spheremix::core::max_threads(), [&](Index b, int) {
    stop_if_asked();
    spheremix::core::PhiloxStream random(kBootstrapSeed, 0, std::uint64_t(b));
    std::vector<Index> draw(at(n));
    for (Index& i : draw) i = Index(std::uint64_t(random.next()) * std::uint64_t(n) >> 32);
    std::vector<double> out(centres.size());
    f(draw, out);
    for (std::size_t s = 0; s < out.size(); ++s) values[s][at(b)] = out[s];
  });
  std::vector<Interval> all;
  for (std::size_t s = 0; s < values.size(); ++s)
    all.push_back(middle_95(std::move(values[s]), centres[s]));
  return all;
}

/// How often each of n rows is drawn, resample by resample, with the draws of `bootstrap`. Every
/// figure of n rows asks for the same numbers, so the last n is kept where it takes 32 MB or less.
class Resamples {
 public:
  explicit Resamples(Index n) : n_(n), count_(n > 50000 ? 200 : 400) {
    if (n * count_ > Index(32) << 20) return;
    static std::mutex mutex;
    static std::shared_ptr<const std::vector<std::uint8_t>> last;
    static Index of = 0;
    const std::lock_guard lock(mutex);
    if (of != n) {
      auto all = std::make_shared<std::vector<std::uint8_t>>(at(n * count_));
      spheremix::core::parallel_for(count_, spheremix::core::max_threads(),
                                    [&](Index b, int) { draw(b, all->data() + b * n); });
      last = std::move(all), of = n;
    }
    kept_ = last;
  }
  Index count() const { return count_; }

  void take(Index b, Eigen::ArrayXd& times) const {
    std::vector<std::uint8_t> drawn(kept_ == nullptr ? at(n_) : 0);
    const std::uint8_t* from = drawn.data();
    if (kept_ == nullptr)
      draw(b, drawn.data());
    else
      from = kept_->data() + b * n_;
    times.resize(n_);
    for (Index i = 0; i < n_; ++i) times[i] = double(from[i]);
  }

 private:
  void draw(Index b, std::uint8_t* times) const {
    spheremix::core::PhiloxStream random(kBootstrapSeed, 0, std::uint64_t(b));
    for (Index i = 0; i < n_; ++i) ++times[std::uint64_t(random.next()) * std::uint64_t(n_) >> 32];
  }

  const Index n_, count_;
  std::shared_ptr<const std::vector<std::uint8_t>> kept_;
};

/// `bootstrap` for statistics that only ask how often a row was drawn: f(times, out).
template <class Statistics>
std::vector<Interval> bootstrap_weighted(Index n, const std::vector<double>& centres,
                                         const Statistics& f) {
  const Resamples resamples(n);
  const int threads = spheremix::core::max_threads();
  std::vector<std::vector<double>> values(centres.size(),
                                          std::vector<double>(at(resamples.count())));
  std::vector<Eigen::ArrayXd> times{std::size_t(threads)};
  spheremix::core::parallel_for(resamples.count(), threads, [&](Index b, int thread) {
    stop_if_asked();
    resamples.take(b, times[std::size_t(thread)]);
    std::vector<double> out(centres.size());
    f(times[std::size_t(thread)], out);
    for (std::size_t s = 0; s < out.size(); ++s) values[s][at(b)] = out[s];
  });
  std::vector<Interval> all;
  for (std::size_t s = 0; s < values.size(); ++s)
    all.push_back(middle_95(std::move(values[s]), centres[s]));
  return all;
}

inline constexpr double kAsDrawn = spheremix::core::nan<double>;  ///< no centre

inline Interval bootstrap_mean(const std::vector<double>& x) {
  const Eigen::Map<const Eigen::ArrayXd> all(x.data(), Index(x.size()));
  return bootstrap_weighted(Index(x.size()), {kAsDrawn},
                            [&](const Eigen::ArrayXd& times, std::vector<double>& out) {
                              out[0] = (times * all).sum() / double(x.size());
                            })[0];
}

inline double mean_of(const std::vector<double>& x) {
  double sum = 0;
  for (const double v : x) sum += v;
  return sum / double(x.size());
}

/// To first order: `value` when the rows behind it change, each row's part in it being x_i (and y_j
/// of the rows of another batch). Parts may be off by one constant: only their differences count.
inline Interval bootstrap_parts(double value, const std::vector<double>& x,
                                const std::vector<double>& y = {}) {
  const Interval a = bootstrap_mean(x);
  double down = a.low - mean_of(x), up = a.high - mean_of(x);
  if (!y.empty()) {
    const Interval b = bootstrap_mean(y);
    down = -std::hypot(down, b.low - mean_of(y)), up = std::hypot(up, b.high - mean_of(y));
  }
  return {value + down, value + up};
}

/// The interval of log(value).
inline Interval log_of(const Interval& i) {
  return {std::log(std::max(1e-300, i.low)), std::log(std::max(1e-300, i.high))};
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
