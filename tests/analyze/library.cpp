// The analysis without command line and page: rows in memory give the figures that files give, and nothing is printed.
//
//   library IMAGE.npy TEXT.npy   prints one line a figure: scope, key and value
#include <cstdio>

#include "analyse_rows.hpp"
#include "spheremix/io/npy.hpp"

int main(int argc, char** argv) {
  using namespace analyze;
  if (argc != 3) return 2;
  std::vector<Source> sources;
  for (int i = 1; i < 3; ++i) {
    const RowMatrix<double> rows = spheremix::io::load_npy<double>(argv[i]);
    sources.emplace_back(i == 1 ? "image" : "text", Eigen::Ref<const RowMatrix<double>>(rows));
  }
  int seen = 0;
  Progress progress([&seen](const Progress::State&) { ++seen; });
  const Json document = analyse_rows({}, std::move(sources), progress).document;
  if (std::ftell(stdout) > 0 || seen < 3) return 1;
  for (const Json& m : document["metrics"])
    std::printf("%s %s %s\n", m["scope"].get<std::string>().c_str(),
                m["key"].get<std::string>().c_str(), m["value"].dump().c_str());
}
