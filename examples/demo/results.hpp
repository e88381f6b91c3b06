// Everything the runs gave, by temperature and loss, and the means over splits.
#pragma once

#include <vector>

#include "estimate.hpp"
#include "experiment.hpp"
#include "pictures.hpp"

namespace demo {

/// All splits of one loss at one temperature.
struct Row {
  Loss loss;
  double temperature;
  std::vector<Scores> scores;               ///< one a split
  std::vector<std::vector<Glance>> curves;  ///< one a split, none before training
  Cosines cosines;                          ///< all splits together
  Projection sphere;                        ///< the first split
  std::vector<float> pair_cosines;          ///< the first split

  std::vector<double> values(std::size_t metric) const {
    std::vector<double> all;
    for (const Scores& s : scores) all.push_back(s[metric]);
    return all;
  }
};

struct Results {
  Plan plan;
  std::vector<Row> rows;        ///< temperatures outer, losses inner
  std::vector<Index> held_out;  ///< pairs held out by the first split
  Index pairs = 0;
  int threads = 1;
  double seconds = 0;

  const Row& row(Loss loss, double temperature) const {
    for (const Row& r : rows)
      if (r.loss == loss && r.temperature == temperature) return r;
    throw std::logic_error("no such row");
  }
};

}  // namespace demo
