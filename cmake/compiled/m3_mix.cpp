#include "spheremix/losses/m3_mix.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_M3_MIX)
}  // namespace spheremix::losses::detail
