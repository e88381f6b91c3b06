// A number of OpenMP threads for as long as the object lives; nothing without OpenMP.
#pragma once

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace spheremix::test {

class Threads {
 public:
#if defined(_OPENMP)
  explicit Threads(int n) { omp_set_num_threads(n); }
  ~Threads() { omp_set_num_threads(before_); }
#else
  explicit Threads(int) {}
  ~Threads() {}
#endif
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
#if defined(_OPENMP)
  int before_ = omp_get_max_threads();
#endif
};

}  // namespace spheremix::test
