// What the library says of what cannot be computed: the program of docs/errors.md.
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <spheremix/spheremix.hpp>
#include <stdexcept>

using namespace spheremix;
using Matrix = RowMatrix<double>;

void refused(const auto& call) {
  try {
    call();
    std::printf("taken\n");
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
  }
}

int main() {
  core::Philox rng(1);
  const Matrix x = sphere::sample_uniform<double>(4, 3, rng),
               y = sphere::sample_uniform<double>(4, 3, rng);
  const Vector<double> u = x.row(0), long_u = 2 * u, antipode = -u;
  Matrix with_zero = x, bad = x;
  with_zero.row(2).setZero();
  bad(1, 1) = std::numeric_limits<double>::quiet_NaN();
  bad.row(3).setZero();

  refused([&] { (void)losses::clip(x, Matrix(y.leftCols(2))); });
  refused([&] { (void)losses::clip(Matrix(x.topRows(3)), y); });
  refused([&] { (void)losses::clip(x, y, {.temperature = 0}); });
  refused([&] { (void)losses::clip(x, y, {.memory_budget = 100}); });
  refused([&] { (void)losses::clip(x, y, losses::ids(std::vector{1, 2}, std::vector{1, 2})); });
  refused([&] { (void)sphere::normalize_rows(with_zero); });
  refused([&] { (void)sphere::geodesic_distance(u, long_u); });
  refused([&] { (void)sphere::slerp(u, antipode, 0.5); });
  refused([&] { (void)mixup::geodesic(x, y, 1.5); });
  refused([&] { (void)metrics::uniformity(Matrix(x.topRows(1))); });
  refused([&] { (void)metrics::retrieval(bad, y); });
  refused([&] { (void)io::load_npy<double>("absent.npy"); });

  // NaN in a row is no error of a loss: it never gives a finite one. A row of zeros does.
  std::printf("clip of a batch with NaN: %f\n", losses::clip(bad, y));
  std::printf("clip of a batch with a row of zeros: %.2f\n", losses::clip(with_zero, y));
  const auto length = bad.rowwise().norm().eval();
  for (Index i = 0; i < bad.rows(); ++i)
    if (!(std::abs(length(i) - 1) < 1e-3)) std::printf("row %td has length %g\n", i, length(i));
}
