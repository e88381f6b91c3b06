// Temporary memory that outlives a call: the first call with a given size allocates, later ones
// reuse.
//
// Blocks of 2 MiB and more ask Linux for pages of 2 MiB (madvise; where the system gives none,
// nothing is different): a table and its packed rows are thousands of pages of 4 KiB, more than the
// processor keeps the addresses of. Never more memory than the block.
#pragma once

#include <any>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace spheremix::core {

class Share;

/// A stack of temporary arrays over one grow-only block of memory. Pass the same Workspace to every
/// call of a training loop and nothing is allocated after the first. One thread at a time; the
/// arrays are uninitialised.
class Workspace {
 public:
  static constexpr std::size_t alignment = 64;

  Workspace() = default;
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  Workspace(Workspace&& other) noexcept
      : block_(std::move(other.block_)),
        capacity_(std::exchange(other.capacity_, 0)),
        beside_(std::move(other.beside_)),
        kept_(std::move(other.kept_)) {}
  Workspace& operator=(Workspace&& other) noexcept {
    std::swap(block_, other.block_);
    std::swap(capacity_, other.capacity_);
    std::swap(beside_, other.beside_);
    std::swap(kept_, other.kept_);
    return *this;
  }

  /// Bytes that an array of `count` values of T takes from a frame, rounding included.
  template <class T>
  static constexpr std::size_t bytes_for(std::size_t count) {
    return (count * sizeof(T) + alignment - 1) / alignment * alignment;
  }

  /// Bytes held at present, without what is kept.
  std::size_t capacity() const { return capacity_; }

  /// Gives the memory back.
  void release() {
    block_.reset();
    capacity_ = 0;
    beside_.reset();
    kept_.reset();
  }

  /// The memory of one call: reserved once with its whole size, then handed out piece by piece.
  /// A frame without memory only counts: it hands out null pointers, and taken() says what the same
  /// code takes of one with memory (bytes_of).
  class Frame {
   public:
    Frame() = default;
    Frame(Workspace& workspace, std::size_t bytes)
        : begin_(workspace.reserve(bytes)),
          bytes_(bytes),
          share_(workspace.share_),
          counts_(false) {}

    /// `count` uninitialised values of T, aligned to 64 bytes, valid until the next Frame.
    template <class T>
    T* take(std::size_t count) {
      const std::size_t here = taken_;
      taken_ += bytes_for<T>(count);
      if (counts_) return nullptr;
      if (taken_ > bytes_)
        throw std::bad_alloc();  // a size computed wrongly, never the caller's doing
      return static_cast<T*>(static_cast<void*>(begin_ + here));  // aligned: no -Wcast-align
    }

    /// True for a frame without memory: what it handed out cannot be written to.
    bool counts() const { return counts_; }
    std::size_t taken() const { return taken_; }
    /// Of the workspace; null for a frame that counts.
    const Share* share() const { return share_; }

   private:
    std::byte* begin_ = nullptr;
    std::size_t bytes_ = 0, taken_ = 0;
    const Share* share_ = nullptr;
    bool counts_ = true;
  };

  Frame frame(std::size_t bytes) { return Frame(*this, bytes); }

  /// From now on calls with this workspace compute a share of their rows (core/share.hpp); null: all.
  void work_on(const Share* share) { share_ = share; }
  const Share* share() const { return share_; }

  /// Another workspace that this one owns: for memory that outlives the frames of this one.
  Workspace& beside() {
    if (!beside_) beside_ = std::make_unique<Workspace>();
    return *beside_;
  }

  /// An object that stays from call to call, by number below kKept: it is new in the first, and where
  /// it was of another type.
  static constexpr int kKept = 16;
  template <class Object>
  Object& kept(int number) {
    if (!kept_) kept_ = std::make_unique<std::any[]>(kKept);
    std::any& place = kept_[std::size_t(number)];
    if (Object* const object = std::any_cast<Object>(&place)) return *object;
    return place.emplace<Object>();
  }

 private:
  static constexpr std::size_t kLargePage = std::size_t(2) << 20;

  struct Free {
    std::size_t aligned_to;
    Free() : Free(0) {}
    explicit Free(std::size_t bytes) : aligned_to(bytes < kLargePage ? alignment : kLargePage) {}
    void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t(aligned_to)); }
  };

  std::byte* reserve(std::size_t bytes) {
    if (bytes > capacity_) {
      block_.reset();
      capacity_ = 0;
      const Free free(bytes);
      block_ = {static_cast<std::byte*>(::operator new[](bytes, std::align_val_t(free.aligned_to))),
                free};
      capacity_ = bytes;
#if defined(MADV_HUGEPAGE)
      if (const std::size_t whole = bytes / kLargePage * kLargePage)
        (void)::madvise(block_.get(), whole, MADV_HUGEPAGE);  // a wish
#endif
    }
    return block_.get();
  }

  std::unique_ptr<std::byte[], Free> block_;
  std::size_t capacity_ = 0;
  std::unique_ptr<Workspace> beside_;
  std::unique_ptr<std::any[]> kept_;
  const Share* share_ = nullptr;
};

/// Bytes that Arrays(arguments..., frame) takes: the layout of a call is written once, in the
/// constructor that takes it.
template <class Arrays, class... Arguments>
std::size_t bytes_of(const Arguments&... arguments) {
  Workspace::Frame counting;
  (void)Arrays(arguments..., counting);
  return counting.taken();
}

/// Arrays with memory of their own.
template <class Arrays>
class Owned {
 public:
  template <class... Arguments>
  explicit Owned(const Arguments&... arguments)
      : frame_(workspace_, bytes_of<Arrays>(arguments...)), arrays_(arguments..., frame_) {}
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;

  Arrays& operator*() { return arrays_; }

 private:
  Workspace workspace_;
  Workspace::Frame frame_;
  Arrays arrays_;
};

/// A budget after `bytes` of it are given away; 0 where that is all of it.
inline std::size_t budget_left(std::size_t budget, std::size_t bytes) {
  return budget > bytes ? budget - bytes : 0;
}

}  // namespace spheremix::core
