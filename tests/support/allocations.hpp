// malloc and its kin are replaced in a program whose one file includes this: they count, weigh, and
// fail at a chosen call. Not under a sanitizer, which replaces them itself, not without glibc, and
// not where that is linked statically (SPHEREMIX_STATIC_LIBC): there SPHEREMIX_COUNTS_ALLOCATIONS
// is not defined.
#pragma once

#include <cstdlib>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SPHEREMIX_SANITIZED
#endif
#endif
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && \
    !defined(SPHEREMIX_SANITIZED) && !defined(SPHEREMIX_STATIC_LIBC)
#define SPHEREMIX_COUNTS_ALLOCATIONS

#include <malloc.h>

#include <atomic>

namespace {

std::atomic<long> allocations{0};
std::atomic<long> fail_at{-1};  // number of the allocation that fails, counted from now; -1: none
std::atomic<long> alive{0};
thread_local long fail_mine = -1;  // the same, of this thread's allocations
/// Bytes that this thread has allocated and not freed, and the most of them.
thread_local long held = 0, most_held = 0;

/// True when the allocation at hand is the one chosen to fail.
bool fails() {
  ++allocations;
  if (fail_mine >= 0 && fail_mine-- == 0) return true;
  return fail_at >= 0 && fail_at-- == 0;
}
/// Sizes of this thread's blocks that begin at a large page: malloc counts the rest of their last
/// one, too.
struct Sized {
  void* at = nullptr;
  long bytes = 0;
};
thread_local Sized of_large_pages[32];

long bytes_at(void* p) {
  for (const Sized& one : of_large_pages)
    if (one.at == p) return one.bytes;
  return long(malloc_usable_size(p));
}
void weigh(long bytes) {
  held += bytes;
  if (held > most_held) most_held = held;
}
void* counted(void* p) {
  if (p) ++alive, weigh(bytes_at(p));
  return p;
}
void* counted(void* p, std::size_t alignment, std::size_t bytes) {
  if (p && alignment >= 4096)
    for (Sized& one : of_large_pages)
      if (!one.at) {
        one = {p, long(bytes)};
        break;
      }
  return counted(p);
}

}  // namespace

// glibc's own names of the functions that stand behind malloc and operator new.
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);

void* malloc(std::size_t n) noexcept { return fails() ? nullptr : counted(__libc_malloc(n)); }
void* calloc(std::size_t n, std::size_t size) noexcept {
  return fails() ? nullptr : counted(__libc_calloc(n, size));
}
void* realloc(void* p, std::size_t n) noexcept {
  if (!p) return malloc(n);
  const long before = long(malloc_usable_size(p));
  void* const q = __libc_realloc(p, n);
  if (q) weigh(long(malloc_usable_size(q)) - before);
  return q;
}
void* memalign(std::size_t a, std::size_t n) noexcept {
  return fails() ? nullptr : counted(__libc_memalign(a, n), a, n);
}
void* aligned_alloc(std::size_t a, std::size_t n) noexcept { return memalign(a, n); }
int posix_memalign(void** p, std::size_t a, std::size_t n) noexcept {
  return (*p = memalign(a, n)) ? 0 : 12;
}
void free(void* p) noexcept {
  if (p) {
    --alive;
    weigh(-bytes_at(p));
    for (Sized& one : of_large_pages)
      if (one.at == p) one = {};
  }
  __libc_free(p);
}
}

namespace {

/// Runs `body` `times` + 1 times and returns what the last allocated.
template <class Body>
long allocations_after(int times, const Body& body) {
  for (int k = 0; k < times; ++k) body();
  const long before = allocations;
  body();
  return allocations - before;
}

}  // namespace

#endif
