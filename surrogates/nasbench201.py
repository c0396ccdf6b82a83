"""Surrogates of NAS-Bench-201, shipped as out-of-fold predictions.

Row i of a shipped column was predicted by the model that saw no cell of i's class of equal
function. Rows that are copies of another row, and disconnected cells, are never learned from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench import spaces
from hwnasbench.spaces.nasbench201 import NasBench201
from hwnasbench.tables.write import ColumnData
from hwnasbench.vocabulary import METRICS, STATUSES
from surrogates import closed_forms, curves, features, folds, nested, scorecard
from surrogates.catalog import rule_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from surrogates.columns import Column

#: Counted by the library itself, not learned.
COUNTED = ("params", "macs", "flops")
_OK, _DISCONNECTED = STATUSES.index("ok"), STATUSES.index("disconnected")


@dataclass
class Problem:
    """What every column of the space shares: cells, features, folds."""

    space: NasBench201
    vectors: NDArray[np.int8]
    connected: NDArray[np.bool_]
    folds: NDArray[np.int8]
    classes: NDArray[np.int64]
    pairs: NDArray[np.int64]
    features: dict[str, NDArray[np.float32]]


def problem() -> Problem:
    """Lay out the space once: features, folds by class, node-swap pairs."""
    space = spaces.get("nasbench201")
    assert isinstance(space, NasBench201)
    cost = features.cost_features(space)
    names = [space.canonical(arch) for arch in space]
    classes = np.unique(names, return_inverse=True)[1]
    return Problem(
        space=space,
        vectors=space.all_vectors(),
        connected=np.array([space.is_connected(arch) for arch in space]),
        folds=folds.assign(names),
        classes=classes,
        pairs=scorecard.swap_pairs(space),
        features={
            "cost": cost,
            "function": features.accuracy_features(space),
            "class": features.class_features(space, classes),
            "cells": features.live_operators(space),
            "pairs": features.pairs(space),
        },
    )


@dataclass
class Transform:
    """How a metric looks to the trees."""

    name: str
    forward: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    backward: Callable[[NDArray[np.float64]], NDArray[np.float64]]


IDENTITY = Transform("value", lambda y: y, lambda z: z)
LOG = Transform("log(value)", np.log, np.exp)
NEGATIVE_LOG = Transform("-log(-value)", lambda y: -np.log(-y), lambda z: -np.exp(-z))
LOG_ERROR = Transform("-log(100 - value)", lambda y: -np.log(100 - y), lambda z: 100 - np.exp(-z))


def transform_of(metric: str, values: NDArray[np.float64]) -> Transform:
    """Choose the scale a metric is learned on: relative for costs, relative error for accuracy."""
    if metric == "accuracy" and values.max() < 100:
        return LOG_ERROR
    if METRICS[metric].scope == "device" or metric == "train_time":
        return LOG if values.min() > 0 else IDENTITY
    return NEGATIVE_LOG if values.max() < 0 else IDENTITY


def learnable(column: Column, given: Problem, own: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the rows to learn from: own values of connected cells (training time: of all cells)."""
    return own if column.metric == "train_time" else own & given.connected


def target_of(
    column: Column, values: NDArray[np.float64], rows: NDArray[np.bool_]
) -> tuple[Transform, NDArray[np.float64]]:
    """Return the scale a column is learned on, and its values on it; zero where nothing is learned from."""
    scale = transform_of(column.metric, values[rows])
    target = np.zeros(len(values))
    target[rows] = scale.forward(values[rows])
    return scale, target


def back(column: Column, given: Problem, scale: Transform, raw: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn predictions on the scale they were learned on into the metric's values, exact in float32."""
    if column.metric == "accuracy":
        raw = (np.bincount(given.classes, raw) / np.bincount(given.classes))[given.classes]
    predicted = scale.backward(raw)
    if METRICS[column.metric].unit == "%":
        predicted = predicted.clip(0, 100)
    return predicted.astype(np.float32).astype(np.float64)


def out_of_fold(column: Column, given: Problem) -> tuple[NDArray[np.float64], NDArray[np.bool_], str, dict[str, float]]:
    """Predict every row by the model that did not see its class.

    Returns
    -------
    predictions : (15625,) ndarray of float64
        Exact in float32.
    rows : (15625,) ndarray of bool
        The rows that were learned from, and are judged.
    scale : str
        The scale that was learned on.
    shares : dict
        How much each candidate counts, a mean over the folds.
    """
    values, own, _ = column.dense(len(given.space))
    rows = learnable(column, given, own)
    scale, target = target_of(column, values, rows)
    candidates = rule_of(column).candidates
    found = nested.out_of_fold(candidates, given.features, target, rows, given.folds, given.classes)
    names = [family.name for family in candidates]
    shares = dict(zip(names, map(float, found.shares.mean(axis=0).round(3)), strict=True))
    return back(column, given, scale, found.predicted), rows, scale.name, shares


def learning_curve(column: Column, given: Problem, sizes: Sequence[int] = curves.SIZES) -> list[dict[str, Any]]:
    """Return the quality after learning from ever more rows; see `surrogates.curves`."""
    values, own, _ = column.dense(len(given.space))
    rows = np.flatnonzero(learnable(column, given, own))
    scale = transform_of(column.metric, values[rows])
    target = scale.forward(values[rows])
    family = rule_of(column).curve
    x = given.features[family.features][rows]

    def fit_predict(train: NDArray[np.intp], asked: NDArray[np.intp]) -> NDArray[np.float64]:
        raw = family.fit(x[train], target[train], folds.SEED).predict(x[asked])
        return scale.backward(raw)

    return curves.learning_curve(fit_predict, values[rows], given.classes[rows], column.metric, sizes)


def fit(column: Column, given: Problem) -> tuple[pa.Table, dict[str, Any], dict[str, Any] | None]:
    """Make one shipped column.

    Returns
    -------
    table : pyarrow.Table
        15,625 rows of the observation schema.
    card : dict
        Its scorecard.
    form : dict or None
        The closed form, where the column is one.
    """
    values, own, status = column.dense(len(given.space))
    rows = learnable(column, given, own)
    form = closed_forms.recover(values, rows, given.vectors)
    shares: dict[str, float] = {}
    if form is not None:
        predicted, std = closed_forms.evaluate(form, given.vectors), np.zeros(len(values))
        family, scale = EXACT, "value"
    else:
        predicted, rows, scale, shares = out_of_fold(column, given)
        std, family = scorecard.spread(predicted, values, rows), " + ".join(shares)
    card = {
        **scorecard.describe(column, family),
        "scale": scale,
        **({"selection": shares} if len(shares) > 1 else {}),
        "noise_ceiling": scorecard.noise_ceiling(values, rows, given.pairs),
        "folds": folds.fold_hash(given.folds),
        "seed": folds.SEED,
    }
    everywhere = column.metric == "train_time"
    answer = constant_answer(values, own & ~given.connected) if column.metric == "accuracy" else None
    if answer is not None:
        everywhere, card["disconnected"] = True, answer
        predicted = np.where(given.connected, predicted, np.float64(np.float32(answer["predicted"])))
        std = np.where(given.connected, std, np.float64(np.float32(answer["rmse"])))
    refused = int((status == STATUSES.index("compile_failed")).sum())
    if refused:
        card["compile_failed"] = refused
    alive = given.connected | everywhere
    return shipped(column, given, predicted, std, np.where(alive, _OK, _DISCONNECTED).astype(np.int8)), card, form


EXACT = "exact closed form"


def constant_answer(values: NDArray[np.float64], rows: NDArray[np.bool_]) -> dict[str, Any] | None:
    """Describe the accuracy of disconnected cells: they answer one class, whatever the image.

    Parameters
    ----------
    values : (15625,) ndarray of float64
    rows : (15625,) ndarray of bool
        The disconnected cells with a published value.

    Returns
    -------
    dict or None
        rows, predicted (their median), rmse around it; None without such rows.
    """
    if not rows.any():
        return None
    middle = float(np.median(values[rows]))
    rmse = float(np.sqrt(((values[rows] - middle) ** 2).mean()))
    return {"rows": int(rows.sum()), "predicted": scorecard.rounded(middle), "rmse": scorecard.rounded(rmse)}


def shipped(
    column: Column,
    given: Problem,
    predicted: NDArray[np.float64],
    std: NDArray[np.float64],
    status: NDArray[np.int8],
) -> pa.Table:
    """Lay a predicted column out as rows; a row whose status is not ok has no value."""
    return ColumnData(
        space=column.space,
        metric=column.metric,
        source=column.source,
        kind="predicted",
        archs=[given.space.format(arch) for arch in given.space],
        values=np.where(status == _OK, predicted, np.nan),
        arch_index=np.arange(len(given.space)),
        status=status,
        keys=dict(column.keys),
        std=np.where(status == _OK, std, np.nan),
        of=column.of,
        flags=column.flags,
    ).to_table()
