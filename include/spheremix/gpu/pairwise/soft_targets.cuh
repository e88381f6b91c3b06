// Cross entropy against at most two targets a line: row i of the table has target w1_i at (i, i)
// and w2_i at (i, J(i)), J a permutation; a column has what falls into it. The statistics leave
// both special pairs out.
//
// The softmax of a line is formula/softmax_line.hpp's, in base 2. r is folded into the log-sum-exp
// that the weights are formed with.
#pragma once

#include "spheremix/formula/partner_mix.hpp"
#include "spheremix/formula/softmax_line.hpp"
#include "spheremix/gpu/pairwise/mix_rows.cuh"

namespace spheremix::gpu::pairwise {

/// Where the targets lie and how large they are.
template <class T>
using SoftTargets = formula::PartnerTargets<T, RowScalar<T>, Partners>;

/// Both slots: the diagonal, and each row's partner.
template <class T>
Excluded set_apart(const SoftTargets<T>& targets) {
  return {
      {0, 0, 0}, 1, targets.kind != spheremix::losses::PartnerWeights::identity, targets.partners};
}

/// One line of the table.
template <class T>
struct SoftLine {
  T loss, lse;                 ///< nats; base 2 and less log2(r)
  T gradient[2], surprise[2];  ///< dL/dz_c and -log p_c in nats

  __device__ SoftLine(RowPair<T> others, T z1, T w1, bool has_second, T z2, T w2) {
    constexpr T kLn2 = T(0.693147180559945309417L);
    const T z[2] = {z1, has_second ? z2 : -core::infinity<T>}, w[2] = {w1, has_second ? w2 : T(0)};
    T top = larger(others.a == others.a ? others.a : z1, larger(z[0], z[1]));
    const T rest = others.b == 0 ? T(0) : others.b * std::exp2(others.a - top);
    const T e[2] = {std::exp2(z[0] - top), has_second ? std::exp2(z[1] - top) : T(0)};
    const int best = e[0] == 1 ? 0 : e[1] == 1 ? 1 : -1;
    const formula::SoftmaxLine<T> line{rest + (best == 0   ? e[1]
                                               : best == 1 ? e[0]
                                                           : e[0] + e[1]),
                                       best >= 0};
    const T r = w[0] + w[1];
    loss = 0;
    for (int c = 0; c < 2; ++c) {
      surprise[c] = c == 1 && !has_second ? T(0) : line.surprise(kLn2 * (top - z[c]));
      gradient[c] = line.slope(c == best, e[c], w[c], r);
      if (w[c] != 0) loss += w[c] * surprise[c];
    }
    lse = top + std::log2(line.total()) - std::log2(r);
  }
};

/// Statistics of both directions -> what the second sweep and the special pairs need, and the loss.
template <class T>
struct SoftFinishKernel {
  static constexpr unsigned kThreads = 128, kResident = 4;
  static constexpr std::size_t kShared = kThreads / kWarp * sizeof(double);

  SoftTargets<T> targets;
  Index n;
  const T* diagonal;  ///< cosines of (i, i)
  const T* second;    ///< of (i, J(i))
  T scale;            ///< logit (base 2) of cosine 1
  RowPair<T>* rows;   ///< (maximum, sum) -> (log-sum-exp, dL/dz of (i, i))
  RowPair<T>* cols;
  T* row_second;  ///< dL/dz of (i, J(i)) as part of row i
  T* col_second;  ///< of (J^-1(j), j) as part of column j
  T* own_target;  ///< dL/dlambda_i through the targets of row i and of (i, i) in column i
  T* col_target;  ///< -log q of (J^-1(j), j): taken from lambda of J^-1(j)
  double weight;
  double* partial;

  __device__ void operator()() const {
    const Index i = Index(blockIdx.x) * kThreads + threadIdx.x;
    double loss = 0;
    if (i < n) {
      const Index j = targets.partners.from(i), p = targets.partners.to(i);
      const bool sound = !targets.partners.map ||
                         (p == targets.partners.map[i] && targets.partners.inverse[p] == i);
      const T z = scale * diagonal[i];
      const SoftLine<T> row(rows[i], z, targets.own(i), targets.second(i), scale * second[i],
                            targets.other(i));
      const SoftLine<T> col(cols[i], z, targets.own(i), targets.second(j), scale * second[j],
                            targets.other(j));
      rows[i] = {row.lse, row.gradient[0]};
      cols[i] = {col.lse, col.gradient[0]};
      row_second[i] = row.gradient[1];
      col_second[i] = col.gradient[1];
      const bool moves = targets.mixed() && targets.second(i);
      own_target[i] = moves ? row.surprise[0] - row.surprise[1] + col.surprise[0] : T(0);
      col_target[i] = targets.mixed() && targets.second(j) ? col.surprise[1] : T(0);
      loss = sound ? weight * (double(row.loss) + double(col.loss)) : core::nan<double>;
    }
    loss = block_sum<kThreads>(loss, reinterpret_cast<double*>(shared_memory()));
    if (threadIdx.x == 0) partial[blockIdx.x] = loss;
  }
};

/// The special pairs' part: dV_i += g_ii t_i + g_iJ(i) t_J(i), dT_i += g_ii v_i + g_J'(i)i v_J'(i),
/// J' the inverse of J.
template <class Operand, class T>
struct SpecialPairsKernel {
  static constexpr unsigned kThreads = 128, kResident = 8, kRowsEach = kThreads / kWarp;
  static constexpr std::size_t kShared = 0;

  core::MatrixView<const Operand> v, t;
  SoftTargets<T> targets;
  const RowPair<T>* rows;
  const RowPair<T>* cols;
  const T* row_second;
  const T* col_second;
  T weight;
  core::MatrixView<T> dv, dt;

  __device__ void operator()() const {
    const Index i = Index(blockIdx.x) * kRowsEach + threadIdx.x / kWarp;
    if (i >= dv.rows) return;
    const Index p = targets.partners.to(i), q = targets.partners.from(i);
    const T own = weight * (rows[i].b + cols[i].b);
    const T out = targets.second(i) ? weight * (row_second[i] + col_second[p]) : T(0);
    const T in = targets.second(q) ? weight * (row_second[q] + col_second[i]) : T(0);
    for (Index k = threadIdx.x % kWarp; k < dv.cols; k += kWarp) {
      dv(i, k) += own * T(widen(t(i, k))) + out * T(widen(t(p, k)));
      dt(i, k) += own * T(widen(v(i, k))) + in * T(widen(v(q, k)));
    }
  }
};

/// dx_i from dL/dv of v_i = mix(x_i, x_J(i)) and of v_q = mix(x_q, x_i), q = J^-1(i); dlambda_i.
template <class Input>
struct PullSideKernel {
  using T = Arithmetic<Input>;
  static constexpr unsigned kThreads = 128, kResident = 4, kRowsEach = kThreads / kWarp;
  static constexpr std::size_t kShared = 0;

  core::MatrixView<const Input> x;
  RowScalar<T> lambda;
  Partners partners;
  core::MatrixView<const T> dv;
  core::MatrixView<T> dx;
  bool add, add_lambda;
  double* dlambda;

  __device__ void operator()() const {
    const Index i = Index(blockIdx.x) * kRowsEach + threadIdx.x / kWarp;
    if (i >= x.rows) return;
    const Index p = partners.to(i), q = partners.from(i);
    MixedPair<Input> out{x.row(i), x.row(p), x.cols}, in{x.row(q), x.row(i), x.cols};
    const math::ArcGradient<T> own = pull(out, i), other = pull(in, q);
    for (Index k = threadIdx.x % kWarp; k < x.cols; k += kWarp) {
      const T g = own.g_a * dv(i, k) + own.s_a * (out.a(k) + out.b(k)) +
                  own.d_a * (out.b(k) - out.a(k)) + other.g_b * dv(q, k) +
                  other.s_b * (in.a(k) + in.b(k)) + other.d_b * (in.b(k) - in.a(k));
      dx(i, k) = add ? dx(i, k) + g : g;
    }
    if (threadIdx.x % kWarp == 0) dlambda[i] = (add_lambda ? dlambda[i] : 0) - double(own.t);
  }

 private:
  __device__ math::ArcGradient<T> pull(MixedPair<Input>& pair, Index row) const {
    const math::Arc<T> arc = pair.arc();
    T gs = 0, gd = 0;
    for (Index k = threadIdx.x % kWarp; k < x.cols; k += kWarp) {
      gs += dv(row, k) * (pair.a(k) + pair.b(k));
      gd += dv(row, k) * (pair.b(k) - pair.a(k));
    }
    return math::arc_slerp_vjp(arc, 1 - lambda(row), warp_sum(gs), warp_sum(gd));
  }
};

/// dlambda_i += weight (own_target_i - col_target_J(i)).
template <class T>
struct TargetLambdaKernel {
  static constexpr unsigned kThreads = 128, kResident = 8;
  static constexpr std::size_t kShared = 0;
  Index n;
  Partners partners;
  const T* own_target;
  const T* col_target;
  double weight;
  double* dlambda;
  __device__ void operator()() const {
    const Index i = Index(blockIdx.x) * kThreads + threadIdx.x;
    if (i < n) dlambda[i] += weight * (double(own_target[i]) - double(col_target[partners.to(i)]));
  }
};

/// inverse[map[i]] = i; entries nobody maps to keep what they hold.
struct InverseKernel {
  static constexpr unsigned kThreads = 256, kResident = 8;
  static constexpr std::size_t kShared = 0;
  Index n;
  const Index* map;
  Index* inverse;
  bool clear;
  __device__ void operator()() const {
    const Index i = Index(blockIdx.x) * kThreads + threadIdx.x;
    if (i >= n) return;
    if (clear)
      inverse[i] = -1;
    else if (map[i] >= 0 && map[i] < n)
      inverse[map[i]] = i;
  }
};

}  // namespace spheremix::gpu::pairwise
