// Losses over W ranks, threads of this process, against one process.
#pragma once

#include <doctest/doctest.h>

#include "distributed/loss_ranks.hpp"

namespace spheremix::test {

template <class T>
std::vector<std::vector<double>> run_ranks(const LossCase<T>& c, const LossCall<T>& call, int size,
                                           Cut cut, double& off, const ThreadOptions& options = {},
                                           std::size_t* sent = nullptr) {
  const Index n = call.batches[0].rows();
  const std::vector<Index> first = blocks(n, size, cut);
  const LossOutcome<T> one = c.gradient(call);
  const double value = c.value(call);
  std::vector<std::vector<double>> bits(static_cast<std::size_t>(size));
  std::vector<double> offs(static_cast<std::size_t>(size));
  const auto errors = on_ranks(
      size,
      [&](ThreadRank& rank) {
        const std::size_t r = std::size_t(rank.rank());
        const Index at = first[r], count = first[r + 1] - at;
        core::Workspace workspace;
        const LossCall<T> part = call.part(at, count);
        const LossOutcome<T> mine = c.across(part, workspace, rank);
        if (sent && r == 0) *sent = rank.sent();
        bits[r] = bits_of(mine);
        offs[r] = (std::max)(off_one_process(mine, one, at, count),
                             apart(c.value_across(part, rank), value));
      },
      options);
  off = 0;
  for (std::size_t r = 0; r < errors.size(); ++r) {
    CAPTURE(r);
    CHECK(errors[r] == "");
    off = (std::max)(off, offs[r]);
  }
  return bits;
}

template <class T>
void check_one_process(const std::vector<LossCase<T>>& losses, double within) {
  for (const LossCase<T>& c : losses) {
    const std::string name = c.name;
    CAPTURE(name);
    for (const Index n : {2, 3, 37}) {
      const LossCall<T> call(c.batches, n, 5);
      for (const int size : {1, 2, 3, 4, 5})
        for (const Cut cut : kCuts) {
          if (size == 1 && cut != Cut::even) continue;
          CAPTURE(n);
          CAPTURE(size);
          CAPTURE(int(cut));
          double off = -1;
          run_ranks(c, call, size, cut, off);
          CHECK(off <= (size == 1 ? 0 : within));
        }
    }
  }
}

}  // namespace spheremix::test
