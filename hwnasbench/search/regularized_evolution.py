"""Regularised evolution: the oldest of a population dies, whatever its score."""

from __future__ import annotations

from collections import deque
from operator import itemgetter
from typing import TYPE_CHECKING

from hwnasbench.errors import InvalidRequest
from hwnasbench.search.base import Searcher, positive
from hwnasbench.search.moves import mutate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnasbench.search.base import Score, Vector
    from hwnasbench.search.problem import Problem

_SCORE = itemgetter(0)


class RegularizedEvolution(Searcher):
    """Aging evolution: a child mutates the best of a few members, and the oldest member goes.

    Parameters
    ----------
    problem : Problem
    seed : int
    population : int
        Members; so many are drawn at random to begin with.
    sample : int
        Members, drawn with replacement, whose best is the parent.
    """

    name = "regularized_evolution"
    title = "Regularised evolution"
    paper = (
        "E. Real et al., Regularized Evolution for Image Classifier Architecture Search, AAAI 2019 (recalled); members "
        "are drawn with replacement as NAS-Bench-201's authors do (read: D-X-Y/AutoDL-Projects "
        "exps/NATS-algos/regularized_ea.py)"
    )

    def __init__(self, problem: Problem, seed: int, *, population: int = 100, sample: int = 25) -> None:
        super().__init__(problem, seed)
        positive(self, population=population, sample=sample)
        if sample > population:
            raise InvalidRequest(f"{self.name}: sample={sample} of a population of {population}; expected at most it")
        self._size, self._sample = population, sample
        self._members: deque[tuple[Score, Vector]] = deque(maxlen=population)

    def ask(self, n: int) -> list[Vector]:
        """Return the first population, then a child at a time."""
        members = self._members
        missing = self._size - len(members)
        if missing:
            return [self.problem.draw(self.random) for _ in range(min(n, missing))]
        number, size = self.random.random, self._size
        # Of equal scores the one drawn first is taken: vectors are not compared.
        parent = max([members[int(number() * size)] for _ in range(self._sample)], key=_SCORE)
        return [mutate(self.problem.choices, parent[1], self.random)]

    def tell(self, vectors: Sequence[Vector], scores: Sequence[Score]) -> None:
        """Take the children in; a full population loses its oldest members."""
        if len(vectors) == 1:  # a child: a zip would take ten times as long
            self._members.append((scores[0], vectors[0]))
        else:
            self._members.extend(zip(scores, vectors, strict=True))
