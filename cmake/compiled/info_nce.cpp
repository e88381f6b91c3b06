#include "spheremix/losses/info_nce.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_INFO_NCE)
}  // namespace spheremix::losses::detail
