// What the C side of every comparison has: an error's words, a workspace kept between calls, the threads
// and the multiply-add rate. A library of one source: the functions below are its own.
#pragma once

#include <exception>
#include <string>

#include "spheremix/core/workspace.hpp"
#include "versus/fma_peak.hpp"

namespace versus {

inline std::string last_error;

inline spheremix::core::Workspace& workspace() {
  static spheremix::core::Workspace one;
  return one;
}

/// 0, or 1 with the reason in versus_error().
template <class Body>
int answer(const Body& body) try {
  body();
  return 0;
} catch (const std::exception& e) {
  last_error = e.what();
  return 1;
}

}  // namespace versus

extern "C" {

const char* versus_error() { return versus::last_error.c_str(); }

void versus_threads(int threads) { omp_set_num_threads(threads); }

double versus_fma_peak(int f64, int threads, double seconds) {
  return versus::fma_peak(f64 != 0, threads, seconds);
}

}  // extern "C"
