#include "spheremix/losses/hn_nce.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_HN_NCE)
}  // namespace spheremix::losses::detail
