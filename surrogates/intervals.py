"""How far the true value lies from a prediction: spreads, quantiles of residuals, coverage, repeatability."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwnasbench.predictors.base import Quantiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LOWER = (0.005, 0.01, 0.025, *(round(0.05 * step, 2) for step in range(1, 10)))
#: Probabilities at which residuals are tabulated.
LEVELS = (*_LOWER, 0.5, *(round(1 - p, 3) for p in reversed(_LOWER)))
#: The intervals whose coverage scorecards give.
CHECKED = (0.8, 0.95)
#: Groups of the prediction, and the fewest residuals that make one.
GROUPS, _SMALLEST = 20, 200
#: Node-swap pairs that make a group of the repeatability.
_PAIRS = 50


class Residuals:
    """Spread and quantiles of held-out residuals in groups of neighbouring predictions.

    Parameters
    ----------
    predicted, true : (n,) ndarray of float64
        Values that their model did not see.
    std : (n,) ndarray of float64, optional
        What the model says of its spread; by default each group has one.

    Attributes
    ----------
    edges : (groups - 1,) ndarray of float64
    std : (groups,) ndarray of float64
        Root mean square of the residuals, exact in float32.
    table : (groups, levels) ndarray of float64
        Quantiles of the residuals over their std, at `LEVELS`.
    """

    def __init__(
        self, predicted: NDArray[np.float64], true: NDArray[np.float64], std: NDArray[np.float64] | None = None
    ) -> None:
        groups = max(1, min(GROUPS, len(true) // _SMALLEST))
        self.edges = np.unique(np.quantile(predicted, np.arange(1, groups) / groups))
        group, residual = self.group(predicted), true - predicted
        members = [np.flatnonzero(group == number) for number in range(len(self.edges) + 1)]
        # Where many predictions are equal a group may be empty: it takes the spread of all.
        members = [found if len(found) else np.arange(len(true)) for found in members]
        own = np.array([np.sqrt((residual[found] ** 2).mean()) for found in members])
        self.std = own.astype(np.float32).astype(np.float64)
        scaled = residual / self._positive(self.std[group] if std is None else std)
        # Of n residuals the k-th is the quantile k / (n + 1): the interval holds for one more, not for these alone.
        self.table = np.array([np.quantile(scaled[found], LEVELS, method="weibull") for found in members])

    @staticmethod
    def _positive(std: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(std > 0, std, 1.0)

    def group(self, predicted: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return the group of each prediction."""
        return np.searchsorted(self.edges, predicted, side="right")

    def spread(self, predicted: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the std of each prediction."""
        return self.std[self.group(predicted)]

    def quantiles(self) -> Quantiles:
        """Return the table as queries read it."""
        return Quantiles(LEVELS, self.edges.tolist(), self.table.tolist())

    def inside(
        self,
        predicted: NDArray[np.float64],
        true: NDArray[np.float64],
        level: float,
        std: NDArray[np.float64] | None = None,
    ) -> NDArray[np.bool_]:
        """Say which true values lie in the central interval of `level` around their prediction."""
        group = self.group(predicted)
        scale = self.std[group] if std is None else std
        ends = [[np.interp(p, LEVELS, row) for row in self.table] for p in ((1 - level) / 2, (1 + level) / 2)]
        low, high = (predicted + scale * np.array(end)[group] for end in ends)
        return np.asarray((low <= true) & (true <= high))


def coverage(
    predicted: NDArray[np.float64],
    true: NDArray[np.float64],
    parts: NDArray[np.int8],
    classes: NDArray[np.int64],
    direction: str,
    std: NDArray[np.float64] | None = None,
) -> dict[str, dict[str, Any]]:
    """Count how often intervals hold the true value.

    Twice: the intervals as they ship, whose table of quantiles is of these very residuals, row by row; and
    intervals whose table is of the residuals of other classes, each class counted once. The second is what a
    new class meets. The members of a class err together: where a few large classes fill a tenth of the
    rows, the shares of rows jump.

    Parameters
    ----------
    predicted, true : (n,) ndarray of float64
        Values that their model did not see.
    parts : (n,) ndarray of int8
        A number to each class; each part is judged by the residuals of the others.
    classes : (n,) ndarray of int
        Rows of one class are predicted alike.
    direction : {"max", "min"}
        Which true values are the best tenth.
    std : (n,) ndarray of float64, optional
        What the model says of its spread.

    Returns
    -------
    dict
        ``"80"`` and ``"95"`` to shipped and unseen, and these to overall, by_decile of the prediction, and
        best_tenth of the true values.
    """
    whole = Residuals(predicted, true, std)

    def without(rows: NDArray[np.bool_]) -> Residuals:
        return Residuals(predicted[rows], true[rows], None if std is None else std[rows])

    others = {number: without(parts != number) for number in np.unique(parts)}
    once = 1 / np.bincount(classes)[classes]
    out: dict[str, dict[str, Any]] = {}
    for level in CHECKED:
        unseen = np.zeros(len(true), bool)
        for number, residuals in others.items():
            mine = parts == number
            unseen[mine] = residuals.inside(predicted[mine], true[mine], level, None if std is None else std[mine])
        shipped = whole.inside(predicted, true, level, std)
        out[f"{100 * level:g}"] = {
            "shipped": _shares(shipped, predicted, true, np.ones(len(true)), direction),
            "unseen": _shares(unseen, predicted, true, once, direction),
        }
    return out


def _shares(
    held: NDArray[np.bool_],
    predicted: NDArray[np.float64],
    true: NDArray[np.float64],
    weight: NDArray[np.float64],
    direction: str,
) -> dict[str, Any]:
    """Return the share that an interval held: overall, by tenths of the weight, and among the best of the true."""
    decile = np.minimum(10 * _below(predicted, weight), 9).astype(int)
    best = _below(-true if direction == "max" else true, weight) < 0.1

    def share(rows: NDArray[np.bool_]) -> float | None:
        return round(float(np.average(held[rows], weights=weight[rows])), 4) if rows.any() else None

    return {
        "overall": share(np.ones(len(held), bool)),
        "by_decile": [share(decile == number) for number in range(10)],
        "best_tenth": share(best),
    }


def _below(values: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of the weight that lies below each value; equal values are together."""
    distinct, code = np.unique(values, return_inverse=True)
    total = np.bincount(code, weight, minlength=len(distinct))
    return np.asarray(((np.cumsum(total) - total) / total.sum())[code])


def repeatability(
    predicted: NDArray[np.float64], values: NDArray[np.float64], pairs: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Estimate the spread of one measurement from pairs of measurements of the same thing.

    The root mean square of half of the squared differences, in groups of the prediction: the noise of one
    of the two, whatever they have in common.

    Parameters
    ----------
    predicted, values : (n,) ndarray of float64
    pairs : (m, 2) ndarray of int
        Rows that measure the same; both have a value.

    Returns
    -------
    edges, noise : ndarray of float64, or None
        As `Residuals.edges` and `Residuals.std`; None below 20 pairs.
    """
    if len(pairs) < 20:
        return None
    middle = predicted[pairs].mean(axis=1)
    groups = max(1, min(GROUPS, len(pairs) // _PAIRS))
    edges = np.unique(np.quantile(middle, np.arange(1, groups) / groups))
    group = np.searchsorted(edges, middle, side="right")
    squares = (values[pairs[:, 0]] - values[pairs[:, 1]]) ** 2 / 2
    total, count = (np.bincount(group, w, minlength=len(edges) + 1) for w in (squares, None))
    noise = np.sqrt(np.where(count > 0, total / np.maximum(count, 1), squares.mean()))
    return edges, noise.astype(np.float32).astype(np.float64)
