// clip_test.cpp on a GPU.
#include "support/gpu_main.cpp"
//
#include "clip_test.cpp"
