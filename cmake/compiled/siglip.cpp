#include "spheremix/losses/siglip.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_SIGLIP)
}  // namespace spheremix::losses::detail
