"""Evolution with crossover: generations of mutated and mixed parents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnasbench.search.base import Searcher, positive, share
from hwnasbench.search.moves import cross, mutate_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnasbench.search.base import Score, Vector
    from hwnasbench.search.problem import Problem


class Evolution(Searcher):
    """A generation's best are the parents of the next, and stay in it.

    Parameters
    ----------
    problem : Problem
    seed : int
    population : int
        Members of a generation.
    parent_ratio : float
        Share of them that are parents; the survey's example has 2,000 members and a share of 0.2.
    mutation_ratio : float
        Share of the children that are mutated parents; the others mix two.
    mutation : float
        Probability that a mutation draws a decision anew.
    """

    name = "evolution"
    title = "Evolution with crossover"
    paper = "H. Cai et al., Once-for-All, ICLR 2020, whose search has the defaults of the settings (recalled)"

    def __init__(
        self,
        problem: Problem,
        seed: int,
        *,
        population: int = 100,
        parent_ratio: float = 0.25,
        mutation_ratio: float = 0.5,
        mutation: float = 0.1,
    ) -> None:
        super().__init__(problem, seed)
        positive(self, population=population)
        share(self, parent_ratio=parent_ratio, mutation_ratio=mutation_ratio, mutation=mutation)
        self._size, self._mutants, self._rate = population, mutation_ratio, mutation
        self._parents = max(1, round(parent_ratio * population))
        self._members: list[tuple[Score, Vector]] = []
        self._children: list[tuple[Score, Vector]] = []

    def ask(self, n: int) -> list[Vector]:
        """Return what the generation still lacks."""
        missing = min(n, self._size - len(self._members) - len(self._children))
        if not self._members:
            return [self.problem.draw(self.random) for _ in range(missing)]
        return [self._child() for _ in range(missing)]

    def tell(self, vectors: Sequence[Vector], scores: Sequence[Score]) -> None:
        """Take the children in; once the generation is full, its best are the next one's parents."""
        self._children += zip(scores, vectors, strict=True)
        everyone = self._members + self._children
        if len(everyone) >= self._size:
            # Of equal scores the older one stays: vectors are not compared.
            everyone.sort(key=lambda member: member[0], reverse=True)
            self._members = everyone[: self._parents] if self._parents < self._size else everyone[: self._size - 1]
            self._children = []

    def _child(self) -> Vector:
        number, members = self.random.random, self._members
        first = members[int(number() * len(members))][1]
        if number() < self._mutants:
            return mutate_each(self.problem.choices, first, self._rate, self.random)
        return cross(first, members[int(number() * len(members))][1], self.random)
