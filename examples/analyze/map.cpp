#include "map.hpp"

#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <map>

#include "../page.hpp"
#include "bootstrap.hpp"
#include "sweep.hpp"

#ifdef SPHEREMIX_UMAP
// Its parts one by one: the start from the graph's spectrum needs a newer Eigen than Debian's.
#include <umappp/NeighborList.hpp>
#include <umappp/Options.hpp>
#include <umappp/Status.hpp>
#include <umappp/combine_neighbor_sets.hpp>
#include <umappp/find_ab.hpp>
#include <umappp/neighbor_similarities.hpp>
#endif

namespace analyze {
namespace {

[[maybe_unused]] constexpr Index kMapNeighbours = 15;

template <class Number>
std::string packed(const std::vector<Number>& numbers) {  // the page reads little-endian
  static_assert(std::endian::native == std::endian::little);
  return page::base64(
      {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(Number)});
}

/// Points of two numbers on a grid of 65,536, one scale for both, in the middle.
std::vector<std::uint16_t> on_grid(const std::vector<float>& points) {
  float low[2] = {points[0], points[1]}, high[2] = {points[0], points[1]};
  for (std::size_t i = 0; i < points.size(); ++i) {
    low[i % 2] = std::min(low[i % 2], points[i]);
    high[i % 2] = std::max(high[i % 2], points[i]);
  }
  const float size = std::max({high[0] - low[0], high[1] - low[1], 1e-30f});
  std::vector<std::uint16_t> out;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const float middle = (low[i % 2] + high[i % 2]) / 2;
    out.push_back(std::uint16_t(
        std::lround(std::clamp(((points[i] - middle) / size + 0.5f) * 65535, 0.0f, 65535.0f))));
  }
  return out;
}

/// The two leading directions by subspace iteration from a seeded start: order N d, no d x d table.
std::vector<float> pca(const RowMatrix<float>& rows, std::uint64_t seed) {
  const Index d = rows.cols(), k = std::min<Index>(8, d);
  const Eigen::VectorXf mean = rows.colwise().mean();
  spheremix::core::PhiloxStream random(seed, 3, 0);
  Eigen::MatrixXf basis(d, k);
  for (Index j = 0; j < k; ++j)
    for (Index i = 0; i < d; ++i) basis(i, j) = float(random.uniform<double>() - 0.5);
  Eigen::MatrixXf place;
  for (int turn = 0; turn < 40; ++turn) {
    basis = Eigen::HouseholderQR<Eigen::MatrixXf>(basis).householderQ() *
            Eigen::MatrixXf::Identity(d, k);
    place = (rows * basis).rowwise() - (mean.transpose() * basis);
    if (turn < 39) basis = rows.transpose() * place - mean * place.colwise().sum();
    stop_if_asked();
  }
  // Within the subspace, the directions of greatest variance.
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXf> solver(place.transpose() * place);
  const Eigen::MatrixXf two = place * solver.eigenvectors().rightCols(std::min<Index>(2, k));
  std::vector<float> points(2 * at(rows.rows()));
  for (Index i = 0; i < rows.rows(); ++i) {
    points[at(2 * i)] = two(i, two.cols() - 1);
    points[at(2 * i + 1)] = two.cols() > 1 ? two(i, 0) : 0;
  }
  return points;
}

#ifdef SPHEREMIX_UMAP
/// Starts from `points`, the PCA, which keeps the large shape and makes runs alike [Kobak and
/// Linderman 2021].
std::vector<float> umap(const RowMatrix<float>& rows, std::vector<float> points, std::uint64_t seed,
                        Progress& progress) {
  const Index n = rows.rows(), k = std::min(kMapNeighbours, n - 1);
  progress.stage("Neighbours for the map", sweep_work(n, n, rows.cols(), true), "Gflop");
  const TopList<float> top = all_pairs<float>(rows, rows, true, k, 2.0, {}, progress).row_top;
  if (!leads(progress.share())) return points;  // the first process draws
  umappp::NeighborList<int, float> graph(at(n));
  for (Index i = 0; i < n; ++i)
    for (Index p = 0; p < k && top.id(i, p) >= 0; ++p)
      graph[at(i)].emplace_back(int(top.id(i, p)),
                                std::sqrt(std::max(0.0f, 2 - 2 * top.value(i, p))));
  umappp::Options options;
  options.num_neighbors = int(k);
  options.num_threads = spheremix::core::max_threads();
  options.optimize_seed = decltype(options.optimize_seed)(seed);
  umappp::NeighborSimilaritiesOptions<float> similarities;
  similarities.num_threads = options.num_threads;
  umappp::neighbor_similarities(graph, similarities);
  umappp::combine_neighbor_sets(graph, 1.0f);
  const auto curve = umappp::find_ab(options.spread, options.min_dist);
  options.a = curve.first, options.b = curve.second;
  const int epochs = 200 + int(std::ceil(300 * std::min(1.0, 1e4 / double(n))));
  options.num_epochs = epochs;

  float largest = 0;
  for (const float p : points) largest = std::max(largest, std::fabs(p));
  for (float& p : points) p *= 10 / std::max(largest, 1e-30f);
  umappp::Status<int, float> status(umappp::similarities_to_epochs<int, float>(
                                        graph, epochs, float(options.negative_sample_rate)),
                                    options, 2);
  progress.stage("Layout of the map", double(epochs), "epochs");
  for (int epoch = 1; epoch <= epochs; ++epoch) {
    status.run(points.data(), epoch);
    progress.add(1);
  }
  for (float& p : points)
    if (!std::isfinite(p)) p = 0;
  return points;
}
#endif

struct Chosen {
  std::size_t modality;
  Index row;  ///< among the analysed ones
};

}  // namespace

void add_map(Json& document, const Extras& extras, std::uint64_t seed, Progress& progress) {
  const double begin = progress.seconds();
  const Index d = extras.rows[0].cols();
  std::vector<std::size_t> used;
  Index total = 0;
  for (std::size_t m = 0; m < extras.rows.size(); ++m)
    if (extras.rows[m].cols() == d) used.push_back(m), total += extras.rows[m].rows();
  // The same share of each modality, partners together where rows are pairs.
  std::vector<Chosen> chosen;
  for (const std::size_t m : used) {
    const Index n = extras.rows[m].rows();
    std::vector<Index> rows(at(n));
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = Index(i);
    if (total > kMapRows)
      rows = sample_rows(rows, Index(double(n) * double(kMapRows) / double(total)), seed);
    for (const Index i : rows) chosen.push_back({m, i});
  }
  RowMatrix<float> rows(Index(chosen.size()), d);
  for (std::size_t i = 0; i < chosen.size(); ++i)
    rows.row(Index(i)) = extras.rows[chosen[i].modality].row(chosen[i].row);
  Json map{{"layouts", Json::array()}, {"modalities", Json::array()}};
  std::map<std::string, std::vector<std::uint16_t>> layouts;
  const std::vector<float> plane = pca(rows, seed);
#ifdef SPHEREMIX_UMAP
  if (rows.rows() > 5) {
    layouts["umap"] = on_grid(umap(rows, plane, seed, progress));
    map["layouts"].push_back("umap");
  }
#endif
  layouts["pca"] = on_grid(plane);
  map["layouts"].push_back("pca");

  std::size_t begins = 0;
  std::map<Index, bool> shown;
  for (const std::size_t m : used) {
    std::size_t ends = begins;
    while (ends < chosen.size() && chosen[ends].modality == m) ++ends;
    const RowLists& list = extras.modalities[m];
    std::vector<std::uint32_t> ids;
    std::vector<std::int32_t> nearest;
    std::vector<float> cosines;
    const Index k = std::min<Index>(list.k, 10);
    for (std::size_t i = begins; i < ends; ++i) {
      const Index row = chosen[i].row;
      ids.push_back(std::uint32_t(list.ids[at(row)]));
      if (document["named_modality"].is_null() || document["named_modality"] == list.modality)
        shown[list.ids[at(row)]] = true;
      const Index asked =
          std::lower_bound(list.asked.begin(), list.asked.end(), list.ids[at(row)]) -
          list.asked.begin();
      for (Index p = 0; p < k; ++p) {
        nearest.push_back(std::int32_t(list.nearest[at(asked * list.k + p)]));
        cosines.push_back(list.cosines[at(asked * list.k + p)]);
      }
    }
    Json json{{"name", list.modality}, {"count", ids.size()}, {"ids", packed(ids)}, {"k", k}};
    if (k > 0) json["nearest"] = packed(nearest), json["cosines"] = packed(cosines);
    for (const auto& [name, points] : layouts)
      json[name] = packed(std::vector<std::uint16_t>(points.begin() + Index(2 * begins),
                                                     points.begin() + Index(2 * ends)));
    map["modalities"].push_back(std::move(json));
    begins = ends;
  }
  if (!extras.names.empty() || !extras.labels.empty()) {
    map["labelled"] = Json::array();
    for (const auto& [id, yes] : shown) map["labelled"].push_back(id);
  }
  if (!extras.names.empty())
    for (const auto& [id, yes] : shown) map["names"].push_back(extras.names[at(id)].substr(0, 80));
  if (!extras.labels.empty()) {
    std::map<std::string, Index> size;
    for (const auto& [id, yes] : shown) ++size[extras.labels[at(id)]];
    size.erase("");
    std::vector<std::pair<Index, std::string>> order;
    for (const auto& [label, count] : size) order.emplace_back(-count, label);
    std::sort(order.begin(), order.end());
    const std::size_t kept = std::min<std::size_t>(order.size(), 9);
    std::map<std::string, Index> place;
    map["classes"] = Json::array();
    for (std::size_t c = 0; c < kept; ++c)
      place[order[c].second] = Index(c), map["classes"].push_back(order[c].second.substr(0, 60));
    if (order.size() > kept)
      map["classes"].push_back(std::to_string(order.size() - kept) + " other classes");
    for (const auto& [id, yes] : shown) {
      const std::string& label = extras.labels[at(id)];
      const auto found = place.find(label);
      map["labels"].push_back(label.empty() ? -1 : found != place.end() ? found->second : Index(9));
    }
  }
  const Index count = Index(chosen.size());
  map["note"] =
      std::string(
          layouts.count("umap") > 0
              ? "UMAP of each row's 15 nearest among all rows, by cosine, and PCA beside it. "
          : built_with_umap() ? "PCA: too few rows for UMAP. "
                              : "PCA, which keeps the two directions of greatest "
                                "variance; this program was built without UMAP. ") +
      "Near rows lie near; sizes of groups and distances between them mean nothing. " +
      with_commas(count) + (count < total ? " of " + with_commas(total) : std::string()) +
      " rows, " + fixed(progress.seconds() - begin, 1) + " s and about " +
      with_commas(Index(double(count) * (4 * double(d) + 16 * 15 + 120) / 1e6) + 1) +
      " MB more for the map.";
  document["map"] = std::move(map);
}

bool built_with_umap() {
#ifdef SPHEREMIX_UMAP
  return true;
#else
  return false;
#endif
}

}  // namespace analyze
