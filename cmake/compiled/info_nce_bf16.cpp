#include "spheremix/losses/info_nce_bf16.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE_FLOAT(SPHEREMIX_INFO_NCE_BF16)
}  // namespace spheremix::losses::detail
