// One call of a function by all ranks: what they must agree on, and how an error of one becomes the
// same error of all.
//
//   over_ranks(ranks, "clip", [&](Meeting& meeting) {
//     ... what may throw                       an exception here
//     meeting.agree();                         is thrown by every rank here, with the same sentence
//     ... exchanges, nothing that throws
//   });                                          agrees once more at the end
//
// agree() gathers a record of fixed size from every rank: the function, its options, shapes, a few
// numbers, or the text of an error. What throws between two agreements makes the rank come to the
// next one with its error, so every exchange follows an agreement with nothing between them that
// can throw. An error of the backend itself goes to the caller as it is.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include "spheremix/core/checks.hpp"
#include "spheremix/core/communicator.hpp"

namespace spheremix::core {

class Workspace;

/// What a rank brings to an agreement.
struct Record {
  static constexpr int kBatches = 10, kNumbers = 6;

  enum class State : std::int64_t { fine, refused, failed };

  State state = State::fine;
  std::int64_t step = 0;      ///< number of this agreement within the call
  std::int64_t real = 0;      ///< bytes of a number of the batches
  std::uint64_t options = 0;  ///< core/digest.hpp
  std::int64_t rows[kBatches] = {}, cols[kBatches] = {};
  double number[kNumbers] = {};
  char function[48] = {};
  char text[248] = {};  ///< of the error
};

template <class>  // so that programs without a communicator do not compile it
class MeetingOf {
 public:
  MeetingOf(Ranks& ranks, const char* function) : ranks_(ranks), function_(function) {
    put(mine.function, sizeof mine.function, function);
    if (ranks.size() > kFew) more_.reset(new Record[std::size_t(ranks.size())]);
    all_ = more_ ? more_.get() : few_;
  }
  MeetingOf(const MeetingOf&) = delete;
  MeetingOf& operator=(const MeetingOf&) = delete;

  Record mine;                  ///< to be filled before agree()
  Workspace* memory = nullptr;  ///< where what is gathered stays from call to call, if it does

  Ranks& ranks() const { return ranks_; }
  const char* function() const { return function_; }

  /// Batch k of this call has rows x cols of T on this rank; the columns must be those of all.
  template <class T>
  void bring(int k, Index rows, Index cols) {
    mine.real = std::int64_t(sizeof(T));
    mine.rows[k] = rows;
    mine.cols[k] = cols;
  }

  /// Returns when every rank is here and fine, else throws the same everywhere.
  void agree() {
    gather();
    settle();
  }

  /// From the last agreement: row number of the first row of rank r's block of batch k; r = size()
  /// gives the number of all rows.
  Index first(int k, int r) const {
    Index sum = 0;
    for (int q = 0; q < r; ++q) sum += Index(all_[q].rows[k]);
    return sum;
  }
  Index total(int k) const { return first(k, ranks_.size()); }
  Index count(int k, int r) const { return Index(all_[r].rows[k]); }

  /// Sum of what the ranks brought, in their order.
  double sum(int number) const {
    double sum = 0;
    for (int r = 0; r < ranks_.size(); ++r) sum += all_[r].number[number];
    return sum;
  }
  /// The largest; NaN if one is NaN.
  double largest(int number) const {
    double top = all_[0].number[number];
    for (int r = 1; r < ranks_.size(); ++r) {
      const double next = all_[r].number[number];
      if (!(next <= top) && !std::isnan(top)) top = next;
    }
    return top;
  }
  double number(int r, int number) const { return all_[r].number[number]; }

  /// values (kNumbers at most) = their sums over the ranks, in the order of the ranks: an agreement.
  void add(double* values, Index count) {
    std::copy(values, values + count, mine.number);
    agree();
    for (Index k = 0; k < count; ++k) values[k] = sum(int(k));
  }

  /// To be called in a catch (...): brings this rank's error to the others, and throws what all do.
  [[noreturn]] void fail() {
    if (settled_ || ranks_.broken()) throw;
    try {
      throw;
    } catch (const std::invalid_argument& error) {
      report(Record::State::refused, error.what());
    } catch (const std::bad_alloc&) {
      report(Record::State::failed, "out of memory");
    } catch (const std::exception& error) {
      report(Record::State::failed, error.what());
    } catch (...) {
      report(Record::State::failed, "an exception of an unknown type");
    }
    agree();
    throw std::logic_error("spheremix: an error was not agreed on");  // cannot be
  }

 private:
  static constexpr int kFew = 16;

  static void put(char* to, std::size_t size, const char* text) {
    std::strncpy(to, text, size - 1);
    to[size - 1] = 0;
  }
  void report(Record::State state, const char* text) {
    mine.state = state;
    const std::size_t length = std::strlen(function_);
    if (std::strncmp(text, function_, length) == 0 && text[length] == ':') text += length + 1;
    while (*text == ' ') ++text;
    put(mine.text, sizeof mine.text, text);
  }
  void gather() {
    mine.step = step_++;
    ranks_.all_gather(&mine, all_, sizeof(Record));
  }
  std::string name(int r) const {
    return "rank " + std::to_string(r) + " of " + std::to_string(ranks_.size());
  }
  template <class... Parts>
  void expects_same(bool same, int r, const Parts&... parts) {
    if (same) return;
    settled_ = true;
    fail_with(function_, ": ", name(r).c_str(), parts...);
  }
  template <class... Parts>
  [[noreturn]] static void fail_with(const Parts&... parts) {
    core::fail(parts...);
  }

  /// Throws where the records do not go together. All ranks read the same records.
  void settle() {
    const Record& a = all_[0];
    for (int r = 1; r < ranks_.size(); ++r)
      if (std::strcmp(a.function, all_[r].function) != 0) {
        settled_ = true;
        fail_with(a.function, ": rank 0 of ", ranks_.size(), " calls ", a.function, " while rank ",
                  r, " calls ", all_[r].function);
      }
    for (int r = 0; r < ranks_.size(); ++r)
      if (all_[r].state != Record::State::fine) raise(r);
    for (int r = 1; r < ranks_.size(); ++r) {
      const Record& b = all_[r];
      expects_same(a.step == b.step, r, " is at another place of the call than rank 0");
      expects_same(a.real == b.real, r, " has numbers of ", b.real, " bytes where rank 0 has ",
                   a.real);
      for (int k = 0; k < Record::kBatches; ++k)
        expects_same(a.cols[k] == b.cols[k], r, " has a batch of ", b.cols[k],
                     " columns where rank 0 has ", a.cols[k]);
      expects_same(a.options == b.options, r, " has other options than rank 0");
    }
  }

  [[noreturn]] void raise(int r) {
    bool everyone = true;
    for (int q = 0; q < ranks_.size(); ++q)
      everyone = everyone && std::strcmp(all_[q].text, all_[r].text) == 0;
    const std::string text =
        std::string(function_) + ": " + (everyone ? std::string() : name(r) + ": ") + all_[r].text;
    settled_ = true;
    if (all_[r].state == Record::State::refused) throw std::invalid_argument(text);
    throw std::runtime_error(text);
  }

  Ranks& ranks_;
  const char* function_;
  Record few_[kFew];
  std::unique_ptr<Record[]> more_;
  Record* all_;
  std::int64_t step_ = 0;
  bool settled_ = false;
};

using Meeting = MeetingOf<void>;

/// Runs body(meeting) on every rank; what one throws, all throw.
template <class Body>
void over_ranks(Ranks& ranks, const char* function, const Body& body) {
  Meeting meeting(ranks, function);
  try {
    body(meeting);
    meeting.agree();
  } catch (...) {
    meeting.fail();
  }
}

}  // namespace spheremix::core
