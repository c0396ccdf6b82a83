"""From scores to rewards: what reinforcement learning is told where nothing is feasible."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwnasbench.search.base import Score


class Rewards:
    """Turns scores into finite rewards: an infeasible architecture is as bad as the worst feasible one so far.

    Attributes
    ----------
    baseline : float
        Exponential moving average of the rewards, its first ones corrected for having begun at zero.

    Parameters
    ----------
    momentum : float
        Of the average.
    """

    def __init__(self, momentum: float) -> None:
        self._momentum, self._weighted, self._weight = momentum, 0.0, 0.0
        self._worst, self._best = math.inf, -math.inf

    @property
    def baseline(self) -> float:
        return self._weighted / self._weight if self._weight else 0.0

    def take(self, score: Score) -> float:
        """Return the reward of a score, 0 as long as nothing was feasible, and move the average."""
        if math.isfinite(score):
            self._worst, self._best = min(self._worst, score), max(self._best, score)
            reward = float(score)
        else:
            reward = self._worst if math.isfinite(self._worst) else 0.0
        self._weighted = self._momentum * self._weighted + (1 - self._momentum) * reward
        self._weight = self._momentum * self._weight + (1 - self._momentum)
        return reward

    def scaled(self, reward: float) -> float:
        """Return a reward as a share of the span from the worst to the best so far, 0 where there is none."""
        span = self._best - self._worst
        return (reward - self._worst) / span if math.isfinite(span) and span > 0 else 0.0
