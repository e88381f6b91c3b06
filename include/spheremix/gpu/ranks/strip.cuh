// A strip of the table a rank: its own rows against those of all, n x N. Between the sweeps of a
// loss, on the stream (a = (W - 1) / W, bytes that a rank sends for a table of N columns):
//
//   rows of the other side   gathered as tiles read them         a N d s, s = 2 at Precision::fast
//   statistics of columns    merged at their owners (merge.cuh), 8 a N
//                            and what these made of them given to all   8 a N
//   dY                       partial gradients to the owners     4 a N d, f32
//   sums                     8 (W - 1) each
//
// Numbers are f32 (f64 for double rows: twice the bytes). Everything is added in the order of the
// ranks by kernels of ours. A rank without rows sends nothing but takes part in every step.
// Memory   2 N d gradients and N d operands besides what one GPU takes.
#pragma once

#include "spheremix/gpu/pairwise/one_sweep.cuh"
#include "spheremix/gpu/ranks/alone.cuh"
#include "spheremix/gpu/ranks/layout.cuh"
#include "spheremix/gpu/ranks/sums.cuh"

namespace spheremix::gpu {

/// What alone.cuh says, over the ranks of `world`.
template <Communicator World>
class Strip {
 public:
  static constexpr bool kAlone = false;

  Strip(const Layout& layout, World& world, bool gradient)
      : layout_(layout),
        world_(world),
        rank_(world.rank()),
        own_(layout.rows_of(rank_)),
        gradient_(gradient) {}

  Index first() const { return layout_.first(rank_); }
  Index total(Index) const { return layout_.total(); }
  bool gradient(const void*) const { return gradient_; }

  template <class Tile, class T>
  pairwise::Operands<Tile> operands(Work& work, const core::MatrixView<const T>& x,
                                    const core::MatrixView<const T>& y) const {
    const auto anchors = pairwise::make_operand<Tile>(work, x);
    return {anchors, keys<Tile>(work, y)};
  }
  template <class Tile, class T>
  core::MatrixView<const typename Tile::Input> keys(Work& work,
                                                    const core::MatrixView<const T>& rows) const {
    const auto to = pairwise::take_operand<Tile>(work, layout_.total(), rows.cols);
    pairwise::copy_rows(work, rows, own(to, own_));
    all(work, to);
    return to;
  }
  /// This rank's rows of those of all.
  template <class Row>
  core::MatrixView<Row> own(const core::MatrixView<Row>& of, Index) const {
    return of.middle_rows(first(), own_);
  }
  /// Every rank's own rows to all; no space between them.
  template <class Row>
  void all(Work& work, const core::MatrixView<Row>& rows) const {
    gather(work, rows.row(first()), rows.data, rows.cols);
  }

  /// Statistics of all columns; nothing yet where they are added to (`go_on`).
  template <class Pair>
  Pair* columns(Work& work, Pair*, bool go_on) const {
    const Index n = layout_.total();
    Pair* const of = work.take<Pair>(n);
    using Number = decltype(Pair{}.a);
    if (go_on)
      pairwise::fill(work, core::MatrixView<Pair>{of, n, 1, 1}, Pair{-core::infinity<Number>, 0});
    return of;
  }
  /// The ranks' statistics of the own columns to `merged`, or added to what is there.
  template <class Pair>
  void merge(Work& work, const Pair* of, Pair* merged, bool go_on) const {
    if (!of) return;
    const Work::Part part(work);
    Pair* const parts = to_owners(work, of, 1, true);
    pairwise::MergeKernel<decltype(Pair{}.a), 1> kernel{};
    kernel.side[0] = {parts, own_, layout_.parts(), merged, !go_on};
    pairwise::start(work, kernel, kernel.blocks());
  }
  template <class Pair>
  void share(Work& work, const Pair* mine, Pair* of) const {
    if (of) gather(work, mine, of, 1);
  }

  template <class T>
  core::MatrixView<T> parts(Work& work, const core::MatrixView<T>&) const {
    const Index n = layout_.total(), d = layout_.cols();
    return {work.take<T>(n * d), n, d, d};
  }
  /// to = the sum of the ranks' gradients of the own rows, or that added to `to`.
  template <class T>
  void add_parts(Work& work, const core::MatrixView<T>& of, const core::MatrixView<T>& to,
                 bool add) const {
    const Work::Part part(work);
    using Kernel = AddPartsKernel<T>;
    const T* const from = to_owners(work, of.data, of.cols, false);
    pairwise::start(work,
                    Kernel{from, own(of, own_), layout_.parts(), layout_.part(rank_), to, add},
                    pairwise::ceil_div(own_, Kernel::kRowsEach));
  }

  void sums(Work& work, const pairwise::ReduceKernel& reduce, Index count) const {
    const Work::Part part(work);
    double* const of = work.take<double>(layout_.size() * kSums);
    double* const own = of + rank_ * kSums;
    pairwise::ReduceKernel mine{};
    for (int k = 0; k < kSums; ++k) {
      if (k < count && own_ > 0) mine.sum[k] = reduce.sum[k];
      mine.sum[k].out = own + k;
      mine.sum[k].accumulate = false;
    }
    pairwise::start(work, mine, kSums);
    work.then([&](cudaStream_t) { return world_.all_gather(own, of, kSums * sizeof(double)); });
    pairwise::start(work, AddSumsKernel{of, layout_.size(), int(count), reduce}, 1);
  }
  /// One number a rank for `count` of this one.
  Alone::Partials partials(Work& work, const double* data, Index count) const {
    double* const of = work.take<double>(layout_.size());
    pairwise::ReduceKernel mine{};
    mine.sum[0] = {data, own_ > 0 ? count : 0, 1, of + rank_};
    pairwise::start(work, mine, 1);
    work.then([&](cudaStream_t) { return world_.all_gather(of + rank_, of, sizeof(double)); });
    return {of, layout_.size()};
  }

 private:
  static constexpr int kSums = AddSumsKernel::kSums;  // what every rank gives, asked for or not

  /// Of rank r's rows of `width` values.
  template <class Value>
  std::size_t bytes_of(int r, Index width) const {
    return std::size_t(layout_.rows_of(r) * width) * sizeof(Value);
  }
  /// `mine`, own rows of `width` values, to their place in `of` on every rank.
  template <class Value>
  void gather(Work& work, const Value* mine, Value* of, Index width) const {
    const auto bytes = [&](int r) { return bytes_of<Value>(r, width); };
    Value* const place = of + first() * width;
    work.then([&](cudaStream_t stream) {
      if (layout_.even()) return world_.all_gather(mine, of, bytes(rank_));
      if (mine != place && own_ > 0)
        if (const Status status = status_of(
                cudaMemcpyAsync(place, mine, bytes(rank_), cudaMemcpyDeviceToDevice, stream));
            !status)
          return status;
      return world_.exchange(
          [&](int) {
            return Outgoing{mine, bytes(rank_)};
          },
          [&](int r) {
            return Incoming{of + layout_.first(r) * width, bytes(r)};
          });
    });
  }
  /// The ranks' values of the own rows, in their order, own_ x width each; the own ones too if
  /// `whole`, else their place is left as it is.
  template <class Value>
  Value* to_owners(Work& work, const Value* of, Index width, bool whole) const {
    const auto bytes = [&](int r) { return bytes_of<Value>(r, width); };
    const Index size = own_ * width;
    Value* const parts = work.take<Value>(layout_.parts() * size);
    const auto place = [&](int r) { return parts + layout_.part(r) * size; };
    work.then([&](cudaStream_t stream) {
      if (whole && size > 0)
        if (const Status status =
                status_of(cudaMemcpyAsync(place(rank_), of + first() * width, bytes(rank_),
                                          cudaMemcpyDeviceToDevice, stream));
            !status)
          return status;
      return world_.exchange(
          [&](int r) {
            return Outgoing{of + layout_.first(r) * width, own_ > 0 ? bytes(r) : 0};
          },
          [&](int r) {
            return Incoming{place(r), layout_.rows_of(r) > 0 ? bytes(rank_) : 0};
          });
    });
    return parts;
  }

  const Layout& layout_;
  World& world_;
  int rank_;
  Index own_;
  bool gradient_;
};

/// What is wrong with a block of this rank, which may have no rows.
template <class T, Communicator World>
const char* block_error(const Layout& layout, const World& world,
                        const core::MatrixView<const T>& x) {
  if (layout.size() != world.size()) return "the layout is of another number of ranks";
  if (x.rows != layout.rows_of(world.rank()) || x.cols != layout.cols())
    return "a block has another shape than its layout says";
  if (x.rows > 0 && !x.data) return "a block is a null pointer";
  return x.rows > 0 && x.stride < x.cols ? "a stride is less than the columns" : nullptr;
}

}  // namespace spheremix::gpu
