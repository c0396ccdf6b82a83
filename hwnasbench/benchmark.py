"""Load a space's data and query it. Nothing on the way to one number imports NumPy."""

from __future__ import annotations

import contextlib

from hwnasbench import predicted, spaces
from hwnasbench.devices import Device, by_name, catalog
from hwnasbench.errors import InvalidRequest, NoColumn, UnknownName
from hwnasbench.onboarding.registry import own_device, own_names
from hwnasbench.paths import home_folder, shipped_store
from hwnasbench.plan import INTEGERS, Plan, as_integer, as_words, check_named, defaults_of, remember
from hwnasbench.resolve import Resolved, refuse_unbuilt, resolve
from hwnasbench.results import Result
from hwnasbench.simulated import COUNTS, RECORD, SOURCE
from hwnasbench.tables.columns import Column
from hwnasbench.tables.store import Store, open_store
from hwnasbench.vocabulary import DEVICE_CLASSES, KINDS, METRICS, simulated_metrics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, Literal, overload

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from hwnasbench.devices.accelerator_spaces import JointSpace
    from hwnasbench.joint import JointBenchmark
    from hwnasbench.simulated import Setting

    Data = Literal["auto", "shipped", "built"]

_ALL_SIMULATED = {metric for name in DEVICE_CLASSES for metric in simulated_metrics(name)}
_ARGUMENTS = ("metrics", "dataset", "precision", "batch", "engine", "threads", "split", "recipe", "epochs", "input", "source", "kinds", "fill")  # fmt: skip  # noqa: E501
#: Architectures remembered by their string, and resolved requests: each parametric device makes a new one.
_ARCHITECTURES, _PLANS = 1 << 16, 1 << 10


if TYPE_CHECKING:

    @overload
    def load(space: JointSpace, data: Data = ...) -> JointBenchmark: ...  # type: ignore[overload-overlap]
    @overload
    def load(space: str | spaces.Space, data: Data = ...) -> Benchmark: ...


def load(space: str | spaces.Space, data: Data = "auto") -> Benchmark | JointBenchmark:
    """Load the benchmark of one space.

    Parameters
    ----------
    space : str or Space
        A name of `hwnasbench.spaces.names`, or a space made of others: mixed precision, or a joint one.
    data : {"auto", "shipped", "built"}
        ``shipped``: what the package brings. ``built``: the tables that the user built from
        fetched sources. ``auto``: both, the built ones where there are any.

    Returns
    -------
    Benchmark, or JointBenchmark for a joint space

    Raises
    ------
    UnknownName
        When the space or the word for `data` is unknown.
    StaleStore, CorruptFile
        When a store does not match its tables, is of another version, or is damaged.
    """
    if data not in ("auto", "shipped", "built"):
        raise UnknownName("data", data, ("auto", "shipped", "built"))
    known = spaces.get(space) if isinstance(space, str) else space
    if not isinstance(known, spaces.Space):
        raise UnknownName("space", space, spaces.names())
    if hasattr(known, "accelerators"):
        from hwnasbench.joint import JointBenchmark

        return JointBenchmark(known, data)  # type: ignore[arg-type]
    stores = []
    if data != "built":
        stores.append(open_store(shipped_store()))
    if data != "shipped":
        from hwnasbench.tables.user import current_store

        built = current_store(home_folder(), required=data == "built")
        stores += [] if built is None else [built]
    return Benchmark(known, stores)


def _reopen(space: spaces.Space, folders: Sequence[str]) -> Benchmark:
    return Benchmark(space, [open_store(folder) for folder in folders])


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
        compiled: dict[str, Device] = {}
        for store in stores:
            self.sources.update(store.sources)
            compiled.update({name: Device(record) for name, record in store.devices.items()})
            for column in store.columns:
                if column.space == space.name:
                    self._columns.setdefault(column.metric, []).append(column)
        self.sources |= {SOURCE: RECORD, **predicted.RECORDS}
        self._catalog = by_name(compiled.values())
        self.defaults: dict[str, Any] = defaults_of(space, stores)
        self.settings: dict[Any, Setting] = {}
        self._plans: dict[Any, Plan] = {}
        self._located: dict[str, Any] = {}
        self._size = len(space) if space.enumerable else 0

    # -- what there is ------------------------------------------------------------------------

    def all_columns(self) -> list[Column]:
        """Return every column of the space."""
        return [column for columns in self._columns.values() for column in columns]

    def devices(self) -> list[Device]:
        """Return the devices that answer for the space, measured or simulated, sorted by name."""
        found = {**catalog(), **self._catalog}
        return sorted({device.name: device for device in found.values()}.values(), key=lambda device: device.name)

    def metrics(self) -> list[str]:
        """Return the metrics of the space, measured or simulated."""
        known = {*self._columns, *_ALL_SIMULATED, *COUNTS, *predicted.metrics(self.space)}
        return [name for name in METRICS if name in known]

    def datasets(self) -> list[str]:
        """Return the data sets that any column of the space speaks of."""
        known = {str(c.keys["dataset"]) for c in self.all_columns() if c.keys["dataset"] is not None}
        return sorted(known | set(self.space.datasets))

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
        noise: np.random.Generator | int | None = None,
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
        noise : numpy.random.Generator or int, optional
            Draw a plausible measurement: the value and one draw of the repeatability of training or timing
            (`Value.noise`), never of a surrogate's error. An integer is a seed. See `hwnasbench.noise`.

        Raises
        ------
        UnknownName, InvalidArchitecture, InvalidRequest
            For bad input.
        NoColumn, AmbiguousQuery
            When no column, or no single one, answers.
        """
        if batch is not None or threads is not None or epochs is not None:
            batch, threads, epochs = (
                as_integer("batch", batch),
                as_integer("threads", threads),
                as_integer("epochs", epochs),
            )
        key = (device, metrics, dataset, precision, batch, engine, threads, split, recipe, epochs, input, source, kinds, fill)  # fmt: skip  # noqa: E501
        try:
            plan = self._plans[key]
        except (KeyError, TypeError):
            plan = self.plan_of(key)
        if noise is not None:
            from hwnasbench.noise import measured_again

            return measured_again(plan, self.locate(arch), noise)
        if type(arch) is int and 0 <= arch < self._size:
            return Result(plan, arch)
        if type(arch) is str and arch in self._located:
            return Result(plan, self._located[arch])
        return Result(plan, self.locate(arch))

    def locate(self, arch: Any) -> Any:
        """Return where columns keep an architecture: its index, or its decision vector."""
        if type(arch) is not str:
            return self.space.index(arch) if self._size else self.space.parse(arch).vector
        where: Any
        if self._size:
            where = self.stores[0].order(self.space.name)[self.space.code(arch.strip())]
        else:
            where = self.space.parse(arch).vector
        remember(self._located, arch, where, _ARCHITECTURES)
        return where

    def plan(self, device: str | Device | None = None, **request: Any) -> Plan:
        """Resolve a request (the arguments of `query`) without an architecture."""
        for name in request:
            if name not in _ARGUMENTS:
                raise InvalidRequest(str(UnknownName("argument", name, _ARGUMENTS)))
        for name in INTEGERS:
            if name in request:
                request[name] = as_integer(name, request[name])
        return self.plan_of((device, *map(request.get, _ARGUMENTS)))

    def plan_of(self, key: tuple[Any, ...]) -> Plan:
        """Return the resolved request for the values of (device, *arguments of `query`), remembered."""
        try:
            plan = self._plans.get(key)
        except TypeError:
            key = tuple(tuple(part) if isinstance(part, (list, set)) else part for part in key)
            plan = None
        if plan is None:
            plan = self._plan(*key)
            plan.key = key
            if isinstance(key[0], str) and key[0] not in self._catalog and key[0] not in catalog():
                return plan  # the user's own: another device may take its name
            with contextlib.suppress(TypeError):  # an argument that cannot be hashed is resolved each time
                remember(self._plans, key, plan, _PLANS)
        return plan

    def _plan(self, device: str | Device | None, metrics: Any, *rest: Any) -> Plan:
        *keys, source, kinds, fill = rest
        names = ("dataset", "precision", "batch", "engine", "threads", "split", "recipe", "epochs", "input")
        named = {name: value for name, value in zip(names, keys, strict=True) if value is not None}
        for name, value in {"device": device, "source": source, "fill": fill, **named}.items():
            if not isinstance(value, (str, int, Device, type(None))):
                raise InvalidRequest(f"{name}={value!r}: expected a name, got {type(value).__name__}")
        found = self._find_device(device)
        check_named(self, named)
        if found is not None and source not in (None, *self.sources):
            [found.columns(self, metric) for metric in METRICS]  # a user's device brings its source
        if source not in (None, *self.sources):
            raise UnknownName("source", source, self.sources)
        wanted = as_words("metrics", metrics)
        for metric in wanted or ():
            if metric not in METRICS:
                raise UnknownName("metric", metric, METRICS)
        chosen = as_words("kinds", kinds)
        for kind in chosen or ():
            if kind not in KINDS:
                raise UnknownName("kind", kind, KINDS)
        if fill not in (None, "predicted"):
            raise UnknownName("fill", fill, ("predicted",))
        return Plan(self, found, wanted, named, source, chosen, fill is not None)

    def _find_device(self, device: str | Device | None) -> Device | None:
        if device is None or isinstance(device, Device):
            return device
        found = self._catalog.get(device) or catalog().get(device) or own_device(device)
        if found is None:
            raise UnknownName("device", device, sorted({*catalog(), *self._catalog, *own_names()}))
        return found

    def other_kinds(self, metric: str, column: Column) -> tuple[str, ...]:
        """Return the kinds that other columns on the same device have for a metric."""
        others = {c.kind for c in self._columns.get(metric, ()) if c.keys["device"] == column.keys["device"]}
        return tuple(kind for kind in KINDS if kind in others - set(column.kinds))

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
            columns = [*(c for c in columns if c.keys["device"] == device.name), *device.columns(self, metric)]
        try:
            if not columns:
                refuse_unbuilt(self, metric, device)
            found = resolve(columns, metric, self.space.name, device, named, self.defaults, kinds, source)
            if "precision_mismatch" not in found.flags:
                return found
            lower = predicted.accuracy(self, device, named, kinds, source)
            return Resolved(lower, ()) if isinstance(lower, predicted.PrecisionColumn) else found
        except NoColumn:
            computed = predicted.computed(self, metric, device, named, kinds, source)
            if computed is None:
                raise
            return Resolved(computed, ())

    # -- many architectures (NumPy, pandas) ---------------------------------------------------

    def query_many(
        self, archs: Any, device: str | Device | None = None, *, metrics: Sequence[str] | None = None, **request: Any
    ) -> pd.DataFrame:
        """Return one row an architecture: each metric, and its status.

        Parameters
        ----------
        archs : integer array of indices, (n, positions) array of decisions, or iterable
            A flat sequence of integers is many indices, never one decision vector.
        device, metrics, **request
            As for `query`, ``noise`` too. With ``fill="predicted"``, or where a column mixes kinds, the
            kind is given row by row as ``<metric>_kind``.

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

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.space, tuple(store.folder for store in self.stores))

    def __repr__(self) -> str:
        return f"<benchmark {self.space.name}: {len(self.all_columns())} columns, release {self.release}>"
