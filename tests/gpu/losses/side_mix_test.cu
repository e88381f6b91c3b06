// side_mix_test.cpp on a GPU.
#include "support/gpu_main.cpp"
//
#include "side_mix_test.cpp"
