"""What a call from Python costs beyond the C++ call.

    python benchmarks/python/overhead.py [--turns 400]

clip of 64 x 64 and of 1 x 1 float rows on one thread, as Python calls it and by the C++ function alone
(benchmarks/versus/overhead.cpp, built here with g++ -O2), in alternation in one process: the least of many turns each.
"""
import argparse
import ctypes
import pathlib
import sys
import time

import spheremix as sx

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import versus_torch  # noqa: E402

EACH = 50  # calls a turn


def seconds(call):
    start = time.perf_counter()
    for _ in range(EACH):
        call()
    return (time.perf_counter() - start) / EACH


def rows(n, d, seed):
    return sx.sphere.sample_uniform(n, d, sx.core.Philox(seed), dtype="float32")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=400)
    turns = parser.parse_args().turns
    lib = versus_torch.build("", "g++", "overhead.cpp")
    sx.set_threads(1)
    lib.versus_threads(1)

    def alone(function, x, y):
        function.restype = ctypes.c_double
        given = [ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(y.ctypes.data), *map(ctypes.c_long, x.shape), EACH]
        return lambda: function(*given)

    calls = {}
    for n in (64, 1):  # rows of one number: nearly nothing but the call
        x, y = rows(n, n, 1), rows(n, n, 2)
        calls[n, "value"] = alone(lib.versus_clip, x, y), lambda x=x, y=y: seconds(lambda: sx.losses.clip(x, y))
        calls[n, "with gradients"] = (alone(lib.versus_clip_with_gradient, x, y),
                                      lambda x=x, y=y: seconds(lambda: sx.losses.clip_with_gradient(x, y)))
    least = {name: [float("inf")] * 2 for name in calls}
    for _ in range(turns):
        for name, both in calls.items():
            least[name] = [min(t, 1e6 * call()) for t, call in zip(least[name], both)]
    for (n, kind), (there, here) in least.items():
        print(f"clip, {n} x {n}, {kind}: C++ {there:.2f} us, Python {here:.2f} us: {here - there:.2f} us beyond")


if __name__ == "__main__":
    main()
