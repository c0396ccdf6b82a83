"""How well a score ranks: rank correlations by NumPy, and the share of the best that it finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def ranks(values: Floats) -> Floats:
    """Return the ranks of values, the lowest 0; equal ones share the mean of their ranks.

    Parameters
    ----------
    values : (n,) ndarray of float
    """
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts + 1) / 2)[inverse]


def spearman(a: Floats, b: Floats) -> float:
    """Return Spearman's rank correlation; ties share their mean rank. NaN where one side is constant.

    Parameters
    ----------
    a, b : (n,) ndarray of float
    """
    x, y = (ranks(values) - (len(values) - 1) / 2 for values in (a, b))
    scale = np.sqrt((x**2).sum() * (y**2).sum())
    return float((x * y).sum() / scale) if scale else float("nan")


def kendall(a: Floats, b: Floats) -> float:
    """Return Kendall's tau-b: concordant less discordant pairs over the root of the pairs untied on each side.

    NaN where one side is constant. Looks at every pair: n^2 steps, n numbers of memory.

    Parameters
    ----------
    a, b : (n,) ndarray of float
    """
    agreeing, untied_a, untied_b = 0.0, 0.0, 0.0
    for row in range(1, len(a)):
        x, y = np.sign(a[row] - a[:row]), np.sign(b[row] - b[:row])
        agreeing += float(x @ y)
        untied_a += float(x @ x)
        untied_b += float(y @ y)
    scale = np.sqrt(untied_a * untied_b)
    return float(agreeing / scale) if scale else float("nan")


def best_tenth(scores: Floats, truth: Floats) -> float:
    """Return which share of the truly best tenth is in the tenth of the highest scores; of equals the first count.

    Parameters
    ----------
    scores, truth : (n,) ndarray of float
        n is 10 or more.
    """
    size = len(truth) // 10
    chosen, best = (np.argsort(-values, kind="stable")[:size] for values in (scores, truth))
    return len(np.intersect1d(chosen, best)) / size
