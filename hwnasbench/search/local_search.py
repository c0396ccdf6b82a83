"""Local search: climb to the best neighbour, and begin anew where none is better."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnasbench.search.base import INFEASIBLE, Searcher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnasbench.search.base import Score, Vector
    from hwnasbench.search.problem import Problem

#: How often an architecture to begin a climb at is drawn, as long as those drawn were evaluated before.
_DRAWS = 10


class LocalSearch(Searcher):
    """Hill climbing over all neighbours, from random architectures.

    Nothing is evaluated twice, except that a climb begins at what is known already where ten draws find nothing else.
    """

    name = "local_search"
    title = "Local search"
    paper = (
        "C. White et al., Exploring the Loss Landscape in Neural Architecture Search, UAI 2021 (recalled; read: "
        "naszilla/naszilla naszilla/nas_algorithms.py, whose query_full_nbhd is what is done here)"
    )

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
        return [self._start()]

    def tell(self, vectors: Sequence[Vector], scores: Sequence[Score]) -> None:
        """Remember the scores; once all neighbours are known, go on from the best."""
        self._known.update(zip(vectors, scores, strict=True))
        if self._at is None:
            self._at = vectors[0]
        elif not self._waiting:
            self._climb()

    def _start(self) -> Vector:
        for _ in range(_DRAWS - 1):
            vector = self.problem.draw(self.random)
            if vector not in self._known:
                return vector
        return self.problem.draw(self.random)

    def _climb(self) -> None:
        """Go to the best neighbour; begin anew where none is better."""
        assert self._at is not None
        known = self._known
        best = max(self.problem.neighbours(self._at), key=lambda vector: known.get(vector, INFEASIBLE))
        self._at = best if known.get(best, INFEASIBLE) > known[self._at] else None
