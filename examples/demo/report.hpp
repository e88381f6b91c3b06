// results.json and report.html: the same figures, once to compute with and once to look at.
//
// The page is report.html of this folder with its style, script, data and pictures written into it:
// one file that needs no network. The three parts are read from the source folder when the demo
// runs, as the data is.
#pragma once

#include <string>

#include "../page.hpp"
#include "files.hpp"
#include "findings.hpp"
#include "spheremix/core/version.hpp"

namespace demo {

/// Thousandths as numbers of three digits.
template <class Numbers>
Json thousandths(const Numbers& numbers, std::size_t count) {
  Json list = Json::array();
  for (std::size_t i = 0; i < count; ++i)
    list.push_back(std::round(double(numbers[i]) * 1000) / 1000);
  return list;
}

inline Json metrics_of(const Row& row) {
  Json all;
  for (std::size_t m = 0; m < metrics.size(); ++m) {
    Json one = to_json(estimate(row.values(m)));
    one["splits"] = row.values(m);
    all[metrics[m].key] = std::move(one);
  }
  return all;
}

inline Json curves_of(const Row& row) {
  Json all;
  for (std::size_t c = 0; c < curves.size(); ++c) {
    Json mean = Json::array(), error = Json::array();
    for (std::size_t point = 0; point < row.curves.front().size(); ++point) {
      std::vector<double> values;
      for (const auto& curve : row.curves) values.push_back(curve[point][c]);
      const Estimate e = estimate(values);
      mean.push_back(std::round(e.mean * 1e5) / 1e5);
      error.push_back(std::round(e.standard_error * 1e5) / 1e5);
    }
    all[curves[c].key] = {{"mean", mean}, {"standard_error", error}};
  }
  return all;
}

inline Json picture_of(const Row& row) {
  const Cosines& c = row.cosines;
  const auto points = [](const Rows& p) { return thousandths(p.data(), std::size_t(p.size())); };
  return {{"mean_cosine",
           {{"positive", c.positive.mean()},
            {"negative", c.negative.mean()},
            {"image", c.image.mean()},
            {"text", c.text.mean()}}},
          {"histogram",
           {{"positive", c.positive.count},
            {"negative", c.negative.count},
            {"image", c.image.count},
            {"text", c.text.count}}},
          {"sphere",
           {{"image", points(row.sphere.image)},
            {"text", points(row.sphere.text)},
            {"cosine", thousandths(row.pair_cosines, row.pair_cosines.size())},
            {"share", row.sphere.share}}}};
}

inline std::string setting_text(const Results& r) {
  const Plan& p = r.plan;
  const std::string tau2 = figure(p.mix_temperature, 2), half = figure(p.beta, 1);
  return "Per modality one linear head with bias (256 to 256, first weights uniform on ±1/16), "
         "then length 1. AdamW, rate " +
         figure(p.rate, 3) + " along half a cosine, weight decay " + figure(p.weight_decay, 2) +
         ", " + std::to_string(p.epochs) + " epochs of batches of " + std::to_string(p.batch) +
         ", the last partial batch dropped. One λ ~ Beta(" + half + ", " + half +
         ") a batch and mixture. m2-Mix at τ₂ = " + tau2 +
         " is added to CLIP with weight 1 as the mean of its two directions; m3-Mix adds V-Mix, "
         "L-Mix and VL-Mix at τ with weight " +
         figure(p.m3_weight, 2) +
         " each to that; the control adds a second CLIP loss at τ₂ = " + tau2 +
         " and mixes nothing. Every loss sees the same splits, first weights and batches (seed " +
         std::to_string(p.seed) +
         "). The splits share pairs, so the standard errors describe this set of pairs, not "
         "others. spheremix " SPHEREMIX_VERSION ", " +
         std::to_string(r.threads) + (r.threads == 1 ? " thread, " : " threads, ") +
         std::to_string(long(r.seconds + 0.5)) + " s.";
}

inline Json to_json(const Results& r, const Pairs& pairs) {
  const Plan& p = r.plan;
  Json json;
  json["setting"] = {{"version", SPHEREMIX_VERSION},
                     {"pairs", r.pairs},
                     {"held_out", r.held_out.size()},
                     {"splits", p.splits},
                     {"epochs", p.epochs},
                     {"batch", p.batch},
                     {"learning_rate", p.rate},
                     {"weight_decay", p.weight_decay},
                     {"beta", p.beta},
                     {"temperatures", p.temperatures},
                     {"mix_temperature", p.mix_temperature},
                     {"m3_weight", p.m3_weight},
                     {"seed", p.seed},
                     {"threads", r.threads},
                     {"seconds", std::round(r.seconds * 10) / 10},
                     {"text", setting_text(r)}};
  for (const LossName& l : losses) json["losses"].push_back({{"key", l.key}, {"name", l.name}});
  for (const Metric& m : metrics)
    json["metrics"].push_back({{"key", m.key},
                               {"name", m.name},
                               {"column", m.column},
                               {"detail", m.detail},
                               {"digits", m.digits},
                               {"meaning", m.meaning}});
  for (const Curve& c : curves)
    json["curves"].push_back(
        {{"key", c.key}, {"name", c.name}, {"better", c.better}, {"digits", c.digits}});
  for (const Finding& f : findings(r))
    json["findings"].push_back(
        {{"temperature", f.temperature}, {"shape", f.shape}, {"recall", f.recall}});
  json["epochs"] = curve_epochs(p);
  json["histogram_bins"] = histogram_bins;
  json["items"]["index"] = r.held_out;
  for (const Index i : r.held_out) json["items"]["name"].push_back(pairs.name[std::size_t(i)]);
  std::size_t before = 0;
  for (const Row& row : r.rows) {
    Json line{{"loss", losses[std::size_t(row.loss)].key},
              {"temperature", row.temperature},
              {"metrics", metrics_of(row)}};
    if (row.loss != Loss::before) line["curves"] = curves_of(row);
    const bool again =
        row.loss == Loss::before && &row != &r.rows.front();  // the same at every temperature
    if (!again) json["pictures"].push_back(picture_of(row));
    line["picture"] = again ? before : json["pictures"].size() - 1;
    json["rows"].push_back(std::move(line));
  }
  return json;
}

/// The page around the figures.
inline std::string render(const std::filesystem::path& templates,
                          const std::filesystem::path& atlas, const std::string& json) {
  page::Template report(read_file(templates / "report.html"));
  report.put("STYLE", read_file(templates / "report.css"));
  report.put("SCRIPT", read_file(templates / "report.js"));
  report.put("ATLAS", page::base64(read_file(atlas)));
  report.put("DATA", page::for_script(json));
  return report.text();
}

}  // namespace demo
