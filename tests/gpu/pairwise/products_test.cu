// products_test.cpp on a GPU.
#include "support/gpu_main.cpp"
//
#include "products_test.cpp"
