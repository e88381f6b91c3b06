#include "spheremix/sphere/distance.hpp"

namespace spheremix::sphere::detail {
SPHEREMIX_HERE(SPHEREMIX_DISTANCE_ROWS_VJP)
}  // namespace spheremix::sphere::detail
