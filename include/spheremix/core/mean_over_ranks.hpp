// A mean of terms of one row each over several processes: no row leaves its rank.
//
//   mean = sum over the ranks of (n_r / N) mean_r,   n_r of the N rows are rank r's
//
// Added in the order of the ranks: the same on all of them.
// Errors   no rank has a row; other columns or options on another rank; whatever a rank throws, on all.
#pragma once

#include "spheremix/core/digest.hpp"
#include "spheremix/core/meeting.hpp"

namespace spheremix::core {

/// own(meeting) is the mean of this rank's `rows` rows of `cols` numbers of T. expected() looks at what
/// else the function takes; `none` is said where no rank has a row.
template <class T, class World, class Options, class Expected, class Own>
double mean_over_ranks(const char* function, World& world, const Options& options, Index rows,
                       Index cols, const char* none, const Expected& expected, const Own& own) {
  double mean = 0;
  RanksOf<World> ranks(world);
  over_ranks(ranks, function, [&](Meeting& meeting) {
    meeting.mine.options = digest_of(options);
    meeting.bring<T>(0, rows, cols);
    expected();
    meeting.agree();
    expects(meeting.total(0) > 0, function, none);
    if (const double part = own(meeting); rows > 0)
      meeting.mine.number[0] = part * (double(rows) / double(meeting.total(0)));
    meeting.agree();
    mean = meeting.sum(0);
  });
  return mean;
}

}  // namespace spheremix::core
