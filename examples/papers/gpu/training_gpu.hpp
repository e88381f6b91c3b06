// What the two halves of training_gpu share: training_gpu.cpp is the host compiler's (Eigen, data,
// figures), training_gpu.cu nvcc's (everything that runs on the device). No Eigen and no CUDA here.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "spheremix/core/constants.hpp"

namespace training_gpu {

using spheremix::Index;

/// Why nothing can run here; empty where a GPU can be used.
std::string no_gpu();

struct Shape {
  Index rows;     ///< of the features
  Index in, out;  ///< columns of features and embeddings
  Index batch;
};

/// Two linear heads onto the sphere under CLIP + m2-Mix, with AdamW, all on the device. A head is a
/// matrix of in + 1 rows and `out` columns: the transposed weights, then the biases. Features are
/// `rows` x (in + 1), their last column is 1. Sides: 0 images, 1 texts. Throws
/// std::runtime_error with CUDA's text.
class Trainer {
 public:
  /// exact: f32 throughout, no tensor cores.
  Trainer(const Shape& shape, const float* images, const float* texts, bool exact);
  ~Trainer();

  void set_head(int side, const float* values);
  std::vector<float> head(int side) const;
  std::vector<float> gradient(int side) const;

  /// The loss of `shape.batch` rows of the features into losses()[slot] (slot < 4096), and the
  /// heads' gradients. chunk < batch: by GradCache, activations of `chunk` rows at a time. Does not
  /// wait for the device.
  void backward(const Index* rows, double lambda, Index chunk, int slot);
  /// One step of AdamW, t = 1, 2, ...
  void adamw(double rate, int t);

  /// The first `count` losses; waits.
  std::vector<double> losses(int count) const;
  /// count x out embeddings of rows of the features; waits.
  std::vector<float> embed(int side, const Index* rows, Index count);

 private:
  struct Device;
  std::unique_ptr<Device> device_;
};

}  // namespace training_gpu
