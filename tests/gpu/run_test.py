"""tests/gpu_run.sh run and tests/gpu/summary.py without a GPU: what a run leaves behind when programs pass, fail, hang, print rubbish or
are missing, and what the tables make of every kind of line. Programs only pretend: shell scripts in a folder of their own."""
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("summary", ROOT / "tests/gpu/summary.py")
summary = importlib.util.module_from_spec(spec)
spec.loader.exec_module(summary)
wrong = 0


def check(name, holds, more=""):
    global wrong
    print(("passed: " if holds else "failed: ") + name + ("" if holds else f" {more}"))
    wrong += not holds


def run(programs, seconds=60, path=None, old=None):
    """(exit status, what was printed, lines of results.jsonl, names in OUT)."""
    with tempfile.TemporaryDirectory() as folder:
        where = pathlib.Path(folder)
        (where / "programs").mkdir()
        (where / "bin").mkdir()
        for name, body in {"bin/nvidia-smi": "exit 9", **programs}.items():  # whatever GPU this machine has is hidden
            file = where / ("bin" if name.startswith("bin/") else "programs") / name.split("/")[-1]
            file.write_text("#!/bin/sh\n" + body + "\n")
            file.chmod(0o755)
        if old is not None:
            (where / "old").mkdir()
            file = where / "old/losses_bench"
            file.write_text("#!/bin/sh\n" + old + "\n")
            file.chmod(0o755)
        env = dict(os.environ, OUT=str(where / "out"), SPHEREMIX_GPU_PROGRAMS=str(where / "programs"),
                   SPHEREMIX_GPU_SECONDS=str(seconds), PATH=f"{where}/bin:{os.environ['PATH']}")
        done = subprocess.run(["sh", str(ROOT / "tests/gpu_run.sh"), "run"] + ([str(where / "old")] if old is not None else []),
                              env=env, capture_output=True, text=True, timeout=300)
        names = sorted(os.listdir(where / "out"))
        logs = tarfile.open(where / "out/logs.tgz").getnames() if "logs.tgz" in names else []
        lines, broken = summary.read((where / "out/results.jsonl").read_text())
        return done.returncode, done.stdout + done.stderr, lines, broken, names, logs


def outcome(lines, step):
    return next((x for x in lines if x.get("step") == step and "status" in x), {})


# Nothing built, no GPU: to its end, everything skipped with a reason, two files.
code, text, lines, broken, names, logs = run({})
check("without programs and GPU the run ends well", code == 0, text[-400:])
check("exactly two files are left", names == ["logs.tgz", "results.jsonl"], names)
states = [x for x in lines if "status" in x]
check("every step is skipped and says why", len(states) > 20 and broken == 0 and all(x["status"] == "skipped" and x.get("why") for x in states),
      [x for x in states if x["status"] != "skipped" or not x.get("why")])
check("the table comes last, and says never run", "never run" in text and text.strip().endswith("s") and "| clip N = 32768 |" in text, text[-300:])

# Programs of every kind.
bench = """[ "$1" = 4096 ] || { echo 'skipped: no GPU here'; exit 77; }
echo '{"case": "clip", "way": "kernels", "n": 4096, "d": 512, "ms": 0.25, "graph_ms": 0.2, "dx_error": 1e-3, "right": true, "scratch_MiB": 40}'
echo 'no JSON'; printf '{"case": "siglip", "way": "ker'"""
code, text, lines, broken, names, logs = run({
    "core_emulator": "echo '[doctest] assertions: 1234 | 1234 passed'",
    "pairwise_wgmma": "echo 'test.cpp:3: ERROR: CHECK( \"a\" == b )'; exit 1",
    "pairwise_products": "echo 'skipped: no GPU here (no \"driver\")'; exit 77",
    "losses_clip": "sleep 100", "losses_bench": bench, "rows": "kill -9 $$"}, seconds=8, old="echo '{\"case\": \"clip\", \"products\": \"wgmma, kernels\", \"n\": 4096, \"ms\": 0.5}'")
check("failures make the run fail", code != 0)
check("every line of results can be read", broken == 0, broken)
check("a test that passes, with its checks", outcome(lines, "test core_emulator").get("status") == "passed" and outcome(lines, "test core_emulator").get("checks") == 1234)
check("a test that fails, with its words", outcome(lines, "test pairwise_wgmma").get("status") == "failed" and "CHECK" in outcome(lines, "test pairwise_wgmma").get("why", ""))
check("a test that is skipped, with its reason", outcome(lines, "test pairwise_products") .get("status") == "skipped" and "no GPU here" in outcome(lines, "test pairwise_products").get("why", ""))
check("one that hangs is stopped by the time that is left", outcome(lines, "test losses_clip").get("status") == "failed" and "stopped" in outcome(lines, "test losses_clip").get("why", ""))
check("what comes too late is skipped", outcome(lines, "rows").get("why") in ("no time left", "not built") or outcome(lines, "rows").get("status") == "failed")
check("two files again, logs of the steps in one", names == ["logs.tgz", "results.jsonl"] and any("test_core_emulator" in n for n in logs), (names, logs))
code, text, lines, broken, names, logs = run({"losses_bench": bench, "rows": "kill -9 $$"}, old="echo '{\"case\": \"clip\", \"products\": \"wgmma, kernels\", \"n\": 4096, \"ms\": 0.5}'")
check("a benchmark's lines, tagged; cut ones left out", [(x.get("step"), x.get("build"), x.get("ms")) for x in lines if x.get("case")] == [("losses 4096", "new", 0.25), ("losses old", "old", 0.5)], lines)
check("a program that is killed fails its step alone", outcome(lines, "rows").get("status") == "failed" and outcome(lines, "gemm rates").get("why") == "not built")

# Something that looks like a GPU and its tools.
counters = ('"ID","Kernel Name","gpu__time_duration.sum","lts__t_sectors.avg.pct_of_peak_sustained_elapsed"\\n"","","ns","%"\\n'
            '"0","run","3000","81.5"\\n')
code, text, lines, broken, names, logs = run({
    "losses_bench": bench, "losses_clip": "true", "pairwise_wgmma": "true", "bin/nvidia-smi": "echo 'NVIDIA H200, 580.1, 9.0'",
    "bin/ncu": f"echo \"$@\" >&2; case $* in *Weights*) echo broken ;; *) printf %b '{counters}' ;; esac",
    "bin/compute-sanitizer": "echo '========= ERROR SUMMARY: 1 error' >&2; case $* in *racecheck*) exit 9 ;; esac"})
check("the GPU is named", lines[0].get("gpu") == "NVIDIA H200, 580.1, 9.0", lines[0])
check("counters of a kernel come as a line", [x for x in lines if x.get("kernel") == "Statistics" and x.get("way") == "stored"][:1] ==
      [{"step": "ncu stored Statistics", "build": "new", "way": "stored", "kernel": "Statistics", "us": 3.0, "l2_percent": 81.5}], lines)
check("a profiler without counters fails its step", "no counters" in outcome(lines, "ncu kernels Weights").get("why", ""), outcome(lines, "ncu kernels Weights"))
check("sanitizers: one clean, one with an error", (outcome(lines, "memcheck losses_clip").get("status"), outcome(lines, "racecheck pairwise_wgmma").get("status")) == ("passed", "failed"))

# Stopped from outside: still two files, and a line that can be read.
with tempfile.TemporaryDirectory() as folder:
    where = pathlib.Path(folder)
    (where / "p").mkdir()
    (where / "p/losses_bench").write_text("#!/bin/sh\nsleep 60\n")
    (where / "p/losses_bench").chmod(0o755)
    running = subprocess.Popen(["sh", str(ROOT / "tests/gpu_run.sh"), "run"], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env=dict(os.environ, OUT=str(where / "out"), SPHEREMIX_GPU_PROGRAMS=str(where / "p")))
    try:
        running.wait(3)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, 15)
        running.wait(30)
    check("stopped from outside, it packs what it has", sorted(os.listdir(where / "out")) == ["logs.tgz", "results.jsonl"], os.listdir(where / "out"))


# The tables, from made-up results with every kind of line.
def line(**values):
    return json.dumps(values)


def loss(case, n, way, ms, build="new", **more):
    return line(step=f"losses {n}", build=build, case=case, way=way, n=n, d=512, ms=ms, graph_ms=-1, dx_error=1e-3, right=True, scratch_MiB=100, **more)


good = [line(step="machine", gpu="NVIDIA H200, 580.159, 9.0", date="2026-12-01", commit="abc1234"),
        line(step="test core_emulator", status="passed", seconds=3, checks=1954), line(step="ncu", status="skipped", why="no ncu here"),
        line(step="test losses_clip", status="failed", seconds=60, why="stopped after 60 s")]
good += [loss("clip", 32768, w, ms) for w, ms in (("kernels", 12.0), ("cublaslt", 11.0), ("stored", 9.5), ("wgmma", 10.0), ("wgmma_cublaslt", 9.9))]
good += [line(step="losses old", build="old", case="clip", products="kernels", n=32768, d=512, ms=16.0),
         loss("clip_m2_mix", 32768, "kernels", 20.0), loss("clip_m2_mix_direct", 32768, "kernels", 30.0), loss("siglip", 65536, "stored", 50.0), loss("uniformity", 32768, "kernels", 3.5)]
good += [line(step="losses small", build="new", case="clip", way="kernels", n=n, d=512, ms=0.2, graph_ms=g, dx_error=1e-3, right=True, scratch_MiB=1) for n, g in ((256, .02), (512, .03), (1024, .044))]
good += [line(step="torch clip", build="new", case="eager autocast bf16", n=32768, d=512, ms=25.0), line(step="torch clip", build="new", case="compile autocast bf16", n=32768, d=512, ms=13.0),
         line(step="torch clip", build="new", case="f32", n=4096, relative_difference={"dx": 1e-3, "dy": 2e-3}), line(step="torch clip", case="compile autocast bf16", n=4096, error="out of memory"),
         line(step="torch slerp", case="torch eager slerp + backward", n=65536, us=2000), line(step="torch slerp", case="torch.compile slerp + backward", n=65536, us=400)]
good += [line(step="rows", case=c, type="f32", n=32768, d=512, us=30, share_of_copy=.9) for c in ("normalize_rows", "slerp_rows", "slerp_rows_vjp", "geodesic_distance_rows", "linear")]
good += [line(step="rows", case="slerp_rows + vjp", type="f32", n=65536, d=512, us=250, share_of_copy=.8)]
good += [line(step="gemm rates", case=c, m=m, n=n, k=k, TFLOP_per_s=t) for c, m, n, k, t in
         (("S=XY'", 4096, 4096, 512, 500), ("dX+=GY", 512, 4096, 4096, 450), ("S=XY'", 8192, 8192, 512, 650), ("dX+=GY", 512, 8192, 8192, 640))]
good += [line(step="ncu kernels Statistics", way="kernels", kernel="Statistics", us=3000, l2_percent=85, tensor_percent=40)]
text = "\n".join(good)
r = summary.Results(text)
check("nothing of good lines is lost", r.broken == 0 and len(r.lines) == len(good))
goals = "\n".join(summary.targets(r))
for row in ("| clip N = 32768, all GEMMs by cuBLASLt | 10 ms (floor 5.6) | 9.5 ms | met |", "| the same against torch eager bf16 | 2.5 times faster | 2.63 times | met |",
            "| the same against torch.compile bf16 | 1.5 times faster | 1.37 times | missed |", "| clip N = 4096 | 0.2 ms | never run | never run |", "| clip N <= 1024 from a graph | 45 us | 44 us | met |",
            "| siglip N = 65536, D = 768 | 45 ms | 50 ms | missed |", "| uniformity + gradient N = 32768 | 4 ms | 3.5 ms | met |", "| row functions at 64 MiB, the least of five | 85 % of copy | 90 % | met |",
            "| slerp forward + vjp N = 65536 against torch eager | 10 times faster | 8 times | missed |", "| the same against torch.compile | 1.5 times faster | 1.6 times | met |"):
    check("target: " + row[2:40], row in goals, goals)
chosen = "\n".join(summary.decisions(r))
for part in ("| 85 % and 40 % | yes: larger tiles", "| 1.33 | yes |", "| 1.2 | below 1.3: it goes, with its emulator and tests |", "| 1.04 | stored cosines |", "| 1.42 | the large ones |", "| 1.5 | stays |", "| 9.5 ms | worth its build"):
    check("decision: " + part, part in chosen, chosen)
check("steps and what failed are shown", "| test losses_clip | failed |  | 60 | stopped after 60 s |" in "\n".join(summary.steps(r)))
rest = "\n".join(summary.others(r))
check("other figures are shown, errors too", all(w in rest for w in ("dx 1.0e-03", "out of memory", "650 TFLOP/s", "Statistics kernel", "8192 x 8192")), rest)

# Cut, wrong and strange lines: counted, never believed.
cut = summary.Results(text[: len(text) - 40] + "\n[1, 2]\nnull\n\"x\"\nnan\n\n{\"step\": \"losses 1\"}\n{}\n" + loss("clip", 4096, "kernels", 0.1, ) .replace("true", "false"))
check("cut and strange lines are counted", cut.broken == 5, cut.broken)
check("a result that was not right is no figure", cut.loss("clip", 4096, "kernels") is None)
strange = summary.Results("\n".join([loss("clip", 32768, "kernels", "fast"), loss("clip", 4096, "kernels", None), loss("uniformity", 32768, "kernels", float("nan")),
                                     line(step="torch clip", case="f32", n=1, relative_difference={"dx": None}), line(step="rows"), line(step="machine"), line(status="passed")]))
pages = summary.page(strange) + "\n".join(summary.steps(strange))
check("figures that are none give never run", pages.count("never run") >= 2 * 10 and "nan" not in pages.replace("Penan", ""), pages)
for k in range(0, len(text), 97):
    summary.page(summary.Results(text[:k]))
check("results cut anywhere make tables", True)
raw = '==PROF== x\n"ID","Kernel Name","gpu__time_duration.sum","lts__t_sectors.avg.pct_of_peak_sustained_elapsed","sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_active","sm__warps_active.avg.pct_of_peak_sustained_active","smsp__average_warps_issue_stalled_wait_per_issue_active.ratio","smsp__average_warps_issue_stalled_long_scoreboard_per_issue_active.ratio"\n"","","ms","%","%","%","",""\n"0","run","3.0005","81.5","40","12.5","1.5","4"\n'
values = summary.percentages(raw)
check("ncu's counters under names of their own", values == {"us": 3000.5, "l2_percent": 81.5, "tensor_percent": 40.0, "occupancy_percent": 12.5, "stall_long_scoreboard": 4.0, "stall_wait": 1.5}, values)
check("docs/notes/gpu.md holds what the summary makes of its results", subprocess.run([sys.executable, ROOT / "tests/gpu/summary.py", "--check"], capture_output=True).returncode == 0)
sys.exit(wrong > 0)
