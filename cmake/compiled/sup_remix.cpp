#include "spheremix/losses/sup_remix.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_SUP_REMIX)
SPHEREMIX_HERE(SPHEREMIX_SUP_REMIX_BY_DISTANCE)
}  // namespace spheremix::losses::detail
