// Progress on standard error: one rewritten line with rate and time left on a terminal, whole lines
// when piped.
#pragma once

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <mutex>

#include "common.hpp"

namespace analyze {

/// Stages of work, each with a known total. Every member may be called from any thread.
class Progress {
 public:
  Progress()
      : terminal_(::isatty(STDERR_FILENO) == 1), begin_(Clock::now()), stage_begin_(begin_) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { clear(); }

  /// Starts a stage of `total` units; `unit` as in "rows".
  void stage(std::string what, double total, std::string unit) {
    const std::lock_guard lock(mutex_);
    clear();
    what_ = std::move(what), unit_ = std::move(unit), total_ = total, done_ = 0;
    stage_begin_ = Clock::now();
    if (!terminal_) std::fprintf(stderr, "%s\n", what_.c_str());
  }

  void add(double units) {
    stop_if_asked();
    const std::lock_guard lock(mutex_);
    done_ += units;
    const auto now = Clock::now();
    if (now - shown_ < std::chrono::milliseconds(terminal_ ? 200 : 10000)) return;
    if (!terminal_ && now - stage_begin_ < std::chrono::seconds(10)) return;
    shown_ = now;
    const double elapsed = since(stage_begin_), rate = done_ / (elapsed > 0 ? elapsed : 1);
    const auto left = long(rate > 0 ? (total_ - done_) / rate + 0.5 : 0);
    std::fprintf(stderr,
                 terminal_ ? "\r\033[K%s: %.0f %%, %.3g %s a second, %ld:%02ld left"
                           : "%s: %.0f %%, %.3g %s a second, %ld:%02ld left\n",
                 what_.c_str(), 100 * done_ / total_, rate, unit_.c_str(), left / 60, left % 60);
    std::fflush(stderr);
    drawn_ = terminal_;
  }

  double seconds() const { return since(begin_); }

  void clear() {
    if (drawn_) std::fputs("\r\033[K", stderr);
    drawn_ = false;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static double since(Clock::time_point t) {
    return std::chrono::duration<double>(Clock::now() - t).count();
  }

  const bool terminal_;
  const Clock::time_point begin_;
  Clock::time_point stage_begin_, shown_{};
  std::string what_, unit_;
  double total_ = 1, done_ = 0;
  bool drawn_ = false;
  std::mutex mutex_;
};

}  // namespace analyze
