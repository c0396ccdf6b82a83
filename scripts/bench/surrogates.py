"""Speed of shipped surrogates on one core, against an XGBoost of 300 trees asked for the same networks.

The rival is fitted here to what the surrogate answers on 2,000 networks; both start from decision vectors.

usage: python scripts/bench/surrogates.py [--networks N]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402
import xgboost as xgb  # noqa: E402

import hwnasbench  # noqa: E402

#: Space, metric, device, further keys.
ASKED = (
    ("fbnet", "latency", "pixel3", {}),
    ("mnasnet", "latency", "vck190", {}),
    ("mnasnet", "throughput", "a100", {}),
    ("mnasnet", "accuracy", None, {"recipe": "accelnasbench_proxy"}),
    ("ofa_mobilenetv3", "latency", "v100", {"batch": 32}),
    ("ofa_mobilenetv3", "accuracy", None, {"recipe": "ofa_supernet", "source": "dynast"}),
    ("fbnet", "accuracy", None, {"dataset": "imagenet"}),
    ("proxylessnas", "accuracy", None, {"dataset": "imagenet"}),
)
SAMPLE, RUNS, SINGLES = 2_000, 3, 200


def median(function: Callable[[], object], runs: int = RUNS) -> float:
    """Return the median time in seconds, after one call to warm up."""
    function()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def rival(vectors: np.ndarray, values: np.ndarray, choices: tuple[int, ...]) -> Callable[[np.ndarray], object]:
    """Return a function that one-hot encodes decision vectors and asks boosted trees for them."""

    def encode(given: np.ndarray) -> np.ndarray:
        return np.concatenate([given[:, [p]] == np.arange(n, dtype=np.int8) for p, n in enumerate(choices)], axis=1)

    settings = {"max_depth": 6, "eta": 0.1, "tree_method": "hist", "nthread": 1}
    booster = xgb.train(settings, xgb.DMatrix(encode(vectors).astype(np.float32), values), 300)
    return lambda given: booster.inplace_predict(encode(given).astype(np.float32))


def cold(space: str, metric: str, device: str | None, keys: dict[str, object]) -> float:
    """Return the milliseconds to a first answer in a fresh process that has imported NumPy."""
    code = (
        "import time, numpy\n"
        "start = time.perf_counter()\n"
        "import hwnasbench\n"
        f"bench = hwnasbench.load({space!r}, data='shipped')\n"
        f"arch = [0] * len(bench.space.choices)\n"
        "loaded = time.perf_counter()\n"
        f"bench.query(arch, {device!r}, metrics={metric!r}, **{keys!r}).{metric}\n"
        "print(1000 * (time.perf_counter() - loaded))\n"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(3)]
    return statistics.median(float(run.stdout) for run in runs)


def main() -> None:
    """Print one line a surrogate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=200_000)
    count = parser.parse_args().networks
    head = ("surrogate", "networks/s", "XGBoost/s", "ratio", "one [ms]", "first [ms]")
    print(f"{head[0]:<44}{head[1]:>14}{head[2]:>14}{head[3]:>8}{head[4]:>10}{head[5]:>12}")
    rng = np.random.default_rng(0)
    for space, metric, device, keys in ASKED:
        bench = hwnasbench.load(space, data="shipped")
        vectors = bench.space.sample_many(rng, count)

        def ask(given: np.ndarray, bench=bench, metric=metric, device=device, keys=keys) -> np.ndarray:  # type: ignore[no-untyped-def]
            return np.asarray(bench.query_many(given, device, metrics=(metric,), **keys)[metric])

        seconds = median(lambda ask=ask, vectors=vectors: ask(vectors))  # type: ignore[misc]
        predict = rival(vectors[:SAMPLE], ask(vectors[:SAMPLE]), bench.space.choices)
        theirs = median(lambda predict=predict, vectors=vectors: predict(vectors))  # type: ignore[misc]
        archs = [bench.space.parse(vector) for vector in vectors[:SINGLES].tolist()]
        start = time.perf_counter()
        for arch in archs:
            getattr(bench.query(arch, device, metrics=metric, **keys), metric)
        one = 1000 * (time.perf_counter() - start) / SINGLES
        name = " ".join(filter(None, (space, metric, device, keys.get("recipe"), keys.get("dataset"))))
        first = cold(space, metric, device, keys)
        rates = f"{count / seconds:>14,.0f}{count / theirs:>14,.0f}{theirs / seconds:>8.1f}"
        print(f"{name:<44}{rates}{one:>10.3f}{first:>12.1f}")


if __name__ == "__main__":
    main()
