"use strict";
// What every page of the tool draws with: elements, numbers, line and bar plots in SVG with a tip under the pointer.
const data = JSON.parse(document.getElementById("data").textContent);
const pictures = JSON.parse(document.getElementById("pictures").textContent);
const main = document.getElementById("main");
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const dashes = ["", "7 3", "2 3", "9 3 2 3", "1 2"];

function element(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "line", "text", "g", "rect", "circle"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) node.setAttribute(name, value);
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
}

function digits(x, n) {
  if (x === null || x === undefined) return "none";
  if (x === 0) return "0";
  if (n === 0) return (x < 0 ? "−" : "") + Math.abs(Math.round(x)).toLocaleString("en");
  const text = Math.abs(x).toFixed(n);
  return (x < 0 && Number(text) !== 0 ? "−" : "") + text;
}
const short = (x) => Math.abs(x) >= 1000 ? Math.round(x).toLocaleString("en") : String(Number(x.toPrecision(3))).replace("-", "−");
const percent = (x) => digits(100 * x, x !== 0 && Math.abs(x) < 0.00995 ? 2 : x < 0.1 ? 1 : 0) + " %";

// ---- The tip ----

const tip = document.getElementById("tip");
function showTip(nodes, e) {
  tip.replaceChildren(...nodes);
  tip.hidden = false;
  const x = Math.min(e.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
  const above = e.clientY - tip.offsetHeight - 12;
  tip.style.left = Math.max(8, x) + "px";
  tip.style.top = (above > 8 ? above : e.clientY + 18) + "px";
}
const hideTip = () => { tip.hidden = true; };

// ---- Scales and axes ----

function linearTicks(low, high, wanted) {
  const rough = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((m) => m >= rough * 0.999);
  const values = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; ++k) values.push(k * step);
  const n = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return values.map((v) => [v, digits(v, n)]);
}
function logTicks(low, high) {
  const values = [];
  for (let p = Math.floor(Math.log10(low) + 1e-9); p <= Math.ceil(Math.log10(high)); ++p) {
    const v = 10 ** p;
    if (v >= low * 0.999 && v <= high * 1.001) values.push([v, v >= 1 ? v.toLocaleString("en") : digits(v, Math.max(0, -p))]);
  }
  return values.length >= 2 ? values : [[low, short(low)], [high, short(high)]];
}
function scale(low, high, from, to, log) {
  if (!(high > low)) { high = low + (Math.abs(low) || 1); }
  const f = log ? Math.log : (v) => v, a = f(low), b = f(high);
  const map = (v) => from + (f(v) - a) / (b - a) * (to - from);
  map.ticks = (n) => log ? logTicks(low, high) : linearTicks(low, high, n);
  return map;
}

const frame = () => window.innerWidth < 480 ? {width: 360, height: 210, left: 44, right: 10, top: 8, bottom: 38}
  : {width: 540, height: 240, left: 46, right: 10, top: 8, bottom: 38};

// A plot: {title, note, label, x: {name, log, min, max}, y: {name, log, min, max}, series: [{name, colour, dash, points, bars, fill}]}.
// Numbers of every series also stand in a table that opens below: the text alternative.
function plot(spec) {
  const f = frame(), all = spec.series.flatMap((s) => s.points);
  const finite = (v) => v !== null && Number.isFinite(v);
  const xs = all.map((p) => p[0]).filter(finite), ys = all.map((p) => p[1]).filter((v) => finite(v) && (!spec.y.log || v > 0));
  const bound = (given, value) => given === undefined ? value : given;
  const x = scale(bound(spec.x.min, Math.min(...xs)), bound(spec.x.max, Math.max(...xs)), f.left, f.width - f.right, spec.x.log);
  const low = bound(spec.y.min, spec.y.log ? Math.min(...ys) : Math.min(0, ...ys)), high = bound(spec.y.max, Math.max(...ys) * (spec.y.log ? 1.2 : 1.05) || 1);
  const y = scale(low, high, f.height - f.bottom, f.top, spec.y.log);
  const svg = element("svg", {class: "plot", viewBox: `0 0 ${f.width} ${f.height}`, role: "img", "aria-label": spec.label || spec.title, tabindex: 0});
  for (const [v, text] of y.ticks(4)) {
    svg.append(element("line", {class: "grid", x1: f.left, x2: f.width - f.right, y1: y(v), y2: y(v)}),
      element("text", {x: f.left - 6, y: y(v) + 4, "text-anchor": "end"}, text));
  }
  const marks = spec.x.ticks || x.ticks(5);
  for (const [v, text] of marks) {
    svg.append(element("line", {class: "grid", x1: x(v), x2: x(v), y1: f.height - f.bottom, y2: f.height - f.bottom + 4}),
      element("text", {x: x(v), y: f.height - f.bottom + 16, "text-anchor": "middle"}, text));
  }
  svg.append(element("text", {x: (f.left + f.width - f.right) / 2, y: f.height - 4, "text-anchor": "middle"}, spec.x.name));
  const base = y(spec.y.log ? low : Math.max(low, 0));
  for (const s of spec.series) {
    const points = s.points.filter((p) => finite(p[1]) && (!spec.y.log || p[1] > 0)).map((p) => [x(p[0]), y(p[1])]);
    if (!points.length) continue;
    if (s.bars) {
      for (const [px, py] of points) svg.append(element("rect", {x: px + s.bars.shift, y: py, width: s.bars.width, height: Math.max(0, base - py), fill: `var(--${s.colour})`,
        opacity: 0.85}));
      continue;
    }
    const path = points.map((p, i) => (i ? "L" : "M") + p[0].toFixed(1) + " " + p[1].toFixed(1)).join("");
    if (s.fill) svg.append(element("path", {d: `${path}L${points.at(-1)[0].toFixed(1)} ${base}L${points[0][0].toFixed(1)} ${base}Z`, fill: `var(--${s.colour})`, opacity: 0.16}));
    svg.append(element("path", {d: path, class: "series", fill: "none", stroke: `var(--${s.colour})`, "stroke-width": 2, "stroke-dasharray": s.dash || "", "stroke-linejoin": "round"}));
    if (s.dots) for (const [px, py] of points) svg.append(element("circle", {cx: px, cy: py, r: 3, fill: `var(--${s.colour})`}));
  }
  for (const m of spec.marks || []) {
    svg.append(element("line", {x1: x(m.x), x2: x(m.x), y1: f.top, y2: f.height - f.bottom, stroke: "var(--soft)", "stroke-dasharray": "3 3"}),
      element("text", {x: x(m.x) + 4, y: f.height - f.bottom - 7}, m.name));
  }
  const format = spec.format || short;
  const grid = [...new Set(all.map((p) => p[0]))].sort((a, b) => a - b);
  const line = element("line", {y1: f.top, y2: f.height - f.bottom, stroke: "var(--ink)", "stroke-width": 1, visibility: "hidden"});
  svg.append(line);
  let chosen = -1;
  const pick = (k, e) => {
    chosen = k;
    const v = grid[k], px = x(v);
    line.setAttribute("x1", px); line.setAttribute("x2", px); line.setAttribute("visibility", "visible");
    const rows = spec.series.map((s) => { const p = s.points.find((q) => q[0] === v); return p ? `${s.name} ${format(p[1])}` : null; }).filter(Boolean);
    showTip([element("span", {}, `${spec.x.name} ${(spec.x.format || short)(v)}\n${rows.join("\n")}`)], e);
  };
  const away = () => { line.setAttribute("visibility", "hidden"); hideTip(); };
  svg.addEventListener("pointermove", (e) => {
    const box = svg.getBoundingClientRect(), px = (e.clientX - box.left) / box.width * f.width;
    let best = 0;
    grid.forEach((v, k) => { if (Math.abs(x(v) - px) < Math.abs(x(grid[best]) - px)) best = k; });
    pick(best, e);
  });
  svg.addEventListener("pointerleave", away);
  svg.addEventListener("blur", away);
  svg.addEventListener("keydown", (e) => {
    const step = {ArrowLeft: -1, ArrowRight: 1}[e.key];
    if (!step) return;
    e.preventDefault();
    const k = Math.max(0, Math.min(grid.length - 1, chosen < 0 ? (step > 0 ? 0 : grid.length - 1) : chosen + step)), box = svg.getBoundingClientRect();
    pick(k, {clientX: box.left + x(grid[k]) / f.width * box.width, clientY: box.top + box.height / 3});
  });
  const every = Math.max(1, Math.ceil(grid.length / 25));
  const table = element("table", {}, element("thead", {}, element("tr", {}, element("th", {scope: "col"}, spec.x.name), ...spec.series.map((s) => element("th", {scope: "col", class: "number"}, s.name)))),
    element("tbody", {}, ...grid.filter((_, k) => k % every === 0 || k === grid.length - 1).map((v) => element("tr", {}, element("th", {scope: "row"}, (spec.x.format || short)(v)),
      ...spec.series.map((s) => { const p = s.points.find((q) => q[0] === v); return element("td", {class: "number"}, p ? format(p[1]) : ""); })))));
  return element("figure", {}, element("figcaption", {}, spec.title, spec.note ? element("small", {}, spec.note) : null),
    spec.series.length > 1 ? legend(spec.series) : null, svg, element("details", {}, element("summary", {}, "Numbers"), element("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": spec.title}, table)));
}

function legend(series) {
  return element("p", {class: "legend"}, ...series.map((s) => element("span", {class: "key"}, element("svg", {viewBox: "0 0 26 12", "aria-hidden": "true"},
    s.bars ? element("rect", {x: 4, y: 1, width: 16, height: 10, fill: `var(--${s.colour})`, opacity: 0.85})
      : element("line", {x1: 0, x2: 26, y1: 6, y2: 6, stroke: `var(--${s.colour})`, "stroke-width": 2.5, "stroke-dasharray": s.dash || ""})), s.name)));
}

function section(title, ...children) {
  const id = "h-" + title.toLowerCase().replace(/[^a-z]+/g, "-");
  const node = element("section", {"aria-labelledby": id}, element("h2", {id}, title), ...children);
  main.append(node);
  return node;
}
const panels = (...figures) => element("div", {class: "panels"}, ...figures.filter(Boolean));
const centres = (n) => Array.from({length: n}, (_, i) => -1 + (i + 0.5) * 2 / n);

// Density of a histogram over [-1, 1], to compare kinds of pairs of different number.
function density(counts) {
  const total = counts.reduce((a, b) => a + b, 0) || 1, width = 2 / counts.length;
  return centres(counts.length).map((c, i) => [Math.round(c * 1e4) / 1e4, counts[i] / total / width]);
}
function spanOf(lists) {
  let low = 1, high = -1;
  for (const counts of lists) counts.forEach((c, i) => { if (c > 0) { low = Math.min(low, -1 + i * 2 / counts.length); high = Math.max(high, -1 + (i + 1) * 2 / counts.length); } });
  return [low, high];
}

// Where a page comes from: enough to make it again, and nothing of the machine it was made on.
function origin(settings) {
  const run = data.run || {files: []}, s = data.settings;
  const files = run.files.map((f) => element("tr", {}, element("th", {scope: "row"}, f.name), element("td", {class: "number"}, f.bytes === undefined ? "a pipe" : f.bytes.toLocaleString("en")), element("td", {class: "hash"}, f.sha256 || "")));
  main.append(element("footer", {}, element("p", {}, `Made ${(run.date || "").replace("T", " ").replace("Z", " UTC")} by spheremix-analyze ${data.version} in ${s.seconds} s, ${s.instructions} instructions.`),
    run.command ? element("pre", {tabindex: 0, role: "region", "aria-label": "Command line"}, run.command) : null,
    element("details", {}, element("summary", {}, `${run.files.length} files with sizes and SHA-256; settings and what was default`),
      element("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": "Files"}, element("table", {}, element("thead", {}, element("tr", {}, element("th", {scope: "col"}, "file"), element("th", {scope: "col", class: "number"}, "bytes"), element("th", {scope: "col"}, "SHA-256"))), element("tbody", {}, ...files))),
      element("table", {}, element("tbody", {}, ...settings.map(([name, value, from]) => element("tr", {}, element("th", {scope: "row"}, name), element("td", {class: "number"}, String(value)), element("td", {}, from))))))));
}
