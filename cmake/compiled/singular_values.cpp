#include "spheremix/metrics/spectrum.hpp"

namespace spheremix::metrics::detail {
SPHEREMIX_HERE(SPHEREMIX_SINGULAR_VALUES)
}  // namespace spheremix::metrics::detail
