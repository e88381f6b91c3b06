#include "spheremix/metrics/alignment.hpp"

namespace spheremix::metrics::detail {
SPHEREMIX_HERE(SPHEREMIX_ALIGNMENT)
}  // namespace spheremix::metrics::detail
