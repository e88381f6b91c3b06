// The device losses over ranks against one device with the whole batch: W = 1, 2, 3, 5 threads,
// blocks even, uneven and empty, every type of rows; the same bits on every rank, with random delays
// and however the ranks are joined; nothing waits; NaN goes where it goes on one device.
#include "support/device_ranks.hpp"

#include "gpu/losses/reference.hpp"
#include "spheremix/gpu/ranks/clip.cuh"
#include "spheremix/gpu/ranks/m2_mix.cuh"
#include "spheremix/gpu/ranks/siglip.cuh"
#include "spheremix/gpu/ranks/uniformity.cuh"

namespace {

using namespace spheremix;
using namespace spheremix::gpu_test;
using gpu::Precision;
using gpu::Scratch;
using gpu::Status;
using gpu::pairwise::KernelProducts;
using test::Cut;
namespace device = gpu::losses;

enum class Loss { clip, info_nce, siglip, m2, m2_append, m2_one_lambda, uniformity, steep };
constexpr Loss kAll[] = {Loss::clip,      Loss::info_nce,      Loss::siglip,     Loss::m2,
                         Loss::m2_append, Loss::m2_one_lambda, Loss::uniformity, Loss::steep};

struct Batch {
  Index n, d;
  std::vector<double> x, y, lambda;

  Batch rows(Index first, Index last) const {
    const auto part = [&](const std::vector<double>& v, Index width) {
      return std::vector<double>(v.begin() + first * width, v.begin() + last * width);
    };
    return {last - first, d, part(x, d), part(y, d), part(lambda, 1)};
  }
};

template <class T>
Batch batch(Index n, Index d) {
  return {n, d, unit_rows<T>(n, d, 1), unit_rows<T>(n, d, 2), mix_lambdas(n)};
}

struct Result {
  std::vector<double> numbers;  ///< loss, value alone, slopes: the same on every rank
  std::vector<double> x, y, lambda;

  void append(const Result& rank) {
    for (auto part : {&Result::x, &Result::y, &Result::lambda})
      (this->*part).insert((this->*part).end(), (rank.*part).begin(), (rank.*part).end());
  }
};

thread_local bool exchanges_wait = false;

/// Just as much scratch as is counted; nothing allocates or waits on the way.
template <class Call>
void enqueued(const Call& call) {
  const Buffer<char> scratch(gpu::scratch_needed(call));
#if defined(SPHEREMIX_EMULATOR)
  const std::size_t stops = emulator::host_stops;
#endif
  const Status status = call(scratch.scratch());
  if (!status) throw std::runtime_error(status.text);
#if defined(SPHEREMIX_EMULATOR)
  if (emulator::host_stops != stops && !exchanges_wait)
    throw std::runtime_error("the call waits or allocates");
#endif
  must(cudaDeviceSynchronize(), "a kernel");
}

/// `where`: a stream, or a layout and the ranks.
template <class T, class... Where>
Result run(Loss loss, const Batch& b, const KernelProducts& how, Where&... where) {
  using A = gpu::Arithmetic<T>;
  const Rows<T> x(b.n, b.d, b.x), y(b.n, b.d, b.y);
  const Rows<A> gx(b.n, b.d), gy(b.n, b.d);
  const Buffer<A> each(as<A>(b.lambda));
  const Buffer<double> numbers(std::vector<double>(5, 0.0)), lambdas(b.lambda);
  double* const out = numbers.data();
  const auto both = [&](const auto& value, const auto& gradient) {
    enqueued(gradient);
    enqueued(value);
  };
  if (loss == Loss::clip || loss == Loss::info_nce) {
    const device::ContrastiveGradient<T> to{out, gx.view(), gy.view(), out + 2};
    if (loss == Loss::clip)
      both(
          [&](Scratch s) {
            return device::clip<T>(x.input(), y.input(), {.temperature = 0.1}, out + 1, s, where...,
                                   how);
          },
          [&](Scratch s) {
            return device::clip_with_gradient<T>(x.input(), y.input(), {.temperature = 0.1}, to, s,
                                                 where..., how);
          });
    else
      both(
          [&](Scratch s) {
            return device::info_nce<T>(x.input(), y.input(), {.temperature = 0.1}, out + 1, s,
                                       where..., how);
          },
          [&](Scratch s) {
            return device::info_nce_with_gradient<T>(x.input(), y.input(), {.temperature = 0.1}, to,
                                                     s, where..., how);
          });
  } else if (loss == Loss::siglip) {
    const device::SiglipOptions o{0.1, -4};
    both(
        [&](Scratch s) {
          return device::siglip<T>(x.input(), y.input(), o, out + 1, s, where..., how);
        },
        [&](Scratch s) {
          return device::siglip_with_gradient<T>(x.input(), y.input(), o,
                                                 {out, gx.view(), gy.view(), out + 2, out + 3}, s,
                                                 where..., how);
        });
  } else if (loss == Loss::uniformity || loss == Loss::steep) {
    const gpu::metrics::UniformityOptions o{loss == Loss::steep ? 40.0 : 2.0};
    both(
        [&](Scratch s) {
          return gpu::metrics::uniformity<T>(x.input(), o, out + 1, s, where..., how);
        },
        [&](Scratch s) {
          return gpu::metrics::uniformity_with_gradient<T>(x.input(), o, {out, gx.view()}, s,
                                                           where..., how);
        });
  } else {
    device::M2MixOptions o;
    o.temperature = 0.1;
    if (loss == Loss::m2_append) o.negatives = device::Negatives::append;
    const bool one = loss == Loss::m2_one_lambda;
    const gpu::RowScalar<A> lambda = one ? gpu::RowScalar<A>(0.3) : gpu::RowScalar<A>(each.data());
    both(
        [&](Scratch s) {
          return device::m2_mix<T>(x.input(), y.input(), lambda, o, out + 1, s, where..., how);
        },
        [&](Scratch s) {
          return device::m2_mix_with_gradient<T>(
              x.input(), y.input(), lambda, o,
              {out, gx.view(), gy.view(), one ? out + 3 : lambdas.data(), out + 2}, s, where...,
              how);
        });
  }
  return {numbers.values(), gx.values(), gy.values(), lambdas.values()};
}

/// On one device, the whole batch.
template <class T>
Result alone(Loss loss, const Batch& b, const KernelProducts& how) {
  const cudaStream_t stream = nullptr;
  return run<T>(loss, b, how, stream);
}

/// On W ranks, the gradients one after another; `differ` counts ranks with other bits than rank 0.
template <class T>
Result ranks(Loss loss, const Batch& b, const KernelProducts& how, const std::vector<Index>& first,
             Join join = Join::nccl, const test::ThreadOptions& options = {}) {
  const int size = int(first.size()) - 1;
  std::vector<Result> each(std::size_t(size), Result{});
  const auto errors = on_device_ranks(
      size, join,
      [&](World& world) {
        const std::size_t r = std::size_t(world.rank());
        const Batch own = b.rows(first[r], first[r + 1]);
        const gpu::Layout layout(world, own.n, own.d);
        exchanges_wait = join == Join::staged;
        each[r] = run<T>(loss, own, how, layout, world);
      },
      options);
  for (const std::string& error : errors) CHECK(error == "");
  Result all{each[0].numbers, {}, {}, {}};
  for (const Result& rank : each) {
    all.append(rank);
    CHECK(rank.numbers.size() == all.numbers.size());
    CHECK(std::memcmp(rank.numbers.data(), all.numbers.data(),
                      all.numbers.size() * sizeof(double)) == 0);
  }
  return all;
}

bool same_bits(const Result& a, const Result& b) {
  const auto same = [](const std::vector<double>& p, const std::vector<double>& q) {
    return p.size() == q.size() && std::memcmp(p.data(), q.data(), p.size() * sizeof(double)) == 0;
  };
  return same(a.numbers, b.numbers) && same(a.x, b.x) && same(a.y, b.y) && same(a.lambda, b.lambda);
}

/// As one device has it, `tolerance` relative to the largest of its kind.
void check(const Result& got, const Result& want, double tolerance) {
  CHECK(got.numbers[0] == got.numbers[1]);
  for (std::size_t k = 0; k < want.numbers.size(); ++k)
    CHECK(std::abs(got.numbers[k] - want.numbers[k]) <=
          tolerance * (std::abs(want.numbers[0]) + std::abs(want.numbers[k])));
  for (auto part : {&Result::x, &Result::y, &Result::lambda}) {
    const auto &g = got.*part, &w = want.*part;
    REQUIRE(g.size() == w.size());
    double largest = 0, off = 0;
    for (std::size_t k = 0; k < w.size(); ++k) {
      if (std::isnan(w[k]) && std::isnan(g[k])) continue;
      largest = std::max(largest, std::abs(w[k]));
      off = std::isnan(g[k] - w[k]) ? core::infinity<double> : std::max(off, std::abs(g[k] - w[k]));
    }
    CHECK(off <= tolerance * largest);
  }
}

const KernelProducts kExact{Precision::exact, 0}, kFast{Precision::fast, 0};

}  // namespace

TEST_CASE("ranks: every loss, W = 1, 2, 3, 5, even, uneven and empty blocks, double") {
  const Batch b = batch<double>(23, 5);
  for (const Loss loss : kAll) {
    CAPTURE(int(loss));
    const Result want = alone<double>(loss, b, kExact);
    CHECK(std::abs(want.numbers[0]) > 0.1);
    for (const int size : {1, 2, 3, 5})
      for (const Cut cut : test::kCuts) {
        if (size == 1 && cut != Cut::even) continue;
        CAPTURE(size);
        CAPTURE(int(cut));
        check(ranks<double>(loss, b, kExact, test::blocks(b.n, size, cut)), want, 1e-12);
      }
  }
}

TEST_CASE("ranks: f32 and 16-bit rows, tensor cores or not, several tiles and ranges a strip") {
  in_every_order([] {
    for (const Loss loss : {Loss::clip, Loss::m2_append, Loss::siglip, Loss::steep}) {
      CAPTURE(int(loss));
      const Batch b = batch<float>(40, 12);
      const auto first = test::blocks(b.n, 3, Cut::uneven);
      check(ranks<float>(loss, b, kExact, first), alone<float>(loss, b, kExact), 2e-5);
      check(ranks<float>(loss, b, kFast, first), alone<float>(loss, b, kFast), 1e-4);
    }
  });
  const Batch large = batch<float>(150, 6);
  for (const Loss loss : {Loss::clip, Loss::m2_append, Loss::siglip, Loss::uniformity}) {
    CAPTURE(int(loss));
    const KernelProducts ranges{Precision::exact, 64};
    check(ranks<float>(loss, large, ranges, {0, 140, 150}), alone<float>(loss, large, ranges),
          2e-5);
  }
  const Batch half = batch<gpu::Half>(150, 24), bfloat = batch<gpu::Bfloat16>(30, 24);
  check(ranks<gpu::Half>(Loss::clip, half, {Precision::fast, 128}, {0, 135, 150}),
        alone<gpu::Half>(Loss::clip, half, kFast), 1e-4);
  for (const Loss loss : {Loss::clip, Loss::m2}) {
    const std::vector<Index> first{0, 0, 17, 30};
    check(ranks<gpu::Bfloat16>(loss, bfloat, kFast, first),
          alone<gpu::Bfloat16>(loss, bfloat, kFast), 1e-4);
  }
}

TEST_CASE("ranks: the same bits with random delays, through host memory, and alone for W = 1") {
  const Batch b = batch<float>(30, 8);
  const std::vector<Index> equal{0, 10, 20, 30};
  for (const Loss loss : {Loss::clip, Loss::m2_append, Loss::siglip, Loss::steep}) {
    CAPTURE(int(loss));
    const auto first = test::blocks(b.n, 5, Cut::first_empty);
    const Result plain = ranks<float>(loss, b, kExact, first);
    test::ThreadOptions late;
    for (late.delays = 1; late.delays <= 2; ++late.delays)
      CHECK(same_bits(ranks<float>(loss, b, kExact, first, Join::nccl, late), plain));
    CHECK(same_bits(ranks<float>(loss, b, kExact, first, Join::staged, late), plain));
    CHECK(same_bits(ranks<float>(loss, b, kExact, equal, Join::staged),
                    ranks<float>(loss, b, kExact, equal)));
    if (loss == Loss::steep) continue;  // one device walks half of the pairs
    const Result one = alone<float>(loss, b, kExact);
    CHECK(same_bits(ranks<float>(loss, b, kExact, {0, b.n}), one));
    gpu::OneRank self;
    const gpu::Layout layout(self, b.n, b.d);
    CHECK(same_bits(run<float>(loss, b, kExact, layout, self), one));
  }
}

TEST_CASE("ranks: logits far apart, NaN and infinity in one row of one rank, one row in all") {
  const Index n = 21, d = 6;
  for (const Loss loss : {Loss::clip, Loss::m2_append, Loss::siglip, Loss::uniformity}) {
    CAPTURE(int(loss));
    // Rank 0's rows lie close to all, rank 1's and 2's far off: their columns' maxima differ.
    Batch b = batch<double>(n, d);
    for (std::size_t k = 0; k < std::size_t(n * d); ++k) {
      b.x[k] *= k < 7 * std::size_t(d) ? 30 : 0.1;
      b.y[k] *= k % std::size_t(d) ? 1 : 4;
    }
    const std::vector<Index> first{0, 7, 12, 21};
    check(ranks<double>(loss, b, kExact, first), alone<double>(loss, b, kExact), 1e-11);
    for (const double bad : {core::nan<double>, core::infinity<double>}) {
      Batch poor = batch<double>(n, d);
      poor.x[std::size_t(9 * d + 2)] = bad;
      const Result got = ranks<double>(loss, poor, kExact, first),
                   want = alone<double>(loss, poor, kExact);
      CHECK(std::isnan(got.numbers[0]));
      const auto lost = [](const std::vector<double>& v) {
        std::vector<bool> nan;
        for (const double x : v) nan.push_back(std::isnan(x));
        return nan;
      };
      CHECK(lost(got.numbers) == lost(want.numbers));
      CHECK(lost(got.x) == lost(want.x));
      CHECK(lost(got.y) == lost(want.y));
    }
    if (loss == Loss::uniformity) continue;
    const Batch single = batch<double>(1, 4);
    check(ranks<double>(loss, single, kExact, {0, 0, 1}), alone<double>(loss, single, kExact),
          1e-12);
  }
}

TEST_CASE("ranks: bytes on the wire are those of the headers") {
#if defined(SPHEREMIX_EMULATOR)
  // a N (d s + 4 d) and 16 a N of statistics; 24 bytes of sums, and 16 of the layout, to each other.
  const Index n = 24, d = 8;
  const int size = 3;
  const auto sent = [&]<class T>(T, Loss loss, const KernelProducts& how) {
    const Batch all = batch<T>(n, d);
    std::vector<std::size_t> bytes;
    test::on_ranks(size, [&](test::ThreadRank& rank) {
      const std::lock_guard lock(emulator::turn);
      ncclComm comm{&rank};
      nccl::Communicator joined(&comm);
      WorldOf of(joined);
      World& world = of;
      const Batch b = all.rows(rank.rank() * n / size, (rank.rank() + 1) * n / size);
      const gpu::Layout layout(world, b.n, b.d);
      run<T>(loss, b, how, layout, world);
      bytes.push_back(rank.sent());
    });
    CHECK(bytes == std::vector<std::size_t>(std::size_t(size), bytes[0]));
    return Index(bytes[0]);
  };
  const Index others = 2 * (2 * 24 + 16), rows = n - n / size;  // gradient and value: two calls
  CHECK(sent(gpu::Half{}, Loss::clip, kFast) == rows * (2 * d * 2 + 4 * d + 8 * 3) + others);
  CHECK(sent(gpu::Bfloat16{}, Loss::siglip, kFast) == rows * (2 * d * 2 + 4 * d) + others);
  CHECK(sent(float{}, Loss::info_nce, kExact) == rows * (2 * d * 4 + 4 * d) + others);
  CHECK(sent(float{}, Loss::m2, kFast) == rows * (2 * d * 2 + 4 * d) + others);
  CHECK(sent(float{}, Loss::m2_append, kExact) ==
        rows * (4 * d * 4 + 8 * d + 8 * 3) + others + 2 * 24);  // log tau has two sums
  CHECK(sent(float{}, Loss::steep, kFast) == rows * (2 * d * 2 + 2 * 8) + 2 * (2 * 8 + 16));
#endif
}

TEST_CASE("ranks: what is refused") {
  const auto errors_of = [](const std::function<void(World&)>& body) {
    return on_device_ranks(3, Join::nccl, body);
  };
  for (const std::string& error :
       errors_of([](World& world) { gpu::Layout(world, 4, world.rank() == 1 ? 7 : 8); }))
    CHECK(error == "Layout: rank 1 of 3 has 7 columns where rank 0 has 8");
  for (const std::string& error :
       errors_of([](World& world) { gpu::Layout(world, world.rank() == 2 ? -1 : 3, 8); }))
    CHECK(error == "Layout: rank 2 of 3 has -1 rows");
  for (const std::string& error : errors_of([](World& world) { gpu::Layout(world, 0, 8); }))
    CHECK(error == "Layout: no rank has rows");

  gpu::OneRank self;
  const gpu::Layout layout(self, 4, 3);
  const Rows<float> x(4, 3, std::vector<double>(12, 0.5)), g(4, 3), h(4, 3);
  const Buffer<double> loss(1);
  const Buffer<char> memory(1 << 20);
  const auto refused = [&](Status status, const char* text) {
    CHECK(!status);
    CHECK(std::string(status.text) == text);
  };
  const auto clip = [&](core::MatrixView<const float> a, core::MatrixView<const float> b,
                        double tau, core::MatrixView<float> gx, Scratch s) {
    return device::clip_with_gradient<float>(a, b, {.temperature = tau},
                                             {loss.data(), gx, h.view(), nullptr}, s, layout, self);
  };
  refused(clip(x.input().middle_rows(0, 3), x.input(), 1, g.view(), memory.scratch()),
          "a block has another shape than its layout says");
  refused(clip(x.input(), x.input(), 0, g.view(), memory.scratch()),
          "the temperature is not a positive finite number");
  refused(clip(x.input(), x.input(), 1, {}, memory.scratch()), "no place for the gradients");
  refused(clip(x.input(), x.input(), 1, g.view(), Scratch{memory.data(), 256}),
          "the scratch is too small");
  refused(
      gpu::metrics::uniformity<float>(x.input(), {-1}, loss.data(), memory.scratch(), layout, self),
      "uniformity: t is not positive and finite");
}

TEST_CASE("ranks: an exchange that fails, a stream that does not end, an error of NCCL") {
#if defined(SPHEREMIX_EMULATOR)
  test::ThreadOptions options;
  options.failing_rank = 1;
  for (options.failing_call = 0; options.failing_call < 4; ++options.failing_call) {
    const Batch b = batch<float>(9, 4);
    const auto errors = on_device_ranks(
        3, Join::staged,
        [&](World& world) {
          const Batch own = b.rows(world.rank() * 3, world.rank() * 3 + 3);
          const gpu::Layout layout(world, own.n, own.d);
          run<float>(Loss::clip, own, kExact, layout, world);
        },
        options);
    for (const std::string& error : errors)
      CHECK_MESSAGE((error.find("exchange") == 0 || error == "another rank has failed"), error);
  }
  for (const bool of_nccl : {false, true})
    test::on_ranks(1, [&](test::ThreadRank& rank) {
      const std::lock_guard lock(emulator::turn);
      ncclComm comm{&rank};
      nccl::Communicator world(&comm);
      CHECK(world.wait().ok());
      emulator::stream_state = cudaErrorNotReady;
      if (of_nccl) comm.state = ncclRemoteError;
      const Status status = world.wait(std::chrono::milliseconds(20));
      emulator::stream_state = cudaSuccess;
      CHECK(std::string(status.text) == (of_nccl ? "remote error"
                                                 : "nccl: waited for the timeout, another rank is "
                                                   "not there"));
      CHECK(world.aborted());
      CHECK(comm.aborted);
      CHECK(!world.wait());
      CHECK(!world.all_gather(&comm, &comm, 8));
    });
#endif
}
