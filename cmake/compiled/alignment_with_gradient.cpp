#include "spheremix/metrics/alignment.hpp"

namespace spheremix::metrics::detail {
SPHEREMIX_HERE(SPHEREMIX_ALIGNMENT_WITH_GRADIENT)
}  // namespace spheremix::metrics::detail
