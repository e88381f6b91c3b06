"use strict";
// The map: all rows on a plane, by UMAP or by PCA. Points are written into the pixels of a canvas, so that 100,000 of
// them follow the pointer; a click shows a row's neighbours in the original space.

const decoded = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
const mapInks = ["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8"];

class Chart {
  constructor(canvas, detail, status) {
    this.canvas = canvas; this.detail = detail; this.status = status;
    this.lists = data.map.modalities.map((l) => ({name: l.name, ids: new Uint32Array(decoded(l.ids)), nearest: l.nearest ? new Int32Array(decoded(l.nearest)) : null, k: l.k,
      cosines: l.cosines ? new Float32Array(decoded(l.cosines)) : null, layouts: Object.fromEntries(data.map.layouts.map((name) => [name, new Uint16Array(decoded(l[name]))]))}));
    if (data.map.layouts.includes("umap")) this.fill("umap");
    this.size = this.lists.reduce((n, l) => n + l.ids.length, 0);
    this.start = []; this.lists.reduce((n, l) => { this.start.push(n); return n + l.ids.length; }, 0);
    this.owner = new Uint8Array(this.size); this.id = new Uint32Array(this.size);
    this.lists.forEach((l, m) => { this.owner.fill(m, this.start[m], this.start[m] + l.ids.length); this.id.set(l.ids, this.start[m]); });
    this.places = this.lists.map((l) => new Map(Array.from(l.ids, (id, i) => [id, i])));
    this.classes = data.map.classes || null;
    this.classOf = this.classes ? this.lists.map((l) => this.classIndex(l)) : null;
    this.layout = data.map.layouts[0]; this.colouring = this.classes ? "class" : "modality";
    this.selected = -1; this.hover = -1; this.found = []; this.hidden = new Set();
    this.reset(false);
    this.listen();
  }
  // UMAP's axes have no unit: each is stretched to the whole square. PCA's keep their proportion.
  fill(layout) {
    for (const axis of [0, 1]) {
      let low = 65535, high = 0;
      for (const l of this.lists) for (let i = axis; i < l.layouts[layout].length; i += 2) { low = Math.min(low, l.layouts[layout][i]); high = Math.max(high, l.layouts[layout][i]); }
      for (const l of this.lists) for (let i = axis; i < l.layouts[layout].length && high > low; i += 2) l.layouts[layout][i] = (l.layouts[layout][i] - low) / (high - low) * 65535;
    }
  }
  classIndex(l) { const of = new Map(data.map.labels ? data.map.labels.map((c, i) => [data.map.labelled[i], c]) : []); return Int16Array.from(l.ids, (id) => named(l.name) && of.has(id) ? of.get(id) : -1); }
  reset(draw = true) { this.zoom = 1; this.cx = 0.5; this.cy = 0.5; if (draw) this.draw(); }
  // Coordinates lie on a grid of 65,536: [0, 1] here.
  x(i) { const l = this.lists[this.owner[i]].layouts[this.layout]; return l[2 * (i - this.start[this.owner[i]])] / 65535; }
  y(i) { const l = this.lists[this.owner[i]].layouts[this.layout]; return l[2 * (i - this.start[this.owner[i]]) + 1] / 65535; }
  group(i) { const m = this.owner[i]; return this.colouring === "class" ? this.classOf[m][i - this.start[m]] : m; }
  ink(group) { return group < 0 || group >= 9 ? "c4" : this.colouring === "class" ? mapInks[group] : colourOf(this.lists[group].name); }
  groups() { return this.colouring === "class" ? this.classes.map((name, g) => [name, g]) : this.lists.map((l, m) => [l.name, m]); }
  name(i) { const m = this.owner[i], id = this.id[i], owner = this.lists[m].name, n = data.map.names && named(owner) ? data.map.names[this.nameAt(id)] : null; return n || nameOf(id, owner); }
  nameAt(id) { if (!this.nameIndex) this.nameIndex = new Map(data.map.labelled.map((v, k) => [v, k])); return this.nameIndex.get(id); }

  listen() {
    const c = this.canvas;
    c.addEventListener("pointerdown", (e) => { try { c.setPointerCapture(e.pointerId); } catch { /* a synthetic pointer */ } this.drag = [e.clientX, e.clientY, 0]; hideTip(); });
    c.addEventListener("pointermove", (e) => {
      if (!this.drag) return this.point(e);
      const dx = e.clientX - this.drag[0], dy = e.clientY - this.drag[1];
      this.drag = [e.clientX, e.clientY, this.drag[2] + Math.abs(dx) + Math.abs(dy)];
      this.pan(-dx / c.clientWidth, -dy / c.clientHeight);
    });
    c.addEventListener("pointerup", (e) => { const click = this.drag && this.drag[2] < 5; this.drag = null; if (click) this.select(this.near(e)); });
    c.addEventListener("pointercancel", () => { this.drag = null; });
    c.addEventListener("pointerleave", () => { this.hover = -1; hideTip(); this.later(); });
    c.addEventListener("wheel", (e) => { if (document.activeElement !== c && !e.ctrlKey) return; e.preventDefault(); this.scale(e.deltaY < 0 ? 1.25 : 0.8, e); }, {passive: false});
    c.addEventListener("keydown", (e) => {
      const step = {ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1]}[e.key];
      if (step) { e.preventDefault(); return this.pan(...step); }
      if (e.key === "+" || e.key === "=") return this.scale(1.25);
      if (e.key === "-") return this.scale(0.8);
      if (e.key === "0") return this.reset();
      if (e.key === "Escape") return this.select(-1);
      if (e.key === "Enter") { e.preventDefault(); this.next(e.shiftKey ? -1 : 1); }
    });
  }
  pan(dx, dy) { this.cx += dx / this.zoom; this.cy += dy / this.zoom; this.later(); }
  scale(by, e) {
    const box = this.canvas.getBoundingClientRect(), px = e ? (e.clientX - box.left) / box.width - 0.5 : 0, py = e ? (e.clientY - box.top) / box.height - 0.5 : 0, zoom = Math.max(0.5, Math.min(200, this.zoom * by));
    this.cx += px / this.zoom - px / zoom; this.cy += py / this.zoom - py / zoom; this.zoom = zoom;
    this.later();
  }
  screen(i, w, h) { return [((this.x(i) - this.cx) * this.zoom * 0.94 + 0.5) * w, ((this.y(i) - this.cy) * this.zoom * 0.94 + 0.5) * h]; }
  shown(i) { return !this.hidden.has(this.group(i)); }
  near(e) {
    const box = this.canvas.getBoundingClientRect(), x = e.clientX - box.left, y = e.clientY - box.top;
    let best = 144, found = -1;
    for (let i = 0; i < this.size; ++i) { const [a, b] = this.screen(i, box.width, box.height), d = (a - x) ** 2 + (b - y) ** 2; if (d < best && this.shown(i)) { best = d; found = i; } }
    return found;
  }
  point(e) {
    const i = this.near(e);
    if (i !== this.hover) { this.hover = i; this.later(); }
    if (i < 0) return hideTip();
    showTip([hasPicture(this.lists[this.owner[i]].name) ? picture(this.id[i]) : "", element("span", {}, `${this.name(i)}\n${this.lists[this.owner[i]].name} ${this.id[i]}${this.className(i)}`)], e);
  }
  className(i) { const g = this.classes ? this.classOf[this.owner[i]][i - this.start[this.owner[i]]] : -1; return g >= 0 ? `\n${this.classes[g]}` : ""; }
  // Enter: the next of those found, or of those in view from left to right.
  next(by) {
    let list = this.found;
    if (!list.length) {
      list = [];
      for (let i = 0; i < this.size; ++i) { const [a, b] = this.screen(i, 1, 1); if (a > 0 && a < 1 && b > 0 && b < 1 && this.shown(i)) list.push(i); }
      list.sort((p, q) => this.x(p) - this.x(q));
    }
    if (!list.length) return;
    const at = list.indexOf(this.selected);
    this.select(list[at < 0 ? 0 : (at + by + list.length) % list.length]);
  }
  search(text) {
    const wanted = text.trim().toLowerCase();
    this.found = [];
    if (wanted) for (let i = 0; i < this.size; ++i) if (this.name(i).toLowerCase().includes(wanted)) this.found.push(i);
    this.status.textContent = wanted ? `${this.found.length.toLocaleString("en")} found${this.found.length ? "; Enter shows one after another" : ""}` : "";
    this.later();
  }
  select(i) {
    this.selected = i;
    const box = this.detail;
    box.replaceChildren();
    if (i < 0) { box.append(element("p", {class: "note"}, "Click a point, or press Enter on the map, to see its neighbours in the original space.")); return this.later(); }
    const m = this.owner[i], l = this.lists[m], row = i - this.start[m];
    box.append(element("h3", {}, this.name(i)), element("p", {class: "item"}, hasPicture(l.name) ? picture(this.id[i]) : null, element("span", {}, `${l.name}, row ${this.id[i]}${this.className(i).replace("\n", ", ")}`)));
    this.around = [];
    if (l.nearest) {
      const list = element("ol", {class: "around"});
      for (let p = 0; p < l.k; ++p) {
        const id = l.nearest[row * l.k + p];
        if (id < 0) continue;
        const there = this.places[m].get(id), cosine = digits(l.cosines[row * l.k + p], 3), text = there === undefined ? nameOf(id, l.name) : this.name(this.start[m] + there);
        if (there !== undefined) this.around.push(this.start[m] + there);
        const button = element("button", {type: "button", class: "plain"}, hasPicture(l.name) ? picture(id, 28) : null, element("span", {}, text), element("small", {}, cosine));
        if (there === undefined) button.disabled = true; else button.addEventListener("click", () => this.select(this.start[m] + there));
        list.append(element("li", {}, button));
      }
      box.append(element("p", {class: "note"}, `Its nearest rows of ${l.name} in the original space, with cosines:`), list);
    }
    this.later();
  }
  later() { if (this.waiting) return; this.waiting = true; requestAnimationFrame(() => { this.waiting = false; this.draw(); }); }
  draw() {
    const c = this.canvas, ratio = Math.min(2, window.devicePixelRatio || 1), w = Math.round(c.clientWidth * ratio), h = Math.round(c.clientHeight * ratio);
    if (!w || !h) return;
    if (c.width !== w || c.height !== h) { c.width = w; c.height = h; }
    const pen = c.getContext("2d"), image = pen.createImageData(w, h), pixels = new Uint32Array(image.data.buffer);
    const word = (name) => { const t = colour(name).replace("#", ""); return 0xff000000 | parseInt(t.slice(4, 6), 16) << 16 | parseInt(t.slice(2, 4), 16) << 8 | parseInt(t.slice(0, 2), 16); };
    pixels.fill(word("ball"));
    const r = Math.max(1, Math.round((this.size > 20000 ? 1.2 : this.size > 3000 ? 2 : 3) * ratio * Math.min(2, Math.sqrt(this.zoom)))), disk = [];
    for (let a = -r; a <= r; ++a) for (let b = -r; b <= r; ++b) if (a * a + b * b <= r * r + 0.5) disk.push([a, b, b * w + a]);
    const inks = new Map(this.groups().map(([, g]) => [g, word(this.ink(g))])), other = word("c4"), byClass = this.colouring === "class";
    const k = this.zoom * 0.94, ox = 0.5 - this.cx * k, oy = 0.5 - this.cy * k;
    this.lists.forEach((l, m) => {
      const at = l.layouts[this.layout], ink = inks.get(m), hide = !byClass && this.hidden.has(m);
      for (let i = 0; i < l.ids.length && !hide; ++i) {
        const px = Math.round((at[2 * i] / 65535 * k + ox) * w), py = Math.round((at[2 * i + 1] / 65535 * k + oy) * h);
        if (px < r || py < r || px >= w - r || py >= h - r) continue;
        const g = byClass ? this.classOf[m][i] : m;
        if (byClass && this.hidden.has(g)) continue;
        const value = byClass ? (inks.get(g) || other) : ink, base = py * w + px;
        for (let d = 0; d < disk.length; ++d) pixels[base + disk[d][2]] = value;
      }
    });
    pen.putImageData(image, 0, 0);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const ring = (i, radius, width) => { const [x, y] = this.screen(i, w / ratio, h / ratio); pen.lineWidth = width; pen.beginPath(); pen.arc(x, y, radius, 0, 7); pen.stroke(); return [x, y]; };
    pen.strokeStyle = colour("ink");
    for (const i of this.found.slice(0, 2000)) ring(i, 5, 1.2);
    if (this.selected >= 0) {
      const [x, y] = ring(this.selected, 8, 2.4);
      pen.globalAlpha = 0.5;
      for (const j of this.around || []) { const [a, b] = ring(j, 5, 1.4); pen.lineWidth = 1; pen.beginPath(); pen.moveTo(x, y); pen.lineTo(a, b); pen.stroke(); }
      pen.globalAlpha = 1;
    }
    if (this.hover >= 0) ring(this.hover, 7, 1.6);
    pen.setTransform(1, 0, 0, 1, 0, 0);
  }
}

let chart = null;
function drawMap() {
  chart = null;
  if (!data.map) return;
  const map = data.map, detail = element("div", {class: "detail", "aria-live": "polite"}), status = element("span", {class: "note", role: "status"});
  const total = map.modalities.reduce((n, l) => n + l.count, 0);
  const canvas = element("canvas", {id: "map", tabindex: 0, role: "img", "aria-label": `Map of ${total.toLocaleString("en")} rows of ${map.modalities.map((l) => l.name).join(", ")}. Arrow keys move it, + and - zoom, 0 shows all, Enter steps through its points.`});
  const legend = element("div", {class: "legend"});
  const choice = (label, options, pick) => {
    const group = element("span", {class: "choice", role: "group", "aria-label": label}, ...options.map(([value, text], i) => {
      const button = element("button", {type: "button", "aria-pressed": String(i === 0)}, text);
      button.addEventListener("click", () => { group.querySelectorAll("button").forEach((b) => b.setAttribute("aria-pressed", String(b === button))); pick(value); });
      return button;
    }));
    return group;
  };
  const drawLegend = () => legend.replaceChildren(...chart.groups().map(([name, g]) => {
    const button = element("button", {type: "button", class: "key plain", "aria-pressed": String(!chart.hidden.has(g))}, element("svg", {viewBox: "0 0 12 12", "aria-hidden": "true"}, element("circle", {cx: 6, cy: 6, r: 5, fill: `var(--${chart.ink(g)})`})), name);
    button.addEventListener("click", () => { if (chart.hidden.has(g)) chart.hidden.delete(g); else chart.hidden.add(g); button.setAttribute("aria-pressed", String(!chart.hidden.has(g))); chart.draw(); });
    return button;
  }));
  const search = element("input", {type: "search", placeholder: "search names", "aria-label": "Search names on the map"});
  search.addEventListener("input", () => chart.search(search.value));
  search.addEventListener("keydown", (e) => { if (e.key === "Enter") { e.preventDefault(); chart.next(e.shiftKey ? -1 : 1); } });
  const button = (text, label, act) => { const b = element("button", {type: "button", "aria-label": label}, text); b.addEventListener("click", act); return b; };
  const words = {umap: "UMAP", pca: "PCA"};
  section("Map", element("p", {class: "note"}, map.note), element("div", {class: "bar"},
    map.layouts.length > 1 ? choice("Layout", map.layouts.map((l) => [l, words[l]]), (l) => { chart.layout = l; chart.reset(); }) : null,
    map.classes ? choice("Colour by", [["class", "class"], ["modality", "modality"]], (c) => { chart.colouring = c; chart.hidden.clear(); drawLegend(); chart.draw(); }) : null,
    element("span", {class: "choice"}, button("+", "Zoom in", () => chart.scale(1.5)), button("−", "Zoom out", () => chart.scale(1 / 1.5)), button("all", "Show all", () => chart.reset())), search, status),
  legend, element("div", {class: "ball map"}, canvas, detail));
  chart = new Chart(canvas, detail, status);
  drawLegend();
  chart.select(-1);
  chart.draw();
}
