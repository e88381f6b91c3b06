// Rows from rank to rank: gathered by all, and sums of what all have for one rank. Ranks speak in
// pairs, step by step: rank r sends to r + step and receives from r - step, so what is added up is
// added in an order that timing has no part in.
#pragma once

#include <cstring>
#include <vector>

#include "spheremix/core/meeting.hpp"
#include "spheremix/core/view.hpp"

namespace spheremix::core {

/// Calls body(to, from) for every other pair of ranks of this one.
template <class Body>
void for_peers(const Ranks& ranks, const Body& body) {
  const int size = ranks.size(), me = ranks.rank();
  for (int step = 1; step < size; ++step) body((me + step) % size, (me - step + size) % size);
}

/// Copies rows.
template <class T>
void copy_rows(MatrixView<const T> from, MatrixView<T> to) {
  for (Index i = 0; i < from.rows && from.cols > 0; ++i)
    std::memcpy(to.row(i), from.row(i), std::size_t(from.cols) * sizeof(T));
}

/// The rows of batch k of all ranks to `all`, total(k) rows without space between them; `own` has
/// this rank's.
template <class T>
void gather_rows(const Meeting& meeting, int k, MatrixView<const T> own, MatrixView<T> all) {
  Ranks& ranks = meeting.ranks();
  const auto bytes = [&](int r) { return std::size_t(meeting.count(k, r) * all.cols) * sizeof(T); };
  T* const mine = all.row(meeting.first(k, ranks.rank()));
  copy_rows<T>(own, {mine, own.rows, all.cols, all.cols});
  for_peers(ranks, [&](int to, int from) {
    ranks.exchange(to, mine, bytes(ranks.rank()), from, all.row(meeting.first(k, from)),
                   bytes(from));
  });
}

/// own = the sum over the ranks of their rows `parts` for this one: its own, then those of rank
/// r - 1, r - 2, ... `buffer`: own.rows x own.cols numbers.
template <class T>
void reduce_scatter_rows(const Meeting& meeting, int k, MatrixView<const T> parts,
                         MatrixView<T> own, T* buffer) {
  Ranks& ranks = meeting.ranks();
  const Index d = parts.cols;
  const auto bytes = [&](int r) { return std::size_t(meeting.count(k, r) * d) * sizeof(T); };
  copy_rows<T>(parts.middle_rows(meeting.first(k, ranks.rank()), own.rows), own);
  for_peers(ranks, [&](int to, int from) {
    ranks.exchange(to, parts.row(meeting.first(k, to)), bytes(to), from, buffer,
                   bytes(ranks.rank()));
    for (Index i = 0; i < own.rows; ++i)
      for (Index j = 0; j < d; ++j) own(i, j) += buffer[i * d + j];
  });
}

/// Some numbers of every rank, as many on all: one rank's after the other's. Agrees as batch k.
template <class M>
std::vector<double> gather_numbers(M& meeting, int k, const std::vector<double>& mine) {
  const Index count = Index(mine.size()), size = meeting.ranks().size();
  std::vector<double> each(mine.size() * std::size_t(size));
  meeting.mine.rows[k] = 1;
  meeting.mine.cols[k] = count;
  meeting.agree();
  gather_rows<double>(meeting, k, {mine.data(), 1, count, count},
                      {each.data(), size, count, count});
  return each;
}

}  // namespace spheremix::core
