#include "spheremix/losses/hard_negative.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_HARD_NEGATIVE)
}  // namespace spheremix::losses::detail
