"""Accelerators against published latencies and throughputs of whole networks, and Ultra96-V2 against blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from data_builders.operators.ofa_fpga import rows
from hwnasbench.devices import catalog
from surrogates import folds
from surrogates.fits import Fit, samples, scorecard
from surrogates.fits.samples import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from surrogates.fits.samples import Parameters

#: What is fitted to the blocks of Ultra96-V2, and where the search starts.
ULTRA96 = {"dram_gbps": 3.0, "layer_us": 5.0, "call_us": 100.0, "activation_lanes": 8.0}
_DESIGNS: list[Parameters] = [
    {"overlap": overlap, "depthwise_lanes": lanes} for overlap in (0.0, 0.5, 1.0) for lanes in (32, 64, 128, 256)
]
_GROUPS: list[Parameters] = [
    {"groups_at_once": groups, "vector_lanes": lanes} for groups in (1, 2, 4, 8, 16, 128) for lanes in (0, 8, 32)
]
_EDGE_TPU = {"dram_gbps": 1.0, "layer_us": 3.0, "call_us": 200.0, "vector_us": 2.0}
_ARRAYS: list[Parameters] = [
    {"window_on_rows": window, "vector_lanes": lanes} for window in (0, 1) for lanes in (4, 8, 16, 32, 64)
]
# One large batch says nothing of overheads.
_TPU = {"dram_gbps": 100.0}
#: Device: space, what is fitted and where the search starts, and designs of which one is taken.
NETWORKS: dict[str, tuple[str, dict[str, float], list[Parameters]]] = {
    "eyeriss": ("nasbench201", {"clock_mhz": 200.0, "dram_gbps": 2.0}, []),
    "fpga": ("nasbench201", {"clock_mhz": 120.0, "dram_gbps": 1.5}, []),
    "zcu102": ("mnasnet", ULTRA96, _DESIGNS),
    # Its engines are not the lanes of the design, whose clock therefore is an effective one.
    "vck190": ("mnasnet", {**ULTRA96, "clock_mhz": 1000.0}, _DESIGNS),
    # Array and clock are not fitted.
    "edgetpu": ("nasbench201", _EDGE_TPU, _ARRAYS),
    "tpu_v2": ("mnasnet", _TPU, _GROUPS),
    "tpu_v3": ("mnasnet", _TPU, _GROUPS),
}


def ultra96(sources: Path) -> Stack:
    """Return the blocks measured on Ultra96-V2 and their milliseconds; of a block measured twice, the mean."""
    found: dict[str, list[Any]] = {}
    for row in rows(sources / "ofa_fpga"):
        found.setdefault(row.name, []).append(row)
    latency = [float(np.mean([row.latency for row in same])) for same in found.values()]
    return Stack([same[0].network for same in found.values()], latency, list(found))


def fits(sources: Path) -> Iterator[Fit]:
    """Yield the fits of the devices of `NETWORKS` and of ultra96."""
    columns = samples.columns(sources)
    for device, (space, begin, designs) in NETWORKS.items():
        key = next(key for key in sorted(columns) if key[:2] == (device, space) and key[2] in ("latency", "throughput"))
        label = samples.label_of(key)
        taken = {label: samples.take(catalog()[device], columns[key])}
        options = [{**design, **word} for design in designs or [{}] for word in samples.run_options(taken)]
        held = samples.held_out(catalog()[device], taken, begin, None, options)
        source = f"{columns[key].source}: {label} {key[2]}"
        yield Fit(device, catalog()[device].cost["model"], source, held.best, samples.cards(source, taken, held))
    blocks = ultra96(sources)
    held = samples.held_out(catalog()["ultra96"], {"blocks": blocks}, ULTRA96)
    source = "ofa_fpga: mean times of blocks"
    card = scorecard("latency", source, blocks.values, held.values["blocks"], folds=folds.FOLDS)
    yield Fit("ultra96", "fpga", f"{source}, latency, {blocks.count} layers", held.best, [card])
