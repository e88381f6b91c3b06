// How much a rank multiplies: this program's matrix products are counted_product_test.cpp's.
#pragma once

namespace spheremix::test {
/// Multiply-adds of this thread's products of floats, of doubles.
extern thread_local double multiply_adds, wide_multiply_adds;
}  // namespace spheremix::test
