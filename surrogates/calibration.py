"""From held-out predictions to what a value says of itself: std, noise, intervals, and how often they hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from hwnasbench.tables.schema import COLUMN_KEYS, INTERVALS
from hwnasbench.vocabulary import METRICS
from surrogates import folds, scorecard
from surrogates.intervals import LEVELS, Residuals, coverage, repeatability

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from surrogates.columns import Column

#: Parts of the classes that intervals for unseen classes are checked on.
_PARTS = 50


@dataclass
class Held:
    """Predictions of a column by models that did not see the row.

    Attributes
    ----------
    predicted, values : (n,) ndarray of float64
        Of every row; values are read where `rows` is true.
    rows : (n,) ndarray of bool
        What was learned from, and is judged.
    classes : (n,) ndarray of int
        Rows of one class were never on both sides.
    pairs : (m, 2) ndarray of int
        Rows that were measured twice.
    std : (n,) ndarray of float64, optional
        What the model says of its spread; by default the residuals tell it.
    """

    predicted: NDArray[np.float64]
    values: NDArray[np.float64]
    rows: NDArray[np.bool_]
    classes: NDArray[np.int64]
    pairs: NDArray[np.int64]
    std: NDArray[np.float64] | None = None

    def of_rows(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64] | None]:
        """Return predictions, published values and std of the rows that are judged."""
        return self.predicted[self.rows], self.values[self.rows], None if self.std is None else self.std[self.rows]


def judge(column: Column, held: Held) -> dict[str, Any]:
    """Return the part of a scorecard that compares predictions with published values."""
    predicted, true, std = held.of_rows()
    if np.array_equal(true, predicted) or _is_exact(true, predicted):
        return {**scorecard.quality(true, predicted, column.metric), "coverage": "exact"}
    names = held.classes[held.rows]
    parts = folds.assign([str(name) for name in names], _PARTS)
    direction = METRICS[column.metric].direction
    shares = coverage(predicted, true, parts, np.unique(names, return_inverse=True)[1], direction, std)
    return {**scorecard.quality(true, predicted, column.metric), "coverage": shares}


def _is_exact(true: NDArray[np.float64], predicted: NDArray[np.float64]) -> bool:
    return bool(np.all(true)) and float(np.max(np.abs(predicted / true - 1))) < 1e-6


def residuals_of(held: Held) -> Residuals:
    """Return the residuals of a column."""
    return Residuals(*held.of_rows())


def noise_of(held: Held) -> NDArray[np.float64] | None:
    """Return the repeatability of one measurement at each prediction, or None where nothing was measured twice."""
    both = held.pairs[held.rows[held.pairs].all(axis=1)] if len(held.pairs) else held.pairs
    found = repeatability(held.predicted, held.values, both)
    if found is None:
        return None
    edges, noise = found
    return noise[np.searchsorted(edges, held.predicted, side="right")]


def interval_table(column: Column, residuals: Residuals) -> pa.Table:
    """Lay the quantiles of a column's residuals out as rows of the schema of intervals."""
    groups, levels = residuals.table.shape
    upper = np.append(residuals.edges, np.nan)
    rows = groups * levels
    given = {
        "group": np.repeat(np.arange(groups, dtype=np.int32), levels),
        "upper": np.repeat(upper, levels),
        "level": np.tile(np.array(LEVELS), groups),
        "quantile": residuals.table.ravel().astype(np.float32).astype(np.float64),
    }
    named = {"space": column.space, "metric": column.metric, "source": column.source, **column.keys}
    arrays = []
    for field in INTERVALS:
        if field.name in given:
            values = given[field.name]
            arrays.append(pa.array(values, field.type, mask=np.isnan(values)))
        else:
            arrays.append(constant(named.get(field.name), field.type, rows))
    assert {*COLUMN_KEYS} <= {*INTERVALS.names}
    return pa.Table.from_arrays(arrays, schema=INTERVALS)


def constant(value: Any, kind: pa.DataType, rows: int) -> pa.Array:
    """Return a column that says the same in every row; None is null."""
    if value is None:
        return pa.nulls(rows, kind)
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array([value], pa.string()))
    return pa.array(np.full(rows, value), kind)
