// What the heap holds: bytes live now, their peak, and the number of allocations, over malloc and
// everything built on it (operator new, Eigen). Memory that a library maps itself (OpenBLAS's
// buffers) is not seen. With glibc only; elsewhere counted() is false and all figures are 0.
#pragma once

#include <cstddef>

namespace bench::heap {

bool counted();
std::size_t live();
std::size_t peak();
std::size_t allocations();
void reset_peak();  ///< the peak is what is live now

}  // namespace bench::heap
