"""Speed of the cost models on one core, and of ZigZag on the same layers where it is installed.

Rates are of wall time and, in brackets, of this thread's own time, which a busy machine disturbs less.

usage: python scripts/bench/costs.py [--models NAME ...] [--rows N]
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import time
from collections.abc import Callable, Sequence

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402

import hwnasbench  # noqa: E402
from hwnasbench import costs, spaces  # noqa: E402
from hwnasbench.costs.base import chunked  # noqa: E402
from hwnasbench.costs.simulate import Simulator  # noqa: E402
from hwnasbench.devices import catalog  # noqa: E402
from hwnasbench.devices.accelerator_spaces import joint  # noqa: E402
from hwnasbench.devices.parameters import parameters  # noqa: E402

PAIRS = 100_000
RUNS = 5
COLUMN_MS = 50


def timed(function: Callable[[], object], runs: int = RUNS) -> tuple[float, float]:
    """Return the median wall time and the median time of this thread [s], after one call to warm up."""
    function()
    wall, own = [], []
    for _ in range(runs):
        start, thread = time.perf_counter(), time.thread_time()
        function()
        wall.append(time.perf_counter() - start)
        own.append(time.thread_time() - thread)
    return statistics.median(wall), statistics.median(own)


def line(name: str, count: int, unit: str, seconds: tuple[float, float]) -> None:
    """Print a rate."""
    wall, own = seconds
    print(f"{name:<58}{count / wall / 1e6:>9.3f} M {unit}/s  ({count / own / 1e6:.3f})")


def fbnet_layers() -> np.ndarray:
    """Return the unique int8 layers of 200 random networks of FBNet."""
    space = spaces.get("fbnet")
    archs = space.sample_many(np.random.default_rng(0), 200)
    tables = [space.network(arch.tolist(), "cifar100").live().at("int8").layers for arch in archs]
    return np.unique(np.concatenate(tables))


def designs(model: str, count: int) -> dict[str, np.ndarray]:
    """Return random designs: every whole number (no switch) that is a design decision, halved, kept or doubled."""
    rng = np.random.default_rng(1)
    out = {}
    for name, parameter in parameters(model).items():
        if parameter.integer and parameter.evidence == "chosen" and parameter.high > 1:
            choices = np.clip(
                [int(parameter.value) // 2, parameter.value, int(parameter.value) * 2], parameter.low, parameter.high
            )
            out[name] = rng.choice(choices.astype(float), count)
    return out


def pairs(model: str) -> Callable[[], object]:
    """Return a function that costs 100,000 pairs of a MobileNetV2 network and a design, layer tables included."""
    space = spaces.get("mobilenetv2")
    archs = space.sample_many(np.random.default_rng(0), PAIRS)
    drawn = designs(model, PAIRS)
    step = 1000  # pairs at a time, so that the tables stay small

    def run() -> float:
        total = 0.0
        for start in range(0, PAIRS, step):
            part = slice(start, start + step)
            table, offsets = space.layer_table(archs[part])
            lengths = np.diff(offsets)
            given = {name: np.repeat(values[part], lengths) for name, values in drawn.items()}
            found = chunked(costs.model(model), table, costs.model(model).values(given, arrays=True))
            total += float(np.add.reduceat(found.latency, offsets[:-1]).sum())
        return total

    return run


def whole_columns(models: Sequence[str]) -> None:
    """Print how long every metric of all of NAS-Bench-201 takes on one device of each model, nothing remembered."""
    space = spaces.get("nasbench201")
    vectors = space.all_vectors()
    found = {device.cost["model"]: device for device in sorted(set(catalog().values()), key=lambda d: d.name)}
    for name in models:
        if name in found:
            start = time.perf_counter()
            Simulator(found[name]).many(space, vectors, "cifar10")
            first = (time.perf_counter() - start) * 1000
            if not costs.model(name).sequential:  # one network after the other: once is long enough
                print(f"{f'NAS-Bench-201 whole, {found[name].name}':<58}{first:>8.1f} ms; under {COLUMN_MS} ms: no")
                continue
            wall, own = timed(lambda: Simulator(found[name]).many(space, vectors, "cifar10"))  # noqa: B023
            met = "yes" if max(first, wall * 1000) < COLUMN_MS else "no"
            text = f"NAS-Bench-201 whole, {found[name].name}"
            print(
                f"{text:<58}{first:>8.1f} ms, then {wall * 1000:.1f} ms ({own * 1000:.1f}); under {COLUMN_MS} ms: {met}"
            )


def against_zigzag(table: np.ndarray) -> None:
    """Print ZigZag's time for a layer over ours: ours is that of the Eyeriss model, in 100,000 rows."""
    if importlib.util.find_spec("zigzag") is None:
        print("ZigZag is not installed here: no ratio")
        return
    from data_builders.simulate.zigzag import ZigZag

    tool, layers = ZigZag(), table[np.linspace(0, len(table) - 1, 5).astype(int)]
    start = time.perf_counter()
    for layer in layers:
        tool.evaluate(layer, "eyeriss-like")
    rival = (time.perf_counter() - start) / len(layers)
    model = costs.model("eyeriss")
    rows = np.resize(table, 100_000)
    ours = timed(lambda: chunked(model, rows, model.values({})))[0] / len(rows)
    print(
        f"one layer: ours (eyeriss) {ours * 1e6:.3f} us, ZigZag {rival * 1e6:,.0f} us: {rival / ours:,.0f} times faster"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", default=costs.names(), choices=costs.names())
    parser.add_argument("--rows", type=int, default=1_000_000)
    arguments = parser.parse_args()
    layers = fbnet_layers()
    table = np.resize(layers, arguments.rows)
    for name in arguments.models:
        model = costs.model(name)
        seconds = timed(lambda: chunked(model, table, model.values({})), 3)  # noqa: B023
        line(f"{name}, {len(layers)} layers tiled to {len(table):,} rows", len(table), "layers", seconds)
    whole_columns(arguments.models)
    if "systolic" in arguments.models:
        line(f"{PAIRS:,} pairs of a MobileNetV2 network and a design", PAIRS, "pairs", timed(pairs("systolic"), 1))
        bench = hwnasbench.load(joint(spaces.get("mobilenetv2"), "systolic"), data="shipped")
        drawn = bench.space.sample_many(np.random.default_rng(0), PAIRS)
        seconds = timed(lambda: bench.query_many(drawn, metrics=["latency"]), 1)
        line("the same by query_many, statuses and designs checked", PAIRS, "pairs", seconds)
    against_zigzag(layers)


if __name__ == "__main__":
    main()
