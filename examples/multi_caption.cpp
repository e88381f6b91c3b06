// CLIP with several captions an image: its own name, and the name of its kind, which it shares with
// other images of the batch. Trained on both, and on the names alone.
//
//   X: n images    Y: n names, then the kinds that the batch has
//   pairs(rows, cols): image i with its name, column i, and with its kind's column
//   clip(X, Y, targets): a row's softmax is asked for both of its captions in equal parts, a kind's
//                        column for all of its images
#include <cstdio>
#include <exception>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "linear_head.hpp"
#include "spheremix/io/npy.hpp"
#include "spheremix/losses/clip.hpp"
#include "spheremix/losses/targets.hpp"
#include "spheremix/metrics/retrieval.hpp"
#include "spheremix/metrics/zero_shot.hpp"
#include "spheremix/mixup/partners.hpp"

using namespace spheremix;
using Matrix = RowMatrix<float>;

/// Column `column` of a table with a head.
std::vector<std::string> column_of(const std::string& path, int column) {
  std::ifstream in(path);
  std::vector<std::string> out;
  for (std::string line, cell; std::getline(in, line); out.push_back(cell)) {
    std::istringstream cells(line);
    for (int c = 0; c <= column; ++c) std::getline(cells, cell, '\t');
  }
  if (!out.empty()) out.erase(out.begin());
  return out;
}

int main(int argc, char** argv) try {
  const std::string folder = argc > 1 ? argv[1] : SPHEREMIX_EXAMPLES_DIR "/data";
  const Matrix images = io::load_npy<float>(folder + "/image_feat_256_f16.npy"),
               names = io::load_npy<float>(folder + "/text_feat_256_f16.npy"),
               kinds = io::load_npy<float>(folder + "/subgroup_text_feat_256_f16.npy");
  std::map<std::string, Index> number;
  for (const auto& kind : column_of(folder + "/subgroups.tsv", 1))
    number.emplace(kind, Index(number.size()));
  std::vector<Index> kind_of;
  for (const auto& kind : column_of(folder + "/items.tsv", 4)) kind_of.push_back(number.at(kind));

  double accuracy[2] = {};
  for (const bool both : {false, true}) {
    core::Philox rng(1);
    const auto order = mixup::random_partners(images.rows(), rng);
    const std::vector<Index> held(order.begin(), order.begin() + 450);
    LinearHead image(images.cols(), 128, rng), text(names.cols(), 128, rng);
    const Index batch = 256;
    for (int epoch = 0; epoch < 30; ++epoch)
      for (Index b = 450; b + batch <= images.rows(); b += batch) {
        const std::vector<Index> rows(order.begin() + b, order.begin() + b + batch);
        std::vector<Index> from, to, columns;  // pairs; the kinds of this batch
        std::map<Index, Index> column;
        for (Index i = 0; i < batch; ++i) {
          from.push_back(i), to.push_back(i);
          const Index kind = kind_of[std::size_t(rows[std::size_t(i)])];
          if (!both) continue;
          const auto [at, fresh] = column.emplace(kind, batch + Index(columns.size()));
          if (fresh) columns.push_back(kind);
          from.push_back(i), to.push_back(at->second);
        }
        Matrix captions(batch + Index(columns.size()), names.cols());
        captions << names(rows, Eigen::all), kinds(columns, Eigen::all);
        const Matrix x = image.forward(images(rows, Eigen::all)), y = text.forward(captions);
        const auto g =
            losses::clip_with_gradient(x, y, losses::pairs(from, to), {.temperature = 0.07});
        image.backward(g.x, 0.5f);
        text.backward(g.y, 0.5f);
      }
    std::vector<Index> labels;
    for (const Index i : held) labels.push_back(kind_of[std::size_t(i)]);
    const Matrix v = image(images(held, Eigen::all));
    accuracy[both] = metrics::zero_shot_accuracy(v, text(kinds), labels, {.k = {1}})[0];
    std::printf("%-16s kinds found %.3f  names R@10 %.3f\n",
                both ? "names and kinds" : "names alone", accuracy[both],
                metrics::retrieval(v, text(names(held, Eigen::all)), {.k = {10}}).recall[0]);
  }
  return accuracy[1] > accuracy[0] ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "multi_caption: %s\n", error.what());
  return 2;
}
