"""Learning curves: the held-out quality of a family by how many networks it learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from surrogates import folds, scorecard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

#: Networks learned from; the scorecard itself is of all.
SIZES = (10, 30, 100, 300, 1000, 3000)
#: Numbers of a scorecard that a curve gives.
_TOLD = ("r2", "spearman", "kendall", "kendall_best", "mae", "mape")


def learning_curve(
    fit_predict: Callable[[NDArray[np.intp], NDArray[np.intp]], NDArray[np.float64]],
    values: NDArray[np.float64],
    classes: NDArray[np.int64],
    metric: str,
    sizes: Sequence[int] = SIZES,
) -> list[dict[str, Any]]:
    """Return the quality after learning from ever more rows, on all rows of other classes.

    Parameters
    ----------
    fit_predict : callable
        Takes the rows to learn from and the rows to predict; returns the predictions.
    values : (n,) ndarray of float64
        Published values.
    classes : (n,) ndarray of int
        A row is judged when no row of its class was learned from.
    metric : str
    sizes : sequence of int
        Those above four fifths of the rows at hand are left out.

    Returns
    -------
    list of dict
        learned_from, and the numbers of `scorecard.quality`. Each size holds the smaller ones.
    """
    shuffled = np.random.Generator(np.random.PCG64(folds.SEED)).permutation(len(values))
    out = []
    for size in sizes:
        if size > 0.8 * len(values):
            break
        learned = np.sort(shuffled[:size])
        judged = np.flatnonzero(~np.isin(classes, classes[learned]))
        predicted = fit_predict(learned, judged)
        card = scorecard.quality(values[judged], predicted, metric)
        out.append({"learned_from": size, **{name: card[name] for name in _TOLD}})
    return out
