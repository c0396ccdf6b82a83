"""What a predictor returns, and how its intervals are read: no training and no table is known here."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple, Protocol

from hwnasbench.errors import InvalidRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


class Prediction(NamedTuple):
    """What a predictor says of many architectures.

    Attributes
    ----------
    values : (n,) ndarray of float64
        In the metric's unit.
    std : (n,) ndarray of float64
        Spread of the true value around the prediction.
    extrapolated : (n,) ndarray of bool
        Far from everything the predictor was fitted to.
    """

    values: NDArray[np.float64]
    std: NDArray[np.float64]
    extrapolated: NDArray[np.bool_]


class Predictor(Protocol):
    """A small model of one column, evaluated in NumPy."""

    def predict(self, vectors: NDArray[np.int8]) -> Prediction:
        """Predict many architectures by their canonical decision vectors, shape (n, positions)."""

    def quantiles(self) -> Quantiles | None:
        """Return the quantiles of its normalised held-out residuals, or None where nobody took them."""


class Quantiles:
    """Quantiles of held-out residuals ``(true - predicted) / std``, in groups of the prediction.

    Parameters
    ----------
    levels : sequence of float
        Ascending probabilities.
    edges : sequence of float
        Ascending predictions between which the groups lie; one fewer than there are groups.
    table : sequence of sequence of float
        One row a group, one quantile a level.
    """

    def __init__(self, levels: Sequence[float], edges: Sequence[float], table: Sequence[Sequence[float]]) -> None:
        self.levels, self.edges, self.table = levels, edges, table

    def at(self, value: float) -> Sequence[float]:
        """Return the quantiles of the group that a prediction is in."""
        return self.table[bisect_right(self.edges, value)]

    def interval(self, value: float, std: float, level: float) -> tuple[float, float]:
        """Return the central interval that holds the true value with probability `level`.

        Raises
        ------
        InvalidRequest
            When the level is not between 0 and the widest one that the residuals tell of.
        """
        widest = 1 - 2 * self.levels[0]
        if isinstance(level, bool) or not isinstance(level, (int, float)) or not 0 < level <= widest + 1e-12:
            raise InvalidRequest(f"level {level!r}: expected one above 0 and at most {widest:g}")
        row = self.at(value)
        low, high = (interpolate(p, self.levels, row) for p in ((1 - level) / 2, (1 + level) / 2))
        return value + std * low, value + std * high


def interpolate(x: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    """Interpolate linearly between ascending `xs`; outside of them the first or the last of `ys`."""
    right = bisect_right(xs, x)
    if right == 0:
        return ys[0]
    if right == len(xs):
        return ys[-1]
    share = (x - xs[right - 1]) / (xs[right] - xs[right - 1])
    return ys[right - 1] + share * (ys[right] - ys[right - 1])
