#include "spheremix/losses/detail/side_tables.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_SIDE_TABLES)
}  // namespace spheremix::losses::detail
