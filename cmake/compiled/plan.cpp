#include "spheremix/pairwise/plan.hpp"

namespace spheremix::pairwise {
SPHEREMIX_HERE(SPHEREMIX_MAKE_PLAN)
}  // namespace spheremix::pairwise
