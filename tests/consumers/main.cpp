// What every consumer builds: the CLIP loss of four orthonormal pairs, known in closed form,
//   loss = log(1 + 3 e^(-1/tau)),   and its descent direction.
#include <spheremix/spheremix.hpp>

#include <cmath>
#include <cstdio>

int main() {
  using spheremix::RowMatrix;
  const RowMatrix<float> x = RowMatrix<float>::Identity(4, 8);
  const auto result = spheremix::losses::clip_with_gradient(x, x, {.temperature = 0.5});
  const double expected = std::log1p(3 * std::exp(-2.0));
  const bool right = std::abs(result.loss - expected) < 1e-6 && result.x.rows() == 4 && result.x(0, 0) < 0;
  std::printf("spheremix %s: clip loss %.6f, %s\n", SPHEREMIX_VERSION, result.loss, right ? "right" : "WRONG");
  return right ? 0 : 1;
}
