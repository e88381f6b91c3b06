#include "spheremix/losses/vicreg.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_VICREG)
}  // namespace spheremix::losses::detail
