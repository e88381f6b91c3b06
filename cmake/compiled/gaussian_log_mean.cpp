#include "spheremix/metrics/uniformity.hpp"

namespace spheremix::metrics::detail {
SPHEREMIX_HERE(SPHEREMIX_GAUSSIAN_LOG_MEAN)
}  // namespace spheremix::metrics::detail
