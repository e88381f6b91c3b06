#include "spheremix/losses/triplet.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_TRIPLET)
}  // namespace spheremix::losses::detail
