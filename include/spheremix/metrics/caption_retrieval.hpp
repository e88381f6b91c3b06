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
#include "spheremix/metrics/detail/row_checks.hpp"
#include "spheremix/metrics/detail/whole_rows.hpp"
#include "spheremix/metrics/retrieval.hpp"
#include "spheremix/pairwise/shares.hpp"

namespace spheremix::metrics {

namespace detail {

template <class T>
RetrievalBothResult caption_retrieval(core::MatrixView<const T> images,
                                      core::MatrixView<const T> captions,
                                      const core::Numbers& image_of,
                                      const RetrievalOptions& options, const core::Share* share) {
  constexpr auto* name = "caption_retrieval";
  check_query(name, images, captions);
  image_of.expects_classes(name, "image_of", captions.rows, images.rows);
  const std::vector<Index> owner = image_of.indices();
  expects_counts(name, options.k);
  std::vector<Index> to_text(static_cast<std::size_t>(images.rows)),
      to_image(static_cast<std::size_t>(captions.rows), core::leads(share) ? 1 : 0);
  std::vector<T> own(static_cast<std::size_t>(captions.rows));
  const auto is_own = [&](Index i, Index c) { return owner[std::size_t(c)] == i; };
  for_whole_rows(
      images, captions,
      [&](Index i, T* s) {
        T best = -core::infinity<T>;
        for (Index c = 0; c < captions.rows; ++c)
          if (is_own(i, c)) best = (std::max)(best, s[c]), own[std::size_t(c)] = s[c];
        core::expects(best > -core::infinity<T>, name, "image ", i, " has no caption");
        Index rank = 1;
        for (Index c = 0; c < captions.rows; ++c) rank += !is_own(i, c) && s[c] >= best;
        to_text[std::size_t(i)] = rank;
      },
      share);
  if (share) {
    share->gather(to_text.data(), images.rows);
    // An image's captions have its products, the others none.
    std::vector<double> sum(std::size_t(captions.rows));
    for (Index c = 0; c < captions.rows; ++c) sum[std::size_t(c)] = double(own[std::size_t(c)]);
    share->add(sum.data(), captions.rows);
    for (Index c = 0; c < captions.rows; ++c) own[std::size_t(c)] = T(sum[std::size_t(c)]);
  }
  // The same products again, bit for bit, now that every caption knows its own image's.
  for_whole_rows(
      images, captions,
      [&](Index i, T* s) {
        for (Index c = 0; c < captions.rows; ++c)
          if (!is_own(i, c) && s[c] >= own[std::size_t(c)])
            std::atomic_ref<Index>(to_image[std::size_t(c)])
                .fetch_add(1, std::memory_order_relaxed);
      },
      share);
  if (share) share->add(to_image.data(), captions.rows);
  return {summary_of(to_text, options.k), summary_of(to_image, options.k)};
}

}  // namespace detail

/// x_to_y: images ask, captions answer; y_to_x: captions ask.
template <class X, class Y>
[[nodiscard]] RetrievalBothResult caption_retrieval(const Eigen::MatrixBase<X>& x,
                                                    const Eigen::MatrixBase<Y>& y,
                                                    const core::Numbers& image_of,
                                                    const RetrievalOptions& options = {}) {
  using T = core::Real<X>;
  const core::InputRows<T> rows_x(x), rows_y(y);
  return detail::caption_retrieval(rows_x.view(), rows_y.view(), image_of, options, nullptr);
}

/// Over several processes: of the rows of all ranks, the same on every rank. image_of: of this
/// rank's captions, row numbers in the whole of X.
template <class X, class Y, core::Communicator World>
[[nodiscard]] RetrievalBothResult caption_retrieval(const Eigen::MatrixBase<X>& x,
                                                    const Eigen::MatrixBase<Y>& y,
                                                    const core::Numbers& image_of,
                                                    const RetrievalOptions& options, World& world) {
  using T = core::Real<X>;
  return pairwise::value_of_shares(
      "caption_retrieval", world, core::listed(options.k),
      [&](const core::Share* share, const RowMatrix<T>& all_x, const RowMatrix<T>& all_y,
          const core::Numbers& all_image_of) {
        return detail::caption_retrieval(core::rows_of(all_x), core::rows_of(all_y), all_image_of,
                                         options, share);
      },
      x, y, core::paired(image_of, 1));
}

}  // namespace spheremix::metrics
