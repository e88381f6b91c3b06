// clip_bf16 and info_nce_bf16 beside clip and info_nce: speed and errors in one table (Markdown).
//
//   losses_bf16_bench --n=1024,4096 --d=128,512 --tau=0.07,0.01 --threads=1 --turns=9
//                     [--data=examples/data]
//
// ms: medians of turns that both take one after the other, value and gradients, Workspace and
// outputs kept; ratio: the median of the turns' own ratios, with the smallest and the largest.
// Errors against the library's f64 on the same rows: of the loss relatively; of both gradients
// together |got - want| / |want| and 1 - cosine; f32's of the gradients for comparison. Rows:
// random unit rows (pairs independent), pairs (cosine about .5), emoji (the bundled embeddings,
// made unit).
#include <chrono>
#include <cmath>
#include <cstdio>
#include <sstream>

#include "spheremix/io/npy.hpp"
#include "spheremix/losses/clip_bf16.hpp"
#include "spheremix/losses/info_nce_bf16.hpp"
#include "support/batch.hpp"

namespace {

using namespace bench;
namespace losses = spheremix::losses;
using Clock = std::chrono::steady_clock;

template <class T>
using Gradient = losses::ContrastiveGradient<RowMatrix<T>>;

struct Flags {
  std::vector<double> n{1024, 4096}, d{128, 512}, tau{0.07, 0.01}, threads{1}, turns{9};
  std::string data;

  bool take(const std::string& flag) {
    const auto equals = flag.find('=');
    const std::string name = flag.substr(0, equals);
    if (equals == std::string::npos) return false;
    if (name == "--data") {
      data = flag.substr(equals + 1);
      return true;
    }
    for (auto [known, list] : {std::pair{"--n", &n},
                               {"--d", &d},
                               {"--tau", &tau},
                               {"--threads", &threads},
                               {"--turns", &turns}})
      if (name == known) {
        list->clear();
        std::istringstream values(flag.substr(equals + 1));
        for (std::string one; std::getline(values, one, ',');) list->push_back(std::stod(one));
        return !list->empty();
      }
    return false;
  }
};

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

/// Both gradients as one vector: |got - want| / |want| and 1 - cosine.
struct Distance {
  double relative, angle;

  Distance(const Gradient<float>& got, const Gradient<double>& want) {
    double difference = 0, a = 0, b = 0;
    const auto add = [&](const RowMatrix<float>& g, const RowMatrix<double>& w) {
      difference += (g.cast<double>() - w).squaredNorm();
      a += g.cast<double>().squaredNorm();
      b += w.squaredNorm();
    };
    add(got.x, want.x);
    add(got.y, want.y);
    relative = std::sqrt(difference / b);
    // 1 - cos = (|u - v|^2 - (|u| - |v|)^2) / (2 |u| |v|): no digits lost near 0
    const double gap = std::sqrt(a) - std::sqrt(b);
    angle = std::max(0.0, difference - gap * gap) / (2 * std::sqrt(a * b));
  }
};

template <class Options, class Full, class Fast>
void line(const char* loss, const char* rows, const RowMatrix<float>& x, const RowMatrix<float>& y,
          const Options& options, int turns, Full full, Fast fast) {
  spheremix::core::Workspace memory;
  Gradient<double> want;
  full(x.cast<double>().eval(), y.cast<double>().eval(), options, memory, want);
  Gradient<float> exact, coarse;
  std::vector<double> ms_full, ms_fast, ratio;
  for (int turn = -1; turn < turns; ++turn) {  // the first turn takes the memory
    const auto start = Clock::now();
    full(x, y, options, memory, exact);
    const auto between = Clock::now();
    fast(x, y, options, memory, coarse);
    const auto end = Clock::now();
    if (turn < 0) continue;
    ms_full.push_back(std::chrono::duration<double, std::milli>(between - start).count());
    ms_fast.push_back(std::chrono::duration<double, std::milli>(end - between).count());
    ratio.push_back(ms_full.back() / ms_fast.back());
  }
  const Distance off(coarse, want), own(exact, want);
  std::printf(
      "| %s | %s | %ld | %ld | %g | %.3g | %.3g | %.2f (%.2f–%.2f) | %.3g | %.1e | %.1e | "
      "%.1e | %.1e |\n",
      loss, rows, long(x.rows()), long(x.cols()), options.temperature, median(ms_full),
      median(ms_fast), median(ratio), *std::min_element(ratio.begin(), ratio.end()),
      *std::max_element(ratio.begin(), ratio.end()), want.loss,
      std::abs(coarse.loss - want.loss) / want.loss, off.relative, off.angle, own.relative);
  std::fflush(stdout);
}

void lines(const char* rows, const RowMatrix<float>& x, const RowMatrix<float>& y,
           const Flags& flags) {
  for (const double tau : flags.tau) {
    line(
        "clip", rows, x, y, losses::ClipOptions{.temperature = tau}, int(flags.turns[0]),
        [](auto&&... a) { losses::clip_with_gradient(a...); },
        [](auto&&... a) { losses::clip_bf16_with_gradient(a...); });
    line(
        "info_nce", rows, x, y, losses::InfoNceOptions{.temperature = tau}, int(flags.turns[0]),
        [](auto&&... a) { losses::info_nce_with_gradient(a...); },
        [](auto&&... a) { losses::info_nce_bf16_with_gradient(a...); });
  }
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  for (int k = 1; k < argc; ++k)
    if (!flags.take(argv[k])) {
      std::fprintf(stderr, "not understood: %s\n", argv[k]);
      return 2;
    }
  for (const double threads : flags.threads) {
    omp_set_num_threads(int(threads));
    std::printf("%d thread(s), %s, %s\n\n", int(threads), spheremix::pairwise::isa_name(),
                spheremix::pairwise::has_bf16_pairs() ? "AVX512-BF16" : "no AVX512-BF16");
    std::printf(
        "| loss | rows | N | D | tau | f32 ms | bf16 ms | ratio (smallest–largest) | value | "
        "error of the value | error of the gradients | 1 - cosine | f32's error |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (const double n : flags.n)
      for (const double d : flags.d) {
        const Batch<float>& b = batch<float>(Index(n), Index(d));
        lines("random", b.x, b.g, flags);
        lines("pairs", b.x, b.y, flags);
      }
    if (!flags.data.empty()) {
      const auto unit = [&](const char* name) {
        return spheremix::sphere::normalize_rows(
            spheremix::io::load_npy<float>(flags.data + "/" + name + "_feat_256_f16.npy"));
      };
      lines("emoji", unit("image"), unit("text"), flags);
    }
    std::printf("\n");
  }
}
