// The memory promise, measured: the peak resident memory of clip_with_gradient at n = 8192, d = 512
// in float with a budget of 32 MiB grows by no more than the budget and 8 MB, beyond inputs and
// outputs. (The n x n table alone would be 256 MiB.) The same of clip_m2_mix_with_gradient at n = 4096,
// d = 128 with 40 MiB: a strip of its tables of 128 MiB. Linux only; a sanitizer's own memory would be
// counted, so not under one.
#include <doctest/doctest.h>

#include "spheremix/losses/clip.hpp"
#include "spheremix/losses/clip_m2_mix.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SPHEREMIX_TEST_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define SPHEREMIX_TEST_SANITIZED
#endif
#endif

#if defined(__linux__) && !defined(SPHEREMIX_TEST_SANITIZED)

#include <cmath>
#include <cstdio>
#include <fstream>
#include <string>

namespace {

using namespace spheremix;

/// A line of /proc/self/status, in bytes.
double status(const char* name) {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);)
    if (line.rfind(name, 0) == 0) return 1024 * std::stod(line.substr(line.find(':') + 1));
  return 0;
}

/// Sets the peak that VmHWM reports back to what is resident now.
bool reset_peak() {
  std::ofstream out("/proc/self/clear_refs");
  out << "5" << std::flush;
  return bool(out);
}

RowMatrix<float> batch(Index n, Index d, unsigned seed) {
  RowMatrix<float> x(n, d);
  for (Index k = 0; k < n * d; ++k) {
    seed = seed * 1664525u + 1013904223u;
    x.data()[k] = float(int(seed >> 8) - (1 << 23));
  }
  x.rowwise().normalize();
  return x;
}

}  // namespace

TEST_CASE("memory: clip_with_gradient keeps to its budget") {
  constexpr Index n = 8192, d = 512;
  constexpr std::size_t budget = std::size_t(32) << 20;
  const RowMatrix<float> x = batch(n, d, 1), y = batch(n, d, 2);
  losses::ContrastiveGradient<RowMatrix<float>> out;
  out.x.setOnes(n, d);  // resident before the call
  out.y.setOnes(n, d);
  REQUIRE(reset_peak());
  const double before = status("VmRSS");
  {
    core::Workspace workspace;
    losses::clip_with_gradient(x, y, {.temperature = 0.07, .memory_budget = budget}, workspace,
                               out);
  }
  const double growth = status("VmHWM") - before;
  std::printf(
      "clip_with_gradient, n = %td, d = %td, budget 32 MiB: peak grew by %.1f MiB, loss %.6f\n", n,
      d, growth / (1 << 20), out.loss);
  CHECK(std::isfinite(out.loss));
  CHECK(growth > 0.0);  // a measurement that sees nothing proves nothing
  CHECK(growth <= double(budget) + 8e6);
}

TEST_CASE("memory: clip_m2_mix_with_gradient keeps to its budget") {
  constexpr Index n = 4096, d = 128;
  constexpr std::size_t budget = std::size_t(40) << 20;
  const auto plan = losses::detail::shared_plan<float>(n, budget);
  REQUIRE(plan.has_value());
  CHECK(plan->kept < plan->blocks);
  const RowMatrix<float> x = batch(n, d, 1), y = (x + batch(n, d, 2)).rowwise().normalized();
  losses::TwoTemperatureGradient<RowMatrix<float>> out;
  out.x.setOnes(n, d);
  out.y.setOnes(n, d);
  REQUIRE(reset_peak());
  const double before = status("VmRSS");
  {
    core::Workspace workspace;
    losses::clip_m2_mix_with_gradient(
        x, y, 0.3, {.temperature = 0.07, .mix_temperature = 0.1, .memory_budget = budget},
        workspace, out);
  }
  const double growth = status("VmHWM") - before;
  std::printf(
      "clip_m2_mix_with_gradient, n = %td, d = %td, budget 40 MiB: peak grew by %.1f MiB, loss "
      "%.6f\n",
      n, d, growth / (1 << 20), out.loss);
  CHECK(std::isfinite(out.loss));
  CHECK(growth > double(budget) / 2);  // not the direct route
  CHECK(growth <= double(budget) + 8e6);
}

#endif
