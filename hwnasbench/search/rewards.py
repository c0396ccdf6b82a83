"""From scores to rewards: what reinforcement learning is told where nothing is feasible."""

from __future__ import annotations

from math import inf, isfinite
from typing import TYPE_CHECKING

from hwnasbench.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnasbench.search.base import Score, Searcher


class Rewards:
    """Turns scores into finite rewards: an infeasible architecture is as bad as the worst feasible one so far.

    Parameters
    ----------
    momentum : float
        Of the average; from 0 to below 1.

    Attributes
    ----------
    average : float
        Exponential moving average of the rewards, its first ones corrected for having begun at zero; NaN before them.
    """

    def __init__(self, momentum: float) -> None:
        self._momentum, self._weighted, self._weight = momentum, 0.0, 0.0
        self._worst = inf
        self.average = float("nan")

    def take(self, scores: Sequence[Score]) -> list[float]:
        """Return the rewards of scores that came together, and move the average.

        As long as nothing was feasible there are none, and the average stays: no number is known to be below the scores
        that are still to come.
        """
        self._worst = min(self._worst, min((score for score in scores if isfinite(score)), default=inf))
        if self._worst == inf:
            return []
        rewards = [score if isfinite(score) else self._worst for score in scores]
        for reward in rewards:
            self._weighted += (1 - self._momentum) * (reward - self._weighted)
            self._weight += (1 - self._momentum) * (1 - self._weight)
        self.average = self._weighted / self._weight
        return rewards


def check_rates(searcher: Searcher, learning_rate: float, momentum: float) -> None:
    """Refuse a rate of learning, or a momentum of the average reward, that learns nothing.

    Raises
    ------
    InvalidRequest
    """
    if not _number(learning_rate) or not 0 < learning_rate < inf:
        raise InvalidRequest(f"{searcher.name}: learning_rate={learning_rate!r}; expected a number above 0")
    if not _number(momentum) or not 0 <= momentum < 1:
        raise InvalidRequest(f"{searcher.name}: momentum={momentum!r}; expected a number from 0 to below 1")


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
