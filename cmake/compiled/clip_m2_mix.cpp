#include "spheremix/losses/clip_m2_mix.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_CLIP_M2_MIX)
}  // namespace spheremix::losses::detail
