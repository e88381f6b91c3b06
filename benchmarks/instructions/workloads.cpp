// Fixed workloads whose instructions are counted by callgrind: benchmarks/instructions.sh. Counting
// is switched on for the second call only, when all memory is there.
#include <valgrind/callgrind.h>

#include <cstdio>
#include <cstring>

#include "spheremix/losses/clip.hpp"
#include "spheremix/losses/m2_mix.hpp"
#include "spheremix/pairwise/isa.hpp"
#include "spheremix/sphere/slerp_rows.hpp"
#include "support/batch.hpp"

namespace {

using namespace spheremix;
using Rows = RowMatrix<float>;

template <class Call>
void count(const Call& call) {
  call();
  CALLGRIND_TOGGLE_COLLECT;
  call();
  CALLGRIND_TOGGLE_COLLECT;
}

}  // namespace

int main(int argc, char** argv) {
  const char* const work = argc > 1 ? argv[1] : "";
  const auto& b = bench::batch<float>(512, 128);
  core::Workspace workspace;
  if (std::strcmp(work, "clip_512x128") == 0) {
    losses::ContrastiveGradient<Rows> out;
    count([&] { losses::clip_with_gradient(b.x, b.y, {}, workspace, out); });
  } else if (std::strcmp(work, "m2_mix_512x128") == 0) {
    losses::MixGradient<Rows> out;
    count([&] { losses::m2_mix_with_gradient(b.x, b.y, 0.3, {}, workspace, out); });
  } else if (std::strcmp(work, "slerp_rows_vjp_512x128") == 0) {
    sphere::SlerpGradient<Rows> out;
    count([&] { sphere::slerp_rows_vjp(b.x, b.y, 0.7, b.g, out); });
  } else {
    std::puts("clip_512x128\nm2_mix_512x128\nslerp_rows_vjp_512x128");
    return 2;
  }
  std::puts(pairwise::isa_name());
}
