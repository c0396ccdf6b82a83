"""Additive models of layer-wise spaces: an intercept and one cost a (position, operator).

Where a column is exactly such a sum, its look-up table is recovered; elsewhere the model is a
ridge regression on the value or on its logarithm, whichever ranks held-out networks better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from surrogates import folds

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Penalty on the costs. It settles the directions in which the costs cannot be told apart.
RIDGE = 1.0
#: Largest relative residual of a look-up table that is called exact.
EXACT = 1e-9
#: Digits kept of a recovered cost, counted from the leading digit of the largest one.
_DIGITS = 13


@dataclass
class Additive:
    """One additive model: ``link(intercept + sum over positions of costs[position, choice])``.

    Attributes
    ----------
    intercept : float
    costs : (positions, choices) ndarray of float64
    link : {"identity", "exp"}
    """

    intercept: float
    costs: NDArray[np.float64]
    link: str

    def __call__(self, vectors: NDArray[np.int8]) -> NDArray[np.float64]:
        """Return the value for each decision vector."""
        total = self.intercept + self.costs[np.arange(vectors.shape[1]), vectors].sum(axis=1)
        return np.asarray(np.exp(total) if self.link == "exp" else total, np.float64)


def fit_ridge(vectors: NDArray[np.int8], values: NDArray[np.float64], choices: int, link: str) -> Additive:
    """Fit the costs by ridge regression; the intercept is the mean and not penalised."""
    hot, target = _one_hot(vectors, choices), np.log(values) if link == "exp" else values
    shares, mean = hot.mean(axis=0), float(target.mean())
    centred = hot - shares
    normal = centred.T @ centred + RIDGE * np.eye(hot.shape[1])
    weights = np.linalg.solve(normal, centred.T @ (target - mean))
    return Additive(float(mean - shares @ weights), weights.reshape(vectors.shape[1], choices), link)


def fit_exact(vectors: NDArray[np.int8], values: NDArray[np.float64], choices: int) -> Additive | None:
    """Recover the look-up table that `values` are a sum over, or None where they are none.

    Of all tables that give the same sums (the costs of one position can be shifted against
    another's) it is the one of least squares.
    """
    hot = _one_hot(vectors, choices)
    design = np.concatenate([np.ones((len(hot), 1)), hot], axis=1)
    weights: NDArray[np.float64] = np.linalg.lstsq(design, values, rcond=None)[0]
    leading = int(np.floor(np.log10(max(float(np.abs(weights).max()), 1e-300))))
    weights = np.round(weights, _DIGITS - leading) + 0.0
    model = Additive(float(weights[0]), weights[1:].reshape(vectors.shape[1], choices), "identity")
    return model if largest_relative_error(model(vectors), values) < EXACT else None


def out_of_fold(
    vectors: NDArray[np.int8], values: NDArray[np.float64], fold: NDArray[np.int8], choices: int, link: str | None
) -> NDArray[np.float64]:
    """Predict every row by the model fitted to the other folds; `link` None recovers a table."""
    out = np.full(len(values), np.nan)
    for number in range(folds.FOLDS):
        train, held = fold != number, fold == number
        if link is None:
            model = fit_exact(vectors[train], values[train], choices)
        else:
            model = fit_ridge(vectors[train], values[train], choices, link)
        if model is not None:
            out[held] = model(vectors[held])
    return out


def largest_relative_error(predicted: NDArray[np.float64], true: NDArray[np.float64]) -> float:
    """Return the largest error relative to the published value (infinite where one is zero)."""
    if not np.all(true):
        return float("inf")
    return float(np.max(np.abs(predicted / true - 1)))


def spread(predicted: NDArray[np.float64], true: NDArray[np.float64], link: str) -> float:
    """Return the root mean square of the residuals; for the link ``exp`` relative to the prediction."""
    residual = true - predicted
    if link == "exp":
        residual = residual / predicted
    return float(np.sqrt((residual**2).mean()))


def _one_hot(vectors: NDArray[np.int8], choices: int) -> NDArray[np.float64]:
    hot = vectors[:, :, None] == np.arange(choices, dtype=np.int8)
    return np.asarray(hot.reshape(len(vectors), -1), np.float64)
