// What save_npy leaves on the disk when it succeeds and when it cannot.
#include <doctest/doctest.h>
#if !defined(_WIN32)
#include <sys/resource.h>

#include <csignal>
#endif

#include <filesystem>

#include "spheremix/io/npy.hpp"
#include "support/temporary_folder.hpp"

using namespace spheremix;
using namespace spheremix::test;

namespace {

std::size_t files_in(const TemporaryFolder& folder) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    (void)entry;
    ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("save_npy leaves the target alone, under its own name, with ordinary permissions") {
  const TemporaryFolder folder;
  const RowMatrix<float> x = RowMatrix<float>::Constant(3, 2, 1);
  io::save_npy(folder / "x.npy", x);
  io::save_npy(folder / "x.npy", RowMatrix<float>(2 * x));
  CHECK(io::load_npy<float>(folder / "x.npy") == 2 * x);
  CHECK(files_in(folder) == 1);
  const auto mode = std::filesystem::status(folder / "x.npy").permissions();
  CHECK((mode & std::filesystem::perms::owner_read) != std::filesystem::perms::none);
#if !defined(_WIN32)
  CHECK((mode & std::filesystem::perms::owner_exec) == std::filesystem::perms::none);
#endif
}

TEST_CASE("a mapped file may be replaced while it is read, but on Windows") {
  const TemporaryFolder folder;
  const std::string path = folder / "x.npy";
  const RowMatrix<float> x = RowMatrix<float>::Constant(1000, 20, 1);
  io::save_npy(path, x);
  const io::NpyFile old(path);
#if defined(_WIN32)
  CHECK_THROWS_AS(io::save_npy(path, RowMatrix<float>(2 * x.topRows(1))), io::Error);
  CHECK(files_in(folder) == 1);
  CHECK(io::load_npy<float>(path) == x);
#else
  io::save_npy(path, RowMatrix<float>(2 * x.topRows(1)));
  CHECK(io::load_npy<float>(path) == 2 * x.topRows(1));
#endif
  CHECK(old.rows<float>(0, 1000) == x);
}

TEST_CASE("save_npy cleans up after every kind of failure") {
  const TemporaryFolder folder;
  const RowMatrix<double> x = RowMatrix<double>::Constant(3, 2, 1e10);
  CHECK_THROWS_AS(io::save_npy(folder / "none" / "x.npy", x), io::Error);
  CHECK_THROWS_AS(io::save_npy(folder / "x.npy", x, {.dtype = io::Dtype::f2}), io::Error);
  CHECK(files_in(folder) == 0);

  std::filesystem::create_directory(folder / "taken.npy");
#if defined(_WIN32)
  CHECK_THROWS_AS(io::save_npy(folder / "taken.npy", x), io::Error);
#else
  CHECK_THROWS_WITH_AS(io::save_npy(folder / "taken.npy", x),
                       (folder / "taken.npy" + ": cannot be replaced: Is a directory").c_str(),
                       io::Error);
#endif
  CHECK(files_in(folder) == 1);

#if !defined(_WIN32)
  // A full disk: the system refuses to let a file grow beyond 64 KiB.
  rlimit old{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &old) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = old;
  small.rlim_cur = 65536;
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  const RowMatrix<double> large = RowMatrix<double>::Constant(9000, 1, 1);  // 72128 bytes
  CHECK_THROWS_WITH_AS(io::save_npy(folder / "large.npy", large),
                       (folder / "large.npy" + ": cannot be written: File too large").c_str(),
                       io::Error);
  const RowMatrix<double> edge =
      RowMatrix<double>::Constant(8177, 1, 1);  // 65544: found by the last flush
  CHECK_THROWS_AS(io::save_npy(folder / "edge.npy", edge), io::Error);
  setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);
  CHECK(files_in(folder) == 1);
#endif
}
