// siglip_test.cpp on a GPU.
#include "support/gpu_main.cpp"
//
#include "siglip_test.cpp"
