#include "spheremix/losses/sup_con.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_SUP_CON)
}  // namespace spheremix::losses::detail
