#include "spheremix/metrics/nearest.hpp"

namespace spheremix::metrics::detail {
SPHEREMIX_HERE(SPHEREMIX_NEAREST)
}  // namespace spheremix::metrics::detail
