// A trainer of two linear heads on CLIP over processes of MPI: each rank encodes its rows of every
// batch, the loss is that of the whole batch, parameter gradients are summed over the ranks.
//
//   mpirun -np 4 trainer_mpi [STEPS [--parameters]]
//
// The same parameters for any number of ranks, up to rounding: in double 1e-10 after 20 steps.
//
// Forward    u = W x,  y = u / |u|      for each modality, for the rank's rows
// Backward   dY from the loss,  dU = normalize_rows_vjp(U, dY),  dW = sum over ranks of dU^T X
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <spheremix/losses/clip.hpp>
#include <spheremix/metrics/retrieval.hpp>
#include <spheremix/mpi/communicator.hpp>
#include <spheremix/sphere/normalize.hpp>
#include <spheremix/sphere/sampling.hpp>

using namespace spheremix;
using Matrix = RowMatrix<double>;

// One linear map onto the sphere.
struct Head {
  Matrix weight, moment, x, u, y;

  Head(Index in, Index out, core::Philox& rng)
      : weight(sphere::sample_uniform<double>(out, in, rng)), moment(Matrix::Zero(out, in)) {}

  const Matrix& forward(const Matrix& input) {
    x = input;
    u = x * weight.transpose();
    sphere::normalize_rows(u, y);
    return y;
  }
  // The rank's part of dL/dW, added up over the ranks: the loss's gradients are those of the whole
  // batch, so the sum is right and a mean would be too small by the number of ranks.
  void descend(const Matrix& dy, double rate) {
    Matrix gradient = sphere::normalize_rows_vjp(u, dy).transpose() * x;
    MPI_Allreduce(MPI_IN_PLACE, gradient.data(), int(gradient.size()), MPI_DOUBLE, MPI_SUM,
                  MPI_COMM_WORLD);
    moment = 0.9 * moment + gradient;
    weight -= rate * moment;
  }
};

void train(int steps, bool parameters) {
  mpi::Communicator world(MPI_COMM_WORLD, {.timeout = std::chrono::minutes(10)});
  if (world.rank() == 0) std::printf("%d ranks x %d threads\n", world.size(), core::max_threads());
  // Pairs that share what is in their first numbers. Every rank draws the same and takes its rows.
  core::Philox rng(1);
  const Index batch = 250, in = 24, out = 16;
  Head image(in, out, rng), text(in, out, rng);
  const Index first = batch * world.rank() / world.size(),
              count = batch * (world.rank() + 1) / world.size() - first;
  core::Workspace workspace;
  losses::ContrastiveGradient<Matrix> g;
  double log_temperature = std::log(0.07);
  for (int step = 0; step < steps; ++step) {
    const Matrix shared = sphere::sample_uniform<double>(batch, in, rng),
                 noise_a = sphere::sample_uniform<double>(batch, in, rng),
                 noise_b = sphere::sample_uniform<double>(batch, in, rng);
    image.forward((shared + 0.5 * noise_a).middleRows(first, count));
    text.forward((shared + 0.5 * noise_b).middleRows(first, count));
    losses::clip_with_gradient(image.y, text.y, {.temperature = std::exp(log_temperature)},
                               workspace, g, world);
    image.descend(g.x, 0.05);
    text.descend(g.y, 0.05);
    log_temperature -= 0.05 * g.log_temperature;  // complete on every rank: no sum
    if (step % 10 == 0 || step == steps - 1) {
      const double recall =
          metrics::retrieval(image.y, text.y, metrics::RetrievalOptions{.k = {1}}, world).recall[0];
      if (world.rank() == 0) std::printf("step %3d  loss %.6f  R@1 %.3f\n", step, g.loss, recall);
    }
  }
  if (!parameters || world.rank() != 0) return;
  std::printf("parameters");
  for (const Head* head : {&image, &text})
    for (Index i = 0; i < head->weight.size(); ++i) std::printf(" %.17g", head->weight.data()[i]);
  std::printf(" %.17g\n", log_temperature);
}

int main(int argc, char** argv) {
  int provided = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  try {
    train(argc > 1 ? std::max(1, std::atoi(argv[1])) : 20,
          argc > 2 && std::strcmp(argv[2], "--parameters") == 0);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "trainer_mpi: %s\n", error.what());
    MPI_Abort(MPI_COMM_WORLD, 2);  // MPI_Finalize would wait for ranks that wait for this one
  }
  MPI_Finalize();
  return 0;
}
