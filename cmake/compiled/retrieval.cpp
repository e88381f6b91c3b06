#include "spheremix/metrics/retrieval.hpp"

namespace spheremix::metrics::detail {
SPHEREMIX_HERE(SPHEREMIX_PAIR_RANKS)
}  // namespace spheremix::metrics::detail
