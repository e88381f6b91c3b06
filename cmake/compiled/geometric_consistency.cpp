#include "spheremix/losses/geometric_consistency.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_GEOMETRIC_CONSISTENCY)
}  // namespace spheremix::losses::detail
