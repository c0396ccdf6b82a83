"""What a searcher with a model has evaluated, and the candidates that its model judges."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import numpy as np

from hwnasbench.search.membership import Membership
from hwnasbench.search.moves import mutate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hwnasbench.search.base import Searcher, Vector

    Floats = NDArray[np.float64]

#: How often a draw that is known already is drawn again.
_TRIES = 10


class Pool:
    """What a searcher has evaluated, and what it may evaluate next.

    Parameters
    ----------
    searcher : Searcher

    Attributes
    ----------
    scores : dict of tuple of int to float
        By architecture, in the order of their evaluation.
    """

    def __init__(self, searcher: Searcher) -> None:
        self._problem, self._random = searcher.problem, searcher.random
        self._members = Membership(self._problem.space)
        self._graphs = self._has_graphs()
        self.scores: dict[Vector, float] = {}

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, vectors: Sequence[Vector], scores: Sequence[float]) -> None:
        """Remember scores."""
        self.scores.update(zip(vectors, scores, strict=True))

    def known(self) -> tuple[NDArray[np.float32], Floats, NDArray[np.bool_]]:
        """Return the features and the scores of what was evaluated, and which of it was feasible."""
        scores = np.array(list(self.scores.values()), np.float64)
        return self.features(list(self.scores)), scores, np.isfinite(scores)

    def best(self, n: int) -> list[Vector]:
        """Return the `n` best feasible architectures, best first; of equals the one evaluated first."""
        found = [(score, vector) for vector, score in self.scores.items() if math.isfinite(score)]
        found.sort(key=lambda pair: pair[0], reverse=True)
        return [vector for _, vector in found[:n]]

    # -- what may be evaluated next -----------------------------------------------------------

    def drawn(self, n: int, taken: set[Vector] | None = None) -> list[Vector]:
        """Draw up to `n` architectures that were not evaluated yet.

        There are fewer only where the space has no more, or where it cannot be enumerated and ten tries for each find
        nothing new.

        Parameters
        ----------
        n : int
        taken : set of tuple of int, optional
            Others that are not drawn; those that are drawn are added.
        """
        taken = set() if taken is None else taken
        out: list[Vector] = []
        for _ in range(n * _TRIES):
            if len(out) == n:
                return out
            vector = self._problem.draw(self._random)
            if vector not in self.scores and vector not in taken:
                taken.add(vector)
                out.append(vector)
        if len(out) < n and self._problem.space.enumerable:
            left = [vector for vector in self.whole() if vector not in self.scores and vector not in taken]
            more = self._random.sample(left, min(n - len(out), len(left)))
            taken.update(more)
            out += more
        return out

    def whole(self) -> list[Vector]:
        """Return every architecture of an enumerable space."""
        return list(map(tuple, self._problem.space.all_vectors().tolist()))

    def candidates(self, mutants: int, parents: int, drawn: int) -> list[Vector]:
        """Return architectures that were not evaluated yet: near the best, and anywhere.

        Parameters
        ----------
        mutants : int
            How many mutants of the best are made, every other one by two steps; those that are known already fall away.
        parents : int
            Of how many of the best.
        drawn : int
            How many are drawn uniformly.
        """
        choices, best = self._problem.choices, self.best(parents)
        taken: set[Vector] = set()
        out: list[Vector] = []
        # A space of one architecture has no mutants.
        for number in range(mutants if best and max(choices) > 1 else 0):
            vector = mutate(choices, best[number % len(best)], self._random)
            if number // len(best) % 2:
                vector = mutate(choices, vector, self._random)
            if vector not in self.scores and vector not in taken and self._members.keeps_rules(vector):
                taken.add(vector)
                out.append(vector)
        return out + self.drawn(drawn, taken)

    # -- what a model sees --------------------------------------------------------------------

    def features(self, vectors: Sequence[Vector]) -> NDArray[np.float32]:
        """Return what a model sees of architectures.

        Returns
        -------
        (n, features) ndarray of float32
            One column a (position, choice), and the space's features of the graph where it has some.
        """
        hot = one_hot(self._problem.choices, vectors)
        if not self._graphs:
            return hot
        graphs = self._problem.space.encode(np.array(vectors, np.int8), kind="graph")
        return np.concatenate([hot, graphs], axis=1)

    def _has_graphs(self) -> bool:
        sample = self._problem.draw(random.Random(0))
        try:
            self._problem.space.encode(np.array([sample], np.int8), kind="graph")
        except NotImplementedError:
            return False
        return True


def one_hot(choices: Sequence[int], vectors: Sequence[Vector]) -> NDArray[np.float32]:
    """Return one column a (position, choice), of positions that have several choices."""
    rows = np.array(vectors, np.int64).reshape(len(vectors), len(choices))
    hot = [rows[:, [p]] == np.arange(n) for p, n in enumerate(choices) if n > 1]
    return np.concatenate([np.empty((len(rows), 0), bool), *hot], axis=1).astype(np.float32)


def standard(values: Floats) -> Floats:
    """Return values of mean 0 and standard deviation 1; zeros where they are all equal."""
    spread = float(values.std())
    return np.asarray((values - values.mean()) / (spread if spread > 0 else 1.0))
