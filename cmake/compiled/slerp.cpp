#include "spheremix/sphere/detail/slerp_passes.hpp"

namespace spheremix::sphere::detail {
SPHEREMIX_HERE(SPHEREMIX_SLERP_ROWS)
}  // namespace spheremix::sphere::detail
