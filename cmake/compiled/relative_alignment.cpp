#include "spheremix/metrics/relative_alignment.hpp"

namespace spheremix::metrics::detail {
SPHEREMIX_HERE(SPHEREMIX_RELATIVE_ALIGNMENT)
}  // namespace spheremix::metrics::detail
