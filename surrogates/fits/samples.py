"""Networks of published columns, as fits of cost models look at them, and the search for parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from hwnasbench import spaces
from hwnasbench.costs import model
from hwnasbench.costs.layers import Layers
from hwnasbench.devices import catalog
from hwnasbench.devices.parameters import parameters, resolve
from hwnasbench.networks.runtime import RUNS
from hwnasbench.vocabulary import precision_bits
from surrogates import folds
from surrogates.fits import scorecard

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from hwnasbench.costs.base import Values
    from hwnasbench.devices import Device
    from hwnasbench.networks import Network

#: Networks of one column that a fit looks at.
ROWS = 1500
SEED = 20203
#: Sources of columns; of one device and space the first that has it is taken.
SOURCES = ("help", "latbench", "hwnasbench360", "oneproxy", "accelnasbench")

_PRECISIONS = {32: "fp32", 16: "fp16", 8: "int8"}

Parameters = dict[str, Any]


class Layered(Protocol):
    """The layers of many networks.

    Attributes
    ----------
    layers : Layers
    count : int
        Layers of all networks.
    """

    layers: Layers
    count: int

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum over the layers of each network."""
        ...


class Networks(Protocol):
    """Networks and their values; see `Sample`."""

    values: NDArray[np.float64]
    fold: NDArray[np.int8]
    keys: dict[str, Any]

    def at(self, runs: str) -> Layered:
        """Return the layers that run; see `hwnasbench.networks.runtime.RUNS`."""
        ...


class Table:
    """The unique layers of many networks, and how often each network has each of them."""

    def __init__(self, layers: Layers, counts: NDArray[np.float64]) -> None:
        self.layers = layers
        self.count = int(counts.sum())
        self._counts = counts

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum over the layers of each network."""
        return np.asarray(self._counts @ values)


class Sample:
    """Networks of one published column and their values.

    Attributes
    ----------
    values : (n,) ndarray of float
        In the metric's unit.
    fold : (n,) ndarray of int8
        The same for networks of equal function.
    keys : dict
        What a scorecard of them says: space, dataset, batch and precision, and that they are whole networks.
    """

    def __init__(
        self, space: str, dataset: str, vectors: NDArray[np.int8], values: NDArray[Any], precision: str, batch: int
    ) -> None:
        self._space = spaces.get(space)
        self._vectors = vectors
        self.keys: dict[str, Any] = {
            "of": "networks",
            "space": space,
            "dataset": dataset,
            "batch": batch,
            "precision": precision,
        }
        self._tables: dict[str, Table] = {}
        self.values = values
        self.fold = folds.assign([self._space.canonical(tuple(vector)) for vector in vectors.tolist()])

    def at(self, runs: str) -> Table:
        """Return the layers that run; see `hwnasbench.networks.runtime.RUNS`."""
        if runs not in self._tables:
            self._tables[runs] = self._table(runs)
        return self._tables[runs]

    def _table(self, runs: str) -> Table:
        parts = self._space.compose(self._vectors, self.keys["dataset"], runs)
        pool = parts.pool.copy()
        pool["weight_bits"], pool["activation_bits"] = precision_bits(self.keys["precision"])
        fragments = np.repeat(np.arange(len(parts.starts) - 1), np.diff(parts.starts))
        counts = np.zeros((len(self._vectors), len(parts.starts) - 1))
        for slot, weight in enumerate(np.asarray(parts.weights).tolist()):
            counts[np.arange(len(counts)), parts.codes[:, slot]] += weight
        return Table(Layers(pool, self.keys["batch"]), counts[:, fragments])


class Stack:
    """Networks or single layers side by side, each with its value.

    Attributes
    ----------
    layers : Layers
    count : int
        Layers of all networks.
    values : (n,) ndarray of float
    fold : (n,) ndarray of int8
        The same for networks of one name.
    keys : dict
        What a scorecard of them says besides: the precision, which all layers share.
    """

    def __init__(
        self, networks: Sequence[Network], values: Iterable[float], names: Sequence[str], batch: Any = 1
    ) -> None:
        self._owner = np.repeat(np.arange(len(networks)), [len(network) for network in networks])
        images = np.broadcast_to(np.asarray(batch), len(networks))[self._owner]
        self.layers = Layers(np.concatenate([network.layers for network in networks]), images)
        self.count = len(self.layers)
        self.values = np.fromiter(values, np.float64)
        self.fold = folds.assign(names)
        self.keys: dict[str, Any] = {"precision": _PRECISIONS[int(self.layers.weight_bits[0])]}

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum over the layers of each network."""
        return np.bincount(self._owner, values, len(self.values)).astype(np.float64)

    def at(self, runs: str) -> Stack:
        """Return the same whatever runs: nothing in these networks is dead."""
        return self


class Found(NamedTuple):
    """A published column and where it is from."""

    column: Any
    source: str


def columns(sources: Path) -> dict[tuple[str, str, str, int], Found]:
    """Return the columns at each device's default precision, by device, space, metric and batch."""
    from data_builders import catalog as published

    out: dict[tuple[str, str, str, int], Found] = {}
    for source in SOURCES:
        record = published.get(source)
        for column in published.importer(record).columns(published.Folder(record, sources / source)):
            device = catalog().get(str(column.keys.get("device")))
            if device is not None and column.space in spaces.names() and _at_defaults(device, column):
                key = (device.name, column.space, column.metric, int(column.keys.get("batch") or 1))
                out.setdefault(key, Found(column, source))
    return out


def _at_defaults(device: Device, column: Any) -> bool:
    """Say whether a column's keys are the device's defaults; what is only assumed may differ, and the batch."""
    defaults = {"precision": "fp32", **device.defaults}
    del defaults["batch"]
    flags = column.flags or ""
    told = flags if isinstance(flags, str) else ";".join(text or "" for text in flags[:1])
    stated = {key: value for key, value in column.keys.items() if value is not None and f"assumed:{key}" not in told}
    return all(stated.get(key, value) == value for key, value in defaults.items())


def label_of(key: tuple[str, str, str, int]) -> str:
    """Return what a column of `columns` is called: its space, and the batch where that is not 1."""
    _, space, _, batch = key
    return space if batch == 1 else f"{space}, batch {batch}"


def take(device: Device, found: Found) -> Sample:
    """Return `ROWS` networks of a column drawn at random; of a throughput, the latencies of its batches."""
    column = found.column
    space = spaces.get(column.space)
    rows = rows_of(found)
    vectors = space.vectors([column.archs[row] for row in rows])
    precision = str(device.defaults.get("precision", "fp32"))
    batch = int(column.keys.get("batch") or 1)
    taken = np.asarray(column.values, np.float64)[rows]
    if column.metric == "throughput":
        taken = batch / taken * 1000
    return Sample(column.space, str(column.keys["dataset"]), vectors, taken, precision, batch)


def rows_of(found: Found) -> NDArray[np.intp]:
    """Return the rows of a column that `take` draws: connected networks with a value that is no copy."""
    column = found.column
    space = spaces.get(column.space)
    values = np.asarray(column.values, np.float64)
    own = np.isfinite(values) & (values > 0)
    if column.flags is not None and not isinstance(column.flags, str):
        own &= np.array(["copied" not in (text or "") for text in column.flags])
    rows = np.sort(np.random.default_rng(SEED).permutation(np.flatnonzero(own))[:ROWS])
    vectors = space.vectors([column.archs[row] for row in rows])
    return np.asarray(rows[space.compose(vectors, str(column.keys["dataset"])).peaks > 0])


def latency(device: Device, sample: Networks, found: Mapping[str, Any] | None = None) -> NDArray[np.float64]:
    """Return the simulated milliseconds of each network by the parameters found, or by those that ship."""
    given = found if found is not None else {name: record["value"] for name, record in device.parameters().items()}
    values, costs = unfitted(device, given), model(device.cost["model"])
    table = sample.at(str(given.get("runs", RUNS[0])))
    return table.sums(costs.cost(table.layers, values).latency) + costs.overhead(values)


def unfitted(device: Device, found: Mapping[str, Any]) -> Values:
    """Return a device's parameters as numbers, those in `found` replaced: the others are never an older fit's."""
    own = resolve(device.cost["model"], device.device_class, "", device.cost.get("parameters", {}))
    return model(device.cost["model"]).values({**{name: record["value"] for name, record in own.items()}, **found})


def start(device: Device, names: Sequence[str]) -> dict[str, float]:
    """Return where a search may begin: the device's own values, else the defaults of its class; never an older fit."""
    own = vars(unfitted(device, {}))
    return {name: float(own[name]) for name in names}


def run_options(samples: Mapping[str, Networks]) -> list[Parameters]:
    """Return the words of `runs` to try: all where some network of a sample has dead layers, else none."""
    dead = any(sample.at("all").count != sample.at("live").count for sample in samples.values())
    return [{"runs": word} for word in RUNS] if dead else [{}]


def solve(
    device: Device,
    samples: Mapping[str, Networks],
    begin: Mapping[str, float],
    fold: int | None,
    highest: Mapping[str, float] | None = None,
    options: Sequence[Parameters] = ({},),
) -> Parameters:
    """Fit the logarithms of parameters to the logarithms of the latencies, a fold left out.

    Parameters
    ----------
    device : Device
    samples : mapping of str to Sample
    begin : mapping of str to float
        The parameters, and where the search for each begins.
    fold : int or None
        The fold that the fit must not see.
    highest : mapping, optional
        The largest value of some of them; e^7 times where it begins of all others.
    options : sequence of dict
        Values of other parameters; each is tried, and the one whose fit is closest is taken.
    """
    tried = [_solve(device, samples, begin, fold, highest or {}, option) for option in options]
    return min(tried, key=lambda pair: pair[0])[1]


def _solve(
    device: Device,
    samples: Mapping[str, Networks],
    begin: Mapping[str, float],
    fold: int | None,
    highest: Mapping[str, float],
    fixed: Parameters,
) -> tuple[float, Parameters]:
    from scipy.optimize import least_squares

    origin = np.log(list(begin.values()))
    kept = {key: np.ones(len(s.values), bool) if fold is None else s.fold != fold for key, s in samples.items()}

    rows = min(ROWS, sum(int(rows.sum()) for rows in kept.values()))

    def found(logs: NDArray[np.float64]) -> Parameters:
        return {**dict(zip(begin, np.exp(logs).tolist(), strict=True)), **fixed}

    def residuals(logs: NDArray[np.float64]) -> NDArray[np.float64]:
        given = found(logs)
        parts = [np.log(latency(device, s, given) / s.values)[kept[key]] for key, s in samples.items()]
        pull = 0.02 * np.sqrt(rows) * (logs - origin) / 5  # what the data cannot tell stays where it begins
        return np.concatenate([*parts, pull])

    bounds = _bounds(device, begin, highest)
    result = least_squares(residuals, origin, bounds=bounds, loss="soft_l1", f_scale=0.1, max_nfev=60)
    return float(result.cost), found(result.x)


def _bounds(
    device: Device, begin: Mapping[str, float], highest: Mapping[str, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the logarithms between which each parameter is looked for, inside what the model allows."""
    known = parameters(device.cost["model"])
    low = [max(value * np.exp(-7), known[name].low, 1e-300) for name, value in begin.items()]
    high = [min(highest.get(name, value * np.exp(7)), known[name].high) for name, value in begin.items()]
    # The search must begin between them; a value so near a bound is the bound to the digits that ship.
    origin = np.log(list(begin.values()))
    return np.minimum(np.log(low), origin - 1e-7), np.maximum(np.log(high), origin + 1e-7)


class Held(NamedTuple):
    """A fit to all networks, those that leave a fold out, and by sample what fits that never saw it say of each."""

    best: Parameters
    by_fold: list[Parameters]
    values: dict[str, NDArray[np.float64]]


def held_out(
    device: Device,
    samples: Mapping[str, Networks],
    begin: Mapping[str, float],
    highest: Mapping[str, float] | None = None,
    options: Sequence[Parameters] = ({},),
) -> Held:
    """Return the fit to all networks and what folds say; see `solve`."""
    held = {key: np.empty(len(sample.values)) for key, sample in samples.items()}
    by_fold = [solve(device, samples, begin, fold, highest, options) for fold in range(folds.FOLDS)]
    for fold, found in enumerate(by_fold):
        for key, sample in samples.items():
            mine = sample.fold == fold
            held[key][mine] = latency(device, sample, found)[mine]
    return Held(solve(device, samples, begin, None, highest, options), by_fold, held)


def cards(source: str, samples: Mapping[str, Networks], held: Held) -> list[dict[str, Any]]:
    """Return the scorecard of each sample's latencies."""
    return [
        scorecard("latency", f"{source} ({label})", sample.values, held.values[label], folds=folds.FOLDS, **sample.keys)
        for label, sample in samples.items()
    ]
