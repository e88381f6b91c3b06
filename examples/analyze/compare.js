"use strict";
// Several runs beside each other: a table of differences, and the same plots laid over each other.
const runs = data.runs, labels = data.files.map((f, i) => f.split("/").pop().replace(/\.json$/, "") || `run ${i + 1}`);
const inks = ["c4", "c1", "c0", "c2", "c3"];
const runSeries = (r, points) => ({name: labels[r], colour: inks[r % 5], dash: dashes[r % 5], points});

main.append(element("header", {}, element("h1", {}, document.title), element("p", {class: "lede"}, `${labels[0]} against ${labels.slice(1).join(", ")}.`)));
const changed = data.rows.filter((row) => row.cells.slice(1).some((c) => c.change.changed));
const ordered = [...changed, ...data.rows.filter((row) => !changed.includes(row))];
section("Differences", element("p", {class: "note"}, `${changed.length} of ${data.rows.length} figures changed, these first. A difference with an interval counts when the interval leaves out 0 (paired where both runs have the same rows, else taken as independent); one without when it differs in the digits shown.`),
  element("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": "Differences"}, element("table", {}, element("thead", {}, element("tr", {}, element("th", {scope: "col"}, "figure"), element("th", {scope: "col"}, "of"),
    ...labels.flatMap((l, r) => [element("th", {scope: "col", class: "number"}, l), ...(r ? [element("th", {scope: "col", class: "number"}, "difference")] : [])]))),
  element("tbody", {}, ...ordered.map((row) => element("tr", {}, element("th", {scope: "row", title: row.formula}, row.name), element("td", {}, row.scope), ...row.cells.flatMap((c, r) => {
    const d = c.change;
    const text = d ? (d.difference === null ? "none" : (d.difference > 0 ? "+" : "") + digits(d.difference, row.digits) + (d.interval ? ` [${digits(d.interval[0], row.digits)}, ${digits(d.interval[1], row.digits)}]` : "")) : "";
    return [element("td", {class: "number"}, digits(c.value, row.digits)), ...(r ? [element("td", {class: "number"}, d.changed ? element("b", {}, text) : element("small", {}, text))] : [])];
  })))))));

for (const [r, lines] of data.unlike.entries()) if (lines.length) main.querySelector("header").append(element("p", {class: "note"}, `${labels[r + 1]} is a run of another kind: ${lines.join("; ")}.`));
for (const [r, directions] of data.queries.entries()) for (const q of directions) {
  const listed = (ids) => `${ids.length.toLocaleString("en")}${ids.length ? ` (${ids.length > 10 ? "first: " : ""}rows ${ids.slice(0, 10).join(", ")})` : ""}`;
  main.append(element("p", {class: "note"}, `${labels[r + 1]}, ${q.scope}: R@1 hits gained ${listed(q.gained)}, lost ${listed(q.lost)}, of ${q.queries.toLocaleString("en")} queries.`));
}

const shared = runs[0].modalities.map((m) => m.name).filter((name) => runs.every((run) => run.modalities.some((m) => m.name === name)));
const host = section("Overlaid"), box = panels();
host.append(box);
for (const name of shared) {
  const of = runs.map((run) => run.modalities.find((m) => m.name === name)), least = Math.max(...of.map((m) => m.spectrum.centred[0][1])) * 1e-4;
  box.append(plot({title: `Singular values of ${name}`, note: "of the centred unit rows", x: {name: "k", min: 1}, y: {log: true, min: least}, label: `Singular values of ${name} in each run`,
    series: of.map((m, r) => runSeries(r, m.spectrum.centred.map(([k, v]) => [k, Math.max(v, least)])))}));
}
runs[0].pairs.forEach((p) => {
  const of = runs.map((run) => run.pairs.find((q) => q.x === p.x && q.y === p.y));
  if (of.some((q) => !q || q.unlike || q.unpaired)) return;
  for (const [kind, title] of [["positive", "Cosines of own pairs"], ["negative", "Cosines of other pairs"]]) {
    const [low, high] = spanOf(of.map((q) => q.histogram[kind]));
    box.append(plot({title: `${title}, ${p.x} and ${p.y}`, x: {name: "cosine", min: low, max: high, format: (v) => digits(v, 2)}, y: {}, label: `${title} in each run`, format: (v) => digits(v, 2),
      series: of.map((q, r) => runSeries(r, density(q.histogram[kind]).filter(([c]) => c >= low && c <= high)))}));
  }
  if (of.some((q) => !q.curves)) return;
  for (const [key, title] of [["push", "Push of the contrastive loss"], ["ece", "Calibration error"]]) {
    box.append(plot({title: `${title}, ${p.x} and ${p.y}`, x: {name: "temperature", log: true, format: short}, y: {}, format: percent, label: `${title} in each run`,
      series: of.map((q, r) => runSeries(r, q.curves.temperature.map((t, i) => [t, q.curves[key][i]])))}));
  }
});
main.append(element("footer", {}, element("p", {}, data.files.map((f, r) => `${f}${runs[r].run ? `, made ${runs[r].run.date} by ${runs[r].version}` : ""}`).join("; ") + (data.run ? `. Compared ${data.run.date}.` : "")),
  data.run ? element("pre", {tabindex: 0, role: "region", "aria-label": "Command line"}, data.run.command) : null));
