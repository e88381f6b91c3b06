// The C side of versus_faiss.py: the k nearest rows and hubness over the caller's buffers.
#include "spheremix/metrics/nearest.hpp"

#include <exception>
#include <string>

#include "spheremix/metrics/hubness.hpp"
#include "versus/fma_peak.hpp"

namespace {

using namespace spheremix;

std::string last_error;
core::Workspace& workspace() {
  static core::Workspace one;
  return one;
}
Eigen::Map<const RowMatrix<float>> rows(const float* x, long n, long d) { return {x, n, d}; }

}  // namespace

extern "C" {

/// Of each of the n rows of x the k nearest among the m rows of y: 0, or 1 with the reason in
/// versus_error().
int versus_nearest(const float* x, long n, const float* y, long m, long d, long k, Index* ids,
                   float* cosines) try {
  metrics::NearestResult<Eigen::Map<RowMatrix<Index>>, Eigen::Map<RowMatrix<float>>> out{
      {ids, n, k}, {cosines, n, k}};
  metrics::nearest(rows(x, n, d), rows(y, m, d), {.k = k}, workspace(), out);
  return 0;
} catch (const std::exception& e) {
  last_error = e.what();
  return 1;
}

/// The skewness, and how often each row of y is among the k nearest.
int versus_hubness(const float* x, long n, const float* y, long m, long d, long k,
                   Index* occurrences, double* skewness) try {
  const metrics::HubnessResult found = metrics::hubness(rows(x, n, d), rows(y, m, d), {.k = k});
  std::copy(found.occurrences.begin(), found.occurrences.end(), occurrences);
  *skewness = found.skewness;
  return 0;
} catch (const std::exception& e) {
  last_error = e.what();
  return 1;
}

const char* versus_error() { return last_error.c_str(); }

void versus_threads(int threads) { omp_set_num_threads(threads); }

double versus_fma_peak(int f64, int threads, double seconds) {
  return versus::fma_peak(f64 != 0, threads, seconds);
}

}  // extern "C"
