#include "tools.hpp"

#include <unistd.h>

#include <Eigen/Eigenvalues>
#include <map>
#include <sstream>

#include "bootstrap.hpp"
#include "input.hpp"
#include "output.hpp"
#include "repairs.hpp"
#include "spheremix/io/detail/npy_write.hpp"
#include "spheremix/metrics/spectrum.hpp"
#include "spheremix/metrics/uniformity.hpp"
#include "spheremix/sphere/distance.hpp"
#include "spheremix/sphere/normalize.hpp"
#include "spheremix/sphere/slerp.hpp"

namespace analyze {
namespace {

struct Place {
  std::size_t modality;
  Index row;
};

Place place_of(const std::string& text, const std::vector<Source>& sources) {
  const std::size_t mark = text.rfind(':');
  const std::string name = mark == std::string::npos ? sources[0].name() : text.substr(0, mark);
  const std::string number = mark == std::string::npos ? text : text.substr(mark + 1);
  for (std::size_t m = 0; m < sources.size(); ++m) {
    if (sources[m].name() != name) continue;
    const bool digits = !number.empty() && number.size() < 18 &&
                        number.find_first_not_of("0123456789") == std::string::npos;
    if (!digits || std::stoll(number) >= sources[m].rows())
      wrong("\"", text, "\": a row of ", name, " from 0 to ", sources[m].rows() - 1,
            " is expected");
    return {m, Index(std::stoll(number))};
  }
  wrong("\"", text, "\": there is no modality ", name);
}

/// A square may be zero where its number is not.
bool nonzero(const RowMatrix<double>& x, Index i) { return (x.row(i).array() != 0).any(); }

/// Size, lengths, spread and rank of finite rows.
Json summary(const RowMatrix<double>& x) {
  Json json{{"rows", x.rows()}, {"cols", x.cols()}};
  std::vector<Index> usable;
  for (Index i = 0; i < x.rows(); ++i)
    if (x.row(i).allFinite() && nonzero(x, i)) usable.push_back(i);
  json["usable"] = usable.size();
  if (usable.size() < 2) return json;
  RowMatrix<double> unit(Index(usable.size()), x.cols());
  double length = 0;
  for (std::size_t i = 0; i < usable.size(); ++i) {
    unit.row(Index(i)) = x.row(usable[i]);
    length += x.row(usable[i]).norm() / double(usable.size());
  }
  spheremix::sphere::normalize_rows(unit, unit);
  json["norm_mean"] = length;
  json["mean_cosine"] = spheremix::metrics::anisotropy(unit);
  if (!(unit.rowwise() - unit.row(0)).isZero(0)) {
    json["effective_rank"] = spheremix::metrics::effective_rank(unit, {.centred = true});
    if (unit.cols() > 1) json["iso_score"] = spheremix::metrics::isotropy(unit);
  }
  const std::vector<Index> every = [&] {
    std::vector<Index> all(usable.size());
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = Index(i);
    return sample_rows(all, 5000, 1);
  }();
  RowMatrix<double> some(Index(every.size()), unit.cols());
  for (std::size_t i = 0; i < every.size(); ++i) some.row(Index(i)) = unit.row(every[i]);
  json["uniformity"] = spheremix::metrics::uniformity(some);
  if (some.rows() < unit.rows()) json["uniformity_rows"] = some.rows();
  return json;
}

void keep(RowMatrix<double>& x, std::vector<Index>& ids, const std::vector<Index>& rows) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (Index(i) != rows[i]) x.row(Index(i)) = x.row(rows[i]);
    ids[i] = ids[at(rows[i])];
  }
  x.conservativeResize(Index(rows.size()), x.cols());
  ids.resize(rows.size());
}

void expect_usable(const RowMatrix<double>& x, const std::string& repair,
                   const std::string& input) {
  for (Index i = 0; i < x.rows(); ++i)
    if (!x.row(i).allFinite() || !nonzero(x, i))
      wrong(input, ": row ", i, " is zero or not finite, which ", repair,
            " cannot take; put --repair drop-bad first");
}

/// x -> (x - mean) A, A the inverse root of the covariance on the directions that hold variance.
void whiten(RowMatrix<double>& x, const std::string& input) {
  if (x.rows() < 2) wrong(input, ": whitening needs at least 2 rows");
  const Eigen::RowVectorXd mean = x.colwise().mean();
  x.rowwise() -= mean;
  const Eigen::MatrixXd covariance = x.transpose() * x / double(x.rows() - 1);
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(covariance);
  const Eigen::VectorXd& squares = solver.eigenvalues();
  if (!(squares.maxCoeff() > 0))
    wrong(input, ": all rows are equal, so that there is no variance to whiten");
  Eigen::VectorXd scale = Eigen::VectorXd::Zero(squares.size());
  for (Index k = 0; k < squares.size(); ++k)
    if (squares[k] > 1e-10 * squares.maxCoeff()) scale[k] = 1 / std::sqrt(squares[k]);
  x = x * (solver.eigenvectors() * scale.asDiagonal() * solver.eigenvectors().transpose());
}

/// A whole file in double precision.
RowMatrix<double> read_all(const Source& source, Progress& progress) {
  progress.stage("Reading " + source.name(), double(source.rows()), "rows");
  RowMatrix<double> x(source.rows(), source.cols());
  for (Index first = 0; first < x.rows(); first += 4096) {
    const Index count = std::min<Index>(4096, x.rows() - first);
    source.read(first, count, x.data() + first * x.cols());
    progress.add(double(count));
  }
  return x;
}

void save(const std::string& output, const RowMatrix<double>& x, spheremix::io::Dtype dtype,
          OutputFiles& files) {
  const std::string place = files.reserve(output);
  try {
    spheremix::io::save_npy(place, x, {.dtype = dtype});
  } catch (const spheremix::io::Error& error) {  // no wrong input, and of a name of our own
    throw std::runtime_error(
        output + ": cannot be written" +
        std::string(error.what()).substr(std::min(place.size(), std::strlen(error.what()))));
  }
}

/// Unit rows of two files that belong together.
struct PairedFiles {
  RowMatrix<double> x, y;
  std::vector<Index> rows;  ///< of x

  PairedFiles(const RowMatrix<double>& of_x, const std::vector<Index>& ids,
              const RowMatrix<double>& of_y, const FixRequest& r) {
    std::vector<std::pair<Index, Index>> pairs;
    if (r.pairs.empty()) {
      for (std::size_t i = 0; i < ids.size(); ++i)
        if (ids[i] < of_y.rows()) pairs.emplace_back(Index(i), ids[i]);
    } else {
      std::istringstream text(read_file(r.pairs));
      std::string line;
      for (std::size_t l = 1; std::getline(text, line); ++l) {
        if (!line.empty() && line.back() == '\r') line.pop_back();
        long long i = -1, j = -1;
        char rest = 0;
        if (std::sscanf(line.c_str(), "%lld%*[ \t,]%lld %c", &i, &j, &rest) != 2 || i < 0 ||
            j < 0 || j >= of_y.rows())
          wrong(r.pairs, ": line ", l, " is \"", line.substr(0, 40),
                "\" where two row numbers are expected");
        const auto place = std::lower_bound(ids.begin(), ids.end(), Index(i));
        if (place != ids.end() && *place == Index(i))
          pairs.emplace_back(Index(place - ids.begin()), Index(j));
      }
    }
    std::erase_if(pairs, [&](const auto& p) {
      const auto good = [](const RowMatrix<double>& m, Index i) {
        return m.row(i).allFinite() && nonzero(m, i);
      };
      return !good(of_x, p.first) || !good(of_y, p.second);
    });
    if (pairs.size() < 2)
      wrong(r.to, ": ", pairs.size(), " usable rows belong to rows of ", r.input,
            " where at least 2 are needed");
    x.resize(Index(pairs.size()), of_x.cols()), y.resize(Index(pairs.size()), of_y.cols());
    for (std::size_t p = 0; p < pairs.size(); ++p) {
      x.row(Index(p)) = of_x.row(pairs[p].first), y.row(Index(p)) = of_y.row(pairs[p].second);
      rows.push_back(pairs[p].first);
    }
    spheremix::sphere::normalize_rows(x, x);
    spheremix::sphere::normalize_rows(y, y);
  }
};

/// Turns x by the rotation that brings it onto the other file, and says what that does to pairs.
void align(RowMatrix<double>& x, const std::vector<Index>& ids, const RowMatrix<double>& other,
           const FixRequest& r, Json& json) {
  if (x.cols() != other.cols())
    wrong(r.input, " has rows of ", x.cols(), " numbers and ", r.to, " of ", other.cols(),
          ": a rotation needs one width");
  const PairedFiles pairs(x, ids, other, r);
  const Eigen::MatrixXd q = procrustes(pairs.x, pairs.y);
  json["before"]["pairs"] = pair_summary(pairs.x, pairs.y);
  json["after"]["pairs"] = pair_summary(RowMatrix<double>(pairs.x * q), pairs.y);
  if (pairs.x.rows() >= 8) {
    const HeldOut held(pairs.x, pairs.y, 1);
    const auto [recall, chance] = held.recall(pairs.y);
    json["after"]["pairs"]["held_out_recall1"] = recall;
    json["after"]["pairs"]["held_out_chance"] = chance;
  }
  for (Index i = 0; i < x.rows(); ++i)
    if (x.row(i).allFinite()) x.row(i) = (x.row(i) * q).eval();
}

/// Both files as rows whose cosines rank by csls; the other one goes to `output_to`.
void csls(RowMatrix<double>& x, const std::vector<Index>& ids, const RowMatrix<double>& other,
          const FixRequest& r, OutputFiles& files, Json& json) {
  if (x.cols() != other.cols())
    wrong(r.input, " has rows of ", x.cols(), " numbers and ", r.to, " of ", other.cols(),
          ": cosines between them need one width");
  expect_usable(x, "csls", r.input);
  expect_usable(other, "csls", r.to);
  RowMatrix<double> u = spheremix::sphere::normalize_rows(x),
                    v = spheremix::sphere::normalize_rows(other);
  auto [longer_u, longer_v] = csls_rows(u, v);
  const PairedFiles before(u, ids, v, r), after(longer_u, ids, longer_v, r);
  json["before"]["pairs"] = pair_summary(before.x, before.y);
  json["after"]["pairs"] = pair_summary(after.x, after.y);
  x = std::move(longer_u);
  save(r.output_to, longer_v, spheremix::io::Dtype::f4, files);
}

}  // namespace

Json slerp_path(const PathRequest& r, Progress& progress) {
  std::vector<Source> sources;
  for (const auto& [name, pattern] : r.modalities) {
    sources.emplace_back(name, pattern);
    if (sources.back().cols() != sources[0].cols())
      wrong(sources[0].pattern(), " has rows of ", sources[0].cols(), " but ", pattern, " of ",
            sources.back().cols(), ": one width is needed");
  }
  std::vector<std::string> names;
  if (!r.names.empty()) names = read_column(r.names, sources[0].rows());
  const Place ends[2] = {place_of(r.from, sources), place_of(r.to, sources)};
  spheremix::Vector<double> end[2];
  for (int e = 0; e < 2; ++e) {
    const RowMatrix<double> row = sources[ends[e].modality].gather<double>({ends[e].row});
    if (!row.allFinite() || !((row.array() != 0).any()))
      wrong("\"", e == 0 ? r.from : r.to, "\": the row is zero or not finite");
    end[e] = spheremix::sphere::normalize(row.transpose());
  }
  const Index d = sources[0].cols();
  RowMatrix<double> points(r.steps, d);
  for (int s = 0; s < r.steps; ++s) {
    try {
      points.row(s) =
          spheremix::sphere::slerp(end[0], end[1], double(s) / (r.steps - 1)).transpose();
    } catch (const std::invalid_argument&) {
      wrong("\"", r.from, "\" and \"", r.to,
            "\" are opposite points: no one shortest path joins them");
    }
  }
  struct Near {
    double cosine;
    std::size_t modality;
    Index row;
  };
  std::vector<std::vector<Near>> nearest(std::size_t(r.steps));
  for (std::size_t m = 0; m < sources.size(); ++m) {
    progress.stage("Reading " + sources[m].name(), double(sources[m].rows()), "rows");
    const Index block = std::max<Index>(1, (Index(1) << 20) / d);
    for (Index first = 0; first < sources[m].rows(); first += block) {
      const Index count = std::min(block, sources[m].rows() - first);
      RowMatrix<double> rows(count, d);
      sources[m].read(first, count, rows.data());
      for (Index i = 0; i < count; ++i) {
        if (!rows.row(i).allFinite() || !(rows.row(i).cwiseAbs().maxCoeff() > 0)) continue;
        rows.row(i) = spheremix::sphere::normalize(rows.row(i).transpose()).transpose();
        const Eigen::VectorXd cosines = points * rows.row(i).transpose();
        for (int s = 0; s < r.steps; ++s) {
          auto& list = nearest[std::size_t(s)];
          if (Index(list.size()) == r.nearest && !(cosines[s] > list.back().cosine)) continue;
          auto place = list.end();
          while (place != list.begin() && cosines[s] > std::prev(place)->cosine) --place;
          list.insert(place, {cosines[s], m, first + i});
          if (Index(list.size()) > r.nearest) list.pop_back();
        }
      }
      progress.add(double(count));
    }
  }
  Json json{{"from", r.from},
            {"to", r.to},
            {"degrees", spheremix::sphere::geodesic_distance(end[0], end[1]) * 180 /
                            spheremix::core::pi<double>},
            {"steps", Json::array()}};
  for (int s = 0; s < r.steps; ++s) {
    Json step{{"t", double(s) / (r.steps - 1)}, {"nearest", Json::array()}};
    for (const Near& n : nearest[std::size_t(s)]) {
      Json item{{"modality", sources[n.modality].name()}, {"row", n.row}, {"cosine", n.cosine}};
      // Names are those of the first modality, and of others that have as many rows.
      if (!names.empty() && sources[n.modality].rows() == sources[0].rows())
        item["name"] = names[at(n.row)];
      step["nearest"].push_back(item);
    }
    json["steps"].push_back(step);
  }
  return json;
}

Json fix_file(const FixRequest& r, OutputFiles& files, Progress& progress) {
  if (r.output.size() < 4 || r.output.substr(r.output.size() - 4) != ".npy")
    wrong(r.output, ": the output's name must end with .npy");
  const Source source("input", r.input);
  // The array, the unit rows of a summary and what whitening keeps beside them.
  const double bytes = 3 * 8 * double(source.rows()) * double(source.cols()),
               memory = double(::sysconf(_SC_PHYS_PAGES)) * double(::sysconf(_SC_PAGE_SIZE));
  if (bytes > memory)
    wrong(r.input, ": fix works on the whole array, which needs ", fixed(bytes / 1e9, 1),
          " GB of memory where there are ", fixed(memory / 1e9, 1));
  const auto asked = [&](const char* repair) {
    return std::find(r.repairs.begin(), r.repairs.end(), repair) != r.repairs.end();
  };
  const bool beside = asked("align") || asked("csls");
  if (beside && r.to.empty()) wrong("--repair align and csls need --to, the other file");
  if (!beside && !r.to.empty()) wrong("--to has no effect without --repair align or csls");
  if (asked("csls") && r.output_to.empty())
    wrong("--repair csls needs --output-to: rows of the other file change too");
  if (!asked("csls") && !r.output_to.empty())
    wrong("--output-to has no effect without --repair csls");
  if (!asked("align") && !r.pairs.empty()) wrong("--pairs has no effect without --repair align");
  RowMatrix<double> x = read_all(source, progress), other;
  if (beside) other = read_all(Source("the other file", r.to), progress);
  std::vector<Index> ids(at(x.rows()));
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = Index(i);
  Json json{
      {"input", r.input}, {"output", r.output}, {"repairs", r.repairs}, {"before", summary(x)}};
  for (const std::string& repair : r.repairs) {
    std::vector<Index> rows;
    if (repair == "drop-bad") {
      for (Index i = 0; i < x.rows(); ++i)
        if (x.row(i).allFinite() && nonzero(x, i)) rows.push_back(i);
      keep(x, ids, rows);
    } else if (repair == "drop-duplicates") {
      std::map<std::vector<double>, Index> seen;
      for (Index i = 0; i < x.rows(); ++i) {
        const std::vector<double> row(x.data() + i * x.cols(), x.data() + (i + 1) * x.cols());
        const bool bad = !x.row(i).allFinite();  // NaN orders with nothing: such rows stay
        if (bad || seen.emplace(row, i).second) rows.push_back(i);
      }
      keep(x, ids, rows);
    } else if (repair == "normalise") {
      expect_usable(x, repair, r.input);
      spheremix::sphere::normalize_rows(x, x);
    } else if (repair == "centre") {
      expect_usable(x, repair, r.input);
      spheremix::sphere::normalize_rows(x, x);
      const Eigen::RowVectorXd mean = x.colwise().mean();
      x.rowwise() -= mean;
      expect_usable(x, "bringing centred rows to length 1", r.input);
      spheremix::sphere::normalize_rows(x, x);
    } else if (repair == "align") {
      align(x, ids, other, r, json);
    } else if (repair == "csls") {
      csls(x, ids, other, r, files, json);
    } else {
      expect_usable(x, repair, r.input);
      whiten(x, r.input);
    }
    stop_if_asked();
  }
  if (x.rows() == 0) wrong(r.input, ": no row is left");
  json["after"].update(summary(x));
  const auto dtype = source.dtype() == "f8"   ? spheremix::io::Dtype::f8
                     : source.dtype() == "f2" ? spheremix::io::Dtype::f2
                                              : spheremix::io::Dtype::f4;
  stop_if_asked();
  if (!r.kept.empty()) {
    std::string text;
    for (const Index i : ids) text += std::to_string(i) + "\n";
    files.write(r.kept, text);
  }
  save(r.output, x, dtype, files);
  return json;
}

}  // namespace analyze
