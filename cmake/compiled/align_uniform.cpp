#include "spheremix/losses/align_uniform.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_ALIGN_UNIFORM)
}  // namespace spheremix::losses::detail
