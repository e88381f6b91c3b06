// The end of main.cpp where it is spheremix-analyze-mpi: what one process throws, all throw, with the
// same sentence, and end with the same exit status. The first one says it.
//
// A process that waits longer than --timeout for another, or whose MPI fails, says so itself and ends
// all of them.
#pragma once

#include <chrono>
#include <cstdlib>
#include <thread>

#include "spheremix/mpi/communicator.hpp"
#include "spheremix/pairwise/shares.hpp"

namespace {

/// Before the command line is read, which all processes do together.
std::chrono::seconds timeout_of(int argc, char** argv) {
  int seconds = kTimeout;
  const std::string name = "--timeout";
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == name && i + 1 < argc) seconds = std::atoi(argv[i + 1]);
    if (word.rfind(name + "=", 0) == 0) seconds = std::atoi(word.c_str() + name.size() + 1);
  }
  return std::chrono::seconds(std::max(1, seconds));
}

int run_together(int argc, char** argv, spheremix::mpi::Communicator& world) {
  using namespace spheremix;
  const bool first = world.rank() == 0;
  const auto said = [&](const std::exception& error, int status) {
    std::string text = error.what();
    if (const std::string name = std::string(kProgram) + ": "; text.rfind(name, 0) == 0)
      text = text.substr(name.size());
    if (first) complain(text);
    return status;
  };
  double status = 0;
  core::RanksOf<mpi::Communicator> ranks(world);
  try {
    core::over_ranks(ranks, kProgram, [&](core::Meeting& meeting) {
      std::string words;
      for (int i = 1; i < argc; ++i) words += std::string(argv[i]) + '\n';
      meeting.mine.options = core::digest_of(core::listed(words));
      meeting.agree();
      const pairwise::MeetingShare share(meeting);
      try {
        meeting.mine.number[0] = run(argc, argv, share.get());
      } catch (const WrongInput& error) {  // what is wrong with the input is refused, not failed
        throw std::invalid_argument(error.what());
      } catch (const io::Error& error) {
        throw std::invalid_argument(error.what());
      } catch (const Interrupted&) {
        throw std::runtime_error("interrupted, nothing written");
      } catch (const std::bad_alloc&) {
        throw std::runtime_error(kNoMemory);
      }
      meeting.agree();
      status = meeting.largest(0);
    });
  } catch (const mpi::Error&) {
    throw;
  } catch (const std::invalid_argument& error) {
    return said(error, 2);
  } catch (const std::exception& error) {
    return said(error, 1);
  }
  return int(status);
}

}  // namespace

int main(int argc, char** argv) {
  int provided = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  analyze::take_signals();
  int status = 1;
  try {
    spheremix::mpi::Communicator world(MPI_COMM_WORLD, {.timeout = timeout_of(argc, argv)});
    status = run_together(argc, argv, world);
  } catch (const std::exception& error) {
    analyze::complain(error.what());
    std::fflush(stderr);
    std::this_thread::sleep_for(std::chrono::milliseconds(500));  // Open MPI loses what is last
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
  MPI_Finalize();
  return status;
}
