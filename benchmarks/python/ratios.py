"""spheremix.torch against eager PyTorch in one process, on the same tensors, with the same number of threads.

    python benchmarks/python/ratios.py [--threads 2] [--turns 15] [CASE ...]

Float rows, d = 512, value and gradients through autograd on both sides; PyTorch as trainers write it (benchmarks/versus_torch.py).
First the two are compared: in double on the first 256 rows within 1e-9 of the largest number, in float on all within 1e-3; else
nothing is timed. Then they take turns, and each turn gives a ratio: torch's time over ours. Reported are the median of the ratios
and their quartiles, of the time by the clock and of the processor's time (with one thread the one to read on a busy machine; with
more it counts threads that wait for others, too), and the least times.
"""
import argparse
import math
import os
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import versus_torch  # noqa: E402

D, TAU, BIAS, T = 512, 0.07, -10.0, 0.3


def cases(torch, st):
    """Name -> (n, both sides as functions of the leaves x, y, ln tau, bias, t; which leaves; whether gradients are tangent)."""
    slerp, _, clip, *_ = rivals = versus_torch.torch_losses(torch)
    uniformity = next(f for f in rivals if f.__name__ == "uniformity")

    def siglip(x, y, log_tau, bias):  # open_clip's
        labels = 2 * torch.eye(len(x), dtype=x.dtype) - 1
        return -torch.nn.functional.logsigmoid(labels * (torch.exp(-log_tau) * (x @ y.T) + bias)).sum() / len(x)

    def slerp_rows(x, y, t):
        return slerp(x, y, 1 - t)

    pair = ("x", "y", "log_tau")
    return {
        **{f"clip-{n}": (n, st.clip, clip, pair, False) for n in (256, 1024, 4096)},
        "siglip-1024": (1024, st.siglip, siglip, (*pair, "bias"), False),
        "siglip-4096": (4096, st.siglip, siglip, (*pair, "bias"), False),
        "uniformity-4096": (4096, st.uniformity, uniformity, ("x",), True),
        "slerp_rows-65536": (65536, st.slerp_rows, slerp_rows, ("x", "y", "t"), True),
    }


def leaves(torch, n, dtype):
    torch.manual_seed(1)
    normalize = torch.nn.functional.normalize
    x = normalize(torch.randn(n, D, dtype=torch.double))
    y = normalize(0.5 * x + torch.randn(n, D, dtype=torch.double) / math.sqrt(D))
    numbers = {"log_tau": math.log(TAU), "bias": BIAS, "t": T}
    return {name: v.to(dtype).requires_grad_() for name, v in
            {"x": x, "y": y, **{k: torch.tensor(v, dtype=torch.double) for k, v in numbers.items()}}.items()}


def call(function, given, up):
    """Value and gradients."""
    def run():
        for leaf in given:
            leaf.grad = None
        out = function(*given)
        out.backward(up if out.dim() else None)
        return [out.detach(), *(leaf.grad for leaf in given)]
    return run


def difference(ours, theirs, given, tangent):
    """The largest, in parts of torch's largest number. Gradients through the sphere are tangent here."""
    worst = 0.0
    for i, (a, b) in enumerate(zip(ours(), theirs())):
        if tangent and i > 0 and b.dim() == 2:
            x = given[i - 1].detach()
            b = b - (b * x).sum(1, keepdim=True) * x
            a = a - (a * x).sum(1, keepdim=True) * x
        worst = max(worst, float((a - b).abs().max() / b.abs().max()))
    return worst


def seconds(run, each):
    """By the clock, and of the processor in all threads."""
    time.sleep(versus_torch.PAUSE)
    start = time.perf_counter(), time.process_time()
    for _ in range(each):
        run()
    return (time.perf_counter() - start[0]) / each, (time.process_time() - start[1]) / each


def measure(torch, st, name, case, turns):
    n, ours, theirs, names, tangent = case

    def sides(rows, dtype):
        every = leaves(torch, rows, dtype)
        given = [every[k] for k in names]
        up = torch.randn(rows, D, dtype=dtype)
        return call(ours, given, up), call(theirs, given, up), given

    for rows, dtype, most in ((min(n, 256), torch.double, 1e-9), (n, torch.float, 1e-3)):
        a, b, given = sides(rows, dtype)
        off = difference(a, b, given, tangent)
        if not off <= most:
            sys.exit(f"{name}: spheremix and torch differ by {off:.1e} in {dtype}; nothing is timed")
    each = max(1, math.ceil(0.02 / seconds(a, 1)[1]))
    times = []
    for turn in range(turns):
        pair = [seconds(side, each) for side in ((a, b) if turn % 2 == 0 else (b, a))]
        times.append(pair if turn % 2 == 0 else pair[::-1])
    ratios = [statistics.quantiles([t[i] / o[i] for o, t in times], n=4) for i in (0, 1)]
    least = [1e3 * min(t[0] for t in column) for column in zip(*times)]
    cells = [f"{middle:.1f} ({low:.1f}–{high:.1f})" for low, middle, high in ratios]
    print(f"| `{name}` | {cells[0]} | {cells[1]} | {least[0]:.1f} ms | {least[1]:.1f} ms | {off:.0e} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help="names or their beginnings (default: all)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=15)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(arguments.threads)  # read when the libraries load
    import spheremix as sx
    import spheremix.torch as st
    import torch

    sx.set_threads(arguments.threads)
    torch.set_num_threads(arguments.threads)
    if slow := versus_torch.reference_blas(torch):
        sys.exit(f"this torch multiplies by the reference BLAS ({slow})")
    print(f"{versus_torch.machine()['cpu']}, {os.cpu_count()} cores, {arguments.threads} threads, torch {torch.__version__}, "
          f"load {os.getloadavg()[0]:.1f}\n")
    print("| value and gradients | torch's time over ours | of the processor's time | ours, least | torch's, least | largest difference |")
    print("|---|---|---|---|---|---|")
    for name, case in cases(torch, st).items():
        if not arguments.cases or any(name.startswith(c) for c in arguments.cases):
            measure(torch, st, name, case, arguments.turns)


if __name__ == "__main__":
    main()
