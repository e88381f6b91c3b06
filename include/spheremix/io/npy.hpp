// NumPy .npy files: load_npy, NpyFile (row ranges through a memory map) and save_npy.
#pragma once

#include "spheremix/io/detail/npy_read.hpp"
#include "spheremix/io/detail/npy_write.hpp"
