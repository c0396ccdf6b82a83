"""The batch side of the query API: NumPy vectors and pandas frames of the same columns."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench import predicted, spaces
from hwnasbench.errors import InvalidRequest, NoColumn, NotEnumerable
from hwnasbench.noise import drawn, generator, missing
from hwnasbench.predicted import ComputedAccuracy
from hwnasbench.predictors.lookup import evaluate_many
from hwnasbench.simulated import ComputedColumn
from hwnasbench.tables.columns import Column, DenseColumn, LookupColumn, PredictedColumn, RowsColumn
from hwnasbench.vocabulary import KEYS, KINDS, METRICS, STATUSES, simulated_metrics

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from hwnasbench.benchmark import Benchmark
    from hwnasbench.devices import Device
    from hwnasbench.plan import Plan

_OK = STATUSES.index("ok")
_NOT_MEASURED = STATUSES.index("not_measured")


class Batch:
    """One metric of many architectures: values, status codes and kind codes.

    Attributes
    ----------
    values : (n,) ndarray of float
        NaN where there is no value.
    status : (n,) ndarray of uint8, or None
        Positions in `STATUSES`; None where all are ok.
    kinds : (n,) ndarray of uint8, or None
        Positions in `KINDS`; None where all rows have the column's kind.
    """

    def __init__(self, values: NDArray[Any], status: NDArray[np.uint8] | None, kinds: NDArray[np.uint8] | None) -> None:
        self.values = values
        self.status = status
        self.kinds = kinds


def locate(bench: Benchmark, archs: Any) -> NDArray[Any]:
    """Return indices (enumerable spaces) or decision vectors of many architectures."""
    if hasattr(archs, "to_numpy"):
        archs = archs.to_numpy()
    if (
        isinstance(archs, (str, bytes, dict))
        or not hasattr(archs, "__iter__")
        or getattr(archs, "ndim", 1) not in (1, 2)
    ):
        raise InvalidRequest(
            f"expected many architectures (integer array, (n, {len(bench.space.choices)}) array or iterable), "
            f"got {type(archs).__name__}; use query() for one"
        )
    if not hasattr(archs, "__len__"):
        archs = list(archs)
    return bench.space.indices(archs) if bench.space.enumerable else bench.space.vectors(archs)


def read(column: Column, where: NDArray[Any] | None) -> Batch:
    """Read one column at many architectures; None reads the whole enumerable space."""
    if isinstance(column, LookupColumn):
        if where is None:
            raise NotEnumerable(f"{column!r} has no whole column; pass architectures")
        vectors = spaces.get(column.space).canonical_vectors(where)
        values = evaluate_many(column.coefficients(), column.intercept, column.link, vectors)
        missing = np.isnan(values) if column.partial else None
        return Batch(values, None if missing is None else np.where(missing, _NOT_MEASURED, _OK).astype(np.uint8), None)
    if isinstance(column, ComputedColumn):
        return _read_computed(column, where)
    if isinstance(column, PredictedColumn):
        if where is None and not (isinstance(column, ComputedAccuracy) and column.counted.enumerable):
            raise NotEnumerable(f"{column!r} has no whole column; pass architectures")
        return Batch(column.predict(where).values, column.statuses(where), None)
    if isinstance(column, RowsColumn):
        return _read_rows(column, where)
    assert isinstance(column, DenseColumn)
    values, status, kinds = column.vector(), column.statuses(), column.kind_codes()
    if where is None:
        return Batch(values, status, kinds)
    return Batch(
        values.take(where), None if status is None else status.take(where), None if kinds is None else kinds.take(where)
    )


def _read_computed(column: ComputedColumn, where: NDArray[Any] | None) -> Batch:
    if where is None and not column.counted.enumerable:
        raise NotEnumerable(f"{column!r} has no whole column; pass architectures")
    return Batch(*column.batch_of(where), None)


def _read_rows(column: RowsColumn, where: NDArray[Any] | None) -> Batch:
    if where is None:
        raise NotEnumerable(f"{column!r} has no whole column; pass architectures")
    rows = column.rows(where)
    inside = rows >= 0
    values = np.where(inside, column.vector()[rows], np.nan)
    stored = column.statuses()
    status = np.where(inside, _OK if stored is None else stored[rows], _NOT_MEASURED).astype(np.uint8)
    kinds = column.kind_codes()
    return Batch(values, status, None if kinds is None else kinds[rows])


def answer(plan: Plan, metric: str, where: NDArray[Any] | None) -> Batch:
    """Read one metric of a resolved request: restricted to its kinds, and filled where asked."""
    found = plan.resolved[metric]
    batch = read(found.column, where)
    if plan.kinds is not None and batch.kinds is not None:
        allowed = np.isin(batch.kinds, [KINDS.index(kind) for kind in plan.kinds])
        if not allowed.all():
            status = np.full(len(batch.values), _OK, np.uint8) if batch.status is None else batch.status
            batch = Batch(
                np.where(allowed, batch.values, np.nan), np.where(allowed, status, _NOT_MEASURED), batch.kinds
            )
    if found.fill is not None:
        batch = _filled(batch, found.column, read(found.fill, where), found.fill)
    return batch


def measured_again(
    plan: Plan, metric: str, where: NDArray[Any] | None, batch: Batch, rng: np.random.Generator
) -> Batch:
    """Return a batch with one draw of each value's repeatability; see `hwnasbench.noise`.

    Raises
    ------
    NoValue
        When the repeatability of a value is not known.
    """
    found = plan.resolved[metric]
    noise = _noises(found.column, where, len(batch.values))
    if found.fill is not None and batch.kinds is not None:
        filled = batch.kinds == KINDS.index(found.fill.kind)
        if filled.any():
            noise = np.where(filled, _noises(found.fill, where, len(filled)), noise)
    known = np.isfinite(batch.values)
    if not np.isfinite(noise[known]).all():
        raise missing(metric, found.column.source)
    values = np.asarray(batch.values, float)
    normal = rng.standard_normal(len(values))
    values = np.where(known, drawn(metric, np.where(known, values, 1.0), np.where(known, noise, 0.0), normal), np.nan)
    return Batch(values, batch.status, batch.kinds)


def _noises(column: Column, where: NDArray[Any] | None, n: int) -> NDArray[Any]:
    stored = column.noises()
    if stored is None or isinstance(stored, float):
        return np.full(n, np.nan if stored is None else stored)
    if where is None:
        return stored
    return stored[column.rows(where)] if isinstance(column, RowsColumn) else stored.take(where)


def _filled(batch: Batch, column: Column, other: Batch, filling: Column) -> Batch:
    kinds = batch.kinds if batch.kinds is not None else np.full(len(batch.values), KINDS.index(column.kind), np.uint8)
    if batch.status is None:
        return Batch(batch.values, None, kinds)
    gap = batch.status == _NOT_MEASURED
    status = np.full(len(gap), _OK, np.uint8) if other.status is None else other.status
    return Batch(
        np.where(gap, other.values, batch.values),
        np.where(gap, status, batch.status),
        np.where(gap, np.uint8(KINDS.index(filling.kind)), kinds),
    )


def query_many(
    bench: Benchmark, archs: Any, device: str | Device | None, metrics: Sequence[str] | None, request: dict[str, Any]
) -> pd.DataFrame:
    """See `Benchmark.query_many`."""
    import pandas as pd

    rng = _generator(request)
    plan = bench.plan(device, metrics=metrics, **request)
    where = locate(bench, archs)
    names: list[str] = []
    parts: list[Any] = []
    for metric in plan.metrics:
        batch = answer(plan, metric, where)
        if rng is not None:
            batch = measured_again(plan, metric, where, batch, rng)
        names += [metric, f"{metric}_status"]
        parts += [batch.values, statuses_of(batch.status, len(where))]
        if batch.kinds is not None:
            names.append(f"{metric}_kind")
            parts.append(_categories(batch.kinds, len(where), KINDS))
    # Naming the columns afterwards is twice as fast: an index of strings is dear to build.
    frame = pd.DataFrame(dict(enumerate(parts)), copy=False)
    frame.columns = _labels(tuple(names))
    frame.attrs = {
        "request": {"space": bench.space.name, **plan.request},
        "release": bench.release,
        "fingerprint": bench.fingerprint,
        "sources": plan.sources(),
    }
    return frame


def _generator(request: dict[str, Any]) -> np.random.Generator | None:
    """Take ``noise`` out of a request, as a generator."""
    noise = request.pop("noise", None)
    return None if noise is None else generator(noise)


def statuses_of(codes: NDArray[np.uint8] | None, rows: int) -> Any:
    """Return the words for status codes; None is ok everywhere."""
    return _categories(codes, rows, STATUSES)


def _categories(codes: NDArray[np.uint8] | None, rows: int, words: tuple[str, ...]) -> Any:
    """Turn codes into a pandas Categorical without looking at each row."""
    import pandas as pd

    narrow = np.zeros(rows, np.int8) if codes is None else codes.view(np.int8)
    return pd.Categorical.from_codes(narrow, dtype=_dtype(words), validate=False)


@functools.cache
def _dtype(words: tuple[str, ...]) -> Any:
    import pandas as pd

    return pd.CategoricalDtype(list(words))


@functools.cache
def _labels(names: tuple[str, ...]) -> Any:
    import pandas as pd

    return pd.Index(names)


def column(bench: Benchmark, metric: str, device: str | Device | None, request: dict[str, Any]) -> NDArray[Any]:
    """See `Benchmark.column`."""
    if not bench.space.enumerable:
        len(bench.space)
    if "metrics" in request:
        raise InvalidRequest("column() reads one metric; use query_many() for several")
    rng = _generator(request)
    plan = bench.plan(device, metrics=(metric,), **request)
    batch = answer(plan, metric, None)
    values = batch.values if rng is None else measured_again(plan, metric, None, batch, rng).values
    if values.flags.writeable:
        values.flags.writeable = False
    return values


def pareto(
    bench: Benchmark, metrics: Sequence[str], device: str | Device | None, archs: Any, request: dict[str, Any]
) -> pd.DataFrame:
    """See `Benchmark.pareto`."""
    import pandas as pd

    check_several(metrics)
    plan = bench.plan(device, metrics=metrics, **request)
    if archs is None:
        if not bench.space.enumerable:
            raise NotEnumerable(f"space {bench.space.name!r} cannot be looked at whole; pass archs=")
        where: NDArray[Any] = np.arange(len(bench.space))
    else:
        where = locate(bench, archs)
    values = np.stack([np.asarray(answer(plan, m, where).values, float) for m in plan.metrics], axis=1)
    rows = front(values, plan.metrics)
    frame = pd.DataFrame({"arch": [bench.space.format(w if w.ndim else int(w)) for w in where[rows]]})
    if bench.space.enumerable:
        frame.insert(0, "arch_index", where[rows])
    for position, metric in enumerate(plan.metrics):
        frame[metric] = values[rows, position]
    frame.attrs = {"request": plan.request, "release": bench.release, "fingerprint": bench.fingerprint}
    frame.attrs["sources"] = plan.sources()
    return frame


def check_several(metrics: Any) -> None:
    """Refuse what is not two metrics or more.

    Raises
    ------
    InvalidRequest
    """
    if isinstance(metrics, str) or not hasattr(metrics, "__len__") or len(metrics) < 2:
        raise InvalidRequest(f"pareto needs two metrics or more, got {metrics!r}")


def front(values: NDArray[np.float64], metrics: Sequence[str]) -> NDArray[np.intp]:
    """Return the rows that no other row beats on all metrics, sorted by the first one, best first.

    Raises
    ------
    NoColumn
        When no row has a value for all metrics.
    """
    known = np.flatnonzero(np.isfinite(values).all(axis=1))
    if not len(known):
        raise NoColumn(f"no architecture has a value for all of {', '.join(metrics)}")
    signs = np.array([-1.0 if METRICS[m].direction == "max" else 1.0 for m in metrics])
    rows = known[non_dominated(values[known] * signs)]
    return rows[np.argsort(values[rows, 0] * signs[0], kind="stable")]


def non_dominated(costs: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the rows that no other row beats: no worse in every column and better in one.

    Parameters
    ----------
    costs : (n, k) ndarray
        Smaller is better; finite.

    Returns
    -------
    ndarray of int
        Ascending row numbers; equal rows are kept together.
    """
    order = np.lexsort(costs.T[::-1])
    ranked = costs[order]
    if costs.shape[1] == 2:
        keep = _front_of_two(ranked)
    else:
        keep = np.zeros(len(ranked), bool)
        left = np.arange(len(ranked))
        while len(left):
            # The first of the lexicographic order is never dominated by what is left.
            best = ranked[left[0]]
            equal = (ranked[left] == best).all(axis=1)
            keep[left[equal]] = True
            left = left[(ranked[left] < best).any(axis=1)]
    return np.sort(order[keep])


def _front_of_two(ranked: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Sweep rows sorted by the first cost: a row stays if its second cost is a new minimum."""
    second = ranked[:, 1]
    before = np.concatenate(([np.inf], np.minimum.accumulate(second)[:-1]))
    starts = second < before
    # A row equal to the row before it is kept with it.
    same = np.concatenate(([False], (ranked[1:] == ranked[:-1]).all(axis=1)))
    group = np.cumsum(~same) - 1
    return np.asarray(starts[~same][group])


def coverage(bench: Benchmark) -> pd.DataFrame:
    """See `Benchmark.coverage`."""
    import pandas as pd

    names = ["metric", *KEYS, "kind", "of", "source", "flags", "count"]
    rows = [c.describe() for c in [*bench.all_columns(), *predicted.coverage(bench), *_simulated(bench)]]
    frame = pd.DataFrame(rows, columns=["space", *names])
    return frame.sort_values(["metric", "device", "dataset", "source"], na_position="first", ignore_index=True)


def _simulated(bench: Benchmark) -> Iterator[Column]:
    """Yield what the cost models answer: every metric of every device at every precision it runs."""
    from hwnasbench.simulated import column as simulated_column

    for device in bench.devices():
        for precision in device.precisions:
            for metric in simulated_metrics(device.device_class):
                found = simulated_column(bench, metric, device, {"precision": precision})
                if found is not None:
                    yield found
