#include "run.hpp"

namespace analyze {

template void run<double>(const Request&, const std::vector<Source>&, const std::vector<Health>&,
                          const std::vector<Index>&, const std::vector<std::string>&,
                          const std::vector<NeighbourFiles>&, const Judgements&, Json&, Progress&);

}  // namespace analyze
