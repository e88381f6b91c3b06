// Losses of two batches on the device: where their results go, and what is wrong with a call.
#pragma once

#include <cstddef>
#include <initializer_list>

#include "spheremix/core/constants.hpp"
#include "spheremix/core/view.hpp"
#include "spheremix/formula/results.hpp"
#include "spheremix/gpu/core/view.cuh"

namespace spheremix::gpu::losses {

/// In device memory; gradients f32 (f64 for double rows); any number but the loss may be null.
template <class T>
using ContrastiveGradient = spheremix::losses::ContrastiveGradient<Places<T>>;

/// In device memory; gradients f32 (f64 for double rows); any number but the loss may be null.
template <class T>
using PairGradient = spheremix::losses::PairGradient<Places<T>>;

namespace detail {

/// Whether there are places for the gradients of X and Y.
template <class Gradient>
bool has_places(const Gradient& out) {
  return out.x.data && out.y.data;
}
inline constexpr const char* kNoPlaces = "no place for the gradients";

template <class T>
const char* pair_error(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y) {
  if (x.rows != y.rows || x.cols != y.cols) return "X and Y have different shapes";
  if (x.rows <= 0 || x.cols <= 0) return "X and Y are empty";
  if (!x.data || !y.data) return "X or Y is a null pointer";
  if (x.stride < x.cols || y.stride < y.cols) return "a stride is less than the columns";
  return nullptr;
}

/// Options that the device does not know yet: refused, never left aside.
template <class Options>
const char* target_error(const Options& options) {
  bool any = options.exclude.has_value() || !options.row_weights.empty();
  if constexpr (requires { options.label_smoothing; }) any = any || options.label_smoothing != 0;
  return any ? "label_smoothing, exclude and row_weights are the CPU's" : nullptr;
}

/// What is wrong with the weights of a loss' terms.
inline const char* weights_error(std::initializer_list<double> weights) {
  for (const double w : weights)
    if (!(w >= 0 && w <= core::largest<double>)) return "a weight is not a finite number >= 0";
  return nullptr;
}

/// What is wrong with the shapes of gradients.
template <class T, class G>
const char* shape_error(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                        const core::MatrixView<G>& dx, const core::MatrixView<G>& dy) {
  if (dx.data && (!dy.data || dx.rows != x.rows || dx.cols != x.cols || dy.rows != y.rows ||
                  dy.cols != y.cols || dx.stride < dx.cols || dy.stride < dy.cols))
    return "the gradients have another shape than X and Y";
  return nullptr;
}

inline constexpr const char *kOverlapsBatch = "a gradient overlaps a batch",
                            *kOverlapsGradient = "two gradients overlap";

/// What is wrong with a temperature or the places for the results.
template <class T, class G>
const char* place_error(const core::MatrixView<const T>& x, const core::MatrixView<const T>& y,
                        double temperature, const double* loss, const core::MatrixView<G>& dx,
                        const core::MatrixView<G>& dy) {
  if (!(temperature > 0) || !(temperature <= core::largest<double>))
    return "the temperature is not a positive finite number";
  if (!loss) return "no place for the loss";
  if (const char* wrong = shape_error(x, y, dx, dy)) return wrong;
  if (!dx.data) return nullptr;
  for (const auto& batch : {x, y})
    if (core::overlap(dx, batch) || core::overlap(dy, batch)) return kOverlapsBatch;
  return core::overlap(dx, dy) ? kOverlapsGradient : nullptr;
}

/// What is wrong with batches of one shape and the places for their results.
template <class T, class G, std::size_t Count>
const char* batches_error(const core::MatrixView<const T> (&in)[Count], bool gradient,
                          const core::MatrixView<G> (&out)[Count], const double* loss) {
  for (const auto& m : in)
    if (const char* wrong = pair_error(in[0], m)) return wrong;
  if (!loss) return "no place for the loss";
  for (std::size_t a = 0; gradient && a < Count; ++a) {
    if (!out[a].data) return kNoPlaces;
    if (const char* wrong = shape_error(in[0], in[0], out[a], out[a])) return wrong;
    for (const auto& m : in)
      if (core::overlap(out[a], m)) return kOverlapsBatch;
    for (std::size_t b = 0; b < a; ++b)
      if (core::overlap(out[a], out[b])) return kOverlapsGradient;
  }
  return nullptr;
}

}  // namespace detail
}  // namespace spheremix::gpu::losses
