// The share of a rank (core/share.hpp), by way of a meeting.
#pragma once

#include <vector>

#include "spheremix/core/collectives.hpp"
#include "spheremix/core/share.hpp"
#include "spheremix/core/whole.hpp"
#include "spheremix/core/workspace.hpp"
#include "spheremix/formula/softmax_line.hpp"

namespace spheremix::pairwise {

template <class>  // so that programs without a communicator do not compile it
class ShareOfMeeting final : public core::Share {
 public:
  explicit ShareOfMeeting(core::Meeting& meeting)
      : Share(meeting.ranks().rank(), meeting.ranks().size()), meeting_(meeting) {}

  /// Null on the only rank: one process.
  const core::Share* get() const { return size() > 1 ? this : nullptr; }

  using Share::add;
  void add(double* values, Index count) const override {
    if (count <= core::Record::kNumbers) return meeting_.add(values, count);
    const Index own = last(count) - first(count);
    std::vector<double> other(static_cast<std::size_t>(own));
    meeting_.agree();
    core::for_peers(meeting_.ranks(), [&](int to, int from) {
      send(values, count, to, from, other.data());
      for (Index k = 0; k < own; ++k) values[first(count) + k] += other[std::size_t(k)];
    });
    spread(values, count);
  }
  void merge(float* top, double* sum, Index count) const override { merge_all(top, sum, count); }
  void merge(double* top, double* sum, Index count) const override { merge_all(top, sum, count); }
  using Share::gather;
  void gather(void* data, Index rows, std::size_t (*byte)(const void*, Index),
              const void* of) const override {
    meeting_.agree();
    const auto place = [&](int r) { return byte(of, first(rows, r)); };
    char* const bytes = static_cast<char*>(data);
    const int me = rank();
    core::for_peers(meeting_.ranks(), [&](int to, int from) {
      meeting_.ranks().exchange(to, bytes + place(me), place(me + 1) - place(me), from,
                                bytes + place(from), place(from + 1) - place(from));
    });
  }

 private:
  template <class T>
  void merge_all(T* top, double* sum, Index count) const {
    if (count == 1) {
      meeting_.mine.number[0] = double(*top);
      meeting_.mine.number[1] = *sum;
      meeting_.agree();
      *top = -core::infinity<T>;
      *sum = 0;
      for (int r = 0; r < size(); ++r)
        formula::merge_softmax(*top, *sum, T(meeting_.number(r, 0)), meeting_.number(r, 1));
      return;
    }
    const Index own = last(count) - first(count);
    std::vector<T> other_top(static_cast<std::size_t>(own));
    std::vector<double> other_sum(static_cast<std::size_t>(own));
    meeting_.agree();
    core::for_peers(meeting_.ranks(), [&](int to, int from) {
      send(top, count, to, from, other_top.data());
      send(sum, count, to, from, other_sum.data());
      for (Index k = 0; k < own; ++k)
        formula::merge_softmax(top[first(count) + k], sum[first(count) + k],
                               other_top[std::size_t(k)], other_sum[std::size_t(k)]);
    });
    spread(top, count);
    spread(sum, count);
  }
  /// What rank `to` owns of these to it, and what this rank owns from another.
  template <class U>
  void send(const U* all, Index count, int to, int from, U* own) const {
    const auto bytes = [&](int r) {
      return std::size_t(first(count, r + 1) - first(count, r)) * sizeof(U);
    };
    meeting_.ranks().exchange(to, all + first(count, to), bytes(to), from, own, bytes(rank()));
  }
  /// What each rank owns of these to all.
  template <class U>
  void spread(U* all, Index count) const {
    const auto bytes = [&](int r) {
      return std::size_t(first(count, r + 1) - first(count, r)) * sizeof(U);
    };
    core::for_peers(meeting_.ranks(), [&](int to, int from) {
      meeting_.ranks().exchange(to, all + first(count), bytes(rank()), from,
                                all + first(count, from), bytes(from));
    });
  }

  core::Meeting& meeting_;
};

using MeetingShare = ShareOfMeeting<void>;

/// A workspace whose calls compute a share, for as long as this lives.
class OnShare {
 public:
  OnShare(core::Workspace& workspace, const core::Share* share) : workspace_(workspace) {
    workspace.work_on(share);
  }
  ~OnShare() { workspace_.work_on(nullptr); }
  OnShare(const OnShare&) = delete;
  OnShare& operator=(const OnShare&) = delete;

 private:
  core::Workspace& workspace_;
};

/// Calls call(meeting, share, all...) on every rank with the arguments of all ranks; share is null
/// where there is one rank. memory: as core::over_whole has it.
template <class World, class Options, class Call, class... Arguments>
void over_shares(const char* function, World& world, const Options& options,
                 core::Workspace* memory, const Call& call, const Arguments&... arguments) {
  core::over_whole(
      function, world, options, memory,
      [&](core::Meeting& meeting, auto&... all) {
        const MeetingShare share(meeting);
        call(meeting, share.get(), all...);
      },
      arguments...);
}

/// What call(share, all...) returns, the same on every rank.
template <class World, class Options, class Call, class... Arguments>
auto value_of_shares(const char* function, World& world, const Options& options, const Call& call,
                     const Arguments&... arguments) {
  std::optional<decltype(call(
      nullptr, core::detail::whole_of(std::declval<core::Meeting&>(), 0, arguments).all()...))>
      value;
  over_shares(
      function, world, options, nullptr,
      [&](core::Meeting&, const core::Share* share, auto&... all) {
        value.emplace(call(share, all...));
      },
      arguments...);
  return *std::move(value);
}

/// Batch k's gradient of the whole batch, or a share's part of it, to `out`: this rank's rows.
template <class Matrix, class All>
void put_rows_across(core::Meeting& meeting, const core::Share* share, int k, const char* name,
                     Matrix& out, const All& all) {
  if (!share) return core::put_own_rows(meeting, k, name, out, all);
  using T = typename Matrix::Scalar;
  const Index own = meeting.count(k, share->rank()), d = all.cols();
  core::OutputRows<Matrix> to(meeting.function(), name, out, own, d);
  std::vector<T> others;
  std::vector<T>& other =
      meeting.memory ? meeting.memory->kept<std::vector<T>>(core::Record::kBatches + 1) : others;
  other.resize(std::size_t(own * d));
  meeting.agree();
  core::reduce_scatter_rows<T>(meeting, k, {all.data(), all.rows(), d, d}, to.view(), other.data());
  to.commit();
}

}  // namespace spheremix::pairwise
