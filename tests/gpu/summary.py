"""What a run of tests/gpu_run.sh says, as the tables of docs/notes/gpu.md: measured figures, "never run" where one is missing.

    summary.py RESULTS             prints them
    summary.py --write [RESULTS]   puts them between the marks in docs/notes/gpu.md; without RESULTS: nothing was run
    summary.py --check             fails unless docs/notes/gpu.md holds what the file named in its mark gives
    summary.py --ncu WAY KERNEL LOSSES_BENCH   runs ncu on one launch and prints its JSON line

RESULTS is JSON lines, cut lines included: what cannot be read is counted, not trusted."""
import csv
import io
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/notes/gpu.md"
NEVER = "never run"
WAYS = {"kernels": "kernels", "cublaslt": "products by cuBLASLt", "stored": "all GEMMs by cuBLASLt", "wgmma": "wgmma",
        "wgmma_cublaslt": "wgmma, products by cuBLASLt"}
# What a build before the names of now called its ways.
OLD_WAYS = {"wgmma, kernels": "wgmma", "wgmma, cublaslt": "wgmma_cublaslt"}


def read(text):
    """(lines, how many could not be read)."""
    lines, broken = [], 0
    for line in text.splitlines():
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if isinstance(value, dict):
            lines.append(value)
        else:
            broken += 1
    return lines, broken


def number(x):
    return x if isinstance(x, (int, float)) and not isinstance(x, bool) and x == x and abs(x) < 1e29 else None


def shown(x, digits=3, unit=""):
    return NEVER if x is None else f"{x:.{digits}g}{unit}"


class Results:
    def __init__(self, text=""):
        self.lines, self.broken = read(text)

    def machine(self):
        return next((x for x in self.lines if x.get("step") == "machine"), {})

    def steps(self):
        return [x for x in self.lines if "status" in x]

    def of(self, step, **wanted):
        return [x for x in self.lines if str(x.get("step", "")).startswith(step) and "status" not in x
                and all(x.get(k) == v for k, v in wanted.items())]

    def loss(self, case, n, way, what="ms", build="new"):
        """A figure of a line whose results were right."""
        for x in self.of("losses"):
            its_way = x.get("way") or OLD_WAYS.get(x.get("products"), x.get("products"))
            if (x.get("case"), x.get("n"), its_way, x.get("build", "new")) == (case, n, way, build) and x.get("right", True):
                value = number(x.get(what))
                return value if value is not None and value >= 0 else None
        return None

    def best(self, case, n, ways=WAYS, what="ms"):
        """(figure, way) of the fastest way."""
        found = [(self.loss(case, n, w, what), w) for w in ways]
        return min(((v, w) for v, w in found if v is not None), default=(None, None))

    def torch(self, case, n):
        return next((number(x.get("ms")) for x in self.of("torch clip", case=case, n=n) if "ms" in x), None)

    def slerp(self, case, n):
        return next((number(x.get("us")) for x in self.of("torch slerp", case=case, n=n)), None)

    def row(self, case, kind="f32", n=65536, d=512, what="share_of_copy"):
        return next((number(x.get(what)) for x in self.of("rows", case=case, type=kind, n=n, d=d)), None)

    def gemm(self, case, rows, cols, d=512):
        """TFLOP/s of S, dX or dY for a range of rows x cols."""
        m, n, k = {"S=XY'": (cols, rows, d), "dX+=GY": (d, rows, cols), "dY+=G'X": (d, cols, rows)}[case]
        return next((number(x.get("TFLOP_per_s")) for x in self.of("gemm rates", case=case, m=m, n=n, k=k)), None)

    def counter(self, way, kernel, what):
        return next((number(x.get(what)) for x in self.of("ncu", way=way, kernel=kernel)), None)


def ratio(a, b):
    return None if a is None or not b else a / b


def verdict(value, holds, yes, no):
    return NEVER if value is None else yes if holds(value) else no


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] + ["| " + " | ".join(map(str, r)) + " |" for r in rows]


def targets(r):
    small = max((v for n in (256, 512, 1024) for v in [r.best("clip", n, what="graph_ms")[0]] if v is not None), default=None)
    complete = all(r.best("clip", n, what="graph_ms")[0] is not None for n in (256, 512, 1024))
    clip, way = r.best("clip", 32768)
    slerp = r.row("slerp_rows + vjp", what="us")
    shares = [r.row(c, n=32768) for c in ("normalize_rows", "slerp_rows", "slerp_rows_vjp", "geodesic_distance_rows", "linear")]
    least = min(shares) if all(s is not None for s in shares) else None
    rows = [
        ("clip N = 32768" + (f", {WAYS[way]}" if way else ""), "10 ms (floor 5.6)", clip, " ms", lambda v: v <= 10),
        ("the same against torch eager bf16", "2.5 times faster", ratio(r.torch("eager autocast bf16", 32768), clip), " times", lambda v: v >= 2.5),
        ("the same against torch.compile bf16", "1.5 times faster", ratio(r.torch("compile autocast bf16", 32768), clip), " times", lambda v: v >= 1.5),
        ("clip N = 4096", "0.2 ms", r.best("clip", 4096)[0], " ms", lambda v: v <= 0.2),
        ("clip N <= 1024 from a graph", "45 us", small * 1e3 if complete else None, " us", lambda v: v <= 45),
        ("siglip N = 65536, D = 768", "45 ms", r.best("siglip", 65536)[0], " ms", lambda v: v <= 45),
        ("uniformity + gradient N = 32768", "4 ms", r.best("uniformity", 32768)[0], " ms", lambda v: v <= 4),
        ("row functions at 64 MiB, the least of five", "85 % of copy", None if least is None else 100 * least, " %", lambda v: v >= 85),
        ("slerp forward + vjp N = 65536 against torch eager", "10 times faster", ratio(r.slerp("torch eager slerp + backward", 65536), slerp), " times", lambda v: v >= 10),
        ("the same against torch.compile", "1.5 times faster", ratio(r.slerp("torch.compile slerp + backward", 65536), slerp), " times", lambda v: v >= 1.5),
    ]
    return table(("on an H200, D = 512, forward + backward, f32 rows", "target", "measured", "status"),
                 [(name, goal, shown(v, unit=unit), verdict(v, met, "met", "missed")) for name, goal, v, unit, met in rows])


def decisions(r):
    """Which figure decides what."""
    kernels = r.loss("clip", 32768, "kernels")
    l2, tensor = (r.counter("kernels", "Statistics", k) for k in ("l2_percent", "tensor_percent"))
    bound = None if l2 is None or tensor is None else l2
    old = ratio(r.loss("clip", 32768, "kernels", build="old"), kernels)
    wgmma = ratio(kernels, r.loss("clip", 32768, "wgmma"))
    stored_ms = r.loss("clip", 32768, "stored")
    tiles = r.best("clip", 32768, [w for w in WAYS if w != "stored"])[0]
    stored = ratio(tiles, stored_ms)
    shared = ratio(r.loss("clip_m2_mix_direct", 32768, "kernels"), r.loss("clip_m2_mix", 32768, "kernels"))
    rates = [r.gemm(c, *size) for size in ((4096, 4096), (8192, 8192)) for c in ("S=XY'", "dX+=GY")]
    two = None if any(x is None for x in rates) else min(rates[2:]) / min(rates[:2])
    fast = r.best("clip", 32768)[0]
    rows = [
        ("Is the L2 cache the limit of the 128 x 128 tiles?", "L2's and the tensor cores' share of their peaks in the first sweep's kernel",
         NEVER if bound is None else f"{l2:.3g} % and {tensor:.3g} %",
         NEVER if bound is None else "yes: larger tiles, multicast or stored cosines" if l2 >= 70 and l2 > tensor else "no: look at the stalls"),
        ("Did the epilogues of the sweeps gain what was counted?", "clip N = 32768 by kernels, build of before over new; counted 1.35", shown(old),
         verdict(old, lambda v: v >= 1.15, "yes", "no: read the counters")),
        ("Does wgmma's tile stay?", "clip N = 32768, mma.sync over wgmma", shown(wgmma),
         verdict(wgmma, lambda v: v >= 1.3, "stays", "below 1.3: it goes, with its emulator and tests")),
        ("Stored cosines or tiles where cuBLASLt is linked?", "clip N = 32768, best of the others over all GEMMs by cuBLASLt", shown(stored),
         verdict(stored, lambda v: v > 1, "stored cosines", "tiles")),
        ("Ranges for cuBLASLt", "least TFLOP/s of S and dX, ranges of 8192 x 8192 over 4096 x 4096", shown(two),
         verdict(two, lambda v: v >= 1.1, "the large ones", "4096: they need less scratch")),
        ("Does CLIP + m2-Mix from shared tiles stay?", "N = 32768, direct over shared", shown(shared),
         verdict(shared, lambda v: v >= 1.3, "stays", "below 1.3: it goes")),
        ("A main loop from CUTLASS?", "the fastest clip N = 32768", shown(fast, unit=" ms"),
         verdict(fast, lambda v: v > 9, "worth its build time for those who need the rest", "no")),
    ]
    return table(("question", "figure that decides", "measured", "so"), rows)


def losses(r):
    rows = []
    for case, n, d in [("clip", 256, 512), ("clip", 512, 512), ("clip", 1024, 512)] + [
            (c, n, 512) for c in ("clip", "siglip", "uniformity", "clip_m2_mix", "clip_m2_mix_direct") for n in (4096, 32768)] + [("siglip", 65536, 768)]:
        for way, words in WAYS.items():
            values = {k: r.loss(case, n, way, k) for k in ("ms", "graph_ms", "dx_error", "scratch_MiB")}
            if values["ms"] is not None:
                rows.append((case, n, d, words, shown(values["ms"], 4), shown(r.loss(case, n, way, build="old"), 4),
                             shown(None if values["graph_ms"] is None else values["graph_ms"] * 1e3), shown(values["dx_error"], 2), shown(values["scratch_MiB"])))
    head = ("loss", "N", "D", "way", "ms", "ms, old build", "us from a graph", "error of dX", "scratch, MiB")
    return table(head, rows or [("all", "", "", "", NEVER, NEVER, NEVER, NEVER, NEVER)])


def others(r):
    rows = [(f"torch {x['case']}, clip N = {x.get('n')}", shown(number(x.get("ms")), 4, " ms") if "ms" in x else str(x.get("error", ""))[:60]) for x in r.of("torch clip") if "case" in x and ("ms" in x or "error" in x)]
    rows += [(f"torch {x['case']}, clip N = {x.get('n')}: difference to the library",
              ", ".join(f"{k} {v:.1e}" for k, v in x["relative_difference"].items() if number(v) is not None)) for x in r.of("torch clip") if "case" in x and isinstance(x.get("relative_difference"), dict)]
    rows += [(f"{x['case']}, N = {x.get('n')}", shown(number(x.get("us")), 4, " us")) for x in r.of("torch slerp") if "case" in x and "us" in x]
    rows += [(f"{x['case']} of {x.get('m')} x {x.get('n')}, k = {x.get('k')}", shown(number(x.get("TFLOP_per_s")), 4, " TFLOP/s")) for x in r.of("gemm rates") if "case" in x]
    rows += [(f"{x['case']}, {x.get('type')}, {x.get('n')} x {x.get('d')}", shown(number(x.get("us")), 4, " us") + (", " + shown(100 * x["share_of_copy"], 3, " % of copy") if number(x.get("share_of_copy")) is not None else "")) for x in r.of("rows") if "case" in x and "us" in x]
    rows += [(f"{x.get('kernel')} kernel, {WAYS.get(x.get('way'), x.get('way'))}",
              ", ".join(f"{k.replace('_percent', '').replace('_', ' ')} {v:.3g}" for k, v in x.items() if k not in ("step", "build", "way", "kernel") and number(v) is not None)) for x in r.of("ncu")]
    return table(("what else was measured", "figure"), rows or [("copy, rows, GEMM rates, rivals, counters", NEVER)])


def steps(r):
    rows = [(x.get("step"), x["status"], x.get("checks", ""), x.get("seconds", ""), x.get("why", "")) for x in r.steps()]
    return table(("step", "outcome", "checks", "s", "why"), rows or [("all", NEVER, "", "", "")])


def page(r):
    """The part that docs/notes/gpu.md keeps."""
    m = r.machine()
    where = f"{m.get('gpu')}, {m.get('date')}, commit {m.get('commit')}" if m.get("gpu") else "No GPU has run this yet."
    return "\n\n".join([where, "\n".join(targets(r)), "\n".join(decisions(r)), "\n".join(losses(r)), "\n".join(others(r))])


MARK = re.compile(r"<!-- measured: (\S+) -->\n.*?<!-- end of measured -->", re.S)


def marked(name):
    text = (ROOT / name).read_text() if name != "none" else ""
    return f"<!-- measured: {name} -->\n{page(Results(text))}\n<!-- end of measured -->"


def percentages(text):
    """Of ncu's raw page for one launch: the counters that decide, under names of their own."""
    rows = list(csv.reader(io.StringIO(text[text.index('"ID"'):])))
    values = {}
    to_us = {"ns": 1e-3, "nsecond": 1e-3, "usecond": 1, "ms": 1e3, "msecond": 1e3, "s": 1e6, "second": 1e6}
    for name, unit, value in zip(rows[0], *rows[1:3]) if len(rows) > 2 else ():
        try:
            values[name] = float(value.replace(",", "")) * (to_us.get(unit, 1) if name.startswith("gpu__time") else 1)
        except ValueError:
            pass
    first = lambda *patterns: next((v for p in patterns for k, v in values.items() if re.search(p, k)), None)
    stalls = {k: v for k, v in values.items() if re.search(r"warps_issue_stalled_\w+_per_issue_active", k)}
    out = {"us": first(r"^gpu__time_duration\.sum"), "l2_percent": first(r"^lts__t_sectors\.avg\.pct", r"^lts__throughput\.avg\.pct"),
           "l2_hit_percent": first(r"^lts__t_sector_hit_rate\.pct"), "dram_percent": first(r"^dram__throughput\.avg\.pct", r"gpu__dram_throughput\.avg\.pct"),
           "tensor_percent": first(r"^sm__pipe_tensor_cycles_active\.avg\.pct", r"^sm__inst_executed_pipe_tensor\w*\.avg\.pct", r"^sm__pipe_tensor\w*cycles_active\.avg\.pct"),
           "occupancy_percent": first(r"^sm__warps_active\.avg\.pct"), "registers": first(r"^launch__registers_per_thread"),
           "blocks_an_sm": first(r"^launch__occupancy_limit_registers"), "issue_percent": first(r"^sm__inst_issued\.avg\.pct", r"^smsp__issue_active\.avg\.pct", r"^smsp__inst_issued\.avg\.pct")}
    for name, value in sorted(stalls.items(), key=lambda kv: -kv[1])[:3]:
        out["stall_" + re.search(r"stalled_(\w+)_per_issue", name).group(1)] = value
    return {k: v for k, v in out.items() if v is not None}


def ncu(way, kernel, bench):
    # The second sweep's products are the library's with cuBLASLt: any kernel of its own there.
    names = {"Product": "HalfProduct" if way == "kernels" else "(gemm|nvjet|cutlass|xmma)"}
    command = ["ncu", "--clock-control", "none", "--csv", "--page", "raw", "--kernel-name-base", "demangled", "-k",
               "regex:" + names.get(kernel, kernel + "Kernel"), "-c", "1"]
    for section in ("SpeedOfLight", "MemoryWorkloadAnalysis", "ComputeWorkloadAnalysis", "Occupancy", "LaunchStats", "WarpStateStats", "SchedulerStats"):
        command += ["--section", section]
    done = subprocess.run(command + [bench, "once", "case=clip", "way=" + way, "32768"], capture_output=True, text=True)
    print(done.stderr, file=sys.stderr)
    print(done.stdout if '"ID"' not in done.stdout else "", file=sys.stderr)
    found = percentages(done.stdout) if '"ID"' in done.stdout else {}
    if not found:
        sys.exit("error: ncu gave no counters")
    print(json.dumps({"way": way, "kernel": kernel, **found}))


def main(arguments):
    if arguments[:1] == ["--ncu"]:
        return ncu(*arguments[1:])
    if arguments[:1] == ["--write"]:
        name = arguments[1] if len(arguments) > 1 else "none"
        text, count = MARK.subn(lambda _: marked(name), PAGE.read_text())
        if count != 1:
            sys.exit("docs/notes/gpu.md has not one place for the measured figures")
        return PAGE.write_text(text) and None
    if arguments[:1] == ["--check"]:
        found = MARK.search(PAGE.read_text())
        if not found or found.group(0) != marked(found.group(1)):
            sys.exit("failed: docs/notes/gpu.md is not what tests/gpu/summary.py --write makes of " + (found.group(1) if found else "anything"))
        return print("passed: docs/notes/gpu.md holds what tests/gpu/summary.py makes of its results")
    if len(arguments) != 1:
        sys.exit(__doc__)
    r = Results(pathlib.Path(arguments[0]).read_text(errors="replace"))
    print(page(r))
    print()
    print("\n".join(steps(r)))
    if r.broken:
        print(f"\n{r.broken} lines could not be read")


if __name__ == "__main__":
    main(sys.argv[1:])
