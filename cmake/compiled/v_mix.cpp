#include "spheremix/losses/v_mix.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_V_MIX)
}  // namespace spheremix::losses::detail
