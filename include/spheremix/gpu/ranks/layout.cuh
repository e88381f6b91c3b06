// Who owns which rows: agreed once, used by every call with blocks of those sizes.
//
//   rank r owns rows [first(r), first(r + 1)) of total() rows
//
// Making one is collective and waits for the stream; nothing else here does. A new one is needed
// where a block changes its size (the last batch of an epoch).
//
// Errors   std::invalid_argument, with the same sentence on every rank: a negative number of rows,
//          columns that are not those of rank 0, no rows at all. std::runtime_error where CUDA or
//          the backend fails.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "spheremix/gpu/core/matrix.cuh"
#include "spheremix/gpu/ranks/communicator.cuh"

namespace spheremix::gpu {

class Layout {
 public:
  /// This rank has `rows` rows of `cols` columns; collective.
  template <Communicator World>
  Layout(World& world, Index rows, Index cols) : cols_(cols) {
    struct Record {
      std::int64_t rows, cols;
    };
    const std::size_t size = std::size_t(world.size());
    const Record mine{rows, cols};
    std::vector<Record> all(size);
    Memory memory(size * sizeof(Record));
    Record* const there = static_cast<Record*>(memory.data());
    Record* const own = there + world.rank();
    const cudaStream_t stream = world.stream();
    expect(status_of(cudaMemcpyAsync(own, &mine, sizeof mine, cudaMemcpyHostToDevice, stream)));
    expect(world.all_gather(own, there, sizeof mine));
    expect(status_of(
        cudaMemcpyAsync(all.data(), there, size * sizeof mine, cudaMemcpyDeviceToHost, stream)));
    expect(status_of(cudaStreamSynchronize(stream)));
    first_.assign(1, 0);
    for (std::size_t r = 0; r < size; ++r) {
      const Record& record = all[r];
      const auto refuse = [&](const std::string& what) {
        throw std::invalid_argument("Layout: rank " + std::to_string(r) + " of " +
                                    std::to_string(size) + " has " + what);
      };
      if (record.rows < 0) refuse(std::to_string(record.rows) + " rows");
      if (record.cols < 1) refuse(std::to_string(record.cols) + " columns");
      if (record.cols != all[0].cols)
        refuse(std::to_string(record.cols) + " columns where rank 0 has " +
               std::to_string(all[0].cols));
      first_.push_back(first_.back() + Index(record.rows));
      parts_.push_back(parts_.empty() ? 0 : parts_.back() + (rows_of(int(r) - 1) > 0 ? 1 : 0));
      even_ = even_ && record.rows == all[0].rows;
    }
    if (total() == 0) throw std::invalid_argument("Layout: no rank has rows");
  }

  int size() const { return int(first_.size()) - 1; }
  Index first(int r) const { return first_[std::size_t(r)]; }
  Index rows_of(int r) const { return first(r + 1) - first(r); }
  Index total() const { return first_.back(); }
  Index cols() const { return cols_; }
  /// Whether all blocks have the same size.
  bool even() const { return even_; }
  /// Number of ranks before r that have rows: the place of r's part among all parts of a sum.
  int part(int r) const { return parts_[std::size_t(r)]; }
  int parts() const { return part(size() - 1) + (rows_of(size() - 1) > 0 ? 1 : 0); }

 private:
  std::vector<Index> first_;
  std::vector<int> parts_;
  Index cols_;
  bool even_ = true;
};

}  // namespace spheremix::gpu
