// SupReMix's labels on the device, in their order with each row's parents of Mix-pos, and the
// weights of its Mix-neg.
#pragma once

#include "spheremix/core/philox.hpp"
#include "spheremix/gpu/losses/detail/supervised.cuh"
#include "spheremix/math/beta.hpp"

namespace spheremix::gpu::losses {

/// The weight of the anchor in its Mix-neg: one number for all, an N x N matrix (anchor, other) in
/// device memory, or a draw of Beta(beta_a, beta_b) for each pair, the CPU's: it takes one step of
/// the generator. Numbers of the matrix that are used and lie outside [0, 1] give NaN.
template <class A>
class RemixLambda {
 public:
  RemixLambda(double one) : one_(one) {}
  RemixLambda(core::MatrixView<const A> each) : each_(each) {}
  RemixLambda(core::MatrixView<A> each) : each_(each) {}
  RemixLambda(core::Philox& rng) : drawn_(true), seed_(rng.seed()), step_(rng.take_step()) {}

  const char* error(Index n, double a, double b) const {
    if (drawn_)
      return a > 0 && b > 0 && a <= core::largest<double> && b <= core::largest<double>
                 ? nullptr
                 : "beta_a and beta_b must be positive and finite";
    if (each_.data)
      return each_.rows == n && each_.cols == n && each_.stride >= n ? nullptr
                                                                     : "lambda is not N x N";
    return one_ >= 0 && one_ <= 1 ? nullptr : "lambda lies outside [0, 1]";
  }
  __device__ A operator()(Index i, Index k, Index n, double a, double b) const {
    if (drawn_) {
      core::PhiloxStream stream(seed_, step_, std::uint64_t(i * n + k));
      return A(math::beta_draw(a, b, stream));
    }
    if (!each_.data) return A(one_);
    const A lambda = each_(i, k);
    return lambda >= 0 && lambda <= 1 ? lambda : core::nan<A>;
  }

 private:
  double one_ = 0;
  core::MatrixView<const A> each_{};
  bool drawn_ = false;
  std::uint64_t seed_ = 0;
  std::uint32_t step_ = 0;
};

namespace detail {

/// Places in the order of the labels: [left, first) and [last, end) are a row's parents of Mix-pos,
/// [first, last) the rows of an equal label.
struct RemixWindow {
  int left, first, last, end;
  __device__ double positives() const {
    return double(last - first - 1) + double(first - left) * double(end - last);
  }
};

/// place[p] = the row with the p-th label, equal ones in the order of the rows, sorted[p] its label
/// (0 in the place of one that is not finite). A warp a row, N comparisons each.
struct OrderKernel {
  static constexpr unsigned kThreads = 128, kResident = 8, kRowsEach = kThreads / kWarp;
  static constexpr std::size_t kShared = 0;
  const ExactNumber* labels;
  Index n;
  int* place;
  ExactNumber* sorted;
  __device__ void operator()() const {
    const Index i = Index(blockIdx.x) * kRowsEach + threadIdx.x / kWarp;
    if (i >= n) return;
    const auto key = [this](Index j) { return labels[j].finite() ? labels[j] : ExactNumber{}; };
    const ExactNumber y = key(i);
    int below = 0;
    for (Index j = threadIdx.x % kWarp; j < n; j += kWarp) {
      const ExactNumber other = key(j);
      below += other < y || (other == y && j < i);
    }
    below = warp_sum(below);
    if (threadIdx.x % kWarp) return;
    place[below] = int(i);
    sorted[below] = y;
  }
};

struct WindowsKernel {
  static constexpr unsigned kThreads = 128, kResident = 8;
  static constexpr std::size_t kShared = 0;
  const int* place;
  const ExactNumber* sorted;
  Index n;
  double tolerance, window;
  LabelDistance distance;
  bool mix_positives;
  RemixWindow* windows;  ///< by row
  __device__ void operator()() const {
    const Index p = Index(blockIdx.x) * kThreads + threadIdx.x;
    if (p >= n) return;
    const ExactNumber y = sorted[p];
    const int own = int(p), all = int(n);
    RemixWindow w;
    w.first = search(0, own, [&](int q) { return distance.equal(sorted[q], y, tolerance); });
    w.last = search(own, all, [&](int q) { return !distance.equal(y, sorted[q], tolerance); });
    w.left = w.first;
    w.end = w.last;
    if (mix_positives) {
      w.left = search(0, w.first,
                      [&](int q) { return distance.inside(sorted[q], y, window, tolerance); });
      w.end = search(w.last, all,
                     [&](int q) { return !distance.inside(y, sorted[q], window, tolerance); });
    }
    windows[place[p]] = w;
  }

 private:
  /// The first place of [low, high) where `from` holds, high if nowhere; it holds from there on.
  template <class From>
  __device__ static int search(int low, int high, From from) {
    while (low < high) {
      const int middle = low + (high - low) / 2;
      if (from(middle))
        high = middle;
      else
        low = middle + 1;
    }
    return low;
  }
};

/// share(r, k) = lambda of (anchor first + r, row k).
template <class T>
struct RemixShareKernel {
  static constexpr unsigned kThreads = 128, kResident = 4;
  static constexpr std::size_t kShared = 0;
  RemixLambda<T> lambda;
  double a, b;
  Index first, rows, n;
  T* share;
  Index stride;
  __device__ void operator()() const {
    const Index q = Index(blockIdx.x) * kThreads + threadIdx.x, r = q / n, k = q % n;
    if (r < rows) share[r * stride + k] = lambda(first + r, k, n, a, b);
  }
};

}  // namespace detail
}  // namespace spheremix::gpu::losses
