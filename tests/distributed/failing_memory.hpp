// Memory that runs out on one rank, and how much one takes: malloc of this program is
// failing_memory_test.cpp's.
#pragma once

#include <doctest/doctest.h>

#include "support/thread_ranks.hpp"

namespace spheremix::test {

/// The k-th allocation of this thread from now on fails; none where k < 0. Returns what is left of the
/// last such count: -1 once it has failed.
long fail_allocation(long k);
/// Whether it would: not under a sanitizer.
bool allocations_fail();

/// Bytes that this thread has allocated and not freed, and the most that those have been since they
/// were put to something; zeros where allocations_fail() is false.
struct Weight {
  long now = 0, most = 0;
};
Weight weight();
void put_weight(const Weight& weight);

/// A rank whose k-th allocation within calls of the library fails, and never one of MPI's part.
class ShortOfMemory final : public AnyRank {
 public:
  ShortOfMemory(AnyRank& rank, long k) : rank_(rank), left_(k) {}

  int rank() const override { return rank_.rank(); }
  int size() const override { return rank_.size(); }
  void all_gather(const void* from, void* to, std::size_t bytes) override {
    spared([&] { rank_.all_gather(from, to, bytes); });
  }
  void start(int to, const void* out, std::size_t out_bytes, int from, void* in,
             std::size_t in_bytes) override {
    spared([&] { rank_.start(to, out, out_bytes, from, in, in_bytes); });
  }
  void wait() override {
    spared([&] { rank_.wait(); });
  }
  void around(const std::function<void()>& body) override {
    struct Armed {
      long& left;
      ~Armed() { left = fail_allocation(-1); }
    };
    fail_allocation(left_);
    const Armed armed{left_};
    body();
  }
  bool spoke() const { return spoke_; }

 private:
  template <class Body>
  void spared(const Body& body) {
    spoke_ = true;
    const long left = fail_allocation(-1);
    body();
    fail_allocation(left);
  }

  AnyRank& rank_;
  long left_;
  bool spoke_ = false;
};

/// A rank whose part of the messages weighs nothing.
class WeighedRank final : public AnyRank {
 public:
  explicit WeighedRank(AnyRank& rank) : rank_(rank) {}

  int rank() const override { return rank_.rank(); }
  int size() const override { return rank_.size(); }
  void all_gather(const void* from, void* to, std::size_t bytes) override {
    apart([&] { rank_.all_gather(from, to, bytes); });
  }
  void start(int to, const void* out, std::size_t out_bytes, int from, void* in,
             std::size_t in_bytes) override {
    apart([&] { rank_.start(to, out, out_bytes, from, in, in_bytes); });
  }
  void wait() override {
    apart([&] { rank_.wait(); });
  }

 private:
  template <class Body>
  static void apart(const Body& body) {
    const Weight before = weight();
    body();
    put_weight(before);
  }

  AnyRank& rank_;
};

/// call(rank) on two ranks, each allocation of the second in turn failing: both throw one sentence.
/// `built`: arguments of the call take memory before it begins. Returns how often it failed.
template <class Call>
int check_short_of_memory(bool built, const Call& call) {
  int failures = 0;
  for (long k = 0; k < 10000; ++k) {
    bool failed = false, before = false;
    const auto errors = on_ranks(2, [&](ThreadRank& rank) {
      if (rank.rank() == 0) return call(rank);
      ShortOfMemory poor(rank, k);
      try {
        call(poor);
      } catch (...) {
        failed = true, before = !poor.spoke();
        throw;
      }
    });
    if (!failed) {
      CHECK(errors[0] == "");
      return failures;
    }
    ++failures;
    if (built && before) continue;
    CAPTURE(k);
    CHECK(errors[1].find(": rank 1 of 2: out of memory") != std::string::npos);
    CHECK(errors[0] == errors[1]);
  }
  FAIL("the allocations have no end");
  return failures;
}

}  // namespace spheremix::test
