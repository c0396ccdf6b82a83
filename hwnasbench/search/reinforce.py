"""REINFORCE with a factorised policy: each decision has its own probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.search.base import Searcher
from hwnasbench.search.rewards import Rewards, check_rates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hwnasbench.search.base import Score, Vector
    from hwnasbench.search.problem import Problem

#: Of Adam: D. P. Kingma and J. Ba, Adam, ICLR 2015 (recalled); PyTorch's defaults.
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8
#: Standard deviation of the logits at the beginning.
_SPREAD = 1e-3


class Reinforce(Searcher):
    """Policy gradients on a table of logits, against an average reward.

    An infeasible architecture has the reward of the worst feasible one so far; before there is one, nothing is learned.

    Parameters
    ----------
    problem : Problem
    seed : int
    learning_rate : float
        Of Adam.
    momentum : float
        Of the average reward.

    Raises
    ------
    InvalidRequest
        When a rate learns nothing.
    """

    name = "reinforce"
    title = "REINFORCE"
    paper = (
        "R. J. Williams, Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning, "
        "Machine Learning 8, 1992 (recalled); policy and constants are NAS-Bench-201's (read: D-X-Y/AutoDL-Projects "
        "exps/NATS-algos/reinforce.py)"
    )

    def __init__(self, problem: Problem, seed: int, *, learning_rate: float = 0.01, momentum: float = 0.9) -> None:
        super().__init__(problem, seed)
        check_rates(self, learning_rate, momentum)
        counts = np.array(problem.choices)
        there = np.arange(counts.max()) < counts[:, None]
        # What is no choice has a logit of minus infinity: its probability and its gradient are 0.
        self._logits = np.where(there, _SPREAD * self.rng.standard_normal(there.shape), -np.inf)
        self._mean, self._square = np.zeros(there.shape), np.zeros(there.shape)
        self._rate, self._steps = learning_rate, 0
        self._rewards = Rewards(momentum)
        self._positions, self._last = np.arange(len(counts)), counts - 1
        self._probabilities = self._softmax()

    def ask(self, n: int) -> list[Vector]:
        """Draw one architecture by the policy."""
        drawn = self.rng.random((len(self._positions), 1))
        chosen = (self._probabilities.cumsum(axis=1) <= drawn).sum(axis=1)
        # Probabilities may add up to a little less than what was drawn.
        return [tuple(np.minimum(chosen, self._last).tolist())]

    def tell(self, vectors: Sequence[Vector], scores: Sequence[Score]) -> None:
        """Make what did better than the average more probable."""
        for vector, score in zip(vectors, scores, strict=True):
            for reward in self._rewards.take([score]):
                # The average knows this reward too, as NAS-Bench-201's does.
                gain = reward - self._rewards.average
                gradient = gain * self._probabilities
                gradient[self._positions, list(vector)] -= gain
                self._step(gradient)

    def _softmax(self) -> NDArray[np.float64]:
        raised = np.exp(self._logits - self._logits.max(axis=1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))

    def _step(self, gradient: NDArray[np.float64]) -> None:
        """Go down a gradient by one step of Adam."""
        self._steps += 1
        self._mean += (1 - _BETA1) * (gradient - self._mean)
        self._square += (1 - _BETA2) * (gradient**2 - self._square)
        mean, square = self._mean / (1 - _BETA1**self._steps), self._square / (1 - _BETA2**self._steps)
        self._logits -= self._rate * mean / (np.sqrt(square) + _EPSILON)
        self._probabilities = self._softmax()
