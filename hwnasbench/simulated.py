"""Columns that are computed when they are asked for: what cost models say of a space on a device.

Making one imports nothing; NumPy and the cost model come when a value is read.
"""

from __future__ import annotations

import math

from hwnasbench.errors import InvalidRequest
from hwnasbench.plan import remember
from hwnasbench.tables.columns import Column
from hwnasbench.vocabulary import KEYS, METRICS, PER_LAYER, SCOPE_KEYS, STATUSES, simulated_metrics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from hwnasbench.benchmark import Benchmark
    from hwnasbench.costs.simulate import Simulated, Simulator
    from hwnasbench.devices import Device
    from hwnasbench.spaces import Space

#: Source id of simulated values.
SOURCE = "hwnasbench-simulated"
#: The record of that source, beside those of the tables.
RECORD = {
    "title": "Cost models of hwnasbench",
    "repository": "",
    "commit": "",
    "licence": "Apache-2.0",
    "priority": 0,
    "citation": "@software{hwnasbench_costs,\n  title = {Cost models of {hwnasbench}},\n"
    "  author = {{The hwnasbench developers}}\n}",
}
_OK = STATUSES.index("ok")
#: Settings remembered: each parametric device makes new ones.
_SETTINGS = 1 << 10
#: Counts of networks; the source that the counts of the shipped tables name.
COUNTS = ("params", "macs")
COUNTS_SOURCE = "hwnasbench-counts"


class Setting:
    """One space on one device at one data set, precision and batch; its metrics share one evaluation."""

    def __init__(self, bench: Benchmark, device: Device, dataset: str, precision: str, batch: int) -> None:
        self.space = bench.space
        self.device = device
        self.dataset = dataset
        self.precision = precision
        self.batch = batch
        self._simulator: Simulator | None = None
        self._last: tuple[Any, dict[str, Simulated]] | None = None
        self._batch: tuple[Any, dict[str, Simulated]] | None = None

    @property
    def simulator(self) -> Simulator:
        """The cost model, made when it is first needed."""
        if self._simulator is None:
            from hwnasbench.costs.simulate import Simulator

            self._simulator = Simulator(self.device, self.precision, self.batch)
        return self._simulator

    def one(self, where: Any) -> dict[str, Simulated]:
        """Return every metric of one architecture."""
        if not self.device.cost:
            return {}
        if self._last is None or self._last[0] != where:
            vectors = self.space.vectors([where])
            self._last = (where, self.simulator.many(self.space, vectors, self.dataset))
        return self._last[1]

    def many(self, where: NDArray[Any] | None) -> dict[str, Simulated]:
        """Return every metric of many architectures, by index or vector; None is the whole space.

        The last batch is remembered, by a copy that nobody can change: each metric asks for it anew.
        """
        if not self.device.cost:
            return {}
        if self._batch is None or not _same(self._batch[0], where):
            found = self.simulator.many(self.space, _vectors(self.space, where), self.dataset)
            self._batch = (None if where is None else where.copy(), found)
        return self._batch[1]


def _vectors(space: Space, where: NDArray[Any] | None) -> NDArray[np.int8]:
    """Return the decisions of architectures by index (enumerable spaces; None is all) or by vector."""
    if not space.enumerable:
        return space.vectors(where)
    every = space.all_vectors()
    return every if where is None else every[where]


def _same(a: NDArray[Any] | None, b: NDArray[Any] | None) -> bool:
    if a is None or b is None:
        return a is b
    return bool(a.shape == b.shape and (a == b).all())


class ComputedColumn(Column):
    """A column whose values are computed; subclasses say how.

    Attributes
    ----------
    counted : Space
        The space whose networks are laid out.
    """

    of = None
    kind = "simulated"
    kinds = ("simulated",)
    flags = ()
    count = None
    priority = 0

    def __init__(self, space: Space, metric: str, source: str, known: dict[str, str | int]) -> None:
        self.counted = space
        self.space = space.name
        self.metric = metric
        self.source = source
        scope = SCOPE_KEYS[METRICS[metric].scope]
        self.keys = {key: known.get(key) if key in scope else None for key in KEYS}

    def noises(self) -> float:
        """Return 0: what is computed repeats exactly."""
        return 0.0

    def batch_of(self, where: NDArray[Any] | None) -> tuple[NDArray[np.float64], NDArray[np.uint8] | None]:
        """Return values and status codes (None where all are ok) of many architectures; None is the whole space."""
        raise NotImplementedError


class SimulatedColumn(ComputedColumn):
    """One metric of a `Setting`, computed on demand."""

    def __init__(self, setting: Setting, metric: str) -> None:
        self.setting = setting
        known: dict[str, str | int] = {
            "dataset": setting.dataset,
            "device": setting.device.name,
            "batch": setting.batch,
            "precision": setting.precision,
        }
        super().__init__(setting.space, metric, SOURCE, known)

    def _found(self, where: Any) -> Simulated | None:
        return self.setting.one(where).get(self.metric)

    def read(self, where: Any) -> float:
        found = self._found(where)
        return math.nan if found is None else float(found.values[0])

    def status(self, where: Any) -> str:
        found = self._found(where)
        return "no_source" if found is None else STATUSES[found.status[0]]

    def shortfall(self, where: Any) -> str:
        """Return in words by how much a network does not fit."""
        found, simulator = self.setting.one(where), self.setting.simulator
        sizes = (float(found[name].values[0]) for name in ("peak_memory", "model_size"))
        short = simulator.model.shortfall(simulator.values, *sizes)
        return ", ".join(f"{memory} is {kib:,.1f} KiB short" for memory, kib in short.items())

    def std_at(self, where: Any) -> float | None:
        """Return the root mean square error of the device's fit on held-out networks like these, where known."""
        share = spread(self.setting, self.metric)
        return None if share is None else share * abs(self.read(where))

    def batch_of(self, where: NDArray[Any] | None) -> tuple[NDArray[np.float64], NDArray[np.uint8] | None]:
        import numpy as np

        found = self.setting.many(where).get(self.metric)
        if found is None:
            n = self.setting.space.size if where is None else len(where)
            return np.full(n, np.nan), np.full(n, STATUSES.index("no_source"), np.uint8)
        values, status = found
        return values, None if (status == _OK).all() else status


class CountColumn(ComputedColumn):
    """Parameters or multiply-accumulates of a space, counted on demand."""

    def __init__(self, bench: Benchmark, metric: str, dataset: str) -> None:
        super().__init__(bench.space, metric, COUNTS_SOURCE, {"dataset": dataset})

    def read(self, where: Any) -> float:
        network = self.counted.network(where, str(self.keys["dataset"]))
        return float(getattr(network, self.metric))

    def status(self, where: Any) -> str:
        return STATUSES[_OK]

    def batch_of(self, where: NDArray[Any] | None) -> tuple[NDArray[np.float64], NDArray[np.uint8] | None]:
        import numpy as np

        from hwnasbench.networks import count_many

        counts = count_many(self.counted, _vectors(self.counted, where), str(self.keys["dataset"]))
        return counts[self.metric].astype(np.float64), None


def spread(setting: Setting, metric: str) -> float | None:
    """Return the relative root mean square error of a device's fit on networks that it never saw, or None.

    Only networks of the same space, data set, batch and precision tell it, never blocks or single layers. A
    throughput is as wrong as its latency.
    """
    from hwnasbench.devices.parameters import fit_of

    wanted = {
        "metric": "latency" if metric == "throughput" else metric,
        "of": "networks",
        "space": setting.space.name,
        "dataset": setting.dataset,
        "batch": setting.batch,
        "precision": setting.precision,
    }
    for card in fit_of(setting.device.name).get("scorecards", ()):
        if all(card.get(key) == value for key, value in wanted.items()):
            return float(card["rmspe"]) / 100
    return None


def column(bench: Benchmark, metric: str, device: Device | None, named: dict[str, Any]) -> ComputedColumn | None:
    """Return the simulated column that answers a request, or None where no cost model does.

    Raises
    ------
    UnknownName
        When the device does not run the precision that the request names.
    """
    named = {key: value for key, value in named.items() if key in SCOPE_KEYS[METRICS[metric].scope]}
    if metric in COUNTS and bench.space.datasets:
        return CountColumn(bench, metric, named.get("dataset", bench.space.datasets[0]))
    if device is None or metric not in simulated_metrics(device.device_class) or not bench.space.datasets:
        return None
    if any(key not in ("dataset", "precision", "batch") for key in named):
        return None
    dataset = named.get("dataset") or bench.defaults["defaults"].get("dataset") or bench.space.datasets[0]
    if dataset not in bench.space.datasets:
        return None
    mixed = getattr(bench.space, "per_layer", False)
    precision = str(named.get("precision") or (PER_LAYER if mixed else device.defaults.get("precision", "fp32")))
    batch = named.get("batch", device.defaults.get("batch", 1))
    if not isinstance(batch, int) or batch < 1:
        raise InvalidRequest(f"batch={batch!r}: expected 1 or more")
    if named.get("precision"):
        from hwnasbench.costs.simulate import check_precision

        if not device.cost:
            return None
        check_precision(device, precision)
    key = (device.name, dataset, precision, batch)
    setting = bench.settings.get(key)
    if setting is None or setting.device is not device:
        setting = Setting(bench, device, dataset, precision, batch)
        remember(bench.settings, key, setting, _SETTINGS)
    return SimulatedColumn(setting, metric)
