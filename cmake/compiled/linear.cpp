#include "spheremix/mixup/linear.hpp"

namespace spheremix::mixup::detail {
SPHEREMIX_HERE(SPHEREMIX_LINEAR_ROWS)
}  // namespace spheremix::mixup::detail
