// Stages of the work, each with a known total, and which part of it is this process's. Nothing is
// printed here: whoever runs the analysis may watch.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>

#include "team.hpp"

namespace analyze {

/// Every member may be called from any thread.
class Progress {
 public:
  struct State {
    std::string what, unit;                   ///< "Reading image", "rows"
    double done = 0, total = 1, seconds = 0;  ///< of the stage
    bool begins = false;
  };
  using Watch = std::function<void(const State&)>;

  explicit Progress(Watch watch = {}, const Share* share = nullptr)
      : watch_(std::move(watch)), share_(share), begin_(Clock::now()) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Starts a stage of `total` units; `unit` as in "rows".
  void stage(std::string what, double total, std::string unit) {
    const std::lock_guard lock(mutex_);
    state_ = {std::move(what), std::move(unit), 0, total, 0, true};
    stage_begin_ = Clock::now();
    if (watch_) watch_(state_);
    state_.begins = false;
  }

  void add(double units) {
    stop_if_asked();
    const std::lock_guard lock(mutex_);
    state_.done += units;
    state_.seconds = since(stage_begin_);
    if (watch_) watch_(state_);
  }

  /// Of one of several processes; null where there is one.
  const Share* share() const { return share_; }

  double seconds() const { return since(begin_); }

 private:
  using Clock = std::chrono::steady_clock;
  static double since(Clock::time_point t) {
    return std::chrono::duration<double>(Clock::now() - t).count();
  }

  const Watch watch_;
  const Share* const share_;
  const Clock::time_point begin_;
  Clock::time_point stage_begin_ = begin_;
  State state_;
  std::mutex mutex_;
};

}  // namespace analyze
