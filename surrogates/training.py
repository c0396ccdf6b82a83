"""From built tables to everything that ships: which columns, in which order, by how many workers."""

from __future__ import annotations

import importlib
import multiprocessing
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from hwnasbench import spaces
from hwnasbench.errors import CorruptFile, SourceMissing, UnknownName
from hwnasbench.tables.write import ColumnData
from surrogates import calibration, closed_forms, columns, fbnet, layerwise, nasbench201, shipping
from surrogates.curves import SIZES
from surrogates.layouts import RECIPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from surrogates.calibration import Held
    from surrogates.columns import Column

#: Counted by the library itself, not learned.
_COUNTED = {"fbnet": fbnet.COUNTED, "nasbench201": nasbench201.COUNTED, **dict.fromkeys(RECIPES, nasbench201.COUNTED)}
#: Files in the data folder.
SCORECARDS, CLOSED_FORMS, MODELS = "scorecards.json", "closed_forms.json", "models/columns"
#: Sources that are learned from elsewhere: their levels are those of another recipe, their differences count.
_DIFFERENCES = ("mpnas201",)
_problem: nasbench201.Problem | None = None


@dataclass
class Plan:
    """What is trained, and what is left out because another column has the same values."""

    columns: list[Column]
    skipped: dict[str, str] = field(default_factory=dict)


@dataclass
class Trained:
    """One finished column: its table or its model, its scorecard, its closed form, the quantiles of its residuals."""

    column: Column
    table: pa.Table | None
    card: dict[str, Any]
    form: dict[str, Any] | None = None
    intervals: pa.Table | None = None
    model: tuple[dict[str, NDArray[Any]], dict[str, Any]] | None = None

    @property
    def file(self) -> str:
        """The table that the column is filed in."""
        return "fbnet_lookups" if self.column.space == "fbnet" else f"{self.column.space}_{self.column.source}"


def plan(tables: Path, chosen: Sequence[str] = ()) -> Plan:
    """List the columns to train.

    Parameters
    ----------
    tables : Path
        Folder of built tables, ``<source>/<space>.parquet``.
    chosen : sequence of str
        Texts to look for in the columns' names; every column where empty.

    Raises
    ------
    SourceMissing
        When the folder holds no table.
    UnknownName
        When a text is in no column's name.
    """
    out = Plan([])
    for space, counted in _COUNTED.items():
        found = [c for path in sorted(tables.glob(f"*/{space}.parquet")) for c in columns.read_columns(path)]
        found = [c for c in found if c.metric not in counted and c.own.sum() >= 100 and c.source not in _DIFFERENCES]
        skipped = columns.duplicates(found)
        out.skipped.update(skipped)
        out.columns.extend(sorted((c for c in found if c.name not in skipped), key=lambda c: c.name))
    if not out.columns:
        raise SourceMissing(f"{tables} holds no tables <source>/<space>.parquet; run 'hwnasbench build' first")
    for text in chosen:
        if not any(text in column.name for column in out.columns):
            raise UnknownName("column", text, [column.name for column in out.columns])
    if chosen:
        out.columns = [c for c in out.columns if any(text in c.name for text in chosen)]
    return out


def _model_name(column: Column) -> str:
    """Return the file name of a column's model."""
    told = [column.source, *(str(column.keys[key]) for key in ("device", "batch") if key in column.keys)]
    return "_".join([column.space, column.metric, *told]) + ".npz"


def start_worker() -> None:
    """Prepare a worker: one thread for linear algebra, so that sums are always in the same order."""
    importlib.import_module("threadpoolctl").threadpool_limits(1)


def train_column(column: Column) -> Trained:
    """Make one shipped column; the space is laid out once a process."""
    global _problem
    if column.space == "fbnet":
        table, card, held = fbnet.fit(column)
        return Trained(column, table, card, intervals=_intervals(column, card, held))
    if column.space in RECIPES:
        return _layerwise(column)
    if _problem is None:
        _problem = nasbench201.problem()
    table, card, form = nasbench201.fit(column, _problem)
    held = _held(column, table, _problem)
    card |= calibration.judge(column, held)
    sizes = (*SIZES, 900) if column.metric == "accuracy" else SIZES
    card["learning_curve"] = nasbench201.learning_curve(column, _problem, sorted(sizes))
    return Trained(column, _with_noise(table, held, _problem.connected), card, form, _intervals(column, card, held))


def _layerwise(column: Column) -> Trained:
    """Make a column of a layer-wise space: out-of-fold predictions where it is enumerable, else a model."""
    arrays, meta, card, held = layerwise.fit(column)
    space = spaces.get(column.space)
    if not space.enumerable:
        return Trained(column, None, card, model=(arrays, meta))
    asked = layerwise.problem(column)
    of = {vector.tobytes(): row for row, vector in enumerate(asked.vectors)}
    rows = [of[vector.tobytes()] for vector in space.canonical_vectors(space.all_vectors())]
    predicted = held.predicted.astype(np.float32).astype(np.float64)[rows]
    table = ColumnData(
        space=column.space,
        metric=column.metric,
        source=column.source,
        kind="predicted",
        archs=[space.format(arch) for arch in space],
        values=predicted,
        arch_index=np.arange(len(space)),
        keys=dict(column.keys),
        std=calibration.residuals_of(held).spread(predicted),
        of=column.of,
        flags=column.flags,
    ).to_table()
    return Trained(column, table, card, intervals=_intervals(column, card, held))


def _held(column: Column, table: pa.Table, given: nasbench201.Problem) -> Held:
    """Return the out-of-fold predictions that a NAS-Bench-201 table holds, beside the published values."""
    values, own, _ = column.dense(len(given.space))
    predicted = np.full(len(values), np.nan)
    predicted[table["arch_index"].to_numpy()] = table["value"].to_numpy()
    return calibration.Held(predicted, values, nasbench201.learnable(column, given, own), given.classes, given.pairs)


def _with_noise(table: pa.Table, held: Held, connected: NDArray[np.bool_]) -> pa.Table:
    """Write into a table's rows how well a measurement repeats, where anything was measured twice."""
    noise = calibration.noise_of(held)
    if noise is None:
        return table
    index, at = table["arch_index"].to_numpy(), table.column_names.index("noise")
    # Cells that always answer one class are as repeatable as their spread says.
    told = np.where(connected[index], noise[index], table["std"].to_numpy())
    missing = np.isnan(held.predicted[index]) | np.isnan(told)
    return table.set_column(at, table.schema.field("noise"), pa.array(told, mask=missing))


def _intervals(column: Column, card: dict[str, Any], held: Held) -> pa.Table | None:
    if card["coverage"] == "exact":
        return None
    return calibration.interval_table(column, calibration.residuals_of(held))


def train_columns(
    todo: Sequence[Column], workers: int, advance: Callable[[Column], None], pool: Executor | None = None
) -> list[Trained]:
    """Train columns side by side.

    Parameters
    ----------
    todo : sequence of Column
    workers : int
        Number of processes.
    advance : callable
        Called with each column when it is finished.
    pool : concurrent.futures.Executor, optional
        Used instead of a process pool.

    Returns
    -------
    list of Trained
        In the order of `todo`, whatever the order in which they were finished.
    """
    if pool is None:
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), start_worker) as own:
            return train_columns(todo, workers, advance, own)
    futures = [pool.submit(train_column, column) for column in todo]
    for future, column in zip(futures, todo, strict=True):
        future.add_done_callback(lambda _, column=column: advance(column))  # type: ignore[misc]
    return [future.result() for future in futures]


def write(trained: Iterable[Trained], skipped: dict[str, str], data: Path, partly: bool) -> None:
    """Write tables, scorecards and closed forms into the data folder.

    Parameters
    ----------
    trained : iterable of Trained
    skipped : dict
        Columns left out, to the equal column that is kept.
    data : Path
    partly : bool
        Keep the shipped columns that were not trained this time.
    """
    files: dict[str, dict[str, pa.Table]] = {}
    models: dict[Path, tuple[dict[str, NDArray[Any]], dict[str, Any]]] = {}
    cards = shipping.read_json(data / SCORECARDS).get("columns", {}) if partly else {}
    forms = shipping.read_json(data / CLOSED_FORMS) if partly else {}
    for one in trained:
        name = one.column.name
        if one.table is not None:
            files.setdefault(one.file, {})[name] = one.table
        if one.model is not None:
            path = data / MODELS / _model_name(one.column)
            if path in models:
                raise CorruptFile(f"{path} would be the model of two columns, {name} among them; expected one each")
            models[path] = one.model
        cards[name] = one.card
        if one.intervals is not None:
            files.setdefault("intervals", {})[name] = one.intervals
        if one.form is not None:
            forms[name] = closed_forms.record(one.column, one.form)
    if not partly:
        files["nasbench201_counts"] = shipping.counts_columns(spaces.get("nasbench201"))
        files.setdefault("fbnet_lookups", {}).update(fbnet.counted(spaces.get("fbnet"), shipping.COUNTS_SOURCE))
        for stale in (data / "tables").glob("*.parquet"):
            if stale.stem not in files and stale.stem.rpartition("_")[2] not in shipping.OWN_RECORDS:
                stale.unlink()
        for stale in (data / MODELS).glob("*.npz"):
            if stale not in models:
                stale.unlink()
    for path, (arrays, meta) in sorted(models.items()):
        layerwise.write(path, arrays, meta)
    for file, pieces in sorted(files.items()):
        shipping.write_columns(data / "tables" / f"{file}.parquet", pieces, keep=partly)
    shipping.write_json(data / SCORECARDS, {"columns": cards, "skipped": skipped})
    shipping.write_json(data / CLOSED_FORMS, forms)
