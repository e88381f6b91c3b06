// uniformity_test.cpp on a GPU.
#include "support/gpu_main.cpp"
//
#include "uniformity_test.cpp"
