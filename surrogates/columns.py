"""Columns of built tables, ready to be learned from: values by architecture, and what to leave out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.tables.schema import COLUMN_KEYS
from hwnasbench.tables.write import read_table, split_columns
from hwnasbench.vocabulary import KEYS, STATUSES

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

#: Largest relative difference of two values that count as equal (a change of unit rounds).
SAME = 1e-9


@dataclass
class Column:
    """One published column: one metric on one device at one setting from one source.

    Attributes
    ----------
    space, metric, source : str
    keys : dict
        Every other key (data set, device, batch, ...); null keys are left out.
    archs : list of str
        Canonical strings, one a row.
    index : (n,) ndarray of int, or None
        Published indices where the space is enumerable.
    values : (n,) ndarray of float64
        NaN where there is no value.
    status : (n,) ndarray of int8
        Positions in `hwnasbench.vocabulary.STATUSES`.
    own : (n,) ndarray of bool
        True where there is a value that belongs to this very architecture. Rows flagged
        ``copied`` are False: nothing learns from them or is judged by them.
    of : str
        Kind of the own values.
    flags : str or None
        The flags that all rows share, ``copied`` left out, joined by ";".
    """

    space: str
    metric: str
    source: str
    keys: dict[str, str | int]
    archs: list[str]
    index: NDArray[np.int64] | None
    values: NDArray[np.float64]
    status: NDArray[np.int8]
    own: NDArray[np.bool_]
    of: str
    flags: str | None

    @property
    def name(self) -> str:
        """The column's name, e.g. ``nasbench201/latency/help/dataset=cifar10,device=pixel3,batch=1``."""
        return column_name(self.space, self.metric, self.source, self.keys)

    def dense(self, size: int) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int8]]:
        """Return values, own and status in index order; rows that are absent are ``not_measured``."""
        assert self.index is not None
        values = np.full(size, np.nan)
        own = np.zeros(size, bool)
        status = np.full(size, STATUSES.index("not_measured"), np.int8)
        values[self.index], own[self.index], status[self.index] = self.values, self.own, self.status
        return values, own, status


def column_name(space: str, metric: str, source: str, keys: dict[str, Any]) -> str:
    """Return the name under which scorecards and commands know a column."""
    told = [f"{key}={keys[key]}" for key in KEYS if keys.get(key) is not None]
    return "/".join([space, metric, source, ",".join(told)])


def read_columns(path: Path) -> list[Column]:
    """Read every column of one observation table, sorted by name.

    Raises
    ------
    CorruptFile
        When the table cannot be read or breaks the schema.
    """
    return sorted((_column(piece) for piece in split_columns(read_table(path))), key=lambda column: column.name)


def table_name(piece: pa.Table) -> str:
    """Return the name of the column that all rows of `piece` belong to."""
    row = piece.slice(0, 1).select([*COLUMN_KEYS]).to_pylist()[0]
    return column_name(row["space"], row["metric"], row["source"], row)


def _column(piece: pa.Table) -> Column:
    import pyarrow.compute as pc

    row = piece.slice(0, 1).to_pylist()[0]
    status = np.array([STATUSES.index(word) for word in _texts(piece, "status")], np.int8)
    flags = _texts(piece, "flags")
    words = {text: set((text or "").split(";")) for text in set(flags)}
    copied = np.array(["copied" in words[text] for text in flags], bool)
    kinds = np.array(_texts(piece, "kind"), np.str_)
    own = (status == STATUSES.index("ok")) & ~copied
    names, counts = np.unique(kinds[own] if own.any() else kinds, return_counts=True)
    caveats = sorted(set.intersection(*words.values()) - {"copied", ""})
    has_index = not pc.all(pc.is_null(piece["arch_index"])).as_py()
    return Column(
        space=row["space"],
        metric=row["metric"],
        source=row["source"],
        keys={key: row[key] for key in KEYS if row[key] is not None},
        archs=_texts(piece, "arch"),
        index=piece["arch_index"].to_numpy().astype(np.int64) if has_index else None,
        values=piece["value"].to_numpy(),
        status=status,
        own=own,
        of=str(names[np.argmax(counts)]),
        flags=";".join(caveats) or None,
    )


def _texts(piece: pa.Table, name: str) -> list[Any]:
    column = piece[name].combine_chunks()
    words = [*column.dictionary.to_pylist(), None]
    return [words[code] for code in column.indices.fill_null(len(words) - 1).to_pylist()]


def duplicates(columns: list[Column]) -> dict[str, str]:
    """Find columns that repeat another one of the same metric, device, data set and split.

    Parameters
    ----------
    columns : list of Column
        Columns of one space.

    Returns
    -------
    dict
        Name of each repeated column to the name of the one that is kept: the one with more rows.
    """
    out: dict[str, str] = {}
    ranked = sorted(columns, key=lambda c: (-int(c.own.sum()), c.name))
    for number, column in enumerate(ranked):
        for kept in ranked[:number]:
            if kept.name not in out and _subject(kept) == _subject(column) and _repeats(column, kept):
                out[column.name] = kept.name
                break
    return dict(sorted(out.items()))


def _subject(column: Column) -> tuple[object, ...]:
    return (column.metric, *(column.keys.get(key) for key in ("device", "dataset", "split")))


def _repeats(column: Column, kept: Column) -> bool:
    known = {arch: value for arch, value in zip(kept.archs, kept.values, strict=True) if value == value}
    mine = [(arch, value) for arch, value in zip(column.archs, column.values, strict=True) if value == value]
    shared = [(value, known[arch]) for arch, value in mine if arch in known]
    if len(shared) < 0.9 * len(mine) or not shared:
        return False
    a, b = np.array(shared).T
    return bool(np.all(np.abs(a - b) <= SAME * np.abs(b)))
