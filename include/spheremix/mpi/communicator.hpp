// Processes of MPI as ranks (core/communicator.hpp), on its C interface.
//
//   int provided = 0;
//   MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
//   {
//     spheremix::mpi::Communicator world(MPI_COMM_WORLD, {.timeout = std::chrono::seconds(60)});
//     const auto g = spheremix::losses::clip_with_gradient(x_mine, y_mine, {.temperature = tau}, world);
//   }
//   MPI_Finalize();
//
// Messages go over a duplicate of the communicator that is given, so they never meet the program's
// own, in pieces of at most 1 GiB. One thread at a time may use it, the one that started MPI.
//
// Errors  mpi::Error where MPI reports a failure or a rank has waited for the timeout. A call that
//         has failed is over for this communicator: all later ones throw, too, and messages of the
//         failed one may still be under way. Save what is needed, then MPI_Abort.
//         Open MPI ends the whole job by itself when a process dies; the timeout is for one that
//         hangs, or that does not come to the call.
#pragma once

// MPI's C interface: the C++ one that came with it once wants a library of its own.
#if !defined(OMPI_SKIP_MPICXX)
#define OMPI_SKIP_MPICXX 1
#endif
#if !defined(MPICH_SKIP_MPICXX)
#define MPICH_SKIP_MPICXX 1
#endif
#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "spheremix/core/checks.hpp"
#include "spheremix/core/communicator.hpp"

namespace spheremix::mpi {

/// MPI failed, or a rank waited longer than the timeout: the communicator is of no more use.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Options {
  std::chrono::milliseconds timeout{0};  ///< of one exchange; 0: waits without end
};

/// Ranks of MPI, on a copy of the communicator given.
class Communicator {
 public:
  /// Collective over `comm`, which stays the caller's.
  explicit Communicator(MPI_Comm comm, const Options& options = {}) : timeout_(options.timeout) {
    int started = 0, ended = 0, level = MPI_THREAD_SINGLE;
    MPI_Initialized(&started);
    MPI_Finalized(&ended);
    core::expects(started && !ended, kName, started ? "MPI has ended" : "MPI has not been started");
    MPI_Query_thread(&level);
    core::expects(level >= MPI_THREAD_FUNNELED, kName,
                  "MPI was started for programs without threads: call MPI_Init_thread with "
                  "MPI_THREAD_FUNNELED in place of MPI_Init");
    core::expects(options.timeout.count() >= 0, kName, "timeout is ", options.timeout.count(),
                  " ms, which must not be negative");
    expects_success(MPI_Comm_dup(comm, &comm_), "MPI_Comm_dup");
    expects_success(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    expects_success(MPI_Comm_rank(comm_, &rank_), "MPI_Comm_rank");
    expects_success(MPI_Comm_size(comm_, &size_), "MPI_Comm_size");
  }
  /// Gives the duplicate back, with the other ranks; not after an error, nor where MPI has ended.
  ~Communicator() {
    int ended = 0;
    MPI_Finalized(&ended);
    if (!ended && !broken_ && std::uncaught_exceptions() == 0) MPI_Comm_free(&comm_);
  }
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  /// Bytes that this rank has sent.
  std::size_t sent() const { return sent_; }

  void all_gather(const void* from, void* to, std::size_t bytes) {
    expects_whole();
    const std::size_t all = bytes * std::size_t(size_);
    if (room_ < all) {
      own_.reset(new char[bytes]);
      gathered_.reset(new char[all]);
      room_ = all;
    }
    std::memcpy(own_.get(), from, bytes);
    requests_.assign(1, MPI_REQUEST_NULL);
    receives_ = 0;
    expects_success(MPI_Iallgather(own_.get(), int(bytes), MPI_BYTE, gathered_.get(), int(bytes),
                                   MPI_BYTE, comm_, requests_.data()),
                    "MPI_Iallgather");
    finish("the other ranks");
    std::memcpy(to, gathered_.get(), all);
    sent_ += bytes * std::size_t(size_ - 1);
  }

  void start(int to, const void* out, std::size_t out_bytes, int from, void* in,
             std::size_t in_bytes) {
    expects_whole();
    from_ = from;
    requests_.clear();
    receives_ = 0;
    for (std::size_t at = 0; at < in_bytes; at += kPiece) {
      requests_.push_back(MPI_REQUEST_NULL);
      expects_success(MPI_Irecv(static_cast<char*>(in) + at, int((std::min)(kPiece, in_bytes - at)),
                                MPI_BYTE, from, kTag, comm_, &requests_.back()),
                      "MPI_Irecv");
    }
    receives_ = requests_.size();
    for (std::size_t at = 0; at < out_bytes; at += kPiece) {
      requests_.push_back(MPI_REQUEST_NULL);
      expects_success(
          MPI_Isend(static_cast<const char*>(out) + at, int((std::min)(kPiece, out_bytes - at)),
                    MPI_BYTE, to, kTag, comm_, &requests_.back()),
          "MPI_Isend");
    }
    sent_ += out_bytes;
  }
  void wait() { finish("rank " + std::to_string(from_)); }

 private:
  static constexpr const char* kName = "mpi::Communicator";
  static constexpr std::size_t kPiece = std::size_t(1) << 30;
  static constexpr int kTag = 1;

  std::string who() const {
    return "mpi: rank " + std::to_string(rank_) + " of " + std::to_string(size_);
  }
  void expects_whole() const {
    if (broken_) throw Error(who() + ": an earlier call has failed, and with it this communicator");
  }
  [[noreturn]] void fail(const std::string& what) {
    broken_ = true;
    // MPI may still write to what it was given: that memory is kept, and receives into the caller's
    // are called off. A collective request cannot be.
    (void)own_.release();
    (void)gathered_.release();
    for (std::size_t k = 0; k < receives_; ++k)
      if (requests_[k] != MPI_REQUEST_NULL) MPI_Cancel(&requests_[k]);
    throw Error(who() + ": " + what);
  }
  void expects_success(int code, const char* call) {
    if (code == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING] = {};
    int length = 0;
    MPI_Error_string(code, text, &length);
    fail(std::string(call) + " failed: " + text);
  }
  void finish(const std::string& whom) {
    if (timeout_.count() == 0) {
      expects_success(MPI_Waitall(int(requests_.size()), requests_.data(), MPI_STATUSES_IGNORE),
                      "MPI_Waitall");
      return;
    }
    const auto deadline = std::chrono::steady_clock::now() + timeout_;
    for (int done = 0;;) {
      expects_success(
          MPI_Testall(int(requests_.size()), requests_.data(), &done, MPI_STATUSES_IGNORE),
          "MPI_Testall");
      if (done) return;
      if (std::chrono::steady_clock::now() > deadline)
        fail("waited " + std::to_string(timeout_.count()) + " ms for " + whom);
      std::this_thread::yield();
    }
  }

  MPI_Comm comm_ = MPI_COMM_NULL;
  std::chrono::milliseconds timeout_;
  int rank_ = 0, size_ = 1, from_ = 0;
  bool broken_ = false;
  std::size_t sent_ = 0, room_ = 0, receives_ = 0;
  std::vector<MPI_Request> requests_;
  std::unique_ptr<char[]> own_, gathered_;
};

static_assert(core::Communicator<Communicator>);

}  // namespace spheremix::mpi
