// Two modalities whose rows are of different widths: what needs no common space.
//
//   CKA              as for any pair: products of centred rows within each
//   shared neighbours   mean over i of |N_x(i) and N_y(i) in common| / k, N(i) the k nearest others
//                       within one modality, k = 10; k / (n - 1) by chance
#pragma once

#include "cka.hpp"
#include "modality.hpp"

namespace analyze {

template <class T>
void measure_unlike_pair(const Modality<T>& a, const Modality<T>& b,
                         const std::vector<Index>& owner, std::uint64_t seed, Json& document,
                         Progress& progress) {
  const std::string scope = a.name() + "-" + b.name();
  const std::string how = a.sampled ? a.how : b.how;
  Json& list = document["metrics"];
  const Index n = b.n();
  RowMatrix<T> partners(n, a.rows.cols());
  bool plain = a.n() == n;
  for (Index j = 0; j < n; ++j) {
    partners.row(j) = a.rows.row(owner[at(j)]);
    plain = plain && owner[at(j)] == j;
  }
  const LinearCka<T> cka(partners, b.rows);
  const std::vector<Index> order = shuffled(n, seed);
  const Similarity real = cka.measure(), chance = cka.measure(&order);
  list.push_back(metric("cka", scope, real.value, how, real.interval));
  list.push_back(metric("cka_shuffled", scope, chance.value, how, chance.interval));
  list.push_back(metric("cka_debiased", scope, real.debiased, how, real.of_debiased));
  list.push_back(metric("cka_debiased_shuffled", scope, chance.debiased, how, chance.of_debiased));
  const Index k = std::min(kNeighbours, n - 1);
  if (plain) {  // captions of one picture are its neighbours by their making
    const auto nearest = [&](const Modality<T>& m) {
      progress.stage("Neighbours within " + m.name(), sweep_work(n, n, m.rows.cols(), true),
                     "Gflop");
      return all_pairs<T>(m.rows, m.rows, true, k, kSteepness, {}, progress).row_top;
    };
    const TopList<T> x = nearest(a), y = nearest(b);
    std::vector<double> shared(at(n));
    double mean = 0;
    for (Index i = 0; i < n; ++i) {
      for (Index p = 0; p < k; ++p)
        for (Index q = 0; q < k; ++q) shared[at(i)] += x.id(i, p) == y.id(i, q);
      shared[at(i)] /= double(k);
      mean += shared[at(i)] / double(n);
    }
    list.push_back(metric("neighbour_overlap", scope, mean, how, bootstrap_mean(shared)));
    list.back()["chance"] = double(k) / double(n - 1);
    list.back()["gallery"] = n;
  }
  document["pairs"].push_back({{"x", a.name()}, {"y", b.name()}, {"unlike", true}});
}

}  // namespace analyze
