// The C side of python/overhead.py: what the C++ call alone takes, over the caller's buffers.
#include <chrono>

#include "spheremix/losses/clip.hpp"
#include "versus/c_side.hpp"

namespace {

using namespace spheremix;
using Rows = Eigen::Map<const RowMatrix<float>>;

template <class Call>
double seconds(int calls, const Call& call) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  double sum = 0;
  for (int i = 0; i < calls; ++i) sum += call();
  const double took = std::chrono::duration<double>(Clock::now() - start).count() / calls;
  return sum == sum ? took : sum;  // NaN where a loss is
}

}  // namespace

extern "C" {

/// Seconds a call.
double versus_clip(const float* x, const float* y, long n, long d, int calls) {
  return seconds(calls, [&] { return losses::clip(Rows(x, n, d), Rows(y, n, d)); });
}

double versus_clip_with_gradient(const float* x, const float* y, long n, long d, int calls) {
  return seconds(calls, [&] {
    const auto g = losses::clip_with_gradient(Rows(x, n, d), Rows(y, n, d));
    return g.loss + g.x(0, 0);
  });
}

}  // extern "C"
