#include "spheremix/losses/rank_n_contrast.hpp"

namespace spheremix::losses::detail {
SPHEREMIX_HERE(SPHEREMIX_RANK_N_CONTRAST)
SPHEREMIX_HERE(SPHEREMIX_RANK_N_CONTRAST_BY_DISTANCE)
}  // namespace spheremix::losses::detail
