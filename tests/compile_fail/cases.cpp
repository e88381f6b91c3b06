// Programs that must not compile, each with its nearest twin that must: CASE picks one, WRONG spoils it.
// tests/scripts/compile_fail.sh compiles all of them both ways.
#include <spheremix/spheremix.hpp>

using namespace spheremix;

int main() {
  const RowMatrix<float> x = RowMatrix<float>::Ones(3, 2);
  core::Workspace workspace;
#ifdef WRONG
  constexpr bool wrong = true;
#else
  constexpr bool wrong = false;
#endif
  [[maybe_unused]] const RowMatrix<std::conditional_t<wrong, double, float>> y = x.cast<std::conditional_t<wrong, double, float>>();
  [[maybe_unused]] const RowMatrix<std::conditional_t<wrong, int, float>> whole =
      x.cast<std::conditional_t<wrong, int, float>>();
  using Lambda = std::conditional_t<wrong, double, Vector<float>>;
#if CASE == 1  // expect: one scalar type
  return losses::clip(x, y) > 0;
#elif CASE == 2  // expect: float or double
  return losses::clip(whole, whole) > 0;
#elif CASE == 3  // expect: out.lambda
  losses::MixGradient<RowMatrix<float>, Lambda> out;
  losses::m2_mix_with_gradient(x, x, Vector<float>::Ones(3), {}, workspace, out);
#elif CASE == 4  // expect: nodiscard
  const double used = metrics::uniformity(x);
#ifdef WRONG
  losses::info_nce(x, x);
#endif
  return used > 0;
#elif CASE == 5  // expect: one scalar type
  return metrics::alignment(x, y) > 0;
#elif CASE == 6  // expect: one scalar type
  return sphere::slerp_rows(x, y, 0.5).rows() > 0;
#elif CASE == 7  // expect: designator
#ifdef WRONG
  return losses::clip(x, x, {.memory_budget = 1 << 24, .temperature = 0.1}) > 0;  // out of the documented order
#else
  return losses::clip(x, x, {.temperature = 0.1, .memory_budget = 1 << 24}) > 0;
#endif
#elif CASE == 8  // expect: const
  std::conditional_t<wrong, const RowMatrix<float>, RowMatrix<float>> out = x;
  sphere::slerp_rows(x, x, 0.5, out);
#else
#error no such case
#endif
}
