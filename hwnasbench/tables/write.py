"""From columns in memory to tidy Parquet, atomically and with the same bytes every time."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hwnasbench.errors import CorruptFile, StorageError
from hwnasbench.tables.schema import COLUMN_KEYS, OBSERVATIONS, validate
from hwnasbench.vocabulary import STATUSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

_OK = STATUSES.index("ok")
_ROWS = 1 << 21
_DICTIONARY_BYTES = 1 << 24


@dataclass
class ColumnData:
    """One column before it is written: keys that are constant, and one entry a row.

    Attributes
    ----------
    space, metric, source, kind : str
        `kind` may be overridden row by row with `kinds`.
    archs : sequence of str
        Canonical strings, one a row.
    values : (n,) ndarray of float64
        NaN exactly where `status` is not ok.
    arch_index : (n,) ndarray of int, optional
        Published indices; None where the space is not enumerable.
    status : (n,) ndarray of int8, optional
        Positions in `hwnasbench.vocabulary.STATUSES`; all ok where None.
    keys : dict
        Any of `hwnasbench.vocabulary.KEYS`; a missing key is null.
    std, noise, n, kinds, flags : optional
        `std`: (n,) floats, the spread of the true value. `noise`: (n,) floats, the repeatability of
        one measurement. `n`: repeats, one number or one a row. `kinds` and `flags`: one
        string a row; `flags` may be one string for all rows. Several flags are joined by ";".
    of : str, optional
        For predicted columns: the kind of the values they were fitted to.
    """

    space: str
    metric: str
    source: str
    kind: str
    archs: Sequence[str]
    values: NDArray[np.float64]
    arch_index: NDArray[Any] | None = None
    status: NDArray[np.int8] | None = None
    keys: dict[str, str | int | None] = field(default_factory=dict)
    std: NDArray[np.float64] | None = None
    noise: NDArray[np.float64] | None = None
    n: NDArray[Any] | int | None = None
    kinds: Sequence[str] | None = None
    flags: Sequence[str | None] | str | None = None
    of: str | None = None

    def to_table(self) -> pa.Table:
        """Return the column as rows of the observation schema."""
        rows = len(self.archs)
        values = np.asarray(self.values, np.float64)
        status = np.full(rows, _OK, np.int8) if self.status is None else np.asarray(self.status, np.int8)
        if values.shape != (rows,) or status.shape != (rows,):
            raise CorruptFile(
                f"column {self.metric} of {self.source}: {rows} architectures, "
                f"{values.shape} values, {status.shape} statuses"
            )
        per_row: dict[str, Any] = {
            "space": self.space,
            "arch": list(self.archs),
            "arch_index": None if self.arch_index is None else np.asarray(self.arch_index, np.int32),
            "metric": self.metric,
            "value": pa.array(values, mask=status != _OK),
            "std": None if self.std is None else _nullable(self.std, status),
            "noise": None if self.noise is None else _nullable(self.noise, status),
            "n": self.n,
            "kind": self.kind if self.kinds is None else list(self.kinds),
            "of": self.of,
            "source": self.source,
            "status": pa.DictionaryArray.from_arrays(status.astype(np.int32), list(STATUSES)),
            "flags": self.flags if self.flags is None or isinstance(self.flags, str) else list(self.flags),
            **self.keys,
        }
        arrays = [_fill(per_row.get(f.name), f.type, rows) for f in OBSERVATIONS]
        return pa.Table.from_arrays(arrays, schema=OBSERVATIONS)


def _nullable(std: NDArray[np.float64], status: NDArray[np.int8]) -> pa.Array:
    std = np.asarray(std, np.float64)
    return pa.array(std, mask=(status != _OK) | ~np.isfinite(std))


def _fill(value: Any, kind: pa.DataType, rows: int) -> pa.Array:
    if isinstance(value, (pa.Array, pa.DictionaryArray)):
        return value if value.type == kind else value.cast(kind)
    if isinstance(value, (list, np.ndarray)):
        return pa.array(value).cast(kind) if pa.types.is_dictionary(kind) else pa.array(value, kind)
    if value is None:
        return pa.nulls(rows, kind)
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array([value], pa.string()))
    return pa.array(np.full(rows, value), kind)


def concat(tables: Iterable[pa.Table]) -> pa.Table:
    """Concatenate tables of one schema into one with one dictionary a text column."""
    return pa.concat_tables(list(tables)).unify_dictionaries().combine_chunks()


def split_columns(table: pa.Table) -> Iterator[pa.Table]:
    """Cut a table into its columns: one piece of rows for each set of keys."""
    ids = np.zeros(table.num_rows, np.int64)
    groups = 1
    for name in COLUMN_KEYS:
        codes = _codes(table[name])
        distinct = int(codes.max(initial=0)) + 1
        if groups * distinct >= 1 << 62:
            _, ids = np.unique(ids, return_inverse=True)
            groups = int(ids.max(initial=0)) + 1
        ids, groups = ids * distinct + codes, groups * distinct
    order = np.argsort(ids, kind="stable")
    bounds = np.flatnonzero(np.diff(ids[order], prepend=-1, append=-1))
    for first, last in itertools.pairwise(bounds):
        yield table.take(pa.array(order[first:last]))


def _codes(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Number the distinct values of a column; null is 0."""
    whole = column.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.chunk(0) if whole.num_chunks else pa.nulls(0, pa.int32())
    encoded = whole if pa.types.is_dictionary(whole.type) else pc.dictionary_encode(whole)
    return np.asarray(pc.fill_null(encoded.indices, -1), np.int64) + 1


def write_table(table: pa.Table, path: Path) -> None:
    """Validate `table` and write it to `path` as Parquet: whole or not at all.

    The bytes depend on the table alone. One row group keeps the dictionary of architectures once;
    values are split by byte, and the ascending indices stored as differences, which halves the file.

    Raises
    ------
    CorruptFile
        When the table breaks the schema.
    StorageError
        When the folder is read-only, full or not a folder; nothing half-written stays behind.
    """
    if table.schema.metadata == OBSERVATIONS.metadata:
        validate(table, str(path))
    encodings = {"value": "BYTE_STREAM_SPLIT", "arch_index": "DELTA_BINARY_PACKED"}
    names = table.column_names
    atomically(
        path,
        lambda temporary: pq.write_table(
            table,
            temporary,
            compression="zstd",
            compression_level=9,
            row_group_size=_ROWS,
            dictionary_pagesize_limit=_DICTIONARY_BYTES,
            use_dictionary=[name for name in names if name not in encodings],
            column_encoding={name: encoding for name, encoding in encodings.items() if name in names},
        ),
    )


def atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Run ``write(temporary)`` and rename the temporary file to `path`.

    Raises
    ------
    StorageError
        When writing or renaming fails; the temporary file is removed.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}; expected a writable folder") from error
    finally:
        if temporary.exists():
            temporary.unlink()


def read_table(path: Path) -> pa.Table:
    """Read one Parquet table written by `write_table`.

    Raises
    ------
    CorruptFile
        When the file is truncated, no Parquet, or of another schema.
    """
    try:
        table = pq.read_table(path, partitioning=None)
    except (pa.ArrowInvalid, pa.ArrowException, OSError) as error:
        raise CorruptFile(f"{path} cannot be read as Parquet: {error}; build it again") from error
    if table.schema.metadata == OBSERVATIONS.metadata:
        validate(table, str(path))
    return table
