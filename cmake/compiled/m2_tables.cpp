#include "spheremix/losses/detail/m2_tables.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_M2_TABLES)
}  // namespace spheremix::losses::detail
