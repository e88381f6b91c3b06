#include "spheremix/sphere/sampling.hpp"

namespace spheremix::sphere::detail {
SPHEREMIX_HERE(SPHEREMIX_SAMPLE_UNIFORM)
}  // namespace spheremix::sphere::detail
