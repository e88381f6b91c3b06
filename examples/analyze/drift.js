"use strict";
// Two versions of one set: what is told, the figures, the rows that moved most.
const versions = `old: ${data.old.file}, ${data.old.rows.toLocaleString("en")} rows; new: ${data.new.file}, ${data.new.rows.toLocaleString("en")} rows.`;
main.append(element("header", {}, element("h1", {}, document.title), element("p", {class: "lede"}, versions)));
const words = {look: "△ look", fine: "✓ fine"};
section("What changed", element("ul", {class: "findings"}, ...["look", "fine"].flatMap((level) => data.readings.filter((r) => r.level === level)).map((r) => element("li", {}, element("span", {class: "level " + r.level}, words[r.level]), " ", r.text))));
const interval = (m) => m.interval ? `[${digits(m.interval[0], m.digits)}, ${digits(m.interval[1], m.digits)}]` : "";
section("Figures", element("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": "Figures"}, element("table", {class: "figures"}, element("thead", {}, element("tr", {}, ...["figure and its formula", "value", "95 % interval", "what is good", "computed"].map((h, i) => element("th", {scope: "col", class: i === 1 || i === 2 ? "number" : ""}, h)))),
  element("tbody", {}, ...data.metrics.map((m) => element("tr", {}, element("th", {scope: "row"}, m.name, element("small", {}, m.formula)), element("td", {class: "number"}, digits(m.value, m.digits)), element("td", {class: "number"}, interval(m)),
    element("td", {}, `${m.good}.${m.chance === undefined ? "" : ` Chance ${short(m.chance)}.`}`), element("td", {}, m.how)))))));
if (data.moved.length) {
  const turned = data.moved[0].degrees !== undefined, name = data.moved.some((r) => r.name !== undefined);
  section("Rows that moved most", element("p", {class: "note"}, turned ? "Angle between the old row and the new one, after the fitted rotation where that brings the versions nearer; and the share of the 10 nearest rows that the row kept." : "Share of the 10 nearest rows that the row lost."),
    element("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": "Rows that moved most"}, element("table", {}, element("thead", {}, element("tr", {}, element("th", {scope: "col", class: "number"}, "row"), name ? element("th", {scope: "col"}, "name") : null, element("th", {scope: "col", class: "number"}, turned ? "degrees" : "neighbours lost"), element("th", {scope: "col", class: "number"}, "neighbours kept"))),
      element("tbody", {}, ...data.moved.map((r) => element("tr", {}, element("th", {scope: "row", class: "number"}, String(r.row)), name ? element("td", {}, r.name || "") : null, element("td", {class: "number"}, turned ? digits(r.degrees, 1) : percent(r.neighbours_lost)), element("td", {class: "number"}, percent(r.neighbour_overlap))))))));
}
origin([["seed", data.settings.seed, (data.settings.given || []).includes("seed") ? "given" : "default"], ["threads", data.settings.threads, (data.settings.given || []).includes("threads") ? "given" : "default"], ["rows of each version in the permutation test", "at most 2,000", "fixed"], ["items set beside each other", "at most 5,000", "fixed"]]);
