// Stands in for the CUDA toolkit so that kernels run, unmodified, on the host: define
//   #define SPHEREMIX_EMULATOR "support/emulator/emulator.hpp"
// before the first spheremix/gpu header (support/gpu.hpp does). block.hpp says what it finds.
#pragma once

#include "block.hpp"
#include "cub.hpp"
#include "device_functions.hpp"
#include "half.hpp"
#include "runtime.hpp"
#include "wgmma.hpp"
