"""Random networks on a Jetson Nano, with latency and energy: samples for a fit, and a roofline fitted to them alone.

No other published energy at hand is fitted here: HW-NAS-Bench-360's is in `surrogates.fits.roofline`, and PlatformX's
values are of whole runs (see `data_builders.operators.platformx`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from data_builders.operators import icas_jetson
from hwnasbench.costs import model, values_of
from hwnasbench.costs.layers import Layers
from hwnasbench.devices import catalog
from surrogates import folds
from surrogates.fits import Fit, scorecard

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from data_builders.operators.icas_jetson import Row

DEVICE = "jetson_nano"
#: How many of the random networks a fit looks at, and the seed that draws them.
NETWORKS = 2500
SEED = 20203
#: Where the search begins. The rate of linear layers begins below what the bandwidth allows them (a weight is 4 bytes),
#: without which the search does not feel it.
BEGIN = {
    "conv_gmacs": 100.0,
    "pointwise_gmacs": 80.0,
    "depthwise_gmacs": 15.0,
    "linear_gmacs": 1.0,
    "bandwidth_gbps": 25.0,
    "launch_us": 40.0,
    "call_us": 500.0,
}
POWERS = ("idle_w", "mac_pj", "dram_pj_per_byte")


class Sample:
    """Layers of many networks in one table, and a value of each network.

    Attributes
    ----------
    layers : Layers
    count : int
        Layers of all networks.
    values : (n,) ndarray of float
    fold : (n,) ndarray of int8
        The same at all widths of the image.
    """

    def __init__(self, rows: Sequence[Row], values: Sequence[float]) -> None:
        tables = [row.network.layers for row in rows]
        self.layers = Layers(np.concatenate(tables))
        self.count = len(self.layers)
        self.values = np.array(values)
        self.fold = folds.assign([row.architecture for row in rows])
        self._owner = np.repeat(np.arange(len(tables)), [len(table) for table in tables])

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum over the layers of each network."""
        return np.bincount(self._owner, values, len(self.values)).astype(np.float64)

    def at(self, runs: str) -> Sample:
        """Return what runs, which is the same whether an engine removes dead layers or not: there are none."""
        return self


def rows(sources: Path) -> tuple[list[Row], list[Row]]:
    """Return `NETWORKS` random networks in the order of the files, and the well-known ones."""
    found = list(icas_jetson.rows(sources / "icas_jetson"))
    random = [row for row in found if row.loop_latency is not None]
    drawn = np.sort(np.random.default_rng(SEED).permutation(len(random))[:NETWORKS])
    return [random[at] for at in drawn], [row for row in found if row.loop_latency is None]


def samples(sources: Path) -> dict[str, Sample]:
    """Return the drawn networks with ``latency`` in ms and ``energy`` in mJ, both of the same minute of calls, in fp32.

    Latency includes the copies to and from the GPU; energy is that of GPU and CPU, idle power included.
    """
    return samples_of(rows(sources)[0])


def samples_of(drawn: Sequence[Row]) -> dict[str, Sample]:
    """Return the samples of `samples` of given networks; latency is the published mean where a minute's is not."""
    latency = [row.loop_latency or row.latency for row in drawn]
    return {"latency": Sample(drawn, latency), "energy": Sample(drawn, [row.energy for row in drawn])}


def simulated(sample: Sample, found: Mapping[str, Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return milliseconds and millijoules of each network with some parameters replaced."""
    roofline, values = model("roofline"), values_of(catalog()[DEVICE], found)
    costs = roofline.cost(sample.layers, values)
    return sample.sums(costs.latency) + roofline.overhead(values), sample.sums(costs.energy)


def alone(taken: Mapping[str, Sample]) -> tuple[Fit, dict[str, NDArray[np.float64]]]:
    """Fit latency and energy to these networks alone.

    Returns
    -------
    Fit
    dict of str to (n,) ndarray of float
        By metric, what fits that never saw its architecture say of each network.
    """
    held = {metric: np.empty(len(sample.values)) for metric, sample in taken.items()}
    for fold in range(folds.FOLDS):
        mine = taken["latency"].fold == fold
        latency, energy = simulated(taken["latency"], _solve(taken, ~mine))
        held["latency"][mine], held["energy"][mine] = latency[mine], energy[mine]
    found = _solve(taken, np.ones(len(held["latency"]), bool))
    source = f"icas_jetson: {len(held['latency'])} random networks"
    cards = [
        scorecard(metric, f"{source} (random)", sample.values, held[metric], folds=folds.FOLDS)
        for metric, sample in taken.items()
    ]
    return Fit(DEVICE, "roofline", source, found, cards), held


def _solve(taken: Mapping[str, Sample], seen: NDArray[np.bool_]) -> dict[str, float]:
    found = _latency(taken["latency"], seen)
    return {**found, **_powers(taken["energy"], seen, found)}


def _latency(sample: Sample, seen: NDArray[np.bool_]) -> dict[str, float]:
    """Fit the logarithms of the parameters to those of the latencies; no rate may pass the peak."""
    from scipy.optimize import least_squares

    begin = np.log(list(BEGIN.values()))
    peak = float(catalog()[DEVICE].parameters()["peak_gmacs"]["value"])
    highest = np.log([peak if name.endswith("_gmacs") else 1000 * value for name, value in BEGIN.items()])

    def found(logs: NDArray[np.float64]) -> dict[str, float]:
        return dict(zip(BEGIN, np.exp(logs).tolist(), strict=True))

    def residuals(logs: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.log(simulated(sample, found(logs))[0] / sample.values)[seen])

    result = least_squares(residuals, begin, bounds=(begin - 7, highest), loss="soft_l1", f_scale=0.1, max_nfev=60)
    return found(result.x)


def _powers(sample: Sample, seen: NDArray[np.bool_], found: Mapping[str, float]) -> dict[str, float]:
    """Fit idle power and the energies of arithmetic and of bytes to relative errors, none of them negative."""
    from scipy.optimize import nnls

    none = {**found, "buffer_pj_per_byte": 0.0, **dict.fromkeys(POWERS, 0.0)}
    columns = [simulated(sample, {**none, name: 1.0})[1] / sample.values for name in POWERS]
    best = nnls(np.stack(columns, axis=1)[seen], np.ones(int(seen.sum())))[0]
    return {**dict(zip(POWERS, best.tolist(), strict=True)), "buffer_pj_per_byte": 0.0}
