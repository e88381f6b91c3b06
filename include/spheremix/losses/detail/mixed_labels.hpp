// What the losses of logits with mixed labels share: rows with their labels and weights, a softmax
// that keeps its digits, and the way in and out (entry.hpp).
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "spheremix/core/numbers.hpp"
#include "spheremix/formula/results.hpp"
#include "spheremix/formula/softmax_line.hpp"
#include "spheremix/losses/detail/mix_entry.hpp"
#include "spheremix/metrics/detail/sums.hpp"

namespace spheremix::losses {

/// n x k labels; any other matrix of integers does as well.
using LabelMatrix = Eigen::Matrix<Index, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

namespace detail {

using core::Numbers;

/// One row's labels: `label` are distinct, weights of equal ones have been added up. `gradient`
/// takes dL/dweight, n-th part included, unless null.
template <class T>
struct MixedRow {
  const Index* label;
  const double* weight;
  Index count;
  double* gradient;

  double weight_of(Index j) const {
    double w = 0;
    for (Index c = 0; c < count; ++c)
      if (label[c] == j) w += weight[c];
    return w;
  }
  /// Is j a label that has a weight?
  bool holds(Index j) const {
    for (Index c = 0; c < count; ++c)
      if (label[c] == j) return weight[c] > 0;
    return false;
  }
  Index with_weight() const {
    return Index(std::count_if(weight, weight + count, [](double w) { return w > 0; }));
  }
};

/// log sum e^z over a row, or the part of it outside a set, in double.
struct LogSoftmax {
  double top;     ///< largest logit
  Index best;     ///< its class
  double others;  ///< sum of e^(z - top) over the other classes

  formula::SoftmaxLine<double> line() const { return {others, true}; }
  template <class T>
  double exponential(const T* z, Index j) const {
    return j == best ? 1 : std::exp(double(z[j]) - top);
  }
  template <class T>
  double probability(const T* z, Index j) const {
    return exponential(z, j) / line().total();
  }
  /// -log p_j.
  template <class T>
  double surprise(const T* z, Index j) const {
    return line().surprise(top - double(z[j]));
  }
  /// dL/dz_j of a class of weight w, r the sum of the weights.
  template <class T>
  double slope(const T* z, Index j, double w, double r) const {
    return line().slope(j == best, exponential(z, j), w, r);
  }
};

/// Over the classes that `skip` does not hold; top is -infinity and best -1 where none is left that
/// is there.
template <class T, class Skip>
LogSoftmax log_softmax_without(const T* z, Index classes, const Skip& skip) {
  LogSoftmax s{-core::infinity<double>, -1, 0};
  for (Index j = 0; j < classes; ++j)
    if (!skip(j) && (double(z[j]) > s.top || std::isnan(z[j]))) s.top = double(z[j]), s.best = j;
  for (Index j = 0; j < classes && s.best >= 0; ++j)
    if (j != s.best && !skip(j)) s.others += std::exp(double(z[j]) - s.top);
  return s;
}

template <class T>
LogSoftmax log_softmax_of(const T* z, Index classes) {
  return log_softmax_without(z, classes, [](Index) { return false; });
}

/// No logit is NaN or +infinity; -infinity is a class that is absent.
template <class T>
bool sound_row(const T* z, Index classes) {
  for (Index j = 0; j < classes; ++j)
    if (!(z[j] <= core::largest<T>)) return false;
  return true;
}

template <class T>
void expects_logits(const char* function, MatrixView<const T> z) {
  static_assert(core::is_real<T>, "spheremix: logits are float or double");
  core::expects(z.rows >= 1 && z.cols >= 1, function, "the logits are ", z.rows, " x ", z.cols);
}

/// Mean of row(MixedRow, z, classes, 1/n, dz) over rows; labels_of(i, labels, weights, gradient)
/// fills k of each and returns how many. dlambda_of(i, gradient) hears the weights' gradients.
template <class T, class Labels, class Row, class Heard>
double mean_over_mixed(MatrixView<const T> z, Index k, const Labels& labels_of, const Row& row,
                       MatrixView<T> dz, const Heard& heard) {
  const double each = 1 / double(z.rows);
  return each * metrics::detail::sum_over_rows(z.rows, [&](Index i) {
           Index small_labels[8];
           double few[16];
           std::vector<Index> more_labels(std::size_t(k > 8 ? k : 0));
           std::vector<double> more(std::size_t(k > 8 ? 2 * k : 0));
           Index* const label = k > 8 ? more_labels.data() : small_labels;
           double* const weight = k > 8 ? more.data() : few;
           double* const gradient = weight + k;
           T* const to = dz.data ? dz.row(i) : nullptr;
           for (Index c = 0; c < k; ++c) gradient[c] = 0;
           const Index count = labels_of(i, label, weight);
           if (!sound_row(z.row(i), z.cols)) {
             if (to) std::fill(to, to + z.cols, core::nan<T>);
             for (Index c = 0; c < k; ++c) gradient[c] = core::nan<double>;
             heard(i, count, gradient);
             return core::nan<double>;
           }
           const MixedRow<T> mixed{label, weight, count, dz.data ? gradient : nullptr};
           const double loss = row(mixed, z.row(i), z.cols, each, to);
           heard(i, count, gradient);
           return loss;
         });
}

/// Two labels a row as MixedRow: {a, b} with {lambda, 1 - lambda}, or {a} with {1}.
template <class T>
auto two_labels(const Numbers& a, const Numbers& b, RowParameter<T> lambda) {
  return [&a, &b, lambda](Index i, Index* label, double* weight) -> Index {
    label[0] = a.index(i);
    label[1] = b.index(i);
    weight[0] = double(lambda[i]);
    weight[1] = 1 - weight[0];
    if (label[0] != label[1]) return 2;
    weight[0] = 1;
    return 1;
  };
}

template <class T>
void expects_two_labels(const char* function, MatrixView<const T> z, const Numbers& a,
                        const Numbers& b) {
  expects_logits(function, z);
  a.expects_classes(function, "a", z.rows, z.cols);
  b.expects_classes(function, "b", z.rows, z.cols);
}

template <class Z, class L, class Row>
double two_labels_value(const char* function, const Eigen::MatrixBase<Z>& logits, const Numbers& a,
                        const Numbers& b, const L& lambda, const Row& row) {
  return with_rows(
      [&]<class T>(MatrixView<const T> z) {
        expects_two_labels(function, z, a, b);
        const LambdaArgument<T, L> weights(function, "lambda", lambda, z.rows);
        return mean_over_mixed<T>(z, 2, two_labels<T>(a, b, weights.value()), row, {},
                                  [](Index, Index, const double*) {});
      },
      logits);
}

template <class Z, class L, class Row, class Out>
void two_labels_gradient(const char* function, const Eigen::MatrixBase<Z>& logits, const Numbers& a,
                         const Numbers& b, const L& lambda, const Row& row, Workspace& workspace,
                         Out& out) {
  with_rows(
      [&]<class T>(MatrixView<const T> z) {
        expects_two_labels(function, z, a, b);
        const LambdaArgument<T, L> weights(function, "lambda", lambda, z.rows);
        core::OutputRows dz(function, "out.logits", out.logits, z.rows, z.cols);
        core::expects_apart(function, dz.view(), z);
        Workspace::Frame frame = workspace.frame(core::bytes_of<LambdaSlopes>(z.rows));
        double* const each = LambdaSlopes(z.rows, frame).each;
        out.loss =
            mean_over_mixed<T>(z, 2, two_labels<T>(a, b, weights.value()), row, dz.view(),
                               [each](Index i, Index count, const double* g) {
                                 each[i] = count == 2 ? g[0] - g[1] : (std::isnan(g[0]) ? g[0] : 0);
                               });
        dz.commit();
        put_lambda_gradient(function, each, z.rows, out.lambda);
      },
      logits);
}

/// k labels a row: equal labels of one row are added up.
template <class T>
class KLabels {
 public:
  KLabels(const char* function, MatrixView<const T> z, const Numbers& labels,
          const Numbers& weights)
      : labels_(labels), weights_(weights) {
    expects_logits(function, z);
    core::expects_same_shape(function, "labels", labels.rows(), labels.cols(), "weights",
                             weights.rows(), weights.cols());
    core::expects(labels.rows() == z.rows && labels.cols() >= 1, function, "labels are ",
                  labels.rows(), " x ", labels.cols(), " for ", z.rows, " rows of logits");
    labels.expects_class_matrix(function, "labels", z.cols);
    for (Index i = 0; i < z.rows; ++i)
      for (Index c = 0; c < labels.cols(); ++c) {
        const core::ExactNumber w = weights(i, c);
        core::expects(w.high >= 0 && w.finite(), function, "weights(", i, ", ", c, ") is ", w,
                      ", not a finite number >= 0");
      }
  }
  Index k() const { return labels_.cols(); }
  Index operator()(Index i, Index* label, double* weight) const {
    Index count = 0;
    for (Index c = 0; c < k(); ++c) {
      Index at = 0;
      const Index own = labels_.index(i, c);
      while (at < count && label[at] != own) ++at;
      if (at == count) {
        label[count] = own;
        weight[count++] = 0;
      }
      weight[at] += weights_(i, c).high;
    }
    return count;
  }

 private:
  const Numbers& labels_;
  const Numbers& weights_;
};

template <class Z, class Row>
double k_labels_value(const char* function, const Eigen::MatrixBase<Z>& logits,
                      const Numbers& labels, const Numbers& weights, const Row& row) {
  return with_rows(
      [&]<class T>(MatrixView<const T> z) {
        const KLabels<T> mixed(function, z, labels, weights);
        return mean_over_mixed<T>(z, mixed.k(), mixed, row, {}, [](Index, Index, const double*) {});
      },
      logits);
}

template <class Z, class Row, class Out>
void k_labels_gradient(const char* function, const Eigen::MatrixBase<Z>& logits,
                       const Numbers& labels, const Numbers& weights, const Row& row, Workspace&,
                       Out& out) {
  with_rows(
      [&]<class T>(MatrixView<const T> z) {
        const KLabels<T> mixed(function, z, labels, weights);
        core::OutputRows dz(function, "out.logits", out.logits, z.rows, z.cols);
        core::expects_apart(function, dz.view(), z);
        out.loss = mean_over_mixed<T>(z, mixed.k(), mixed, row, dz.view(),
                                      [](Index, Index, const double*) {});
        dz.commit();
      },
      logits);
}

}  // namespace detail
}  // namespace spheremix::losses
