#include "spheremix/losses/triplet.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_TRIPLET)
SPHEREMIX_HERE(SPHEREMIX_TRIPLET_OF)
}  // namespace spheremix::losses::detail
