// A fiber: a function on a stack of its own that runs until it gives control back. One CUDA thread
// of the block emulator is one fiber. On x86-64 a switch saves the six registers that a call
// preserves and swaps the stack pointer (a few nanoseconds); elsewhere ucontext does it with a
// system call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#if defined(__SANITIZE_ADDRESS__)
#define SPHEREMIX_EMULATOR_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SPHEREMIX_EMULATOR_ASAN 1
#endif
#endif
#if defined(SPHEREMIX_EMULATOR_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace emulator {

#if defined(__x86_64__)
/// Saves the caller's stack pointer in *save and continues on `load`.
[[gnu::naked, gnu::noinline]] inline void switch_stack([[maybe_unused]] void** save,
                                                       [[maybe_unused]] void* load) {
  asm volatile(
      "pushq %rbp\n pushq %rbx\n pushq %r12\n pushq %r13\n pushq %r14\n pushq %r15\n"
      "movq %rsp, (%rdi)\n movq %rsi, %rsp\n"
      "popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rbx\n popq %rbp\n ret\n");
}
#endif

class Fiber {
 public:
#if defined(SPHEREMIX_EMULATOR_ASAN)
  static constexpr std::size_t stack_bytes = 256 << 10;
#else
  static constexpr std::size_t stack_bytes = 128 << 10;
#endif

  /// Makes the fiber ready to run entry() from its start. entry must end with finish(), never
  /// return.
  void prepare(void (*entry)()) {
    if (!stack_) stack_.reset(new char[stack_bytes]);
#if defined(SPHEREMIX_EMULATOR_ASAN)
    __asan_unpoison_memory_region(stack_.get(),
                                  stack_bytes);  // the last run left without unwinding
#endif
#if defined(__x86_64__)
    auto top = reinterpret_cast<std::uintptr_t>(stack_.get() + stack_bytes) & ~std::uintptr_t(15);
    auto* at = reinterpret_cast<void**>(top);
    *--at = nullptr;  // where a return address would be: keeps entry's stack 16-byte aligned
    *--at = reinterpret_cast<void*>(entry);
    for (int i = 0; i < 6; ++i) *--at = nullptr;
    pointer_ = at;
#else
    getcontext(&own_);
    own_.uc_stack.ss_sp = stack_.get();
    own_.uc_stack.ss_size = stack_bytes;
    own_.uc_link = nullptr;
    makecontext(&own_, entry, 0);
#endif
  }

  /// From the scheduler: runs the fiber until it yields or finishes.
  void resume() {
#if defined(SPHEREMIX_EMULATOR_ASAN)
    __sanitizer_start_switch_fiber(&scheduler_fake_, stack_.get(), stack_bytes);
#endif
#if defined(__x86_64__)
    switch_stack(&scheduler_, pointer_);
#else
    swapcontext(&scheduler_, &own_);
#endif
#if defined(SPHEREMIX_EMULATOR_ASAN)
    __sanitizer_finish_switch_fiber(scheduler_fake_, nullptr, nullptr);
#endif
  }

  /// First thing in entry().
  void started() {
#if defined(SPHEREMIX_EMULATOR_ASAN)
    __sanitizer_finish_switch_fiber(nullptr, &scheduler_bottom_, &scheduler_size_);
#endif
  }

  /// From the fiber: back to the scheduler, until resumed.
  void yield() { leave(false); }

  /// From the fiber: back to the scheduler for good.
  void finish() { leave(true); }

 private:
  void leave([[maybe_unused]] bool for_good) {
#if defined(SPHEREMIX_EMULATOR_ASAN)
    __sanitizer_start_switch_fiber(for_good ? nullptr : &own_fake_, scheduler_bottom_,
                                   scheduler_size_);
#endif
#if defined(__x86_64__)
    switch_stack(&pointer_, scheduler_);
#else
    swapcontext(&own_, &scheduler_);
#endif
#if defined(SPHEREMIX_EMULATOR_ASAN)
    __sanitizer_finish_switch_fiber(own_fake_, &scheduler_bottom_, &scheduler_size_);
#endif
  }

  std::unique_ptr<char[]> stack_;
#if defined(__x86_64__)
  void* pointer_ = nullptr;
  inline static void* scheduler_ = nullptr;
#else
  ucontext_t own_;
  inline static ucontext_t scheduler_;
#endif
#if defined(SPHEREMIX_EMULATOR_ASAN)
  void* own_fake_ = nullptr;
  inline static void* scheduler_fake_ = nullptr;
  const void* scheduler_bottom_ = nullptr;
  std::size_t scheduler_size_ = 0;
#endif
};

}  // namespace emulator
