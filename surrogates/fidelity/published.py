"""Cost models against HW-NAS-Bench's published latencies of NAS-Bench-201."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench import spaces
from hwnasbench.costs.simulate import Simulator, simulate
from hwnasbench.devices import Device, catalog
from surrogates.fits import samples, spearman

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

#: Latency in ms and energy in mJ of architecture 0 on CIFAR-10: the sample in HW-NAS-Bench's documentation.
SAMPLE = {"eyeriss": (3.645620000000001, 0.6872827644999999), "fpga": (2.57296, 18.01072)}


def latencies(sources: Path, device: str) -> list[str]:
    """Return a table: rank correlation and errors on every connected cell that the fit did not look at."""
    space = spaces.get("nasbench201")
    found = samples.columns(sources)[device, "nasbench201", "latency", 1]
    true = np.asarray(found.column.values, np.float64)
    vectors = space.vectors(found.column.archs)
    parts = space.compose(vectors, "cifar10")
    seen = samples.rows_of(found)
    judged = parts.peaks > 0
    judged[seen] = False
    clean = (space.compose(vectors, "cifar10", "nonzero").codes == parts.codes).all(1)
    guess, live = (_simulated(named, vectors) for named in (catalog()[device], _live(catalog()[device])))
    return [
        f"Published latencies of the {int(judged.sum())} connected cells (CIFAR-10, int16) that the fit of clock and",
        "bandwidth did not look at. They are sums over all six edges, dead ones too (`runs` is `nonzero`).",
        "",
        "| cells | n | Spearman | median scale | median error [%] | worst error [%] |",
        "|---|---|---|---|---|---|",
        _row("all, as simulated", true[judged], guess[judged]),
        _row("those without a dead edge", true[judged & clean], guess[judged & clean]),
        _row("all, were dead edges removed", true[judged], live[judged]),
    ]


def sample(device: str) -> str:
    """Return a sentence on architecture 0, the one published row with an energy that is at hand."""
    found = simulate(spaces.get("nasbench201").network(0, "cifar10"), catalog()[device])
    told = []
    for (name, unit), true in zip((("latency", "ms"), ("energy", "mJ")), SAMPLE[device], strict=True):
        value = float(found[name])
        told.append(f"{name} {value:.3f} {unit}, published {true:.3f} {unit}, {value / true:.2f} times as much")
    return f"Architecture 0: {'; '.join(told)}."


def _simulated(device: Device, vectors: NDArray[np.int8]) -> NDArray[np.float64]:
    return Simulator(device).many(spaces.get("nasbench201"), vectors, "cifar10")["latency"].values


def _live(device: Device) -> Device:
    """Return the device, were it to remove dead edges."""
    own = {**device.cost.get("parameters", {}), "runs": {"value": "live", "evidence": "chosen"}}
    return Device({**device.to_dict(), "cost": {**device.cost, "parameters": own}})


def _row(cells: str, true: NDArray[np.float64], guess: NDArray[np.float64]) -> str:
    error = np.abs(guess / true - 1) * 100
    numbers = f"{len(true)} | {spearman(true, guess):.4f} | {np.median(guess / true):.3f}"
    return f"| {cells} | {numbers} | {np.median(error):.1f} | {error.max():.1f} |"
