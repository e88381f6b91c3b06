"use strict";
// Draws the report from the results embedded beside it: table, curves, cosine histograms, two spheres.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const dashes = {clip: "", m2: "", m3: "7 3", control: "2 3", positive: "", negative: "", image: "7 3", text: "2 3"};
const losses = Object.fromEntries(data.losses.map((loss) => [loss.key, loss]));
const trained = data.losses.map((loss) => loss.key).filter((key) => key !== "before");
const state = {temperature: data.setting.temperatures[0], loss: "m2"};

const digits = (x, n) => {
  if (x === 0) return "0";
  const text = Math.abs(x).toFixed(n).replace(/^0\./, ".");
  return (x < 0 && Number(text) !== 0 ? "−" : "") + text;
};
const tauText = (tau) => String(tau).replace(/^0\./, ".");
const rowOf = (loss, tau) => data.rows.find((row) => row.loss === loss && row.temperature === tau);
const pictureOf = (loss, tau) => data.pictures[rowOf(loss, tau).picture];

function element(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "line", "text", "g", "title"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// ---- Words and table ----

function writeWords() {
  const s = data.setting;
  byId("lede").textContent = `${s.pairs.toLocaleString("en")} emoji pictures and their names, embedded by encoders that never met. ` +
    `Two linear heads are trained on three quarters of the pairs under four losses, and measured on the rest.`;
  byId("table-note").textContent = `Mean ± standard error over ${s.splits} random splits; ${s.held_out} pairs held out, so that chance is ` +
    `${digits(1 / s.held_out, 3)} for R@1 and ${digits(10 / s.held_out, 3)} for R@10.`;
  byId("setting").textContent = s.text;
  for (const f of data.findings) {
    byId("findings").append(element("dt", {}, `τ = ${tauText(f.temperature)}`), element("dd", {}, f.shape, element("br"), f.recall));
  }
  for (const metric of data.metrics) byId("formulas").append(element("dt", {}, metric.name), element("dd", {}, metric.meaning));
}

function writeTable() {
  const head = element("tr", {}, element("th", {scope: "col"}, "loss"));
  for (const metric of data.metrics) {
    const cell = element("th", {scope: "col", title: metric.meaning}, metric.column);
    cell.append(element("small", {}, metric.detail || "\u00a0"));
    head.append(cell);
  }
  const body = element("tbody");
  for (const tau of data.setting.temperatures) {
    body.append(element("tr", {class: "group"}, element("th", {scope: "rowgroup"}, `τ = ${tauText(tau)}`),
      element("td", {colspan: data.metrics.length})));
    for (const loss of data.losses) {
      const row = rowOf(loss.key, tau);
      const mark = element("i", {style: `background: var(--${loss.key})`});
      const line = element("tr", {}, element("th", {scope: "row"}, mark, loss.name));
      for (const metric of data.metrics) {
        const value = row.metrics[metric.key];
        line.append(element("td", {}, digits(value.mean, metric.digits),
          element("small", {}, " ± " + value.standard_error.toFixed(3).replace(/^0/, ""))));
      }
      body.append(line);
    }
  }
  byId("table").append(element("thead", {}, head), body);
}

// ---- Plots in SVG ----

const small = {width: 340, height: 170, left: 12, right: 12, top: 8, bottom: 24};
const large = {width: 540, height: 220, left: 34, right: 8, top: 8, bottom: 24};

function ticks(low, high, wanted) {
  const rough = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((m) => m >= rough * 0.999);
  const values = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; ++k) values.push(k * step);
  return {values, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9))};
}

function axes(f, x0, x1, y0, y1, label) {
  const svg = element("svg", {viewBox: `0 0 ${f.width} ${f.height}`, role: "img", "aria-label": label});
  const x = (v) => f.left + (v - x0) / (x1 - x0) * (f.width - f.left - f.right);
  const y = (v) => f.height - f.bottom - (v - y0) / (y1 - y0) * (f.height - f.top - f.bottom);
  if (f.left > small.left) {
    const t = ticks(y0, y1, 4);
    for (const v of t.values) {
      svg.append(element("line", {class: "grid", x1: f.left, x2: f.width - f.right, y1: y(v), y2: y(v)}),
        element("text", {x: f.left - 6, y: y(v) + 4, "text-anchor": "end"}, digits(v, t.digits)));
    }
  }
  const t = ticks(x0, x1, 4);
  for (const v of t.values) {
    svg.append(element("line", {class: "grid", x1: x(v), x2: x(v), y1: f.height - f.bottom, y2: f.height - f.bottom + 4}),
      element("text", {x: x(v), y: f.height - 7, "text-anchor": "middle"}, digits(v, t.digits)));
  }
  svg.append(element("line", {class: "grid", x1: f.left, x2: f.width - f.right, y1: f.height - f.bottom, y2: f.height - f.bottom}));
  return {svg, x, y};
}

const pathOf = (xs, ys) => xs.map((x, i) => (i ? "L" : "M") + x.toFixed(1) + " " + ys[i].toFixed(1)).join("");

function legend(target, keys, names, colourOf = (key) => key) {
  target.replaceChildren(...keys.map((key) => {
    const svg = element("svg", {viewBox: "0 0 26 10", "aria-hidden": "true"}, element("line",
      {x1: 0, x2: 26, y1: 5, y2: 5, stroke: `var(--${colourOf(key)})`, "stroke-width": 2.5, "stroke-dasharray": dashes[key]}));
    return element("span", {class: "key"}, svg, names(key));
  }));
}

function drawCurves() {
  legend(byId("curves-legend"), trained, (key) => losses[key].name);
  byId("curves").replaceChildren(...data.curves.map((curve) => {
    const everything = data.setting.temperatures.flatMap((tau) => trained.map((key) => rowOf(key, tau).curves[curve.key]));
    let low = Math.min(...everything.flatMap((c) => c.mean)), high = Math.max(...everything.flatMap((c) => c.mean));
    const room = 0.05 * (high - low || 1);
    if (low >= 0 && low < 0.3 * high) low = 0; else low -= room;
    high += room;
    const epochs = data.epochs;
    const ends = trained.map((key) => `${losses[key].name} ${digits(rowOf(key, state.temperature).curves[curve.key].mean.at(-1), curve.digits)}`);
    const plot = axes(window.innerWidth < 480 ? {...large, width: 340, height: 190} : large, 0, epochs.at(-1), low, high, `${curve.name} over epochs at tau ${state.temperature}; at the end: ${ends.join(", ")}`);
    const lines = [];
    for (const key of trained) {
      const c = rowOf(key, state.temperature).curves[curve.key], xs = epochs.map(plot.x);
      const up = c.mean.map((m, i) => plot.y(m + c.standard_error[i])), down = c.mean.map((m, i) => plot.y(m - c.standard_error[i]));
      plot.svg.append(element("path", {d: pathOf(xs, up) + pathOf([...xs].reverse(), down.reverse()).replace("M", "L") + "Z",
        fill: `var(--${key})`, opacity: 0.16}));
      lines.push(element("path", {d: pathOf(xs, c.mean.map(plot.y)), fill: "none", stroke: `var(--${key})`,
        "stroke-width": 2, "stroke-dasharray": dashes[key], "stroke-linejoin": "round"}));
    }
    plot.svg.append(...lines);
    return element("figure", {}, element("figcaption", {}, curve.name + " ", element("small", {}, curve.better)), plot.svg);
  }));
}

const kinds = {positive: "an image and its own text", negative: "an image and another's text", image: "two images", text: "two texts"};
const kindColour = {positive: "positive", negative: "negative", image: "within-image", text: "within-text"};

function drawCosines() {
  legend(byId("cosines-legend"), Object.keys(kinds), (key) => kinds[key], (key) => kindColour[key]);
  const bins = data.histogram_bins, centres = Array.from({length: bins}, (_, i) => -1 + (i + 0.5) * 2 / bins);
  byId("cosines").replaceChildren(...data.losses.map((loss) => {
    const picture = pictureOf(loss.key, state.temperature);
    const means = Object.keys(kinds).map((kind) => `${kinds[kind]} ${digits(picture.mean_cosine[kind], 2)}`);
    const plot = axes(small, -0.6, 1, 0, 1.04, `Cosines, ${loss.name}; means: ${means.join(", ")}`);
    for (const kind of ["negative", "image", "text", "positive"]) {
      const counts = picture.histogram[kind], top = Math.max(...counts);
      const shown = centres.map((c, i) => [c, counts[i] / top]).filter(([c]) => c >= -0.6);
      const xs = shown.map(([c]) => plot.x(c)), ys = shown.map(([, h]) => plot.y(h));
      if (kind === "positive" || kind === "negative") {
        plot.svg.append(element("path", {d: `M${xs[0]} ${plot.y(0)}` + pathOf(xs, ys).replace("M", "L") + `L${xs.at(-1)} ${plot.y(0)}Z`,
          fill: `var(--${kindColour[kind]})`, opacity: 0.18}));
      }
      plot.svg.append(element("path", {d: pathOf(xs, ys), fill: "none", stroke: `var(--${kindColour[kind]})`, "stroke-width": 2,
        "stroke-dasharray": dashes[kind], "stroke-linejoin": "round"}));
    }
    const detail = `own ${digits(picture.mean_cosine.positive, 2)}, other ${digits(picture.mean_cosine.negative, 2)}, ` +
      `images ${digits(picture.mean_cosine.image, 2)}, texts ${digits(picture.mean_cosine.text, 2)}`;
    return element("figure", {}, element("figcaption", {}, loss.name), plot.svg, element("p", {class: "note"}, "means: " + detail));
  }));
}

// ---- Spheres on canvas ----

const atlas = new Image();
const cell = 48, atlasColumns = 55, token = 40;
let tokens = null;  // the held-out pictures as round tokens, one strip

function makeTokens() {
  tokens = element("canvas");
  const columns = 32, n = data.items.index.length;
  tokens.width = columns * token * 2;
  tokens.height = Math.ceil(n / columns) * token * 2;
  const pen = tokens.getContext("2d");
  pen.scale(2, 2);
  data.items.index.forEach((item, i) => {
    const x = i % columns * token, y = Math.floor(i / columns) * token, r = token / 2;
    pen.fillStyle = "#fff";
    pen.strokeStyle = colour("image");
    pen.lineWidth = 2.2;
    pen.beginPath();
    pen.arc(x + r, y + r, r - 2, 0, 7);
    pen.fill();
    pen.save();
    pen.clip();
    const side = token * 0.7;
    pen.drawImage(atlas, item % atlasColumns * cell, Math.floor(item / atlasColumns) * cell, cell, cell, x + r - side / 2, y + r - side / 2, side, side);
    pen.restore();
    pen.stroke();
  });
  tokens.columns = columns;
}

const multiply = (a, b) => a.map((_, k) => [0, 1, 2].reduce((sum, j) => sum + a[3 * Math.floor(k / 3) + j] * b[3 * j + k % 3], 0));
const turnX = (t) => [1, 0, 0, 0, Math.cos(t), -Math.sin(t), 0, Math.sin(t), Math.cos(t)];
const turnY = (t) => [Math.cos(t), 0, Math.sin(t), 0, 1, 0, -Math.sin(t), 0, Math.cos(t)];
const apply = (m, p) => [0, 3, 6].map((k) => m[k] * p[0] + m[k + 1] * p[1] + m[k + 2] * p[2]);
const unit = (p) => { const n = Math.hypot(...p) || 1; return p.map((v) => v / n); };
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];

// First view: the step from the mean image to the mean text runs left to right, and the middle of all points faces the reader.
function firstView(points) {
  const mean = (p) => [0, 1, 2].map((k) => p.reduce((s, v, i) => i % 3 === k ? s + v : s, 0) / (p.length / 3));
  const a = mean(points.image), b = mean(points.text);
  let right = unit(b.map((v, k) => v - a[k]));
  let front = a.map((v, k) => v + b[k]);
  const along = front.reduce((s, v, k) => s + v * right[k], 0);
  front = unit(front.map((v, k) => v - along * right[k]));
  const up = cross(front, right);
  return [...right, ...up, ...front];
}

class Sphere {
  constructor(canvas, caption) {
    this.canvas = canvas;
    this.caption = caption;
    this.hover = -1;
    canvas.addEventListener("pointerdown", (e) => {
      canvas.setPointerCapture(e.pointerId);
      this.drag = [e.clientX, e.clientY];
      hideTip();
    });
    canvas.addEventListener("pointermove", (e) => {
      if (!this.drag) return this.point(e);
      const scale = 2.4 / canvas.clientWidth;
      this.turn((e.clientX - this.drag[0]) * scale, (e.clientY - this.drag[1]) * scale);
      this.drag = [e.clientX, e.clientY];
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { this.drag = null; });
    canvas.addEventListener("pointerleave", () => { this.hover = -1; hideTip(); this.draw(); });
    canvas.addEventListener("keydown", (e) => {
      const step = {ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1]}[e.key];
      if (!step) return;
      e.preventDefault();
      this.turn(...step);
    });
  }

  show(loss, tau) {
    this.points = pictureOf(loss, tau).sphere;
    this.view = firstView(this.points);
    const n = this.points.image.length / 3, mean = [0, 1, 2].map((k) => this.points.image.reduce((sum, v, i) => i % 3 === k ? sum + v : sum, 0) / n);
    this.tokenScale = 1 - 0.5 * Math.hypot(...mean) ** 4;  // smaller pictures where they crowd
    this.hover = -1;
    const row = rowOf(loss, tau), name = losses[loss].name + (loss === "before" ? " training" : `, τ = ${tauText(tau)}`);
    const share = Math.round(100 * this.points.share);
    this.caption.textContent = `${name}: gap ${digits(row.metrics.gap.mean, 2)}, mean cosine of a pair ${digits(pictureOf(loss, tau).mean_cosine.positive, 2)}; ` +
      `these three directions hold ${share} % of the squared length.`;
    this.canvas.setAttribute("aria-label", `Sphere of held-out images and texts, ${this.caption.textContent} Arrow keys turn it.`);
    this.draw();
  }

  turn(dx, dy) {
    this.view = multiply(turnX(dy), multiply(turnY(dx), this.view));
    this.draw();
  }

  place() {
    const size = this.canvas.clientWidth, r = size * 0.46, c = size / 2;
    const of = (list) => Array.from({length: list.length / 3}, (_, i) => {
      const p = apply(this.view, list.slice(3 * i, 3 * i + 3));
      return {i, x: c + r * p[0], y: c - r * p[1], z: p[2], p};
    });
    return {size, r, c, image: of(this.points.image), text: of(this.points.text)};
  }

  point(e) {
    const box = this.canvas.getBoundingClientRect(), x = e.clientX - box.left, y = e.clientY - box.top, at = this.place();
    let best = 15, found = -1;
    for (const p of [...at.image, ...at.text]) {
      const d = Math.hypot(p.x - x, p.y - y) - 4 * p.z;
      if (p.z > -0.1 && d < best) { best = d; found = p.i; }
    }
    if (found !== this.hover) { this.hover = found; this.draw(); }
    if (found < 0) hideTip();
    else showTip(found, this.points.cosine[found], e);
  }

  draw() {
    if (!this.points || !this.canvas.clientWidth) return;
    const ratio = window.devicePixelRatio || 1, at = this.place(), pen = this.canvas.getContext("2d");
    this.canvas.width = this.canvas.height = Math.round(at.size * ratio);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.fillStyle = colour("ball");
    pen.strokeStyle = colour("rule");
    pen.beginPath();
    pen.arc(at.c, at.c, at.r, 0, 7);
    pen.fill();
    pen.stroke();
    this.meridians(pen, at);
    const ink = {image: colour("image"), text: colour("text")};
    const marks = [...at.image.map((p) => ({...p, kind: "image"})), ...at.text.map((p) => ({...p, kind: "text"}))].sort((a, b) => a.z - b.z);
    if (byId("lines").checked) for (let i = 0; i < at.image.length; ++i) this.arc(pen, at, i, 0.8, 0.3);
    for (const mark of marks) this.mark(pen, mark, ink, at.size);
    if (this.hover >= 0) {
      this.arc(pen, at, this.hover, 2.2, 1);
      this.mark(pen, {...at.image[this.hover], kind: "image", z: 1.6}, ink, at.size);
      this.mark(pen, {...at.text[this.hover], kind: "text", z: 1.6}, ink, at.size);
    }
  }

  meridians(pen, at) {
    pen.strokeStyle = colour("rule");
    pen.lineWidth = 1;
    for (let k = 0; k < 6; ++k) {
      pen.beginPath();
      for (let j = 0, drawing = false; j <= 90; ++j) {
        const t = j / 90 * 2 * Math.PI, lat = (k - 3) * Math.PI / 6;
        const q = k < 3 ? [Math.cos(t) * Math.cos(k * Math.PI / 3), Math.sin(t), Math.cos(t) * Math.sin(k * Math.PI / 3)]
          : [Math.cos(t) * Math.cos(lat - Math.PI / 6), Math.sin(lat - Math.PI / 6), Math.sin(t) * Math.cos(lat - Math.PI / 6)];
        const p = apply(this.view, q);
        if (p[2] < 0) { drawing = false; continue; }
        if (drawing) pen.lineTo(at.c + at.r * p[0], at.c - at.r * p[1]);
        else pen.moveTo(at.c + at.r * p[0], at.c - at.r * p[1]);
        drawing = true;
      }
      pen.stroke();
    }
  }

  // The great circle from the image to its text.
  arc(pen, at, i, width, alpha) {
    const a = at.image[i].p, b = at.text[i].p, theta = Math.acos(Math.max(-1, Math.min(1, a[0] * b[0] + a[1] * b[1] + a[2] * b[2])));
    pen.strokeStyle = colour("ink");
    pen.lineWidth = width;
    pen.globalAlpha = alpha;
    pen.beginPath();
    for (let k = 0; k <= 16; ++k) {
      const t = k / 16, wa = theta < 1e-3 ? 1 - t : Math.sin((1 - t) * theta) / Math.sin(theta), wb = theta < 1e-3 ? t : Math.sin(t * theta) / Math.sin(theta);
      pen.lineTo(at.c + at.r * (wa * a[0] + wb * b[0]), at.c - at.r * (wa * a[1] + wb * b[1]));
    }
    pen.stroke();
    pen.globalAlpha = 1;
  }

  mark(pen, m, ink, size) {
    const scale = size / 520, near = (m.z + 1) / 2;
    pen.globalAlpha = m.z < 0 ? 0.16 + 0.24 * (m.z + 1) : 1;
    if (m.kind === "image" && tokens) {
      const s = ((9 + 15 * near) * scale + 3) * (m.z > 1 ? 1 : this.tokenScale), k = m.i;
      pen.drawImage(tokens, k % tokens.columns * token * 2, Math.floor(k / tokens.columns) * token * 2, token * 2, token * 2, m.x - s / 2, m.y - s / 2, s, s);
    } else {
      const s = (2 + 3 * near) * scale + 1;
      pen.fillStyle = ink[m.kind];
      pen.strokeStyle = colour("paper");
      pen.lineWidth = 0.7;
      pen.beginPath();
      pen.moveTo(m.x, m.y - s); pen.lineTo(m.x + s, m.y); pen.lineTo(m.x, m.y + s); pen.lineTo(m.x - s, m.y);
      pen.closePath();
      pen.fill();
      pen.stroke();
    }
    pen.globalAlpha = 1;
  }
}

function showTip(i, cosine, e) {
  const tip = byId("tip"), item = data.items.index[i], picture = element("i");
  picture.style.background = `#fff url(${ATLAS}) -${item % atlasColumns * cell}px -${Math.floor(item / atlasColumns) * cell}px`;
  tip.replaceChildren(picture, element("span", {}, `${data.items.name[i]}, cosine of the pair ${digits(cosine, 2)}`));
  tip.hidden = false;
  const x = Math.min(e.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
  tip.style.left = Math.max(8, x) + "px";
  tip.style.top = Math.max(8, e.clientY - tip.offsetHeight - 12) + "px";
}
function hideTip() { byId("tip").hidden = true; }

const spheres = [...document.querySelectorAll(".spheres figure")].map((f) => new Sphere(f.children[0], f.children[1]));

function drawSpheres() {
  spheres[0].show("before", state.temperature);
  spheres[1].show(state.loss, state.temperature);
}

// ---- Choices ----

function drawChoices() {
  for (const box of document.querySelectorAll(".choice")) {
    const kind = box.dataset.choice, values = kind === "loss" ? trained : data.setting.temperatures;
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", kind);
    box.replaceChildren(...values.map((value) => {
      const button = element("button", {type: "button", "aria-pressed": String(state[kind] === value)},
        kind === "loss" ? losses[value].name : `τ = ${tauText(value)}`);
      button.addEventListener("click", () => {
        const place = [...box.children].indexOf(button);
        state[kind] = value;
        drawAll();
        box.children[place].focus();
      });
      return button;
    }));
  }
}

function drawAll() {
  drawChoices();
  drawCurves();
  drawCosines();
  drawSpheres();
}

writeWords();
writeTable();
byId("sphere-note").textContent = `The ${data.items.index.length} held-out pairs of the first split, on the three leading directions of images and texts together ` +
  `(uncentred), brought back to length 1. Drag or use the arrow keys to turn; point at a mark to see its pair.`;
drawAll();
atlas.onload = () => { makeTokens(); drawSpheres(); };
atlas.src = ATLAS;
byId("lines").addEventListener("change", () => spheres.forEach((s) => s.draw()));
window.addEventListener("resize", () => { drawCurves(); spheres.forEach((s) => s.draw()); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (tokens) makeTokens(); drawSpheres(); });
