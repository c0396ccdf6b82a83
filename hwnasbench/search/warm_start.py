"""Searchers that draw at random first, and then go by a model of what they were told, within known limits."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.search.base import Searcher, positive
from hwnasbench.search.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hwnasbench.search.base import Vector
    from hwnasbench.search.problem import Problem

    Floats = NDArray[np.float64]


class WarmStart(Searcher):
    """Base of searchers whose model needs scores to start with. A subclass proposes the architectures that follow.

    Architectures that break a limit of a `Constrained` objective on a cost are not asked for: a cost needs no training
    to know. What is left infeasible, such as too low an accuracy, counts as the worst of what was feasible.

    Parameters
    ----------
    problem : Problem
    seed : int
    warmup : int
        Architectures drawn at random first; they count.
    batch : int
        Architectures asked for between two fits of the model.

    Attributes
    ----------
    limits : Limits
    asked : dict
        Every architecture that was asked for, in their order.
    told : dict
        Scores of what was evaluated, minus infinity for what was not feasible.
    """

    def __init__(self, problem: Problem, seed: int, *, warmup: int, batch: int) -> None:
        super().__init__(problem, seed)
        positive(self, warmup=warmup, batch=batch)
        self.warmup, self.batch = warmup, batch
        self.limits = Limits(problem)
        self.asked: dict[Vector, None] = {}
        self.told: dict[Vector, float] = {}

    @abstractmethod
    def _propose(self, n: int, vectors: NDArray[np.int8], scores: Floats) -> list[Vector]:
        """Return at most `n` architectures within the limits that were not asked for.

        Parameters
        ----------
        n : int
        vectors : (m, positions) ndarray
        scores : (m,) ndarray
            Of the architectures so far; not all equal.
        """

    def ask(self, n: int) -> list[Vector]:
        """Return random architectures until enough were asked for; then those that follow from the model."""
        found: list[Vector] = []
        lacking = self.warmup - len(self.asked)
        if lacking > 0:
            found = self.limits.draw(min(n, lacking), self.asked, self.rng)
        scores = self._scores()
        if not found and len(scores) and np.ptp(scores) > 0:
            found = self._propose(min(n, self.batch), np.array(list(self.told), np.int8), scores)
        if not found:
            found = self.limits.draw(min(n, self.batch), self.asked, self.rng)
        self.asked.update(dict.fromkeys(found))
        return found

    def tell(self, vectors: Sequence[Vector], scores: Sequence[float]) -> None:
        """Remember the scores."""
        self.told.update(zip(vectors, scores, strict=True))

    def _scores(self) -> Floats:
        """Return the scores of all that was evaluated, finite ones; none before something was feasible."""
        scores = np.array(list(self.told.values()))
        feasible = scores[np.isfinite(scores)]
        return np.where(np.isfinite(scores), scores, feasible.min()) if len(feasible) else feasible
