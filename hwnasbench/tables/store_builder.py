"""Derive the column store from the Parquet tables.

The same tables give the same bytes. A store is written into a new folder and switched to by
renaming one small file, so that a reader never sees half of it and a mapped file never changes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hwnasbench import spaces
from hwnasbench.devices import load_catalog
from hwnasbench.errors import CorruptFile, StaleStore, StorageError
from hwnasbench.spaces.defaults import load_defaults
from hwnasbench.tables.schema import LOOKUPS, OBSERVATIONS, SCHEMA_VERSION
from hwnasbench.tables.store import DATA_FILE, FORMAT, INDEX_FILE, Store
from hwnasbench.tables.user import POINTER_FILE, USER_TABLES
from hwnasbench.tables.write import atomically, read_table, split_columns
from hwnasbench.vocabulary import KEYS, KINDS, STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

#: Every array starts at a multiple of this, a cache line.
_ALIGN = 64
_OK = STATUSES.index("ok")
_NOT_MEASURED = STATUSES.index("not_measured")


class _Arrays:
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


def build_store(
    tables: Iterable[Path],
    folder: Path,
    release: str | None,
    sources: Mapping[str, Mapping[str, Any]],
    root: Path,
) -> str:
    """Write the column store of `tables` into `folder` and return its fingerprint.

    Parameters
    ----------
    tables : iterable of Path
        Parquet files of the observation or the look-up schema.
    folder : Path
        Created; its two files are written whole or not at all.
    release : str or None
        Name of the data; None takes ``built-`` and the fingerprint's first 12 digits.
    sources : mapping
        Source id to title, repository, commit, licence, citation, priority.
    root : Path
        Tables are recorded relative to this folder.

    Raises
    ------
    CorruptFile
        When a table is damaged or two tables hold the same column.
    StorageError
        When the folder cannot be written.
    """
    tables = sorted(tables)
    arrays = _Arrays()
    records: dict[str, dict[str, Any]] = {}
    digests: dict[str, str] = {}
    for path in tables:
        for record, digest in _columns_of(path, arrays):
            name = json.dumps([record["space"], record["metric"], record["keys"], record["source"]], sort_keys=True)
            if name in records:
                raise CorruptFile(f"{path} holds the column {name} a second time")
            records[name] = record
            digests[name] = digest
    fingerprint = hashlib.sha256("\n".join(f"{n} {digests[n]}" for n in sorted(digests)).encode()).hexdigest()
    order = {
        name: arrays.add(np.array(space.index_by_code()), "u2")
        for name in spaces.names()
        if (space := spaces.get(name)).enumerable
    }
    content = b"".join(arrays.chunks)
    index = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "sha256": hashlib.sha256(content).hexdigest(),
        "release": release or f"built-{fingerprint[:12]}",
        "fingerprint": fingerprint,
        "bytes": arrays.size,
        "inputs": {path.relative_to(root).as_posix(): _stamp(path, release is not None) for path in tables},
        "devices": {name: device.to_dict() for name, device in load_catalog().items()},
        "sources": {name: dict(sources[name]) for name in sorted(sources)},
        "defaults": load_defaults(),
        "order": order,
        "arrays": arrays.table,
        "columns": [records[name] for name in sorted(records)],
    }
    atomically(folder / DATA_FILE, lambda path: path.write_bytes(content))
    text = json.dumps(index, ensure_ascii=False, separators=(",", ":"))
    atomically(folder / INDEX_FILE, lambda path: path.write_text(text, "utf-8"))
    return fingerprint


def _stamp(path: Path, content: bool) -> Any:
    """Say which bytes of a table went in: their hash, or for a user's own table size and time."""
    if content:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _columns_of(path: Path, arrays: _Arrays) -> Iterable[tuple[dict[str, Any], str]]:
    table = read_table(path)
    if table.schema.metadata == OBSERVATIONS.metadata:
        convert = _observation_record
    elif table.schema.metadata == LOOKUPS.metadata:
        convert = _lookup_record
    else:
        raise CorruptFile(f"{path} has schema {table.schema.metadata}; expected the one of observations or lookups")
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
    of = _first(table, "of")
    return header if of is None else {**header, "of": of}


def _observation_record(table: pa.Table, arrays: _Arrays) -> tuple[dict[str, Any], str]:
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


def _row_fields(table: pa.Table, at: NDArray[np.int64], rows: int, arrays: _Arrays) -> dict[str, Any]:
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


def _add_kinds(fields: dict[str, Any], table: pa.Table, at: NDArray[np.int64], rows: int, arrays: _Arrays) -> None:
    codes = _words(table["kind"], KINDS)
    present = np.unique(codes)
    fields["kind"] = KINDS[present[0]]
    if len(present) > 1:
        full = np.full(rows, present[0], np.uint8)
        full[at] = codes
        fields |= {"kinds": [KINDS[c] for c in present], "kind_codes": arrays.add(full, "u1")}


def _add_optional(
    fields: dict[str, Any], name: str, given: NDArray[np.float64], at: NDArray[np.int64], rows: int, arrays: _Arrays
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
    fields[name] = arrays.add(full.astype(np.float32), "f4")


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


def _lookup_record(table: pa.Table, arrays: _Arrays) -> tuple[dict[str, Any], str]:
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
    if (np.isfinite(costs) != own).any() or (~inside).sum() != 1 or choice[~inside][0] != -1:
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
    if std is not None:
        record["std"] = float(std)
    if flags:
        record["flags"] = flags.split(";")
    digest = hashlib.sha256(np.ascontiguousarray(costs, "<f8").tobytes())
    digest.update(json.dumps([record["intercept"], record["link"], record["kind"], std, flags]).encode())
    return record, digest.hexdigest()


def build_shipped_store(data_dir: Path, release: str, sources: Mapping[str, Mapping[str, Any]]) -> str:
    """Write ``data_dir/store`` from ``data_dir/tables/*.parquet`` and return the fingerprint."""
    return build_store((data_dir / "tables").glob("*.parquet"), data_dir / "store", release, sources, data_dir)


def _is_whole(folder: Path) -> bool:
    """Whether a store is there and none of its bytes was changed."""
    try:
        Store(folder).verify()
    except (CorruptFile, StaleStore):
        return False
    return True


def build_user_store(home: Path, sources: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write the store of the user's own tables and switch to it.

    Parameters
    ----------
    home : Path
        The data folder; its tables are ``home/tables/**/*.parquet`` and ``home/lookups/**/*.parquet``.
    sources : mapping
        Source id to its record.

    Returns
    -------
    Path
        The new store folder.
    """
    base = home / "store"
    try:
        base.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write {base}: {error.strerror}; expected a writable folder") from error
    fresh = base / "incoming"
    try:
        tables = [path for part in USER_TABLES for path in (home / part).rglob("*.parquet")]
        fingerprint = build_store(tables, fresh, None, sources, home)
        name = f"{fingerprint[:12]}-{hashlib.sha256((fresh / INDEX_FILE).read_bytes()).hexdigest()[:12]}"
        target = base / name
        if not _is_whole(target):
            shutil.rmtree(target, ignore_errors=True)
            fresh.replace(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    atomically(base / POINTER_FILE, lambda path: path.write_text(name, "utf-8"))
    for other in base.iterdir():
        if other.is_dir() and other.name != name:
            # On systems that refuse to remove a mapped file the old store stays until the next build.
            shutil.rmtree(other, ignore_errors=True)
    return target
