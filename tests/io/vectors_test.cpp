#include "spheremix/io/vectors.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <string>

#include "support/temporary_folder.hpp"

using namespace spheremix;
using namespace spheremix::test;
using namespace std::string_literals;

namespace {

// 1.5, -2, 0.25 and 3 as float32, little-endian.
const std::string a = "\0\0\xc0\x3f"s, b = "\0\0\0\xc0"s, c = "\0\0\x80\x3e"s, e = "\0\0\x40\x40"s;
const std::string two = "\2\0\0\0"s, three = "\3\0\0\0"s;

template <class File>
std::string error_of(const TemporaryFolder& folder, const std::string& bytes) {
  const std::string path = store(folder, bytes);
  try {
    const File file(path);
    (void)file.template rows<double>(0, file.rows());
  } catch (const io::Error& error) {
    const std::string message = error.what();
    REQUIRE(message.substr(0, path.size() + 2) == path + ": ");
    return message.substr(path.size() + 2);
  }
  return "";
}

template <class T>
RowMatrix<T> expected() {
  RowMatrix<T> x(2, 2);
  x << T(1.5), T(-2), T(0.25), T(3);
  return x;
}

}  // namespace

TEST_CASE("fvecs: rows, ranges and both types") {
  const TemporaryFolder folder;
  const io::FvecsFile file(store(folder, two + a + b + two + c + e));
  CHECK(file.rows() == 2);
  CHECK(file.cols() == 2);
  CHECK(file.rows<float>(0, 2) == expected<float>());
  CHECK(file.rows<double>(0, 2) == expected<double>());
  CHECK(file.rows<float>(1, 1) == expected<float>().bottomRows(1));
  CHECK(file.rows<float>(2, 0).rows() == 0);
  CHECK_THROWS_AS((void)file.rows<float>(1, 2), std::invalid_argument);
  CHECK_THROWS_AS((void)file.rows<float>(-1, 1), std::invalid_argument);
  RowMatrix<float> wide = RowMatrix<float>::Zero(2, 4);
  file.rows(0, 2, wide.rightCols(2));
  CHECK(wide.rightCols(2) == expected<float>());
  CHECK(wide.leftCols(2).isZero(0));
}

TEST_CASE("fbin: rows and ranges") {
  const TemporaryFolder folder;
  const io::FbinFile file(store(folder, two + two + a + b + c + e));
  CHECK(file.rows<float>(0, 2) == expected<float>());
  CHECK(file.rows<double>(1, 1) == expected<double>().bottomRows(1));
  CHECK_THROWS_AS((void)file.rows<float>(0, 3), std::invalid_argument);
  CHECK(io::FbinFile(store(folder, "\0\0\0\0"s + two)).rows() == 0);
}

TEST_CASE("Files that are not what their header says are one sentence") {
  const TemporaryFolder folder;
  using Fvecs = io::FvecsFile;
  using Fbin = io::FbinFile;
  CHECK(error_of<Fvecs>(folder, "\2\0"s) == "2 bytes where the first row's length needs 4");
  CHECK(error_of<Fvecs>(folder, two + a + b + two + c) ==
        "20 bytes, which are not whole rows of 4 + 4 * 2 bytes");
  CHECK(error_of<Fvecs>(folder, two + a + b + three + c + e) ==
        "row 1 has 3 numbers where row 0 has 2");
  CHECK(error_of<Fvecs>(folder, "some text that is no array").find("is not an .fvecs file") == 0);
  CHECK(error_of<Fvecs>(folder, "\0\0\0\0"s).find("would have 0 numbers") != std::string::npos);
  CHECK(error_of<Fvecs>(folder, "\xff\xff\xff\xff"s).find("4294967295") != std::string::npos);
  CHECK(Fvecs(store(folder, "")).rows() == 0);

  CHECK(error_of<Fbin>(folder, two) == "4 bytes where an .fbin header needs 8");
  CHECK(error_of<Fbin>(folder, two + two + a + b + c) ==
        "12 bytes of data where 2 x 2 of f4 needs 2 * 8");
  CHECK(error_of<Fbin>(folder, two + two + a + b + c + e + a).find("20 bytes of data") == 0);
  CHECK(error_of<Fbin>(folder, two + "\0\0\0\0"s) == "has 2 rows of no numbers");
  const std::string most = "\xff\xff\xff\xff"s;
  CHECK(error_of<Fbin>(folder, most + most + a).find("4 bytes of data where 4294967295 x") == 0);
}
