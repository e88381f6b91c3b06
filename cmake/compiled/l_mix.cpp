#include "spheremix/losses/l_mix.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_L_MIX)
}  // namespace spheremix::losses::detail
