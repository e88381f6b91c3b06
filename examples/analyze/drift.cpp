#include "drift.hpp"

#include "cka.hpp"
#include "health.hpp"
#include "procrustes.hpp"
#include "spheremix/metrics/nearest.hpp"
#include "spheremix/sphere/distance.hpp"
#include "spheremix/sphere/normalize.hpp"
#include "tables.hpp"

namespace analyze {
namespace {

using Rows = RowMatrix<double>;

Rows unit_rows(const Source& source, const std::vector<Index>& ids) {
  Rows x = source.gather<double>(ids);
  spheremix::sphere::normalize_rows(x, x);
  return x;
}

struct Mmd {
  double value = 0, p = 1;
};

/// The unbiased MMD^2 of the rows [0, n) and [n, n + m) of z. `paired`: row i and row n + i are one
/// item.
Mmd mmd_test(const Rows& z, Index n, bool paired, std::uint64_t seed) {
  const Index all = z.rows(), m = all - n;
  Rows kernel = (4 * ((z * z.transpose()).array() - 1)).exp();
  kernel.diagonal().setZero();
  const double in_n = 1 / (double(n) * double(n - 1)), in_m = 1 / (double(m) * double(m - 1)),
               across = 1 / (double(n) * double(m));
  const double total = kernel.sum();
  // Marks are 1 for rows of the first set; u = K marks gives all three sums.
  const auto value = [&](const Eigen::VectorXd& marks, const Eigen::VectorXd& u) {
    const double xx = marks.dot(u), x_all = u.sum(), xy = x_all - xx, yy = total - xx - 2 * xy;
    return xx * in_n + yy * in_m - 2 * xy * across;
  };
  Eigen::MatrixXd marks(all, kPermutations + 1);
  std::vector<Index> order(at(all));
  for (int p = 0; p <= kPermutations; ++p) {
    spheremix::core::PhiloxStream random(seed, 3, std::uint64_t(p));
    marks.col(p).setZero();
    if (p == 0) {
      marks.col(p).head(n).setOnes();
    } else if (paired) {
      for (Index i = 0; i < n; ++i) marks(random.uniform<double>() < 0.5 ? i : n + i, p) = 1;
    } else {
      for (Index i = 0; i < all; ++i) order[at(i)] = i;
      for (Index i = all - 1; i > 0; --i)
        std::swap(order[at(i)], order[at(Index(random.uniform<double>() * double(i + 1)))]);
      for (Index i = 0; i < n; ++i) marks(order[at(i)], p) = 1;
    }
  }
  const Eigen::MatrixXd products = kernel * marks;
  Mmd result;
  result.value = value(marks.col(0), products.col(0));
  int as_far = 0;
  for (int p = 1; p <= kPermutations; ++p)
    as_far += value(marks.col(p), products.col(p)) >= result.value - 1e-15;
  result.p = double(1 + as_far) / double(1 + kPermutations);
  return result;
}

/// Part of a row in the mean over all: rows where `value` is greatest.
std::vector<Index> greatest(const std::vector<double>& value, std::size_t most) {
  std::vector<Index> order(value.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = Index(i);
  const std::size_t count = std::min(most, order.size());
  std::partial_sort(order.begin(), order.begin() + Index(count), order.end(),
                    [&](Index a, Index b) {
                      return value[at(a)] != value[at(b)] ? value[at(a)] > value[at(b)] : a < b;
                    });
  order.resize(count);
  return order;
}

}  // namespace

Json drift(const DriftRequest& r, Progress& progress) {
  const Source before("old", r.before), after("new", r.after);
  const Index n = before.rows(), m = after.rows();
  const bool one_width = before.cols() == after.cols(), items = n == m;
  if (!items && !one_width)
    wrong(r.before, " is ", n, " x ", before.cols(), " but ", r.after, " is ", m, " x ",
          after.cols(), ": neither rows nor widths agree, so that nothing can be set beside");
  std::vector<std::string> names;
  if (!r.names.empty()) names = read_column(r.names, n);
  const Health of_old = inspect(before, progress), of_new = inspect(after, progress);
  std::vector<Index> old_ids, new_ids;
  for (Index i = 0; i < n; ++i)
    if (of_old.good[at(i)] && (!items || of_new.good[at(i)])) old_ids.push_back(i);
  for (Index i = 0; i < m; ++i)
    if (of_new.good[at(i)] && (!items || of_old.good[at(i)])) new_ids.push_back(i);
  if (old_ids.size() < 4 || new_ids.size() < 4)
    wrong(r.after, ": fewer than 4 rows can be set beside those of ", r.before);

  const std::string scope = "old-new";
  Json document{{"tool", "spheremix-analyze drift"},
                {"old", {{"file", r.before}, {"rows", n}, {"usable", of_old.usable}}},
                {"new", {{"file", r.after}, {"rows", m}, {"usable", of_new.usable}}},
                {"seed", r.seed},
                {"metrics", Json::array()},
                {"pairs", Json::array()},
                {"moved", Json::array()},
                {"readings", Json::array()},
                {"findings", Json::array()}};
  Json& list = document["metrics"];
  const auto say = [&](const char* level, const std::string& text) {
    const Json reading{{"level", level}, {"text", text}};
    document["readings"].push_back(reading);
    if (level != std::string("fine")) document["findings"].push_back(reading);
  };
  const auto how = [&](Index used, std::size_t of) {
    return used < Index(of)
               ? "seeded sample of " + with_commas(used) + " of " + with_commas(Index(of)) + " rows"
               : std::string("exact");
  };

  std::vector<double> moved;  // of the items below: degrees, or 1 - overlap
  std::vector<Index> ids;
  if (items) {
    ids = sample_rows(old_ids, kDriftRows, r.seed);
    const Index count = Index(ids.size());
    const std::string exact = how(count, old_ids.size());
    progress.stage("Items of both versions", 3, "steps");
    const Rows x = unit_rows(before, ids), y = unit_rows(after, ids);
    const Index k = std::min<Index>(10, count - 1);
    using spheremix::metrics::nearest;
    RowMatrix<Index> old_near = nearest(x, {.k = k}).ids, new_near = nearest(y, {.k = k}).ids;
    stop_if_asked();
    progress.add(1);
    std::vector<double> overlap(at(count));
    for (std::size_t i = 0; i < overlap.size(); ++i) {
      Index *const a = old_near.row(Index(i)).data(), *const b = new_near.row(Index(i)).data();
      std::sort(a, a + k), std::sort(b, b + k);
      std::vector<Index> both;
      std::set_intersection(a, a + k, b, b + k, std::back_inserter(both));
      overlap[i] = double(both.size()) / double(k);
    }
    const double share = mean_of(overlap), chance = double(k) / double(count - 1);
    list.push_back(metric("neighbour_overlap", scope, share, exact, bootstrap_mean(overlap)));
    list.back()["chance"] = chance;
    const LinearCka<double> cka(x, y);
    const Similarity same = cka.measure();
    list.push_back(metric("cka_debiased", scope, same.debiased, exact, same.of_debiased));
    progress.add(1);
    say(share < 0.5 ? "look" : "fine",
        percent(share) + " of a row's " + std::to_string(k) +
            " nearest rows are its nearest in both versions (chance " + percent(chance) + ").");
    moved.resize(overlap.size());
    for (std::size_t i = 0; i < overlap.size(); ++i) moved[i] = 1 - overlap[i];
    if (one_width) {
      const HeldOut held(y, x, r.seed);
      std::vector<double> raw(overlap.size()), turned(overlap.size());
      for (Index i = 0; i < count; ++i) {
        raw[at(i)] = (x.row(i) - y.row(i)).squaredNorm();
        turned[at(i)] = (x.row(i) - held.turned.row(i)).squaredNorm();
      }
      const double distance = mean_of(raw), left = mean_of(turned);
      const std::vector<double>& square = left < distance ? turned : raw;
      for (std::size_t i = 0; i < moved.size(); ++i)
        moved[i] = 2 * std::asin(std::min(1.0, std::sqrt(square[i]) / 2)) * 180 /
                   spheremix::core::pi<double>;
      list.push_back(metric("moved", scope, distance, exact, bootstrap_mean(raw)));
      list.push_back(metric("moved_turned", scope, left, exact, bootstrap_mean(turned)));
      say(distance > 0.5 && left < distance / 4 ? "look" : "fine",
          "An item lies at a mean squared distance of " + fixed(distance, 3) +
              " from where it was; after a rotation fitted on other items, " + fixed(left, 3) +
              (distance > 0.1 && left < distance / 4 ? ": the new version is turned." : "."));
    }
    progress.add(1);
    for (const Index i : greatest(moved, 20)) {
      Json row{{"row", ids[at(i)]},
               {one_width ? "degrees" : "neighbours_lost", moved[at(i)]},
               {"neighbour_overlap", overlap[at(i)]}};
      if (!names.empty()) row["name"] = names[at(ids[at(i)])];
      document["moved"].push_back(row);
    }
  } else {
    say("look", "The versions have " + with_commas(n) + " and " + with_commas(m) +
                    " rows, so that no row can be said to be the same item.");
  }
  if (one_width) {
    const std::vector<Index> some = sample_rows(old_ids, kMmdRows, r.seed),
                             others = items ? some : sample_rows(new_ids, kMmdRows, r.seed + 1);
    progress.stage("Permutations", 1, "tests");
    Rows z(Index(some.size() + others.size()), before.cols());
    z.topRows(Index(some.size())) = unit_rows(before, some);
    z.bottomRows(Index(others.size())) = unit_rows(after, others);
    const Mmd test = mmd_test(z, Index(some.size()), items, r.seed);
    const std::string exact = how(Index(some.size()), old_ids.size());
    list.push_back(metric("mmd", scope, test.value, exact));
    list.push_back(metric("mmd_p", scope, test.p, exact));
    say(test.p <= 0.01 ? "look" : "fine",
        "The two versions " +
            std::string(test.p <= 0.01 ? "differ as distributions"
                                       : "show no difference as distributions") +
            " (squared MMD " + fixed(test.value, 5) + ", p = " + fixed(test.p, 3) + " of " +
            std::to_string(kPermutations) + " permutations).");
  }
  return document;
}

}  // namespace analyze
