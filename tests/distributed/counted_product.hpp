// How much a rank multiplies: this program's matrix products of floats are counted_product_test.cpp's.
#pragma once

namespace spheremix::test {
/// Multiply-adds of this thread's products of floats.
extern thread_local double multiply_adds;
}  // namespace spheremix::test
