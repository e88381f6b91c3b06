#include "spheremix/losses/cyclip.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_CYCLIP)
}  // namespace spheremix::losses::detail
