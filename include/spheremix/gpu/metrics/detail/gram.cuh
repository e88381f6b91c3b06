// The D x D matrix of second moments of a batch, on the device, in double:
//
//   gram = sum_i (x_i - mean) (x_i - mean)^T         mean null: 0
//
// A block sums one 64 x 64 tile on or above the diagonal over one stretch of the rows; stretches are
// added in their order, and the other half is a copy: symmetric to the bit, the same bits every run.
//
// Shapes   X: N x D of any storage type; gram: D x D doubles, packed.
// Cost     N D^2 flops in double on the ordinary units.
// Memory   D^2 doubles a stretch; more than one stretch only within 64 MiB of them.
#pragma once

#include "spheremix/gpu/core/intrinsics.cuh"
#include "spheremix/gpu/core/launch.cuh"
#include "spheremix/gpu/core/view.cuh"
#include "spheremix/gpu/core/work.cuh"
#include "spheremix/gpu/metrics/detail/outer_tile.cuh"

namespace spheremix::gpu::metrics::detail {

inline constexpr int kGramEdge = 64, kGramDepth = 16, kGramPitch = kGramEdge + 1;
inline constexpr int kGramThreads = 256;  ///< 16 x 16, each 4 x 4 moments
inline constexpr std::size_t kGramShared =
    2 * std::size_t(kGramDepth) * kGramPitch * sizeof(double);

/// How many stretches the rows are cut into: blocks enough to fill a device, 256 rows each at least.
inline Index gram_stretches(Index rows, Index cols) {
  const Index tiles = blocks_for(cols, kGramEdge), blocks = tiles * (tiles + 1) / 2;
  const Index wanted = blocks > 0 ? (1024 + blocks - 1) / blocks : 1, most = rows / 256;
  const Index room = cols > 0 ? (Index(64) << 20) / (8 * cols * cols) : 1;
  Index stretches = wanted < most ? wanted : most;
  stretches = stretches < room ? stretches : room;
  return stretches > 1 ? stretches : 1;
}

/// Block (tile, stretch): the moments of columns 64 ti.. and 64 tj.. over one stretch.
template <class T>
__global__ void __launch_bounds__(kGramThreads)
    gram_partials(View<const T> x, const double* mean, Index tiles, Index rows_each, double* out) {
  const Index ti = Index(blockIdx.x) / tiles, tj = Index(blockIdx.x) % tiles;
  if (ti > tj) return;
  double* const left = reinterpret_cast<double*>(shared_memory());
  double* const right = left + kGramDepth * kGramPitch;
  const int tx = int(threadIdx.x) % 16, ty = int(threadIdx.x) / 16;
  const Index first = Index(blockIdx.y) * rows_each;
  const Index last = first + rows_each < x.rows ? first + rows_each : x.rows;
  const auto value = [&](Index i, Index j) {
    return i < last && j < x.cols ? double(widen(x(i, j))) - (mean ? mean[j] : 0.0) : 0.0;
  };
  double sums[4][4] = {};
  for (Index row = first; row < last; row += kGramDepth) {
    SPHEREMIX_UNROLL
    for (int part = 0; part < kGramEdge * kGramDepth / kGramThreads; ++part) {
      const int at = part * kGramThreads + int(threadIdx.x), k = at / kGramEdge,
                column = at % kGramEdge;
      left[k * kGramPitch + column] = value(row + k, ti * kGramEdge + column);
      right[k * kGramPitch + column] = value(row + k, tj * kGramEdge + column);
    }
    block_barrier();  // the rows are there
    add_outer_products<kGramDepth, kGramPitch>(left, right, sums);
    block_barrier();  // the rows are used
  }
  for (int r = 0; r < 4; ++r)
    for (int n = 0; n < 4; ++n) {
      const Index i = ti * kGramEdge + 4 * ty + r, j = tj * kGramEdge + tx + 16 * n;
      if (i > j || j >= x.cols) continue;
      out[(Index(blockIdx.y) * x.cols + i) * x.cols + j] = sums[r][n];
    }
}

/// gram[i][j] = the sum over stretches of the part above the diagonal. `partials` may be `gram`.
template <int Threads>
__global__ void __launch_bounds__(Threads)
    gram_total(const double* partials, Index stretches, Index cols, double* gram) {
  for (Index at = Index(blockIdx.x) * Threads + threadIdx.x; at < cols * cols;
       at += Index(gridDim.x) * Threads) {
    const Index i = at / cols, j = at % cols;
    if (i > j) continue;
    double sum = 0;
    for (Index s = 0; s < stretches; ++s) sum += partials[(s * cols + i) * cols + j];
    gram[i * cols + j] = sum;
    gram[j * cols + i] = sum;
  }
}

/// Enqueues the matrix. X has rows and columns; mean null, or `cols` doubles in device memory.
template <class T>
void second_moments(Work& work, View<const T> x, const double* mean, double* gram) {
  const Work::Part part(work);
  const Index stretches = gram_stretches(x.rows, x.cols), tiles = blocks_for(x.cols, kGramEdge);
  double* const partials = stretches > 1 ? work.take<double>(stretches * x.cols * x.cols) : gram;
  work.launch(gram_partials<T>, dim3(unsigned(tiles * tiles), unsigned(stretches)), kGramThreads,
              kGramShared, x, mean, tiles, (x.rows + stretches - 1) / stretches, partials);
  work.launch(gram_total<256>, blocks_for(x.cols * x.cols, 256), 256, 0, partials, stretches,
              x.cols, gram);
}

}  // namespace spheremix::gpu::metrics::detail
