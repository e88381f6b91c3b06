// The calls, compiled with the flags under test.
#include "subject.hpp"

#include <type_traits>

#include "spheremix/losses/clip.hpp"
#include "spheremix/losses/clip_bf16.hpp"
#include "spheremix/losses/clip_m2_mix.hpp"
#include "spheremix/losses/siglip.hpp"
#include "spheremix/losses/sup_con.hpp"
#include "spheremix/metrics/alignment.hpp"
#include "spheremix/metrics/modality_gap.hpp"
#include "spheremix/metrics/uniformity.hpp"
#include "spheremix/sphere/distance.hpp"
#include "spheremix/sphere/distance_matrix.hpp"
#include "spheremix/sphere/exp_log.hpp"
#include "spheremix/sphere/normalize.hpp"
#include "spheremix/sphere/slerp_rows.hpp"

namespace {

using namespace spheremix;

template <class M>
void add(std::vector<Answer>& all, const std::string& name, const M& numbers) {
  Answer answer{name, {}};
  for (Index i = 0; i < numbers.rows(); ++i)
    for (Index k = 0; k < numbers.cols(); ++k) answer.numbers.push_back(double(numbers(i, k)));
  all.push_back(answer);
}
void add(std::vector<Answer>& all, const std::string& name, double number) {
  all.push_back({name, {number}});
}

template <class T>
std::vector<Answer> ask(const Rows<T>& rows) {
  using Batch = Eigen::Map<const RowMatrix<T>>;
  const Batch x(rows.x, rows.n, rows.d), y(rows.y, rows.n, rows.d), near(rows.near, rows.n, rows.d);
  const Eigen::Map<const Vector<T>> weight(rows.weight, rows.n);
  std::vector<Answer> all;
  add(all, "normalize", sphere::normalize_rows(T(3) * x + y));
  add(all, "normalize_vjp", sphere::normalize_rows_vjp(T(3) * x, y));
  add(all, "distance", sphere::geodesic_distance_rows(x, y));
  add(all, "distance_near", sphere::geodesic_distance_rows(x, near));
  add(all, "distance_far", sphere::geodesic_distance_rows(x, -near));
  add(all, "distance_matrix", sphere::geodesic_distance_matrix(x, near));
  add(all, "slerp", sphere::slerp_rows(x, y, weight));
  add(all, "slerp_near", sphere::slerp_rows(x, near, weight));
  add(all, "log_map", sphere::log_map(x.row(0), y.row(0)));
  for (const double tau : {0.07, 0.01}) {  // the second is saturated for pairs of near rows
    const std::string end = tau < 0.05 ? "_saturated" : "";
    const Batch& other = tau < 0.05 ? near : y;
    const auto clip = losses::clip_with_gradient(x, other, {.temperature = tau});
    add(all, "clip" + end, clip.loss);
    add(all, "clip_x" + end, clip.x);
    add(all, "clip_y" + end, clip.y);
    add(all, "clip_log_temperature" + end, clip.log_temperature);
    const auto sig = losses::siglip_with_gradient(x, other, {.temperature = tau, .bias = -3});
    add(all, "siglip" + end, sig.loss);
    add(all, "siglip_x" + end, sig.x);
  }
  RowMatrix<T> both(2 * rows.n, rows.d);
  both << x, near;
  const Vector<double> label = Vector<double>::LinSpaced(rows.n, 0, rows.n - 1).replicate(2, 1);
  add(all, "sup_con_saturated", losses::sup_con(both, label, {.temperature = 0.01}));
  const auto mix = losses::clip_m2_mix_with_gradient(x, y, weight, {.temperature = 0.1});
  add(all, "clip_m2_mix", mix.loss);
  add(all, "clip_m2_mix_x", mix.x);
  add(all, "clip_m2_mix_log_temperature", mix.log_temperature);
  const auto even = metrics::uniformity_with_gradient(x);
  add(all, "uniformity", even.value);
  add(all, "uniformity_x", even.x);
  add(all, "alignment_near", metrics::alignment(x, near));
  add(all, "modality_gap_near", metrics::modality_gap(x, near));
  if constexpr (std::is_same_v<T, float>) {
    const auto clip = losses::clip_bf16_with_gradient(x, y, {.temperature = 0.07});
    add(all, "clip_bf16", clip.loss);
    add(all, "clip_bf16_x", clip.x);
  }
  return all;
}

}  // namespace

std::vector<Answer> answers(const Rows<float>& rows) { return ask(rows); }
std::vector<Answer> answers(const Rows<double>& rows) { return ask(rows); }

/// n points on a line from 0: their mean distance from 0 is a sum of n numbers.
double long_mean(const double* distances, int n) {
  const Eigen::Map<const RowMatrix<double>> x(distances, n, 1);
  return metrics::alignment(x, RowMatrix<double>::Zero(n, 1), {.alpha = 1});
}
