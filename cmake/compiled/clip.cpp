#include "spheremix/losses/clip.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_CLIP)
}  // namespace spheremix::losses::detail
