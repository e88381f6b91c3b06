// Ranks of MPI against threads as ranks (the same bits) and one process, and what a failure of one
// rank does to the others. tests/distributed.sh starts it and reads "passed: ..." and sentences.
//
//   mpi_main check | refuse | slow | hang | stop | kill | exit | throw | endure
//   mpi_main busy LOSS N D   by hand: processor time and bytes (docs/distributed.md, "Measured")
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <thread>

#include "distributed/loss_ranks.hpp"
#include "spheremix/metrics/nearest.hpp"
#include "spheremix/metrics/retrieval.hpp"
#include "spheremix/mpi/communicator.hpp"
#include "support/refusal.hpp"

using namespace spheremix;
using namespace spheremix::test;

namespace {

class MpiRank final : public AnyRank {
 public:
  explicit MpiRank(mpi::Communicator& world) : world_(world) {}
  int rank() const override { return world_.rank(); }
  int size() const override { return world_.size(); }
  void all_gather(const void* from, void* to, std::size_t bytes) override {
    waiting([&] { world_.all_gather(from, to, bytes); });
  }
  void start(int to, const void* out, std::size_t out_bytes, int from, void* in,
             std::size_t in_bytes) override {
    world_.start(to, out, out_bytes, from, in, in_bytes);
  }
  void wait() override {
    waiting([&] { world_.wait(); });
  }
  /// Ticks of the processor spent in MPI, where a rank that waits is busy.
  std::clock_t in_mpi() const { return in_mpi_; }

 private:
  template <class Body>
  void waiting(const Body& body) {
    const std::clock_t begin = std::clock();
    body();
    in_mpi_ += std::clock() - begin;
  }

  std::clock_t in_mpi_ = 0;
  mpi::Communicator& world_;
};

/// Rank 0 tells whether all ranks hold it true.
bool report(mpi::Communicator& world, const std::string& what, bool holds) {
  std::vector<char> all(std::size_t(world.size()));
  const char mine = holds;
  world.all_gather(&mine, all.data(), 1);
  const bool every = std::find(all.begin(), all.end(), 0) == all.end();
  if (world.rank() == 0)
    std::printf("%s: %s, %d ranks\n", every ? "passed" : "failed", what.c_str(), world.size());
  return every;
}

/// Of every pattern.
std::vector<LossCase<float>> some_losses() {
  using namespace detail;
  return {loss_case<float, 2, Siglip>(),        loss_case<float, 2, Clip>(),
          loss_case<float, 2, ClipIds>(),       loss_case<float, 2, NtXent>(),
          loss_case<float, 2, M2Mix>(),         loss_case<float, 2, VMix>(),
          loss_case<float, 2, AlignUniform>(),  loss_case<float, 2, Vicreg>(),
          loss_case<float, 1, Triplets>(),      loss_case<float, 3, Bridge>(),
          loss_case<float, 1, DecoupledMixup>()};
}

bool check(mpi::Communicator& world) {
  MpiRank rank(world);
  bool fine = true;
  const auto judge = [&](const LossCase<float>& c, const LossCall<float>& call,
                         const std::string& what) {
    const auto first = blocks(call.batches[0].rows(), world.size(), Cut::uneven);
    const auto part = [&](int r) {
      return call.part(first[std::size_t(r)], first[std::size_t(r + 1)] - first[std::size_t(r)]);
    };
    LossCall<float> whole = call;
    whole.budget = std::size_t(1) << 30;
    const LossOutcome<float> one = c.gradient(whole);
    core::Workspace workspace;
    const LossOutcome<float> mine = c.across(part(world.rank()), workspace, rank);
    std::vector<double> thread;
    on_ranks(world.size(), [&](ThreadRank& other) {
      core::Workspace memory;
      const auto bits = bits_of(c.across(part(other.rank()), memory, other));
      if (other.rank() == world.rank()) thread = bits;
    });
    const Index at = first[std::size_t(world.rank())],
                count = first[std::size_t(world.rank() + 1)] - at;
    const bool right = off_one_process(mine, one, at, count) <= 64 * double(core::epsilon<float>) &&
                       same_bits(bits_of(mine), thread);
    fine = report(world, c.name + what, right) && fine;
  };
  for (const auto& c : some_losses())
    for (const Index n : {3, 200})
      judge(c, LossCall<float>(c.batches, n, 24), " of " + std::to_string(n) + " rows");
  // By ring: more columns than the budget has room for.
  LossCall<float> wide(2, 12, 40000);
  wide.budget = std::size_t(3) << 20;
  if (world.size() > 1) {
    using namespace detail;
    judge(loss_case<float, 2, Siglip>(), wide, " by ring");
    judge(loss_case<float, 2, Clip>(), wide, " by ring");
    wide.budget = std::size_t(5) << 20;
    judge(loss_case<float, 2, M2Mix>(), wide, " by ring");
  }
  return fine;
}

/// Calls clip until something is wrong with it; returns the sentence.
std::string clip_of(mpi::Communicator& world, const LossCall<float>& call, double temperature) {
  const auto first = blocks(call.batches[0].rows(), world.size(), Cut::even);
  const std::size_t r = std::size_t(world.rank());
  const auto mine = call.part(first[r], first[r + 1] - first[r]);
  double loss = 0;
  const std::string error = refusal([&] {
    loss = losses::clip_with_gradient(mine.batches[0], mine.batches[1],
                                      {.temperature = temperature}, world)
               .loss;
  });
  return !error.empty() ? error : std::isnan(loss) ? "nan" : "fine";
}

/// body() with room for little more than what this process has.
template <class Body>
auto without_memory(bool here, const Body& body) {
  rlimit before{};
  getrlimit(RLIMIT_AS, &before);
  if (here) {
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    rlimit now = before;
    now.rlim_cur = pages * std::size_t(sysconf(_SC_PAGESIZE)) + (std::size_t(1) << 20);
    setrlimit(RLIMIT_AS, &now);
  }
  const auto result = body();
  setrlimit(RLIMIT_AS, &before);
  return result;
}

bool refuse(mpi::Communicator& world) {
  LossCall<float> call(2, 40, 8);
  const bool last = world.rank() == world.size() - 1;
  const std::string who =
      "rank " + std::to_string(world.size() - 1) + " of " + std::to_string(world.size());
  bool fine = report(world, "other options are refused by all",
                     clip_of(world, call, last ? 0.2 : 0.1) ==
                         "clip_with_gradient: " + who + " has other options than rank 0");
  LossCall<float> spoilt = call;
  spoilt.batches[0](39, 0) = core::nan<float>;
  fine = report(world, "NaN of one rank is NaN on all",
                clip_of(world, last ? spoilt : call, 0.1) == "nan") &&
         fine;
  fine = report(world, "one row in all", clip_of(world, LossCall<float>(2, 1, 8), 0.1) == "fine") &&
         fine;
  fine =
      report(world, "other functions are refused by all",
             refusal([&] {
               const auto mine = call.part(0, 4);
               if (last)
                 (void)losses::siglip(mine.batches[0], mine.batches[1], {}, world);
               else
                 (void)losses::clip(mine.batches[0], mine.batches[1], {}, world);
             }) == "clip: rank 0 of " + std::to_string(world.size()) + " calls clip while rank " +
                       std::to_string(world.size() - 1) + " calls siglip") &&
      fine;
  const LossCall<float> large(2, 8000, 64);
  const std::string full = without_memory(last, [&]() -> std::string {
    try {
      (void)losses::clip_with_gradient(large.batches[0], large.batches[1], {}, world);
      return "fine";
    } catch (const mpi::Error&) {
      throw;
    } catch (const std::runtime_error& error) {
      return error.what();
    }
  });
  fine = report(world, "no memory on one rank is one error on all",
                full == "clip_with_gradient: " + who + ": out of memory") &&
         fine;
  return report(world, "then they go on", clip_of(world, call, 0.1) == "fine") && fine;
}

/// A rank that comes late, but before the timeout, is waited for.
bool slow(mpi::Communicator& world) {
  const LossCall<float> call(2, 64, 16);
  bool fine = true;
  for (int k = 0; k < 3; ++k) {
    if (world.rank() == 1) std::this_thread::sleep_for(std::chrono::milliseconds(300));
    fine = clip_of(world, call, 0.1) == "fine" && fine;
  }
  return report(world, "a rank that is slow is waited for", fine);
}

/// Calls clip for a minute: whoever runs this ends it by cutting the ranks off from each other.
void endure(mpi::Communicator& world) {
  const LossCall<float> call(2, 64, 16);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  for (bool first = true; std::chrono::steady_clock::now() < end; first = false) {
    const auto at = blocks(64, world.size(), Cut::even);
    const std::size_t r = std::size_t(world.rank());
    const auto mine = call.part(at[r], at[r + 1] - at[r]);
    (void)losses::clip(mine.batches[0], mine.batches[1], {}, world);
    if (first) std::printf("begun\n"), std::fflush(stdout);
  }
}

/// Processor seconds and bytes sent a call, of the second call on.
void busy(mpi::Communicator& world, const std::string& name, Index n, Index d) {
  MpiRank rank(world);
  const auto first = blocks(n, world.size(), Cut::even);
  const std::size_t r = std::size_t(world.rank());
  const auto mine = [&](Index batches) {
    return LossCall<float>(std::size_t(batches), n, d).part(first[r], first[r + 1] - first[r]);
  };
  std::function<void()> run;
  for (const LossCase<float>& c : some_losses()) {
    if (c.name != name || run) continue;
    const auto call = std::make_shared<LossCall<float>>(mine(Index(c.batches)));
    const auto workspace = std::make_shared<core::Workspace>();
    run = [c, call, workspace, &rank] { (void)c.across(*call, *workspace, rank); };
  }
  const auto of_metric = [&](const char* of, Index batches, const auto& metric) {
    if (name != of) return;
    const auto call = std::make_shared<LossCall<float>>(mine(batches));
    run = [call, metric] { (void)metric(call->batches); };
  };
  of_metric("uniformity", 1,
            [&rank](const auto& of) { return metrics::uniformity_with_gradient(of[0], {}, rank); });
  of_metric("nearest", 2,
            [&rank](const auto& of) { return metrics::nearest(of[0], of[1], {.k = 10}, rank); });
  of_metric("retrieval", 2,
            [&rank](const auto& of) { return metrics::retrieval_both(of[0], of[1], {}, rank); });
  if (!run) throw std::runtime_error("busy: no loss of that name here");
  run();
  const std::size_t before = world.sent();
  const std::clock_t begin = std::clock(), waited = rank.in_mpi();
  constexpr int calls = 3;
  for (int k = 0; k < calls; ++k) run();
  const auto seconds = [](std::clock_t ticks) { return double(ticks) / CLOCKS_PER_SEC / calls; };
  std::printf("rank %d of %d: %.4f s of processor time a call, %.4f in MPI, %zu bytes sent\n",
              world.rank(), world.size(), seconds(std::clock() - begin),
              seconds(rank.in_mpi() - waited), (world.sent() - before) / calls);
}

}  // namespace

int main(int argc, char** argv) {
  int provided = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  const std::string mode = argc > 1 ? argv[1] : "";
  int status = 0;
  try {
    const bool waits = mode == "hang" || mode == "stop" || mode == "endure";
    mpi::Communicator world(MPI_COMM_WORLD, {.timeout = std::chrono::seconds(waits ? 2 : 120)});
    if (mode == "check") status = check(world) ? 0 : 1;
    if (mode == "refuse") status = refuse(world) ? 0 : 1;
    if (mode == "slow") status = slow(world) ? 0 : 1;
    if (mode == "endure") endure(world);
    if (mode == "hang" || mode == "stop" || mode == "kill" || mode == "exit" || mode == "throw") {
      const LossCall<float> call(2, 64, 16);
      (void)clip_of(world, call, 0.1);
      if (world.rank() == 1) {
        if (mode == "hang") std::this_thread::sleep_for(std::chrono::seconds(600));
        if (mode == "stop") std::raise(SIGSTOP);
        if (mode == "kill") std::raise(SIGKILL);
        if (mode == "exit") std::_Exit(0);
        if (mode == "throw") throw std::runtime_error("rank 1 has had enough");
      }
      (void)clip_of(world, call, 0.1);
    }
    if (mode == "busy" && argc > 4) busy(world, argv[2], std::atol(argv[3]), std::atol(argv[4]));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    std::fflush(stderr);
    std::this_thread::sleep_for(
        std::chrono::milliseconds(500));  // Open MPI loses what is printed last
    MPI_Abort(MPI_COMM_WORLD, 3);
  }
  MPI_Finalize();
  return status;
}
