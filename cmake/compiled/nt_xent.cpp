#include "spheremix/losses/nt_xent.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_NT_XENT)
}  // namespace spheremix::losses::detail
