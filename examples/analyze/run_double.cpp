#include "run.hpp"

namespace analyze {

template void run<double>(const Request&, std::vector<Source>&, const std::vector<Index>&,
                          const std::vector<std::string>&, Json&, Progress&);

}  // namespace analyze
