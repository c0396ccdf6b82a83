"""Processors fitted to published tables of blocks and layers: Note10, Pixel 1, Xeon Gold 6130, V100 with TensorRT.

A row of a table is a block, a layer or, for TF-NAS, whose numbers of a block seem sorted by its width, a whole
network as the table adds it up. Rows of one name (whatever the image's size) are in one fold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data_builders.operators import ofa_luts, tfnas, tinynas_v100
from hwnasbench.costs import model, values_of
from hwnasbench.costs.layers import Layers
from hwnasbench.devices import catalog
from hwnasbench.devices.parameters import parameters
from surrogates import folds
from surrogates.fits import Fit, scorecard

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from hwnasbench.networks import Network

SEED = 20204
#: Networks drawn from a table of TF-NAS; convolutions drawn from each file of TinyNAS.
NETWORKS, CONVOLUTIONS = 1500, 4000
_ALL = ("pointwise_gmacs", "depthwise_gmacs", "bandwidth_gbps", "launch_us", "light_us")
#: What the rows of each device can tell apart: the Note10's linear layers are bound by their bytes, and all networks
#: of TF-NAS have the same dense convolution and linear layer, of which a sum alone is known.
NAMES = {
    "note10": (*_ALL, "conv_gmacs", "pool_gops"),
    "pixel1": (*_ALL, "conv_gmacs", "pool_gops", "linear_gmacs"),
    "xeon_6130": _ALL,
    "v100_tensorrt": (*_ALL, "conv_gmacs", "speedup_16", "speedup_8"),
}


@dataclass
class Sample:
    """Rows of one table: their layers side by side, which row each belongs to, milliseconds and folds."""

    layers: Layers
    owner: NDArray[np.intp]
    true: NDArray[np.float64]
    fold: NDArray[np.int8]

    @property
    def precision(self) -> str:
        """The precision of all layers."""
        return {32: "fp32", 16: "fp16", 8: "int8"}[int(self.layers.weight_bits[0])]

    def latency(self, device: str, given: Mapping[str, float]) -> NDArray[np.float64]:
        """Return what the device's model says of each row, some parameters replaced."""
        values = values_of(catalog()[device], given)
        each = model("roofline").cost(self.layers, values).latency
        total = np.bincount(self.owner, each, len(self.true)).astype(np.float64)
        return total + model("roofline").overhead(values)


def sample(networks: Sequence[Network], true: Iterable[float], names: Sequence[str], batch: Any = 1) -> Sample:
    """Return rows side by side.

    Parameters
    ----------
    networks : sequence of Network
    true : iterable of float
        Milliseconds of each.
    names : sequence of str
        Rows of one name are in one fold.
    batch : int or sequence of int
        Images of one call.
    """
    owner = np.repeat(np.arange(len(networks)), [len(network) for network in networks])
    images = np.broadcast_to(np.asarray(batch), len(networks))[owner]
    layers = Layers(np.concatenate([network.layers for network in networks]), images)
    return Sample(layers, owner, np.fromiter(true, np.float64), folds.assign(names))


def fits(sources: Path) -> Iterator[Fit]:
    """Yield the fits of the four devices."""
    yield fit_device("note10", {"blocks": note10(sources)}, "ofa_luts: ofa/note10 at five image sizes")
    yield fit_device("pixel1", {"blocks": pixel1(sources)}, "ofa_luts: proxylessnas/mobile_trim.yaml")
    drawn = {"sums of blocks": drawn_networks(sources, "xeon_6130")}
    yield fit_device("xeon_6130", drawn, f"tfnas: {NETWORKS} networks as latency_cpu.pkl adds them up")
    layers = {f"convolutions, {name}": convolutions(sources, name) for name in tinynas_v100.FILES}
    yield fit_device("v100_tensorrt", layers, "tinynas_v100: conv_data.out at batch 1, 32, 64 and 128")


def note10(sources: Path) -> Sample:
    """Return the Note10's blocks at all five image sizes; one block at five sizes is in one fold."""
    rows = [row for size in ofa_luts.NOTE10 for row in ofa_luts.note10(sources / "ofa_luts", size)]
    return _blocks(rows)


def pixel1(sources: Path) -> Sample:
    """Return the Pixel 1's blocks."""
    return _blocks(list(ofa_luts.pixel1(sources / "ofa_luts")))


def _blocks(rows: Sequence[ofa_luts.Row]) -> Sample:
    names = [_without_size(row.name) for row in rows]
    return sample([row.network for row in rows], (row.latency for row in rows), names)


def _without_size(name: str) -> str:
    """Return a block's name without heights and widths."""
    return "-".join(part.rpartition("x")[2] if "x" in part else part for part in name.split("-"))


def drawn_networks(sources: Path, device: str, count: int = NETWORKS) -> Sample:
    """Return networks drawn from a table of TF-NAS, with the sums that it defines."""
    table = tfnas.table(sources / "tfnas", device)
    rng = np.random.default_rng(SEED)
    chosen = [tfnas.draw(table, rng) for _ in range(count)]
    networks = [tfnas.network(blocks) for blocks in chosen]
    true = (table.latency(blocks) for blocks in chosen)
    return sample(networks, true, [str(blocks) for blocks in chosen], tfnas.FILES[device][1])


def convolutions(sources: Path, precision: str) -> Sample:
    """Return convolutions drawn from TinyNAS's file of a precision; one convolution at four batches is in one fold."""
    known = [row for row in tinynas_v100.rows(sources / "tinynas_v100", precision) if row.latency is not None]
    drawn = np.sort(np.random.default_rng(SEED).permutation(len(known))[:CONVOLUTIONS])
    rows = [known[number] for number in drawn]
    networks = [row.network(precision) for row in rows]
    names = [str((row.key[0], *row.key[2:-1])) for row in rows]
    return sample(networks, (float(row.latency or 0) for row in rows), names, [row.batch for row in rows])


def fit_device(device: str, samples: Mapping[str, Sample], source: str) -> Fit:
    """Fit one device to all its samples at once, and judge each by fits that never saw the fold."""
    held = held_out(device, samples)
    cards = []
    for name, part in samples.items():
        extra = {"folds": folds.FOLDS, "precision": part.precision}
        cards.append(scorecard("latency", f"{source} ({name})", part.true, held[name], **extra))
    return Fit(device, "roofline", source, solve(device, samples, None), cards)


def held_out(device: str, samples: Mapping[str, Sample]) -> dict[str, NDArray[np.float64]]:
    """Return what fits say of the rows of the folds that they never saw."""
    held = {name: np.empty(len(part.true)) for name, part in samples.items()}
    for fold in range(folds.FOLDS):
        found = solve(device, samples, fold)
        for name, part in samples.items():
            held[name][part.fold == fold] = part.latency(device, found)[part.fold == fold]
    return held


def solve(device: str, samples: Mapping[str, Sample], fold: int | None) -> dict[str, float]:
    """Fit the logarithms of the parameters to the logarithms of the latencies, a fold left out."""
    from scipy.optimize import least_squares

    names = NAMES[device]
    start = _start(device)
    kept = {name: part.fold != (-1 if fold is None else fold) for name, part in samples.items()}
    rows = sum(int(rows.sum()) for rows in kept.values())

    def residuals(logs: NDArray[np.float64]) -> NDArray[np.float64]:
        found = dict(zip(names, np.exp(logs).tolist(), strict=True))
        parts = [np.log(part.latency(device, found) / part.true)[kept[name]] for name, part in samples.items()]
        pull = 0.02 * np.sqrt(rows) * (logs - start) / 5  # what the rows cannot tell stays near its default
        return np.concatenate([*parts, pull])

    peak = np.log(catalog()[device].parameters()["peak_gmacs"]["value"])
    known = parameters("roofline")
    lowest = np.array([max(-7 + at, np.log(known[name].low or 1e-300)) for name, at in zip(names, start, strict=True)])
    highest = np.array([min(7 + at, np.log(known[name].high)) for name, at in zip(names, start, strict=True)])
    highest = np.where([name.endswith("_gmacs") for name in names], peak, highest)
    result = least_squares(
        residuals, np.minimum(start, highest), bounds=(lowest, highest + 1e-9), loss="soft_l1", f_scale=0.1, max_nfev=60
    )
    best: dict[str, float] = dict(zip(names, np.exp(np.minimum(result.x, highest)).tolist(), strict=True))
    if "speedup_8" in best:
        best["speedup_8"] = max(best["speedup_8"], best["speedup_16"])  # as the model takes it
    return best


def _start(device: str) -> NDArray[np.float64]:
    known, device_class = parameters("roofline"), catalog()[device].device_class
    values = [known[name].by_class.get(device_class, {"value": known[name].value})["value"] for name in NAMES[device]]
    return np.log(np.array(values, np.float64))
