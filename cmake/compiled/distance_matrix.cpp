#include "spheremix/sphere/distance_matrix.hpp"

namespace spheremix::sphere::detail {
SPHEREMIX_HERE(SPHEREMIX_DISTANCE_MATRIX)
}  // namespace spheremix::sphere::detail
