// The device's losses, metrics and row functions as extern "C" functions on raw pointers, for any
// language that has a foreign-function interface; torch_cuda.py is PyTorch's.
//
//   nvcc -std=c++20 -O3 -arch=sm_90 --shared -Xcompiler -fPIC -Iinclude examples/torch_cuda.cu -o libspheremix_cuda.so
//
// Every function takes one SpheremixCall, enqueues on its stream and returns a CUDA error code, 0 for
// none; call.error then says what was wrong. With scratch null it enqueues nothing and writes to
// call.needed the bytes of scratch that it wants, on a 256-byte boundary. With out[0] null a loss is
// its value alone. Rows are f32; clip and siglip take type 1 (f16) and 2 (bf16) as well. Nothing is
// allocated, synchronised or thrown. No header of Eigen is reached.
//
// SPHEREMIX_TORCH_ONLY: 1 row functions, 2 metrics, 3 losses of pairs and labels, 4 the mixed ones and the rest;
// all unless set.
#include <cstdint>

#if !defined(SPHEREMIX_TORCH_ONLY)
#define SPHEREMIX_TORCH_ONLY 0
#endif
#define SPHEREMIX_PART(k) (SPHEREMIX_TORCH_ONLY == 0 || SPHEREMIX_TORCH_ONLY == (k))

#if SPHEREMIX_PART(1)
#include "spheremix/gpu/mixup/geodesic.cuh"
#include "spheremix/gpu/mixup/linear.cuh"
#include "spheremix/gpu/sphere/distance.cuh"
#include "spheremix/gpu/sphere/exp_log.cuh"
#include "spheremix/gpu/sphere/normalize.cuh"
#include "spheremix/gpu/sphere/slerp.cuh"
#endif
#if SPHEREMIX_PART(2)
#include "spheremix/gpu/metrics/alignment.cuh"
#include "spheremix/gpu/metrics/average_precision.cuh"
#include "spheremix/gpu/metrics/calibration.cuh"
#include "spheremix/gpu/metrics/hubness.cuh"
#include "spheremix/gpu/metrics/joint_uniformity.cuh"
#include "spheremix/gpu/metrics/modality_gap.cuh"
#include "spheremix/gpu/metrics/retrieval.cuh"
#include "spheremix/gpu/metrics/spectrum.cuh"
#include "spheremix/gpu/metrics/uniformity.cuh"
#endif
#if SPHEREMIX_PART(3)
#include "spheremix/gpu/losses/align_uniform.cuh"
#include "spheremix/gpu/losses/barlow_twins.cuh"
#include "spheremix/gpu/losses/clip.cuh"
#include "spheremix/gpu/losses/info_nce.cuh"
#include "spheremix/gpu/losses/margin_nce.cuh"
#include "spheremix/gpu/losses/rank_n_contrast.cuh"
#include "spheremix/gpu/losses/siglip.cuh"
#include "spheremix/gpu/losses/sup_con.cuh"
#include "spheremix/gpu/losses/triplet.cuh"
#include "spheremix/gpu/losses/vicreg.cuh"
#endif
#if SPHEREMIX_PART(4)
#include "spheremix/gpu/losses/brownian_bridge.cuh"
#include "spheremix/gpu/losses/clip_m2_mix.cuh"
#include "spheremix/gpu/losses/cyclip.cuh"
#include "spheremix/gpu/losses/decoupled_contrastive.cuh"
#include "spheremix/gpu/losses/decoupled_mixup.cuh"
#include "spheremix/gpu/losses/feature_separation.cuh"
#include "spheremix/gpu/losses/hard_negative.cuh"
#include "spheremix/gpu/losses/hn_nce.cuh"
#include "spheremix/gpu/losses/l_mix.cuh"
#include "spheremix/gpu/losses/m2_mix.cuh"
#include "spheremix/gpu/losses/m3_mix.cuh"
#include "spheremix/gpu/losses/mixup_cross_entropy.cuh"
#include "spheremix/gpu/losses/nt_xent.cuh"
#include "spheremix/gpu/losses/sup_remix.cuh"
#include "spheremix/gpu/losses/v_mix.cuh"
#include "spheremix/gpu/losses/vl_mix.cuh"
#endif
#include "spheremix/gpu/core/view.cuh"
#include "spheremix/gpu/core/work.cuh"
#include "spheremix/gpu/pairwise/products.cuh"

#if defined(EIGEN_WORLD_VERSION)
#error "a device header reaches Eigen"
#endif

extern "C" {
/// Rows in device memory; stride in numbers.
struct SpheremixRows {
  void* data;
  int64_t stride;
};

struct SpheremixCall {
  int64_t rows, cols, other_rows;  ///< other_rows: of in[1] where it may have another number
  SpheremixRows in[6], out[6];
  const float* real[2];     ///< numbers a row: lambda, distances' cotangent
  const int64_t* index[3];  ///< labels, classes, lists of rows
  double option[8];         ///< in the order of the function's comment
  double* number[8];        ///< loss, dL/d log tau, the others
  int64_t* count[2];
  void* scratch;
  int64_t scratch_bytes, needed;
  void* stream;
  int32_t type, exact;
  const char* error;
};
}

namespace by_pointers {  // not of the library

using namespace spheremix;
using gpu::Scratch;
using gpu::Status;

struct Call {
  SpheremixCall& c;
  gpu::pairwise::KernelProducts how{c.exact ? gpu::Precision::exact : gpu::Precision::fast, 0};
  cudaStream_t stream = static_cast<cudaStream_t>(c.stream);

  template <class T = float>
  core::MatrixView<const T> in(int k, Index rows = -1) const {
    return {static_cast<const T*>(c.in[k].data), rows < 0 ? c.rows : rows, c.cols, c.in[k].stride};
  }
  core::MatrixView<float> out(int k) const {
    return {static_cast<float*>(c.out[k].data), c.rows, c.cols, c.out[k].stride};
  }
  double option(int k) const { return c.option[k]; }
  double* number(int k) const { return c.number[k]; }
  const Index* index(int k) const { return c.index[k]; }
  /// One lambda a row, or option k for all.
  gpu::RowScalar<float> lambda(int k) const {
    return c.real[0] ? gpu::RowScalar<float>(c.real[0]) : gpu::RowScalar<float>(c.option[k]);
  }
  bool gradient() const { return c.out[0].data != nullptr; }
};

inline int told(SpheremixCall& c, Status status) {
  c.error = status.text;
  return int(status.code);
}
/// f(call, scratch): what takes scratch.
template <class F>
int with_scratch(SpheremixCall* c, const F& f) {
  std::size_t needed = 0;
  const Scratch scratch = c->scratch ? Scratch{c->scratch, std::size_t(c->scratch_bytes)}
                                     : Scratch{nullptr, 0, &needed};
  const Status status = f(Call{*c}, scratch);
  c->needed = int64_t(needed);
  return told(*c, status);
}
/// Rows of another type than f32, given to a function that has no other.
inline bool refuses_type(SpheremixCall& c) {
  return c.type != 0 && told(c, gpu::invalid("rows of this function are f32")) != 0;
}
/// f(call): what takes none.
template <class F>
int without_scratch(SpheremixCall* c, const F& f) {
  c->needed = 0;
  return c->scratch ? told(*c, f(Call{*c})) : 0;
}

}  // namespace by_pointers

using namespace by_pointers;

#define SPHEREMIX_UNWRAP(...) __VA_ARGS__
#define SPHEREMIX_FUNCTION(NAME, ...)                                                 \
  extern "C" int spheremix_##NAME(SpheremixCall* raw) {                               \
    if (refuses_type(*raw)) return int(cudaErrorInvalidValue);                        \
    return with_scratch(raw, [](const Call& c, Scratch s) -> Status { __VA_ARGS__ }); \
  }
/// SPACE::NAME(arguments, loss | to, scratch, last arguments), with gradients where wanted.
#define SPHEREMIX_RETURN(SPACE, NAME, TYPE, ARGUMENTS, TO, LAST)                                 \
  if (!c.gradient())                                                                             \
    return gpu::SPACE::NAME<TYPE>(SPHEREMIX_UNWRAP ARGUMENTS, c.number(0), s,                    \
                                  SPHEREMIX_UNWRAP LAST);                                        \
  return gpu::SPACE::NAME##_with_gradient<TYPE>(SPHEREMIX_UNWRAP ARGUMENTS, SPHEREMIX_UNWRAP TO, \
                                                s, SPHEREMIX_UNWRAP LAST);
#define SPHEREMIX_LOSS(NAME, ...) \
  SPHEREMIX_FUNCTION(NAME, SPHEREMIX_RETURN(losses, NAME, __VA_ARGS__))
/// T: the type of the rows.
#define SPHEREMIX_LOSS_OF_ANY(NAME, ARGUMENTS, TO, LAST)                                       \
  extern "C" int spheremix_##NAME(SpheremixCall* raw) {                                        \
    return with_scratch(raw, [](const Call& c, Scratch s) {                                    \
      const auto of = [&]<class T>(T) -> Status {                                              \
        SPHEREMIX_RETURN(losses, NAME, T, ARGUMENTS, TO, LAST)                                 \
      };                                                                                       \
      return c.c.type == 1 ? of(gpu::Half{}) : c.c.type == 2 ? of(gpu::Bfloat16{}) : of(0.0f); \
    });                                                                                        \
  }
/// One that the device has with gradients alone.
#define SPHEREMIX_GRADIENT(NAME, ARGUMENTS, TO)                       \
  SPHEREMIX_FUNCTION(NAME,                                            \
                     return gpu::losses::NAME##_with_gradient<float>( \
                         SPHEREMIX_UNWRAP ARGUMENTS, SPHEREMIX_UNWRAP TO, s, c.stream, c.how);)
#define SPHEREMIX_HOW (c.stream, c.how)
#define SPHEREMIX_STREAM (c.stream)
#define SPHEREMIX_XY c.in(0), c.in(1)
#define SPHEREMIX_TO_XY ({c.number(0), c.out(0), c.out(1)})
#define SPHEREMIX_TO_MIX ({c.number(0), c.out(0), c.out(1), c.number(2), c.number(1)})
#define SPHEREMIX_TO_TAU ({c.number(0), c.out(0), c.out(1), c.number(1)})
#define SPHEREMIX_ROW_FUNCTION(NAME, ...)                                     \
  extern "C" int spheremix_##NAME(SpheremixCall* raw) {                       \
    if (refuses_type(*raw)) return int(cudaErrorInvalidValue);                \
    return without_scratch(raw, [](const Call& c) -> Status { __VA_ARGS__ }); \
  }

// ---- Row functions ------------------------------------------------------------------------------
#if SPHEREMIX_PART(1)
SPHEREMIX_ROW_FUNCTION(normalize_rows,
                       return gpu::sphere::normalize_rows<float>(c.in(0), c.out(0), c.stream);)
SPHEREMIX_ROW_FUNCTION(normalize_rows_vjp,
                       return gpu::sphere::normalize_rows_vjp<float>(c.in(0), c.in(1), c.out(0),
                                                                     c.stream);)
/// out[0]: the angles, one a row, stride 1.
SPHEREMIX_ROW_FUNCTION(geodesic_distance_rows,
                       return gpu::sphere::geodesic_distance_rows(c.in(0), c.in(1), c.out(0).data,
                                                                  c.stream);)
SPHEREMIX_ROW_FUNCTION(geodesic_distance_rows_vjp,
                       return gpu::sphere::geodesic_distance_rows_vjp<float>(
                           c.in(0), c.in(1), c.c.real[0], {c.out(0), c.out(1)}, c.stream);)
/// Option: t, or real[0]. The vjp's out[2]: dL/dt, one a row.
SPHEREMIX_ROW_FUNCTION(slerp_rows,
                       return gpu::sphere::slerp_rows<float>(c.in(0), c.in(1), c.lambda(0),
                                                             c.out(0), c.stream);)
SPHEREMIX_ROW_FUNCTION(slerp_rows_vjp, return gpu::sphere::slerp_rows_vjp<float>(
                                           c.in(0), c.in(1), c.lambda(0), c.in(2),
                                           {c.out(0), c.out(1), c.out(2).data}, c.stream);)
SPHEREMIX_ROW_FUNCTION(geodesic, return gpu::mixup::geodesic<float>(c.in(0), c.in(1), c.lambda(0),
                                                                    c.out(0), c.stream);)
SPHEREMIX_ROW_FUNCTION(geodesic_vjp, return gpu::mixup::geodesic_vjp<float>(
                                         c.in(0), c.in(1), c.lambda(0), c.in(2),
                                         {c.out(0), c.out(1), c.out(2).data}, c.stream);)
SPHEREMIX_ROW_FUNCTION(linear, return gpu::mixup::linear<float>(c.in(0), c.in(1), c.lambda(0),
                                                                c.out(0), c.stream);)
SPHEREMIX_ROW_FUNCTION(linear_vjp,
                       return gpu::mixup::linear_vjp<float>(c.in(0), c.in(1), c.lambda(0), c.in(2),
                                                            {c.out(0), c.out(1), c.out(2).data},
                                                            c.stream);)
SPHEREMIX_ROW_FUNCTION(tangent_rows, return gpu::sphere::tangent_rows<float>(c.in(0), c.in(1),
                                                                             c.out(0), c.stream);)
SPHEREMIX_ROW_FUNCTION(exp_map_rows, return gpu::sphere::exp_map_rows<float>(c.in(0), c.in(1),
                                                                             c.out(0), c.stream);)
SPHEREMIX_ROW_FUNCTION(log_map_rows, return gpu::sphere::log_map_rows<float>(c.in(0), c.in(1),
                                                                             c.out(0), c.stream);)
SPHEREMIX_ROW_FUNCTION(parallel_transport_rows,
                       return gpu::sphere::parallel_transport_rows<float>(c.in(0), c.in(1), c.in(2),
                                                                          c.out(0), c.stream);)
#endif

// ---- Metrics ------------------------------------------------------------------------------------
#if SPHEREMIX_PART(2)
/// Option: alpha.
SPHEREMIX_FUNCTION(
    alignment, if (!c.gradient()) return gpu::metrics::alignment(c.in(0), c.in(1), {c.option(0)},
                                                                 c.number(0), s, c.stream);
    return gpu::metrics::alignment_with_gradient<float>(c.in(0), c.in(1), {c.option(0)},
                                                        {c.number(0), c.out(0), c.out(1)}, s,
                                                        c.stream);)
/// Option: t.
SPHEREMIX_FUNCTION(uniformity,
                   SPHEREMIX_RETURN(metrics, uniformity, float, (c.in(0), {c.option(0)}),
                                    ({c.number(0), c.out(0)}), SPHEREMIX_HOW))
SPHEREMIX_FUNCTION(cross_uniformity,
                   SPHEREMIX_RETURN(metrics, cross_uniformity, float, (SPHEREMIX_XY, {c.option(0)}),
                                    SPHEREMIX_TO_XY, SPHEREMIX_HOW))
SPHEREMIX_FUNCTION(joint_uniformity,
                   SPHEREMIX_RETURN(metrics, joint_uniformity, float, (SPHEREMIX_XY, {c.option(0)}),
                                    SPHEREMIX_TO_XY, SPHEREMIX_HOW))
SPHEREMIX_FUNCTION(modality_gap,
                   return gpu::metrics::modality_gap(c.in(0), c.in(1, c.c.other_rows), c.number(0),
                                                     nullptr, s, c.stream);)
/// number[0]: a struct Retrieval, recall at 1, 5 and 10 first, then the median rank at [8] and mrr.
SPHEREMIX_FUNCTION(retrieval,
                   return gpu::metrics::retrieval(
                       c.in(0), c.in(1, c.c.other_rows), {.k = {1, 5, 10}},
                       reinterpret_cast<gpu::metrics::Retrieval*>(c.number(0)), s, c.stream);)
SPHEREMIX_FUNCTION(relative_alignment,
                   return gpu::metrics::relative_alignment(c.in(0), c.in(1), c.number(0), s,
                                                           c.stream);)
/// Option: k. count[0]: M ints (32 bits); number[0]: the skewness.
SPHEREMIX_FUNCTION(hubness, return gpu::metrics::hubness(
                                c.in(0), c.in(1, c.c.other_rows), {Index(c.option(0))},
                                {reinterpret_cast<int*>(c.c.count[0]), c.number(0)}, s, c.stream);)
/// number[0]: min(N, D) numbers. Option: centred.
SPHEREMIX_FUNCTION(singular_values,
                   return gpu::metrics::singular_values(c.in(0), {.centred = c.option(0) != 0},
                                                        c.number(0), s, c.stream);)
SPHEREMIX_FUNCTION(effective_rank,
                   return gpu::metrics::effective_rank(c.in(0), {}, c.number(0), s, c.stream);)
SPHEREMIX_FUNCTION(isotropy, return gpu::metrics::isotropy(c.in(0), c.number(0), s, c.stream);)
SPHEREMIX_FUNCTION(anisotropy, return gpu::metrics::anisotropy(c.in(0), c.number(0), s, c.stream);)
/// index[0], index[1]: labels of X and of Y; count[0]: queries without a relevant row.
SPHEREMIX_FUNCTION(mean_average_precision,
                   return gpu::metrics::mean_average_precision(c.in(0), c.in(1, c.c.other_rows),
                                                               c.index(0), c.index(1),
                                                               {c.number(0), c.c.count[0]}, s,
                                                               c.stream);)
/// real[0]: confidences, index[0]: 0 where wrong. Option: bins.
SPHEREMIX_FUNCTION(expected_calibration_error,
                   return gpu::metrics::expected_calibration_error(c.c.real[0], c.index(0),
                                                                   c.c.rows, {Index(c.option(0))},
                                                                   c.number(0), s, c.stream);)
#endif

// ---- Losses -------------------------------------------------------------------------------------
#if SPHEREMIX_PART(3)
/// Option: temperature. number: loss, dL/d log tau.
SPHEREMIX_LOSS_OF_ANY(clip, (c.in<T>(0), c.in<T>(1), {.temperature = c.option(0)}),
                      SPHEREMIX_TO_TAU, SPHEREMIX_HOW)
/// Options: temperature, bias. number: loss, dL/d log tau, dL/d bias.
SPHEREMIX_LOSS_OF_ANY(siglip,
                      (c.in<T>(0), c.in<T>(1), {.temperature = c.option(0), .bias = c.option(1)}),
                      ({c.number(0), c.out(0), c.out(1), c.number(1), c.number(2)}), SPHEREMIX_HOW)
SPHEREMIX_LOSS(info_nce, float, (SPHEREMIX_XY, {.temperature = c.option(0)}), SPHEREMIX_TO_TAU,
               SPHEREMIX_HOW)
/// Options: temperature, margin. number[2]: dL/d margin.
SPHEREMIX_LOSS(margin_nce, float,
               (SPHEREMIX_XY, {.temperature = c.option(0), .margin = c.option(1)}),
               ({c.number(0), c.out(0), c.out(1), c.number(1), c.number(2)}), SPHEREMIX_HOW)
/// index[0]: labels. Option: temperature. count[0]: anchors left out.
SPHEREMIX_LOSS(sup_con, float, (c.in(0), c.index(0), {.temperature = c.option(0)}),
               ({c.number(0), c.out(0), c.number(1), c.c.count[0]}), SPHEREMIX_HOW)
/// index[0]: labels. Options: temperature, 1 for cosines (0: distances). count[0]: 1 for one row.
SPHEREMIX_LOSS(rank_n_contrast, float,
               (c.in(0), c.index(0),
                {.temperature = c.option(0),
                 .similarity = c.option(1) != 0 ? gpu::losses::RankSimilarity::cosine
                                                : gpu::losses::RankSimilarity::negative_distance}),
               ({c.number(0), c.out(0), c.number(1), c.c.count[0]}), SPHEREMIX_HOW)
/// Options: the weight off the diagonal, epsilon.
SPHEREMIX_LOSS(barlow_twins, float,
               (SPHEREMIX_XY, {.off_diagonal_weight = c.option(0), .epsilon = c.option(1)}),
               SPHEREMIX_TO_XY, SPHEREMIX_STREAM)
/// Options: the weights of invariance, variance and covariance.
SPHEREMIX_LOSS(vicreg, float,
               (SPHEREMIX_XY, {.invariance_weight = c.option(0),
                               .variance_weight = c.option(1),
                               .covariance_weight = c.option(2)}),
               SPHEREMIX_TO_XY, SPHEREMIX_STREAM)
/// Options: alpha, t, the two weights.
SPHEREMIX_LOSS(align_uniform, float,
               (SPHEREMIX_XY, {.alpha = c.option(0),
                               .t = c.option(1),
                               .align_weight = c.option(2),
                               .uniform_weight = c.option(3)}),
               SPHEREMIX_TO_XY, SPHEREMIX_HOW)
/// index[0]: labels. Option: margin. count: active, skipped.
SPHEREMIX_LOSS(triplet, float, (c.in(0), c.index(0), {.margin = c.option(0)}),
               ({c.number(0), c.out(0), c.c.count[0], c.c.count[1]}), SPHEREMIX_STREAM)
/// index: anchors, positives, negatives, other_rows of them. Option: margin.
SPHEREMIX_LOSS(triplet_of, float,
               (c.in(0), c.index(0), c.index(1), c.index(2), c.c.other_rows,
                {.margin = c.option(0)}),
               ({c.number(0), c.out(0), c.c.count[0]}), SPHEREMIX_STREAM)
#endif

#if SPHEREMIX_PART(4)
SPHEREMIX_LOSS(nt_xent, float, (SPHEREMIX_XY, {.temperature = c.option(0)}), SPHEREMIX_TO_TAU,
               SPHEREMIX_HOW)
SPHEREMIX_LOSS(decoupled_contrastive, float, (SPHEREMIX_XY, {.temperature = c.option(0)}),
               SPHEREMIX_TO_TAU, SPHEREMIX_HOW)
/// Options: temperature, beta, tau_plus.
SPHEREMIX_LOSS(hard_negative, float,
               (SPHEREMIX_XY,
                {.temperature = c.option(0), .beta = c.option(1), .tau_plus = c.option(2)}),
               SPHEREMIX_TO_TAU, SPHEREMIX_HOW)
SPHEREMIX_LOSS(hn_nce, float,
               (SPHEREMIX_XY,
                {.temperature = c.option(0), .beta = c.option(1), .tau_plus = c.option(2)}),
               SPHEREMIX_TO_TAU, SPHEREMIX_HOW)
/// Options: temperature, cross and in-modal weight.
SPHEREMIX_GRADIENT(cyclip,
                   (SPHEREMIX_XY, {.temperature = c.option(0),
                                   .cross_weight = c.option(1),
                                   .in_modal_weight = c.option(2)}),
                   SPHEREMIX_TO_TAU)
SPHEREMIX_LOSS(geometric_consistency, float, (SPHEREMIX_XY, {c.option(0), c.option(1)}),
               SPHEREMIX_TO_XY, SPHEREMIX_STREAM)
SPHEREMIX_LOSS(augmented_geometric_consistency, float,
               (SPHEREMIX_XY, c.in(2), c.in(3), {c.option(0), c.option(1)}),
               ({c.number(0), c.out(0), c.out(1), c.out(2), c.out(3)}), SPHEREMIX_STREAM)
/// Option: ratio. in: the augmented rows, X, Y.
SPHEREMIX_LOSS(brownian_bridge, const float, (c.in(0), c.in(1), c.in(2), {c.option(0)}),
               ({c.number(0), c.out(0), c.out(1), c.out(2)}), SPHEREMIX_STREAM)
SPHEREMIX_LOSS(feature_separation, float,
               (SPHEREMIX_XY, c.in(2), c.in(3), c.in(4), c.in(5), {.temperature = c.option(0)}),
               ({c.number(0), c.out(0), c.out(1), c.out(2), c.out(3), c.out(4), c.out(5),
                 c.number(1)}),
               SPHEREMIX_HOW)
/// Options: temperature, lambda (or real[0]). number[2]: dL/d lambda, one or one a row.
SPHEREMIX_LOSS(m2_mix, float, (SPHEREMIX_XY, c.lambda(1), {.temperature = c.option(0)}),
               SPHEREMIX_TO_MIX, SPHEREMIX_HOW)
/// Options: temperature, lambda, the mixtures' temperature. number[3]: dL/d its logarithm.
SPHEREMIX_LOSS(clip_m2_mix, float,
               (SPHEREMIX_XY, c.lambda(1),
                {.temperature = c.option(0), .mix_temperature = c.option(2)}),
               ({c.number(0), c.out(0), c.out(1), c.number(2), c.number(1), c.number(3)}),
               SPHEREMIX_HOW)
SPHEREMIX_LOSS(v_mix, float, (SPHEREMIX_XY, c.lambda(1), {.temperature = c.option(0)}),
               SPHEREMIX_TO_MIX, SPHEREMIX_HOW)
SPHEREMIX_LOSS(l_mix, float, (SPHEREMIX_XY, c.lambda(1), {.temperature = c.option(0)}),
               SPHEREMIX_TO_MIX, SPHEREMIX_HOW)
SPHEREMIX_LOSS(vl_mix, float, (SPHEREMIX_XY, c.lambda(1), {.temperature = c.option(0)}),
               SPHEREMIX_TO_MIX, SPHEREMIX_HOW)
/// Options: temperature, lambda of all four, the mixtures' temperature.
SPHEREMIX_GRADIENT(m3_mix,
                   (SPHEREMIX_XY, {c.lambda(1), c.lambda(1), c.lambda(1), c.lambda(1)},
                    {.temperature = c.option(0), .mix_temperature = c.option(2)}),
                   ({c.number(0),
                     c.out(0),
                     c.out(1),
                     {nullptr, nullptr, nullptr, nullptr},
                     c.number(1),
                     c.number(3)}))
/// index[0]: labels. Options: temperature, the anchor's lambda, window.
SPHEREMIX_LOSS(sup_remix, float,
               (c.in(0), c.index(0), float(c.option(1)),
                {.temperature = c.option(0), .window = c.option(2)}),
               ({c.number(0), c.out(0), c.number(1), c.c.count[0]}), SPHEREMIX_HOW)
/// in[0]: logits; index: the two classes; lambda: option 0 or real[0].
SPHEREMIX_LOSS(mixup_cross_entropy, float, (c.in(0), c.index(0), c.index(1), c.lambda(0)),
               ({c.number(0), c.out(0), c.number(1)}), SPHEREMIX_STREAM)
SPHEREMIX_LOSS(decoupled_mixup, float, (c.in(0), c.index(0), c.index(1), c.lambda(0), {}),
               ({c.number(0), c.out(0), c.number(1)}), SPHEREMIX_STREAM)
#endif
