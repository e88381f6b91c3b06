// consistency_test.cpp on a GPU.
#include "support/gpu_main.cpp"
//
#include "consistency_test.cpp"
