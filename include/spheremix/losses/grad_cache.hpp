// Large batches with little memory: encode chunk by chunk, take one loss over all embeddings,
// encode again with gradients.
//
//   pass 1   for each chunk:  E[chunk] = forward(first, count)       nothing is kept but E
//   loss     L and dL/dE of the whole batch                          any loss of this library
//   pass 2   for each chunk:  backward(first, count, dL/dE[chunk])   forward again, then backprop
//
// The gradient of the parameters is that of the full batch: L reaches them through E alone, and the
// chunks' contributions add. The encoder must give the same rows in both passes (same dropout
// draws, no statistics over the batch).
//
//   grad_cache<T>(n, chunk, forward_x, forward_y, loss(X, Y), backward_x, backward_y)   two encoders
//   grad_cache<T>(n, chunk, forward, loss(X), backward)                                 one
//   grad_cache<T>(n, chunk, forward, labels, loss(X, labels), backward)                 and labels
//   grad_cache<T>(n, chunk, forward, Y, loss(X, Y), backward)                           and frozen rows
//
// Frozen rows, an Eigen matrix, get no gradient: let the loss fill a struct without the field y, and
// none is computed. Labels are handed on as they are.
//
// Over several processes the loss takes the communicator; n are the rank's own inputs. Where a rank
// has none, forward(0, 0) still says how wide its rows would be: 0 x d, and backward is not called.
//
// Errors   std::invalid_argument: chunk < 1, n < 0, forward returning another shape, the loss a
//          gradient of other than n rows; n = 0 of one process is the loss's.
// Source   Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited
//          Setup", arXiv 2101.06983.
#pragma once

#include <algorithm>
#include <utility>

#include "spheremix/core/eigen.hpp"

namespace spheremix::losses {

/// Embeddings of n inputs, `chunk` at a time: rows [first, first + count) from
/// forward(first, count), a matrix of `count` rows; of n = 0, forward(0, 0).
template <class T, class Forward>
[[nodiscard]] RowMatrix<T> encode_in_chunks(Index n, Index chunk, Forward&& forward,
                                            const char* function = "encode_in_chunks") {
  core::expects(n >= 0 && chunk >= 1, function, "n is ", n, " and chunk ", chunk);
  RowMatrix<T> all;
  Index first = 0;
  do {
    const Index count = (std::min)(chunk, n - first);
    const RowMatrix<T> rows = forward(first, count);
    core::expects(rows.rows() == count && (first == 0 || rows.cols() == all.cols()), function,
                  "forward gave ", rows.rows(), " x ", rows.cols(), " for ", count, " inputs from ",
                  first);
    if (first == 0) all.resize(n, rows.cols());
    all.middleRows(first, count) = rows;
    first += chunk;
  } while (first < n);
  return all;
}

/// backward(first, count, gradient of those rows) for every chunk.
template <class G, class Backward>
void backward_in_chunks(const Eigen::MatrixBase<G>& gradient, Index chunk, Backward&& backward) {
  core::expects(chunk >= 1, "backward_in_chunks", "chunk is ", chunk);
  for (Index first = 0; first < gradient.rows(); first += chunk) {
    const Index count = (std::min)(chunk, gradient.rows() - first);
    backward(first, count, gradient.derived().middleRows(first, count));
  }
}

namespace detail {
/// The gradient that a loss gave for n rows.
template <class G>
const G& expects_gradient(const char* name, const G& gradient, Index n) {
  core::expects(gradient.rows() == n, "grad_cache", "the loss gave ", name, " of ", gradient.rows(),
                " rows for ", n, " inputs");
  return gradient;
}
}  // namespace detail

/// A loss of two batches over chunked encoders: loss(X, Y) returns a struct with fields x and y
/// (any f_with_gradient of this library). Returns that struct; the encoders have their gradients.
template <class T, class ForwardX, class ForwardY, class Loss, class BackwardX, class BackwardY>
auto grad_cache(Index n, Index chunk, ForwardX&& forward_x, ForwardY&& forward_y, Loss&& loss,
                BackwardX&& backward_x, BackwardY&& backward_y) {
  const RowMatrix<T> x =
      encode_in_chunks<T>(n, chunk, std::forward<ForwardX>(forward_x), "grad_cache");
  const RowMatrix<T> y =
      encode_in_chunks<T>(n, chunk, std::forward<ForwardY>(forward_y), "grad_cache");
  auto result = loss(x, y);
  const auto& dx = detail::expects_gradient("x", result.x, n);
  const auto& dy = detail::expects_gradient("y", result.y, n);
  backward_in_chunks(dx, chunk, std::forward<BackwardX>(backward_x));
  backward_in_chunks(dy, chunk, std::forward<BackwardY>(backward_y));
  return result;
}

/// A loss of one batch: loss(X) returns a struct with the field x.
template <class T, class Forward, class Loss, class Backward>
auto grad_cache(Index n, Index chunk, Forward&& forward, Loss&& loss, Backward&& backward) {
  const RowMatrix<T> x =
      encode_in_chunks<T>(n, chunk, std::forward<Forward>(forward), "grad_cache");
  auto result = loss(x);
  backward_in_chunks(detail::expects_gradient("x", result.x, n), chunk,
                     std::forward<Backward>(backward));
  return result;
}

/// The same with what the loss takes beside X: labels of its rows, or frozen rows.
template <class T, class Forward, class Fixed, class Loss, class Backward>
auto grad_cache(Index n, Index chunk, Forward&& forward, const Fixed& fixed, Loss&& loss,
                Backward&& backward) {
  return grad_cache<T>(
      n, chunk, std::forward<Forward>(forward),
      [&](const RowMatrix<T>& x) { return loss(x, fixed); }, std::forward<Backward>(backward));
}

}  // namespace spheremix::losses
