#include "spheremix/pairwise/norms.hpp"

namespace spheremix::pairwise {
SPHEREMIX_HERE(SPHEREMIX_LARGEST_NORM)
}  // namespace spheremix::pairwise
