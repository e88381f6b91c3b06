// Progress on standard error: one rewritten line with rate and time left on a terminal, nothing but
// whole lines when piped.
#pragma once

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <mutex>
#include <string>

namespace demo {

/// Counts steps out of a known total. Every member may be called from any thread.
class Progress {
 public:
  Progress(long total, std::string unit)
      : total_(total),
        unit_(std::move(unit)),
        terminal_(isatty(STDERR_FILENO) == 1),
        begin_(Clock::now()) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { clear(); }

  void step() {
    const std::lock_guard lock(mutex_);
    ++done_;
    const auto now = Clock::now();
    if (!terminal_ || now - shown_ < std::chrono::milliseconds(200)) return;
    shown_ = now;
    std::fprintf(stderr, "\r\033[K%s", status().c_str());
    std::fflush(stderr);
    drawn_ = true;
  }

  /// A line that stays; when piped it carries the time left, which a terminal shows anyway.
  void line(const std::string& text) {
    const std::lock_guard lock(mutex_);
    clear();
    if (terminal_ || done_ == 0 || done_ >= total_)
      std::fprintf(stderr, "%s\n", text.c_str());
    else
      std::fprintf(stderr, "%s  (%s)\n", text.c_str(), status().c_str());
  }

  double seconds() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }

 private:
  using Clock = std::chrono::steady_clock;

  std::string status() const {
    const double elapsed = seconds(), rate = double(done_) / (elapsed > 0 ? elapsed : 1);
    const long left = rate > 0 ? long(double(total_ - done_) / rate + 0.5) : 0;
    char text[160];
    std::snprintf(text, sizeof text, "%ld of %ld %s, %.0f a second, %ld:%02ld left", done_, total_,
                  unit_.c_str(), rate, left / 60, left % 60);
    return text;
  }

  void clear() {
    if (drawn_) std::fputs("\r\033[K", stderr);
    drawn_ = false;
  }

  const long total_;
  const std::string unit_;
  const bool terminal_;
  const Clock::time_point begin_;
  Clock::time_point shown_{};
  long done_ = 0;
  bool drawn_ = false;
  std::mutex mutex_;
};

}  // namespace demo
