#include "spheremix/sphere/sampling.hpp"

namespace spheremix::sphere::detail {
SPHEREMIX_HERE(SPHEREMIX_SAMPLE_VON_MISES_FISHER)
}  // namespace spheremix::sphere::detail
