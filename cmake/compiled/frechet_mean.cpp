#include "spheremix/sphere/frechet_mean.hpp"

namespace spheremix::sphere::detail {
SPHEREMIX_HERE(SPHEREMIX_FRECHET_MEAN)
}  // namespace spheremix::sphere::detail
