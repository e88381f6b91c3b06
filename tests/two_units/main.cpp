// Two units in one program do the same work. With equal flags every bit is equal; with other instruction sets
// (any argument) the figures agree to rounding.
#include <cmath>
#include <cstdio>
#include <vector>

namespace first {
std::vector<double> run_float();
std::vector<double> run_double();
}  // namespace first
namespace second {
std::vector<double> run_float();
std::vector<double> run_double();
}  // namespace second

static bool agree(const char* name, const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
  double worst = 0;
  if (a.size() != b.size() || a.empty()) worst = INFINITY;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    const double difference = std::abs(a[i] - b[i]);
    if (!(difference <= worst)) worst = difference;
  }
  std::printf("%s: %zu figures, largest difference %.2g (allowed %.2g)\n", name, a.size(), worst, tolerance);
  return worst <= tolerance;
}

int main(int count, char**) {
  const bool flags_differ = count > 1;
  const bool f = agree("float", first::run_float(), second::run_float(), flags_differ ? 5e-6 : 0);
  const bool d = agree("double", first::run_double(), second::run_double(), flags_differ ? 1e-14 : 0);
  return f && d ? 0 : 1;
}
