#include "spheremix/pairwise/product.hpp"

namespace spheremix::pairwise::detail {
SPHEREMIX_HERE(SPHEREMIX_PRODUCT)
}  // namespace spheremix::pairwise::detail
