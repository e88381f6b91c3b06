#include "spheremix/losses/decoupled_contrastive.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_DECOUPLED_CONTRASTIVE)
}  // namespace spheremix::losses::detail
