"""What the importers share: the rows of NAS-Bench-201, and columns over them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from hwnasbench import spaces
from hwnasbench.errors import CorruptFile
from hwnasbench.tables.schema import LOOKUPS
from hwnasbench.tables.write import ColumnData
from hwnasbench.vocabulary import METRICS, STATUSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from hwnasbench.spaces.nasbench201 import NasBench201

OK, DISCONNECTED, COMPILE_FAILED, NOT_MEASURED = (
    np.int8(STATUSES.index(name)) for name in ("ok", "disconnected", "compile_failed", "not_measured")
)


class Cells(NamedTuple):
    """All NAS-Bench-201 cells in published order: their strings, and which have a path through."""

    archs: list[str]
    connected: NDArray[np.bool_]


@cache
def cells() -> Cells:
    """Return the rows of every NAS-Bench-201 column."""
    space = nasbench201()
    return Cells([space.format(a) for a in space], np.array([space.is_connected(a) for a in space]))


def nasbench201() -> NasBench201:
    """Return the NAS-Bench-201 space."""
    return cast("NasBench201", spaces.get("nasbench201"))


def cell_column(
    source: str,
    metric: str,
    values: Any,
    *,
    kind: str,
    keys: dict[str, str | int | None],
    rows: NDArray[np.intp] | None = None,
    failed: NDArray[np.bool_] | None = None,
    disconnected: bool | None = None,
    flags: Sequence[str] = (),
    row_flags: Sequence[str | None] | None = None,
    **extra: Any,
) -> ColumnData:
    """Return a NAS-Bench-201 column with a status for every row that has no value.

    Parameters
    ----------
    source, metric, kind : str
    values : array of float
        One a row; NaN where there is none.
    keys : dict
        The column's constant keys.
    rows : array of int, optional
        Published index of each row; all 15,625 in order where None.
    failed : array of bool, optional
        Rows that the device's compiler refused.
    disconnected : bool, optional
        Whether cells without a path from input to output have no value. None: for a device's
        metrics, where such a number times nothing; an accuracy at chance is real.
    flags : sequence of str
        Caveats on every row.
    row_flags : sequence of str or None, optional
        One a row, instead of `flags`.
    **extra
        Passed to `ColumnData`.

    Raises
    ------
    CorruptFile
        When the number of values is not the number of rows, or a value is infinite.
    """
    everything = cells()
    index = np.arange(len(everything.archs)) if rows is None else np.asarray(rows)
    value = np.array(values, np.float64)
    if value.shape != index.shape:
        raise CorruptFile(f"source {source}: {value.shape} values of {metric}; expected {index.shape}")
    if np.isinf(value).any():
        raise CorruptFile(f"source {source}: a value of {metric} is infinite")
    status = np.where(np.isnan(value), NOT_MEASURED, OK).astype(np.int8)
    if failed is not None:
        status[failed] = COMPILE_FAILED
    if METRICS[metric].scope == "device" if disconnected is None else disconnected:
        status[~everything.connected[index]] = DISCONNECTED
    value[status != OK] = np.nan
    archs = everything.archs if rows is None else [everything.archs[i] for i in index]
    return ColumnData(
        space="nasbench201",
        metric=metric,
        source=source,
        kind=kind,
        archs=archs,
        values=value,
        arch_index=index.astype(np.int32),
        status=status,
        keys=keys,
        flags=(";".join(flags) or None) if row_flags is None else row_flags,
        **extra,
    )


def listed_column(
    space: str,
    source: str,
    metric: str,
    archs: list[str],
    values: Any,
    *,
    kind: str,
    keys: dict[str, str | int | None],
    flags: Sequence[str] = (),
    missing: bool = False,
    **extra: Any,
) -> ColumnData:
    """Return a column over explicit architectures of a space that is not enumerable.

    Parameters
    ----------
    space, source, metric, kind : str
    archs : list of str
        Canonical strings.
    values : array of float
        One an architecture.
    keys : dict
        The column's constant keys.
    flags : sequence of str
        Caveats on every row.
    missing : bool
        Whether NaN is a row that was not measured; else it is a fault of the file.
    **extra
        Passed to `ColumnData`.

    Raises
    ------
    CorruptFile
        When the number of values is not the number of architectures, an architecture occurs twice, or
        a value is not finite.
    """
    value = np.asarray(values, np.float64)
    lacking = np.isnan(value) & missing
    if value.shape != (len(archs),) or not np.isfinite(value[~lacking]).all():
        raise CorruptFile(f"source {source}: {value.shape} values of {metric}; expected {len(archs)} finite ones")
    if len(set(archs)) != len(archs):
        raise CorruptFile(f"source {source}: an architecture occurs twice among those of {metric}")
    status = np.where(lacking, NOT_MEASURED, OK).astype(np.int8) if lacking.any() else None
    joined = ";".join(flags) or None
    return ColumnData(space, metric, source, kind, archs, value, status=status, keys=keys, flags=joined, **extra)


def by_string(source: str, strings: Sequence[str], index: Sequence[int] | None = None) -> NDArray[np.intp]:
    """Return the published index of each arch string, checked against the file's own `index`.

    Raises
    ------
    CorruptFile
        When a string is no cell, one occurs twice, or the file numbers the cells otherwise.
    """
    found = nasbench201().indices(list(strings))
    if len(np.unique(found)) != len(found):
        raise CorruptFile(f"source {source}: an architecture occurs twice")
    if index is not None and not np.array_equal(found, np.asarray(index)):
        raise CorruptFile(f"source {source}: the file's indices are not the published ones")
    return found


def scatter(rows: NDArray[np.intp], values: Any) -> NDArray[np.float64]:
    """Return `values` in published order, NaN where there is none."""
    out = np.full(len(cells().archs), np.nan)
    out[rows] = np.asarray(values, np.float64)
    return out


def rounded(values: NDArray[np.float64], kind: type[np.floating[Any]] = np.float32) -> NDArray[np.float64]:
    """Return numbers with the digits of a narrower kind, and the range of float64: SynFlow scores exceed 1e38.

    Values get those of float32, seven. The spread of a few seeds gets three, those of float16, and is known to fewer.
    """
    fraction, exponent = np.frexp(values)
    return np.ldexp(fraction.astype(kind).astype(np.float64), exponent)


def lookup_table(record: dict[str, Any], rows: Sequence[tuple[int, int, float | None]]) -> pa.Table:
    """Return a look-up table: what all rows share, and (position, choice, value) of each; of the intercept -1, -1."""
    import pyarrow as pa

    full = [{**record, "position": position, "choice": choice, "value": value} for position, choice, value in rows]
    return pa.Table.from_pylist(full, schema=LOOKUPS)
