// m2_mix_test.cpp on a GPU.
#include "support/gpu_main.cpp"
//
#include "m2_mix_test.cpp"
