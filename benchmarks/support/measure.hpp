// One benchmark = one case of one work, by spheremix or by a rival. Beside the time it reports
//
//   gflops, percent_of_peak      minimal flops of the work, against the FMA rate probed in the same
//                                repetition
//   gb_per_s, percent_of_stream  bytes that must move, against the streaming rate probed likewise
//   extra_bytes, allocations     heap beyond inputs and outputs in a first call; allocations of the
//                                next
//   error                        largest relative error against the "eigen" form of the work in
//                                f64, where n <= --error-n
#pragma once

#include <benchmark/benchmark.h>

#include <exception>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <thread>

#include "spheremix/pairwise/isa.hpp"
#include "support/batch.hpp"
#include "support/heap.hpp"
#include "support/stream.hpp"
#include "support/sweep.hpp"
#include "versus/fma_peak.hpp"

#if defined(SPHEREMIX_BENCH_OPENBLAS)
extern "C" void openblas_set_num_threads(int);
#endif

namespace bench {

/// What a work costs at least; tables: bytes of the n x n tables of a form that makes them.
struct Cost {
  double flops = 0, bytes = 0, tables = 0;
};

/// A work made ready: inputs and outputs in place.
struct Run {
  std::function<void()> call;
  std::function<std::vector<RowMatrix<double>>()> results;  ///< of the last call
};

template <class M>
RowMatrix<double> as_result(const Eigen::MatrixBase<M>& m) {
  return m.template cast<double>();
}
inline RowMatrix<double> as_result(double value) {
  return RowMatrix<double>::Constant(1, 1, value);
}

namespace detail {

inline double available_bytes() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  for (double kib; file >> key >> kib;) {
    if (key == "MemAvailable:") return kib * 1024;
    file.ignore(16, '\n');
  }
  return 1e30;
}

inline void set_threads(int threads) {
  omp_set_num_threads(threads);
#if defined(SPHEREMIX_BENCH_OPENBLAS)
  openblas_set_num_threads(threads);
#endif
}

/// Found once a case, whatever the number of repetitions.
struct Facts {
  double extra_bytes = 0, allocations = 0, error = -1;
};

inline double largest_error(const Run& run, const Run& reference) {
  const auto got = run.results(), want = reference.results();
  double worst = 0;
  for (std::size_t k = 0; k < std::min(got.size(), want.size()); ++k) {
    const double size = want[k].cwiseAbs().maxCoeff();
    worst = std::max(worst, (got[k] - want[k]).cwiseAbs().maxCoeff() / (size > 0 ? size : 1));
  }
  return worst;
}

using Reference = std::function<Run(const Case&, const Batch<double>&)>;
inline std::map<std::string, Reference>& references() {
  static std::map<std::string, Reference> all;
  return all;
}

/// In a thread of its own, so that no thread_local memory is there yet.
inline Facts find_facts(const Case& c, const Run& run) {
  Facts facts;
  std::exception_ptr refused;
  std::thread([&] {
    set_threads(c.threads);
#pragma omp parallel num_threads(c.threads)
    {}  // the team's own memory is not the work's
    try {
      heap::reset_peak();
      const std::size_t before = heap::live();
      run.call();
      facts.extra_bytes = double(heap::peak() - before);
      const std::size_t count = heap::allocations();
      run.call();
      facts.allocations = double(heap::allocations() - count);
    } catch (...) {
      refused = std::current_exception();
    }
  }).join();
  if (refused) std::rethrow_exception(refused);
  return facts;
}

template <class T, class Make>
void measure(benchmark::State& state, const Case& c, const Cost& cost, Index error_n,
             const Make& make) {
  if (cost.tables > 0.6 * available_bytes()) {
    state.SkipWithError("the n x n tables do not fit into memory");
    return;
  }
  set_threads(c.threads);
  const Batch<T>& inputs = batch<T>(c.n, c.d);
  const Run run = make(c, inputs);
  static std::map<std::string, Facts> known;
  auto found = known.find(c.name());
  if (found == known.end()) {
    Facts facts = find_facts(c, run);
    const auto reference = references().find(c.work);
    if (c.n <= error_n && run.results && reference != references().end()) {
      const Batch<double> exact = inputs.template cast<double>();
      const Run truth = reference->second(c, exact);
      truth.call();
      facts.error = largest_error(run, truth);
    }
    found = known.emplace(c.name(), facts).first;
  } else {
    run.call();
  }
  const double peak = cost.flops > 0 ? versus::fma_peak(c.f64, c.threads, 0.03) : 0;
  const double stream = cost.bytes > 0 ? stream_bandwidth(c.threads, 2) : 0;
  for (auto _ : state) {
    run.call();
    benchmark::ClobberMemory();
  }
  const auto rate = [&](const char* name, double each) {
    state.counters[name] = benchmark::Counter(each, benchmark::Counter::kIsIterationInvariantRate);
  };
  if (cost.flops > 0) rate("gflops", cost.flops / 1e9);
  if (peak > 0) {
    rate("percent_of_peak", cost.flops / (peak * 1e7));
    state.counters["peak_gflops"] = peak;
  }
  if (cost.bytes > 0) {
    rate("gb_per_s", cost.bytes / 1e9);
    rate("percent_of_stream", cost.bytes / (stream * 1e7));
    state.counters["stream_gb_per_s"] = stream;
  }
  if (heap::counted()) {
    state.counters["extra_bytes"] = found->second.extra_bytes;
    state.counters["allocations"] = found->second.allocations;
  }
  if (found->second.error >= 0) state.counters["error"] = found->second.error;
}

}  // namespace detail

/// Registers every case of `work` by `who`. make(case, Batch<T>) -> Run for both T; cost(case) ->
/// Cost. Whoever is called "eigen" is also what the errors of this work are taken against, in f64.
template <class CostOf, class Make>
void add(const Sweep& sweep, const std::string& work, const std::string& who, bool budgeted,
         CostOf cost, Make make) {
  if (who == "eigen")
    detail::references()[work] = [make](const Case& c, const Batch<double>& b) {
      return make(c, b);
    };
  for (const Case& c : sweep.cases(work, who, budgeted))
    benchmark::RegisterBenchmark(
        c.name().c_str(),
        [=, error_n = sweep.error_n](benchmark::State& state) {
          try {
            if (c.f64)
              detail::measure<double>(state, c, cost(c), error_n, make);
            else
              detail::measure<float>(state, c, cost(c), error_n, make);
          } catch (const std::exception& e) {  // a memory_budget that is too small, for example
            state.SkipWithError(e.what());
          }
        })
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
}

/// main of a benchmark program: `enter` registers its works.
template <class Enter>
int run(int argc, char** argv, std::vector<std::string> default_n, const Enter& enter) {
  Sweep sweep(std::move(default_n));
  sweep.take_flags(argc, argv);
  enter(sweep);
  benchmark::AddCustomContext("isa", spheremix::pairwise::isa_name());
  benchmark::AddCustomContext("compiler", __VERSION__);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace bench
