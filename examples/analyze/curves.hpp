// What a loss would see of a pair of modalities, over its own settings, on at most kCurveRows
// pairs:
//
//   hardness     share of mixed negatives at least as hard as the real ones, over lambda
//   calibration  ECE of the retrieval softmax, over the temperature
//   push         mean 1 - p_ii of the contrastive loss, over the temperature
//   shift        gap, alignment and R@1 once x moves by -alpha/2 g and y by +alpha/2 g, g the gap
//                vector, brought back to length 1      [Liang et al. 2022, section 4.2: gap shift]
#pragma once

#include <array>

#include "metric.hpp"
#include "progress.hpp"

namespace analyze {

inline constexpr Index kCurveRows = 2500;    ///< pairs up to which the curves are exact
inline constexpr Index kCurveSample = 2048;  ///< pairs of the sample beyond
inline constexpr std::array<double, 16> kTemperatures = {
    0.001, 0.002, 0.003, 0.005, 0.007, 0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.5, 1};

/// Figures and curves of the pairs (x_i, y_i), unit rows; `how` says which pairs they are.
void measure_curves(const RowMatrix<double>& x, const RowMatrix<double>& y,
                    const std::string& scope, const std::string& how, double temperature,
                    Json& document, Json& plots, Progress& progress);

}  // namespace analyze
