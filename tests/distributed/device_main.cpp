// The device losses over processes of MPI, through host memory, in the emulator: against one device
// with the whole batch. tests/distributed.sh starts it and reads "passed: ...".
#define SPHEREMIX_EMULATOR "support/emulator/emulator.hpp"

#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

#include "spheremix/gpu/ranks/clip.cuh"
#include "spheremix/gpu/ranks/staged.cuh"
#include "spheremix/mpi/communicator.hpp"

using namespace spheremix;

namespace {

struct Outcome {
  std::vector<double> numbers = std::vector<double>(2);  ///< loss, dL/d log tau
  std::vector<float> x, y;
};

/// clip of rows [first, first + n) of the batch; `ranks`: an agreed layout and a communicator.
template <class World>
Outcome clip(const std::vector<float>& x, const std::vector<float>& y, Index first, Index n,
             Index d, World& world) {
  gpu::Matrix<float> a(n, d), b(n, d), dx(n, d), dy(n, d);
  a.upload(x.data() + first * d, d);
  b.upload(y.data() + first * d, d);
  gpu::Memory numbers(2 * sizeof(double));
  double* const out = static_cast<double*>(numbers.data());
  const gpu::Layout layout(world, n, d);
  const auto call = [&](gpu::Scratch s) {
    return gpu::losses::clip_with_gradient<float>(
        a.view(), b.view(), {.temperature = 0.1}, {out, dx.view(), dy.view(), out + 1}, s, layout,
        world, gpu::pairwise::KernelProducts{gpu::Precision::exact});
  };
  gpu::Memory scratch(gpu::scratch_needed(call));
  gpu::expect(call(scratch.scratch()));
  Outcome o;
  o.x.resize(std::size_t(n * d));
  o.y.resize(std::size_t(n * d));
  dx.download(o.x.data(), d);
  dy.download(o.y.data(), d);
  gpu::expect(gpu::status_of(
      cudaMemcpy(o.numbers.data(), out, 2 * sizeof(double), cudaMemcpyDeviceToHost)));
  return o;
}

bool fine(mpi::Communicator& world) {
  const Index n = 37, d = 8;
  std::mt19937 engine(1);
  std::normal_distribution<float> normal;
  std::vector<float> x(std::size_t(n * d)), y(x.size());
  for (auto* rows : {&x, &y})
    for (float& v : *rows) v = normal(engine) / std::sqrt(float(d));
  gpu::OneRank self;
  const Outcome one = clip(x, y, 0, n, d, self);
  // Uneven blocks; the first is empty where there are three ranks or more.
  const auto begin = [&](int r) { return r == world.size() ? n : r * r / 3 * (n / 8); };
  const Index first = begin(world.rank()), count = begin(world.rank() + 1) - first;
  gpu::Staged staged(world);
  const Outcome mine = clip(x, y, first, count, d, staged);
  std::vector<double> all(std::size_t(2 * world.size()));
  world.all_gather(mine.numbers.data(), all.data(), 2 * sizeof(double));
  double largest = 0, off = 0;
  for (std::size_t k = 0; k < one.x.size(); ++k)
    largest = std::max({largest, double(std::abs(one.x[k])), double(std::abs(one.y[k]))});
  for (std::size_t k = 0; k < mine.x.size(); ++k) {
    const std::size_t at = std::size_t(first * d) + k;
    off = std::max(
        {off, double(std::abs(mine.x[k] - one.x[at])), double(std::abs(mine.y[k] - one.y[at]))});
  }
  bool right = off <= 1e-5 * largest && largest > 0;
  for (std::size_t k = 0; k < 2; ++k) {
    right = right && std::abs(mine.numbers[k] - one.numbers[k]) <= 1e-6 * std::abs(one.numbers[k]);
    for (std::size_t r = 0; r < std::size_t(world.size()); ++r)
      right = right && all[2 * r + k] == mine.numbers[k];
  }
  const char own = right;
  std::vector<char> every(std::size_t(world.size()));
  world.all_gather(&own, every.data(), 1);
  return std::find(every.begin(), every.end(), 0) == every.end();
}

}  // namespace

int main(int argc, char** argv) {
  int level = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &level);
  bool right = false;
  {
    mpi::Communicator world(MPI_COMM_WORLD, {.timeout = std::chrono::seconds(60)});
    right = fine(world);
    if (world.rank() == 0)
      std::printf("%s: clip on devices through host memory and MPI, in the emulator, %d ranks\n",
                  right ? "passed" : "failed", world.size());
  }
  MPI_Finalize();
  return right ? 0 : 1;
}
