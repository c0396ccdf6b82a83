"""Evolution with crossover: generations of mutated and mixed parents."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

from hwnasbench.search.base import Searcher, positive, share
from hwnasbench.search.moves import cross, mutate, mutate_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnasbench.search.base import Score, Vector
    from hwnasbench.search.problem import Problem

_SCORE = itemgetter(0)


class Evolution(Searcher):
    """The best of a generation and of its parents are the parents of the next one.

    A child that is one of the parents already, or of its own generation, has one decision changed: in the paper the
    accuracy of a child is predicted for nothing, here each costs an evaluation.

    Parameters
    ----------
    problem : Problem
    seed : int
    population : int
        Children of a generation; so many are drawn at random to begin with.
    parent_ratio : float
        How many parents there are, as a share of `population`; the survey's example has 400 of 2,000, a share of 0.2.
    mutation_ratio : float
        Probability that a child is one parent, mutated; otherwise it mixes two.
    mutation : float
        Probability that a mutation draws a decision anew.
    """

    name = "evolution"
    title = "Evolution with crossover"
    paper = (
        "H. Cai et al., Once-for-All: Train One Network and Specialize it for Efficient Deployment, ICLR 2020 (read: "
        "mit-han-lab/once-for-all ofa/nas/search_algorithm/evolution.py, which has the defaults of the settings)"
    )

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
        self._keep = max(1, round(parent_ratio * population))
        self._parents: list[tuple[Score, Vector]] = []
        self._children: list[tuple[Score, Vector]] = []
        self._taken: set[Vector] = set()

    def ask(self, n: int) -> list[Vector]:
        """Return what the generation still lacks."""
        missing = min(n, self._size - len(self._children))
        if not self._parents:
            return [self.problem.draw(self.random) for _ in range(missing)]
        return [self._child() for _ in range(missing)]

    def tell(self, vectors: Sequence[Vector], scores: Sequence[Score]) -> None:
        """Take the children in; once the generation is full, choose the next one's parents."""
        self._children += zip(scores, vectors, strict=True)
        if len(self._children) >= self._size:
            # Of equal scores the older one stays: vectors are not compared.
            self._parents = sorted(self._parents + self._children, key=_SCORE, reverse=True)[: self._keep]
            self._children, self._taken = [], {vector for _, vector in self._parents}

    def _child(self) -> Vector:
        number, parents = self.random.random, self._parents
        child = parents[int(number() * len(parents))][1]
        if number() < self._mutants:
            child = mutate_each(self.problem.choices, child, self._rate, self.random)
        else:
            child = cross(child, parents[int(number() * len(parents))][1], self.random)
        if child in self._taken:
            child = mutate(self.problem.choices, child, self.random)
        self._taken.add(child)
        return child
