// MoCo: contrast against a queue of keys from earlier steps, made by an encoder that follows the
// trained one. Views of digits (8 x 8 pixels) with noise and dropped pixels.
//
//   Y = [keys of this batch; queue]     row i's answer is row i, all further rows are negatives
//   info_nce(Q, Y): n x (n + queue)     into a struct without the field y: no gradient of the keys
//   key encoder = 0.95 key encoder + 0.05 query encoder
//
// He et al. 2020, "Momentum Contrast for Unsupervised Visual Representation Learning", 1911.05722.
#include <cstdio>
#include <exception>
#include <string>

#include "linear_head.hpp"
#include "spheremix/io/npy.hpp"
#include "spheremix/losses/info_nce.hpp"
#include "spheremix/metrics/retrieval.hpp"
#include "spheremix/mixup/partners.hpp"

using namespace spheremix;
using Matrix = RowMatrix<float>;

/// What the keys' side leaves out is not computed.
struct QueryGradient {
  double loss = 0;
  Matrix x;
  double log_temperature = 0;
};

/// A quarter of the pixels dropped, noise on the others.
Matrix view_of(const Matrix& images, core::Philox& rng) {
  Matrix view = images;
  const auto step = rng.take_step();
  for (Index k = 0; k < view.size(); ++k) {
    auto stream = rng.stream(step, std::uint64_t(k));
    const float kept = stream.uniform<float>() < 0.25f ? 0 : 1;
    view.data()[k] = kept * view.data()[k] + 0.2f * (stream.uniform<float>() - 0.5f);
  }
  return view;
}

int main(int argc, char** argv) try {
  const std::string folder = argc > 1 ? argv[1] : SPHEREMIX_EXAMPLES_DIR "/data";
  Matrix images = io::load_npy<float>(folder + "/digits_8x8_f16.npy").leftCols(64) / 16;
  images.rowwise() -= images.colwise().mean().eval();
  core::Philox rng(1);
  const Index batch = 128, width = 32, queued = 1024, held = 400, rest = images.rows() - held;
  LinearHead query(64, width, rng);
  LinearHead key = query;
  Matrix queue = sphere::sample_uniform<float>(queued, width, rng), y(batch + queued, width);
  Index oldest = 0;
  const auto found = [&] {  // of a held-out image's view, its other view
    core::Philox views(2);
    const Matrix one = view_of(images.topRows(held), views),
                 other = view_of(images.topRows(held), views);
    return metrics::retrieval(query(one), query(other), {.k = {1}}).recall[0];
  };
  const double before = found();
  core::Workspace workspace;
  QueryGradient g;
  for (int epoch = 1; epoch <= 20; ++epoch) {
    double loss = 0;
    const auto order = mixup::random_partners(rest, rng);
    for (Index b = 0; b + batch <= rest; b += batch) {
      Matrix rows(batch, 64);
      for (Index i = 0; i < batch; ++i) rows.row(i) = images.row(held + order[std::size_t(b + i)]);
      const Matrix q = query.forward(view_of(rows, rng)), k = key(view_of(rows, rng));
      y << k, queue;
      losses::info_nce_with_gradient(q, y, {.temperature = 0.1}, workspace, g);
      query.backward(g.x, 0.5f);
      key.weight = 0.95f * key.weight + 0.05f * query.weight;
      queue.middleRows(oldest, batch) = k;  // queued is a multiple of batch
      oldest = (oldest + batch) % queued;
      loss += g.loss * double(batch) / double(rest);
    }
    if (epoch % 5 == 0) std::printf("epoch %2d  loss %.4f  R@1 %.3f\n", epoch, loss, found());
  }
  std::printf("R@1 of views: %.3f before training, %.3f after\n", before, found());
  return found() > before ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "moco: %s\n", error.what());
  return 2;
}
