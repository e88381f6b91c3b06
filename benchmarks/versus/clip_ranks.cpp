// CLIP's loss and gradients on ranks of MPI, for benchmarks/versus_gloo.py:
//
//   clip_ranks FILE N D TEMPERATURE CALLS OUT
//
// FILE holds X and Y, N x D floats each. Each rank writes its rows of the gradients to OUT.RANK and
// prints the loss, processor seconds a call and by how many bytes the first call has grown it.
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>

#include "spheremix/losses/clip.hpp"
#include "spheremix/mpi/communicator.hpp"

using namespace spheremix;

namespace {

double peak_bytes() {
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  return 1024 * double(use.ru_maxrss);
}

void run(char** argv, mpi::Communicator& world) {
  const Index n = std::atol(argv[2]), d = std::atol(argv[3]);
  const int calls = std::atoi(argv[5]);
  const Index first = n * world.rank() / world.size(),
              own = n * (world.rank() + 1) / world.size() - first;
  RowMatrix<float> rows[2];
  std::ifstream file(argv[1], std::ios::binary);
  for (Index batch = 0; batch < 2; ++batch) {
    rows[batch].resize(own, d);
    file.seekg(std::streamoff((batch * n + first) * d * Index(sizeof(float))));
    file.read(reinterpret_cast<char*>(rows[batch].data()),
              std::streamsize(own * d * Index(sizeof(float))));
  }
  if (!file) throw std::runtime_error(std::string(argv[1]) + ": cannot be read");
  core::Workspace workspace;
  losses::ContrastiveGradient<RowMatrix<float>> g;
  const auto call = [&] {
    losses::clip_with_gradient(rows[0], rows[1], {.temperature = std::atof(argv[4])}, workspace, g,
                               world);
  };
  const double before = peak_bytes();
  call();
  const double grown = peak_bytes() - before;
  const std::clock_t begin = std::clock();
  for (int k = 0; k < calls; ++k) call();
  const double seconds = double(std::clock() - begin) / CLOCKS_PER_SEC / calls;
  std::ofstream out(std::string(argv[6]) + "." + std::to_string(world.rank()), std::ios::binary);
  for (const RowMatrix<float>* m : {&g.x, &g.y})
    out.write(reinterpret_cast<const char*>(m->data()),
              std::streamsize(m->size() * Index(sizeof(float))));
  std::printf("%.17g %.6f %.0f\n", g.loss, seconds, grown);
}

}  // namespace

int main(int argc, char** argv) {
  int provided = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  if (argc != 7) MPI_Abort(MPI_COMM_WORLD, 2);
  {
    mpi::Communicator world(MPI_COMM_WORLD);
    run(argv, world);
  }
  MPI_Finalize();
  return 0;
}
