"""Which column answers a request. The rules are in docs/data-model.md; a test holds each of them.

1. ``kinds=`` and ``source=`` restrict first.
2. Each key that belongs to the metric is then resolved in turn. A key that is named must match.
   A key that is not named takes its constant (the device's TOML, then the space's); where no
   column has that constant but the remaining ones agree on one other value, they answer, flagged
   ``assumed:KEY``; where they do not agree, the request is ambiguous.
3. Of the columns that remain, which differ by source alone, the one of the source that the space's
   TOML names for the metric answers (a count is exact, whoever published another number), else the
   most trusted kind, and among equals the source with the higher priority.
"""

from __future__ import annotations

from hwnasbench.errors import AmbiguousQuery, NoColumn
from hwnasbench.paths import shipped_store
from hwnasbench.predictors.words import LOSSLESS
from hwnasbench.tables.store import open_store
from hwnasbench.vocabulary import KINDS, METRICS, PER_LAYER, SCOPE_KEYS, precision_bits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from hwnasbench.benchmark import Benchmark
    from hwnasbench.devices import Device
    from hwnasbench.tables.columns import Column

    Keys = Mapping[str, str | int | None]


class Resolved:
    """One metric's answer: the column, the flags that resolving added, and every resolved key."""

    __slots__ = ("column", "fill", "flags", "keys")

    def __init__(self, column: Column, flags: tuple[str, ...], fill: Column | None = None) -> None:
        self.column = column
        self.flags = flags
        self.fill = fill
        self.keys = {key: column.keys[key] for key in SCOPE_KEYS[METRICS[column.metric].scope]}


def resolve(
    columns: Sequence[Column],
    metric: str,
    space: str,
    device: Device | None,
    named: Keys,
    defaults: Mapping[str, Any],
    kinds: tuple[str, ...] | None = None,
    source: str | None = None,
) -> Resolved:
    """Find the one column that answers.

    Parameters
    ----------
    columns : sequence of Column
        All columns of the space for this metric, and for the device where the metric needs one.
    metric, space : str
    device : Device or None
    named : mapping
        The keys that the request names (value not None).
    defaults : mapping
        The space's ``{"defaults": ..., "defaults_at": ..., "defaults_for": ...}``.
    kinds, source : optional
        Restrictions.

    Raises
    ------
    NoColumn
        When nothing answers; the message says what would fill the gap.
    AmbiguousQuery
        When several columns answer and no constant decides.
    """
    what = f"{metric} of {space!r}" + (f" on {device.name!r}" if device else "")
    pool = [c for c in columns if source is None or c.source == source]
    pool = [c for c in pool if kinds is None or any(kind in kinds for kind in c.kinds)]
    if not pool:
        raise NoColumn(_gap(what, columns, kinds, source))
    flags: list[str] = []
    precision = named.get("precision") or _constant("precision", None, device, defaults)
    of_scope = defaults["defaults_for"].get(METRICS[metric].scope, {})
    follows = metric == "accuracy" and (device is not None or _lossless(named.get("precision")))
    for key in SCOPE_KEYS[METRICS[metric].scope]:
        if key == "device":
            continue
        wanted = named.get(key)
        if key == "precision" and follows and not any(c.keys[key] == precision for c in pool):
            # Accuracy follows the precision of the device, or one that loses nothing; fp32 stands in, and says so.
            pool = _named(pool, key, "fp32", f"{what} at precision {precision!r} or")
            precision = "fp32"
            flags.append("precision_mismatch")
            continue
        if wanted is not None:
            pool = _named(pool, key, wanted, what)
        else:
            constant = of_scope[key] if key in of_scope else _constant(key, precision, device, defaults)
            pool, assumed = _unnamed(pool, key, constant, what)
            flags += [f"assumed:{key}"] if assumed else []
    preferred = defaults.get("sources", {}).get(metric)
    best = min(pool, key=lambda c: (c.source != preferred, _rank(c, kinds), -c.priority, c.source))
    return Resolved(best, tuple(f for f in flags if f not in best.flags))


def refuse_unbuilt(bench: Benchmark, metric: str, device: Device | None) -> None:
    """Where the shipped data knows a metric, say which sources would bring it to the built data.

    Raises
    ------
    NoColumn
    """
    shipped = open_store(shipped_store())
    if shipped in bench.stores:
        return
    known = [c for c in shipped.columns if c.space == bench.space.name and c.metric == metric]
    if METRICS[metric].scope == "device" and device is not None:
        known = [c for c in known if c.keys["device"] == device.name]
    if known:
        names = " ".join(sorted({c.source for c in known if c.kind == "predicted"}))
        hint = f"`hwnasbench fetch {names}` and `hwnasbench build` would fill it" if names else "the shipped data does"
        raise NoColumn(f"no built column holds {metric} of {bench.space.name!r}; {hint}")


def _constant(key: str, precision: object, device: Device | None, defaults: Mapping[str, Any]) -> str | int | None:
    if device is not None and key in device.defaults:
        return device.defaults[key]
    at_precision = defaults["defaults_at"].get(precision, {})
    value: str | int | None = at_precision.get(key, defaults["defaults"].get(key))
    return value


def _lossless(precision: object) -> bool:
    """Say whether a request names a precision at which networks are as accurate as in fp32, about."""
    return precision is not None and precision != PER_LAYER and min(precision_bits(str(precision))) >= LOSSLESS


def _only(pool: list[Column], key: str, value: str | int | None) -> list[Column]:
    return [c for c in pool if c.keys[key] == value]


def _values(pool: Iterable[Column], key: str) -> list[str | int | None]:
    return sorted({c.keys[key] for c in pool}, key=str)


def _named(pool: list[Column], key: str, wanted: str | int, what: str) -> list[Column]:
    left = _only(pool, key, wanted)
    if not left:
        raise NoColumn(f"no column answers {what} with {key}={wanted!r}; it is known with {_list(pool, key)}")
    return left


def _unnamed(pool: list[Column], key: str, constant: str | int | None, what: str) -> tuple[list[Column], bool]:
    """Return the columns that the constant leaves, and whether another value stands in for it."""
    left = _only(pool, key, constant) if constant is not None else []
    if left:
        return left, False
    if len(_values(pool, key)) == 1:
        return pool, constant is not None
    raise AmbiguousQuery(f"several columns answer {what}; name {key}=, one of {_list(pool, key)}")


def _list(pool: Iterable[Column], key: str) -> str:
    return f"{key} " + ", ".join("(not stated)" if v is None else repr(v) for v in _values(pool, key))


def _rank(column: Column, kinds: tuple[str, ...] | None) -> int:
    allowed = [KINDS.index(kind) for kind in column.kinds if kinds is None or kind in kinds]
    return min(allowed)


def _gap(what: str, columns: Sequence[Column], kinds: tuple[str, ...] | None, source: str | None) -> str:
    """Say what would fill the gap."""
    if not columns:
        return (
            f"no column answers {what}: no source at hand holds it. "
            "bench.coverage() lists what there is; a source that measures it would fill the gap"
        )
    known = sorted({(c.source, kind) for c in columns for kind in c.kinds})
    listed = ", ".join(f"{kind} from {name}" for name, kind in known)
    if source is not None and all(c.source != source for c in columns):
        return f"no column answers {what} from source {source!r}; known: {listed}"
    sources = sorted({c.source for c in columns if c.of in (kinds or ())})
    hint = f"; `hwnasbench fetch {' '.join(sources)}` and `hwnasbench build` would fill it" if sources else ""
    return f"no column answers {what} with kinds={kinds!r}; known: {listed}{hint}"
