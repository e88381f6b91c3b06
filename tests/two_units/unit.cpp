// Compiled twice, with -DUNIT=first and -DUNIT=second and flags of each one's own; -DWORK=matrices or buffers.
#include "two_units/work.hpp"

namespace UNIT {

std::vector<double> run_float() { return WORK<float>(); }
std::vector<double> run_double() { return WORK<double>(); }

}  // namespace UNIT
