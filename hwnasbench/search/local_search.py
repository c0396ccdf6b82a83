"""Local search: climb to the best neighbour, and begin anew where none is better."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnasbench.search.base import INFEASIBLE, Searcher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnasbench.search.base import Score, Vector
    from hwnasbench.search.problem import Problem


class LocalSearch(Searcher):
    """Hill climbing over all neighbours, from random architectures.

    An architecture that was evaluated in an earlier climb is evaluated again only where it begins one.
    """

    name = "local_search"
    title = "Local search"
    paper = "C. White et al., Exploring the Loss Landscape in Neural Architecture Search, UAI 2021 (recalled)"

    def __init__(self, problem: Problem, seed: int) -> None:
        super().__init__(problem, seed)
        self._known: dict[Vector, Score] = {}
        self._at: Vector | None = None
        self._waiting: list[Vector] = []

    def ask(self, n: int) -> list[Vector]:
        """Return the neighbours that are not known yet, or where the next climb begins."""
        while self._at is not None:
            if not self._waiting:
                self._waiting = [v for v in self.problem.neighbours(self._at) if v not in self._known]
                self.random.shuffle(self._waiting)
            if self._waiting:
                asked, self._waiting = self._waiting[:n], self._waiting[n:]
                return asked
            self._climb()
        return [self.problem.draw(self.random)]

    def tell(self, vectors: Sequence[Vector], scores: Sequence[Score]) -> None:
        """Remember the scores; once all neighbours are known, go on from the best."""
        self._known.update(zip(vectors, scores, strict=True))
        if self._at is None:
            self._at = vectors[0]
        elif not self._waiting:
            self._climb()

    def _climb(self) -> None:
        """Go to the best neighbour; begin anew where none is better."""
        assert self._at is not None
        known = self._known
        best = max(self.problem.neighbours(self._at), key=lambda vector: known.get(vector, INFEASIBLE))
        self._at = best if known.get(best, INFEASIBLE) > known[self._at] else None
