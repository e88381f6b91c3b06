// All angles between the rows of U and of V: entry (i, j) is the geodesic distance of u_i and v_j.
//
// A tile of cosines comes from the product engine. acos of a cosine is accurate to a few eps only
// where it is moderate (in float it is off by 446 eps at .999): every entry with |cos| > 0.85 is
// computed anew from the difference and the sum of its two rows, as geodesic_distance does, so
// near-duplicates and near-antipodes keep their digits.
//
// Shapes   U: n x d, V: m x d, result n x m.
// Cost     2 n m d flops, and one more pass over both rows for each pair with |cos| > 0.85.
// Accuracy 8 eps relative, times max(1, d/64).
// Errors   std::invalid_argument: sizes, out overlapping an input.
//          NaN rows give NaN in their entries only.
#pragma once

#include <algorithm>

#include "spheremix/core/workspace.hpp"
#include "spheremix/pairwise/plan.hpp"
#include "spheremix/sphere/detail/arc_rows.hpp"
#include "spheremix/sphere/detail/arguments.hpp"

namespace spheremix::sphere {

namespace detail {

/// Up to here an error of the cosine grows less than fourfold, relative, in its acos.
template <class T>
inline constexpr T kModerate = T(0.85);

/// Cosines c (count of them, at most 512) to angles in place; a is the row of U, b the first of the
/// rows of V.
template <class T>
void angles_of_cosines(T* c, Index count, const T* a, core::MatrixView<const T> b, Index d) {
  constexpr Index chunk = pairwise::kChunk;
  std::uint32_t beyond = SPHEREMIX_DISPATCH(acos_row<T>)(c, count, kModerate<T>);
  for (Index j = 0; beyond != 0; j += chunk, beyond >>= 1)
    for (Index k = j; (beyond & 1) != 0 && k < (std::min)(count, j + chunk); ++k)
      if (c[k] < 0) c[k] = arc_between(a, b.row(k), d).theta;
}

/// A task packs one block of V and runs over several blocks of U, whose angles are computed while
/// their cosines are in the second cache.
template <class T>
void geodesic_distance_matrix(core::MatrixView<const T> a, core::MatrixView<const T> b,
                              core::MatrixView<T> out) {
  using pairwise::even_tile, pairwise::tiles;
  using pairwise::kRowUnit;
  const double flops = 2.0 * double(a.rows) * double(b.rows) * double(a.cols);
  const int threads = flops < 4e6 ? 1 : core::max_threads();
  const Index width = even_tile(b.rows, pairwise::kPackCols, pairwise::kChunk);
  const Index across = tiles(b.rows, width);
  const Index height =
      even_tile(a.rows,
                std::clamp<Index>(a.rows * across / (4 * threads), pairwise::kLeastProductRows,
                                  pairwise::kMostProductRows),
                kRowUnit);
  const Index down = tiles(a.rows, height);
  core::parallel_for(down * across, threads, [&](Index task, int) {
    // One pair of packing buffers a thread, kept from call to call.
    static thread_local core::Workspace memory;
    core::Workspace::Frame counting;
    (void)pairwise::take_pack<T>(counting);
    auto frame = memory.frame(counting.taken());
    pairwise::PackBuffers<T> pack = pairwise::take_pack<T>(frame);
    const Index first = task % down * height, end = (std::min)(a.rows, first + height);
    const Index j = task / down * width, cols = (std::min)(width, b.rows - j);
    const auto others = b.middle_rows(j, cols);
    for (Index i = first; i < end; i += kRowUnit) {
      const Index rows = (std::min)(kRowUnit, end - i);
      const core::MatrixView<T> here{out.row(i) + j, rows, cols, out.stride};
      pairwise::times_transposed(here, a.middle_rows(i, rows), others, false, pack);
      for (Index r = 0; r < rows; ++r)
        angles_of_cosines(here.row(r), cols, a.row(i + r), others, a.cols);
    }
  });
}

}  // namespace detail

/// The n x m table of angles.
template <class U, class V, class Out>
requires detail::Writable<Out>
void geodesic_distance_matrix(const Eigen::MatrixBase<U>& u, const Eigen::MatrixBase<V>& v,
                              Out&& out) {
  using T = core::Real<U>;
  constexpr auto* name = "geodesic_distance_matrix";
  const core::InputRows<T> a(u), b(v);
  core::expects(u.cols() == v.cols(), name, "U is ", u.rows(), " x ", u.cols(), " but V is ",
                v.rows(), " x ", v.cols());
  core::OutputRows angles(name, "out", out, u.rows(), v.rows());
  core::expects_apart(name, angles.view(), a.view());
  core::expects_apart(name, angles.view(), b.view());
  detail::geodesic_distance_matrix(a.view(), b.view(), angles.view());
  angles.commit();
}

template <class U, class V>
[[nodiscard]] RowMatrix<core::Real<U>> geodesic_distance_matrix(const Eigen::MatrixBase<U>& u,
                                                                const Eigen::MatrixBase<V>& v) {
  RowMatrix<core::Real<U>> out;
  geodesic_distance_matrix(u, v, out);
  return out;
}

}  // namespace spheremix::sphere

// Of spheremix::compiled (core/compiled.hpp).
namespace spheremix::sphere::detail {
#define SPHEREMIX_DISTANCE_MATRIX(T)                                                  \
  void geodesic_distance_matrix(core::MatrixView<const T>, core::MatrixView<const T>, \
                                core::MatrixView<T>)
SPHEREMIX_ELSEWHERE(SPHEREMIX_DISTANCE_MATRIX)
}  // namespace spheremix::sphere::detail
