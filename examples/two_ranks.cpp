// A loss over processes of MPI: each rank has its own rows of the batch.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <spheremix/losses/clip.hpp>
#include <spheremix/mpi/communicator.hpp>
#include <spheremix/sphere/sampling.hpp>

using namespace spheremix;

int main(int argc, char** argv) {
  int level;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &level);
  {  // the communicator has to go before MPI does
    mpi::Communicator world(MPI_COMM_WORLD, {.timeout = std::chrono::minutes(10)});
    core::Philox rng(std::uint64_t(1 + world.rank()));
    const auto x = sphere::sample_uniform<float>(128, 64, rng);  // this rank's rows
    const auto y = sphere::sample_uniform<float>(128, 64, rng);
    const auto g = losses::clip_with_gradient(x, y, {.temperature = 0.1}, world);
    std::printf("rank %d of %d: loss %.4f of all rows, |dL/dx| %.4f of mine\n", world.rank(),
                world.size(), g.loss, double(g.x.norm()));
  }
  MPI_Finalize();
}
