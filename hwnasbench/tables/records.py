"""How a table's rows are laid out in a store: one record and its arrays a column."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hwnasbench import spaces
from hwnasbench.errors import CorruptFile
from hwnasbench.tables.schema import INTERVALS, LOOKUPS, OBSERVATIONS
from hwnasbench.tables.write import read_table, split_columns
from hwnasbench.vocabulary import KEYS, KINDS, STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

#: Every array starts at a multiple of this, a cache line.
_ALIGN = 64
_OK = STATUSES.index("ok")
_NOT_MEASURED = STATUSES.index("not_measured")


class Arrays:
    """The arrays of one store, each distinct content kept once."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.table: list[list[Any]] = []
        self.size = 0
        self._numbers: dict[tuple[str, bytes], int] = {}

    def add(self, values: NDArray[Any], kind: str) -> int:
        content = np.ascontiguousarray(values, "<" + kind).tobytes()
        key = (kind, hashlib.sha256(content).digest())
        if key not in self._numbers:
            self._numbers[key] = len(self.table)
            self.table.append([kind, self.size, len(values)])
            padding = -len(content) % _ALIGN
            self.chunks.append(content + b"\0" * padding)
            self.size += len(content) + padding
        return self._numbers[key]

    def add_floats(self, values: NDArray[np.float64]) -> int:
        """Store as float32 where that loses nothing, else as float64."""
        with np.errstate(over="ignore"):
            narrow = values.astype(np.float32)
        exact = np.array_equal(narrow.astype(np.float64), values, equal_nan=True)
        return self.add(narrow if exact else values, "f4" if exact else "f8")


def columns_of(path: Path, arrays: Arrays) -> Iterable[tuple[dict[str, Any], str]]:
    """Yield the record and the digest of each column of one table; its arrays are added to `arrays`.

    Raises
    ------
    CorruptFile
        When the table is damaged or of a schema that no store holds.
    """
    table = read_table(path)
    if table.schema.metadata == OBSERVATIONS.metadata:
        convert = _observation_record
    elif table.schema.metadata == LOOKUPS.metadata:
        convert = _lookup_record
    elif table.schema.metadata == INTERVALS.metadata:
        convert = _interval_record
    else:
        raise CorruptFile(
            f"{path} has schema {table.schema.metadata}; expected the one of observations, lookups or intervals"
        )
    for part in split_columns(table):
        yield convert(part, arrays)


def _first(table: pa.Table, name: str) -> Any:
    return table[name][0].as_py()


def _header(table: pa.Table) -> dict[str, Any]:
    keys = {key: _first(table, key) for key in KEYS}
    header = {
        "space": _first(table, "space"),
        "metric": _first(table, "metric"),
        "source": _first(table, "source"),
        "keys": {key: value for key, value in keys.items() if value is not None},
    }
    of = _first(table, "of") if "of" in table.column_names else None
    return header if of is None else {**header, "of": of}


def _observation_record(table: pa.Table, arrays: Arrays) -> tuple[dict[str, Any], str]:
    """Lay one column out: by published index, or by listed architecture."""
    record = _header(table)
    space = spaces.get(record["space"])
    if space.enumerable:
        rows = len(space)
        at = np.asarray(table["arch_index"], np.int64)
        record["layout"] = "dense"
        where = at
        twice = len(np.unique(at)) != len(at)
    else:
        vectors = space.canonical_vectors(space.vectors(table["arch"].to_pylist()))
        rows = len(vectors)
        order = np.lexsort(vectors.T[::-1])
        table, vectors = table.take(pa.array(order)), vectors[order]
        at = np.arange(rows)
        record |= {"layout": "rows", "positions": vectors.shape[1], "archs": arrays.add(vectors.ravel(), "u1")}
        where = np.array(table["arch"].to_pylist())
        twice = not np.diff(vectors, axis=0).any(axis=1).all()
    if twice:
        raise CorruptFile(f"column {record} holds an architecture twice")
    record |= _row_fields(table, at, rows, arrays)
    return record, _digest(table, where)


def _row_fields(table: pa.Table, at: NDArray[np.int64], rows: int, arrays: Arrays) -> dict[str, Any]:
    """Store what differs row by row, and write down once what does not."""
    fields: dict[str, Any] = {}
    values = np.full(rows, np.nan)
    values[at] = _floats(table["value"])
    fields["values"] = arrays.add_floats(values)
    status = np.full(rows, _NOT_MEASURED, np.uint8)
    status[at] = _words(table["status"], STATUSES)
    fields["count"] = int((status == _OK).sum())
    if (status != _OK).any():
        fields["status"] = arrays.add(status, "u1")
    _add_kinds(fields, table, at, rows, arrays)
    flag_words = sorted({f or "" for f in pc.unique(table["flags"].cast(pa.string())).to_pylist()})
    if len(flag_words) > 1:
        codes = np.zeros(rows, np.uint8)
        codes[at] = [flag_words.index(f or "") for f in table["flags"].to_pylist()]
        fields |= {"flag_words": flag_words, "flag_codes": arrays.add(codes, "u1")}
        common = set.intersection(*(set(word.split(";")) for word in flag_words)) - {""}
        fields["flags"] = sorted(common)
    elif flag_words and flag_words[0]:
        fields["flags"] = flag_words[0].split(";")
    for name in ("std", "noise"):
        _add_optional(fields, name, _floats(table[name]), at, rows, arrays)
    repeats = np.nan_to_num(_floats(table["n"].cast(pa.float64())))
    if repeats.any():
        if (repeats == repeats[0]).all():
            fields["n_constant"] = int(repeats[0])
        else:
            full = np.zeros(rows, np.int32)
            full[at] = repeats
            fields["n"] = arrays.add(full, "i4")
    return fields


def _add_kinds(fields: dict[str, Any], table: pa.Table, at: NDArray[np.int64], rows: int, arrays: Arrays) -> None:
    codes = _words(table["kind"], KINDS)
    present = np.unique(codes)
    fields["kind"] = KINDS[present[0]]
    if len(present) > 1:
        full = np.full(rows, present[0], np.uint8)
        full[at] = codes
        fields |= {"kinds": [KINDS[c] for c in present], "kind_codes": arrays.add(full, "u1")}


def _add_optional(
    fields: dict[str, Any], name: str, given: NDArray[np.float64], at: NDArray[np.int64], rows: int, arrays: Arrays
) -> None:
    known = given[np.isfinite(given)]
    if not len(known):
        return
    if len(known) == len(given) and (known == known[0]).all():
        fields[f"{name}_constant"] = float(known[0])
        return
    full = np.full(rows, np.nan)
    full[at] = given
    # A spread needs no more than seven digits.
    narrow = np.abs(known).max() <= np.finfo(np.float32).max
    fields[name] = arrays.add(full, "f4" if narrow else "f8")


def _floats(column: Any) -> NDArray[np.float64]:
    return np.asarray(
        column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy(), float
    )


def _words(column: Any, words: tuple[str, ...]) -> NDArray[np.uint8]:
    encoded = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    lookup: NDArray[np.uint8] = np.array([words.index(w) for w in encoded.dictionary.to_pylist()] or [0], np.uint8)
    codes: NDArray[np.uint8] = lookup[np.asarray(encoded.indices)]
    return codes


def _digest(table: pa.Table, where: NDArray[Any]) -> str:
    """Hash a column's logical content, whatever the order of its rows and its encoding."""
    order = np.argsort(where, kind="stable")
    digest = hashlib.sha256("\n".join(map(str, where[order].tolist())).encode())
    for name in ("value", "std", "noise"):
        digest.update(np.ascontiguousarray(_floats(table[name])[order], "<f8").tobytes())
    for name in ("n", "kind", "of", "status", "flags"):
        column = pc.fill_null(table[name].cast(pa.string()), "")
        words = sorted(pc.unique(column).to_pylist())
        codes = np.asarray(pc.index_in(column, pa.array(words, pa.string())), "<i4")
        digest.update("\n".join(words).encode() + np.ascontiguousarray(codes[order]).tobytes())
    return digest.hexdigest()


def _lookup_record(table: pa.Table, arrays: Arrays) -> tuple[dict[str, Any], str]:
    """Lay an additive model out as positions x choices."""
    record = _header(table)
    space = spaces.get(record["space"])
    position = np.asarray(table["position"], np.int64)
    choice = np.asarray(table["choice"], np.int64)
    values = _floats(table["value"])
    shape = (len(space.choices), max(space.choices))
    costs = np.full(shape, np.nan)
    inside = position >= 0
    costs[position[inside], choice[inside]] = values[inside]
    # Where a position has fewer choices than another, what no network has costs nothing that is a number.
    own = np.arange(shape[1]) < np.array(space.choices)[:, None]
    listed = np.zeros(shape, bool)
    listed[position[inside], choice[inside]] = True
    if (listed != own).any() or (~inside).sum() != 1 or choice[~inside][0] != -1 or not np.isfinite(values[~inside][0]):
        raise CorruptFile(f"the look-up table {record} lacks a cost; expected one intercept and {own.sum()} costs")
    std = _first(table, "std")
    flags = _first(table, "flags")
    record |= {
        "layout": "lookup",
        "kind": _first(table, "kind"),
        "link": _first(table, "link"),
        "choices": shape[1],
        "intercept": float(values[~inside][0]),
        "values": arrays.add(costs.ravel(), "f8"),
    }
    if np.isnan(costs[own]).any():
        record["partial"] = True
    if std is not None:
        record["std"] = float(std)
    if flags:
        record["flags"] = flags.split(";")
    digest = hashlib.sha256(np.ascontiguousarray(costs, "<f8").tobytes())
    digest.update(json.dumps([record["intercept"], record["link"], record["kind"], std, flags]).encode())
    return record, digest.hexdigest()


def model_record(path: Path, root: Path) -> tuple[dict[str, Any], str]:
    """Return the record and the digest of a model file; the store names it relative to `root`.

    Raises
    ------
    CorruptFile
        When it is no model file.
    """
    from hwnasbench.predictors.arrays import load

    meta = load(path).meta
    record: dict[str, Any] = {name: meta[name] for name in ("space", "metric", "source", "keys", "of")}
    record |= {"layout": "model", "kind": "predicted", "file": path.relative_to(root).as_posix()}
    if meta["flags"]:
        record["flags"] = meta["flags"].split(";")
    return record, hashlib.sha256(path.read_bytes()).hexdigest()


def _interval_record(table: pa.Table, arrays: Arrays) -> tuple[dict[str, Any], str]:
    """Lay a column's quantiles of residuals out as groups x levels."""
    record = _header(table)
    group, level = np.asarray(table["group"], np.int64), _floats(table["level"])
    order = np.lexsort([level, group])
    levels = np.unique(level)
    quantiles, upper = _floats(table["quantile"])[order], _floats(table["upper"])[order]
    groups = len(order) // len(levels)
    grid = np.repeat(np.arange(groups), len(levels))
    edges = upper[:: len(levels)][:-1]
    if not (
        np.array_equal(group[order], grid)
        and np.array_equal(level[order], np.tile(levels, groups))
        and np.all(np.diff(edges) > 0)
        and np.isfinite(quantiles).all()
    ):
        raise CorruptFile(f"the intervals of {record} are no table of groups and levels")
    record["quantiles"] = [arrays.add(levels, "f8"), arrays.add(edges, "f8"), arrays.add(quantiles, "f4")]
    digest = hashlib.sha256()
    for part in (levels, edges, quantiles):
        digest.update(np.ascontiguousarray(part, "<f8").tobytes())
    return record, digest.hexdigest()
