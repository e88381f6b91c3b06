#include "spheremix/core/view.hpp"

#include <doctest/doctest.h>

#include <set>
#include <vector>

using namespace spheremix;
using core::MatrixView;

TEST_CASE("elements, rows and row ranges of a strided view") {
  std::vector<int> data(40);
  for (int i = 0; i < 40; ++i) data[std::size_t(i)] = i;
  const MatrixView<int> view{data.data() + 2, 4, 3, 10};
  CHECK(view(0, 0) == 2);
  CHECK(view(3, 2) == 34);
  CHECK(view.row(2)[1] == 23);
  const MatrixView<const int> part = view.middle_rows(1, 2);
  CHECK((part.rows == 2 && part.cols == 3 && part.stride == 10));
  CHECK(part(1, 0) == view(2, 0));
  CHECK(view.middle_rows(4, 0).rows == 0);
}

TEST_CASE("overlap of views of one matrix is exact, whatever their blocks") {
  std::vector<int> data(6 * 5);
  const auto block = [&](Index i, Index j, Index rows, Index cols) {
    return MatrixView<int>{data.data() + i * 5 + j, rows, cols, 5};
  };
  const auto elements = [](MatrixView<int> v) {
    std::set<const int*> all;
    for (Index i = 0; i < v.rows; ++i)
      for (Index j = 0; j < v.cols; ++j) all.insert(&v(i, j));
    return all;
  };
  int shared_pairs = 0, close_but_apart = 0;
  std::vector<MatrixView<int>> blocks;
  for (Index i = 0; i < 6; ++i)
    for (Index j = 0; j < 5; ++j)
      for (Index rows = 0; i + rows <= 6; rows += 2)
        for (Index cols = 0; j + cols <= 5; ++cols) blocks.push_back(block(i, j, rows, cols));
  int wrong = 0;
  for (const auto& a : blocks) {
    const auto in_a = elements(a);
    for (const auto& b : blocks) {
      bool shared = false;
      for (const int* p : elements(b)) shared = shared || in_a.count(p) > 0;
      // Conservative where row ranges interleave without meeting; never blind to a shared element.
      if (shared && !core::overlap(a, b)) ++wrong;
      if (shared) ++shared_pairs;
      if (!shared && a.rows > 0 && b.rows > 0 && !core::overlap(a, b)) ++close_but_apart;
      CHECK(core::overlap(a, b) == core::overlap(b, a));
    }
  }
  CHECK(wrong == 0);
  CHECK(shared_pairs > 1000);
  CHECK(close_but_apart > 1000);
  CHECK(!core::overlap(block(0, 0, 6, 2), block(0, 2, 6, 3)));  // neighbours side by side
  CHECK(!core::overlap(block(1, 2, 4, 3), block(0, 0, 6, 2)));
  CHECK(core::overlap(block(0, 0, 6, 3), block(0, 2, 6, 3)));
}

TEST_CASE("overlap of unlike views goes by the memory they span") {
  double data[8] = {};
  const MatrixView<double> left{data, 1, 4, 4}, right{data + 4, 1, 4, 4}, both{data, 2, 4, 4};
  CHECK(!core::overlap(left, right));
  CHECK(core::overlap(both, right));
  const MatrixView<float> inside{reinterpret_cast<float*>(data + 3), 1, 4, 4};
  CHECK(core::overlap(left, inside));
  CHECK(core::overlap(inside, right));
  CHECK(core::overlap(MatrixView<double>{data, 2, 2, 4}, MatrixView<double>{data, 1, 8, 8}));
}

TEST_CASE("same_place wants the same elements at the same steps") {
  double data[12] = {};
  const MatrixView<double> a{data, 3, 4, 4};
  CHECK(core::same_place(a, a));
  CHECK(core::same_place(MatrixView<const double>(a), a));
  CHECK(!core::same_place(a, MatrixView<double>{data, 4, 3, 3}));
  CHECK(!core::same_place(a, a.middle_rows(1, 2)));
}
