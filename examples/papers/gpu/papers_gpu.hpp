// What the two halves of papers_gpu share: papers_gpu.cpp is the host compiler's (Eigen, the CPU
// library, the table), papers_gpu.cu nvcc's. No Eigen and no CUDA here.
#pragma once

#include <string>
#include <vector>

#include "spheremix/core/constants.hpp"

namespace papers_gpu {

using spheremix::Index;

/// Why nothing can run here; empty where a GPU can be used.
std::string no_gpu();

/// Pairs of unit rows and other views of them, n x d each, and logits of n classes, n x n.
struct Batch {
  Index n, d;
  const float *x, *y;                          ///< images, texts
  const float *x_view, *y_view;                ///< augmented
  const float *x_independent, *y_independent;  ///< second features
  const float *logits;                         ///< of images against texts; row i is of class i
  const Index *first, *second;                 ///< two labels a row of the logits
  const Index *level;                          ///< a label a pair, for regression
  float lambda;
};

/// The options of every loss, on both sides.
inline constexpr double kTemperature = 0.05, kMixTemperature = 0.07, kWeight = 0.1, kWindow = 5;

struct Answer {
  std::string name;
  double loss;
  std::vector<std::vector<float>> gradients;  ///< as the CPU library orders them
};

/// Every loss with its gradients on the device. Throws std::runtime_error with CUDA's text.
std::vector<Answer> on_device(const Batch &batch, bool exact);

}  // namespace papers_gpu
