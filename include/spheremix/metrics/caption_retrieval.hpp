// Retrieval where an image has several captions.
//
//   image to text   rank_i = 1 + #{ captions c of other images :
//                                   x_i . y_c >= max over own captions }
//   text to image   rank_c = 1 + #{ other images j : x_j . y_c >= x_image(c) . y_c }
//
// Ties count against, as in retrieval. One caption each, in order: retrieval_both.
//
// Shapes   X: N x d images, Y: M x d captions, image_of: the image of each caption; every image
//          needs one.
// Errors   widths, image_of outside [0, N), an image without a caption, k < 1, a row with NaN or
//          infinity (named): std::invalid_argument.
// Cost     2 N M d flops; memory O(N + M).
#pragma once

#include "spheremix/core/numbers.hpp"
#include "spheremix/core/whole.hpp"
#include "spheremix/metrics/detail/whole_rows.hpp"
#include "spheremix/metrics/retrieval.hpp"

namespace spheremix::metrics {

/// x_to_y: images ask, captions answer; y_to_x: captions ask.
template <class X, class Y>
[[nodiscard]] RetrievalBothResult caption_retrieval(const Eigen::MatrixBase<X>& x,
                                                    const Eigen::MatrixBase<Y>& y,
                                                    const core::Numbers& image_of,
                                                    const RetrievalOptions& options = {}) {
  using T = core::Real<X>;
  constexpr auto* name = "caption_retrieval";
  const core::InputRows<T> rows_x(x), rows_y(y);
  const auto images = rows_x.view(), captions = rows_y.view();
  detail::check_query(name, images, captions);
  image_of.expects_classes(name, "image_of", captions.rows, images.rows);
  const std::vector<Index> owner = image_of.indices();
  detail::expects_counts(name, options.k);
  std::vector<Index> to_text(static_cast<std::size_t>(images.rows)),
      to_image(static_cast<std::size_t>(captions.rows), 1);
  std::vector<T> own(static_cast<std::size_t>(captions.rows));
  const auto is_own = [&](Index i, Index c) { return owner[std::size_t(c)] == i; };
  detail::for_whole_rows(images, captions, [&](Index i, T* s) {
    T best = -core::infinity<T>;
    for (Index c = 0; c < captions.rows; ++c)
      if (is_own(i, c)) best = (std::max)(best, s[c]), own[std::size_t(c)] = s[c];
    core::expects(best > -core::infinity<T>, name, "image ", i, " has no caption");
    Index rank = 1;
    for (Index c = 0; c < captions.rows; ++c) rank += !is_own(i, c) && s[c] >= best;
    to_text[std::size_t(i)] = rank;
  });
  // The same products again, bit for bit, now that every caption knows its own image's.
  detail::for_whole_rows(images, captions, [&](Index i, T* s) {
    for (Index c = 0; c < captions.rows; ++c)
      if (!is_own(i, c) && s[c] >= own[std::size_t(c)])
        std::atomic_ref<Index>(to_image[std::size_t(c)]).fetch_add(1, std::memory_order_relaxed);
  });
  return {detail::summary_of(to_text, options.k), detail::summary_of(to_image, options.k)};
}

/// Over several processes: of the rows of all ranks, the same on every rank. image_of: of this
/// rank's captions, row numbers in the whole of X.
template <class X, class Y, core::Communicator World>
[[nodiscard]] RetrievalBothResult caption_retrieval(const Eigen::MatrixBase<X>& x,
                                                    const Eigen::MatrixBase<Y>& y,
                                                    const core::Numbers& image_of,
                                                    const RetrievalOptions& options, World& world) {
  return core::value_of_whole(
      "caption_retrieval", world, core::listed(options.k),
      [&](const auto&... all) { return caption_retrieval(all..., options); }, x, y,
      core::paired(image_of, 1));
}

}  // namespace spheremix::metrics
