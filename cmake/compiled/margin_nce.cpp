#include "spheremix/losses/margin_nce.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_MARGIN_NCE)
}  // namespace spheremix::losses::detail
