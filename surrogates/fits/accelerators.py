"""Eyeriss and ZC706 against HW-NAS-Bench's published latencies; Ultra96-V2 against measured blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data_builders.operators.ofa_fpga import rows
from data_builders.pickles import load_pt
from hwnasbench import costs, spaces
from hwnasbench.costs import model
from hwnasbench.costs.layers import Layers
from hwnasbench.devices import catalog
from hwnasbench.networks.layers import Op
from surrogates.fits import Fit, scorecard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from hwnasbench.costs.base import Values
    from hwnasbench.networks import Network

#: What is fitted, and where the search starts.
PUBLISHED = {
    "eyeriss": {"clock_mhz": 200.0, "dram_gbps": 2.0},
    "fpga": {"clock_mhz": 120.0, "dram_gbps": 1.5},
}
ULTRA96 = {"dram_gbps": 3.0, "layer_us": 5.0, "call_us": 100.0, "activation_lanes": 8.0}
_CELLS = 1500
_FOLDS = 5


@dataclass
class Sums:
    """Layers of many networks in one table, and which network each belongs to."""

    layers: Layers
    owner: NDArray[np.intp]
    count: int

    def latency(self, device: str, given: Mapping[str, float]) -> NDArray[np.float64]:
        """Return the milliseconds of each network on a device with some parameters replaced."""
        name = catalog()[device].cost["model"]
        values = values_of(device, given)
        latency = model(name).cost(self.layers, values).latency
        total = np.bincount(self.owner, latency, self.count).astype(np.float64)
        return total + model(name).overhead(values)


def values_of(device: str, given: Mapping[str, Any]) -> Values:
    """Return the parameters of a catalogue device as numbers, those in `given` replaced."""
    return costs.values_of(catalog()[device], given)


def sums(networks: Sequence[Network]) -> Sums:
    """Return the layers of networks side by side. ZERO layers are left out: nothing computes them."""
    tables = [network.layers[network.layers["op"] != Op.ZERO] for network in networks]
    owner = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    return Sums(Layers(np.concatenate(tables)), owner, len(tables))


def published(sources: Path, device: str, seed: int = 0) -> tuple[list[Network], NDArray[np.float64]]:
    """Return connected NAS-Bench-201 cells, drawn at random, whole (dead edges too), and their published latency."""
    folder = sources / "help" / "data" / "nasbench201"
    order = load_pt(folder / "str_arch2idx.pt")
    names, index = list(order), np.array(list(order.values()))
    latency = np.asarray(load_pt(folder / "latency" / f"{device}.pt"), np.float64)
    space = spaces.get("nasbench201")
    networks, values = [], []
    for at in np.random.default_rng(seed).permutation(len(names))[:_CELLS]:
        network = space.network(space.parse(names[at]), "cifar10").at("int16")
        if len(network.live()):
            networks.append(network)
            values.append(latency[index[at]])
    return networks, np.array(values)


def measured(sources: Path) -> tuple[list[Network], NDArray[np.float64]]:
    """Return the blocks measured on Ultra96-V2 and their milliseconds; of a block measured twice, the mean."""
    found: dict[str, list[Any]] = {}
    for row in rows(sources / "ofa_fpga"):
        found.setdefault(row.name, []).append(row)
    latency = [float(np.mean([row.latency for row in same])) for same in found.values()]
    return [same[0].network for same in found.values()], np.array(latency)


def fit_device(device: str, start: Mapping[str, float], networks: Sequence[Network], true: NDArray[Any]) -> Any:
    """Return the fitted parameters, and predictions of each network by a fit that never saw it."""
    fold = np.random.default_rng(0).permutation(len(networks)) % _FOLDS
    held_out = np.empty(len(networks))
    everything = sums(networks)
    for number in range(_FOLDS):
        found = _search(device, start, everything, true, fold != number)
        held_out[fold == number] = everything.latency(device, found)[fold == number]
    return _search(device, start, everything, true, fold >= 0), held_out


def _search(device: str, start: Mapping[str, float], table: Sums, true: NDArray[Any], seen: Any) -> dict[str, float]:
    """Minimise the squared logarithmic error over the logarithms of the parameters."""
    from scipy.optimize import minimize

    def loss(point: NDArray[np.float64]) -> float:
        guess = table.latency(device, dict(zip(start, np.exp(point).tolist(), strict=True)))
        return float(np.mean(np.log(guess / true)[seen] ** 2))

    options = {"maxiter": 200, "xatol": 1e-4, "fatol": 1e-10}
    found = minimize(loss, np.log(list(start.values())), method="Nelder-Mead", options=options)
    return dict(zip(start, np.exp(found.x).tolist(), strict=True))


def fits(sources: Path) -> Iterator[Fit]:
    """Yield the fits of eyeriss, fpga and ultra96."""
    for device, start in PUBLISHED.items():
        networks, true = published(sources, device)
        yield _fitted(device, start, networks, true, f"help: nasbench201/latency/{device}.pt")
    networks, true = measured(sources)
    yield _fitted("ultra96", ULTRA96, networks, true, "ofa_fpga: mean times of blocks")


def _fitted(device: str, start: Mapping[str, float], networks: Sequence[Network], true: Any, source: str) -> Fit:
    found, held_out = fit_device(device, start, networks, true)
    card = scorecard("latency", source, true, held_out, folds=_FOLDS)
    text = f"{source}, latency, {len(true)} rows"
    return Fit(device, catalog()[device].cost["model"], text, found, [card])
