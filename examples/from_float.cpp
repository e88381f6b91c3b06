// From two arrays of float: the CLIP loss and its gradients, read and written where they lie.
// Nothing is copied, and after the first call nothing is allocated.
#include <cmath>
#include <cstdio>
#include <spheremix/losses/clip.hpp>
#include <vector>

using namespace spheremix;
using Rows = Eigen::Map<const RowMatrix<float>>;
using OutRows = Eigen::Map<RowMatrix<float>>;

/// x, y: n rows of d floats, unit length. Writes dL/dx and dL/dy, returns the loss.
double clip_step(const float* x, const float* y, Index n, Index d, float* dx, float* dy) {
  static core::Workspace workspace;
  losses::ContrastiveGradient<OutRows> g{0, OutRows(dx, n, d), OutRows(dy, n, d), 0};
  losses::clip_with_gradient(Rows(x, n, d), Rows(y, n, d), {.temperature = 0.1}, workspace, g);
  return g.loss;
}

int main() {
  const Index n = 4, d = 2;
  std::vector<float> x(std::size_t(n * d)), y = x, dx = x, dy = x;
  for (Index i = 0; i < n; ++i) {  // points on a circle, y a tenth of a radian ahead of x
    const std::size_t at = std::size_t(2 * i);
    x[at] = std::cos(float(i)), x[at + 1] = std::sin(float(i));
    y[at] = std::cos(float(i) + 0.1f), y[at + 1] = std::sin(float(i) + 0.1f);
  }
  const double loss = clip_step(x.data(), y.data(), n, d, dx.data(), dy.data());
  std::printf("loss %.4f  dL/dx_0 = (%.4f, %.4f)\n", loss, dx[0], dx[1]);
}
