#include "spheremix/metrics/modality_gap.hpp"

namespace spheremix::metrics::detail {
SPHEREMIX_HERE(SPHEREMIX_GAP_VECTOR)
}  // namespace spheremix::metrics::detail
