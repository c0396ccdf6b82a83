"""Surrogates of layer-wise spaces whose columns are no sums: an additive estimate, and an ensemble that corrects it.

What is predicted is a positive quantity: a latency, the inverse of a throughput, the error of an accuracy. A
ridge regression on what stands in each slot of a network gives an additive estimate of it; its logarithm,
those of the parameters and of the multiply-accumulates, and a one-hot encoding of the decisions are the
features of an MLP ensemble, which predicts the logarithm of the quantity or corrects that of the estimate.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.predictors.arrays import FORMAT, dump
from hwnasbench.predictors.groups import gather
from hwnasbench.predictors.mlp import to_quantity, to_value
from surrogates import folds, scorecard
from surrogates.calibration import Held, judge, residuals_of
from surrogates.curves import SIZES, learning_curve
from surrogates.families.mlp import MLP
from surrogates.families.ridge import Ridge
from surrogates.intervals import LEVELS
from surrogates.layouts import layout

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from surrogates.columns import Column
    from surrogates.families.mlp import FittedMLP
    from surrogates.intervals import Residuals
    from surrogates.layouts import Layout

#: Penalty on the costs of the additive estimate.
_PENALTY = 0.1


@dataclass(frozen=True)
class Candidate:
    """One way to predict.

    Attributes
    ----------
    name : str
    mlp : MLP or None
        None leaves the additive estimate as it is.
    skip : bool
        The ensemble corrects the logarithm of the estimate, rather than predicting that of the quantity.
    """

    name: str
    mlp: MLP | None
    skip: bool


#: What is chosen among.
CANDIDATES = (
    Candidate("additive", None, True),
    Candidate("MLP ensemble", MLP(decay=0.2), False),
    Candidate("MLP ensemble, decay 1", MLP(decay=1.0), False),
    Candidate("additive, corrected by an MLP ensemble", MLP(decay=0.2), True),
)


@dataclass
class Fitted:
    """A candidate fitted to some rows.

    Attributes
    ----------
    sums : (codes, 3) ndarray of float32
        Of the additive estimate, the parameters, the multiply-accumulates.
    ranges : (2, 3) ndarray of float64
        Smallest and largest sums of the networks learned from.
    log_centre, log_scale : (3,) ndarray of float64
    rarity : (features,) ndarray of float64
        Minus the logarithm of the share of the networks with a decision; large where there is none.
    rarest : float
        Largest sum of the rarities of a network learned from.
    """

    given: Layout
    link: str
    candidate: Candidate
    sums: NDArray[np.float32]
    ranges: NDArray[np.float64]
    log_centre: NDArray[np.float64]
    log_scale: NDArray[np.float64]
    rarity: NDArray[np.float64]
    rarest: float
    mlp: FittedMLP | None = field(default=None)

    def features(self, vectors: NDArray[np.int8]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Return the features of the ensemble, and the logarithm of the additive estimate."""
        sums = gather(self.sums.astype(np.float64), self.given.sum_groups.codes(vectors))
        logs = np.log(np.clip(sums, self.ranges[0] / 2, self.ranges[1] * 2))
        one_hot = gather(self.given.one_hot, self.given.groups.codes(vectors))
        standard = ((logs - self.log_centre) / self.log_scale).astype(np.float32)
        return np.concatenate([one_hot, standard], axis=1), logs[:, 0]

    def predict(self, vectors: NDArray[np.int8]) -> NDArray[np.float64]:
        """Return the metric's values as the trainer computes them (in torch)."""
        x, estimate = self.features(vectors)
        total = estimate * self.candidate.skip
        if self.mlp is not None:
            total = total + self.mlp.predict(x)
        return to_value(np.exp(total), self.link)


def link_of(metric: str) -> str:
    """Return how the quantity that is learned becomes the metric's value."""
    return {"accuracy": "error", "throughput": "rate"}.get(metric, "cost")


def fit_rows(
    given: Layout, link: str, candidate: Candidate, vectors: NDArray[np.int8], values: NDArray[np.float64], seed: int
) -> Fitted:
    """Fit one candidate.

    Parameters
    ----------
    given : Layout
    link : str
        One of `hwnasbench.predictors.mlp.LINKS`.
    candidate : Candidate
    vectors : (n, positions) ndarray of int8
        Canonical decisions of the networks to learn from.
    values : (n,) ndarray of float64
    seed : int
    """
    quantity = to_quantity(values, link)
    # Relative to the mean, so that the penalty weighs the same whatever the unit.
    unit = float(quantity.mean())
    ridge = Ridge(_PENALTY).fit(given.terms(vectors), quantity / unit, seed)
    sums = np.concatenate([given.fold(ridge.weights * unit, ridge.intercept * unit)[:, None], given.counts], axis=1)
    found = gather(sums.astype(np.float64), given.sum_groups.codes(vectors))
    ranges = np.stack([found.min(axis=0), found.max(axis=0)])
    ranges[0, 0] = max(ranges[0, 0], quantity.min() / 2)
    logs = np.log(np.clip(found, ranges[0] / 2, ranges[1] * 2))
    scale = np.where(np.ptp(logs, axis=0) > 0, logs.std(axis=0), 1.0)
    one_hot = gather(given.one_hot, given.groups.codes(vectors))
    rarity, rarest = _rarity(given.space.choices, one_hot)
    fitted = Fitted(given, link, candidate, sums, ranges, logs.mean(axis=0), scale, rarity, rarest)
    if candidate.mlp is not None:
        x, estimate = fitted.features(vectors)
        fitted.mlp = candidate.mlp.fit(x, np.log(quantity) - estimate * candidate.skip, seed)
    return fitted


#: Rarity of a decision that no network has: more than any sum of others.
_NEVER = 1000.0


def _rarity(choices: tuple[int, ...], one_hot: NDArray[np.float32]) -> tuple[NDArray[np.float64], float]:
    counts = one_hot.sum(axis=0, dtype=np.float64)
    position = np.repeat(np.arange(len(choices)), choices)
    active = np.bincount(position, counts)[position]
    rarity = np.where(counts > 0, -np.log(np.maximum(counts, 1) / np.maximum(active, 1)), _NEVER)
    return rarity, float((one_hot @ rarity).max())


@dataclass
class Problem:
    """A column's own rows, one a distinct network."""

    given: Layout
    link: str
    vectors: NDArray[np.int8]
    values: NDArray[np.float64]
    fold: NDArray[np.int8]

    def learn(self, candidate: Candidate, rows: NDArray[Any], seed: int) -> Fitted:
        """Fit a candidate to some rows."""
        return fit_rows(self.given, self.link, candidate, self.vectors[rows], self.values[rows], seed)


def problem(column: Column) -> Problem:
    """Lay out the rows of a column that are its own; networks that are equal are in the same fold."""
    given = layout(column.space, str(column.keys["dataset"]))
    rows = np.flatnonzero(column.own)
    vectors = given.space.canonical_vectors(given.space.vectors([column.archs[row] for row in rows]))
    fold = folds.arch_folds([given.space.format(tuple(vector)) for vector in vectors.tolist()])
    return Problem(given, link_of(column.metric), vectors, column.values[rows], fold)


def out_of_fold(asked: Problem) -> tuple[NDArray[np.float64], list[list[float]]]:
    """Predict every row by a model that saw nothing of its fold, chosen without it.

    For each fold the candidates are fitted to three of the others and ranked by Kendall's tau on the fourth;
    the best is fitted to all four.

    Returns
    -------
    predicted : (n,) ndarray of float64
    scores : list of list of float
        Kendall's tau of each candidate, one list a fold.
    """
    predicted, scores = np.empty(len(asked.values)), []
    for number in range(folds.FOLDS):
        held, judged = asked.fold == number, asked.fold == (number + 1) % folds.FOLDS
        found = [asked.learn(candidate, ~held & ~judged, folds.SEED + number) for candidate in CANDIDATES]
        scores.append([_kendall(asked.values[judged], model.predict(asked.vectors[judged])) for model in found])
        best = asked.learn(CANDIDATES[int(np.argmax(scores[-1]))], ~held, folds.SEED + number)
        predicted[held] = best.predict(asked.vectors[held])
    return predicted, scores


def _kendall(true: NDArray[np.float64], predicted: NDArray[np.float64]) -> float:
    from scipy import stats

    return float(stats.kendalltau(true, predicted).statistic) if np.ptp(predicted) > 0 else 0.0


def fit(
    column: Column, sizes: Sequence[int] = SIZES
) -> tuple[dict[str, NDArray[Any]], dict[str, Any], dict[str, Any], Held]:
    """Make one shipped model.

    Parameters
    ----------
    column : Column
        Of a space in `surrogates.layouts.RECIPES`.
    sizes : sequence of int
        Of the learning curve.

    Returns
    -------
    arrays, meta : dict
        The model, fitted to all rows, as `write` takes it.
    card : dict
        Its scorecard, from predictions of networks that their model did not see.
    held : Held
        These predictions, one a row of the column that is its own.
    """
    asked = problem(column)
    predicted, scores = out_of_fold(asked)
    chosen = CANDIDATES[int(np.argmax(np.mean(scores, axis=0)))]
    count = len(asked.values)
    held = Held(predicted, asked.values, np.ones(count, bool), np.arange(count), np.empty((0, 2), np.int64))
    final = asked.learn(chosen, np.ones(count, bool), folds.SEED)

    def fit_predict(train: NDArray[np.intp], wanted: NDArray[np.intp]) -> NDArray[np.float64]:
        return asked.learn(chosen, train, folds.SEED).predict(asked.vectors[wanted])

    card = {
        **scorecard.describe(column, chosen.name),
        "scale": {"cost": "log(value)", "rate": "-log(value)", "error": "log(100 - value)"}[asked.link],
        **judge(column, held),
        "selection": {
            candidate.name: scorecard.rounded(float(score))
            for candidate, score in zip(CANDIDATES, np.mean(scores, axis=0), strict=True)
        },
        "noise_ceiling": None,
        "learning_curve": learning_curve(fit_predict, asked.values, np.arange(count), column.metric, sizes),
        "folds": folds.fold_hash(asked.fold),
        "seed": folds.SEED,
    }
    arrays, meta = pack(column, final, residuals_of(held))
    return arrays, meta, card, held


def pack(column: Column, model: Fitted, residuals: Residuals) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return the arrays and the meta data of a model, as `hwnasbench.predictors.arrays` reads them."""
    recipe, hot = model.given.recipe, model.given.one_hot.shape[1]
    arrays: dict[str, NDArray[Any]] = {
        "sums": model.sums,
        "ranges": model.ranges,
        "rarity": model.rarity,
        "edges": residuals.edges,
        "std": residuals.std.astype(np.float32),
        "quantiles": residuals.table.astype(np.float32),
    }
    meta: dict[str, Any] = {
        "format": FORMAT,
        "space": column.space,
        "metric": column.metric,
        "source": column.source,
        "keys": column.keys,
        "of": column.of,
        "flags": column.flags,
        "link": model.link,
        "groups": recipe.groups,
        "sum_groups": recipe.sum_groups,
        "rarest": model.rarest + 1e-9,
        "skip": int(model.candidate.skip),
        "levels": LEVELS,
        "mean": 0.0,
        "scale": 0.0,
        "layers": 0,
    }
    if model.mlp is not None:
        (weights, bias), *rest = model.mlp.layers
        first = weights.transpose(1, 0, 2).reshape(weights.shape[1], -1)
        arrays |= {"log_centre": model.log_centre, "log_scale": model.log_scale}
        arrays |= {"weights": first[:hot], "log_weights": first[hot:]}
        arrays["bias"] = bias.reshape(-1) - model.mlp.centre @ first
        for number, (weights, bias) in enumerate(rest, 1):
            arrays |= {f"weights{number}": weights, f"bias{number}": bias}
        meta |= {"mean": model.mlp.mean, "scale": model.mlp.scale, "layers": len(rest)}
    return arrays, meta


def write(path: Path, arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> None:
    """Write a model file, whole or not at all; the same model gives the same bytes."""
    from hwnasbench.tables.write import atomically

    atomically(path, lambda temporary: temporary.write_bytes(dump(arrays, meta)))
