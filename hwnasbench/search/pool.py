"""Candidates for searchers with a model: what they have evaluated, and what they may evaluate next."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.search.moves import mutate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hwnasbench.search.base import Score, Searcher, Vector

    Floats = NDArray[np.float64]

#: How often a draw that is known already is drawn again.
_TRIES = 10


class Seen:
    """What a searcher has evaluated.

    Attributes
    ----------
    scores : dict of tuple of int to float
        By architecture, in their order.

    Parameters
    ----------
    searcher : Searcher
    """

    def __init__(self, searcher: Searcher) -> None:
        self._problem, self._random = searcher.problem, searcher.random
        self.scores: dict[Vector, Score] = {}

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, vectors: Sequence[Vector], scores: Sequence[Score]) -> None:
        """Remember scores."""
        self.scores.update(zip(vectors, scores, strict=True))

    def best(self, n: int) -> list[Vector]:
        """Return the n best feasible architectures, best first."""
        found = [(score, vector) for vector, score in self.scores.items() if math.isfinite(score)]
        found.sort(key=lambda pair: pair[0], reverse=True)
        return [vector for _, vector in found[:n]]

    def targets(self) -> Floats:
        """Return the scores as a model is fitted to them: of mean 0 and deviation 1.

        What is infeasible counts as the worst that is feasible: models take no infinity.
        """
        scores = np.array(list(self.scores.values()), np.float64)
        finite = np.isfinite(scores)
        if not finite.any():
            return np.zeros(len(scores))
        scores[~finite] = scores[finite].min()
        spread = scores.std()
        return np.asarray((scores - scores.mean()) / (spread if spread > 0 else 1.0))

    def drawn(self, n: int, among: set[Vector] | None = None) -> list[Vector]:
        """Draw n architectures that were not evaluated yet, as far as ten tries for each find one."""
        taken = set() if among is None else among
        out: list[Vector] = []
        for _ in range(n * _TRIES):
            if len(out) == n:
                break
            vector = self._problem.draw(self._random)
            if vector not in self.scores and vector not in taken:
                taken.add(vector)
                out.append(vector)
        return out

    def candidates(self, mutants: int, drawn: int, parents: int) -> list[Vector]:
        """Return architectures that were not evaluated yet: mutants of the best, and others drawn uniformly."""
        taken: set[Vector] = set()
        out: list[Vector] = []
        best = self.best(parents)
        for number in range(mutants if best else 0):
            vector = mutate(self._problem.choices, best[number % len(best)], self._random)
            if number % 2:
                vector = mutate(self._problem.choices, vector, self._random)
            if vector not in self.scores and vector not in taken:
                taken.add(vector)
                out.append(vector)
        return out + self.drawn(drawn, taken)


def one_hot(choices: Sequence[int], vectors: Sequence[Vector]) -> NDArray[np.float32]:
    """Return one column a (position, choice), for choices of which there are several."""
    rows = np.array(vectors, np.int64).reshape(len(vectors), len(choices))
    hot = [rows[:, [p]] == np.arange(n) for p, n in enumerate(choices) if n > 1]
    return np.concatenate(hot, axis=1).astype(np.float32)
