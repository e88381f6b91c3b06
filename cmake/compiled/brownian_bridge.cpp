#include "spheremix/losses/brownian_bridge.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_BROWNIAN_BRIDGE)
}  // namespace spheremix::losses::detail
