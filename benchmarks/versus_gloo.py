#!/usr/bin/env python3
"""CLIP's loss and gradients over processes: spheremix on MPI against torch.distributed (gloo) with open_clip's own ClipLoss, each rank its
rows of the table and features gathered with their gradients (local_loss, gather_with_grad).

    python3 benchmarks/versus_gloo.py                       N = 512, 4096, 8192, two processes of one thread
    python3 benchmarks/versus_gloo.py 4096 --ranks 4 --repeats 3

Runs under a Python with torch and open_clip, and wants mpicxx and mpirun. First losses and gradients are compared: without agreement nothing is
timed. Then the two take turns: medians over the turns of processor seconds a call, all ranks together, and the growth of the resident set
in a first call, the largest of a rank.
"""
import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
TAU = 0.07


def rows_of(path, n, d, rank, ranks):
    import numpy
    first, end = n * rank // ranks, n * (rank + 1) // ranks
    both = numpy.fromfile(path, dtype=numpy.float32).reshape(2, n, d)
    return both[0, first:end].copy(), both[1, first:end].copy()


def rival(path, n, d, rank, ranks, calls, out, meeting):
    """One rank of torch.distributed."""
    import numpy
    import torch
    from open_clip.loss import ClipLoss
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=ranks)
    x, y = (torch.from_numpy(m).requires_grad_() for m in rows_of(path, n, d, rank, ranks))
    loss_of = ClipLoss(local_loss=True, gather_with_grad=True, cache_labels=True, rank=rank, world_size=ranks)

    def call():
        x.grad = y.grad = None
        loss = loss_of(x, y, 1 / TAU) / ranks  # their sum over the ranks is the batch's loss
        loss.backward()
        return loss

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    call()
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    begin = time.process_time()
    for _ in range(calls):
        loss = call()
    seconds = (time.process_time() - begin) / calls
    total = loss.detach().double()
    torch.distributed.all_reduce(total)
    numpy.concatenate([x.grad.numpy(), y.grad.numpy()]).tofile(f"{out}.{rank}")
    print(f"{total.item():.17g} {seconds:.6f} {grown:.0f}")
    torch.distributed.barrier()


def gathered(text):
    """Of the ranks' lines: loss, all their seconds, the largest growth."""
    lines = [[float(word) for word in line.split()] for line in text.splitlines() if len(line.split()) == 3]
    return lines[0][0], sum(line[1] for line in lines), max(line[2] for line in lines)


def main():
    if sys.argv[1:2] == ["--rank"]:
        path, n, d, rank, ranks, calls, out, meeting = sys.argv[2:]
        return rival(path, int(n), int(d), int(rank), int(ranks), int(calls), out, meeting)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", type=int, default=[512, 4096, 8192])
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5, help="turns of each")
    parser.add_argument("--program", help="clip_ranks, built already")
    options = parser.parse_args()
    import numpy
    d, ranks = options.dim, options.ranks
    quiet = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    with tempfile.TemporaryDirectory() as folder:
        program, data, out = (os.path.join(folder, name) for name in ("clip_ranks", "rows", "gradients"))
        program = options.program or program
        eigen = subprocess.run(["pkg-config", "--cflags", "eigen3"], capture_output=True, text=True).stdout.split() or ["-I/usr/include/eigen3"]
        if not options.program:
            subprocess.run(["mpicxx", "-std=c++20", "-O2", "-fopenmp", f"-I{ROOT}/include", *eigen, f"{HERE}/versus/clip_ranks.cpp", "-o", program],
                           check=True)
        mpirun = ["mpirun", "-np", str(ranks)]
        if "Open MPI" in subprocess.run(["mpirun", "--version"], capture_output=True, text=True).stdout:
            mpirun += ["--oversubscribe", "--bind-to", "none"] + (["--allow-run-as-root"] if os.getuid() == 0 else [])

        def ours(n, calls):
            done = subprocess.run([*mpirun, program, data, str(n), str(d), str(TAU), str(calls), out], env=quiet, capture_output=True, text=True, check=True)
            return gathered(done.stdout)

        def theirs(n, calls):
            meeting = os.path.join(folder, "meeting")
            if os.path.exists(meeting):
                os.remove(meeting)
            work = [subprocess.Popen([sys.executable, os.path.abspath(__file__), "--rank", data, str(n), str(d), str(r), str(ranks), str(calls), out + ".torch",
                                      meeting], env=quiet, stdout=subprocess.PIPE, text=True) for r in range(ranks)]
            said = "".join(one.communicate()[0] for one in work)
            if any(one.returncode for one in work):
                sys.exit("a rank of torch.distributed has failed")
            return gathered(said)

        print(f"{ranks} processes of one thread, d = {d}, float: processor seconds a call, all together; growth of the largest\n")
        print("| N | spheremix | torch + gloo | ratio | spheremix | torch + gloo |")
        print("|---|---|---|---|---|---|")
        for n in options.rows:
            random = numpy.random.default_rng(1)
            x = random.standard_normal((n, d), dtype=numpy.float32)
            y = x + 2 * random.standard_normal((n, d), dtype=numpy.float32)
            numpy.stack([m / numpy.linalg.norm(m, axis=1, keepdims=True) for m in (x, y)]).astype(numpy.float32).tofile(data)
            calls = max(1, (4096 // n) ** 2)
            one, other = ours(n, 1), theirs(n, 1)
            gradients = [numpy.concatenate([numpy.fromfile(f"{name}.{r}", dtype=numpy.float32) for r in range(ranks)]) for name in (out, out + ".torch")]
            off = abs(gradients[0] - gradients[1]).max() / abs(gradients[1]).max()
            if not (abs(one[0] - other[0]) <= 1e-5 * abs(other[0]) and off <= 1e-4):
                sys.exit(f"N = {n}: losses {one[0]} and {other[0]}, gradients {off:.1e} apart: nothing is timed")
            turns = [(ours(n, calls), theirs(n, calls)) for _ in range(options.repeats)]
            a, b = (statistics.median(turn[k][1] for turn in turns) for k in (0, 1))
            grown = [max(turn[k][2] for turn in turns) / 1e6 for k in (0, 1)]
            print(f"| {n} | {a:.4f} s | {b:.4f} s | {b / a:.2f} | {grown[0]:.0f} MB | {grown[1]:.0f} MB |", flush=True)


if __name__ == "__main__":
    main()
