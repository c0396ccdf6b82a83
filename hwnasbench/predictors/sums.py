"""Intervals of a sum of independent errors, by convolution of their quantiles."""

from __future__ import annotations

import math
from typing import NamedTuple

from hwnasbench.predictors.base import Quantiles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

_LOWER = (0.01, 0.025, *(round(0.05 * step, 2) for step in range(1, 10)))
#: Probabilities at which a sum is tabulated, as far as the tables that are added reach. Its tails are in part made of
#: what lies beyond the ends of those (0.005), which is taken to lie at the ends, so that its own table ends earlier.
LEVELS = (*_LOWER, 0.5, *(round(1 - p, 3) for p in reversed(_LOWER)))
#: Equally likely values that stand for a distribution: those at the middles of as many equal shares, as Hazen has it.
_POINTS = 200


class Part(NamedTuple):
    """One of several errors that add up.

    Attributes
    ----------
    quantiles : Quantiles
        Of the error over its std, ``true - predicted``.
    value : float
        The prediction, which chooses the group.
    scale : float
        The std; negative where what was predicted is taken away.
    """

    quantiles: Quantiles
    value: float
    scale: float


class Summed(Quantiles):
    """Quantiles of a sum of independent errors over its std; convolved when an interval is asked for.

    Parameters
    ----------
    parts : sequence of Part
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        ends = max((part.quantiles.levels[0] for part in parts), default=0.0)
        super().__init__([p for p in LEVELS if ends <= min(p, 1 - p) + 1e-9], [], [])
        self.parts = tuple(parts)

    def interval(self, value: float, std: float, level: float) -> tuple[float, float]:
        if not self.table:
            self.table = [convolved(self.parts, self.levels)]
        return super().interval(value, std, level)


def convolved(parts: Sequence[Part], levels: Sequence[float] = LEVELS) -> list[float]:
    """Return the quantiles at `levels` of the sum of independent errors over the root of their squared std.

    Each error is taken as equally likely values, and every sum of two of them is as likely as any other.
    """
    import numpy as np

    total = math.hypot(*(part.scale for part in parts))
    if total == 0:
        return [0.0] * len(levels)
    shares = (np.arange(_POINTS) + 0.5) / _POINTS
    first, *others = (_points(part, shares) / total for part in parts if part.scale)
    sums = first
    for points in others:
        sums = np.add.outer(np.quantile(sums, shares, method="hazen"), points).ravel()
    found: list[float] = np.quantile(sums, levels, method="hazen").tolist()
    return found


def _points(part: Part, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    import numpy as np

    row = np.asarray(part.quantiles.at(part.value))
    return np.asarray(part.scale * np.interp(shares, np.asarray(part.quantiles.levels), row))
