// Readings: one sentence for each figure that has something to say, from the thresholds below, and
// the list of findings that the report opens with. A sentence says what the figures show and no
// more; docs/analyze.md lists the thresholds.
#pragma once

#include "remarks.hpp"

namespace analyze {

namespace threshold {
inline constexpr double few_dimensions = 0.1, some_dimensions = 0.5;   // effective rank / width
inline constexpr double even = 0.9, crowded = 0.5;                     // uniformity / its floor
inline constexpr double narrow_cone = 45;                              // degrees
inline constexpr double small_gap = 0.1, large_gap = 0.5, apart = 15;  // length; degrees
inline constexpr double wide_cone = 80;                                // degrees
inline constexpr double hub_share = 0.05, hub_times = 5;  // of the queries; times the even share
inline constexpr double skewed = 1;                       // hubness
inline constexpr double chance = 2;                       // recall@k at most this many times chance
inline constexpr double few_hits = 0.5;  // R@1 that rows which do not find each other stay below
inline constexpr double structure = 3, structure_least = 0.05;  // CKA / CKA shuffled; CKA
inline constexpr double biased = 0.1;         // CKA shuffled, from which the debiased one is told
inline constexpr double shifted = 0.3;        // share of one common offset
inline constexpr double turned = 0.5;         // R@1 after a rotation
inline constexpr double suspect = 0.1;        // share of suspect labels
inline constexpr double tied = 0.01;          // share of tied queries
inline constexpr double miscalibrated = 0.1;  // ECE
inline constexpr double quiet = 0.01;         // 1 - p of the own pair
}  // namespace threshold

class Judge {
 public:
  explicit Judge(Json& document) : document_(document) {}

  void run() {
    for (const Json& m : document_["modalities"]) modality(m);
    for (const Json& p : document_["pairs"]) pair(p);
    const Remarks remarks(document_);
    for (Json& m : document_["metrics"])
      if (!m.contains("reading")) m["reading"] = remarks.about(m);
    auto& list = document_["readings"];
    std::stable_sort(list.begin(), list.end(),
                     [](const Json& a, const Json& b) { return place(a) < place(b); });
  }

 private:
  static int place(const Json& reading) {
    const std::string level = reading["level"];
    return level == "fault" ? 0 : level == "look" ? 1 : 2;
  }

  /// Gives the figure its sentence; faults and remarkable things also open the report.
  void say(const std::string& key, const std::string& scope, const std::string& level,
           const std::string& text) {
    for (Json& m : document_["metrics"])
      if (m["key"] == key && m["scope"] == scope) m["level"] = level, m["reading"] = text;
    document_["readings"].push_back(
        {{"level", level}, {"scope", scope}, {"key", key}, {"text", text}});
  }
  double get(const std::string& key, const std::string& scope) const {
    return value_of(document_, key, scope).value_or(spheremix::core::nan<double>);
  }

  /// `17 ("face")` where the row has a name.
  std::string item(const Json& id, const std::string& modality) const {
    const std::string number = std::to_string(id.get<Index>());
    const bool named =
        document_["named_modality"].is_null() || document_["named_modality"] == modality;
    if (!named || !document_["items"].contains(number)) return number;
    const Json& about = document_["items"][number];
    return number + " (\"" + about.value("name", about.value("label", "")) + "\")";
  }
  static std::string list_of(const Json& ids, Index count) {
    std::string text;
    for (std::size_t i = 0; i < ids.size() && i < 5; ++i)
      text += (i > 0 ? ", " : "") + std::to_string(ids[i].get<Index>());
    return (count == 1 ? "row " : count > 5 ? "first: rows " : "rows ") + text;
  }

  void modality(const Json& m) {
    const std::string s = m["name"];
    const Json& health = m["health"];
    const double d = m["cols"], n = m["usable"];
    const auto count = [&](const char* key) { return health[key]["count"].get<Index>(); };
    const auto rows = [&](const char* key) { return list_of(health[key]["first"], count(key)); };
    const auto has = [](Index k, const char* one, const char* many) { return k == 1 ? one : many; };
    if (const Index c = count("not_finite"); c > 0)
      say("not_finite", s, "fault",
          s + ": " + counted(c, "row") + has(c, " holds", " hold") + " NaN or infinity (" +
              rows("not_finite") + "); left out of every other figure.");
    if (const Index c = count("zero"); c > 0)
      say("zero", s, "fault",
          s + ": " + counted(c, "row") + has(c, " is", " are") + " all zero (" + rows("zero") +
              "); left out of every other figure.");
    if (const Index c = count("duplicates"); c > 0)
      say("duplicates", s, "look",
          s + ": " + counted(c, "row") + has(c, " repeats", " repeat") +
              " an earlier row number by number (" + rows("duplicates") + "), " +
              percent(double(c) / n) + " of the usable rows.");
    if (const Index c = count("near_duplicates"); c > 0)
      say("near_duplicates", s, "look",
          s + ": " + counted(c, "row") + has(c, " has", " have") +
              " another row at a cosine of 0.999 or more that is not equal (" +
              rows("near_duplicates") + ").");
    if (const Index c = count("constant_columns"); c > 0)
      say("constant_columns", s, "look",
          s + ": " + counted(c, "column") + has(c, " holds", " hold") +
              " one value in every row (" + (c == 1 ? "column " : "first: column ") +
              std::to_string(health["constant_columns"]["first"][0].get<Index>()) +
              "): collapsed dimensions.");

    if (m["chosen"] < m["usable"])
      say("", s, "fine",
          s + ": figures take the " + counted(m["chosen"].get<Index>(), "row") +
              " usable on both sides of its first pair, of " +
              with_commas(m["usable"].get<Index>()) + " usable ones.");
    const double in_use = get("full_rank", s), can = std::min(d, m["chosen"].get<double>() - 1);
    if (in_use < can)
      say("full_rank", s, "look",
          s + ": only " + shown(in_use, 0) + " of " + dimensions(d, can) +
              " are in use; the others hold no variance (dimension collapse).");
    const double rank = get("effective_rank", s), share = can > 0 ? rank / can : 1;
    say("effective_rank", s,
        share < threshold::few_dimensions    ? "fault"
        : share < threshold::some_dimensions ? "look"
                                             : "fine",
        s + ": the variance spreads over effectively " + shown(rank, 0) + " of " +
            dimensions(d, can) +
            (share < threshold::few_dimensions ? ": close to collapse." : "."));
    const double cone = get("cone_angle", s);
    say("cone_angle", s, cone < threshold::narrow_cone ? "look" : "fine",
        cone < threshold::narrow_cone
            ? s + ": all rows sit in a narrow cone, about " + shown(cone, 0) +
                  " degrees around their mean (mean cosine " + shown(get("mean_cosine", s), 2) +
                  ")."
            : s + ": rows lie about " + shown(cone, 0) +
                  " degrees from their mean direction (mean cosine " +
                  shown(get("mean_cosine", s), 2) + ").");
    const double u = get("uniformity", s), floor = get("uniformity_floor", s), part = u / floor;
    say("uniformity", s, part < threshold::crowded ? "look" : "fine",
        s + ": uniformity " + shown(u, 2) + " where evenly spread points have " + shown(floor, 2) +
            (part >= threshold::even      ? ": nearly even."
             : part >= threshold::crowded ? ": partly spread."
                                          : ": crowded together."));
    if (const Json* noise = figure("label_noise", s);
        noise != nullptr && !m["label_noise"].empty()) {
      const double noisy = (*noise)["value"], by_chance = (*noise)["chance"];
      const Json& first = m["label_noise"][0];
      say("label_noise", s, noisy > threshold::suspect ? "look" : "fine",
          s + ": the nearest rows of " + percent(noisy) +
              " of the rows speak for another label (with labels shuffled " + percent(by_chance) +
              "), first row " + item(first["id"], s) + ", labelled " +
              first["label"].get<std::string>().substr(0, 60) + " among " +
              first["other"].get<std::string>().substr(0, 60) + ".");
    }
    hub("top_hub", s, s, s, m["hubs"]);
    const double skew = get("hubness", s);
    say("hubness", s, skew > threshold::skewed ? "look" : "fine",
        s + ": neighbour counts have a skewness of " + shown(skew, 1) +
            (skew > threshold::skewed ? ", so some rows are neighbours of many." : "."));
  }

  /// "256 dimensions", or as many as the rows can fill.
  static std::string dimensions(double width, double can) {
    return can < width
               ? "the " + shown(can, 0) + " dimensions that " + shown(can + 1, 0) + " rows can fill"
               : shown(width, 0) + " dimensions";
  }

  /// The greatest hub, where it stands out. `asked`: whose neighbour lists were counted.
  void hub(const char* key, const std::string& scope, const std::string& asked,
           const std::string& owner, const Json& hubs) {
    if (hubs.empty()) return;
    const double share = hubs[0]["share"],
                 even = hubs[0]["count"].get<double>() > 0 ? 10.0 / gallery(scope, owner) : 1;
    if (share < threshold::hub_share || share < threshold::hub_times * even) return;
    say(key, scope, share >= 0.25 ? "fault" : "look",
        "Row " + item(hubs[0]["id"], owner) + " of " + owner +
            " is a hub: it is among the 10 nearest of " + percent(share) + " of the " + asked +
            " rows.");
  }
  /// Candidates of a direction of a pair, or rows of a modality.
  double gallery(const std::string& scope, const std::string& name) const {
    if (const Json* m = figure("recall1", scope)) return (*m)["gallery"];
    for (const Json& m : document_["modalities"])
      if (m["name"] == name) return m["analysed"];
    return 1;
  }
  const Json* figure(const std::string& key, const std::string& scope) const {
    for (const Json& m : document_["metrics"])
      if (m["key"] == key && m["scope"] == scope) return &m;
    return nullptr;
  }

  void pair(const Json& p) {
    const std::string x = p["x"], y = p["y"], scope = x + "-" + y, back = y + "-" + x;
    if (p.contains("unpaired")) return;
    if (p.contains("unlike")) return unlike(x, y, scope);
    const bool matched = retrieval(p, x, y, scope, back);

    const double gap = get("gap", scope), angle = get("cone_distance", scope);
    const double cone = std::max(p["cones"][0].get<double>(), p["cones"][1].get<double>());
    const bool cones = gap >= threshold::small_gap && angle >= threshold::apart &&
                       cone < std::min(angle, threshold::wide_cone);
    say("gap", scope,
        gap >= threshold::large_gap   ? "fault"
        : gap >= threshold::small_gap ? "look"
                                      : "fine",
        cones ? "The modalities sit in two cones " + shown(angle, 0) + " degrees apart (" + scope +
                    ", gap " + shown(gap, 2) + ")."
        : gap >= threshold::small_gap
            ? "The centres of " + x + " and " + y + " lie " + shown(gap, 2) + " apart, " +
                  shown(angle, 0) + " degrees seen from the origin; rows lie " +
                  shown(p["cones"][0], 0) + " and " + shown(p["cones"][1], 0) +
                  " degrees from them."
            : "The centres of " + x + " and " + y + " nearly coincide (gap " + shown(gap, 2) +
                  ").");
    const double own = get("positive_cosine", scope), other = get("negative_cosine", scope);
    say("alignment", scope, matched ? "fine" : "look",
        "Own pairs lie at a mean squared distance of " + shown(get("alignment", scope), 2) +
            ", other pairs at " + shown(2 - 2 * other, 2) + " (" + scope + ").");
    if (matched)
      say("positive_cosine", scope, "fine",
          "Own pairs have a mean cosine of " + shown(own, 2) + ", other pairs " + shown(other, 2) +
              " (" + scope + ").");
    for (const auto& [s, from] : {std::pair(scope, x), std::pair(back, y)}) {
      const double r = get("relative_alignment", s);
      if (std::isnan(r) || !matched) continue;
      say("relative_alignment", s, r < 0 ? "fine" : "look",
          r < 0 ? "Seen from " + from +
                      ", the own partner is nearer than the nearest other on average."
                : "Seen from " + from +
                      ", on average another row is nearer than the own partner (by " + shown(r, 2) +
                      " in squared distance).");
    }
    for (const auto& [s, asked] :
         {std::pair(scope, x + " asks " + y), std::pair(back, y + " asks " + x)}) {
      const double skew = get("hubness", s);
      say("hubness", s, skew > threshold::skewed ? "look" : "fine",
          asked + ": neighbour counts have a skewness of " + shown(skew, 1) +
              (skew > threshold::skewed ? ", so some rows are neighbours of many." : "."));
    }
    hub("top_hub", scope, x, y, p["hubs"]["forward"]);
    hub("top_hub", back, y, x, p["hubs"]["back"]);
    curves(p, scope, matched);
  }

  struct Agreement {
    double cka, shuffled;
    bool structured;
  };
  /// The usual estimate is near 1 for few unrelated rows; the debiased one needs 4.
  Agreement similarity(const std::string& scope) const {
    const double same = get("cka_debiased", scope), shuffled = get("cka_debiased_shuffled", scope);
    const bool few = get("cka_shuffled", scope) > threshold::biased;
    return {few ? same : get("cka", scope), few ? shuffled : get("cka_shuffled", scope),
            same > threshold::structure * std::fabs(shuffled) && same > threshold::structure_least};
  }

  /// Rows of different widths: do the similarities within each agree?
  void unlike(const std::string& x, const std::string& y, const std::string& scope) {
    const auto [cka, base, structured] = similarity(scope);
    say("cka", scope, structured ? "fine" : "look",
        "The similarities within " + x + " and within " + y +
            (structured ? " agree" : " hardly agree") + " (CKA " + shown(cka, 2) + ", shuffled " +
            shown(base, 2) +
            "); their rows are of different widths, so that no cosine joins them.");
  }

  /// Whether pairs find each other at all; if not, what speaks for a rotation, a shift or a
  /// shuffle.
  bool retrieval(const Json& p, const std::string& x, const std::string& y,
                 const std::string& scope, const std::string& back) {
    const double n = std::min(gallery(scope, y), gallery(back, x));
    const double by_chance = std::min(1.0, 10 / n);
    const double ten = (get("recall10", scope) + get("recall10", back)) / 2;
    const double offset = get("offset_share", scope);
    const auto [cka, base, structured] = similarity(scope);
    const bool at_chance = !found(scope) && !found(back) && poor(scope) && poor(back);
    if (offset > threshold::shifted && n > 20) {
      const Index by = p["offset"];
      say("offset_share", scope, "fault",
          percent(offset) + " of the " + x + " rows find their match " +
              counted(std::abs(by), "row") + (by > 0 ? " further down" : " further up") + " in " +
              y + ": the pairs are shifted out of order.");
    } else if (at_chance && structured) {
      say("cka", scope, "fault",
          "Pairs of " + x + " and " + y + " do not find each other (R@10 " + percent(ten) +
              ", chance " + percent(by_chance) + "), yet their similarities agree (CKA " +
              shown(cka, 2) + " against " + shown(base, 2) + " shuffled): " + rotation(scope));
    } else if (at_chance && std::isnan(cka)) {
      say("recall10", scope, "fault",
          "Pairs of " + x + " and " + y + " do not find each other (R@10 " + percent(ten) +
              ", chance " + percent(by_chance) + "): the rows of one side are all but one point.");
    } else if (at_chance) {
      say("cka", scope, "fault",
          "Pairs of " + x + " and " + y + " do not find each other (R@10 " + percent(ten) +
              ", chance " + percent(by_chance) +
              ") and their similarities do not agree either (CKA " + shown(cka, 2) + ", shuffled " +
              shown(base, 2) + "): the rows look shuffled or unrelated.");
    } else if (!std::isnan(cka)) {
      say("cka", scope, "fine",
          "The similarities within " + x + " and within " + y +
              (structured ? " agree" : " hardly agree") + " (CKA " + shown(cka, 2) + ", shuffled " +
              shown(base, 2) + ").");
    }
    for (const auto& [s, from, to] : {std::tuple(scope, x, y), std::tuple(back, y, x)}) {
      const double r = get("recall1", s), chance = 1 / gallery(s, to);
      const bool told = at_chance || found(s);
      const Json* const m = figure("recall1", s);
      const std::string ties =
          m->contains("ties_for") && percent((*m)["ties_for"]) != percent(r)
              ? "; " + percent((*m)["ties_for"]) + " if equal cosines count for it"
              : "";
      say("recall1", s,
          at_chance         ? "fault"
          : told && r < 0.5 ? "look"
                            : "fine",
          from + " finds its own " + to + " first for " + percent(r) + " of the queries among " +
              with_commas(Index(gallery(s, to))) + " (chance " + percent(chance) + ties + ")" +
              (told ? "."
                    : ": too few to tell from chance, " + percent((*m)["interval"][0]) + " to " +
                          percent((*m)["interval"][1]) + " would agree with it."));
      const double tied = get("tied_queries", s);
      if (tied >= threshold::tied)
        say("tied_queries", s, "look",
            percent(tied) + " of the " + from + " rows have another " + to +
                " row exactly as near as their own: ties count against them.");
    }
    return !at_chance;
  }

  /// What the rotation fitted on half of the pairs proves.
  std::string rotation(const std::string& scope) const {
    const Json* const m = figure("recall1_turned", scope);
    if (m == nullptr)
      return "the two spaces are not aligned, for instance one is rotated or each has its own "
             "encoder.";
    const double share = (*m)["value"];
    const std::string tried = "fitted on half of the pairs, it lets " + percent(share) +
                              " of the others find their own first (chance " +
                              percent((*m)["chance"]) + ").";
    return share >= threshold::turned
               ? "one space is rotated, for a rotation brings them together: " + tried
               : "the two spaces are not aligned, and a rotation alone does not align them: " +
                     tried;
  }

  /// Some recall@k, k below the number of candidates, is beyond chance: its interval, and twice it.
  bool found(const std::string& scope) const {
    for (const char* key : {"recall1", "recall5", "recall10"}) {
      const Json* const m = figure(key, scope);
      if (m == nullptr || m->value("chance", 1.0) >= 1) continue;
      const double chance = (*m)["chance"];
      if ((*m)["value"] > threshold::chance * chance && (*m)["interval"][0] > chance) return true;
    }
    return false;
  }
  /// Enough queries were asked to say that most do not find their own.
  bool poor(const std::string& scope) const {
    const Json* const m = figure("recall1", scope);
    return m != nullptr && (*m)["interval"][1] < threshold::few_hits;
  }

  void curves(const Json& p, const std::string& scope, bool matched) {
    if (!p.contains("curves")) return;
    const Json& settings = document_["settings"];
    const double tau = settings["temperature"];
    const Json given = settings.value("given", Json::array());  // nobody trained at a default
    const bool judged = std::find(given.begin(), given.end(), "temperature") != given.end();
    const std::string at_tau =
        (judged ? "At temperature " : "At the default temperature ") + shown(tau, 3);
    const double hard = get("hardness", scope), ece = get("ece", scope),
                 best = get("best_temperature", scope), push = get("push", scope);
    say("hardness", scope, "fine",
        percent(hard) + " of mixed negatives (half way along the arc of a pair, " + scope +
            ") are at least as hard as the real ones.");
    if (matched)
      say("ece", scope, judged && ece > threshold::miscalibrated ? "look" : "fine",
          at_tau + " the retrieval softmax is off by " + percent(ece) +
              " (ECE); of the temperatures tried, " + shown(best, 3) + " is best.");
    const auto quiet = value_of(document_, "quiet_temperature", scope);
    say("push", scope, judged && push < threshold::quiet ? "look" : "fine",
        at_tau + " the contrastive loss pushes " + percent(push) + " of full strength per row" +
            (quiet ? "; at " + shown(*quiet, 3) + " and below it is quiet (under 1 %)."
                   : "; at none of the temperatures tried does it go quiet."));
  }

  Json& document_;
};

inline void judge(Json& document) { Judge(document).run(); }

}  // namespace analyze
