"use strict";
// The report of one run: summary, findings, figures, plots, the sphere, hubs and examples.
const modalities = data.modalities, pairs = data.pairs, items = data.items;
const levels = {fault: "✕ fault", look: "△ look", fine: "✓ fine"};
const colourOf = (name) => "c" + Math.max(0, modalities.findIndex((m) => m.name === name)) % 5;
const find = (key, scope) => data.metrics.find((m) => m.key === key && m.scope === scope);
const named = (name) => data.named_modality === null || data.named_modality === name;
const nameOf = (id, owner) => { const item = named(owner) ? items[id] : null; return item ? item.name || item.label : `row ${id}`; };
// The atlas once, as a blob: styles then hold a short address and not the whole picture.
const atlas = pictures.url ? URL.createObjectURL(new Blob([Uint8Array.from(atob(pictures.url.split(",")[1]), (c) => c.charCodeAt(0))], {type: "image/png"})) : "";
const hasPicture = (owner) => pictures.url && named(owner);

function picture(id, size = pictures.width) {
  const k = size / pictures.width, x = id % pictures.columns * size, y = Math.floor(id / pictures.columns) * pictures.height * k;
  return element("i", {class: "picture", "aria-hidden": "true", style: `width:${size}px;height:${Math.round(pictures.height * k)}px;background-image:url(${atlas});background-size:${pictures.columns * size}px auto;background-position:-${x}px -${y}px`});
}
const itemNode = (id, owner, size) => element("span", {class: "item"}, hasPicture(owner) ? picture(id, size) : null, element("span", {}, nameOf(id, owner)));
const valueText = (m) => digits(m.value, m.digits);
const intervalText = (m) => m.interval ? `[${digits(m.interval[0], m.digits)}, ${digits(m.interval[1], m.digits)}]` : "";
// A figure of both sides alike has no arrow: it is there in one order only.
const symmetric = new Set(data.metrics.map((m) => m.key).filter((key) => pairs.length && !pairs.some((p) => find(key, `${p.y}-${p.x}`))));
const scopeText = (scope, key = "") => {
  const p = pairs.find((q) => `${q.x}-${q.y}` === scope || `${q.y}-${q.x}` === scope);
  if (!p) return scope;
  if (symmetric.has(key)) return `${p.x} and ${p.y}`;
  return scope === `${p.x}-${p.y}` ? `${p.x} → ${p.y}` : `${p.y} → ${p.x}`;
};
const alike = (p) => !p.unlike && !p.unpaired;  // pairs of rows of one width: cosines join them
// Shares are told in percent wherever a sentence tells them so.
const isShare = (m) => /^recall|^ece$|^push$|_share$|^top_hub$|^label_match$|^hardness$|^neighbour_overlap$/.test(m.key);
const boxText = (m) => m.value !== null && isShare(m) ? percent(m.value) : valueText(m);
const boxInterval = (m) => !m.interval ? "" : isShare(m) ? `[${percent(m.interval[0])}, ${percent(m.interval[1])}]` : intervalText(m);
// One line of help for every word that is not everyday English.
const help = {
  shape: "An array is read row by row: one embedding a row.",
  pairs: "R@1: how often a row's own partner is the nearest of all; CKA: how far the similarities within one side match those within the other, whatever the directions.",
  rows: "Rows of zeros, NaN or infinity have no direction: usually an item that could not be encoded.",
  rank: "Effective rank: over how many directions the variance spreads. Collapse: the encoder uses few of its dimensions.",
  gap: "The modality gap is the distance between the centres of two modalities on the sphere; contrastive training tends to leave one.",
  cone: "In a narrow cone all rows have high cosines with each other. Uniformity: how evenly rows fill the sphere; its floor is that of points spread evenly.",
  hubs: "A hub is a row that is among the nearest neighbours of very many others. Skewness above 1: a few rows take most of the places.",
  repeats: "Copies make retrieval ambiguous and leak between training and test.",
  temperature: "ECE: how far the softmax's confidence is from how often it is right. Push: what part of its full strength the contrastive loss still has.",
  other: "",
};
const helpLine = (kind) => help[kind] ? element("small", {class: "help"}, help[kind]) : null;

// What opens on demand is drawn when it opens.
function fold(title, draw, open = false) {
  const box = element("div"), node = element("details", {class: "fold"}, element("summary", {}, title), box);
  const once = () => { if (node.open && !box.firstChild) draw(box); };
  node.addEventListener("toggle", once);
  if (open) { node.open = true; draw(box); }
  return node;
}
const levelNode = (level) => element("span", {class: "level " + level}, levels[level]);

// ---- Summary and findings ----

function summary() {
  const list = modalities.map((m) => `${m.name}: ${m.rows.toLocaleString("en")} × ${m.cols} ${m.dtype}`).join("; ");
  const sampled = data.metrics.find((m) => m.how !== "exact" && m.key === "uniformity");
  main.append(element("header", {}, element("h1", {}, document.title),
    element("p", {class: "lede"}, list + (sampled ? `. Figures of all pairs come from a ${sampled.how}.` : ". Figures of all pairs are exact."))));
  if (modalities.length > 2) matrix(); else six();
  const findings = data.findings, first = findings.slice(0, 7), more = findings.slice(7);
  const node = (f) => element("li", {}, levelNode(f.level), " ", f.text, helpLine(f.kind),
    f.parts.length > 2 ? element("details", {}, element("summary", {}, `${f.parts.length} sentences in one`), element("ul", {}, ...f.parts.map((t) => element("li", {}, t)))) : null);
  const fine = data.readings.filter((r) => r.level === "fine");
  section("Findings", findings.length ? element("ul", {class: "findings"}, ...first.map(node)) : element("p", {}, "No figure crosses a threshold."),
    more.length ? element("details", {}, element("summary", {}, `${more.length} more`), element("ul", {class: "findings"}, ...more.map(node))) : null,
    element("details", {}, element("summary", {}, `${fine.length} readings that are fine`), element("ul", {class: "findings"}, ...fine.map((r) => element("li", {}, levelNode(r.level), " ", r.text)))));
}

function box(m) {
  return element("li", {}, element("span", {class: "name"}, element("span", {}, `${m.name}, ${scopeText(m.scope, m.key)}`), m.level ? levelNode(m.level) : null),
    element("b", {}, boxText(m), " ", element("small", {}, boxInterval(m))),
    element("p", {}, m.reading || `${m.formula}.`, m.good ? element("small", {class: "help"}, `Good: ${m.good}.`) : null));
}
function six() {
  const p = pairs[0], scope = p ? `${p.x}-${p.y}` : "", back = p ? `${p.y}-${p.x}` : "", one = modalities[0].name;
  const lowest = modalities.map((m) => find("effective_rank", m.name)).sort((a, b) => a.value - b.value)[0];
  const hub = data.metrics.filter((m) => m.key === "hubness").sort((a, b) => b.value - a.value)[0];
  const chosen = !p ? [find("uniformity", one), find("mean_cosine", one), lowest, find("iso_score", one), hub, find("near_duplicates", one)]
    : p.unpaired ? [find("ndcg10", scope), find("ndcg10", back), find("map", scope), find("map", back), find("gap", scope), lowest, hub]
    : alike(p) ? [...(find("ndcg10", scope) ? [find("ndcg10", scope), find("map", scope)] : []), find("recall1", scope), find("recall1", back), find("gap", scope), find("alignment", scope), lowest, hub]
      : [find("cka", scope), find("cka_shuffled", scope), find("neighbour_overlap", scope), lowest, hub, find("near_duplicates", one)];
  main.append(element("ul", {class: "six"}, ...chosen.filter(Boolean).map(box)));
}

// Modality by modality: R@1 of the row asking the column, under it the gap and CKA of the two.
function matrix() {
  const cell = (a, b) => {
    if (a === b) {
      const rank = find("effective_rank", a.name);
      return element("td", {class: "own"}, element("small", {}, `${a.usable.toLocaleString("en")} rows`), element("small", {}, `rank ${valueText(rank)} of ${a.cols}`));
    }
    const p = pairs.find((q) => (q.x === a.name && q.y === b.name) || (q.y === a.name && q.x === b.name)), scope = `${p.x}-${p.y}`;
    const recall = find("recall1", `${a.name}-${b.name}`), gap = find("gap", scope), cka = find("cka", scope);
    return element("td", {}, recall ? element("b", {class: recall.level || ""}, boxText(recall)) : element("b", {}, "–"),
      element("small", {}, gap ? `gap ${digits(gap.value, 2)}` : "other width"), element("small", {}, `CKA ${digits(cka.value, 2)}`));
  };
  const chance = find("recall1", `${modalities[0].name}-${modalities[1].name}`);
  main.append(element("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": "Modalities against each other"}, element("table", {class: "matrix"},
    element("caption", {}, "How well each modality finds its partners in the others: R@1 of the row asking the column" + (chance && chance.chance ? ` (chance ${percent(chance.chance)})` : "") + ", with the gap between the two and the CKA of their similarities."),
    element("thead", {}, element("tr", {}, element("th", {scope: "col"}, "asks ↓  finds →"), ...modalities.map((m) => element("th", {scope: "col"}, m.name)))),
    element("tbody", {}, ...modalities.map((a) => element("tr", {}, element("th", {scope: "row"}, a.name), ...modalities.map((b) => cell(a, b))))))));
}

function figures() {
  const scopes = [...new Set(data.metrics.map((m) => m.scope))];
  const table = element("table", {class: "figures"}, element("thead", {}, element("tr", {}, ...["figure and its formula", "value", "95 % interval", "reading; what is good", "computed"].map((h, i) =>
    element("th", {scope: "col", class: i === 1 || i === 2 ? "number" : ""}, h)))));
  const body = element("tbody");
  for (const scope of scopes) {
    body.append(element("tr", {class: "group"}, element("th", {scope: "rowgroup", colspan: 5}, scopeText(scope))));
    for (const m of data.metrics.filter((q) => q.scope === scope)) {
      const chance = m.chance === undefined || m.chance === null ? "" : ` Chance ${short(m.chance)}${m.gallery === undefined ? "" : `, among ${m.gallery.toLocaleString("en")}`}.`;
      body.append(element("tr", {}, element("th", {scope: "row"}, m.name, symmetric.has(m.key) ? " (both sides)" : "", element("small", {}, m.formula)), element("td", {class: "number"}, valueText(m)), element("td", {class: "number"}, intervalText(m)),
        element("td", {class: "reading"}, m.reading, element("small", {}, (m.good ? `Good: ${m.good}.` : "") + chance)), element("td", {}, m.how)));
    }
  }
  table.append(body);
  section("Figures", element("p", {class: "note"}, "An interval is where the figure of other rows of the same kind would lie; figures of a sample say so."),
    element("details", {}, element("summary", {}, `All ${data.metrics.length} figures, with formulas and readings`),
      element("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": "All figures"}, table)));
}

// ---- Plots ----

// How often rows are among the 10 nearest of others: [name, whose rows, buckets].
function neighbourPlot(lists) {
  const tops = lists.map(([, , o]) => o.upto).sort((a, b) => b.length - a.length)[0], f = frame(), width = (f.width - f.left - f.right) / (tops.length + 1) * 0.84 / lists.length;
  const name = (b) => b === 0 ? "0" : `${tops[b - 1] + 1}–${tops[b].toLocaleString("en")}`;
  const share = (o) => { const n = o.count.reduce((a, b) => a + b, 0) || 1; return tops.map((_, b) => [b, (o.count[b] || 0) / n]); };
  return plot({title: "How often a row is a neighbour", note: "share of rows; a long tail to the right means hubs", x: {name: "times among the 10 nearest", min: -0.6, max: tops.length - 0.4, format: name, ticks: tops.map((t, b) => [b, b === 0 ? "0" : `≤${t >= 1000 ? t / 1000 + "k" : t}`])}, y: {}, format: percent,
    label: "How often rows are among the 10 nearest of others. " + lists.map(([text, , o]) => `${text}: ${percent((o.count[0] || 0) / o.count.reduce((a, b) => a + b, 0))} of the rows never`).join("; "),
    series: lists.map(([text, owner, o], i) => ({name: text, colour: colourOf(owner), bars: {width, shift: (i - lists.length / 2) * width}, points: share(o)}))});
}

const everyRow = (step) => step > 1 ? `, one row in ${step} of those used with all others` : "";

function cosinePlot(p) {
  const lists = [p.histogram.positive, p.histogram.negative, ...modalities.map((m) => m.histogram)], [low, high] = spanOf(lists);
  const cut = (counts) => density(counts).filter(([c]) => c >= low - 0.02 && c <= high + 0.02);
  const within = modalities.filter((m) => m.name === p.x || m.name === p.y);
  return plot({title: "Cosines", note: `${p.x} and ${p.y}; density of each kind of pair${everyRow(p.histogram.step)}`, x: {name: "cosine", min: low, max: high, format: (v) => digits(v, 2)}, y: {}, format: (v) => digits(v, 2),
    label: `Densities of cosines. Own pairs have a mean of ${valueText(find("positive_cosine", `${p.x}-${p.y}`))}, other pairs of ${valueText(find("negative_cosine", `${p.x}-${p.y}`))}; ` +
      within.map((m) => `two of ${m.name} of ${valueText(find("mean_cosine", m.name))}`).join(", "),
    series: [{name: "own pair", colour: "c3", points: cut(p.histogram.positive), fill: true}, {name: "other pair", colour: "plain", dash: dashes[1], points: cut(p.histogram.negative)},
      ...within.map((m, i) => ({name: `two of ${m.name}`, colour: colourOf(m.name), dash: dashes[i + 2], points: cut(m.histogram)}))]});
}
function rankPlot(p) {
  const sides = [["forward", `${p.x} → ${p.y}`, p.y, p.x], ["back", `${p.y} → ${p.x}`, p.x, p.y]], tops = p.ranks.forward.upto.length >= p.ranks.back.upto.length ? p.ranks.forward.upto : p.ranks.back.upto;
  const share = (side) => { const c = p.ranks[side].count, n = c.reduce((a, b) => a + b, 0) || 1; return tops.map((_, b) => [b, (c[b] || 0) / n]); };
  const name = (b) => b < 2 ? String(tops[b]) : `${tops[b - 1] + 1}–${tops[b].toLocaleString("en")}`;
  const f = frame(), width = (f.width - f.left - f.right) / (tops.length + 1) * 0.42;
  return plot({title: "Rank of the own partner", note: "share of queries; 1 is best", x: {name: "rank", min: -0.6, max: tops.length - 0.4, format: name, ticks: tops.map((t, b) => [b, t >= 1000 ? t / 1000 + "k" : String(t)])}, y: {}, format: percent,
    label: "Ranks of the own partner. " + sides.map(([side, text], i) => `${text}: R@1 ${valueText(find("recall1", i ? `${p.y}-${p.x}` : `${p.x}-${p.y}`))}, median rank ${valueText(find("median_rank", i ? `${p.y}-${p.x}` : `${p.x}-${p.y}`))}`).join("; "),
    series: sides.map(([side, text, , asked], i) => ({name: text, colour: colourOf(asked), bars: {width, shift: i ? 0 : -width}, points: share(side)}))});
}
function spectrumPlot() {
  const least = Math.max(Math.max(...modalities.map((m) => m.spectrum.centred[0][1])) * 1e-4, 0.7 * Math.min(...modalities.map((m) => m.spectrum.centred.at(-1)[1])));
  return plot({title: "Singular values", note: "of the centred unit rows, greatest first: a steep fall means few directions in use", x: {name: "k", min: 1}, y: {log: true, min: least},
    label: "Singular values. " + modalities.map((m) => `${m.name}: effective rank ${valueText(find("effective_rank", m.name))} of ${m.cols}`).join("; "),
    series: modalities.map((m, i) => ({name: m.name, colour: colourOf(m.name), dash: dashes[i % 5], points: m.spectrum.centred.map(([k, v]) => [k, Math.max(v, least)])}))});
}
function withinPlot() {
  const [low, high] = spanOf(modalities.map((m) => m.histogram));
  return plot({title: "Cosines", note: "density over pairs of rows" + everyRow(modalities[0].histogram_step), x: {name: "cosine", min: low, max: high, format: (v) => digits(v, 2)}, y: {}, format: (v) => digits(v, 2),
    label: `Density of cosines; mean ${valueText(find("mean_cosine", modalities[0].name))}`,
    series: modalities.map((m) => ({name: m.name, colour: colourOf(m.name), points: density(m.histogram).filter(([c]) => c >= low && c <= high), fill: true}))});
}
const pairPlots = (p) => alike(p) ? [cosinePlot(p), rankPlot(p), neighbourPlot([[`${p.y}, asked by ${p.x}`, p.y, p.occurrences.forward], [`${p.x}, asked by ${p.y}`, p.x, p.occurrences.back]])] : [];
const lonely = () => [withinPlot(), neighbourPlot(modalities.map((m) => [m.name, m.name, m.occurrences]))];

function drawPlots() {
  const shown = pairs.filter(alike);
  if (shown.length < 2) {
    const [first, ...rest] = shown.length ? pairPlots(shown[0]) : lonely();
    section("Distances and spectra", panels(first, spectrumPlot(), ...rest));
    return;
  }
  const host = section("Distances, ranks and neighbours", element("p", {class: "note"}, `${shown.length} pairs of modalities: open one.`));
  for (const p of shown) host.append(fold(`${p.x} and ${p.y}`, (box) => box.append(panels(...pairPlots(p)))));
}

function drawCurves() {
  const with_curves = pairs.filter((p) => p.curves);
  if (!with_curves.length) return;
  const tau = data.settings.temperature, given = (data.settings.given || []).includes("temperature");
  const host = section("What a contrastive loss would see", element("p", {class: "note"}, `${help.temperature} At temperature ${short(tau)}, ${given ? "as given" : "the default: give that of your training by --temperature"}.`));
  const draw = (p, host) => {
    const c = p.curves, zip = (xs, ys) => xs.map((x, i) => [x, ys[i]]);
    host.append(element("p", {class: "note"}, c.how === "exact" ? `All ${c.pairs.toLocaleString("en")} pairs.` : `On a ${c.how}.`), panels(
      plot({title: "Mixed negatives that are harder", note: "share at least as hard as the real negative", x: {name: `λ, weight on ${p.x}`}, y: {}, format: percent,
        label: `Share of mixed negatives at least as hard as real ones, over lambda; at one half ${percent(find("hardness", `${p.x}-${p.y}`).value)} on average`,
        series: [{name: `anchors of ${p.x}`, colour: colourOf(p.x), points: zip(c.lambda, c.hardness.forward), dots: true}, {name: `anchors of ${p.y}`, colour: colourOf(p.y), dash: dashes[1], points: zip(c.lambda, c.hardness.back), dots: true}]}),
      plot({title: "Push of the contrastive loss", note: "mean of 1 − p of the own pair; quiet below 1 %", x: {name: "temperature", log: true, format: short}, y: {}, format: percent, marks: [{x: tau, name: `τ ${short(tau)}`}],
        label: `Push over the temperature; at ${tau} it is ${percent(find("push", `${p.x}-${p.y}`).value)}`, series: [{name: "push", colour: "c0", points: zip(c.temperature, c.push), dots: true}]}),
      plot({title: "Calibration error", note: "ECE of the retrieval softmax, mean of both directions", x: {name: "temperature", log: true, format: short}, y: {}, format: percent, marks: [{x: tau, name: `τ ${short(tau)}`}],
        label: `Calibration error over the temperature; least at ${short(find("best_temperature", `${p.x}-${p.y}`).value)}`, series: [{name: "ECE", colour: "c0", points: zip(c.temperature, c.ece), dots: true}]}),
      plot({title: "If the gap were closed", note: "both sides moved towards each other by half of that part of it each, then brought back to length 1", x: {name: "part of the gap taken away", format: (v) => digits(v, 2)}, y: {}, marks: [{x: 0, name: "as they are"}], format: (v) => digits(v, 3),
        label: "Gap, alignment and recall while both modalities move along the gap vector",
        series: [["gap", "c1"], ["alignment", "c0"], ["recall1", "c2"]].map(([key, ink], i) => ({name: key === "recall1" ? "R@1" : key, colour: ink, dash: dashes[i], points: zip(c.shift.alpha, c.shift[key]).sort((a, b) => a[0] - b[0])}))})));
  };
  if (with_curves.length < 2) draw(with_curves[0], host);
  else for (const p of with_curves) host.append(fold(`${p.x} and ${p.y}`, (box) => draw(p, box)));
}

function drawUniformity(host) {
  const with_classes = modalities.filter((m) => m.classes && m.classes.length);
  if (!with_classes.length) return;
  const labels = with_classes[0].classes.map((c) => c.label);
  const body = element("tbody", {}, ...labels.map((label) => element("tr", {}, element("th", {scope: "row"}, label || "(none)"), ...with_classes.flatMap((m) => {
    const c = m.classes.find((q) => q.label === label), floor = find("uniformity_floor", m.name).value;
    const bar = element("svg", {viewBox: "0 0 120 12", width: 120, height: 12, role: "img", "aria-label": c ? `${label}, ${m.name}: ${digits(c.value, 2)}` : "none"},
      element("rect", {x: 0, y: 1, width: 120, height: 10, fill: "var(--wash)"}), element("rect", {x: 0, y: 1, width: c ? Math.max(0, Math.min(120, 120 * c.value / floor)) : 0, height: 10, fill: `var(--${colourOf(m.name)})`}));
    return [element("td", {class: "number"}, c ? c.rows.toLocaleString("en") : ""), element("td", {class: "number"}, c ? digits(c.value, 2) : "", c ? element("small", {}, ` [${digits(c.interval[0], 2)}, ${digits(c.interval[1], 2)}]`) : null), element("td", {}, bar)];
  }))));
  host.append(element("h3", {}, "Uniformity by class"), element("p", {class: "note"}, `Lower is more even; a full bar is the floor ${digits(find("uniformity_floor", with_classes[0].name).value, 2)}. The ${labels.length} largest classes with 95 % intervals, a seeded sample of 1,000 rows of larger ones.`),
    element("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": "Uniformity by class"}, element("table", {}, element("thead", {}, element("tr", {}, element("th", {scope: "col"}, "class"),
      ...with_classes.flatMap((m) => [element("th", {scope: "col", class: "number"}, "rows"), element("th", {scope: "col", class: "number"}, m.name), element("th", {"aria-label": "bar"})]))), body)));
}

// How often the nearest row has the class, and R@1 within the class, beside chance; an interval that leaves chance out is bold.
function classTable(title, note, c, gaps) {
  const share = (s) => s ? element("td", {class: "number"}, s.interval[0] > s.chance ? element("b", {}, percent(s.value)) : percent(s.value), element("small", {}, ` [${percent(s.interval[0])}, ${percent(s.interval[1])}]; chance ${percent(s.chance)}`)) : element("td");
  const gapOf = (label) => gaps && gaps.find((g) => g.label === label), heads = ["class", "rows", "nearest has it", ...(c.classes.some((q) => q.recall1) ? ["R@1"] : []), ...(gaps ? ["gap"] : [])];
  const gapCell = (g) => g ? element("td", {class: "number"}, digits(g.value, 2), element("small", {}, `${g.interval ? ` [${digits(g.interval[0], 2)}, ${digits(g.interval[1], 2)}]` : ""}; chance ${digits(g.chance, 2)}`)) : element("td");
  return [element("h3", {}, title), element("p", {class: "note"}, note), element("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": title}, element("table", {class: "classes"}, element("thead", {}, element("tr", {}, ...heads.map((h, i) => element("th", {scope: "col", class: i ? "number" : ""}, h)))),
    element("tbody", {}, ...c.classes.map((q) => element("tr", {}, element("th", {scope: "row"}, q.label), element("td", {class: "number"}, q.rows.toLocaleString("en")), share(q.match), q.recall1 ? share(q.recall1) : null, gaps ? gapCell(gapOf(q.label)) : null)))))];
}
// Row: class of the asking row; column: class of its nearest. Shares of the row, the darker the more.
function confusion(title, c) {
  const others = c.confusion.some((row) => row[row.length - 1] > 0), labels = others ? [...c.labels, "others"] : c.labels, sums = c.confusion.map((row) => row.reduce((a, b) => a + b, 0) || 1);
  return [element("h3", {}, title), element("p", {class: "note"}, "Row: the class of the asking row; column: the class of its nearest. Shares of the row in percent; on the diagonal the two agree."),
    element("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": title}, element("table", {class: "confusion"}, element("thead", {}, element("tr", {}, element("th", {scope: "col"}, "asks ↓  nearest →"), ...labels.map((l) => element("th", {scope: "col", class: "number"}, l)))),
      element("tbody", {}, ...c.labels.map((l, i) => element("tr", {}, element("th", {scope: "row"}, l), ...labels.map((_, j) => { const v = c.confusion[i][j] / sums[i];
        return element("td", {class: "number" + (i === j ? " own" : ""), style: `background:color-mix(in srgb, var(--c0) ${Math.round(70 * v)}%, transparent)`, title: `${digits(c.confusion[i][j], 1)} of ${digits(sums[i], 0)}`}, v === 0 ? "" : digits(100 * v, v < 0.1 ? 1 : 0)); }))))))];
}
function suspects(m) {
  const title = `Suspect labels of ${m.name}`, noise = find("label_noise", m.name);
  return [element("h3", {}, title), element("p", {class: "note"}, `Rows more than half of whose 10 nearest have one and the same other label: ${percent(noise.value)} of the rows, ${percent(noise.chance)} with labels shuffled. The most suspicious first${m.label_noise.length >= 20 ? ", 20 of them; --lists writes all" : ""}.`),
    element("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": title}, element("table", {class: "suspects"}, element("thead", {}, element("tr", {}, ...["row", "labelled", "neighbours say", "share for that", "for its own"].map((h, i) => element("th", {scope: "col", class: i > 2 ? "number" : ""}, h)))),
      element("tbody", {}, ...m.label_noise.slice(0, 20).map((s) => element("tr", {}, element("th", {scope: "row"}, itemNode(s.id, m.name, 28), element("small", {}, ` row ${s.id}`)), element("td", {}, s.label), element("td", {}, s.other), element("td", {class: "number"}, percent(s.for_other)), element("td", {class: "number"}, percent(s.own)))))))];
}
function drawClasses() {
  const within = modalities.filter((m) => m.by_class), joined = pairs.filter((p) => p.classes && p.classes.forward);
  if (!within.length && !joined.length) return;
  const host = section("Classes", element("p", {class: "note"}, "What the labels say: whether rows lie among their own class, which classes are taken for which, which labels look wrong. The largest classes, with 95 % intervals; bold: above chance."));
  for (const m of within) host.append(fold(`${m.name}: nearest rows by class, confusion`, (box) => box.append(...classTable(`Nearest row within ${m.name}`, "Share of rows whose nearest other row has their class.", m.by_class, null), ...confusion(`Confusion within ${m.name}`, m.by_class))));
  for (const p of joined) for (const [side, asked, owner] of [["forward", p.x, p.y], ["back", p.y, p.x]]) if (p.classes[side])
    host.append(fold(`${asked} asks ${owner}: retrieval by class, confusion`, (box) => box.append(...classTable(`${asked} asks ${owner}`, "Nearest has it: the first answer has the class of the query. R@1: it is the query's own partner, among all rows. Gap: the distance of the two centres of the class, beside that of as many pairs drawn by chance.", p.classes[side], p.classes.gap || null), ...confusion(`Confusion, ${asked} asks ${owner}`, p.classes[side]))));
  for (const m of within) if (m.label_noise && m.label_noise.length) host.append(fold(`${m.name}: suspect labels (${percent(find("label_noise", m.name).value)} of the rows)`, (box) => box.append(...suspects(m))));
  if (modalities.some((m) => m.classes && m.classes.length)) host.append(fold("Uniformity by class", drawUniformity));
}

// Rows far from all others, and rows that stand for many.
function drawTypical() {
  const shown = modalities.filter((m) => m.outliers && m.outliers.length);
  if (!shown.length) return;
  const row = (m, kind, list, what) => element("tr", {}, element("th", {scope: "row"}, m.name, element("br"), element("small", {}, kind)), ...list.slice(0, 6).map((o) => element("td", {}, itemNode(o.id, m.name, 40), element("div", {}, element("small", {}, what(o))))));
  const table = () => element("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": "Outliers and representative rows"}, element("table", {class: "examples"}, element("tbody", {}, ...shown.flatMap((m) =>
    [row(m, "outliers", m.outliers, (o) => `cosine ${digits(o.cosine, 2)}`), row(m, "representative", m.representative, (o) => `density ${short(o.potential)}`)]))));
  const note = element("p", {class: "note"}, "Outliers: rows with the least mean cosine to their 10 nearest, often broken items. Representative: rows of the densest places (mean of e^(−2|x − y|²) over the others), none among the 10 nearest of one before it. --lists writes all.");
  if (shown.length > 2) section("Outliers and representative rows", note, fold(`${shown.length} modalities`, (box) => box.append(table()))); else section("Outliers and representative rows", note, table());
}

// ---- The sphere ----

const multiply = (a, b) => a.map((_, k) => [0, 1, 2].reduce((sum, j) => sum + a[3 * Math.floor(k / 3) + j] * b[3 * j + k % 3], 0));
const turnX = (t) => [1, 0, 0, 0, Math.cos(t), -Math.sin(t), 0, Math.sin(t), Math.cos(t)];
const turnY = (t) => [Math.cos(t), 0, Math.sin(t), 0, 1, 0, -Math.sin(t), 0, Math.cos(t)];
const apply = (m, x, y, z) => [m[0] * x + m[1] * y + m[2] * z, m[3] * x + m[4] * y + m[5] * z, m[6] * x + m[7] * y + m[8] * z];
const unit = (p) => { const n = Math.hypot(...p) || 1; return p.map((v) => v / n); };
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];

class Ball {
  constructor(canvas) {
    this.canvas = canvas;
    this.hover = null;
    this.lists = data.sphere.modalities;
    this.view = this.first();
    canvas.addEventListener("pointerdown", (e) => { try { canvas.setPointerCapture(e.pointerId); } catch { /* a synthetic pointer */ } this.drag = [e.clientX, e.clientY]; hideTip(); });
    canvas.addEventListener("pointermove", (e) => {
      if (!this.drag) return this.point(e);
      const k = 2.4 / canvas.clientWidth;
      this.turn((e.clientX - this.drag[0]) * k, (e.clientY - this.drag[1]) * k);
      this.drag = [e.clientX, e.clientY];
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { this.drag = null; });
    canvas.addEventListener("pointerleave", () => { this.hover = null; hideTip(); this.draw(); });
    canvas.addEventListener("blur", () => { this.hover = null; hideTip(); this.draw(); });
    canvas.addEventListener("keydown", (e) => {
      if (e.key === "Enter") { e.preventDefault(); return this.next(e.shiftKey ? -1 : 1); }
      const step = {ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1]}[e.key];
      if (!step) return;
      e.preventDefault();
      this.turn(...step);
    });
  }
  // The step between the first two means runs left to right; the middle of all points faces the reader.
  first() {
    const means = this.lists.map((l) => [0, 1, 2].map((k) => l.points.reduce((s, v, i) => i % 3 === k ? s + v : s, 0) / (l.ids.length || 1)));
    const middle = means.reduce((a, b) => a.map((v, k) => v + b[k]));
    let right = means.length > 1 ? unit(means[1].map((v, k) => v - means[0][k])) : unit(cross([0, 1, 0], middle.map((v, k) => v + (k ? 0 : 1e-6))));
    const along = middle.reduce((s, v, k) => s + v * right[k], 0);
    let front = unit(middle.map((v, k) => v - along * right[k]));
    if (!Number.isFinite(front[0]) || Math.hypot(...front) < 0.5) { right = [1, 0, 0]; front = [0, 0, 1]; }
    return [...right, ...cross(front, right), ...front];
  }
  turn(dx, dy) { this.view = multiply(turnX(dy), multiply(turnY(dx), this.view)); this.draw(); }
  place() {
    const size = this.canvas.clientWidth, r = size * 0.46, c = size / 2, marks = [];
    this.lists.forEach((l, m) => l.ids.forEach((id, i) => {
      if (id < 0) return;
      const p = apply(this.view, l.points[3 * i], l.points[3 * i + 1], l.points[3 * i + 2]);
      marks.push({m, i, id, x: c + r * p[0], y: c - r * p[1], z: p[2], p});
    }));
    return {size, r, c, marks};
  }
  point(e) {
    const box = this.canvas.getBoundingClientRect(), x = e.clientX - box.left, y = e.clientY - box.top;
    let best = 14, found = null;
    for (const mark of this.place().marks) {
      const d = Math.hypot(mark.x - x, mark.y - y) - 4 * mark.z;
      if (mark.z > -0.1 && d < best) { best = d; found = mark; }
    }
    this.show(found, e);
  }
  // Enter: the next mark on the side that faces the reader, left to right.
  next(by) {
    const seen = this.place().marks.filter((mark) => mark.z > 0.2).sort((a, b) => a.x - b.x || a.y - b.y), box = this.canvas.getBoundingClientRect();
    if (!seen.length) return;
    const now = this.hover ? seen.findIndex((mark) => mark.m === this.hover.m && mark.i === this.hover.i) : -1;
    const mark = seen[now < 0 ? (by > 0 ? 0 : seen.length - 1) : (now + by + seen.length) % seen.length];
    this.show(mark, {clientX: box.left + mark.x, clientY: box.top + mark.y});
  }
  show(found, e) {
    if ((found && found.m + ":" + found.i) !== (this.hover && this.hover.m + ":" + this.hover.i)) { this.hover = found; this.draw(); }
    if (!found) return hideTip();
    const owner = this.lists[found.m].name, item = named(owner) ? items[found.id] : null;
    const label = item && item.label && item.name ? `\n${item.label}` : "";
    showTip([hasPicture(owner) ? picture(found.id) : "", element("span", {}, `${nameOf(found.id, owner)}${label}\n${owner} ${found.id}`)], e);
  }
  shape(pen, m, x, y, s) {
    pen.beginPath();
    const corners = shapes[m % shapes.length][1];
    if (!corners) pen.arc(x, y, s * 0.9, 0, 7);
    else { corners.forEach(([u, v]) => pen.lineTo(x + s * u, y + s * v)); pen.closePath(); }
  }
  draw() {
    if (!this.canvas.clientWidth) return;
    const ratio = window.devicePixelRatio || 1, at = this.place(), pen = this.canvas.getContext("2d"), k = at.size / 560;
    this.canvas.width = this.canvas.height = Math.round(at.size * ratio);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.fillStyle = colour("ball");
    pen.strokeStyle = colour("rule");
    pen.beginPath();
    pen.arc(at.c, at.c, at.r, 0, 7);
    pen.fill();
    pen.stroke();
    this.circles(pen, at);
    const inks = this.lists.map((l) => colour(colourOf(l.name))), paper = colour("paper");
    if (this.hover && !data.sphere.apart) this.arcs(pen, at, this.hover.i);
    for (const mark of at.marks.sort((a, b) => a.z - b.z)) {
      const own = this.hover && mark.i === this.hover.i && (data.sphere.apart ? mark.m === this.hover.m : pairs.length), s = ((2 + 2.2 * (mark.z + 1) / 2) * k + 0.8) * (own ? 1.8 : 1);
      pen.globalAlpha = own ? 1 : mark.z < 0 ? 0.18 + 0.2 * (mark.z + 1) : 0.9;
      this.shape(pen, mark.m, mark.x, mark.y, s);
      pen.fillStyle = inks[mark.m];
      pen.fill();
      pen.lineWidth = own ? 1.6 : 0.7;
      pen.strokeStyle = own ? colour("ink") : paper;
      pen.stroke();
    }
    pen.globalAlpha = 1;
  }
  circles(pen, at) {
    pen.strokeStyle = colour("rule");
    pen.lineWidth = 1;
    for (let k = 0; k < 5; ++k) {
      pen.beginPath();
      for (let j = 0, drawing = false; j <= 90; ++j) {
        const t = j / 90 * 2 * Math.PI, lat = (k - 3.5) * Math.PI / 4 + Math.PI / 8;
        const q = k < 3 ? [Math.cos(t) * Math.cos(k * Math.PI / 3), Math.sin(t), Math.cos(t) * Math.sin(k * Math.PI / 3)] : [Math.cos(t) * Math.cos(lat), Math.sin(lat), Math.sin(t) * Math.cos(lat)];
        const p = apply(this.view, ...q);
        if (p[2] < 0) { drawing = false; continue; }
        if (drawing) pen.lineTo(at.c + at.r * p[0], at.c - at.r * p[1]); else pen.moveTo(at.c + at.r * p[0], at.c - at.r * p[1]);
        drawing = true;
      }
      pen.stroke();
    }
  }
  // The great circles that join the row's marks of the modalities.
  arcs(pen, at, i) {
    const mine = at.marks.filter((mark) => mark.i === i);
    pen.strokeStyle = colour("ink");
    pen.lineWidth = 1.6;
    for (let k = 1; k < mine.length; ++k) {
      const a = mine[k - 1].p, b = mine[k].p, theta = Math.acos(Math.max(-1, Math.min(1, a[0] * b[0] + a[1] * b[1] + a[2] * b[2]))), sine = Math.sin(theta);
      pen.beginPath();
      for (let j = 0; j <= 24; ++j) {
        const t = j / 24, u = sine < 1e-3 ? 1 - t : Math.sin((1 - t) * theta) / sine, v = sine < 1e-3 ? t : Math.sin(t * theta) / sine;
        pen.lineTo(at.c + at.r * (u * a[0] + v * b[0]), at.c - at.r * (u * a[1] + v * b[1]));
      }
      pen.stroke();
    }
  }
}

// The marks of modalities, so that colour alone tells nothing: name and corners, none for a circle.
const shapes = [["circle"], ["diamond", [[0, -1.2], [1.2, 0], [0, 1.2], [-1.2, 0]]], ["triangle", [[0, -1.2], [1.1, 0.9], [-1.1, 0.9]]], ["square", [[-0.85, -0.85], [0.85, -0.85], [0.85, 0.85], [-0.85, 0.85]]],
  ["triangle upside down", [[0, 1.2], [1.1, -0.9], [-1.1, -0.9]]], ["cross", [[-0.4, -1.1], [0.4, -1.1], [0.4, -0.4], [1.1, -0.4], [1.1, 0.4], [0.4, 0.4], [0.4, 1.1], [-0.4, 1.1], [-0.4, 0.4], [-1.1, 0.4], [-1.1, -0.4], [-0.4, -0.4]]]];

let ball = null;
function drawSphere() {
  const spare = pairs.filter(alike).length > 1 ? spectrumPlot() : null;  // one pair's are among its plots
  const names = data.sphere.modalities.map((l) => l.name);
  const canvas = element("canvas", {id: "sphere", tabindex: 0, role: "img", "aria-label": `Sphere of ${data.sphere.modalities[0].ids.length} rows of ${names.join(" and ")} on their three leading directions, ` +
    `which hold ${percent(data.sphere.share)} of the squared length. Arrow keys turn it, Enter steps through its marks.`});
  section("On the sphere", element("p", {class: "note"}, `${data.sphere.modalities[0].ids.length} rows on the three leading directions of all modalities together (uncentred), brought back to length 1; these hold ${percent(data.sphere.share)} of the squared length. ` +
    "Drag or use the arrow keys to turn; point at a mark, or press Enter, to see its row."),
  element("p", {class: "legend"}, ...names.map((name, m) => element("span", {class: "key"}, element("svg", {viewBox: "0 0 26 12", "aria-hidden": "true"},
    element("path", {fill: `var(--${colourOf(name)})`, d: shapes[m % shapes.length][1] ? `M${shapes[m % shapes.length][1].map(([u, v]) => `${13 + 5 * u} ${6 + 5 * v}`).join("L")}Z` : "M13 1a5 5 0 1 0 .01 0Z"})), `${name} (${shapes[m % shapes.length][0]})`))),
  element("div", {class: "ball"}, canvas, spare ? element("div", {}, spare) : null));
  ball = new Ball(canvas);
  ball.draw();
}

// ---- Tables ----

function drawHubs() {
  const rows = [];
  const add = (asked, owner, hubs, scope) => rows.push([asked === owner ? `neighbours within ${asked}` : `${asked} asks ${owner}`, owner, hubs, find("hubness", scope)]);
  for (const p of pairs.filter(alike)) { add(p.x, p.y, p.hubs.forward, `${p.x}-${p.y}`); add(p.y, p.x, p.hubs.back, `${p.y}-${p.x}`); }
  for (const m of modalities) add(m.name, m.name, m.hubs, m.name);
  const table = element("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": "Hubs"}, element("table", {class: "examples"}, element("tbody", {}, ...rows.map(([text, owner, hubs, m]) => element("tr", {},
      element("th", {scope: "row"}, text, element("br"), element("small", {}, `skewness ${m ? valueText(m) : ""}`)),
      ...hubs.slice(0, 6).map((h) => element("td", {}, itemNode(h.id, owner, 40), element("div", {}, element("small", {}, percent(h.share))))))))));
  const note = element("p", {class: "note"}, "The rows most often among the 10 nearest of others: share of the asking rows that have it there. " + help.hubs);
  if (rows.length > 4) section("Hubs", note, fold(`${rows.length} lists`, (box) => box.append(table))); else section("Hubs", note, table);
}

function drawExamples() {
  const shown = pairs.filter(alike);
  if (!shown.length) return;
  const host = section("Retrieval examples", element("p", {class: "note"}, "Queries drawn by chance, up to four that find their partner first and as many that do not: the query, its true match, the first five. The true match is framed where it is among them."));
  const draw = (p, host) => { for (const [side, asked, owner] of [["forward", p.x, p.y], ["back", p.y, p.x]]) {
    const head = element("tr", {}, ...["query", "own partner", "rank", "1", "2", "3", "4", "5"].map((h) => element("th", {scope: "col", class: h === "rank" ? "number" : ""}, h)));
    host.append(element("h3", {}, `${asked} asks ${owner}`), element("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": `${asked} asks ${owner}`}, element("table", {class: "examples"}, element("thead", {}, head),
      element("tbody", {}, ...p.examples[side].map((x) => element("tr", {}, element("th", {scope: "row"}, itemNode(x.query, asked, 40)), element("td", {}, itemNode(x.answer, owner, 40)), element("td", {class: "number"}, x.rank.toLocaleString("en")),
        ...x.first.map((f) => { const node = itemNode(f.id, owner, 40); node.append(element("small", {}, digits(f.cosine, 3))); if (f.id === x.answer) { node.classList.add("true"); node.append(element("small", {}, "own partner")); } return element("td", {}, node); })))))));
  } };
  if (shown.length < 2) draw(shown[0], host);
  else for (const p of shown) host.append(fold(`${p.x} and ${p.y}`, (box) => draw(p, box)));
}

function drawHealth() {
  const columns = [["rows", (m) => m.rows.toLocaleString("en")], ["usable", (m) => m.usable.toLocaleString("en")], ["in pairs", (m) => m.analysed.toLocaleString("en")], ["not finite", (m) => m.health.not_finite], ["zero", (m) => m.health.zero],
    ["duplicates", (m) => m.health.duplicates], ["near-duplicates", (m) => m.health.near_duplicates], ["constant columns", (m) => m.health.constant_columns],
    ["mean row: length, cone", (m) => `${digits(m.mean.length, 3)}, ${valueText(find("cone_angle", m.name))}°`],
    ["length: least, median, greatest", (m) => `${short(m.norms.least)}, ${short(m.norms.median)}, ${short(m.norms.greatest)}`]];
  const cell = (v) => typeof v === "object" ? [v.count.toLocaleString("en"), v.count ? element("small", {}, ` first: ${v.first.slice(0, 5).join(", ")}`) : ""] : [String(v)];
  section("Health", element("p", {class: "note"}, help.rows), element("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": "Health"}, element("table", {}, element("thead", {}, element("tr", {}, element("td"), ...modalities.map((m) => element("th", {scope: "col"}, m.name)))),
    element("tbody", {}, ...columns.map(([name, get]) => element("tr", {}, element("th", {scope: "row"}, name), ...modalities.map((m) => element("td", {}, ...cell(get(m))))))))));
}

function drawOrigin() {
  const s = data.settings, given = new Set(s.given || []), known = (name) => given.has(name) ? "given" : "default";
  origin([["temperature", s.temperature, known("temperature")], ["rows up to which all pairs are taken", s.exact_rows.toLocaleString("en"), known("exact-rows")], ["rows of the sample beyond", s.sample.toLocaleString("en"), known("sample")],
    ["seed", s.seed, known("seed")], ["precision", s.precision, given.has("precision") ? "given" : "chosen by the number of rows"], ["pairs of curves", `${s.curve_rows.toLocaleString("en")}, a sample of ${s.curve_sample.toLocaleString("en")} beyond`, "fixed"],
    ["threads", s.threads, known("threads")]]);
}

function everything() {
  main.replaceChildren();
  summary();
  drawMap();
  if (pairs.length > 1) { drawSphere(); drawHealth(); drawPlots(); } else { drawHealth(); drawPlots(); drawSphere(); }
  drawExamples();
  drawHubs();
  drawTypical();
  drawCurves();
  drawClasses();
  figures();
  drawOrigin();
}

everything();
let wide = window.innerWidth < 480;
window.addEventListener("resize", () => { if (wide !== (window.innerWidth < 480)) { wide = !wide; everything(); } else { ball.draw(); if (chart) chart.draw(); } });
window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { if (!d.closest("figure")) { d.open = true; d.dispatchEvent(new Event("toggle")); } }));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { ball.draw(); if (chart) chart.draw(); });
