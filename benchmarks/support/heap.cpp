#include "support/heap.hpp"

#include <atomic>
#include <cerrno>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace {

std::atomic<std::size_t> now{0}, most{0}, count{0};

}  // namespace

namespace bench::heap {

std::size_t live() { return now; }
std::size_t peak() { return most; }
std::size_t allocations() { return count; }
void reset_peak() { most = now.load(); }

#if defined(__GLIBC__)
bool counted() { return true; }
#else
bool counted() { return false; }
#endif

}  // namespace bench::heap

#if defined(__GLIBC__)

extern "C" {

void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);

}  // extern "C"

namespace {

void* entered(void* p) {
  if (!p) return p;
  ++count;
  const std::size_t size = malloc_usable_size(p), total = now += size;
  for (std::size_t old = most; old < total && !most.compare_exchange_weak(old, total);) {
  }
  return p;
}

void left(void* p) {
  if (p) now -= malloc_usable_size(p);
}

}  // namespace

extern "C" {

void* malloc(std::size_t size) { return entered(__libc_malloc(size)); }
void* calloc(std::size_t n, std::size_t size) { return entered(__libc_calloc(n, size)); }
void* realloc(void* p, std::size_t size) {
  left(p);
  return entered(__libc_realloc(p, size));
}
void* memalign(std::size_t alignment, std::size_t size) {
  return entered(__libc_memalign(alignment, size));
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  return entered(__libc_memalign(alignment, size));
}
int posix_memalign(void** out, std::size_t alignment, std::size_t size) {
  void* p = entered(__libc_memalign(alignment, size));
  if (!p) return ENOMEM;
  *out = p;
  return 0;
}
void free(void* p) {
  left(p);
  __libc_free(p);
}

}  // extern "C"

#endif
