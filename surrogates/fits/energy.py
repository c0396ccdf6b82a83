"""Random networks on a Jetson Nano, with latency and energy: samples for the fit in `surrogates.fits.roofline`.

No other published energy at hand is fitted here: HW-NAS-Bench-360's is a column, and PlatformX's values
are of whole runs (see `data_builders.operators.platformx`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from data_builders.operators import icas_jetson
from hwnasbench.costs.layers import Layers
from surrogates import folds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from data_builders.operators.icas_jetson import Row

DEVICE = "jetson_nano"
#: How many of the random networks a fit looks at, and the seed that draws them.
NETWORKS = 2500
SEED = 20203


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
