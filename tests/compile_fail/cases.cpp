// Programs that must not compile, each with its nearest twin that must: CASE picks one, WRONG spoils it.
// tests/scripts/compile_fail.sh compiles all of them both ways.
#include <spheremix/spheremix.hpp>
#include <string>
#include <vector>

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
  [[maybe_unused]] const std::vector<std::conditional_t<wrong, std::string, int>> labels(3);
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
#elif CASE == 9  // expect: convert by .cast
  return metrics::linear_cka(x, y) > 0;
#elif CASE == 10  // expect: rows, vectors and embeddings are of float or double
  return metrics::uniformity(whole) > 0;
#elif CASE == 11  // expect: rows, vectors and embeddings are of float or double
  return sphere::normalize_rows(whole).size() > 0;
#elif CASE == 12  // expect: one scalar type
  return sphere::slerp(x.row(0), y.row(1), 0.5).size() > 0;
#elif CASE == 13  // expect: labels and weights are vectors
  return losses::sup_con(x, labels) > 0;
#elif CASE == 14  // expect: labels and weights are vectors
  return metrics::mean_average_precision(x, labels).value > 0;
#elif CASE == 15  // expect: labels and weights are vectors
  return losses::m2_mix(x, x, labels) > 0;
#elif CASE == 16  // expect: labels and weights are vectors
  return sphere::slerp_rows(x, x, labels).size() > 0;
#elif CASE == 17  // expect: labels and weights are vectors
  return losses::sup_remix(x, labels, 0.3) > 0;
#elif CASE == 18  // expect: out needs the scalar type of the arguments
  RowMatrix<std::conditional_t<wrong, double, float>> out;
  sphere::slerp_rows(x, x, 0.5, out);
#elif CASE == 19  // expect: drawn as float or double
  core::Philox rng(1);
  return sphere::sample_uniform<std::conditional_t<wrong, int, float>>(3, 2, rng).size() > 0;
#elif CASE == 20  // expect: labels and weights are vectors
  return sphere::frechet_mean(x, labels).iterations > 0;
#elif CASE == 21  // expect: rows, vectors and embeddings are of float or double
  const losses::MatryoshkaOptions options{.widths = {1, 2}};
  return losses::matryoshka(whole, whole, options, [](const auto& a, const auto& b) { return losses::clip(a, b); }) > 0;
#else
#error no such case
#endif
}
