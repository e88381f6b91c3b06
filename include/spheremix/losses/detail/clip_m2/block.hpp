// A block of pairs of CLIP + m2-Mix: rows i of one block of pairs (v_i, t_i) against rows j of another.
//
//   vt_ij = v_i . t_j    tv_ij = t_i . v_j    vv_ij = v_i . v_j    tt_ij = t_i . t_j
//
// hold every cosine that the pairs of rows i and j have with each other, in both orders. With the mixed
// rows m_j = A_j v_j + B_j t_j and a = 1/tau, b = 1/tau_mix, the logits of line i against j are
//
//   of v_i, CLIP   a vt_ij                      of t_i, CLIP   a tv_ij
//   of v_i, mix    b (A_j vv_ij + B_j vt_ij)    of t_i, mix    b (A_j tv_ij + B_j tt_ij)
//
// and those of line j against i the same with vt and tv exchanged and A_i, B_i. A block on the diagonal
// (I = J) meets every ordered pair itself: there v's lines are its rows and t's its columns, and tv,
// the transpose of vt, is not needed. i = j takes no part.
#pragma once

#include "spheremix/formula/mixed_key.hpp"
#include "spheremix/pairwise/isa.hpp"

namespace spheremix::losses::detail::clip_m2 {

using namespace pairwise;

/// The four lines of softmax statistics that a pair of rows has.
enum MixLine { kClipOfV, kClipOfT, kMixOfV, kMixOfT, kMixLines };

/// The four tables, cut to the same rows and columns. tv is null on the diagonal.
template <class T>
struct MixBlock {
  core::MatrixView<T> vt, tv, vv, tt;
};

/// Weights of the mixed rows of one side of a block, and what the block finds for its lines. On the
/// diagonal both sides share their arrays: rows fill v's lines, columns t's.
template <class T>
struct MixStatistics {
  const T *a, *b;     ///< m_j = a_j v_j + b_j t_j
  T* top[kMixLines];  ///< largest logit
  T* sum[kMixLines];  ///< of e^(logit - top)
};

/// Weights e^(logit - shift) scale of one side of a block, and dL/dA, dL/dB of its mixed rows.
template <class T>
struct MixWeights {
  const T *a, *b;
  const T* shift[kMixLines];
  const T* scale[kMixLines];  ///< dL/d cosine = scale e^(logit - shift)
  T *da, *db;                 ///< what the block gives; set
};

}  // namespace spheremix::losses::detail::clip_m2

#define SPHEREMIX_ISA_COPY "spheremix/losses/detail/clip_m2/kernels.inc"
#include "spheremix/core/each_isa.inc"
