"""The Edge TPU against LatBench's measured NAS-Bench-201 cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from data_builders.pickles import load
from hwnasbench import spaces
from surrogates.fits import Fit, scorecard
from surrogates.fits.accelerators import sums

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from hwnasbench.networks import Network
    from surrogates.fits.accelerators import Sums

DEVICE = "edgetpu"
FILE = "embedded-tpu-edge-tpu-int8.pickle"
#: Bandwidth and overheads; array and clock are not fitted.
_START = {"dram_gbps": 1.0, "layer_us": 10.0, "call_us": 200.0}
_CELLS, _FOLDS = 1000, 5


def measured(sources: Path, seed: int = 0) -> tuple[list[Network], NDArray[np.float64]]:
    """Return connected cells, drawn at random, and their published milliseconds."""
    table = load(sources / "latbench" / FILE)
    space = spaces.get("nasbench201")
    names = list(table)
    networks, values = [], []
    for at in np.random.default_rng(seed).permutation(len(names))[:_CELLS]:
        network = space.network(int(space.indices(np.array([names[at]], np.int64))[0]), "cifar10").live().at("int8")
        if len(network):
            networks.append(network)
            values.append(float(table[names[at]]) * 1000.0)
    return networks, np.array(values)


def latency(table: Sums, given: Mapping[str, float]) -> NDArray[np.float64]:
    """Return the milliseconds of each network, the call's overhead included."""
    return table.latency(DEVICE, given)


def _search(table: Sums, true: NDArray[np.float64], seen: NDArray[np.bool_]) -> dict[str, float]:
    from scipy.optimize import minimize

    def loss(point: NDArray[np.float64]) -> float:
        guess = latency(table, dict(zip(_START, np.exp(point).tolist(), strict=True)))
        return float(np.mean(np.log(guess / true)[seen] ** 2))

    options = {"maxiter": 150, "xatol": 1e-3, "fatol": 1e-8}
    found = minimize(loss, np.log(list(_START.values())), method="Nelder-Mead", options=options)
    return dict(zip(_START, np.exp(found.x).tolist(), strict=True))


def fits(sources: Path) -> Iterator[Fit]:
    """Yield the fit of the Edge TPU, judged by five folds."""
    networks, true = measured(sources)
    table = sums(networks)
    fold = np.random.default_rng(0).permutation(len(true)) % _FOLDS
    held_out = np.empty(len(true))
    for number in range(_FOLDS):
        held_out[fold == number] = latency(table, _search(table, true, fold != number))[fold == number]
    source = f"latbench: {FILE}"
    card = scorecard("latency", source, true, held_out, folds=_FOLDS)
    text = f"{source}, latency, {len(true)} rows"
    yield Fit(DEVICE, "systolic", text, _search(table, true, fold >= 0), [card])
