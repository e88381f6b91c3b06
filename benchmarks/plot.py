#!/usr/bin/env python3
"""Results of benchmarks/run.sh -> SVG plots and a Markdown table; nothing but Python's own library.

    python3 benchmarks/plot.py [RESULTS_FOLDER] [--figures docs/figures]

RESULTS_FOLDER is the newest of benchmarks/results/ by default. Figures: time.svg (CLIP's time against N), memory.svg
(its memory against N, with the N^2 line and where it ends), peak.svg (% of the FMA peak by D). A figure whose data
are not there is left out. The table goes to table.md in RESULTS_FOLDER, unless its size is "by hand". Plots follow the reader's light or dark theme.
"""
import argparse
import collections
import glob
import html
import json
import math
import os

HERE = os.path.dirname(os.path.abspath(__file__))
WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 74, 195, 62, 56
STYLE = """
svg { font: 13px system-ui, sans-serif; --ink: #1f2328; --soft: #656d76; --line: #d0d7de; --back: #ffffff;
  --c0: #0969da; --c1: #cf222e; --c2: #9a6700; --c3: #1a7f37; --c4: #8250df; --c5: #57606a; }
@media (prefers-color-scheme: dark) { svg { --ink: #e6edf3; --soft: #8d96a0; --line: #30363d; --back: #0d1117;
  --c0: #58a6ff; --c1: #ff7b72; --c2: #d29922; --c3: #3fb950; --c4: #bc8cff; --c5: #8d96a0; } }
.back { fill: var(--back); } text { fill: var(--ink); } .soft { fill: var(--soft); font-size: 12px; }
.title { font-size: 16px; font-weight: 600; } .grid { stroke: var(--line); stroke-width: 1; }
.limit { stroke: var(--soft); stroke-dasharray: 2 4; stroke-width: 1.5; } .curve { fill: none; stroke-width: 2.2; }
.guess { stroke-dasharray: 6 5; }
"""


class Axis:
    """Values to pixels, logarithmic or linear."""

    def __init__(self, low, high, begin, end, log):
        self.low, self.high, self.begin, self.end, self.log = low, high, begin, end, log

    def __call__(self, value):
        f = math.log if self.log else float
        return self.begin + (f(value) - f(self.low)) / (f(self.high) - f(self.low)) * (self.end - self.begin)


def decades(low, high):
    return [10.0 ** k for k in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


def order(name):
    """The colours that a curve would like, the first that is free is its own: the same for one program in all figures."""
    first = [1, 2] if name.startswith("PyTorch") else [5] if "Eigen" in name else [0, 4]
    return first + [c for c in range(6) if c not in first]


def svg(title, subtitle, x_label, curves, ticks, unit, y_log=True, limit=None, mark=None):
    """curves: (name, [(x, y)], is a guess); ticks: the x values named; unit: y -> text; limit: (y, text);
    mark: (x, y, text)."""
    xs = [x for _, points, _ in curves for x, _ in points]
    ys = [y for _, points, _ in curves for _, y in points] + ([limit[0]] if limit else [])
    y_ticks = decades(min(ys), max(ys)) if y_log else list(range(0, 101, 20))
    x = Axis(min(xs), max(xs), LEFT + 10, WIDTH - RIGHT, True)
    y = Axis(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP, y_log)
    text = lambda px, py, s, more="": f'<text x="{px:.1f}" y="{py:.1f}" {more}>{html.escape(s)}</text>'
    line = lambda x0, y0, x1, y1, kind: f'<line class="{kind}" x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}"/>'
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
           f"<title>{html.escape(title)}</title>", f"<style>{STYLE}</style>",
           f'<rect class="back" width="{WIDTH}" height="{HEIGHT}" rx="6"/>', text(LEFT - 50, 26, title, 'class="title"'),
           text(LEFT - 50, 46, subtitle, 'class="soft"')]
    for value in y_ticks:
        out += [line(LEFT, y(value), WIDTH - RIGHT, y(value), "grid"),
                text(LEFT - 8, y(value) + 4, unit(value), 'class="soft" text-anchor="end"')]
    for value in ticks:
        out.append(text(x(value), HEIGHT - BOTTOM + 18, f"{value}", 'class="soft" text-anchor="middle"'))
    out.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x_label, 'text-anchor="middle"'))
    if limit:
        out += [line(LEFT, y(limit[0]), WIDTH - RIGHT, y(limit[0]), "limit"),
                text(LEFT + 6, y(limit[0]) - 6, limit[1], 'class="soft"')]
    names, colours = [], {}
    for name, points, guess in curves:
        colour = f"var(--c{colours.setdefault(name, next(c for c in order(name) if c not in colours.values()))})"
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points)
        out.append(f'<polyline class="curve{" guess" if guess else ""}" style="stroke: {colour}" points="{path}"/>')
        if not guess:
            out += [f'<circle r="3.2" cx="{x(a):.1f}" cy="{y(b):.1f}" style="fill: {colour}"/>' for a, b in points]
        names = [n for n in names if n[1] != name] + [(y(points[-1][1]), name, colour)]
    if mark:
        out += [text(x(mark[0]), y(mark[1]) + 6, "\u2715", 'text-anchor="middle" font-size="18"'),
                text(x(mark[0]) - 12, y(mark[1]) - 8, mark[2], 'text-anchor="end"')]
    at = -1e9
    for wanted, name, colour in sorted(names):  # names beside the ends of their lines, apart from each other
        at = max(wanted + 4, at + 17)
        out.append(text(WIDTH - RIGHT + 10, at, name, f'style="fill: {colour}"'))
    return "\n".join(out + ["</svg>", ""])


def bytes_text(value):
    for size, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= size:
            return f"{value / size:g} {name}"
    return f"{value:g} B"


def seconds_text(value):
    return f"{value:g} s" if value >= 1 else f"{value * 1e3:g} ms" if value >= 1e-3 else f"{value * 1e6:g} \u00b5s"


def programs(folder):
    """One dictionary a case, the medians of all programs: work, who, dtype, n, d, threads, budget, seconds, counters."""
    rows = []
    for path in sorted(glob.glob(os.path.join(folder, "*.json"))):
        data = json.load(open(path))
        for run in data.get("benchmarks", []) if isinstance(data, dict) else []:
            if run.get("aggregate_name", "median") != "median" or run.get("error_occurred"):
                continue
            work, who, dtype, *rest = run["run_name"].split("/")
            values = dict(part.split(":") for part in rest if ":" in part)
            rows.append(run | {"file": os.path.basename(path)[:-5], "work": work, "who": who, "dtype": dtype,
                               "n": int(values["n"]), "d": int(values["d"]), "t": int(values["threads"]),
                               "budget": values.get("budget", ""), "seconds": run["real_time"] / 1e3})
    return rows


def versus(folder):
    """(torch's version, row) of every comparison, the newest version first, of one version the newest run last."""
    found = []
    files = [json.load(open(path)) for path in sorted(glob.glob(os.path.join(folder, "versus-torch-*.json")))]
    for data in sorted(files, key=lambda d: d["about"]["date"]):
        version = data["about"]["torch"].split("+")[0]
        found += [(version, row) for row in data["rows"] if "seconds" in row]
    return sorted(found, key=lambda v: [int(p) if p.isdigit() else 0 for p in v[0].replace("a", ".").split(".")], reverse=True)


def curve(name, points, guess=False):
    return (name, sorted({x: y for x, y in points}.items()), guess)


def of_threads(count):
    return "one thread" if count == 1 else f"{count} threads"


def time_figure(about, runs, rivals):
    clip = [(v, r) for v, r in rivals if r["workload"] == f"clip-{r['n']}" and r["d"] == 512]
    if not clip:
        return None
    threads = collections.Counter(r["threads"] for _, r in clip).most_common(1)[0][0]  # the most points
    clip = [(v, r) for v, r in clip if r["threads"] == threads]
    newest = clip[0][0]
    curves = [curve("spheremix", [(r["n"], r["seconds"]["spheremix"]) for v, r in clip if v == newest])]
    for version in dict.fromkeys(v for v, _ in clip):
        curves.append(curve(f"PyTorch {version}", [(r["n"], r["seconds"]["torch"]) for v, r in clip if v == version]))
    eigen = [(r["n"], r["seconds"]) for r in runs
             if (r["work"], r["who"], r["dtype"], r["d"], r["t"]) == ("clip", "eigen", "f32", 512, threads)]
    if len(eigen) > 1:
        curves.append(curve("Eigen, tables made whole", eigen))
    ticks = sorted({x for c in curves for x, _ in c[1]})
    return svg("CLIP loss and gradients: time against N", f"f32, D = 512, {of_threads(threads)}; {about['cpu']}", "N, pairs in the batch",
               curves, ticks, seconds_text)


def memory_figure(about, runs, rivals):
    """From the benchmark programs where they ran, else from the comparison with PyTorch; PyTorch's curve goes on as N^2."""
    mine = [r for r in runs if r["work"] == "clip" and r["file"] == "losses-memory" and r.get("extra_bytes", 0) > 0]
    peaks = [(v, r) for v, r in rivals if r["workload"].startswith(f"clip-{r['n']}") and "f64" not in r["workload"]
             and r["d"] == 512 and all(r["peak_bytes"].values())]
    curves, threads = [], {r["t"] for r in mine} or {r["threads"] for _, r in peaks}
    if mine:
        for budget in sorted({r["budget"] for r in mine if r["who"] == "spheremix"}, key=lambda b: int(b[:-3])):
            curves.append(curve(f"spheremix, {budget.replace('MiB', ' MiB')} budget",
                                [(r["n"], r["extra_bytes"]) for r in mine if r["budget"] == budget]))
        eigen = curve("Eigen, tables made whole", [(r["n"], r["extra_bytes"]) for r in mine if r["who"] == "eigen"])
        if eigen[1]:
            curves.append(eigen)
    else:
        for name, ending in (("spheremix, 1 GiB budget", ""), ("spheremix, 24 MiB budget", "-24MiB")):
            points = [(r["n"], r["peak_bytes"]["spheremix"]) for _, r in peaks if r["workload"] == f"clip-{r['n']}{ending}"]
            if ending and points:  # up to where the default needs no more, the small budget changes nothing
                points += [(r["n"], r["peak_bytes"]["spheremix"]) for _, r in peaks
                           if r["workload"] == f"clip-{r['n']}" and r["peak_bytes"]["spheremix"] <= 24 << 20]
            if points:
                curves.append(curve(name, points))
    torch = [(v, r) for v, r in peaks if v == peaks[0][0]]  # the newest
    if torch:
        curves.append(curve(f"PyTorch {torch[0][0]}", [(r["n"], r["peak_bytes"]["torch"]) for _, r in torch]))
    if not curves:
        return None
    mark, limit, end = None, None, 65536
    whole = curves[-1]
    if whole[1]:
        n, size = whole[1][-1]
        curves.append(curve(whole[0], [(n, size), (end, size * (end / n) ** 2)], True))
        if about.get("memory_bytes"):
            limit = (about["memory_bytes"], f"all memory of this machine, {about['memory_bytes'] / 1e9:.0f} GB")
            dies = n * math.sqrt(limit[0] / size)
            mark = (dies, limit[0], f"N\u00b2 ends at N = {dies:.0f}") if n < dies < end else None
    ticks = sorted({x for c in curves for x, _ in c[1]})
    return svg("CLIP loss and gradients: memory against N", f"f32, D = 512, {of_threads(max(threads))}; bytes beyond"
               " inputs and outputs; dashed: N\u00b2 from the last point measured", "N, pairs in the batch", curves, ticks, bytes_text,
               limit=limit, mark=mark)


def peak_figure(about, runs, _):
    by_d = [r for r in runs if r["file"] in ("losses-by-d", "metrics-by-d") and "percent_of_peak" in r]
    names = {("clip", "spheremix"): "CLIP", ("clip", "products"): "its bare products", ("clip", "eigen"): "CLIP, plain Eigen",
             ("uniformity_with_gradient", "spheremix"): "uniformity"}
    curves = [curve(name, [(r["d"], r["percent_of_peak"]) for r in by_d if (r["work"], r["who"]) == key])
              for key, name in names.items()]
    curves = [c for c in curves if c[1]]
    if not curves:
        return None
    n, threads = by_d[0]["n"], of_threads(by_d[0]["t"])
    return svg("Share of the FMA peak by D", f"f32, N = {n}, {threads}, value and gradients, minimal flops; {about['cpu']}",
               "D, length of an embedding", curves, sorted({x for c in curves for x, _ in c[1]}), lambda v: f"{v} %", y_log=False)


def table(about, runs, rivals):
    lines = [f"{about['cpu']}, {about['cpus']} CPUs, {about['date']}, commit {about['commit']}: `{about['command']}`", ""]
    if rivals:
        lines += ["| workload, f32 unless said | D | threads | spheremix ms | PyTorch | its ms | ratio | % of peak | MB, spheremix / PyTorch |",
                  "|---|---|---|---|---|---|---|---|---|"]
        for version, r in rivals:
            mb = " / ".join(f"{b / 1e6:.0f}" if b is not None else "?" for b in r["peak_bytes"].values())
            share = f"{100 * r['of_peak']:.0f}" if r["of_peak"] else ""
            lines.append(f"| {r['workload']} | {r['d']} | {r['threads']} | {1e3 * r['seconds']['spheremix']:.4g} | {version} | "
                         f"{1e3 * r['seconds']['torch']:.4g} | {r['ratio']['torch']:.2f} | {share} | {mb} |")
        lines.append("")
    if runs:
        lines += ["| work | who | dtype | N | D | threads | budget | ms | % of peak | % of stream | extra MB | allocations | error |",
                  "|---|---|---|---|---|---|---|---|---|---|---|---|---|"]
        for r in runs:
            share = [f"{r[k]:.0f}" if k in r else "" for k in ("percent_of_peak", "percent_of_stream")]
            error = f"{r['error']:.1e}" if "error" in r else ""
            lines.append(f"| {r['work']} | {r['who']} | {r['dtype']} | {r['n']} | {r['d']} | {r['t']} | {r['budget']} | "
                         f"{1e3 * r['seconds']:.4g} | {share[0]} | {share[1]} | {r.get('extra_bytes', 0) / 1e6:.4g} | "
                         f"{r.get('allocations', 0):.0f} | {error} |")
    return "\n".join(lines + [""])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="?")
    parser.add_argument("--figures", default=os.path.join(os.path.dirname(HERE), "docs", "figures"))
    args = parser.parse_args()
    folder = args.results or max((f for f in glob.glob(os.path.join(HERE, "results", "*")) if os.path.isdir(f)), default=None)
    if not folder:
        parser.error("no results yet: sh benchmarks/run.sh")
    about = json.load(open(os.path.join(folder, "about.json")))
    runs, rivals = programs(folder), versus(folder)
    os.makedirs(args.figures, exist_ok=True)
    for name, make in (("time", time_figure), ("memory", memory_figure), ("peak", peak_figure)):
        figure = make(about, runs, rivals)
        path = os.path.join(args.figures, name + ".svg")
        if figure:
            with open(path, "w") as f:
                f.write(figure)
        print(path if figure else f"no data for {name}.svg")
    if about.get("size") != "by hand":
        with open(os.path.join(folder, "table.md"), "w") as f:
            f.write(table(about, runs, rivals))


if __name__ == "__main__":
    main()
