// The C side of versus_torch.py: every workload behind one C function over the caller's buffers, so
// that both libraries compute on the same arrays in one process. Gradients are written where the
// caller says, and a Workspace is kept between calls, as a training loop would.
#include <cmath>
#include <string>

#include "spheremix/losses/clip.hpp"
#include "spheremix/losses/clip_m2_mix.hpp"
#include "spheremix/losses/info_nce.hpp"
#include "spheremix/losses/m2_mix.hpp"
#include "spheremix/losses/sup_remix.hpp"
#include "spheremix/metrics/alignment.hpp"
#include "spheremix/metrics/retrieval.hpp"
#include "spheremix/metrics/uniformity.hpp"
#include "spheremix/mixup/linear.hpp"
#include "spheremix/sphere/distance.hpp"
#include "spheremix/sphere/distance_matrix.hpp"
#include "spheremix/sphere/normalize.hpp"
#include "spheremix/sphere/slerp_rows.hpp"
#include "versus/c_side.hpp"

namespace {

using namespace spheremix;
using versus::workspace;

}  // namespace

extern "C" {

/// One call of a workload: n x d rows x, y (and the cotangent g), gradients into dx, dy, a matrix
/// result into z (n x d, of "angles" n x n).
struct VersusCall {
  const char* work;
  long n, d;
  const void *x, *y, *g;
  void *dx, *dy, *z;
  double temperature, mix_temperature, lambda, weight, budget;  // inputs
  double loss, log_temperature, log_mix_temperature, d_lambda;  // results
};

}  // extern "C"

namespace {

/// Functions of rows; "..._vjp" is value and gradients, as autograd computes both.
template <class T, class In, class Out>
void run_rows(VersusCall& c, const std::string& work, const In& x, const In& y, const In& g, Out z,
              Out dx, Out dy) {
  using Numbers = Eigen::Map<Vector<T>>;
  using ConstNumbers = Eigen::Map<const Vector<T>, 0, Eigen::InnerStride<>>;
  const std::string name = work.substr(0, work.find("_vjp"));
  const bool vjp = name != work;
  Numbers numbers(z.data(), c.n);
  if (name == "slerp") {
    sphere::slerp_rows(x, y, c.lambda, z);
    sphere::SlerpGradient<Out, double> out{dx, dy, 0};
    if (vjp) sphere::slerp_rows_vjp(x, y, c.lambda, g, out);
    c.d_lambda = out.t;
  } else if (name == "linear") {
    mixup::linear(x, y, c.lambda, z);
    mixup::MixGradient<Out, double> out{dx, dy, 0};
    if (vjp) mixup::linear_vjp(x, y, c.lambda, g, out);
    c.d_lambda = out.lambda;
  } else if (name == "normalize") {
    sphere::normalize_rows(x, z);
    if (vjp) sphere::normalize_rows_vjp(x, g, dx);
  } else if (name == "distance") {
    sphere::geodesic_distance_rows(x, y, numbers);
    sphere::DistanceGradient<Out> out{dx, dy};
    if (vjp)
      sphere::geodesic_distance_rows_vjp(
          x, y, ConstNumbers(g.data(), c.n, Eigen::InnerStride<>(c.d)), out);
  } else if (work == "alignment") {
    c.loss = metrics::alignment(x, y);
  } else if (work == "alignment_vjp") {
    metrics::AlignmentGradient<Out> out{0, dx, dy};
    metrics::alignment_with_gradient(x, y, {}, out);
    c.loss = out.value;
  } else {
    core::fail("versus: no workload ", work);
  }
}

template <class T>
void run(VersusCall& c) {
  using In = Eigen::Map<const RowMatrix<T>>;
  using Out = Eigen::Map<RowMatrix<T>>;
  const std::string work = c.work;
  const auto in = [&](const void* p) { return In(static_cast<const T*>(p), c.n, c.d); };
  const auto out = [&](void* p) { return Out(static_cast<T*>(p), c.n, c.d); };
  const In x = in(c.x), y = in(c.y);
  const auto budget = std::size_t(c.budget);
  if (work == "clip" || work == "info_nce") {
    losses::ContrastiveGradient<Out> g{0, out(c.dx), out(c.dy), 0};
    if (work == "clip")
      losses::clip_with_gradient(x, y, {.temperature = c.temperature, .memory_budget = budget},
                                 workspace(), g);
    else
      losses::info_nce_with_gradient(x, y, {.temperature = c.temperature, .memory_budget = budget},
                                     workspace(), g);
    c.loss = g.loss;
    c.log_temperature = g.log_temperature;
  } else if (work == "m2_mix") {
    losses::MixGradient<Out, double> g{0, out(c.dx), out(c.dy), 0, 0};
    losses::M2MixOptions options;
    options.temperature = c.mix_temperature;
    options.memory_budget = budget;
    losses::m2_mix_with_gradient(x, y, c.lambda, options, workspace(), g);
    c.loss = g.loss;
    c.d_lambda = g.lambda;
    c.log_mix_temperature = g.log_temperature;
  } else if (work == "clip_m2_mix") {
    losses::TwoTemperatureGradient<Out, double> g{0, out(c.dx), out(c.dy), 0, 0, 0};
    losses::ClipM2MixOptions options;
    options.temperature = c.temperature;
    options.mix_temperature = c.mix_temperature;
    options.weight = c.weight;
    options.memory_budget = budget;
    losses::clip_m2_mix_with_gradient(x, y, c.lambda, options, workspace(), g);
    c.loss = g.loss;
    c.d_lambda = g.lambda;
    c.log_temperature = g.log_temperature;
    c.log_mix_temperature = g.log_mix_temperature;
  } else if (work == "sup_remix") {  // labels: the first column of y
    losses::SupervisedGradient<Out> g{0, out(c.dx), 0, 0};
    losses::SupRemixOptions options;
    options.temperature = c.temperature;
    options.window = c.weight;
    losses::sup_remix_with_gradient(x, y.col(0), c.lambda, options, workspace(), g);
    c.loss = g.loss;
    c.log_temperature = g.log_temperature;
  } else if (work == "uniformity") {
    metrics::UniformityGradient<Out> g{0, out(c.dx)};
    metrics::uniformity_with_gradient(x, {}, g);
    c.loss = g.value;
  } else if (work == "angles") {
    sphere::geodesic_distance_matrix(x, y, Out(static_cast<T*>(c.z), c.n, c.n));
  } else if (work == "retrieval") {  // both ways: R@1 and R@10, means of the two
    const auto found = metrics::retrieval_both(x, y, {.k = {1, 10}});
    c.loss = (found.x_to_y.recall[0] + found.y_to_x.recall[0]) / 2;
    c.d_lambda = (found.x_to_y.recall[1] + found.y_to_x.recall[1]) / 2;
  } else {
    run_rows<T>(c, work, x, y, in(c.g), out(c.z), out(c.dx), out(c.dy));
  }
}

}  // namespace

extern "C" {

/// 0, or 1 with the reason in versus_error().
int versus_run_f32(VersusCall* call) {
  return versus::answer([&] { run<float>(*call); });
}

int versus_run_f64(VersusCall* call) {
  return versus::answer([&] { run<double>(*call); });
}

void versus_release() { workspace().release(); }

}  // extern "C"
