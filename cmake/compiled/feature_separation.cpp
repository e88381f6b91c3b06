#include "spheremix/losses/feature_separation.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_FEATURE_SEPARATION)
}  // namespace spheremix::losses::detail
