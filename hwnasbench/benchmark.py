"""Load a space's data and query it. Nothing on the way to one number imports NumPy."""

from __future__ import annotations

import os

from hwnasbench import spaces
from hwnasbench.devices import Device, by_name
from hwnasbench.errors import AmbiguousQuery, InvalidRequest, NoColumn, NoValue, UnknownName
from hwnasbench.paths import PACKAGE_DATA, home
from hwnasbench.resolve import Resolved, resolve
from hwnasbench.results import Result, Value
from hwnasbench.tables.store import Column, Store
from hwnasbench.vocabulary import DATASETS, ENGINES, KINDS, METRICS, PRECISIONS, SPLITS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, Literal

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Data = Literal["auto", "shipped", "built"]

_STORES: dict[str, Store] = {}
_VOCABULARY = {"dataset": DATASETS, "precision": PRECISIONS, "engine": ENGINES, "split": SPLITS}
_INTEGERS = ("threads", "batch", "epochs")
_ARGUMENTS = ("metrics", "dataset", "precision", "batch", "engine", "threads", "split", "recipe", "epochs", "input", "source", "kinds", "fill")  # fmt: skip  # noqa: E501
#: Architectures remembered by their string.
_REMEMBERED = 1 << 16


def load(space: str, data: Data = "auto") -> Benchmark:
    """Load the benchmark of one space.

    Parameters
    ----------
    space : str
        A name of `hwnasbench.spaces.names`.
    data : {"auto", "shipped", "built"}
        ``shipped``: what the package brings. ``built``: the tables that the user built from
        fetched sources. ``auto``: both, the built ones where there are any.

    Returns
    -------
    Benchmark

    Raises
    ------
    UnknownName
        When the space or the word for `data` is unknown.
    StaleStore, CorruptFile
        When a store does not match its tables, is of another version, or is damaged.
    """
    if data not in ("auto", "shipped", "built"):
        raise UnknownName("data", data, ("auto", "shipped", "built"))
    known = spaces.get(space)
    stores = []
    if data != "built":
        stores.append(_open(PACKAGE_DATA / "store"))
    if data != "shipped":
        from hwnasbench.tables.user import current_store

        folder = current_store(home(), required=data == "built")
        stores += [] if folder is None else [_open(folder)]
    return Benchmark(known, stores)


def _open(folder: os.PathLike[str]) -> Store:
    key = os.fspath(folder)
    if key not in _STORES:
        _STORES[key] = Store(key)
    return _STORES[key]


class Benchmark:
    """Everything known of one space.

    Attributes
    ----------
    space : Space
    release, fingerprint : str
        Of the data; joined by ``+`` where shipped and built data are both in use.
    """

    def __init__(self, space: spaces.Space, stores: Sequence[Store]) -> None:
        self.space = space
        self.stores = tuple(stores)
        self.release = "+".join(store.release for store in stores)
        self.fingerprint = "+".join(store.fingerprint for store in stores)
        self.sources: dict[str, dict[str, Any]] = {}
        self._columns: dict[str, list[Column]] = {}
        catalog: dict[str, Device] = {}
        for store in stores:
            self.sources.update(store.sources)
            catalog.update({name: Device(record) for name, record in store.devices.items()})
            for column in store.columns:
                if column.space == space.name:
                    self._columns.setdefault(column.metric, []).append(column)
        self._catalog = by_name(catalog.values())
        self.defaults: dict[str, Any] = stores[-1].defaults[space.name]
        self._plans: dict[Any, Plan] = {}
        self._located: dict[str, Any] = {}
        self._size = len(space) if space.enumerable else 0

    # -- what there is ------------------------------------------------------------------------

    def all_columns(self) -> list[Column]:
        """Return every column of the space."""
        return [column for columns in self._columns.values() for column in columns]

    def devices(self) -> list[Device]:
        """Return the devices that any column of the space speaks of, sorted by name."""
        names = {column.keys["device"] for column in self.all_columns()}
        return [self._catalog[str(name)] for name in sorted(str(n) for n in names if n is not None)]

    def metrics(self) -> list[str]:
        """Return the metrics that any column of the space holds."""
        return [name for name in METRICS if name in self._columns]

    def datasets(self) -> list[str]:
        """Return the data sets that any column of the space speaks of."""
        return sorted({str(c.keys["dataset"]) for c in self.all_columns() if c.keys["dataset"] is not None})

    def coverage(self) -> pd.DataFrame:
        """Return one row a column: its keys, kind, source, flags and number of values."""
        from hwnasbench.vectors import coverage

        return coverage(self)

    # -- one architecture ---------------------------------------------------------------------

    def query(
        self,
        arch: Any,
        device: str | Device | None = None,
        *,
        metrics: Sequence[str] | str | None = None,
        dataset: str | None = None,
        precision: str | None = None,
        batch: int | None = None,
        engine: str | None = None,
        threads: int | None = None,
        split: str | None = None,
        recipe: str | None = None,
        epochs: int | None = None,
        input: str | None = None,  # the table's own word for this key
        source: str | None = None,
        kinds: Sequence[str] | str | None = None,
        fill: str | None = None,
    ) -> Result:
        """Return what is known of one architecture.

        Parameters
        ----------
        arch : str, int, sequence or Architecture
            Anything `Space.parse` reads.
        device : str or Device, optional
            A name or an alias; needed for latency, energy and the like.
        metrics : sequence of str, optional
            Which metrics; each must then have a column. All that there are by default.
        dataset, precision, batch, engine, threads, split, recipe, epochs, input : optional
            The keys that tell columns apart; see docs/data-model.md for what stands in.
        source : str, optional
            Answer from this source alone.
        kinds : str or sequence of str, optional
            Restrict the answer to measured, estimated, predicted or simulated values.
        fill : {"predicted"}, optional
            Where the column that answers has no value, take the predicted one.

        Raises
        ------
        UnknownName, InvalidArchitecture, InvalidRequest
            For bad input.
        NoColumn, AmbiguousQuery
            When no column, or no single one, answers.
        """
        key = (device, metrics, dataset, precision, batch, engine, threads, split, recipe, epochs, input, source, kinds, fill)  # fmt: skip  # noqa: E501
        try:
            plan = self._plans[key]
        except (KeyError, TypeError):
            plan = self._cached(key)
        if type(arch) is int and 0 <= arch < self._size:
            return Result(plan, arch)
        if type(arch) is str and arch in self._located:
            return Result(plan, self._located[arch])
        return Result(plan, self.locate(arch))

    def locate(self, arch: Any) -> Any:
        """Return where columns keep an architecture: its index, or its decision vector."""
        if type(arch) is not str:
            return self.space.index(arch) if self._size else self.space.parse(arch).vector
        if self._size:
            where = self.stores[0].order(self.space.name)[self.space.code(arch.strip())]
        else:
            where = self.space.parse(arch).vector
        if len(self._located) >= _REMEMBERED:
            self._located.clear()
        self._located[arch] = where
        return where

    def plan(self, device: str | Device | None = None, **request: Any) -> Plan:
        """Resolve a request (the arguments of `query`) without an architecture."""
        for name in request:
            if name not in _ARGUMENTS:
                raise InvalidRequest(str(UnknownName("argument", name, _ARGUMENTS)))
        return self._cached((device, *map(request.get, _ARGUMENTS)))

    def _cached(self, key: tuple[Any, ...]) -> Plan:
        try:
            plan = self._plans.get(key)
        except TypeError:
            key = tuple(tuple(part) if isinstance(part, (list, set)) else part for part in key)
            plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = self._plan(*key)
        return plan

    def _plan(self, device: str | Device | None, metrics: Any, *rest: Any) -> Plan:
        *keys, source, kinds, fill = rest
        names = ("dataset", "precision", "batch", "engine", "threads", "split", "recipe", "epochs", "input")
        named = {name: value for name, value in zip(names, keys, strict=True) if value is not None}
        found = self._find_device(device)
        self._check_named(named)
        if source is not None and source not in self.sources:
            raise UnknownName("source", source, self.sources)
        wanted = None if metrics is None else ((metrics,) if isinstance(metrics, str) else tuple(metrics))
        for metric in wanted or ():
            if metric not in METRICS:
                raise UnknownName("metric", metric, METRICS)
        chosen = None if kinds is None else ((kinds,) if isinstance(kinds, str) else tuple(kinds))
        for kind in chosen or ():
            if kind not in KINDS:
                raise UnknownName("kind", kind, KINDS)
        if fill not in (None, "predicted"):
            raise UnknownName("fill", fill, ("predicted",))
        return Plan(self, found, wanted, named, source, chosen, fill is not None)

    def _find_device(self, device: str | Device | None) -> Device | None:
        if device is None or isinstance(device, Device):
            return device
        found = self._catalog.get(device)
        if found is None:
            raise UnknownName("device", device, self._catalog)
        return found

    def _check_named(self, named: dict[str, Any]) -> None:
        for key, value in named.items():
            if key in _INTEGERS:
                if isinstance(value, bool) or not isinstance(value, int):
                    raise InvalidRequest(f"{key}={value!r}: expected an integer")
                continue
            known = {str(c.keys[key]) for c in self.all_columns() if c.keys[key] is not None}
            known |= set(_VOCABULARY.get(key, ()))
            if value not in known:
                raise UnknownName("data set" if key == "dataset" else key, value, known)

    def resolve(
        self,
        metric: str,
        device: Device | None,
        named: dict[str, Any],
        kinds: tuple[str, ...] | None,
        source: str | None,
    ) -> Resolved:
        """Find the column that answers for one metric; see `hwnasbench.resolve.resolve`."""
        columns = self._columns.get(metric, [])
        if METRICS[metric].scope == "device":
            if device is None:
                raise InvalidRequest(f"{metric} needs a device; bench.devices() lists them")
            columns = [c for c in columns if c.keys["device"] == device.name]
        return resolve(columns, metric, self.space.name, device, named, self.defaults, kinds, source)

    # -- many architectures (NumPy, pandas) ---------------------------------------------------

    def query_many(
        self, archs: Any, device: str | Device | None = None, *, metrics: Sequence[str], **request: Any
    ) -> pd.DataFrame:
        """Return one row an architecture: each metric, and its status.

        Parameters
        ----------
        archs : integer array of indices, (n, positions) array of decisions, or iterable
        device, metrics, **request
            As for `query`. With ``fill="predicted"``, or where a column mixes kinds, the kind is
            given row by row as ``<metric>_kind``.

        Returns
        -------
        pandas.DataFrame
            NaN where there is no value; ``<metric>_status`` says why. ``attrs`` holds the request,
            release and fingerprint.
        """
        from hwnasbench.vectors import query_many

        return query_many(self, archs, device, metrics, request)

    def column(self, metric: str, device: str | Device | None = None, **request: Any) -> NDArray[np.float64]:
        """Return one metric over a whole enumerable space, in index order.

        Returns
        -------
        ndarray, shape (len(space),)
            A read-only view of the stored bytes (float32 or float64); NaN where there is no value.

        Raises
        ------
        NotEnumerable
            Where the space has no index; use `query_many`.
        """
        from hwnasbench.vectors import column

        return column(self, metric, device, request)

    def pareto(
        self, metrics: Sequence[str], device: str | Device | None = None, archs: Any = None, **request: Any
    ) -> pd.DataFrame:
        """Return the architectures that no other one beats on all `metrics`.

        Each metric's direction is its own (accuracy up, latency down). Of architectures with
        equal values all are kept. The whole space is looked at unless `archs` is given.

        Returns
        -------
        pandas.DataFrame
            Columns arch, the metrics; sorted by the first metric, best first.
        """
        from hwnasbench.vectors import pareto

        return pareto(self, metrics, device, archs, request)

    def cite(self, result: Result | pd.DataFrame | Iterable[str] | None = None) -> str:
        """Return the BibTeX of everything behind a result (of all sources by default)."""
        from hwnasbench.citing import cite

        return cite(self, result)

    def __repr__(self) -> str:
        return f"<benchmark {self.space.name}: {len(self.all_columns())} columns, release {self.release}>"


class Plan:
    """A resolved request: which column answers for each metric."""

    def __init__(
        self,
        bench: Benchmark,
        device: Device | None,
        metrics: tuple[str, ...] | None,
        named: dict[str, Any],
        source: str | None,
        kinds: tuple[str, ...] | None,
        fill: bool,
    ) -> None:
        self.bench = bench
        self.kinds = kinds
        self.resolved: dict[str, Resolved] = {}
        self.gaps: dict[str, str] = {}
        self._asked = metrics is not None
        for metric in bench.metrics() if metrics is None else metrics:
            if metrics is None and device is None and METRICS[metric].scope == "device":
                self.gaps[metric] = f"{metric} needs a device; bench.devices() lists them"
                continue
            try:
                self.resolved[metric] = self._resolve(metric, device, named, source, fill)
            except NoColumn as error:
                if metrics is not None:
                    raise
                self.gaps[metric] = str(error)
        self.metrics = tuple(self.resolved)
        self.readers: dict[str, Callable[[Any], float]] = {name: self._reader(name) for name in self.resolved}
        self.request = self._request(device, named, source, fill)

    def _resolve(
        self, metric: str, device: Device | None, named: dict[str, Any], source: str | None, fill: bool
    ) -> Resolved:
        found = self.bench.resolve(metric, device, named, self.kinds, source)
        if fill and found.column.kind != "predicted":
            keys = {**named, **{k: v for k, v in found.keys.items() if v is not None and k != "device"}}
            try:
                found.fill = self.bench.resolve(metric, device, keys, ("predicted",), None).column
            except (NoColumn, AmbiguousQuery):
                found.fill = None
        return found

    def _masked(self, column: Column) -> bool:
        """Whether the column mixes kinds of which the request wants only some."""
        return self.kinds is not None and not set(column.kinds) <= set(self.kinds)

    def _reader(self, metric: str) -> Callable[[Any], float]:
        found = self.resolved[metric]
        if found.fill is None and not self._masked(found.column):
            return found.column.read
        return lambda where: self.pick(metric, where).read(where) if self.holds(metric, where) else float("nan")

    def pick(self, metric: str, where: Any) -> Column:
        """Return the column that answers for one architecture: the resolved one, or its filling."""
        found = self.resolved[metric]
        if found.fill is not None and found.column.status(where) == "not_measured":
            return found.fill
        return found.column

    def holds(self, metric: str, where: Any) -> bool:
        """Whether the kind of the row is among those the request allows."""
        column = self.pick(metric, where)
        return not self._masked(column) or column.kind_at(where) in (self.kinds or ())

    def _request(self, device: Device | None, named: dict[str, Any], source: str | None, fill: bool) -> dict[str, Any]:
        out: dict[str, Any] = {"device": None if device is None else device.name}
        by_scope = sorted(self.resolved, key=lambda name: METRICS[name].scope != "device")
        for metric in by_scope:
            for key, value in self.resolved[metric].keys.items():
                if out.get(key) is None:
                    out[key] = value
        extra = {"source": source, "kinds": self.kinds, "fill": "predicted" if fill else None}
        return {**out, **named, **extra, "metrics": self.metrics}

    def value(self, metric: str, where: Any) -> Value:
        """Build one `Value`."""
        if metric not in METRICS:
            raise UnknownName("metric", metric, METRICS)
        unit = METRICS[metric].unit
        found = self.resolved.get(metric)
        if found is None:
            if self._asked:
                raise InvalidRequest(f"the query asked for {', '.join(self.metrics)}, not for {metric!r}")
            return Value(None, unit, None, None, None, None, "no_source", (), None, {})
        column = self.pick(metric, where)
        flags = column.flags_at(where) + found.flags
        keys = {key: column.keys[key] for key in found.keys}
        kind = column.kind_at(where)
        if not self.holds(metric, where):
            return Value(None, unit, None, None, column.source, None, "not_measured", flags, None, keys)
        number = column.read(where)
        if number != number:
            status = column.status(where)
            return Value(None, unit, None, kind, column.source, column.of, status, flags, None, keys)
        spread, repeats = column.std_at(where), column.repeats_at(where)
        return Value(number, unit, spread, kind, column.source, column.of, "ok", flags, repeats, keys)

    def refuse(self, metric: str, where: Any) -> float:
        """Raise `NoValue` with the reason why a metric has no value here."""
        arch = self.bench.space.parse(where)
        if metric not in self.resolved:
            if self._asked:
                raise InvalidRequest(f"the query asked for {', '.join(self.metrics)}, not for {metric!r}")
            reason = self.gaps.get(metric) or f"no_source: no column of {self.bench.space.name!r} holds {metric}"
            raise NoValue(f"no {metric} for {arch}: {reason}")
        value = self.value(metric, where)
        hint = ""
        if value.status == "not_measured" and self.resolved[metric].fill is None:
            hint = '; fill="predicted" or kinds=("predicted",) answers with a prediction'
        raise NoValue(f"{metric} of {arch} is {value.status} ({value.source}){hint}")
