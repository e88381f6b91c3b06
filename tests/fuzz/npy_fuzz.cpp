// libFuzzer target for the .npy reader: whatever the bytes, a right array or io::Error.
//
//   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
//     -Iinclude -isystem /usr/include/eigen3 tests/fuzz/npy_fuzz.cpp -o npy_fuzz
//   ./npy_fuzz -max_total_time=60 -max_len=400
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "spheremix/io/npy.hpp"

using namespace spheremix;

namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "npy_fuzz: %s\n", what);
  std::abort();
}

const std::string& scratch() {
  static const std::string path = [] {
    const char* folder = ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    return std::string(folder) + "/npy_fuzz_" + std::to_string(::getpid()) + ".npy";
  }();
  return path;
}

template <class T>
void read(const io::NpyFile& file) {
  try {
    const RowMatrix<T> all = file.rows<T>(0, file.rows());
    require(all.rows() == file.rows() && all.cols() == file.cols(), "wrong shape");
    if (all.size() == 0) return;
    const Index last = file.rows() - 1;
    const RowMatrix<T> row = file.rows<T>(last, 1);
    for (Index j = 0; j < file.cols(); ++j)
      require(row(0, j) == all(last, j) || (std::isnan(row(0, j)) && std::isnan(all(last, j))),
              "a range differs from the whole");
  } catch (const io::Error&) {  // a number beyond the range of T
    require(sizeof(T) == 4 && file.dtype() == io::Dtype::f8, "an error after a good header");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* bytes, std::size_t size) {
  io::NpyHeader header;
  try {
    header = io::parse_npy_header(bytes, Index(size), "input");
  } catch (const io::Error&) {
    return 0;
  }
  const Index numbers =
      header.rows() == 0 || header.cols() == 0 ? 0 : header.rows() * header.cols();
  require(header.data_offset + numbers * io::size_of(header.dtype) == Index(size),
          "wrong length accepted");
  if (std::FILE* file = std::fopen(scratch().c_str(), "wb")) {
    std::fwrite(bytes, 1, size, file);
    std::fclose(file);
    const io::NpyFile mapped(scratch());
    read<float>(mapped);
    read<double>(mapped);
  }
  std::remove(scratch().c_str());
  return 0;
}
