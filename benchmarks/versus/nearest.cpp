// The C side of versus_faiss.py: the k nearest rows and hubness over the caller's buffers.
#include "spheremix/metrics/nearest.hpp"

#include "spheremix/metrics/hubness.hpp"
#include "versus/c_side.hpp"

namespace {

using namespace spheremix;

Eigen::Map<const RowMatrix<float>> rows(const float* x, long n, long d) { return {x, n, d}; }

}  // namespace

extern "C" {

/// Of each of the n rows of x the k nearest among the m rows of y: 0, or 1 with the reason in
/// versus_error().
int versus_nearest(const float* x, long n, const float* y, long m, long d, long k, Index* ids,
                   float* cosines) {
  return versus::answer([&] {
    metrics::NearestResult<Eigen::Map<RowMatrix<Index>>, Eigen::Map<RowMatrix<float>>> out{
        {ids, n, k}, {cosines, n, k}};
    metrics::nearest(rows(x, n, d), rows(y, m, d), {.k = k}, versus::workspace(), out);
  });
}

/// The skewness, and how often each row of y is among the k nearest.
int versus_hubness(const float* x, long n, const float* y, long m, long d, long k,
                   Index* occurrences, double* skewness) {
  return versus::answer([&] {
    const metrics::HubnessResult found = metrics::hubness(rows(x, n, d), rows(y, m, d), {.k = k});
    std::copy(found.occurrences.begin(), found.occurrences.end(), occurrences);
    *skewness = found.skewness;
  });
}

}  // extern "C"
