#include "spheremix/losses/clip_bf16.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE_FLOAT(SPHEREMIX_CLIP_BF16)
}  // namespace spheremix::losses::detail
