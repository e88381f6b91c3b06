// AdamW: Adam with weight decay applied to the parameters themselves.
//
//   m <- b1 m + (1 - b1) g            v <- b2 v + (1 - b2) g^2
//   p <- (1 - rate decay) p - rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + 1e-8),     b1 = .9,
//   b2 = .999
//
// [Loshchilov, Hutter 2019, "Decoupled weight decay regularization", arXiv 1711.05101, algorithm 2]
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <vector>

namespace demo {

/// Updates the arrays given to add(), which must stay where they are.
class AdamW {
 public:
  explicit AdamW(double weight_decay) : decay_(weight_decay) {}

  template <class Matrix>
  void add(Matrix& parameter, const Matrix& gradient) {
    slots_.push_back({parameter.data(), gradient.data(), Eigen::ArrayXf::Zero(parameter.size()),
                      Eigen::ArrayXf::Zero(parameter.size())});
  }

  void step(double rate) {
    ++steps_;
    const auto keep = float(1 - rate * decay_);
    const auto first = float(rate / (1 - std::pow(0.9, steps_)));
    const auto second = float(1 / (1 - std::pow(0.999, steps_)));
    for (Slot& s : slots_) {
      Eigen::Map<Eigen::ArrayXf> p(s.parameter, s.m.size());
      Eigen::Map<const Eigen::ArrayXf> g(s.gradient, s.m.size());
      s.m = 0.9f * s.m + 0.1f * g;
      s.v = 0.999f * s.v + 0.001f * g.square();
      p = keep * p - first * s.m / ((second * s.v).sqrt() + 1e-8f);
    }
  }

 private:
  struct Slot {
    float* parameter;
    const float* gradient;
    Eigen::ArrayXf m, v;
  };
  std::vector<Slot> slots_;
  double decay_;
  int steps_ = 0;
};

/// The rate at `step` of `steps`: half a cosine from `peak` down to 0.
inline double cosine_rate(double peak, int step, int steps) {
  return 0.5 * peak * (1 + std::cos(3.14159265358979323846 * step / steps));
}

}  // namespace demo
