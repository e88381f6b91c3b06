// Compiled twice, with -DUNIT=first and -DUNIT=second and flags of each one's own.
#include "two_units/work.hpp"

namespace UNIT {

std::vector<double> run_float() { return work<float>(); }
std::vector<double> run_double() { return work<double>(); }

}  // namespace UNIT
