"""A resolved request: which column answers for each metric, and how its values are read."""

from __future__ import annotations

import operator

from hwnasbench.errors import AmbiguousQuery, InvalidRequest, NoColumn, NoValue, UnknownName
from hwnasbench.predicted import recipes
from hwnasbench.results import Value
from hwnasbench.vocabulary import DATASETS, ENGINES, METRICS, PER_LAYER, SPLITS, precision_bits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from hwnasbench.benchmark import Benchmark
    from hwnasbench.devices import Device
    from hwnasbench.resolve import Resolved
    from hwnasbench.spaces import Space
    from hwnasbench.tables.columns import Column
    from hwnasbench.tables.store import Store

#: Keys that are counts.
INTEGERS = ("threads", "batch", "epochs")
_VOCABULARY = {"dataset": DATASETS, "engine": ENGINES, "split": SPLITS}


def defaults_of(space: Space, stores: Sequence[Store]) -> dict[str, Any]:
    """Return the constants of a space's TOML: as a store compiled them, else from the file."""
    name = getattr(space, "base", space).name
    for store in reversed(stores):
        if name in store.defaults:
            return store.defaults[name]
    from hwnasbench.spaces.defaults import load_defaults

    return load_defaults().get(name, {"defaults": {}, "defaults_at": {}, "defaults_for": {}, "sources": {}})


def check_named(bench: Benchmark, named: dict[str, Any]) -> None:
    """Refuse a word that neither a column nor a vocabulary knows.

    Raises
    ------
    UnknownName
    """
    for key, value in named.items():
        if key in INTEGERS:
            continue
        known = {str(c.keys[key]) for c in bench.all_columns() if c.keys[key] is not None}
        if key == "precision":
            if value != PER_LAYER and value not in known:
                precision_bits(value)
            continue
        known |= {*_VOCABULARY.get(key, ()), *(bench.space.datasets if key == "dataset" else ())}
        known |= {*recipes(bench.space)} if key == "recipe" else set()
        if value not in known:
            raise UnknownName("data set" if key == "dataset" else key, value, known)


def remember(known: dict[Any, Any], key: Any, value: Any, most: int) -> None:
    """Put a value into a dictionary that is emptied when it holds `most`."""
    if len(known) >= most:
        known.clear()
    known[key] = value


def as_integer(name: str, value: Any) -> int | None:
    """Return a key that is a count as a plain integer."""
    if value is None:
        return None
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise InvalidRequest(f"{name}={value!r}: expected an integer")
    return operator.index(value)


def as_words(name: str, value: Any) -> tuple[str, ...] | None:
    """Return one word or several as a tuple."""
    if value is None:
        return None
    if isinstance(value, str):
        return (value,)
    if not hasattr(value, "__iter__") or not all(isinstance(word, str) for word in value):
        raise InvalidRequest(f"{name}={value!r}: expected a name or a sequence of names")
    return tuple(value)


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
        self.key: tuple[Any, ...] = ()
        if fill and kinds is not None and "predicted" not in kinds:
            raise InvalidRequest(f"fill='predicted' contradicts kinds={kinds!r}; name 'predicted' too, or drop one")
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
            found.fill = self._filling(metric, device, named, found, source)
        return found

    def _filling(
        self, metric: str, device: Device | None, named: dict[str, Any], found: Resolved, source: str | None
    ) -> Column | None:
        """Find the predictions of the same source; of another one only where the request names none."""
        keys = {**named, **{k: v for k, v in found.keys.items() if v is not None and k != "device"}}
        for candidate in (found.column.source,) if source else (found.column.source, None):
            try:
                return self.bench.resolve(metric, device, keys, ("predicted",), candidate).column
            except (NoColumn, AmbiguousQuery):
                continue
        return None

    def sources(self) -> list[str]:
        """Return the sources of every column that answers or fills."""
        columns = [c for found in self.resolved.values() for c in (found.column, found.fill) if c is not None]
        return sorted({source for column in columns for source in column.sources})

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
            return Value(None, unit, None, None, None, None, None, "no_source", (), None, {})
        column = self.pick(metric, where)
        flags = column.flags_at(where) + found.flags
        keys = {key: column.keys[key] for key in found.keys}
        kind = column.kind_at(where)
        if not self.holds(metric, where):
            return Value(None, unit, None, None, None, column.source, None, "not_measured", flags, None, keys)
        number = column.read(where)
        if number != number:
            status = column.status(where)
            return Value(None, unit, None, None, kind, column.source, column.of, status, flags, None, keys)
        spread, noise, repeats = column.std_at(where), column.noise_at(where), column.repeats_at(where)
        told = (kind, column.source, column.of, "ok", flags, repeats, keys, column.quantiles_at(where))
        return Value(number, unit, spread, noise, *told)

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
        others = self.bench.other_kinds(metric, self.resolved[metric].column)
        if value.status == "not_measured" and others:
            hint = f"; kinds={others!r}" + (' or fill="predicted"' if "predicted" in others else "") + " answers"
        shortfall = getattr(self.resolved[metric].column, "shortfall", None)  # of simulated columns
        if value.status == "does_not_fit" and shortfall is not None:
            hint = f": {shortfall(where)}"
        raise NoValue(f"{metric} of {arch} is {value.status} ({value.source}){hint}")
