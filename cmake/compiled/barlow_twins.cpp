#include "spheremix/losses/barlow_twins.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_BARLOW_TWINS)
}  // namespace spheremix::losses::detail
