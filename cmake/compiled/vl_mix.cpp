#include "spheremix/losses/vl_mix.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_VL_MIX)
}  // namespace spheremix::losses::detail
