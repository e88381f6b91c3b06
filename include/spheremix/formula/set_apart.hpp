// Pairs set apart from a table of all pairs by their place: the targets of a row, with weights, and
// pairs that are excluded. The row's number says which; what a caller lists is in targets.hpp.
//
//   Diagonal         row i finds column i                            info_nce, clip, margin_nce
//   OtherView        a row of [X; Y] finds the other view of its     nt_xent, decoupled_contrastive
//                    item; itself is excluded
//   Outside          row i finds its pair, which is no column        m2_mix, among shared tables
//   OwnMixture       the same, or among the columns before the       m2_mix
//                    mixtures; its own mixture is excluded
//   PartnerTargets   row i finds itself and its partner              v_mix, l_mix, vl_mix
//                    (partner_mix.hpp)
//
//   kTargets, kSlots   slots [0, kTargets) of a row are targets, the others up to kSlots excluded
//   column(i, c)       the column of slot c: kOutside for a target whose cosine comes from elsewhere,
//                      kAbsent for none
//   weight(i, c)       of a target
#pragma once

#include "spheremix/core/constants.hpp"
#include "spheremix/core/host_device.hpp"

namespace spheremix::formula {

inline constexpr Index kOutside = -1, kAbsent = -2;

/// One target of weight 1 a row.
struct OneTarget {
  static constexpr Index kTargets = 1, kSlots = 1;
  SPHEREMIX_HD static double weight(Index, Index) { return 1; }
};

struct Diagonal : OneTarget {
  Index first;  ///< the column of row 0

  SPHEREMIX_HD explicit Diagonal(Index column = 0) : first(column) {}
  SPHEREMIX_HD Index column(Index i, Index) const { return first + i; }
};

struct Outside : OneTarget {
  SPHEREMIX_HD static Index column(Index, Index) { return kOutside; }
};

struct OtherView : OneTarget {
  static constexpr Index kSlots = 2;
  Index n;  ///< items, half of the rows

  SPHEREMIX_HD explicit OtherView(Index items) : n(items) {}
  SPHEREMIX_HD Index column(Index i, Index c) const { return c == 1 ? i : i < n ? i + n : i - n; }
};

struct OwnMixture : OneTarget {
  static constexpr Index kSlots = 2;
  Index before;  ///< columns before the mixtures: those of the pairs, or none

  SPHEREMIX_HD explicit OwnMixture(Index columns) : before(columns) {}
  SPHEREMIX_HD Index column(Index i, Index c) const {
    return c == 1 ? before + i : before > 0 ? i : kOutside;
  }
};

}  // namespace spheremix::formula
