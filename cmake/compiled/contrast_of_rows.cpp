#include "spheremix/losses/detail/contrastive.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_CONTRAST_OF_ROWS)
}  // namespace spheremix::losses::detail
