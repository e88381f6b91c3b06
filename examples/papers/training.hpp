// What the papers' programs share in training: rows and splits, batches, a hidden layer, a linear
// probe. Heads, AdamW and reading are the demo's.
//
// Everything random of a run follows from its seed alone, so methods are compared on the same
// splits, first weights and batches, whatever the number of threads.
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "../demo/adamw.hpp"
#include "../demo/pairs.hpp"
#include "spheremix/losses/mixup_cross_entropy.hpp"
#include "spheremix/mixup/partners.hpp"

namespace papers {

using demo::AdamW;
using demo::cosine_rate;
using demo::Head;
using demo::Index;
using demo::Rows;
using spheremix::core::Philox;
using Indices = std::vector<Index>;

/// The chosen rows of X, in that order.
inline Rows rows_of(const Rows& x, const Indices& rows) {
  Rows out;
  demo::gather(x, rows.data(), Index(rows.size()), out);
  return out;
}

/// 0, 1, ..., n - 1.
inline Indices all_rows(Index n) {
  Indices rows(static_cast<std::size_t>(n));
  for (Index i = 0; i < n; ++i) rows[std::size_t(i)] = i;
  return rows;
}

/// The chosen entries of a vector, in that order.
template <class T>
std::vector<T> entries_of(const std::vector<T>& values, const Indices& rows) {
  std::vector<T> out;
  out.reserve(rows.size());
  for (const Index i : rows) out.push_back(values[std::size_t(i)]);
  return out;
}

/// A shuffled part of the rows, held out, and the rest.
struct Split {
  Indices held_out, train;
};

inline Split make_split(Index rows, Philox& rng, double held_out = 0.25) {
  const Indices order = spheremix::mixup::random_partners(rows, rng);
  const auto middle = order.begin() + Index(held_out * double(rows));
  return {{order.begin(), middle}, {middle, order.end()}};
}

/// The class of every row of items.tsv: its place among `names`.
inline Indices classes_of(const std::vector<std::string>& values,
                          const std::vector<std::string>& names) {
  std::map<std::string, Index> number;
  for (const auto& name : names) number.try_emplace(name, Index(number.size()));
  Indices classes;
  for (const auto& value : values) {
    const auto found = number.find(value);
    if (found == number.end()) throw std::runtime_error("unknown class " + value);
    classes.push_back(found->second);
  }
  return classes;
}

/// Steps that for_batches makes.
inline int batch_steps(const Indices& train, Index batch, int epochs) {
  return epochs * int(Index(train.size()) / batch);
}

/// Calls body(rows, epoch, step) for batch after batch, shuffled anew each epoch; the last partial
/// batch is dropped.
template <class Body>
void for_batches(const Indices& train, Index batch, int epochs, Philox& rng, const Body& body) {
  for (int epoch = 0, step = 0; epoch < epochs; ++epoch) {
    const Indices order =
        entries_of(train, spheremix::mixup::random_partners(Index(train.size()), rng));
    for (Index b = 0; b + batch <= Index(order.size()); b += batch, ++step)
      body(Indices(order.begin() + b, order.begin() + b + batch), epoch, step);
  }
}

/// Linear - ReLU - linear: h = max(0, X A^T + a), U = h B^T + b. Starts as torch.nn.Linear does.
class Network {
 public:
  Network(Index inputs, Index width, Index outputs, Philox& rng)
      : first_(inputs, width, rng), second_(width, outputs, rng) {}

  void add_to(AdamW& optimizer) {
    for (Head* layer : {&first_, &second_}) {
      optimizer.add(layer->weight, layer->weight_gradient);
      optimizer.add(layer->bias, layer->bias_gradient);
    }
  }

  const Rows& forward(const Rows& x) {
    hidden_.noalias() = x * first_.weight.transpose();
    hidden_ = (hidden_.rowwise() + first_.bias.transpose()).cwiseMax(0.0f);
    output_.noalias() = hidden_ * second_.weight.transpose();
    output_.rowwise() += second_.bias.transpose();
    return output_;
  }

  const Rows& output() const { return output_; }  ///< of the last forward()

  /// The gradients of both layers, given x of the last forward() and dL/dU.
  void backward(const Rows& x, const Rows& output_gradient) {
    second_.weight_gradient.noalias() = output_gradient.transpose() * hidden_;
    second_.bias_gradient.noalias() = output_gradient.colwise().sum().transpose();
    back_.noalias() = output_gradient * second_.weight;
    back_.array() *= (hidden_.array() > 0).cast<float>();
    first_.weight_gradient.noalias() = back_.transpose() * x;
    first_.bias_gradient.noalias() = back_.colwise().sum().transpose();
  }

 private:
  Head first_, second_;  // their linear parts
  Rows hidden_, output_, back_;
};

/// The class of the largest logit of each row.
inline Indices largest_of(const Rows& logits) {
  Indices best(std::size_t(logits.rows()));
  for (Index i = 0; i < logits.rows(); ++i) logits.row(i).maxCoeff(&best[std::size_t(i)]);
  return best;
}

inline double share_equal(const Indices& a, const Indices& b) {
  double equal = 0;
  for (std::size_t i = 0; i < a.size(); ++i) equal += a[i] == b[i];
  return equal / double(a.size());
}

/// Accuracy on (test, truth) of a linear softmax classifier fitted to (x, y): full batches of
/// AdamW.
inline double linear_probe(const Rows& x, const Indices& y, const Rows& test, const Indices& truth,
                           Index classes, int steps = 150, double rate = 0.3) {
  Rows weight = Rows::Zero(x.cols(), classes), gradient = weight;
  AdamW optimizer(0);
  optimizer.add(weight, gradient);
  spheremix::core::Workspace workspace;
  spheremix::losses::MixedLabelGradient<Rows> out;
  for (int step = 0; step < steps; ++step) {
    spheremix::losses::mixup_cross_entropy_with_gradient(Rows(x * weight), y, y, 1.0, workspace,
                                                         out);
    gradient.noalias() = x.transpose() * out.logits;
    optimizer.step(cosine_rate(rate, step, steps));
  }
  return share_equal(largest_of(test * weight), truth);
}

}  // namespace papers
