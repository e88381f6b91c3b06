#include "spheremix/io/npy.hpp"

#include <doctest/doctest.h>
#if defined(__linux__)
#include <unistd.h>
#endif

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "spheremix/io/vectors.hpp"
#include "support/temporary_folder.hpp"

using namespace spheremix;
using namespace spheremix::test;
using namespace std::string_literals;

namespace {

std::string slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A file as NumPy 2.4 lays it out: `text` padded to the recorded length 118 (version 1) or 116.
std::string numpy_file(int version, std::string text, const std::string& numbers) {
  const std::size_t length = version == 1 ? 118 : 116;
  text.resize(length - 1, ' ');
  std::string head = "\x93NUMPY"s + char(version) + '\0' + char(length) + '\0';
  if (version > 1) head += "\0\0"s;
  return head + text + '\n' + numbers;
}

std::string numpy_file(const std::string& text, const std::string& numbers = "") {
  return numpy_file(1, text, numbers);
}

std::string error_of(const TemporaryFolder& folder, const std::string& bytes) {
  const std::string path = store(folder, bytes);
  try {
    (void)io::load_npy<double>(path);
  } catch (const io::Error& error) {
    const std::string message = error.what();
    REQUIRE(message.substr(0, path.size() + 2) == path + ": ");
    return message.substr(path.size() + 2);
  }
  return "";
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Numbers recorded from NumPy 2.4.6: [[1.5, -2], [.25, 6e-8], [65504, -0]] by
// np.lib.format.write_array.
const std::string kF2 =
    "\x00>\x00\xc0\x00"
    "4\x01\x00\xff{\x00\x80"s;
const std::string kF4Big =
    "?\xc0\x00\x00\xc0\x00\x00\x00>\x80\x00\x00"
    "3\x80\xd9YG\x7f\xe0\x00\x80\x00\x00\x00"s;
const std::string kF4 =
    "\x00\x00\xc0?\x00\x00\x00\xc0\x00\x00\x80>Y\xd9\x80"
    "3\x00\xe0\x7fG\x00\x00\x00\x80"s;
const std::string kF8Columns =
    "\x00\x00\x00\x00\x00\x00\xf8?\x00\x00\x00\x00\x00\x00\xd0?\x00\x00\x00\x00\x00\xfc\xef@"
    "\x00\x00\x00\x00\x00\x00\x00\xc0+i\xa4)+\x1bp>\x00\x00\x00\x00\x00\x00\x00\x80"s;

}  // namespace

TEST_CASE_TEMPLATE("files written by NumPy are read: types, byte orders, versions, orders", T,
                   float, double) {
  const TemporaryFolder folder;
  const auto check = [&](const std::string& bytes, double tiny) {
    const RowMatrix<T> x = io::load_npy<T>(store(folder, bytes));
    REQUIRE(x.rows() == 3);
    REQUIRE(x.cols() == 2);
    CHECK(x(0, 0) == T(1.5));
    CHECK(x(0, 1) == T(-2));
    CHECK(x(1, 0) == T(0.25));
    CHECK(x(1, 1) == T(tiny));
    CHECK(x(2, 0) == T(65504));
    CHECK((x(2, 1) == T(0) && std::signbit(x(2, 1))));
  };
  check(numpy_file("{'descr': '<f2', 'fortran_order': False, 'shape': (3, 2), }", kF2), 0x1p-24);
  check(numpy_file("{'descr': '>f4', 'fortran_order': False, 'shape': (3, 2), }", kF4Big),
        double(6.0e-8f));
  check(numpy_file(3, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }", kF4),
        double(6.0e-8f));
  check(numpy_file(2, "{'descr': '<f8', 'fortran_order': True, 'shape': (3, 2), }", kF8Columns),
        6.0e-8);
}

TEST_CASE("one-dimensional arrays are columns, empty ones keep their shape") {
  const TemporaryFolder folder;
  const std::string column = kF8Columns.substr(0, 24);
  const io::NpyFile file(store(
      folder, numpy_file("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }", column)));
  CHECK(file.shape() == std::vector<Index>{3});
  CHECK((file.rows() == 3 && file.cols() == 1));
  CHECK(file.rows<double>(0, 3)(2, 0) == 65504);

  const auto shape_of = [&](const std::string& shape) {
    const auto x = io::load_npy<float>(store(
        folder, numpy_file("{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }")));
    return std::pair<Index, Index>(x.rows(), x.cols());
  };
  CHECK(shape_of("(0, 4)") == std::pair<Index, Index>(0, 4));
  CHECK(shape_of("(4, 0)") == std::pair<Index, Index>(4, 0));
  CHECK(shape_of("(0,)") == std::pair<Index, Index>(0, 1));
  CHECK(shape_of("(9223372036854775807, 0)") == std::pair<Index, Index>(INT64_MAX, 0));
}

TEST_CASE("the header's text may be spaced, quoted and ordered as Python allows") {
  const TemporaryFolder folder;
  for (const std::string text : {
           R"({"shape":(1,3),"descr":"<f8","fortran_order":False})",
           "{ 'fortran_order' : False ,\n\t'descr' : '<f8' , 'shape' : ( 1 , 3 , ) , }",
       }) {
    const auto x = io::load_npy<double>(store(folder, numpy_file(text, kF8Columns.substr(0, 24))));
    CHECK((x.rows() == 1 && x.cols() == 3 && x(0, 2) == 65504));
  }
}

TEST_CASE("every other file is refused with a sentence that says what was found and expected") {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& bytes) { return error_of(folder, bytes); };
  const auto text_error = [&](const std::string& text, const std::string& numbers = "") {
    return error_of(folder, numpy_file(text, numbers));
  };
  CHECK(has(error("id\tname\n1\tgrinning face\n"),
            R"(is not an .npy file: its 24 bytes start with "id\x09nam")"));
  CHECK(has(error(""), "its 0 bytes"));
  CHECK(has(error("\x93NUMPY\x01\x00"s), "8 bytes where the start of an .npy header needs 10"));
  CHECK(has(error("\x93NUMPY\x04\x00v\x00"s), ".npy version 4.0 where 1.0, 2.0 or 3.0"));
  CHECK(has(error("\x93NUMPY\x01\x01v\x00"s), ".npy version 1.1"));
  CHECK(has(error("\x93NUMPY\x02\x00v\x00"s),
            "10 bytes where the start of a version 2 header needs 12"));
  CHECK(has(error("\x93NUMPY\x02\x00\xff\xff\xff\xff{}"s),
            "14 bytes where the header needs 12 + 4294967295"));

  const std::string f4 = "{'descr': '<f4', 'fortran_order': False, 'shape': ";
  CHECK(has(text_error(f4 + "(3, 2), }", kF4 + "abc"),
            "27 bytes of data where shape (3, 2) of f4 needs 24"));
  CHECK(has(text_error(f4 + "(3, 2), }", kF4 + "abc"), "left over"));
  CHECK(has(text_error(f4 + "(3, 2), }", kF4.substr(1)), "23 bytes of data where"));
  CHECK(has(text_error(f4 + "(3, 2), }", kF4.substr(1)), "cut off"));
  CHECK(has(text_error(f4 + "(0, 2), }", "a"), "1 bytes of data where shape (0, 2) of f4 needs 0"));
  // Products that wrap to 0 or to a small number in 64 bits, and a number that does not fit at all.
  CHECK(has(text_error(f4 + "(4294967296, 4294967296), }"),
            "more than 2^63 bytes where the file has 0"));
  CHECK(has(text_error(f4 + "(4611686018427387905, 1), }", "abcd"), "more than 2^63 bytes"));
  CHECK(has(text_error(f4 + "(9223372036854775808, 1), }"), "beyond 2^63 - 1"));
  CHECK(has(text_error(f4 + "(-1, 4), }"), "a whole number is expected"));
  CHECK(has(text_error(f4 + "(03, 2), }", kF4), "a whole number is expected"));
  CHECK(has(text_error(f4 + "(6), }", kF4), "a tuple of one number needs it"));
  CHECK(has(text_error(f4 + "(), }", "abcd"), "0 dimensions"));
  CHECK(has(text_error(f4 + "(1, 3, 2), }", kF4), "3 dimensions, shape (1, 3, 2), where 2"));
  CHECK(has(text_error(f4 + "6, }", kF4), "'(' is expected"));
  CHECK(has(text_error(f4 + "(3, 2), } x", kF4), "the end of the header is expected"));
  CHECK(has(text_error(f4 + "(3, 2)", kF4), "'}' is expected"));
  CHECK(has(text_error(f4 + "(3, 2), 'shape': (3, 2)}", kF4), "once each"));
  CHECK(has(text_error(f4 + "(3, 2), 'order': 1}", kF4), "has the key \"order\""));
  CHECK(has(text_error("{'descr': '<f4', 'shape': (3, 2)}", kF4), "lacks 'fortran_order'"));
  CHECK(has(text_error("{'descr': '<f4', 'fortran_order': 0, 'shape': (3, 2)}", kF4),
            "True or False"));
  CHECK(has(text_error("{'descr': '<f4, }"), "a closed string"));
  CHECK(has(text_error("['descr']"), "'{' is expected"));

  const auto dtype_error = [&](const std::string& dtype) {
    return text_error("{'descr': " + dtype + ", 'fortran_order': False, 'shape': (1, 1), }",
                      "12345678");
  };
  CHECK(has(dtype_error("'|O'"), "Python objects"));
  CHECK(has(dtype_error("'<i8'"), R"(whole numbers (dtype "<i8"); embeddings are real)"));
  CHECK(has(dtype_error("'|u1'"), "whole numbers"));
  CHECK(has(dtype_error("'|b1'"), "whole numbers"));
  CHECK(has(dtype_error("[('a', '<f8')]"), "structured"));
  CHECK(has(dtype_error("'<c8'"), R"(the dtype "<c8" where f2, f4 or f8)"));
  CHECK(has(dtype_error("'<f16'"), "where f2, f4 or f8"));
  CHECK(has(dtype_error("'f8'"), "where f2, f4 or f8"));
  CHECK(has(dtype_error("'=f8'"), "byte order"));
  CHECK(has(dtype_error("''"), "where f2, f4 or f8"));
}

TEST_CASE("paths that are no files") {
  const TemporaryFolder folder;
  CHECK_THROWS_AS((void)io::load_npy<float>(folder / "none.npy"), io::Error);
  CHECK_THROWS_WITH_AS((void)io::load_npy<float>(folder.path()),
                       (folder.path() + ": is a folder").c_str(), io::Error);
#if defined(_WIN32)
  CHECK_THROWS_AS((void)io::load_npy<float>("NUL"), io::Error);
#else
  CHECK_THROWS_AS((void)io::load_npy<float>("/dev/null"), io::Error);
#endif
}

TEST_CASE("names: std::filesystem::path, std::string and characters, letters of every script") {
  const TemporaryFolder folder;
  const std::filesystem::path path = std::filesystem::path(folder.path()) / u8"Kugel ß 球 α.npy";
  const RowMatrix<float> x = RowMatrix<float>::Constant(3, 2, 0.5f);
  io::save_npy(path, x);
  CHECK(std::filesystem::exists(path));
  CHECK(io::load_npy<float>(path) == x);
  const io::NpyFile file(path);
  CHECK(file.rows<float>(1, 2) == x.bottomRows(2));
  const auto utf8 = path.u8string();
  CHECK(file.path() == std::string(utf8.begin(), utf8.end()));
  RowMatrix<float> y;
  io::load_npy(path, y);
  CHECK(y == x);
  CHECK_THROWS_AS(io::FvecsFile{path}, io::Error);
  CHECK_THROWS_AS(io::FbinFile{path}, io::Error);

  const std::string plain = folder / "x.npy";
  io::save_npy(plain.c_str(), x);
  CHECK(io::load_npy<float>(plain.c_str()) == x);
  CHECK(io::load_npy<float>(plain) == x);
  CHECK(io::NpyFile(plain.c_str()).rows() == 3);
  CHECK(io::NpyFile(plain).path() == plain);
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    files += entry.exists();
  CHECK(files == 2);
}

TEST_CASE("a file cut at any length, or grown, is refused") {
  const TemporaryFolder folder;
  const std::string whole =
      numpy_file(2, "{'descr': '<f8', 'fortran_order': True, 'shape': (3, 2), }", kF8Columns);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    CHECK(error_of(folder, whole.substr(0, length)) != "");
  }
  CHECK(error_of(folder, whole) == "");
  CHECK(error_of(folder, whole + '\0') != "");
}

TEST_CASE("every change of one byte of a header is an error or leaves the meaning") {
  for (const std::string& shape : {"(3, 2)"s, "(6,)"s}) {
    for (const int version : {1, 2, 3}) {
      const std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }";
      const std::string whole = numpy_file(version, text, kF4);
      const std::size_t order = whole.find("'<f4'") + 1;
      int accepted = 0;
      for (std::size_t at = 0; at < whole.size() - kF4.size(); ++at) {
        for (int byte = 0; byte < 256; ++byte) {
          std::string changed = whole;
          changed[at] = char(byte);
          // An exact-size heap copy: the address sanitizer sees a read one byte past the end.
          const std::vector<unsigned char> bytes(changed.begin(), changed.end());
          try {
            const auto header = io::parse_npy_header(bytes.data(), Index(bytes.size()), "x");
            ++accepted;
            CAPTURE(at);
            CAPTURE(byte);
            CHECK(header.dtype == io::Dtype::f4);
            CHECK(header.big_endian == (at == order && byte == '>'));
            CHECK(!header.fortran_order);
            CHECK(header.shape ==
                  (shape == "(6,)" ? std::vector<Index>{6} : std::vector<Index>{3, 2}));
            CHECK(std::size_t(header.data_offset) + kF4.size() == whole.size());
          } catch (const io::Error&) {
          }
        }
      }
      CHECK(accepted >
            int(whole.size() - kF4.size()));  // the unchanged byte at every place, and blanks
    }
  }
}

TEST_CASE("row ranges of a mapped file, in both orders, into matrices, blocks and maps") {
  const TemporaryFolder folder;
  const std::string path = folder / "x.npy";
  const Index n = 150, d = 5;  // more rows than one block of the Fortran reader
  RowMatrix<double> x(n, d);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < d; ++j) x(i, j) = double(i) + double(j) / 8;
  for (const bool fortran : {false, true}) {
    CAPTURE(fortran);
    io::save_npy(path, x, {.dtype = io::Dtype::f2});
    if (fortran) {  // the same numbers, column after column
      RowMatrix<double> t = x.transpose();
      io::save_npy(path, t, {.dtype = io::Dtype::f2});
      std::string bytes = slurp(path);
      bytes.replace(bytes.find("False"), 5, "True ");
      bytes.replace(bytes.find("(5, 150)"), 8, "(150, 5)");
      std::ofstream(path, std::ios::binary) << bytes;
    }
    const io::NpyFile file(path);
    CHECK(file.header().fortran_order == fortran);
    CHECK(file.dtype() == io::Dtype::f2);
    CHECK(file.shape() == std::vector<Index>{n, d});
    for (const auto& [first, count] :
         {std::pair<Index, Index>{0, n}, {7, 1}, {3, 130}, {n, 0}, {149, 1}}) {
      CHECK(file.rows<double>(first, count) == x.middleRows(first, count));
      CHECK(file.rows<float>(first, count) == x.middleRows(first, count).cast<float>());
    }
    RowMatrix<double> big = RowMatrix<double>::Constant(10, 9, -1);
    file.rows(20, 4, big.block(3, 2, 4, d));
    CHECK(big.block(3, 2, 4, d) == x.middleRows(20, 4));
    CHECK(big.sum() == x.middleRows(20, 4).sum() - (90 - 20));  // nothing else was written
    Eigen::MatrixXd columns;
    file.rows(1, 100, columns);
    CHECK(columns == x.middleRows(1, 100));
    CHECK_THROWS_AS((void)file.rows<double>(n, 1), std::invalid_argument);
    CHECK_THROWS_AS((void)file.rows<double>(-1, 1), std::invalid_argument);
    CHECK_THROWS_AS((void)file.rows<double>(1, -1), std::invalid_argument);
    CHECK_THROWS_AS((void)file.rows<double>(INT64_MAX, INT64_MAX), std::invalid_argument);
    CHECK_THROWS_AS(file.rows(0, 3, big.topRows(3)), std::invalid_argument);
  }
}

#if defined(__linux__)
TEST_CASE("a pass over a mapped file keeps one range of it in memory") {
  const TemporaryFolder folder;
  const std::string path = folder / "sparse.npy";
  const Index n = 1 << 17, d = 512;  // 128 MiB of f2 zeros that take no disk
  const std::string header = io::detail::npy_header_text(io::Dtype::f2, {n, d});
  std::ofstream(path, std::ios::binary) << header;
  std::filesystem::resize_file(path, header.size() + std::size_t(n * d * 2));
  const auto resident_bytes = [] {
    std::ifstream status("/proc/self/statm");
    Index all = 0, resident = 0;
    status >> all >> resident;
    return resident * ::sysconf(_SC_PAGESIZE);
  };
  const io::NpyFile file(path);
  RowMatrix<float> rows(1024, d);
  const Index before = resident_bytes();
  Index most = 0;
  for (Index first = 0; first < n; first += 1024) {
    file.rows(first, 1024, rows);
    most = std::max(most, resident_bytes() - before);
  }
  CHECK(rows.isZero(0));
  CHECK(most < (16 << 20));
}
#endif

TEST_CASE_TEMPLATE("save_npy and load_npy are inverse; expressions of every layout", T, float,
                   double) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.npy";
  RowMatrix<T> x(3, 4);
  x << T(1), T(-0.0), T(1) / 3, T(1e-30), std::numeric_limits<T>::denorm_min(), core::largest<T>,
      -core::infinity<T>, core::infinity<T>, T(5), T(6), T(7), T(8);
  io::save_npy(path, x);
  CHECK(io::load_npy<T>(path) == x);
  CHECK(std::signbit(io::load_npy<T>(path)(0, 1)));
  CHECK(io::NpyFile(path).dtype() == (sizeof(T) == 4 ? io::Dtype::f4 : io::Dtype::f8));
  // The bytes NumPy writes for this shape and type.
  const std::string text = std::string("{'descr': '<") + (sizeof(T) == 4 ? "f4" : "f8") +
                           "', 'fortran_order': False, 'shape': (3, 4), }";
  const std::string numbers(reinterpret_cast<const char*>(x.data()),
                            std::size_t(x.size()) * sizeof(T));
  CHECK(slurp(path) == numpy_file(text, numbers));

  const Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic> columns = x;
  io::save_npy(path, columns);
  CHECK(io::load_npy<T>(path) == x);
  io::save_npy(path, x.transpose());
  CHECK(io::load_npy<T>(path) == x.transpose());
  io::save_npy(path, x.block(1, 1, 2, 2) * T(2));
  CHECK(io::load_npy<T>(path) == x.block(1, 1, 2, 2) * T(2));
  RowMatrix<T> loaded;
  io::load_npy(path, loaded);
  CHECK(loaded == x.block(1, 1, 2, 2) * T(2));

  const Vector<T> v = x.row(2).transpose();
  io::save_npy(path, v);
  CHECK(io::NpyFile(path).shape() == std::vector<Index>{4});
  CHECK(io::load_npy<T>(path) == v);
  io::save_npy(path, RowMatrix<T>(0, 7));
  CHECK(io::NpyFile(path).shape() == std::vector<Index>{0, 7});

  x(1, 2) = core::nan<T>;
  io::save_npy(path, x);
  CHECK(std::isnan(io::load_npy<T>(path)(1, 2)));
}

TEST_CASE("narrower types: rounding to nearest, and numbers out of range are errors") {
  const TemporaryFolder folder;
  const std::string path = folder / "x.npy";
  RowMatrix<double> x(2, 2);
  x << 0.1, 65519.9, -core::infinity<double>, core::nan<double>;
  io::save_npy(path, x, {.dtype = io::Dtype::f2});
  const auto half = io::load_npy<double>(path);
  CHECK(half(0, 0) == 0.0999755859375);
  CHECK(half(0, 1) == 65504);
  CHECK((half(1, 0) == -core::infinity<double> && std::isnan(half(1, 1))));
  io::save_npy(path, x, {.dtype = io::Dtype::f4});
  CHECK(io::load_npy<double>(path)(0, 0) == double(0.1f));

  x(1, 0) = -65520;
  CHECK_THROWS_WITH_AS(
      io::save_npy(path, x, {.dtype = io::Dtype::f2}),
      (path + ": not written: -65520 at row 1, column 0 is beyond the range of f2").c_str(),
      io::Error);
  CHECK(io::load_npy<double>(path)(0, 0) == double(0.1f));  // the old file is still there

  x(1, 0) = 0x1.ffffffp127;
  CHECK_THROWS_AS(io::save_npy(path, x, {.dtype = io::Dtype::f4}), io::Error);
  io::save_npy(path, x);
  CHECK(io::load_npy<double>(path)(1, 0) == 0x1.ffffffp127);
  CHECK_THROWS_WITH_AS(
      (void)io::load_npy<float>(path),
      (path + ": the number at row 1, column 0 is beyond the range of f4; read it as f8").c_str(),
      io::Error);
  x(1, 0) = std::nextafter(0x1.ffffffp127, 0.0);
  io::save_npy(path, x);
  CHECK(io::load_npy<float>(path)(1, 0) == core::largest<float>);
}
