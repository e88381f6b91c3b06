#include "spheremix/sphere/normalize.hpp"

namespace spheremix::sphere::detail {
SPHEREMIX_HERE(SPHEREMIX_NORMALIZE_ROWS)
}  // namespace spheremix::sphere::detail
