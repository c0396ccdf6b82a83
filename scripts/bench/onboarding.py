"""Time of bringing in a new device, against a plain ridge regression on the same known columns; prints ratios.

Each runs in a new process from the import to the whole predicted column, and once more when warm.

usage: python scripts/bench/onboarding.py [--runs N]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

import hwnasbench

_START = """
import json, time
start = time.perf_counter()
import numpy as np
import hwnasbench
bench = hwnasbench.load({space!r}, data="shipped")
archs = {archs!r}
probe = {probe}
known = [c for c in bench.all_columns() if c.metric == "latency" and c.keys["device"] != "pixel3"]
values = bench.query_many(archs, device="pixel3", metrics=("latency",))["latency"].to_numpy()
loaded = time.perf_counter()
"""
_OURS = """
def once(name):
    device = hwnasbench.onboard(name, space={space!r}, archs=archs, latency=values)
    return bench.query_many(probe, device=device, metrics=("latency",))["latency"].to_numpy()
"""
_RIDGE = """
from hwnasbench.vectors import locate, read
def once(name):
    x = np.log(np.stack([read(c, locate(bench, probe)).values for c in known], axis=1).astype(float))
    a = np.log(np.stack([read(c, locate(bench, archs)).values for c in known], axis=1).astype(float))
    middle, scale = np.nanmean(x, axis=0), np.nanstd(x, axis=0)
    x, a, y = (x - middle) / scale, (a - middle) / scale, np.log(values)
    x, a = x - a.mean(axis=0), a - a.mean(axis=0)
    return np.exp(y.mean() + x @ (a.T @ np.linalg.solve(a @ a.T + 10 * np.eye(len(y)), y - y.mean())))
"""
_END = """
once("first")
first = time.perf_counter()
once("second")
print(json.dumps([loaded - start, first - loaded, time.perf_counter() - first]))
"""
_PROBES = {"nasbench201": "np.arange(15625)", "fbnet": "bench.space.sample_many(np.random.default_rng(0), 15625)"}


def seconds(code: str, runs: int) -> list[float]:
    """Return the medians of what `code` prints [s]."""
    out = [
        json.loads(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
        for _ in range(runs)
    ]
    return [statistics.median(column) for column in zip(*out, strict=True)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    print(f"{'15,625 architectures predicted':<46}{'ours':>10}{'':<6}{'ridge':>10}{'':<6}{'ratio':>8}")
    for space, probe in _PROBES.items():
        for n in (10, 20):
            start = _START.format(space=space, archs=hwnasbench.propose(space, n=n), probe=probe)
            ours = seconds(start + _OURS.format(space=space) + _END, runs)
            ridge = seconds(start + _RIDGE + _END, runs)
            for what, a, b in zip(("first onboard and column", "the next one"), ours[1:], ridge[1:], strict=True):
                print(f"{f'{space}, {n} measured: {what}':<46}{a:>10.3f} s{b:>14.3f} s{a / b:>13.1f}x")
            print(f"{'  import, load and look up, before it':<46}{ours[0]:>10.3f} s")
            print(f"{'':<46}{'below 2 s: ' + ('yes' if ours[1] < 2 else 'NO')}")
            start_time = time.perf_counter()
            hwnasbench.propose(space, n=n)
            print(f"{f'  propose {n}, warm':<46}{time.perf_counter() - start_time:>10.3f} s")


if __name__ == "__main__":
    main()
