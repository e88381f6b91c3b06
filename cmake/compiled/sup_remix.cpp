#include "spheremix/losses/sup_remix.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_SUP_REMIX)
}  // namespace spheremix::losses::detail
