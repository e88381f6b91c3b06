#include "spheremix/losses/m2_mix.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_M2_MIX)
}  // namespace spheremix::losses::detail
