"""Successive halving and Hyperband over the lengths of training that are known."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from hwnasbench.errors import InvalidRequest
from hwnasbench.search.base import Searcher, positive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnasbench.search.base import Score, Vector
    from hwnasbench.search.problem import Problem


class SuccessiveHalving(Searcher):
    """Many architectures are trained shortly, and the best of them longer; then anew with others.

    Parameters
    ----------
    problem : Problem
        Of two fidelities or more.
    seed : int
    eta : int
        One of so many goes on to the next fidelity.
    first : int
        Architectures of the lowest fidelity.

    Raises
    ------
    InvalidRequest
        When the problem has one fidelity: there are no invented learning curves.
    """

    name = "successive_halving"
    title = "Successive halving"
    paper = (
        "K. Jamieson and A. Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter Optimization, AISTATS "
        "2016 (recalled)"
    )
    needs_fidelities = True

    def __init__(self, problem: Problem, seed: int, *, eta: int = 3, first: int = 27) -> None:
        super().__init__(problem, seed)
        positive(self, eta=eta, first=first)
        levels = len(problem.fidelities)
        if levels < 2:
            raise InvalidRequest(
                f"{self.name} needs accuracies after trainings of different lengths; {problem.space.name} has "
                f"{levels} here: {problem.fidelities[0]}"
            )
        self._eta, self._first = eta, first
        self._brackets: deque[tuple[int, int]] = deque()
        self._rung: list[tuple[Score, Vector]] = []
        self._waiting: list[Vector] = []
        self.fidelity = levels - 1

    def brackets(self) -> list[tuple[int, int]]:
        """Return the brackets of a round: the fidelity that each begins at, and how many architectures it draws."""
        return [(0, self._first)]

    def ask(self, n: int) -> list[Vector]:
        """Return what the rung still lacks."""
        if not self._waiting:
            self._advance()
        asked, self._waiting = self._waiting[:n], self._waiting[n:]
        return asked

    def tell(self, vectors: Sequence[Vector], scores: Sequence[Score]) -> None:
        """Remember the scores of the rung."""
        self._rung += zip(scores, vectors, strict=True)

    def _advance(self) -> None:
        """Let the best go on, or begin another bracket."""
        kept = len(self._rung) // self._eta
        if kept and self.fidelity + 1 < len(self.problem.fidelities):
            # Of equal scores the one drawn first goes on: vectors are not compared.
            self._rung.sort(key=lambda pair: pair[0], reverse=True)
            self._waiting, self.fidelity = [vector for _, vector in self._rung[:kept]], self.fidelity + 1
        else:
            if not self._brackets:
                self._brackets.extend(self.brackets())
            self.fidelity, count = self._brackets.popleft()
            self._waiting = [self.problem.draw(self.random) for _ in range(count)]
        self._rung = []


class Hyperband(SuccessiveHalving):
    """Successive halving from each fidelity in turn, the longer ones with fewer architectures."""

    name = "hyperband"
    title = "Hyperband"
    paper = "L. Li et al., Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization, JMLR 18, 2018 (recalled)"  # noqa: E501

    def brackets(self) -> list[tuple[int, int]]:
        """Return one bracket a fidelity."""
        return [(level, max(1, self._first // self._eta**level)) for level in range(len(self.problem.fidelities))]
