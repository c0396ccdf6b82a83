"""Query speed against rivals measured in the same run; prints ratios. Run it on a quiet machine.

Rivals hold the numbers of our own shipped columns in the form in which other benchmarks keep
theirs: one pickle of nested dictionaries and lists (HW-NAS-Bench), a pickled dictionary of tuples
(LatBench), a pandas frame, a DuckDB table, and bare NumPy indexing as the limit of what is possible.

usage: python scripts/bench/query.py [--runs N]
"""

from __future__ import annotations

import argparse
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

import hwnasbench

DATASETS = ("cifar10", "cifar100", "ImageNet16-120")
# The ten metrics of each data set in HW-NAS-Bench's pickle.
RIVAL_METRICS = (
    "edgegpu_latency", "edgegpu_energy", "raspi4_latency", "edgetpu_latency", "pixel3_latency",
    "eyeriss_latency", "eyeriss_energy", "eyeriss_arithmetic_intensity", "fpga_latency", "fpga_energy",
)  # fmt: skip

OURS = """
import hwnasbench
bench = hwnasbench.load("nasbench201", data="shipped")
print(bench.query({arch!r}, device="pixel3").latency)
"""
PICKLE = """
import pickle
with open({path!r}, "rb") as handle:
    data = pickle.load(handle)
print(data["nasbench201"]["cifar10"]["pixel3_latency"][{index}])
"""
NUMPY = "import numpy"


def first_answer(code: str, runs: int) -> tuple[float, float]:
    """Return the median wall time [ms] of a new process, and its peak memory [MiB]."""
    # The high-water mark of this address space; ru_maxrss would count the parent's before the exec.
    probe = code + "\nprint(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    times, memory = [], 0.0
    for _ in range(runs):
        start = time.perf_counter()
        out = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True).stdout
        times.append((time.perf_counter() - start) * 1e3)
        memory = float(out.split()[-1]) / 1024
    return statistics.median(times), memory


def each(function: Callable[[], object], number: int, repeat: int = 7) -> float:
    """Return the median time of one call [s], without garbage collection as timeit measures."""
    function()
    times = [seconds / number for seconds in timeit.repeat(function, number=number, repeat=repeat)]
    return statistics.median(times)


def write_rival(path: Path, latency: np.ndarray) -> None:
    """Write a pickle of the size and shape of HW-NAS-Bench's."""
    values = [float(v) for v in np.nan_to_num(latency)]
    configs = [{"arch_str": f"cell {i}", "C": 16, "N": 5, "num_classes": 10} for i in range(len(values))]
    tables = {
        d: {**{m: [v + k for v in values] for k, m in enumerate(RIVAL_METRICS)}, "config": configs} for d in DATASETS
    }
    with path.open("wb") as handle:
        pickle.dump({"nasbench201": tables}, handle)


def line(name: str, ours: float, rival: float, unit: str, rival_name: str) -> None:
    """Print one comparison."""
    print(f"{name:<46}{ours:>12.4g} {unit:<12}{rival:>12.4g} {unit:<12}{ours / rival:>8.3f}x of {rival_name}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=21)
    runs = parser.parse_args().runs
    bench = hwnasbench.load("nasbench201", data="shipped")
    fbnet = hwnasbench.load("fbnet", data="shipped")
    latency = np.asarray(bench.column("latency", device="pixel3"), float)
    arch = bench.space.format(6111)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rival.pickle"
        write_rival(path, latency)
        ours_string, memory = first_answer(OURS.format(arch=arch), runs)
        ours, memory_index = first_answer(OURS.format(arch=6111), runs)
        rival, rival_memory = first_answer(PICKLE.format(path=str(path), index=6111), runs)
        numpy_alone, _ = first_answer(NUMPY, runs)
        data = pickle.loads(path.read_bytes())
    print(f"{'':<46}{'ours':>12}{'':<13}{'rival':>12}{'':<13}{'ratio'}")
    line("new process to first answer, by index", ours, rival, "ms", "a pickle of dicts and lists")
    line("new process to first answer, by string", ours_string, rival, "ms", "a pickle of dicts and lists")
    line("  the same against `import numpy` alone", ours, numpy_alone, "ms", "import numpy")
    line("peak memory to first answer", max(memory, memory_index), rival_memory, "MiB", "a pickle of dicts and lists")

    tables = data["nasbench201"]

    def hw_nas_bench() -> object:
        return {metric: tables["cifar10"][metric][6111] for metric in RIVAL_METRICS}["pixel3_latency"]

    tuples = {bench.space.parse(i).vector: float(latency[i]) for i in range(len(bench.space))}
    key = bench.space.parse(6111).vector
    frame = pd.DataFrame(
        {"arch": [bench.space.format(i) for i in range(len(bench.space))], "latency": latency}
    ).set_index("arch")
    database = duckdb.connect()
    database.register("frame", frame.reset_index())
    database.execute("create table t as select * from frame")
    by_index = each(lambda: bench.query(6111, device="pixel3").latency, 20000)
    by_string = each(lambda: bench.query(arch, device="pixel3").latency, 20000)
    line(
        "warm query and its latency, by index",
        by_index * 1e6,
        each(hw_nas_bench, 20000) * 1e6,
        "us",
        "dicts and lists, all metrics",
    )
    line(
        "warm query and its latency, by string",
        by_string * 1e6,
        each(lambda: tuples[key], 50000) * 1e6,
        "us",
        "a dict of tuples",
    )
    line("  the same", by_string * 1e6, each(lambda: frame.loc[arch, "latency"], 2000) * 1e6, "us", "pandas .loc")
    ask = "select latency from t where arch = ?"
    line(
        "  the same", by_string * 1e6, each(lambda: database.execute(ask, [arch]).fetchone(), 200) * 1e6, "us", "DuckDB"
    )
    line("  the same, by index", by_index * 1e6, each(lambda: latency[6111], 50000) * 1e6, "us", "bare NumPy indexing")

    rng = np.random.default_rng(0)
    print()
    for rows in (15_625, 1_000_000):
        indices = rng.integers(0, len(bench.space), rows)
        many = each(lambda: bench.query_many(indices, device="pixel3", metrics=("latency", "accuracy")), 5)  # noqa: B023
        bare = each(lambda: (latency[indices], latency[indices]), 5)  # noqa: B023
        line(
            f"query_many, 2 metrics x {rows:,} indices",
            2 * rows / many / 1e6,
            2 * rows / bare / 1e6,
            "M values/s",
            "bare NumPy indexing",
        )
        print(f"{'':<46}{'at least 100 M values/s: ' + ('yes' if 2 * rows / many >= 100e6 else 'NO')}")
    whole = each(lambda: bench.column("latency", device="pixel3"), 1000)
    line(
        "column, the whole space",
        15_625 / whole / 1e6,
        15_625 / each(latency.copy, 1000) / 1e6,
        "M values/s",
        "copying a NumPy array",
    )
    strings = [bench.space.format(i) for i in range(len(bench.space))]
    shuffled = [strings[i] for i in rng.permutation(len(strings))]
    for name, texts in (("in index order", strings), ("shuffled", shuffled)):
        text = each(lambda: bench.query_many(texts, device="pixel3", metrics=("latency",)), 5)  # noqa: B023
        pandas_text = each(lambda: frame["latency"].reindex(texts), 5)  # noqa: B023
        line(
            f"query_many, 15,625 strings {name}",
            15_625 / text / 1e6,
            15_625 / pandas_text / 1e6,
            "M values/s",
            "pandas .reindex",
        )

    print()
    archs = rng.integers(0, 9, (200_000, 22))
    column = fbnet.plan("pixel3", metrics=("latency",)).resolved["latency"].column
    keys = [f"{position}_{choice}" for position in range(22) for choice in range(9)]
    costs = dict(zip(keys, column.coefficients().ravel().tolist(), strict=True))  # type: ignore[attr-defined]
    one = archs[0].tolist()
    single = each(lambda: fbnet.query(one, device="pixel3").latency, 5000)
    loop = each(lambda: sum(costs[f"{p}_{c}"] for p, c in enumerate(one)), 5000)
    line("FBNet look-up table, one network", single * 1e6, loop * 1e6, "us", "a sum over a dict of operators")
    batch = each(lambda: fbnet.query_many(archs, device="pixel3", metrics=("latency",)), 1)
    table = column.coefficients()  # type: ignore[attr-defined]
    positions = np.arange(22)
    bare = each(lambda: table[positions, archs].sum(axis=1), 1)
    line("FBNet look-up table, 200,000 networks", 0.2 / batch, 0.2 / bare, "M archs/s", "bare NumPy indexing")


if __name__ == "__main__":
    main()
