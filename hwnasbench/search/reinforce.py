"""REINFORCE with a factorised policy: each decision has its own probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.errors import InvalidRequest
from hwnasbench.search.base import Searcher, share
from hwnasbench.search.rewards import Rewards

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnasbench.search.base import Score, Vector
    from hwnasbench.search.problem import Problem

#: Of Adam: D. P. Kingma and J. Ba, Adam, ICLR 2015 (recalled).
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


class Reinforce(Searcher):
    """Policy gradients on a table of logits, against an average reward.

    Parameters
    ----------
    problem : Problem
    seed : int
    learning_rate : float
        Of Adam.
    momentum : float
        Of the average reward.
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
        share(self, momentum=momentum)
        if not learning_rate > 0:
            raise InvalidRequest(f"{self.name}: learning_rate={learning_rate!r}; expected a number above 0")
        counts = np.array(problem.choices)
        self._there = np.arange(counts.max()) < counts[:, None]
        self._logits = np.where(self._there, 1e-3 * self.rng.standard_normal(self._there.shape), -np.inf)
        self._mean, self._square = np.zeros(self._there.shape), np.zeros(self._there.shape)
        self._rate, self._steps = learning_rate, 0
        self._rewards = Rewards(momentum)
        self._positions = np.arange(len(counts))

    def ask(self, n: int) -> list[Vector]:  # noqa: ARG002 - the policy changes after each architecture
        """Draw one architecture by the policy."""
        drawn = self.rng.random((len(self._positions), 1))
        chosen = (self._probabilities().cumsum(axis=1) <= drawn).sum(axis=1)
        return [tuple(np.minimum(chosen, self._there.sum(axis=1) - 1).tolist())]

    def tell(self, vectors: Sequence[Vector], scores: Sequence[Score]) -> None:
        """Make what did better than the average more probable."""
        for vector, score in zip(vectors, scores, strict=True):
            reward = self._rewards.take(score)
            taken = np.zeros(self._there.shape)
            taken[self._positions, list(vector)] = 1.0
            self._step((self._probabilities() - taken) * (reward - self._rewards.baseline))

    def _probabilities(self) -> np.typing.NDArray[np.float64]:
        raised = np.exp(self._logits - self._logits.max(axis=1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))

    def _step(self, gradient: np.typing.NDArray[np.float64]) -> None:
        """Go down a gradient by one step of Adam."""
        self._steps += 1
        self._mean += (1 - _BETA1) * (gradient - self._mean)
        self._square += (1 - _BETA2) * (gradient**2 - self._square)
        mean, square = self._mean / (1 - _BETA1**self._steps), self._square / (1 - _BETA2**self._steps)
        self._logits -= self._rate * mean / (np.sqrt(square) + _EPSILON)
