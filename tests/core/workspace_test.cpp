#include "spheremix/core/workspace.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>

using namespace spheremix;
using core::Workspace;

TEST_CASE("a frame hands out aligned, disjoint arrays and refuses more than was reserved") {
  Workspace workspace;
  const std::size_t bytes = Workspace::bytes_for<float>(3) + Workspace::bytes_for<double>(100) +
                            Workspace::bytes_for<char>(1);
  CHECK(bytes == 64 + 832 + 64);
  auto frame = workspace.frame(bytes);
  float* a = frame.take<float>(3);
  double* b = frame.take<double>(100);
  CHECK(frame.taken() == bytes - 64);
  char* c = frame.take<char>(1);
  CHECK(frame.taken() == bytes);
  for (const void* p : {static_cast<void*>(a), static_cast<void*>(b), static_cast<void*>(c)})
    CHECK(reinterpret_cast<std::uintptr_t>(p) % Workspace::alignment == 0);
  CHECK(static_cast<void*>(b) >= static_cast<void*>(a + 3));
  CHECK(static_cast<void*>(c) >= static_cast<void*>(b + 100));
  CHECK_THROWS_AS((void)frame.take<char>(1), std::bad_alloc);
}

namespace {
struct Arrays {
  float* a;
  double* b;

  Arrays(std::size_t n, bool second, Workspace::Frame& frame)
      : a(frame.take<float>(n)), b(second ? frame.take<double>(n) : nullptr) {}
};
}  // namespace

TEST_CASE("what a constructor takes is counted by a frame without memory") {
  Workspace::Frame counting;
  CHECK(counting.counts());
  CHECK(counting.take<float>(1000) == nullptr);
  CHECK(counting.taken() == 4032);
  CHECK(core::bytes_of<Arrays>(std::size_t(17), false) == 128);
  const std::size_t bytes = core::bytes_of<Arrays>(std::size_t(17), true);
  CHECK(bytes == 128 + 192);
  Workspace workspace;
  auto frame = workspace.frame(bytes);
  CHECK_FALSE(frame.counts());
  CHECK(Arrays(17, true, frame).b != nullptr);
  CHECK(frame.taken() == bytes);
  auto small = workspace.frame(bytes - 1);
  CHECK_THROWS_AS((void)Arrays(17, true, small), std::bad_alloc);
  auto none = workspace.frame(0);  // no memory is not a frame that counts
  CHECK_THROWS_AS((void)none.take<char>(1), std::bad_alloc);
  CHECK(core::budget_left(10, 4) == 6);
  CHECK(core::budget_left(4, 10) == 0);
}

TEST_CASE("memory is kept from call to call and grows only when it must") {
  Workspace workspace;
  CHECK(workspace.capacity() == 0);
  const void* first = workspace.frame(4096).take<char>(1);
  CHECK(workspace.capacity() == 4096);
  CHECK(workspace.frame(4096).take<char>(1) == first);
  CHECK(workspace.frame(64).take<char>(1) == first);
  CHECK(workspace.capacity() == 4096);
  (void)workspace.frame(8192);
  CHECK(workspace.capacity() == 8192);
  workspace.release();
  CHECK(workspace.capacity() == 0);
  CHECK_NOTHROW((void)workspace.frame(0));
}

TEST_CASE("large blocks lie on large pages, and the system is asked for such") {
  constexpr std::size_t page = std::size_t(2) << 20;
  Workspace large, small;
  char* const block = large.frame(3 * page + 64).take<char>(1);
  CHECK(large.capacity() == 3 * page + 64);
  CHECK(reinterpret_cast<std::uintptr_t>(block) % page == 0);
  (void)small.frame(page - 64);
  std::swap(large, small);  // each block is freed with the alignment it was made with
  CHECK(small.capacity() == 3 * page + 64);
#if defined(__linux__)
  std::string line;
  if (!std::ifstream("/sys/kernel/mm/transparent_hugepage/enabled") ||
      !std::getline(std::ifstream("/proc/self/smaps"), line)) {
    std::printf("skipped: whether large pages are asked for; this system does not tell\n");
    return;
  }
  std::ifstream maps("/proc/self/smaps");
  unsigned long from = 0, to = 0, here = reinterpret_cast<std::uintptr_t>(block + page);
  std::string flags;
  while (flags.empty() && std::getline(maps, line))
    if (std::sscanf(line.c_str(), "%lx-%lx ", &from, &to) != 2 && from <= here && here < to &&
        line.starts_with("VmFlags:"))
      flags = line + " ";
  CHECK(flags.find(" hg ") != std::string::npos);
#endif
}

// AddressSanitizer aborts instead of refusing.
#if defined(__SANITIZE_ADDRESS__)
#define SPHEREMIX_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SPHEREMIX_SANITIZED
#endif
#endif
#if !defined(SPHEREMIX_SANITIZED)
TEST_CASE("a refused allocation leaves an empty, usable workspace") {
  Workspace workspace;
  (void)workspace.frame(128);
  CHECK_THROWS_AS((void)workspace.frame(std::size_t(1) << 62), std::bad_alloc);
  CHECK(workspace.capacity() == 0);
  CHECK_NOTHROW((void)workspace.frame(128));
}
#endif

TEST_CASE("a workspace can be moved") {
  Workspace workspace;
  const void* first = workspace.frame(256).take<char>(1);
  Workspace other = std::move(workspace);
  CHECK(other.frame(256).take<char>(1) == first);
  // What is left behind must not claim the memory that went away.
  CHECK(workspace.frame(256).take<char>(1) != nullptr);
}
