#include "spheremix/metrics/uniformity.hpp"

namespace spheremix::metrics::detail {
SPHEREMIX_HERE(SPHEREMIX_UNIFORMITY)
}  // namespace spheremix::metrics::detail
