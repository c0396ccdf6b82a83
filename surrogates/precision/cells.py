"""Losses of NAS-Bench-201 cells: at int8, on analog hardware over time, and what weights below 8 bits add."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from data_builders.rows import nasbench201
from data_builders.sources import analog_nasbench, mpnas201
from hwnasbench import load
from hwnasbench.predictors.precision import ANALOG, CEILING, TIMES
from hwnasbench.predictors.precision_cells import MONOTONE, connected, features, live_bits
from hwnasbench.predictors.words import METHODS
from hwnasbench.spaces.nasbench201_features import live_representative, live_vectors
from surrogates import folds
from surrogates.intervals import LEVELS
from surrogates.precision import intervals, trees
from surrogates.scorecard import swap_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data_builders.catalog import Folder
    from hwnasbench.predictors.precision import PrecisionModel
    from hwnasbench.spaces.nasbench201 import NasBench201

#: How the analog source's recipes are called at each of `TIMES`.
_SUFFIXES = ("", "_drift_60s", "_drift_1h", "_drift_1d", "_drift_30d")
TARGETS = (*METHODS, *(f"{method}_{time}" for method in ANALOG for time in TIMES))
_DEPTH = 6
_ANALOG = "analog-nasbench"
#: Of how many cells one is judged where an interval takes a convolution.
_TENTH = 10
#: Accuracy of the 8-bit network below which a training failed: nothing is lost of nothing.
_ALIVE = 40.0


def cell_folds(space: NasBench201) -> NDArray[np.int8]:
    """Return the fold of each cell: cells of equal function are in the same one."""
    return folds.assign([space.canonical(cell) for cell in space])


def published(files: Folder) -> dict[str, NDArray[np.float64]]:
    """Return by recipe the accuracy of every cell."""
    return {str(c.keys["recipe"]): np.asarray(c.values) for c in analog_nasbench.columns(files)}


def published_losses(files: Folder) -> dict[str, NDArray[np.float64]]:
    """Return by target the loss of every cell against the same source's float32 accuracy."""
    by_recipe = published(files)
    recipes = {
        **{method: method for method in METHODS},
        **{f"{m}_{t}": f"{m}{suffix}" for m in ANALOG for t, suffix in zip(TIMES, _SUFFIXES, strict=True)},
    }
    return {target: by_recipe["analognas"] - by_recipe[recipe] for target, recipe in recipes.items()}


class Cells(NamedTuple):
    """All cells in published order: what the trees read, their folds, and which have a path."""

    x: NDArray[np.float32]
    fold: NDArray[np.int8]
    alive: NDArray[np.bool_]


def all_cells() -> Cells:
    """Return the cells that losses are fitted to."""
    space = nasbench201()
    vectors = space.all_vectors()
    x = np.asarray(space.encode(vectors, "graph"), np.float32)
    return Cells(x, cell_folds(space), connected(vectors))


def out_of_fold(cells: Cells, true: NDArray[np.float64]) -> NDArray[np.float64]:
    """Predict each cell's loss by trees that saw no cell of its class; 0 for a cell without a path."""
    # The inverse hyperbolic sine keeps the few cells that lose everything from ruling the many that lose little.
    y, out = np.arcsinh(true), np.zeros(len(true))
    for number in range(folds.FOLDS):
        known, asked = cells.alive & (cells.fold != number), cells.alive & (cells.fold == number)
        found = trees.predict(trees.train(cells.x[known], y[known], _DEPTH), cells.x[asked]) + y[known].mean()
        # Nobody loses more than the worst cell that was seen.
        out[asked] = np.minimum(found, y[known].max())
    return np.sinh(out)


def fit_cells(files: Folder) -> tuple[dict[str, NDArray[Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Predict every cell's losses out of fold; return arrays, scores, and how often intervals hold."""
    every, true = all_cells(), published_losses(files)
    alive = every.alive
    found = {target: out_of_fold(every, true[target]) for target in TARGETS}
    for method in ANALOG:
        # Conductances drift apart: nothing gets better with time.
        over_time = np.maximum.accumulate([found[f"{method}_{time}"] for time in TIMES])
        found.update({f"{method}_{time}": row for time, row in zip(TIMES, over_time, strict=True)})
    pairs = swap_pairs(nasbench201())
    cards, held, edges, stds = [], [], [], []
    errors: dict[str, NDArray[Any]] = {"errors_levels": np.array(LEVELS)}
    for target in TARGETS:
        rounded = np.round(found[target] * 100) / 100
        judged = rounded[alive], true[target][alive]
        grouped = intervals.Grouped(*judged)
        edges.append(grouped.limits)
        stds.append(grouped.std)
        if target in METHODS:
            errors |= grouped.arrays(target)
            inside = intervals.unseen(*judged, every.fold[alive])
            held.append(intervals.row(f"NAS-Bench-201, loss at int8, {target}", "other folds", inside))
        twins = true[target][pairs]
        repeat = float(np.sqrt(np.mean((twins[:, 0] - twins[:, 1]) ** 2) / 2))
        cards.append({"target": target, **score(*judged), "repeatability": round(repeat, 3)})
    arrays = {
        "targets": np.array(TARGETS),
        "cells": np.stack([np.round(found[target] * 100).astype(np.int16) for target in TARGETS]),
        "cells_edges": np.stack(edges),
        "cells_std": np.stack(stds),
        **errors,
    }
    return arrays, cards, held


def fit_combined(files: Folder, model: PrecisionModel) -> list[dict[str, Any]]:
    """Say how often intervals of the accuracy at int8 hold: the one in float32 less the loss, on every tenth cell."""
    bench = load("nasbench201", data="shipped")
    full = bench.resolve("accuracy", None, {"precision": "fp32", "recipe": "analognas"}, ("predicted",), _ANALOG)
    rows, by_recipe = np.flatnonzero(connected(nasbench201().all_vectors()))[::_TENTH], published(files)
    found = {m: intervals.combined(model, full.column, m, rows, by_recipe[m][rows]) for m in METHODS}
    return [
        intervals.row(f"NAS-Bench-201, accuracy at int8, {method}", "all, as shipped", held)
        for method, held in found.items()
    ]


def score(predicted: NDArray[np.float64], true: NDArray[np.float64]) -> dict[str, Any]:
    """Return how wrong held-out predictions are, in points."""
    from scipy import stats

    error = predicted - true
    return {
        "rows": len(true),
        "mean_loss": round(float(true.mean()), 3),
        "median_loss": round(float(np.median(true)), 3),
        "mae": round(float(np.abs(error).mean()), 3),
        "median_error": round(float(np.median(np.abs(error))), 3),
        "rmse": round(float(np.sqrt((error**2).mean())), 3),
        "bias": round(float(error.mean()), 3),
        "spearman": round(float(stats.spearmanr(predicted, true).statistic), 3),
    }


class Lowered(NamedTuple):
    """Trainings below 8 bits, with what they lost against the same live graph at 8 bits in the same file."""

    cells: NDArray[np.int8]
    bits: NDArray[np.int64]
    lost: NDArray[np.float64]
    epochs: NDArray[np.int64]


def lowered(files: Folder) -> Lowered:
    """Pair every training that has a live convolution below 8 bits with the median of its graph's at 8 bits."""
    parts = []
    for epochs in mpnas201.FILES:
        found = mpnas201.trainings(files, epochs)
        used = live_bits(found.vectors, found.bits.astype(np.int64))
        graph = [row.tobytes() for row in live_representative(found.vectors)]
        full: dict[bytes, list[float]] = {}
        for key, eight, accuracy in zip(graph, (used == 8).all((1, 2)), found.accuracy, strict=True):
            if eight:
                full.setdefault(key, []).append(accuracy)
        level = np.array([np.median(full[key]) if key in full else np.nan for key in graph])
        keep = np.flatnonzero((level > _ALIVE) & (used < 8).any((1, 2)))
        lost = level[keep] - found.accuracy[keep]
        parts.append(Lowered(found.vectors[keep], found.bits[keep].astype(np.int64), lost, np.full(len(keep), epochs)))
    return Lowered(*(np.concatenate(cast("Any", field)) for field in zip(*parts, strict=True)))


def repeatability(files: Folder, epochs: int) -> dict[str, float | int]:
    """Say how trainings of the same live graph with the same live bits differ (their dead edges may)."""
    found = mpnas201.trainings(files, epochs)
    used = live_bits(found.vectors, found.bits.astype(np.int64))
    groups: dict[bytes, list[float]] = {}
    # Cells whose inner nodes change places are told apart here: their bits would have to change places too.
    for graph, bits, accuracy in zip(live_vectors(found.vectors), used, found.accuracy, strict=True):
        groups.setdefault(graph.tobytes() + bits.tobytes(), []).append(accuracy)
    several = [np.array(group) for group in groups.values() if len(group) > 1 and np.mean(group) > _ALIVE]
    apart = np.concatenate([(group - group.mean()) * np.sqrt(len(group) / (len(group) - 1)) for group in several])
    return {
        "groups": len(several),
        "rms": round(float(np.sqrt((apart**2).mean())), 3),
        "median": round(float(np.median(np.abs(apart))), 3),
    }


def fit_lowered(files: Folder) -> tuple[dict[str, NDArray[Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Fit trees to what lower bits lost; return arrays, scores by the folds of all cells, and how intervals hold."""
    space, rows = nasbench201(), lowered(files)
    fold = cell_folds(space)[space.indices(rows.cells)]
    x = np.concatenate(
        [features(space, rows.cells[rows.epochs == e], rows.bits[rows.epochs == e], e) for e in mpnas201.FILES]
    )
    y = np.arcsinh(rows.lost)
    out = np.zeros(len(y))
    for number in range(folds.FOLDS):
        known = fold != number
        booster = trees.train(x[known], y[known], monotone=MONOTONE)
        out[~known] = np.clip(np.sinh(trees.predict(booster, x[~known]) + y[known].mean()), 0, CEILING)
    lowest = live_bits(rows.cells, rows.bits).min(axis=(1, 2))
    highest = np.where(rows.bits, rows.bits, lowest[:, None, None]).max(axis=(1, 2))
    cards, held = [], []
    shipped = rows.epochs == max(mpnas201.FILES)
    inside = intervals.unseen(out[shipped], rows.lost[shipped], fold[shipped])
    for epochs in mpnas201.FILES:
        here = rows.epochs == epochs
        kinds = {"w4a8": (lowest == 4) & (highest == 4), "w2a8": highest == 2, "mixed": lowest != highest, "all": here}
        for kind, chosen in kinds.items():
            some = here & chosen
            cards.append({"epochs": epochs, "bits": kind, **score(out[some], rows.lost[some])})
            if epochs == max(mpnas201.FILES):
                found = {level: hits[some[shipped]] for level, hits in inside.items()}
                held.append(intervals.row(f"NAS-Bench-201, loss below 8 bits, {kind}", "other folds", found))
    grouped = intervals.Grouped(out[shipped], rows.lost[shipped])
    final = trees.train(x, y, monotone=MONOTONE)
    arrays = {
        **trees.arrays(final),
        "tree_base": np.array(y.mean()),
        "trees_edges": grouped.limits,
        "trees_std": grouped.std,
        **grouped.arrays("trees"),
    }
    return arrays, cards, held
