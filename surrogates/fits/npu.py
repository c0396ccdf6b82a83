"""Ethos-U against the shipped cycles of Vela: what the closed form leaves open, fitted on one half of the layers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import hwnasbench
from hwnasbench.costs import model, values_of
from hwnasbench.costs.layers import Layers
from hwnasbench.costs.npu import Npu
from hwnasbench.devices import catalog
from hwnasbench.networks.layers import LAYER
from surrogates.fits import Fit, scorecard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

#: Device to the target of the table, and where the search of each parameter starts.
TARGETS = {"ethos_u55_128": "ethos-u55-128", "ethos_u65_256": "ethos-u65-256", "ethos_u85_256": "ethos-u85-256"}
_START = {
    "efficiency": 1.0,
    "decode_cycles": 32.0,
    "pool_factor": 4.0,
    "layer_cycles": 200.0,
    "tile_cycles": 60.0,
    "tile_depth": 40.0,
}
#: Ethos-U85's compiler core cannot be read: how it reads and writes DRAM was chosen by the errors of the same half.
_U85 = {"tile": 16.0, "whole_channels": 16.0, "whole_width": 8.0, "read_run": 64.0, "duplex": 1.0}
_OUTSIDE = {"memory_bytes_per_cycle": 3.3, "weight_factor": 1.0, "write_run": 64.0, "tile_depth": 64.0}
_SOURCE = "vela: the shipped table of ethos-u-vela 5.2.0"


def oracle(name: str, target: str, part: int | None = None) -> tuple[NDArray[np.void], dict[str, NDArray[Any]]]:
    """Return the layers of a shipped table that a tool ran on one target, and the table's other columns.

    Part 0 are the layers that fits and forms of cost models may see, part 1 those that came later and only judge.
    """
    import pyarrow.parquet as pq

    folder = Path(hwnasbench.__file__).parent / "data" / "oracles"
    table = pq.read_table(folder / f"{name}.parquet")
    columns = {key: table[key].to_numpy() for key in table.column_names}
    kept = (columns["target"] == target) & (columns["status"] == "ok")
    kept &= True if part is None else columns["part"] == part
    layers = np.zeros(int(kept.sum()), LAYER)
    for field in LAYER.names or ():
        layers[field] = columns[field][kept]
    return layers, {key: value[kept] for key, value in columns.items() if key not in (LAYER.names or ())}


def halves(count: int) -> NDArray[np.bool_]:
    """Return which layers are fitted to (seed 0); the others judge."""
    seen: NDArray[np.bool_] = np.random.default_rng(0).permutation(count) % 2 == 0
    return seen


def predictions(device: str, layers: NDArray[np.void], given: dict[str, float]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the cycles of each layer without and with its memories."""
    npu = model("npu")
    assert isinstance(npu, Npu)
    values = values_of(catalog()[device], given)
    columns = Layers(layers)
    return npu.cycles(columns, values), npu.cost(columns, values).latency * values.clock_mhz * 1e3


def fit_device(device: str) -> dict[str, float]:
    """Minimise the absolute logarithmic error of both cycles over one half of the layers."""
    from scipy.optimize import minimize

    layers, true = oracle("vela", TARGETS[device], 0)
    seen = halves(len(layers))
    outside = device == "ethos_u85_256"
    start, form = {**_START, **(_OUTSIDE if outside else {})}, _U85 if outside else {}

    def loss(point: NDArray[np.float64]) -> float:
        given = form | dict(zip(start, np.exp(point).tolist(), strict=True))
        guess = predictions(device, layers[seen], given)
        pairs = zip(guess, (true["npu_cycles"], true["cycles"]), strict=True)
        return sum(float(np.mean(np.abs(np.log(found / want[seen])))) for found, want in pairs)

    options = {"maxiter": 900, "xatol": 1e-4, "fatol": 1e-7}
    found = minimize(loss, np.log(list(start.values())), method="Nelder-Mead", options=options)
    return form | dict(zip(start, np.exp(found.x).tolist(), strict=True))


def fits(sources: Path) -> Iterator[Fit]:
    """Yield the fits of the Ethos-U devices, judged on the other half of the layers."""
    for device, target in TARGETS.items():
        layers, true = oracle("vela", target, 0)
        held = ~halves(len(layers))
        given = fit_device(device)
        npu_cycles, cycles = predictions(device, layers[held], given)
        cards = [
            scorecard("npu_cycles", _SOURCE, true["npu_cycles"][held], npu_cycles),
            scorecard("cycles", _SOURCE, true["cycles"][held], cycles),
        ]
        yield Fit(device, "npu", f"{_SOURCE}, {target}, {int((~held).sum())} layers", given, cards)
